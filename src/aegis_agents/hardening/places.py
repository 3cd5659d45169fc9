"""Where Aegis may connect to: what its settings name, and what the administrator lists."""

from __future__ import annotations

import ipaddress
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from aegis_agents.settings import Settings
from aegis_agents.settings_hardening import place_of
from aegis_agents.settings_server import is_loopback

_PORTS: Final[Mapping[str, int]] = {"https": 443, "http": 80, "ldap": 389, "ldaps": 636}
_HOSTS: Final = frozenset({"hostname", "host", "servers", "bootstrap_servers", "brokers"})
"""Keys that hold hosts as they are, and not URLs."""
_CLOUDS: Final[Mapping[str, tuple[str, ...]]] = {
    "global": ("login.microsoftonline.com", "graph.microsoft.com", "api.securitycenter.microsoft.com"),
    "gcc": ("login.microsoftonline.com", "graph.microsoft.com", "api-gcc.securitycenter.microsoft.us"),
    "gcc_high": ("login.microsoftonline.us", "graph.microsoft.us", "api-gov.securitycenter.microsoft.us"),
    "china": ("login.chinacloudapi.cn", "microsoftgraph.chinacloudapi.cn"),
    "dod": ("login.microsoftonline.us", "dod-graph.microsoft.us", "api-gov.securitycenter.microsoft.us"),
}
"""Microsoft's clouds, as the connectors entra, defender and mail know them."""
_AWS: Final = ("*.amazonaws.com", "*.amazonaws.com.cn", "*.api.aws")


class Place(NamedTuple):
    """A host that may be connected to: a name, "*.name", an address or a network.

    `port` None is any. `internal` says whether the name may stand for addresses inside the organisation; None leaves
    it to its first answer, which then binds it.
    """

    host: str
    port: int | None = None
    internal: bool | None = None


class Places:
    """All of them, and whether this machine itself is one.

    Names are compared as they are asked for, addresses in whatever form they are written (see `plain`).
    """

    def __init__(self, places: Iterable[Place], *, loopback: bool) -> None:
        self.loopback = loopback
        self._names: dict[str, list[Place]] = {}
        self._networks: list[tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, int | None]] = []
        for place in places:
            try:
                self._networks.append((ipaddress.ip_network(place.host), place.port))
            except ValueError:
                self._names.setdefault(place.host, []).append(place)

    def named(self, name: str) -> list[Place]:
        """The entries that a name falls under; none if it may not be asked for."""
        found = list(self._names.get(name, ()))
        labels = name.split(".")
        for at in range(1, len(labels)):
            found += self._names.get("*." + ".".join(labels[at:]), ())
        return found

    def shown(self) -> list[str]:
        """All of them, as one reads them."""
        said = [f"{p.host}:{p.port}" if p.port else p.host for places in self._names.values() for p in places]
        said += [f"{network}:{port}" if port else str(network) for network, port in self._networks]
        return [*(["this machine"] if self.loopback else []), *sorted(set(said))]

    def listed(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int | None) -> bool:
        """Whether an address is listed itself."""
        return any(
            address.version == network.version and address in network and (wanted is None or port in (None, wanted))
            for network, wanted in self._networks
        )


def places_of(settings: Settings) -> Places:
    """What settings allow: everything that they name ("configured") and `egress_allow`, or that alone ("listed").

    Names that are chosen by others, as a provider's key server, are not known before: list them. A file that can't be
    read names nothing here; whoever uses it says what is wrong.
    """
    hardening = settings.hardening
    allowed = [Place(*place_of(one)) for one in hardening.egress_allow]
    named = list(_configured(settings)) if hardening.egress == "configured" else []
    return Places([*allowed, *named], loopback=hardening.egress == "configured")


def _configured(settings: Settings) -> Iterator[Place]:
    yield from _of_url(settings.webhook_url or "")
    if "://" in settings.llm:
        yield from _of_url(settings.llm)
    if settings.database is not None:
        yield from _of_url(settings.database.get_secret_value(), default=5432)
    for part in (settings.server, settings.telemetry, settings.monitor, *settings.streams):
        yield from _of_values(part.model_dump())
    if settings.feeds is not None:
        for feed in _tables(settings.feeds):
            inside = bool(feed.get("internal"))
            yield from (place._replace(internal=inside) for place in _of_url(str(feed.get("url", ""))))
    if settings.connectors is not None:
        for table in _tables(settings.connectors):
            yield from _of_connector(table)
    if any(getattr(stream, "kind", "") == "sqs" for stream in settings.streams):
        yield from map(Place, _AWS)


def _of_connector(table: Mapping[str, Any]) -> Iterator[Place]:
    yield from _of_values(table)
    kind = table.get("kind")
    if kind == "aws":
        yield from map(Place, _AWS)
    elif kind == "crowdstrike" and "base_url" not in table:
        yield Place("api.crowdstrike.com", 443)
    elif kind in ("entra", "defender", "mail"):
        yield from (Place(host, 443) for host in _CLOUDS.get(str(table.get("cloud", "global")), ()))


def _of_values(value: Any, key: str = "") -> Iterator[Place]:
    """The hosts of every URL below a value, and of what stands under a key that holds hosts."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _of_values(one, str(name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _of_values(one, key)
    elif isinstance(value, str):
        if "://" in value:
            yield from _of_url(value)
        elif key in _HOSTS and not is_loopback(value):
            for one in value.split(","):
                try:
                    yield Place(*place_of(one))
                except ValueError:
                    continue  # whoever uses the value says what is wrong with it


def _of_url(url: str, default: int | None = None) -> Iterator[Place]:
    try:
        where = urlsplit(url)
        hosts = where.netloc.rpartition("@")[2]
        for one in hosts.split(","):  # PostgreSQL takes several
            if one:
                host, port = place_of(one)
                yield Place(host, port or default or _PORTS.get(where.scheme))
    except ValueError:
        return  # whoever uses the value says what is wrong with it


def _tables(file: Path) -> Iterator[Mapping[str, Any]]:
    try:
        tables = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return
    yield from (table for table in tables.values() if isinstance(table, Mapping))
