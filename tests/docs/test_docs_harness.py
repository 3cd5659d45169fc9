"""What runs the pages sees what is wrong in one: a block that fails, one that is overlooked, one left out unsaid."""

from __future__ import annotations

from pathlib import Path

import pytest

import tests.docs.pages as harness
from tests.docs.warm_cli import WarmCli


@pytest.fixture
def page(page_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of its own."""
    monkeypatch.setattr(harness, "ROOT", page_folder)
    return page_folder / "page.md"


def fenced(language: str, *lines: str) -> str:
    return "\n".join([f"```{language}", *lines, "```", ""])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (fenced("python", "assert 1 == 2"), "AssertionError"),
        (fenced("bash", "true", "false", "true"), "exit code 1"),
        (fenced("bash", "aegis no-such-command"), "exit code 2"),
        (fenced("bash", "aegis investigate nowhere.json | cat"), "exit code"),
        (fenced("toml", "a = "), "TOMLDecodeError"),
        (fenced("toml", "# aegis.toml", "no_such_setting = 1"), "no_such_setting"),
        (fenced("cedar", "forbid (principal, action, resource)"), "rules.cedar"),
        (fenced("json", "{"), "JSONDecodeError"),
        ("<!--- invisible-code-block: python\nassert False\n--->\n", "AssertionError"),
    ],
)
def test_block_that_is_wrong(page: Path, cli: WarmCli, text: str, error: str) -> None:
    page.write_text("# Page\n\n" + text)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever the block raises
        harness.run_page(page, cli.path)
    assert error in f"{caught.type.__name__}: {caught.value}"
    assert any(note.startswith("in the block at page.md:3") for note in caught.value.__notes__)


def test_blocks_share_a_page(page: Path, cli: WarmCli) -> None:
    """A name and a file of one block are there for the next; the command has the page's own home."""
    text = fenced("python", "x = 1") + fenced("bash", "aegis approvals --json > out.txt; echo $((1 + 1)) >> out.txt")
    text += fenced(
        "python", "from pathlib import Path", "assert x == 1", 'assert Path("out.txt").read_text() == "2\\n"'
    )
    page.write_text(text)
    assert harness.run_page(page, cli.path).run == 3


def test_left_out(page: Path, cli: WarmCli) -> None:
    """A block with a reason is counted with it; without one, or in a language that nothing reads, it is seen."""
    reason = '<!-- skip: next "needs a moon" -->\n'
    page.write_text(reason + fenced("bash", "exit 9") + fenced("ruby", "puts 1") + fenced("python", "pass"))
    ran = harness.run_page(page, cli.path)
    assert ran.run == 1
    assert ran.skipped == ["page.md:2: needs a moon"]
    assert [(b.language, b.reason) for b in harness.blocks(page)] == [
        ("bash", '"needs a moon"'), ("ruby", None), ("python", None),
    ]  # fmt: skip
    page.write_text("<!-- skip: next -->\n" + fenced("bash", "exit 9"))
    assert harness.blocks(page)[0].reason is None
    assert len(harness.MARKED.findall(page.read_text())) == 1
