"""Which kinds of connector there are, and where their code is. A kind is imported when it is configured, not before.

What ships is listed here. A kind of your own comes as an installed package that declares an entry point in
the group "aegis_agents.connectors" (name = the kind, value = its class). A configuration file can't name a
module itself: whoever may edit a text file could then have any code run, while what is installed was chosen
by whoever may install.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from types import MappingProxyType

from aegis_agents.errors import SettingsError
from aegis_agents.tools.connectors.protocol import ConfigurableConnector

GROUP = "aegis_agents.connectors"

_HERE = "aegis_agents.tools.connectors"
SHIPPED = MappingProxyType(
    {
        "aws": f"{_HERE}.aws:AwsConnector",
        "crowdstrike": f"{_HERE}.crowdstrike:CrowdStrikeConnector",
        "defender": f"{_HERE}.defender:DefenderConnector",
        "entra": f"{_HERE}.entra:EntraConnector",
        "jira": f"{_HERE}.jira:JiraConnector",
        "kubernetes": f"{_HERE}.kubernetes:KubernetesConnector",
        "ldap": f"{_HERE}.ldap:LdapConnector",
        "mail": f"{_HERE}.mail:MailConnector",
        "nftables": f"{_HERE}.nftables:NftablesConnector",
        "okta": f"{_HERE}.okta:OktaConnector",
        "outbox": f"{_HERE}.outbox:OutboxConnector",
        "paloalto": f"{_HERE}.paloalto:PaloAltoConnector",
        "servicenow": f"{_HERE}.servicenow:ServiceNowConnector",
        "webhook": f"{_HERE}.webhook:WebhookConnector",
    }
)
"""Kind → module:class. An entry point can't take the place of one of these."""

_MODULES = MappingProxyType(
    {
        "aws": ("boto3",),
        "crowdstrike": ("falconpy",),
        "jira": ("jira",),
        "kubernetes": ("kubernetes",),
        "ldap": ("ldap3",),
        "microsoft": ("azure.identity", "msgraph"),
        "okta": ("okta",),
        "paloalto": ("panos",),
        "servicenow": ("pysnc",),
    }
)
"""Extra → the modules that it brings."""


def kinds() -> tuple[str, ...]:
    """Every kind that a configuration can name: shipped and installed."""
    return tuple(sorted({*SHIPPED, *_installed()}))


def connector_class(kind: str) -> type[ConfigurableConnector]:
    """The class of a kind. Raises SettingsError if there is none, or if an installed one can't be loaded."""
    if kind in SHIPPED:
        module, _, name = SHIPPED[kind].partition(":")
        shipped: type[ConfigurableConnector] = getattr(import_module(module), name)
        return shipped
    point = _installed().get(kind)
    if point is None:
        raise SettingsError(f"there is no kind {kind!r} (there are {', '.join(kinds())})")
    try:
        made = point.load()
    except Exception as error:  # another package's code: whatever it raises, it can't be used
        raise SettingsError(f"kind {kind!r}: {point.value} can't be loaded: {type(error).__name__}: {error}") from error
    wanted = ("kind", "extra", "secrets", "apply", "read", "undo")
    if lacking := [one for one in wanted if not hasattr(made, one)]:
        raise SettingsError(f"kind {kind!r}: {point.value} is no connector: it has no {lacking[0]}")
    checked: type[ConfigurableConnector] = made
    return checked


def missing_modules(extra: str) -> tuple[str, ...]:
    """The modules of an extra that are not installed; looked for, not imported."""
    return tuple(module for module in _MODULES.get(extra, ()) if not _is_there(module))


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it would lie in
        return False


def _installed() -> dict[str, EntryPoint]:
    """Kind → entry point, of installed packages. Raises SettingsError where two packages bring one kind."""
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if point.name in found and found[point.name].value != point.value:
            raise SettingsError(
                f"kind {point.name!r}: both {found[point.name].value} and {point.value} bring it; uninstall one"
            )
        found[point.name] = point
    return found
