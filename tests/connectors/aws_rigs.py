"""AWS accounts in moto for the connector's tests: what each sort of action finds there."""

from __future__ import annotations

import json
import re
from functools import cache
from itertools import pairwise
from typing import Any

from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.aws import AwsConnector
from tests.connectors.contract import Rig
from tests.connectors.moto_server import OTHER_REGION, REGION, SECRET_KEY, TOKEN, Gate

ANN = Target(kind="user", value="ann@example.com")
ADDRESS = Target(kind="ip", value="203.0.113.9")
TRUST = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}]}
)


@cache
def _client(url: str, service: str, region: str) -> Any:
    """The tests' own client: making one takes as long as many requests."""
    import boto3

    return boto3.client(service, region_name=region, endpoint_url=url)


class AwsRig(Rig):
    """An account in moto. Subclasses know what one sort of action does there."""

    secrets = (SECRET_KEY, TOKEN)
    able: tuple[ActionName, ...] = ()
    done_by: frozenset[str] = frozenset()
    """Operations that bring the effect."""

    def __init__(self, cloud: tuple[str, Gate]) -> None:
        self.url, self.gate = cloud
        self.seeded = False

    def client(self, service: str, region: str = REGION) -> Any:
        return _client(self.url, service, region)

    def settings(self) -> dict[str, Any]:
        return {}

    def connector(self) -> AwsConnector:
        self.gate.armed = True
        return AwsConnector(
            regions=[REGION, OTHER_REGION], endpoint_url=self.url, settle_s=0.01, actions=self.able, **self.settings()
        )

    def quietly(self) -> Gate:
        """The gate, open for the test's own requests."""
        self.gate.armed = False
        return self.gate

    def effects(self) -> int:
        return sum(operation in self.done_by for operation, _ in self.gate.changes)

    def deny(self) -> None:
        self.gate.denied = True

    def ignore(self) -> None:
        self.gate.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.gate.losing = count

    def limit_rate(self, count: int) -> None:
        self.gate.limiting = count


class UserRig(AwsRig):
    """disable_user and revoke_sessions: users ann (the target) and bob (a bystander)."""

    able = ("disable_user", "revoke_sessions")
    done_by = frozenset({"PutUserPolicy", "PutRolePolicy"})

    def __init__(self, cloud: tuple[str, Gate]) -> None:
        super().__init__(cloud)
        for name in (ANN.value, "bob"):
            self.client("iam").create_user(UserName=name)

    def _policy(self, name: str, policy: str) -> Any:
        self.quietly()
        iam = self.client("iam")
        try:
            return iam.get_user_policy(UserName=name, PolicyName=policy)["PolicyDocument"]["Statement"][0]
        except iam.exceptions.NoSuchEntityException:
            return None
        finally:
            self.gate.armed = True

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.quietly()
        self.client("iam").put_user_policy(UserName=target.value, PolicyName="AegisDenyAll", PolicyDocument=document)
        self.gate.armed = True

    def revoke_before(self, moment: str) -> None:
        """Ann's sessions are revoked with this cut-off."""
        condition = {"DateLessThan": {"aws:TokenIssueTime": moment}}
        statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
        self.quietly()
        self.client("iam").put_user_policy(
            UserName=ANN.value, PolicyName="AegisRevokeOlderSessions",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )  # fmt: skip
        self.gate.armed = True

    def in_effect(self, action: ActionName, target: Target) -> bool:
        found = self._policy(target.value, "AegisDenyAll" if action == "disable_user" else "AegisRevokeOlderSessions")
        if found is None or action == "disable_user":
            return found == {"Effect": "Deny", "Action": "*", "Resource": "*"}
        return bool(found["Condition"]["DateLessThan"]["aws:TokenIssueTime"].endswith("Z"))

    def effects(self) -> int:
        there: dict[tuple[str, str], str] = {}
        found = 0
        for operation, asked in self.gate.changes:
            place = (asked.get("UserName") or asked["RoleName"], asked["PolicyName"])
            if operation in self.done_by:
                found += there.get(place) != asked["PolicyDocument"]
                there[place] = asked["PolicyDocument"]
            else:
                there.pop(place)
        return found

    def touched(self) -> set[str]:
        return {asked.get("UserName") or asked.get("RoleName") or "?" for _, asked in self.gate.changes}

    def forget(self, target: Target) -> None:
        self.quietly()
        self.client("iam").delete_user(UserName=target.value)

    def plant(self, target: Target) -> bool:
        # The pattern is IAM's own (API reference, userNameType); moto doesn't check it.
        if re.fullmatch(r"[A-Za-z0-9_+=,.@-]{1,64}", target.value) is None:
            return False
        self.quietly()
        self.client("iam").create_user(UserName=target.value)
        self.gate.armed = True
        return True


class KeyRig(AwsRig):
    """disable_access_key: ann has two keys, bob one; the target is ann's first, made to have a fixed id."""

    able = ("disable_access_key",)
    done_by = frozenset({"UpdateAccessKey"})
    id = "AKIAAEGISTESTKEY0001"

    def __init__(self, cloud: tuple[str, Gate]) -> None:
        super().__init__(cloud)
        from moto.iam.models import iam_backends

        iam = self.client("iam")
        for name in ("ann", "ann", "bob"):
            if name not in [user["UserName"] for user in iam.list_users()["Users"]]:
                iam.create_user(UserName=name)
            iam.create_access_key(UserName=name)
        self._ann = iam_backends["123456789012"]["aws"].users["ann"]
        self._ann.access_keys[0].access_key_id = self.id

    def _keys(self, status: str) -> set[str]:
        self.quietly()
        pages = [self.client("iam").list_access_keys(UserName=name)["AccessKeyMetadata"] for name in ("ann", "bob")]
        self.gate.armed = True
        return {one["AccessKeyId"] for page in pages for one in page if one["Status"] == status}

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self.quietly()
        self.client("iam").update_access_key(UserName="ann", AccessKeyId=target.value, Status="Inactive")

    def in_effect(self, action: ActionName, target: Target) -> bool:
        return self._keys("Inactive") == {target.value}

    def effects(self) -> int:
        states = ["Active", *(asked["Status"] for _, asked in self.gate.changes)]
        return sum(pair == ("Active", "Inactive") for pair in pairwise(states))

    def touched(self) -> set[str]:
        return {asked["AccessKeyId"] for _, asked in self.gate.changes}

    def forget(self, target: Target) -> None:
        self._ann.access_keys.pop(0)  # moto's own delete looks the fixed id up elsewhere


INSTANCE, VOLUME = "i-0aaaaaaaaaaaaaaa1", "vol-0aaaaaaaaaaaaaaa1"


class HostRig(AwsRig):
    """An instance with two interfaces and two disks, and a bystander beside it in the same subnet."""

    able = ("isolate_host", "snapshot_disk")
    done_by = frozenset({"CreateSnapshots", "CreateSnapshot"})

    def __init__(self, cloud: tuple[str, Gate], region: str = OTHER_REGION) -> None:
        super().__init__(cloud)
        self.region = region
        ec2 = self.ec2 = self.client("ec2", region)
        self.vpc = ec2.describe_vpcs()["Vpcs"][0]["VpcId"]
        subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
        self.groups = [self._group(f"web-{n}") for n in (1, 2, 3)]
        self.quarantine = self._group("aegis-quarantine", tight=True)
        interfaces = [
            ec2.create_network_interface(SubnetId=subnet, Groups=groups)["NetworkInterface"]["NetworkInterfaceId"]
            for groups in (self.groups[:2], self.groups[2:])
        ]
        from moto.ec2.models import ec2_backends

        image = "ami-0123456789abcdef0"
        self._bystander = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet)["Instances"][0][
            "InstanceId"
        ]
        attached = [{"DeviceIndex": at, "NetworkInterfaceId": name} for at, name in enumerate(interfaces)]
        made = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, NetworkInterfaces=attached)["Instances"][0]
        zone = made["Placement"]["AvailabilityZone"]
        disk = ec2.create_volume(AvailabilityZone=zone, Size=1)["VolumeId"]
        ec2.attach_volume(InstanceId=made["InstanceId"], VolumeId=disk, Device="/dev/sdz")
        # Fixed ids, since the contract's cases name their targets before there is an account.
        backend = ec2_backends["123456789012"][region]
        for reservation in backend.reservations.values():
            for instance in reservation.instances:
                if instance.id == made["InstanceId"]:
                    instance.id = INSTANCE
                    instance.block_device_mapping["/dev/sdz"].volume_id = VOLUME
        backend.volumes[VOLUME] = backend.volumes.pop(disk)
        backend.volumes[VOLUME].id = VOLUME
        self.interfaces = interfaces

    def _group(self, name: str, tight: bool = False) -> str:
        made = str(self.ec2.create_security_group(GroupName=name, Description=name, VpcId=self.vpc)["GroupId"])
        if tight:
            rules = self.ec2.describe_security_groups(GroupIds=[made])["SecurityGroups"][0]["IpPermissionsEgress"]
            self.ec2.revoke_security_group_egress(GroupId=made, IpPermissions=rules)
        return made

    def now(self) -> dict[str, list[str]]:
        """Groups by interface, bystander's included."""
        self.quietly()
        found = self.ec2.describe_network_interfaces()["NetworkInterfaces"]
        self.gate.armed = True
        return {one["NetworkInterfaceId"]: sorted(g["GroupId"] for g in one["Groups"]) for one in found}

    def marks(self) -> dict[str, str]:
        """Our tags on the instance."""
        self.quietly()
        found = self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [INSTANCE]}])["Tags"]
        self.gate.armed = True
        return {tag["Key"]: tag["Value"] for tag in found}

    def snapshots(self, disk: str) -> list[Any]:
        self.quietly()
        wanted = [{"Name": "tag:aegis:snapshot-of", "Values": [disk]}]
        found = self.ec2.describe_snapshots(Filters=wanted, OwnerIds=["self"])["Snapshots"]
        self.gate.armed = True
        return list(found)

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self.quietly()
        if action == "isolate_host":
            for name in self.interfaces:
                self.ec2.modify_network_interface_attribute(NetworkInterfaceId=name, Groups=[self.quarantine])
            return
        disk = target.value.rpartition("/")[2]
        tags = [{"Key": "aegis:snapshot-of", "Value": disk}]
        self.ec2.create_snapshot(VolumeId=VOLUME, TagSpecifications=[{"ResourceType": "snapshot", "Tags": tags}])

    def in_effect(self, action: ActionName, target: Target) -> bool:
        if action == "isolate_host":
            return all(self.now()[name] == [self.quarantine] for name in self.interfaces)
        return bool(self.snapshots(target.value.rpartition("/")[2]))

    def effects(self) -> int:
        isolated = [a for op, a in self.gate.changes if op == "ModifyNetworkInterfaceAttribute"]
        both = [a for a in isolated if a["SecurityGroupId.1"] == self.quarantine]
        return super().effects() + len(both) // len(self.interfaces)

    def touched(self) -> set[str]:
        named: set[str] = set()
        for _, asked in self.gate.changes:
            said = {
                v
                for k, v in asked.items()
                if k in ("NetworkInterfaceId", "VolumeId", "InstanceSpecification.InstanceId")
            }
            named |= {INSTANCE if name in self.interfaces else name for name in said}
        return named

    def forget(self, target: Target) -> None:
        self.quietly()
        if target.kind == "resource":
            self.ec2.detach_volume(VolumeId=VOLUME, InstanceId=INSTANCE, Device="/dev/sdz")
            self.ec2.delete_volume(VolumeId=VOLUME)
        else:
            self.ec2.terminate_instances(InstanceIds=[INSTANCE])


ARN = f"arn:aws:ec2:{OTHER_REGION}:123456789012:volume/{VOLUME}"


class ListRig(AwsRig):
    """block_ip: a WAF IP set that holds somebody else's network already."""

    able = ("block_ip",)
    done_by = frozenset({"UpdateIPSet"})
    others = "198.51.100.0/24"

    def __init__(self, cloud: tuple[str, Gate]) -> None:
        super().__init__(cloud)
        self.waf = self.client("wafv2")
        self.place = {"Name": "blocked", "Scope": "REGIONAL"}
        made = self.waf.create_ip_set(
            **self.place, IPAddressVersion="IPV4", Addresses=[self.others], Description="kept by the network team"
        )["Summary"]
        self.arn = made["ARN"]
        self.place["Id"] = made["Id"]

    def settings(self) -> dict[str, Any]:
        return {"ip_set_v4": self.arn, "never": ["192.0.2.0/24"]}

    def there(self) -> set[str]:
        self.quietly()
        found = self.waf.get_ip_set(**self.place)["IPSet"]
        assert found["Description"] == "kept by the network team"
        self.gate.armed = True
        return set(found["Addresses"])

    def write(self, addresses: set[str]) -> None:
        """Another writer's change."""
        token = self.waf.get_ip_set(**self.place)["LockToken"]
        self.waf.update_ip_set(
            **self.place, Addresses=sorted(addresses), LockToken=token, Description="kept by the network team"
        )

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        self.quietly()
        self.write({self.others, f"{target.value}/32"})

    def in_effect(self, action: ActionName, target: Target) -> bool:
        assert self.others in self.there()
        return f"{target.value}/32" in self.there()

    def effects(self) -> int:
        sizes = [len(asked["Addresses"]) for _, asked in self.gate.changes]
        return sum(now > before for before, now in zip([1, *sizes], sizes, strict=False))

    def touched(self) -> set[str]:
        named = {one for _, asked in self.gate.changes for one in asked["Addresses"]}
        return {one.partition("/")[0] for one in named - {self.others}}

    def forget(self, target: Target) -> None:
        raise NotImplementedError("a list takes any address")
