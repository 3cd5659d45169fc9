"""Splunk SOAR's app: every action through Splunk's own SDK, and its manifest."""

from __future__ import annotations

import pytest

from tests.soar.package_run import run_package


@pytest.mark.timeout(900)
def test_the_app_passes_its_own_tests() -> None:
    run_package("splunk_soar")
