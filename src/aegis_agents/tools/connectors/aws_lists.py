"""WAF: addresses in the IP sets that a web ACL's rules block.

An IP set is changed as a whole, by compare-and-set on its LockToken: of two writers at once, one
reads again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import Target
from aegis_agents.tools.connectors.addresses import Address, Network, address_of, blockable
from aegis_agents.tools.connectors.answers import clean
from aegis_agents.tools.connectors.aws_api import AwsApi

_ARN: Final = re.compile(
    r"arn:aws[a-z-]*:wafv2:(?P<region>[a-z0-9-]+):\d{12}:(?P<scope>regional|global)"
    r"/ipset/(?P<name>[\w-]{1,128})/(?P<id>[\w-]{1,36})"
)
_TRIES: Final = 5


class AddressLists:
    """The IP sets for IPv4 and IPv6, by ARN; "" where there is none.

    A set blocks only what a rule of a web ACL refers to it for: that rule is the administrator's, and
    not checked here.
    """

    def __init__(self, api: AwsApi, v4: str, v6: str, never: Sequence[Network]) -> None:
        self._api, self._never = api, never
        self._sets = {4: _place(v4, "ip_set_v4"), 6: _place(v6, "ip_set_v6")}

    @staticmethod
    def validate(v4: str, v6: str) -> None:
        """Raises SettingsError where one is no ARN of an IP set."""
        _place(v4, "ip_set_v4")
        _place(v6, "ip_set_v6")

    def holds(self, target: Target) -> bool:
        """Whether the address itself is in its set; a network that covers it is somebody else's entry."""
        address = address_of(target)
        return _host(address) in self._read(address)["IPSet"]["Addresses"]

    def add(self, target: Target) -> str:
        """Put the address into its set. Raises ConnectorError for one that is never blocked."""
        address = blockable(target, self._never, "never")
        self._change(address, lambda there: there | {_host(address)})
        return f"{self._where(address)['name']} {_host(address)}"

    def remove(self, target: Target) -> str:
        """Take the address out of its set; that it is not in is no error."""
        address = address_of(target)
        self._change(address, lambda there: there - {_host(address)})
        return ""

    def check(self) -> str:
        """How much each list holds."""
        sizes = [(p["name"], len(self._get(p)["IPSet"]["Addresses"])) for p in self._sets.values() if p is not None]
        return ", ".join(f"IP set {name} holds {size}" for name, size in sizes)

    def _change(self, address: Address, change: Callable[[set[str]], set[str]]) -> None:
        place = self._where(address)
        waf = self._client(place)
        for left in reversed(range(_TRIES)):
            answer = self._read(address)
            there = set(answer["IPSet"]["Addresses"])
            wanted = change(there)
            if wanted == there:
                return
            # The description is replaced with the rest: leaving it out would delete it.
            about = {"Description": answer["IPSet"]["Description"]} if answer["IPSet"].get("Description") else {}
            try:
                with self._api.answers():
                    waf.update_ip_set(
                        Name=place["name"], Scope=place["scope"], Id=place["id"], Addresses=sorted(wanted),
                        LockToken=answer["LockToken"], **about,
                    )  # fmt: skip
            except TransientConnectorError as error:
                if left == 0 or "WAFOptimisticLockException" not in str(error):
                    raise
            else:
                return

    def _read(self, address: Address) -> Any:
        return self._get(self._where(address))

    def _get(self, place: dict[str, str]) -> Any:
        with self._api.answers():
            return self._client(place).get_ip_set(Name=place["name"], Scope=place["scope"], Id=place["id"])

    def _client(self, place: dict[str, str]) -> Any:
        return self._api.client("wafv2", place["region"])

    def _where(self, address: Address) -> dict[str, str]:
        place = self._sets[address.version]
        if place is None:
            raise ConnectorError(f"{address} is IPv{address.version}: name an IP set in ip_set_v{address.version}")
        return place


def _place(arn: str, field: str) -> dict[str, str] | None:
    if not arn:
        return None
    parts = _ARN.fullmatch(arn)
    if parts is None:
        raise SettingsError(f"{field}: {clean(arn)!r} is no ARN of a WAF IP set")
    place = parts.groupdict()
    # What CloudFront uses lives in us-east-1, whatever region its ARN is written with.
    glob = place["scope"] == "global"
    return {**place, "scope": "CLOUDFRONT" if glob else "REGIONAL", "region": "us-east-1" if glob else place["region"]}


def _host(address: Address) -> str:
    return f"{address}/{address.max_prefixlen}"
