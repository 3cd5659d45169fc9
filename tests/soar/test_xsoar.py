"""Cortex XSOAR's pack: its unit tests, `demisto-sdk validate` and `prepare-content`."""

from __future__ import annotations

import pytest

from tests.soar.package_run import run_package


@pytest.mark.timeout(900)
def test_the_pack_passes_its_own_tests() -> None:
    run_package("xsoar")
