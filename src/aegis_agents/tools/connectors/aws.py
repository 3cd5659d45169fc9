"""AWS, by its SDK (boto3): identities, instances, snapshots, and addresses at the edge.

Checked against moto's server with botocore's own validation of each request. Unverified against the
vendor: how soon IAM's and EC2's reads show a change (`settle_s` waits for it), which words its errors use.

Not here: blocking domains (Route 53 Resolver's DNS Firewall protects one VPC at a time) and ending
processes (Systems Manager runs commands: text, and with more rights than the action needs).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from aegis_agents.errors import ConnectorError, SettingsError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.addresses import networks
from aegis_agents.tools.connectors.answers import clean, needed
from aegis_agents.tools.connectors.aws_api import AwsApi
from aegis_agents.tools.connectors.aws_hosts import Hosts
from aegis_agents.tools.connectors.aws_identity import Identities
from aegis_agents.tools.connectors.aws_lists import AddressLists
from aegis_agents.tools.connectors.protocol import narrowed
from aegis_agents.tools.connectors.recall import Recall

_ABLE: Final[frozenset[ActionName]] = frozenset(
    {"disable_access_key", "disable_user", "revoke_sessions", "isolate_host", "snapshot_disk"}
)
_REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d{1,2}")
_LOOK_AGAIN_S: Final = 0.2
_UNDO: Final = "undo"
"""In place of a request's key: the last that was asked for was to take it back."""


class AwsConnector:
    """Acts on one AWS account, in `regions`.

    Credentials come by the SDK's standard chain (environment, shared files, the machine's role) or
    from `profile`; `role_arn` is a role to assume with them, `external_id` what its trust policy
    asks for. `quarantine_group` is the name of the security group that isolates, in each VPC.
    `ip_set_v4` and `ip_set_v6` are ARNs of the WAF IP sets for block_ip, which is off without one;
    `never` are addresses and networks that must not be blocked. `endpoint_url` is for private
    endpoints. `timeout_s` is for one request, `settle_s` for a change to show in AWS's reads.
    `actions` narrows what it does.

    A role's sessions end for everybody who uses the role: that is what AWS can do.
    """

    kind: ClassVar[str] = "aws"
    extra: ClassVar[str] = "aws"
    secrets: ClassVar[frozenset[str]] = frozenset({"external_id"})
    name = "aws"

    def __init__(
        self,
        *,
        regions: Sequence[str],
        profile: str = "",
        role_arn: str = "",
        external_id: str = "",
        quarantine_group: str = "aegis-quarantine",
        ip_set_v4: str = "",
        ip_set_v6: str = "",
        never: Sequence[str] = (),
        endpoint_url: str = "",
        timeout_s: float = 10.0,
        settle_s: float = 5.0,
        actions: Sequence[str] | None = None,
    ) -> None:
        if not regions:
            raise SettingsError("regions is empty: name those whose instances may be acted on")
        for region in regions:
            if not _REGION.fullmatch(region):
                raise SettingsError(f"regions: {clean(region)!r} is no AWS region like eu-central-1")
        AddressLists.validate(ip_set_v4, ip_set_v6)
        lists: frozenset[ActionName] = frozenset({"block_ip"}) if ip_set_v4 or ip_set_v6 else frozenset()
        self.actions: frozenset[ActionName] = narrowed(_ABLE | lists, actions, self.kind)
        barred = networks(never, "never")
        needed(quarantine_group, "quarantine_group")
        api = AwsApi(
            profile=profile, role_arn=role_arn, external_id=external_id, region=regions[0],
            endpoint_url=endpoint_url, timeout_s=timeout_s,
        )  # fmt: skip
        self._identities, self._hosts = Identities(api), Hosts(api, regions, quarantine_group)
        self._lists = AddressLists(api, ip_set_v4, ip_set_v6, barred)
        self._asked: Recall[tuple[str, str, str] | None] = Recall()
        self._settle = settle_s

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Do it. Raises TargetNotFound for what is not in this account and these regions."""
        if action not in self.actions:
            raise ConnectorError(f"aws does not do {action}")
        reference = self._do(action, target, key, note)
        self._shows(action, target, True)
        return reference

    def check(self) -> str:
        """Whom AWS takes us for, and whether the lists may be read."""
        said = f"acts as {self._identities.own()}"
        return f"{said}; {self._lists.check()}" if "block_ip" in self.actions else said

    def _do(self, action: ActionName, target: Target, key: str, note: str) -> str:
        if action == "revoke_sessions":
            # A second try with one key keeps the moment of the first: that one may have arrived.
            aim = self._asked.before(action, target) if self._asked.key(action, target) == key else None
            self._asked.note(action, target, key, aim)
            aim = aim or self._identities.cut_off(target)
            self._asked.note(action, target, key, aim)
            return self._identities.revoke(aim)
        self._asked.note(action, target, key, None)
        if action == "snapshot_disk":
            return self._hosts.snapshot(target, key, note)
        doing: dict[ActionName, Callable[[Target], str]] = {
            "disable_access_key": lambda t: self._identities.set_key(t, "Inactive"),
            "disable_user": self._identities.deny,
            "isolate_host": self._hosts.isolate,
            "block_ip": self._lists.add,
        }
        return doing[action](target)

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether it is in effect. None for sessions that another request ended, and where half is done."""
        if action == "revoke_sessions":
            aim = self._asked.before(action, target) if self._asked.key(action, target) else None
            return None if aim is None else self._identities.is_revoked(aim)
        if action == "snapshot_disk":
            # Old evidence is no evidence of now, nor another's of what was asked for; what is to be deleted may be both.
            asked = self._asked.key(action, target)
            if asked == _UNDO:
                return self._hosts.has_snapshot(target, of_any_age=True)
            return self._hosts.has_snapshot(target, key=asked)
        looking: dict[ActionName, Callable[[Target], bool | None]] = {
            "disable_access_key": self._identities.key_is_off,
            "disable_user": self._identities.is_denied,
            "isolate_host": self._hosts.is_isolated,
            "block_ip": self._lists.holds,
        }
        return looking[action](target) if action in looking else None

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """Take it back: what our own tags, policies and entries say, and nothing else."""
        undoing: dict[ActionName, Callable[[Target], str]] = {
            "disable_access_key": lambda t: self._identities.set_key(t, "Active"),
            "disable_user": self._identities.allow,
            "isolate_host": self._hosts.release,
            "snapshot_disk": self._hosts.delete_snapshots,
            "block_ip": self._lists.remove,
        }
        if action not in undoing:
            raise ConnectorError(f"aws can't take {action} back")
        self._asked.note(action, target, _UNDO, None)
        reference = undoing[action](target)
        self._shows(action, target, False)
        return reference

    def _shows(self, action: ActionName, target: Target, wanted: bool) -> None:
        """Wait until AWS's reads show the change: they agree with its writes in the end, not at once."""
        until = time.monotonic() + self._settle
        try:
            while self.read(action, target) is not wanted and time.monotonic() < until:
                time.sleep(min(_LOOK_AGAIN_S, self._settle))
        except ConnectorError:
            return  # it is done; that it can't be read is the write path's to find out
