"""The site builds without a warning, has every page, and takes nothing from another host."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from aegis_agents import Aegis
from tests.docs.pages import ROOT, pages

pytestmark = pytest.mark.skipif(
    find_spec("material") is None or find_spec("mkdocstrings") is None, reason="needs the docs extra"
)
_LOADED = re.compile(
    r"<(?:link|script|img|iframe|source|object|embed|video|audio)\b[^>]*\b(?:src|href|data)=[\"']?(?:https?:)?//"
)
_CSS = re.compile(r"(?:url\(|@import\s)[\"']?(?:https?:)?//")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built site; a warning (a dead link, a name that is not there, content from outside) is an error."""
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=300, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def test_every_page_is_there(site: Path) -> None:
    for page in pages():
        if page.name != "README.md":
            where = page.relative_to(ROOT / "docs").with_suffix("")
            parts = where.parts[:-1] if where.name == "index" else where.parts
            assert site.joinpath(*parts, "index.html").is_file(), page


def test_nothing_comes_from_another_host(site: Path) -> None:
    for file in site.rglob("*.html"):
        assert not _LOADED.search(file.read_text("utf-8")), file
    for file in site.rglob("*.css"):
        assert not _CSS.search(file.read_text("utf-8")), file
    drawn = [file for file in site.rglob("*.html") if 'class="mermaid"' in file.read_text("utf-8")]
    assert not drawn, "the theme would load mermaid from another host"


def test_reference_has_the_public_names(site: Path) -> None:
    aegis = (site / "reference/aegis/index.html").read_text("utf-8")
    public = {name for name, _ in inspect.getmembers_static(Aegis) if not name.startswith("_")}
    assert {name for name in public if f'id="aegis_agents.Aegis.{name}"' not in aegis} == set()
    for page in (site / "reference").rglob("*.html"):
        assert not re.search(r'id="aegis_agents\.[\w.]*\._[a-z]', page.read_text("utf-8")), f"{page}: a private name"
    settings = (site / "reference/settings/index.html").read_text("utf-8")
    assert "Share of wrong answers that you bear" in settings
    command = (site / "reference/cli/index.html").read_text("utf-8")
    assert all(said in command for said in ("aegis investigate", "aegis ledger verify", "--shadow"))


def test_search_knows_the_pages(site: Path) -> None:
    index = (site / "search/search_index.json").read_text("utf-8")
    assert all(said in index for said in ("Decision tree", "tolerated_error", "InputError"))
