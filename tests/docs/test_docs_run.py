"""Every code block of README and docs does what it says, or says why it is not run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.pages import MARKED, READ, ROOT, RUN, SHOWN, Ran, blocks, pages, run_page
from tests.docs.served import ADDRESS, server
from tests.docs.warm_cli import WarmCli

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:sybil.*")
_PAGES = pages()


@pytest.fixture(scope="module")
def ran() -> dict[Path, Ran]:
    """What became of each page's blocks."""
    return {}


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_run(
    page: Path, ran: dict[Path, Ran], page_folder: Path, cli: WarmCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ADDRESS in page.read_text("utf-8"):
        with server() as (address, token):
            monkeypatch.setenv("TOKEN", token)
            ran[page] = run_page(page, cli.path, address)
    else:
        ran[page] = run_page(page, cli.path)
    found, stated = ran[page], blocks(page)
    kept = [block for block in stated if block.reason is None]
    able = sum(block.language in (*RUN, *READ) for block in kept)
    assert found.run + found.read + len(found.skipped) == able + len(stated) - len(kept), "a block was overlooked"
    assert len(found.skipped) <= len(stated) - len(kept), "a block was skipped that is not marked"


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_nothing_is_left_out_unsaid(page: Path) -> None:
    for block in blocks(page):
        known = block.language in (*RUN, *READ, *SHOWN)
        assert known or block.reason, f"{page}:{block.line}: nothing runs {block.language!r}: mark it with a reason"
    assert len(MARKED.findall(page.read_text("utf-8"))) == sum(b.reason is not None for b in blocks(page)), (
        f'{page}: a skip without a block after it, or without a reason: <!-- skip: next "reason" -->'
    )


def test_count(ran: dict[Path, Ran], capsys: pytest.CaptureFixture[str]) -> None:
    """Say how many blocks were run; most of what could be run was."""
    if len(ran) < len(_PAGES):
        pytest.skip("only some of the pages were run")
    run, skipped = sum(r.run for r in ran.values()), [s for r in ran.values() for s in r.skipped]
    with capsys.disabled():
        print(f"\n{run} blocks run, {sum(r.read for r in ran.values())} read, {len(skipped)} skipped:")
        print("\n".join(f"  {line}" for line in skipped))
    assert run > 3 * len(skipped)
