"""Palo Alto Networks firewalls, by their SDK (pan-os-python): addresses by tag, domains by URL category.

Addresses are tagged (User-ID API): a dynamic address group takes up the tag and a rule of the
administrator's denies the group; nothing is committed. Domains go into a custom URL category, which
needs a commit: a partial one, of this administrator's own changes, so that nobody's unfinished
work goes live with it.

Checked with the SDK against a loopback server that parses every command. Unverified against a
firewall: the words of its errors, how long commits take, whether tags outlive a restart. Whether a
rule denies the group or the category is the administrator's part and not checked: rules may come
from Panorama, where this connector does not look.

A URL category stops web traffic to a domain, not its resolution, and the domain's own name alone
(PAN-OS matches subdomains only by a wildcard entry).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Final

from aegis_agents.errors import ConnectorError, SettingsError, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.addresses import Address, address_of, blockable, domain_of, networks
from aegis_agents.tools.connectors.answers import clean, needed
from aegis_agents.tools.connectors.paloalto_api import SYSTEM, Firewall
from aegis_agents.tools.connectors.protocol import narrowed

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9 ._-]{0,62}")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]{1,253}|[0-9A-Fa-f:]{2,45}")


class PaloAltoConnector:
    """block_ip and block_domain on the firewall at `hostname`, in `vsys`.

    `api_key` is an administrator's with the XML API rights User-ID agent and operational requests, and
    for domains configuration and commit. `ca_file` holds the certificate authority (or the certificate)
    of its management interface, if the system doesn't know it; it is always checked. `tag` is
    registered for an address, `group` is the dynamic address group that must take the tag up. With
    `url_category`, a custom URL category, and `admin`, the name of the key's administrator, domains
    are blocked too. `never` are addresses and networks that must not be blocked. `timeout_s` is for
    one request, `commit_s` for a commit. `actions` narrows what it does.
    """

    kind: ClassVar[str] = "paloalto"
    extra: ClassVar[str] = "paloalto"
    secrets: ClassVar[frozenset[str]] = frozenset({"api_key"})
    name = "paloalto"

    def __init__(
        self,
        *,
        hostname: str,
        api_key: str,
        port: int = 443,
        ca_file: Path | None = None,
        vsys: str = "vsys1",
        tag: str = "aegis-blocked",
        group: str = "aegis-blocked",
        url_category: str = "",
        admin: str = "",
        never: Sequence[str] = (),
        timeout_s: float = 15.0,
        commit_s: float = 180.0,
        actions: Sequence[str] | None = None,
    ) -> None:
        if not _HOST.fullmatch(hostname):
            raise SettingsError(f"hostname: {clean(hostname)!r} is no host name or address (no https://, no path)")
        needed(api_key, "api_key")
        named = {"vsys": vsys, "tag": tag, "group": group}
        if bool(url_category) != bool(admin):
            raise SettingsError("url_category and admin belong together: give both for block_domain, or neither")
        for field, value in (named | ({"url_category": url_category, "admin": admin} if url_category else {})).items():
            if not _NAME.fullmatch(value):
                raise SettingsError(f"{field}: {clean(value)!r} is no name that PAN-OS takes")
        if not 0 < port < 65536:
            raise SettingsError(f"port: {port} is none")
        domains: frozenset[ActionName] = frozenset({"block_domain"}) if url_category else frozenset()
        self.actions: frozenset[ActionName] = narrowed(domains | {"block_ip"}, actions, self.kind)
        self._never = networks(never, "never")
        self._firewall = Firewall(
            hostname=hostname, port=port, api_key=api_key, vsys=vsys, ca_file=ca_file, timeout_s=timeout_s
        )
        self._tag, self._group, self._category, self._admin = tag, group, url_category, admin
        self._commit_s = commit_s

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Register the tag, or list the domain and commit.

        Raises ConnectorError where the group does not take up the tag or the category is not there,
        TransientConnectorError while a commit runs.
        """
        if action not in self.actions:
            raise ConnectorError(f"paloalto does not do {action}")
        if action == "block_ip":
            address = blockable(target, self._never, "never")
            self._check_group()
            self._firewall.ask(lambda device: device.userid.register(str(address), self._tag))
            return f"{self._tag} {address}"
        entry = _entry(target)
        self._change(entry, listed=True)
        return f"{self._category} {entry}"

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether it is in effect; None for a domain whose commit is still to come."""
        if action == "block_ip":
            return self._is_tagged(address_of(target)) and self._taken_up()
        if action != "block_domain" or not self._category:
            return None
        entry = _entry(target)
        running, candidate = entry in self._members("show"), entry in self._members("get")
        return running if running == candidate else None

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take the tag away, or the domain out of the category and commit; what is not there is no error."""
        if action == "block_ip":
            address = address_of(target)
            self._firewall.ask(lambda device: device.userid.unregister(str(address), self._tag))
            return ""
        if action != "block_domain" or not self._category:
            raise ConnectorError(f"paloalto can't take {action} back")
        self._change(_entry(target), listed=False)
        return ""

    def check(self) -> str:
        """Which firewall answers, and that the group or category is there."""
        version, platform, _ = self._firewall.ask(lambda device: device.refresh_system_info())
        if "block_ip" in self.actions:
            self._check_group()
        if "block_domain" in self.actions:
            self._members("show")
        return f"a {clean(platform)} with PAN-OS {clean(version)}"

    # Addresses.

    def _check_group(self) -> None:
        if not self._taken_up():
            raise ConnectorError(
                f"{SYSTEM}: no dynamic address group {self._group} takes up the tag {self._tag} alone: make one, with"
                f" the match '{self._tag}', and a rule that denies it"
            )

    def _is_tagged(self, address: Address) -> bool:
        found = self._firewall.ask(lambda device: device.userid.get_registered_ip(str(address), self._tag))
        return self._tag in found.get(str(address), ())

    def _taken_up(self) -> bool:
        """Whether the group is there and the tag alone brings an address into it: else it blocks nothing."""
        from xml.etree.ElementTree import Element, SubElement, tostring

        command = Element("show")
        SubElement(SubElement(SubElement(command, "object"), "dynamic-address-group"), "name").text = self._group
        text = tostring(command, encoding="unicode")
        answer = self._firewall.ask(lambda device: device.op(text, vsys=device.vsys, cmd_xml=False))
        groups = [
            one for one in answer.findall("result/dyn-addr-grp/entry") if one.findtext("group-name") == self._group
        ]
        return any(_matches(group.findtext("filter") or "", self._tag) for group in groups)

    # Domains.

    def _change(self, entry: str, *, listed: bool) -> None:
        """Bring the entry into the running configuration, or out of it."""
        if (entry in self._members("get")) != listed:
            self._edit(entry, listed=listed)
        elif (entry in self._members("show")) == listed:
            return
        try:
            self._firewall.commit(self._admin, f"Aegis: {entry}", self._commit_s)
        except TransientConnectorError:
            raise  # it may run, or be the next one's turn: until that is known, read() answers None
        except ConnectorError:
            if (entry in self._members("show")) != listed:
                # Else it would go live with the next commit of anybody.
                self._edit(entry, listed=not listed)
            raise

    def _edit(self, entry: str, *, listed: bool) -> None:
        """Change the candidate configuration by this one entry; others may be changing theirs."""
        place = self._place()

        def edit(device: Any) -> None:
            if listed:
                device.xapi.set(f"{place}/list", f"<member>{entry}</member>")
            else:
                device.xapi.delete(f"{place}/list/member[text()='{entry}']")

        self._firewall.ask(edit)

    def _members(self, which: str) -> set[str]:
        """The category's entries: "show" asks the running configuration, "get" the candidate."""
        place = self._place()
        answer = self._firewall.ask(lambda device: getattr(device.xapi, which)(place))
        entries = answer.findall("result/entry")
        if not entries:
            raise ConnectorError(f"{SYSTEM}: there is no custom URL category {self._category}: make one, and block it")
        return {(member.text or "").strip() for member in entries[0].findall("list/member")}

    def _place(self) -> str:
        from panos.objects import CustomUrlCategory

        def find(device: Any) -> str:
            category = CustomUrlCategory(self._category)
            category.parent = device
            return str(category.xpath())

        return str(self._firewall.ask(find))


def _entry(target: Target) -> str:
    """The domain as a category lists it: the slash ends the host name, so that evil.test is not evil.test.example."""
    return f"{domain_of(target)}/"


def _matches(group_filter: str, tag: str) -> bool:
    """Whether a filter ('a' or 'b', with "and", "not", brackets) is met by this tag alone; in doubt, not."""
    words = re.findall(r"'([^']*)'|\"([^\"]*)\"|([^\s()'\"]+)", group_filter)
    bare = {word.lower() for _, _, word in words if word}
    return not bare & {"and", "not"} and tag in {one for word in words for one in word}
