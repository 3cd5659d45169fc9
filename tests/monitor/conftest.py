"""The fakes of the graph's tests."""

from tests.graph.conftest import firewall, intel_home, make

__all__ = ["firewall", "intel_home", "make"]
