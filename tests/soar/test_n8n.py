"""The n8n workflows, read and conducted by n8n-workflow."""

from __future__ import annotations

import pytest

from tests.soar.package_run import run_package


@pytest.mark.timeout(900)
def test_the_package_passes_its_own_tests() -> None:
    run_package("http_recipes/n8n")
