"""EC2: instances cut off by a security group, and snapshots of their disks.

The groups that each network interface had are written into tags on the instance before they are
taken away, so any process can give back exactly those, whatever happened in between.

A change of groups ends new connections; those that AWS tracks may live on until they are idle
(an AWS network ACL would end them, and hit the whole subnet).
"""

from __future__ import annotations

import ipaddress
import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from aegis_agents.errors import ConnectorError, TargetNotFound, TransientConnectorError
from aegis_agents.records import Target
from aegis_agents.tools.connectors.addresses import shown, value_of
from aegis_agents.tools.connectors.aws_api import AwsApi, said_at

FORMER_GROUPS: Final = "aegis:former-groups:"
"""Tag on an instance; an interface's id and a number follow. Its value: ids of groups, with spaces between."""
SNAPSHOT_OF: Final = "aegis:snapshot-of"
KEY: Final = "aegis:key"
FRESH: Final = timedelta(minutes=15)
"""How long a snapshot counts as being of now: it serves what asks meanwhile, and after that another is made."""

_INSTANCE: Final = re.compile(r"i-(?:[0-9a-f]{8}|[0-9a-f]{17})")
_VOLUME: Final = re.compile(r"(?:arn:aws[a-z-]*:ec2:[a-z0-9-]+:\d{12}:volume/)?(vol-(?:[0-9a-f]{8}|[0-9a-f]{17}))")
_GROUPS_A_TAG: Final = 11  # a value holds 256 characters, an id 20 and a space
_GONE: Final = frozenset({"shutting-down", "terminated"})
_NARROW: Final = 8
"""Bits of a prefix below which a rule is one for everywhere: 0.0.0.0/0, or 0.0.0.0/1 and 128.0.0.0/1."""


@dataclass(frozen=True)
class Instance:
    """An instance that is there: the security groups of its interfaces now, and those its tags remember."""

    id: str
    vpc: str
    region: str
    groups: Mapping[str, tuple[str, ...]]
    former: Mapping[str, tuple[str, ...]]
    tags: tuple[str, ...]


class Hosts:
    """Instances and volumes of one account in `regions`; others are not found.

    `quarantine_group` is the name of a security group that each VPC has, and that lets nothing
    through to or from everywhere.
    """

    def __init__(self, api: AwsApi, regions: Sequence[str], quarantine_group: str) -> None:
        self._api, self._regions, self._quarantine = api, tuple(regions), quarantine_group
        self._taking = threading.Lock()

    # Isolation.

    def is_isolated(self, target: Target) -> bool | None:
        """Whether every interface has the quarantine group alone; None if only some have. Raises TargetNotFound."""
        instance = self._instance(target)
        alone = (str(self._group(instance)["GroupId"]),)
        states = {groups == alone for groups in instance.groups.values()}
        return None if len(states) > 1 else states == {True}

    def isolate(self, target: Target) -> str:
        """Give every interface the quarantine group alone. Raises TargetNotFound.

        Where AWS refuses one of several interfaces, the others get their groups back.
        """
        instance = self._instance(target)
        if not instance.groups:
            raise ConnectorError(f"AWS: {instance.id} has no network interface")
        group = self._tight(instance)
        ahead = {name: groups for name, groups in instance.groups.items() if groups != (group,)}
        self._remember(instance, ahead)
        done: list[str] = []
        try:
            for name in ahead:
                self._regroup(instance, name, (group,))
                done.append(name)
        except TransientConnectorError:
            raise  # trying again goes on from here
        except ConnectorError:
            for name in done:
                self._regroup(instance, name, ahead[name])
            raise
        return f"{instance.region}/{instance.id} {group}"

    def release(self, target: Target) -> str:
        """Give every interface back the groups that it had.

        Raises TargetNotFound, and ConnectorError where nobody wrote down what they were.
        """
        instance = self._instance(target)
        alone = (str(self._group(instance)["GroupId"]),)
        behind = [name for name, groups in instance.groups.items() if groups == alone]
        unknown = [name for name in behind if name not in instance.former]
        for name in behind:
            if name in instance.former:
                self._regroup(instance, name, instance.former[name])
        if unknown:
            raise ConnectorError(
                f"AWS: {', '.join(unknown)} of {instance.id}: no tag says which groups it had: set them by hand"
            )
        self._forget(instance, instance.tags)
        return f"{instance.region}/{instance.id}"

    def _instance(self, target: Target) -> Instance:
        wanted = value_of(target, "host")
        if not _INSTANCE.fullmatch(wanted):
            raise ConnectorError(f"{shown(wanted)} is no id of an EC2 instance (names and addresses of hosts move)")
        for region in self._regions:
            ec2 = self._ec2(region)
            with self._api.answers():
                answer = ec2.describe_instances(Filters=[{"Name": "instance-id", "Values": [wanted]}])
            found = [one for reservation in answer["Reservations"] for one in reservation["Instances"]]
            if found and found[0]["State"]["Name"] not in _GONE:
                return _read_instance(found[0], region)
        raise TargetNotFound(f"AWS: no instance {wanted} in {', '.join(self._regions)}")

    def _tight(self, instance: Instance) -> str:
        """The quarantine group's id, if it does cut off."""
        group = self._group(instance)
        for rule in [*group.get("IpPermissions", ()), *group.get("IpPermissionsEgress", ())]:
            ranges = [one.get("CidrIp") for one in rule.get("IpRanges", ())]
            ranges += [one.get("CidrIpv6") for one in rule.get("Ipv6Ranges", ())]
            if any(one and ipaddress.ip_network(one, strict=False).prefixlen < _NARROW for one in ranges):
                raise ConnectorError(
                    f"AWS: {group['GroupId']} ({self._quarantine}) isolates nothing: it has a rule for everywhere;"
                    " AWS puts one into each new group's outbound rules"
                )
        return str(group["GroupId"])

    def _group(self, instance: Instance) -> Any:
        wanted = {"vpc-id": instance.vpc, "group-name": self._quarantine}
        filters = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
        with self._api.answers():
            answer = self._ec2(instance.region).describe_security_groups(Filters=filters)
        # A filter takes "*" in a name for anything: look at the name itself.
        found = [group for group in answer["SecurityGroups"] if group["GroupName"] == self._quarantine]
        if not found:
            raise ConnectorError(
                f"AWS: {instance.vpc} has no security group {self._quarantine}: make one without any rule,"
                " or name another in quarantine_group"
            )
        return found[0]

    def _remember(self, instance: Instance, ahead: Mapping[str, tuple[str, ...]]) -> None:
        """Write down the groups of the interfaces ahead, if that is not done; drop what is out of date."""
        if any(instance.former.get(name) != groups for name, groups in ahead.items()):
            tags = [tag for name, groups in ahead.items() for tag in _as_tags(name, groups)]
            with self._api.answers():
                self._ec2(instance.region).create_tags(Resources=[instance.id], Tags=tags)
            mine = {tag["Key"] for tag in tags}
            self._forget(instance, [t for t in instance.tags if t not in mine and _interface_of(t) in ahead])

    def _forget(self, instance: Instance, tags: Sequence[str]) -> None:
        if tags:
            with self._api.answers():
                self._ec2(instance.region).delete_tags(Resources=[instance.id], Tags=[{"Key": name} for name in tags])

    def _regroup(self, instance: Instance, interface: str, groups: Sequence[str]) -> None:
        with self._api.answers():
            self._ec2(instance.region).modify_network_interface_attribute(
                NetworkInterfaceId=interface, Groups=list(groups)
            )

    # Snapshots.

    def has_snapshot(self, target: Target, *, key: str | None = None, of_any_age: bool = False) -> bool:
        """Whether a snapshot of ours is there that shows the state of now: the one made for `key`, if that is given."""
        found = self._snapshots(_disk(target), None if of_any_age else FRESH)
        return any(key is None or _tags(one).get(KEY) == key for _, one in found)

    def snapshot(self, target: Target, key: str, note: str) -> str:
        """Take a snapshot of the volume, or of all the instance's at one moment. Raises TargetNotFound.

        AWS takes no idempotency key here; the tag `aegis:key` shows what this request has made.
        """
        disk, region = _disk(target), ""
        region = self._instance(target).region if disk.startswith("i-") else self._volume_region(disk)
        with self._taking:  # of two threads with one key, the second finds what the first has made
            if mine := [one for one in self._snapshots(disk, FRESH) if _tags(one[1]).get(KEY) == key]:
                return _named(mine)
            return self._take(disk, region, key, note)

    def _take(self, disk: str, region: str, key: str, note: str) -> str:
        tags = {"Name": f"aegis {disk}", SNAPSHOT_OF: disk, KEY: key}
        marked = [{"ResourceType": "snapshot", "Tags": [{"Key": k, "Value": v} for k, v in tags.items()]}]
        text = _plain(f"Aegis: evidence. {note}")
        ec2 = self._ec2(region)
        with self._api.answers():
            if disk.startswith("i-"):
                answer = ec2.create_snapshots(
                    InstanceSpecification={"InstanceId": disk}, Description=text, TagSpecifications=marked
                )
                return _named([(region, one) for one in answer.get("Snapshots", ())])
            answer = ec2.create_snapshot(VolumeId=disk, Description=text, TagSpecifications=marked)
            return _named([(region, answer)])

    def delete_snapshots(self, target: Target) -> str:
        """Delete our snapshots of this disk, and no others; that none is there is no error."""
        ours = self._snapshots(_disk(target), None)
        for region, one in ours:
            with self._api.answers():
                self._ec2(region).delete_snapshot(SnapshotId=one["SnapshotId"])
        return _named(ours)

    def _volume_region(self, volume: str) -> str:
        for region in self._regions:
            with self._api.answers():
                answer = self._ec2(region).describe_volumes(Filters=[{"Name": "volume-id", "Values": [volume]}])
            if answer["Volumes"]:
                return region
        raise TargetNotFound(f"AWS: no volume {volume} in {', '.join(self._regions)}")

    def _snapshots(self, disk: str, younger_than: timedelta | None) -> list[tuple[str, Any]]:
        """Our snapshots of a disk, with their regions. Ages are by AWS's clock."""
        found: list[tuple[str, Any]] = []
        for region in self._regions:
            pages = self._ec2(region).get_paginator("describe_snapshots")
            wanted = [{"Name": f"tag:{SNAPSHOT_OF}", "Values": [disk]}]
            with self._api.answers():
                for page in pages.paginate(OwnerIds=["self"], Filters=wanted):
                    there = [one for one in page["Snapshots"] if one.get("State") != "error"]
                    if younger_than is not None:
                        since = said_at(page) - younger_than
                        there = [one for one in there if one["StartTime"] > since]
                    found += [(region, one) for one in there]
        return found

    def _ec2(self, region: str) -> Any:
        return self._api.client("ec2", region)


def _read_instance(one: Any, region: str) -> Instance:
    groups = {
        interface["NetworkInterfaceId"]: tuple(group["GroupId"] for group in interface["Groups"])
        for interface in one["NetworkInterfaces"]
    }
    ours = {name: value for name, value in sorted(_tags(one).items()) if name.startswith(FORMER_GROUPS)}
    former: dict[str, tuple[str, ...]] = {}
    for name, value in ours.items():
        interface = _interface_of(name)
        former[interface] = (*former.get(interface, ()), *value.split())
    return Instance(one["InstanceId"], one.get("VpcId", ""), region, groups, former, tuple(ours))


def _as_tags(interface: str, groups: Sequence[str]) -> list[dict[str, str]]:
    parts = [groups[at : at + _GROUPS_A_TAG] for at in range(0, len(groups), _GROUPS_A_TAG)]
    return [
        {"Key": f"{FORMER_GROUPS}{interface}:{number}", "Value": " ".join(part)} for number, part in enumerate(parts, 1)
    ]


def _interface_of(tag: str) -> str:
    return tag.removeprefix(FORMER_GROUPS).partition(":")[0]


def _disk(target: Target) -> str:
    """The instance's or volume's id. Raises ConnectorError."""
    value = value_of(target, "host", "resource")
    volume = _VOLUME.fullmatch(value) if target.kind == "resource" else None
    if volume:
        return volume.group(1)
    if target.kind == "host" and _INSTANCE.fullmatch(value):
        return value
    raise ConnectorError(f"{shown(value)} is no id of an EC2 instance, nor the ARN or id of an EBS volume")


def _tags(one: Any) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}


def _named(snapshots: Sequence[tuple[str, Any]]) -> str:
    return " ".join(f"{region}/{one['SnapshotId']}" for region, one in snapshots if "SnapshotId" in one)[:200]


def _plain(text: str) -> str:
    """A description in the characters that AWS takes, at most 255."""
    return re.sub(r"[^A-Za-z0-9 _.:/=+@,()-]", "?", text)[:255]
