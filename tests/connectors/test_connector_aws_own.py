"""What is AWS's own: groups remembered, lists that others write, evidence that ages, roles, credentials."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import Target
from aegis_agents.tools import WritePath, assign
from aegis_agents.tools.connectors.aws import AwsConnector
from tests.connectors.aws_rigs import ADDRESS, ANN, INSTANCE, TRUST, VOLUME, HostRig, KeyRig, ListRig, UserRig
from tests.connectors.contract import ALICE, Approved
from tests.connectors.moto_server import REGION, Gate, cloud, server

pytest.importorskip("boto3", reason="needs the aws extra")
pytest.importorskip("moto.server", reason="needs moto's server")
__all__ = ["cloud", "server"]  # fixtures


@pytest.fixture
def hosts(cloud: tuple[str, Gate]) -> HostRig:
    return HostRig(cloud)


ISOLATE = Target(kind="host", value=INSTANCE)


def test_each_interface_gets_back_exactly_its_groups(hosts: HostRig) -> None:
    """Also by a process that knows nothing of the one that isolated, and with nobody else touched."""
    before = hosts.now()
    hosts.connector().apply("isolate_host", ISOLATE, key="k", note="")
    isolated = hosts.now()
    assert {isolated[name] == [hosts.quarantine] for name in hosts.interfaces} == {True}
    assert {n: g for n, g in isolated.items() if n not in hosts.interfaces} == {
        n: g for n, g in before.items() if n not in hosts.interfaces
    }
    assert len(hosts.marks()) == 2
    hosts.connector().undo("isolate_host", ISOLATE, key="k-undo")
    assert hosts.now() == before
    assert hosts.marks() == {}


def test_isolating_again_does_not_forget_the_groups_from_before(hosts: HostRig) -> None:
    before = hosts.now()
    for key in ("k1", "k2"):
        hosts.connector().apply("isolate_host", ISOLATE, key=key, note="")
    hosts.connector().undo("isolate_host", ISOLATE, key="k")
    assert hosts.now() == before


def test_sixteen_groups_are_remembered(hosts: HostRig) -> None:
    """The most that AWS allows: more than one tag's value holds."""
    hosts.quietly()
    many = sorted(hosts._group(f"g{n}") for n in range(16))
    hosts.ec2.modify_network_interface_attribute(NetworkInterfaceId=hosts.interfaces[0], Groups=many)
    hosts.connector().apply("isolate_host", ISOLATE, key="k", note="")
    assert all(len(value) <= 256 and len(name) <= 128 for name, value in hosts.marks().items())
    hosts.connector().undo("isolate_host", ISOLATE, key="k")
    assert hosts.now()[hosts.interfaces[0]] == many


def test_a_refusal_half_way_gives_the_first_interface_its_groups_back(hosts: HostRig) -> None:
    connector, before, asked = hosts.connector(), hosts.now(), []

    def refuse_the_second(operation: str) -> None:
        if operation == "ModifyNetworkInterfaceAttribute":
            asked.append(operation)
            hosts.gate.said_no = set()
            if len(asked) == 1:
                hosts.gate.said_no = {operation}  # from the next one on, until the one after

    hosts.gate.before = refuse_the_second
    with pytest.raises(NotPermitted):
        connector.apply("isolate_host", ISOLATE, key="k", note="")
    hosts.gate.said_no = set()
    assert connector.read("isolate_host", ISOLATE) is not True
    hosts.connector().undo("isolate_host", ISOLATE, key="k")
    assert hosts.now() == before


def test_half_isolated_is_not_known(hosts: HostRig) -> None:
    hosts.ec2.modify_network_interface_attribute(NetworkInterfaceId=hosts.interfaces[0], Groups=[hosts.quarantine])
    assert hosts.connector().read("isolate_host", ISOLATE) is None


def test_without_its_tag_an_isolated_host_is_left_to_a_person(hosts: HostRig) -> None:
    hosts.set_in_effect("isolate_host", ISOLATE)
    with pytest.raises(ConnectorError, match="by hand"):
        hosts.connector().undo("isolate_host", ISOLATE, key="k")
    assert hosts.in_effect("isolate_host", ISOLATE)


@pytest.mark.parametrize("ranges", [{"IpRanges": [{"CidrIp": "0.0.0.0/0"}]}, {"Ipv6Ranges": [{"CidrIpv6": "::/0"}]}, {"IpRanges": [{"CidrIp": "0.0.0.0/1"}, {"CidrIp": "128.0.0.0/1"}]}])  # fmt: skip
def test_a_group_that_lets_everything_out_isolates_nothing(hosts: HostRig, ranges: dict[str, Any]) -> None:
    before = hosts.now()
    rule = [{"IpProtocol": "-1", **ranges}]
    hosts.ec2.authorize_security_group_egress(GroupId=hosts.quarantine, IpPermissions=rule)
    with pytest.raises(ConnectorError, match="everywhere"):
        hosts.connector().apply("isolate_host", ISOLATE, key="k", note="")
    assert hosts.now() == before


def test_a_vpc_without_the_quarantine_group_says_what_to_do(hosts: HostRig) -> None:
    hosts.ec2.delete_security_group(GroupId=hosts.quarantine)
    with pytest.raises(ConnectorError, match="quarantine_group"):
        hosts.connector().apply("isolate_host", ISOLATE, key="k", note="")


def test_an_instance_in_a_region_that_is_not_configured_is_not_found(cloud: tuple[str, Gate]) -> None:
    HostRig(cloud, region="us-east-1")
    connector = AwsConnector(regions=[REGION], endpoint_url=cloud[0], settle_s=0)
    with pytest.raises(TargetNotFound, match=REGION):
        connector.apply("isolate_host", ISOLATE, key="k", note="")


def test_an_old_snapshot_is_no_evidence_of_now(
    hosts: HostRig, store: SqliteStore, approved: Approved, monkeypatch: pytest.MonkeyPatch
) -> None:
    from datetime import timedelta

    from aegis_agents.tools.connectors import aws_hosts

    path = WritePath(store, assign([hosts.connector()]), longest_wait_s=0.01)
    old = approved("snapshot_disk", ISOLATE, incident="inc-old")
    path.execute(old)
    first = {one["SnapshotId"] for one in hosts.snapshots(INSTANCE)}
    monkeypatch.setattr(aws_hosts, "FRESH", timedelta(minutes=-5))  # time passes
    assert hosts.connector().read("snapshot_disk", ISOLATE) is False
    # What is to be deleted is found whatever its age, and only when it is gone it counts as gone.
    hosts.gate.said_no = {"DeleteSnapshot"}
    with pytest.raises(NotPermitted):
        path.undo(old, ALICE)
    assert store.action(old).state == "executed"
    hosts.gate.said_no = set()
    assert path.undo(old, ALICE).outcome == "undone"
    assert not first & {one["SnapshotId"] for one in hosts.snapshots(INSTANCE)}


def test_another_ones_snapshot_does_not_verify_ours(hosts: HostRig) -> None:
    """Accepted and nothing done, while an old snapshot of the same disk lies there."""
    hosts.connector().apply("snapshot_disk", ISOLATE, key="k1", note="")
    connector = hosts.connector()
    hosts.ignore()
    connector.apply("snapshot_disk", ISOLATE, key="k2", note="")
    assert connector.read("snapshot_disk", ISOLATE) is False
    # Who did not ask sees that there is one of now.
    assert hosts.connector().read("snapshot_disk", ISOLATE) is True


def test_the_age_of_a_snapshot_is_told_by_the_clock_of_aws(hosts: HostRig, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import datetime, timedelta

    from aegis_agents.tools.connectors import aws_api

    class Fast(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:
            return datetime.now(tz) + timedelta(days=2)

    monkeypatch.setattr(aws_api, "datetime", Fast)
    hosts.connector().apply("snapshot_disk", ISOLATE, key="k", note="")
    assert hosts.connector().read("snapshot_disk", ISOLATE) is True


def test_two_threads_with_one_key_take_one_snapshot(hosts: HostRig) -> None:
    connector = hosts.connector()
    take = [
        threading.Thread(target=connector.apply, args=("snapshot_disk", ISOLATE), kwargs={"key": "k", "note": ""})
        for _ in range(3)
    ]
    for thread in take:
        thread.start()
    for thread in take:
        thread.join()
    assert len(hosts.snapshots(INSTANCE)) == 2  # two disks


def test_a_later_cut_off_is_not_moved_back(cloud: tuple[str, Gate]) -> None:
    rig = UserRig(cloud)
    rig.revoke_before("2999-01-01T00:00:00Z")
    connector = rig.connector()
    connector.apply("revoke_sessions", ANN, key="k", note="")
    assert connector.read("revoke_sessions", ANN) is True
    assert rig.gate.changes == []


def test_undo_deletes_no_snapshot_of_somebody_else(hosts: HostRig) -> None:
    hosts.ec2.create_snapshot(VolumeId=VOLUME, Description="backup")
    hosts.connector().apply("snapshot_disk", ISOLATE, key="k", note="it beacons\r\n<script>\x00 ünï" + "x" * 500)
    made = hosts.snapshots(INSTANCE)
    assert len(made) == 2  # two disks
    assert all(len(one["Description"]) <= 255 and one["Description"].isascii() for one in made)
    hosts.connector().undo("snapshot_disk", ISOLATE, key="k-undo")
    hosts.quietly()
    left = hosts.ec2.describe_snapshots(OwnerIds=["self"])["Snapshots"]
    assert [one["Description"] for one in left if one["VolumeId"] == VOLUME] == ["backup"]


def test_another_writer_of_the_list_loses_nothing(cloud: tuple[str, Gate]) -> None:
    """Compare-and-set: the second look keeps the entry that came in between."""
    rig = ListRig(cloud)

    def meddle(_: str) -> None:
        rig.quietly().before = None
        rig.write({rig.others, "192.0.2.77/32"})

    rig.gate.before = meddle
    rig.connector().apply("block_ip", ADDRESS, key="k", note="")
    assert rig.there() == {rig.others, "192.0.2.77/32", "203.0.113.9/32"}


def test_a_list_that_never_stands_still_is_tried_again_later(cloud: tuple[str, Gate]) -> None:
    rig, n = ListRig(cloud), iter(range(1, 200))

    def meddle(operation: str) -> None:
        rig.quietly()
        rig.write({rig.others, f"192.0.2.{next(n)}/32"})
        rig.gate.armed = True

    rig.gate.before = meddle
    with pytest.raises(TransientConnectorError, match="OptimisticLock"):
        rig.connector().apply("block_ip", ADDRESS, key="k", note="")


def test_many_at_once_are_all_listed(cloud: tuple[str, Gate]) -> None:
    rig = ListRig(cloud)
    connector, failed = rig.connector(), []

    def block(n: int) -> None:
        for _ in range(20):
            try:
                connector.apply("block_ip", Target(kind="ip", value=f"203.0.113.{n}"), key=f"k{n}", note="")
            except TransientConnectorError:
                continue
            return
        failed.append(n)

    threads = [threading.Thread(target=block, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert rig.there() == {rig.others, *(f"203.0.113.{n}/32" for n in range(6))}


@pytest.mark.parametrize("value", ["127.0.0.1", "0.0.0.0", "192.0.2.7", "203.0.113.0/24", "2001:db8::1", "::1"])
def test_what_must_never_be_blocked_or_has_no_list(cloud: tuple[str, Gate], value: str) -> None:
    rig = ListRig(cloud)
    with pytest.raises(ConnectorError):
        rig.connector().apply("block_ip", Target(kind="ip", value=value), key="k", note="")
    assert rig.there() == {rig.others}


def test_sessions_of_a_role_end_and_new_ones_do_not(cloud: tuple[str, Gate]) -> None:
    rig = UserRig(cloud)
    rig.client("iam").create_role(RoleName="deploy", AssumeRolePolicyDocument=TRUST)
    role = Target(kind="user", value="deploy")
    reference = rig.connector().apply("revoke_sessions", role, key="k", note="")
    assert reference.startswith("role/deploy sessions from before 20")
    rig.quietly()
    policy = rig.client("iam").get_role_policy(RoleName="deploy", PolicyName="AegisRevokeOlderSessions")
    assert policy["PolicyDocument"]["Statement"][0]["Condition"].keys() == {"DateLessThan"}


def test_a_name_of_a_user_and_a_role_is_refused(cloud: tuple[str, Gate]) -> None:
    rig = UserRig(cloud)
    rig.client("iam").create_role(RoleName=ANN.value, AssumeRolePolicyDocument=TRUST)
    with pytest.raises(ConnectorError, match="a user and a role are called"):
        rig.connector().apply("revoke_sessions", ANN, key="k", note="")
    assert rig.gate.changes == []


def test_a_refused_second_revocation_is_not_taken_for_the_first(
    cloud: tuple[str, Gate], store: SqliteStore, approved: Approved
) -> None:
    """The cut-off of an earlier incident is there: that says nothing of sessions that began since."""
    rig = UserRig(cloud)
    connector = rig.connector()
    path = WritePath(store, assign([connector]), longest_wait_s=0.01)
    assert path.execute(approved("revoke_sessions", ANN, incident="inc-1")).outcome == "executed"
    rig.revoke_before("2026-01-01T00:00:00Z")  # a while ago
    rig.gate.said_no = {"PutUserPolicy"}
    receipt = path.execute(approved("revoke_sessions", ANN, incident="inc-2"))
    assert (receipt.outcome, "may not" in receipt.detail) == ("failed", True)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("ASIAAEGISTESTKEY0001", "session's key"),
        ("AKIA*", "no AWS access key id"),
        ("prod_db_token", "no AWS access key id"),
    ],
)
def test_what_is_no_key_of_a_user(cloud: tuple[str, Gate], value: str, says: str) -> None:
    with pytest.raises(ConnectorError, match=says):
        KeyRig(cloud).connector().apply("disable_access_key", Target(kind="access_key", value=value), key="k", note="")


def test_aegis_does_not_lock_itself_out(cloud: tuple[str, Gate], monkeypatch: pytest.MonkeyPatch) -> None:
    rig = UserRig(cloud)
    own = rig.client("iam").create_access_key(UserName="bob")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", own["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", own["SecretAccessKey"])
    monkeypatch.delenv("AWS_SESSION_TOKEN")
    connector = AwsConnector(regions=[REGION], endpoint_url=rig.url, settle_s=0)
    for action, target in (
        ("disable_user", Target(kind="user", value="BOB")),
        ("revoke_sessions", Target(kind="user", value="bob")),
        ("disable_access_key", Target(kind="access_key", value=own["AccessKeyId"])),
    ):
        with pytest.raises(ConnectorError, match="by hand"):
            connector.apply(action, target, key="k", note="")  # type: ignore[arg-type]
    assert connector.read("disable_access_key", Target(kind="access_key", value=own["AccessKeyId"])) is False


def test_a_role_is_assumed_with_its_external_id(cloud: tuple[str, Gate]) -> None:
    rig = UserRig(cloud)
    rig.client("iam").create_role(RoleName="aegis", AssumeRolePolicyDocument=TRUST)
    asked: list[dict[str, Any]] = []
    through = rig.gate._pass

    def spy(environ: dict[str, Any], start: Any, body: bytes) -> Any:
        if b"Action=AssumeRole" in body:
            from urllib.parse import parse_qs

            asked.append({k: v[0] for k, v in parse_qs(body.decode()).items()})
        return through(environ, start, body)

    rig.gate._pass = spy  # type: ignore[method-assign]
    try:
        connector = AwsConnector(
            regions=[REGION], endpoint_url=rig.url, settle_s=0,
            role_arn="arn:aws:iam::123456789012:role/aegis", external_id="outside-id-of-the-tests",
        )  # fmt: skip
        assert asked == []  # a constructor does not connect
        connector.apply("disable_user", ANN, key="k", note="")
    finally:
        del rig.gate._pass
    assert [(one["RoleArn"], one["ExternalId"]) for one in asked] == [
        ("arn:aws:iam::123456789012:role/aegis", "outside-id-of-the-tests")
    ]
    assert rig.in_effect("disable_user", ANN)
    with pytest.raises(ConnectorError, match="the role that Aegis acts as"):
        connector.apply("revoke_sessions", Target(kind="user", value="aegis"), key="k", note="")


def test_check_changes_nothing_and_says_who_acts(cloud: tuple[str, Gate]) -> None:
    rig = ListRig(cloud)
    assert "arn:aws:sts::123456789012" in rig.connector().check()
    assert "IP set blocked holds 1" in rig.connector().check()
    assert rig.gate.changes == []
    rig.deny()
    with pytest.raises(NotPermitted):
        rig.connector().check()


def test_without_credentials_it_says_so(
    cloud: tuple[str, Gate], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    for settings in ({}, {"profile": "nobody"}, {"role_arn": "arn:aws:iam::123456789012:role/aegis"}):
        connector = AwsConnector(regions=[REGION], endpoint_url=cloud[0], settle_s=0, **settings)  # type: ignore[arg-type]
        with pytest.raises(ConnectorError, match=r"credentials|profile"):
            connector.apply("disable_user", ANN, key="k", note="")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"regions": []}, "regions"),
        ({"regions": ["eu-central-1; x"]}, "regions"),
        ({"regions": [REGION], "ip_set_v4": "blocked"}, "ip_set_v4"),
        ({"regions": [REGION], "never": ["office"]}, "never"),
        ({"regions": [REGION], "endpoint_url": "http://example.com"}, "endpoint_url"),
        ({"regions": [REGION], "quarantine_group": " "}, "quarantine_group"),
        ({"regions": [REGION], "actions": ["block_ip"]}, "block_ip"),
        ({"regions": [REGION], "actions": []}, "actions"),
    ],
)
def test_wrong_settings_name_the_field(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        AwsConnector(**settings)


def test_without_the_sdk_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "boto3", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[aws\]"):
        AwsConnector(regions=[REGION])
