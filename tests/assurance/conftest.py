"""The graph's fixtures serve here too."""

from tests.graph.conftest import firewall, intel_home, make

__all__ = ["firewall", "intel_home", "make"]
