"""IBM SOAR's function package, in resilient-circuits, validated and packaged by resilient-sdk."""

from __future__ import annotations

import pytest

from tests.soar.package_run import run_package


@pytest.mark.timeout(900)
def test_the_package_passes_its_own_tests() -> None:
    run_package("ibm_soar")
