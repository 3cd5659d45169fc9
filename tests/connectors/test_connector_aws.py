"""AWS against the contract: boto3 with botocore's validation, and a moto server on loopback."""

from __future__ import annotations

import pytest

from aegis_agents.records import Target
from tests.connectors.aws_rigs import ADDRESS, ANN, ARN, INSTANCE, HostRig, KeyRig, ListRig, UserRig
from tests.connectors.contract import Case, ConnectorContract
from tests.connectors.moto_server import Gate, cloud, server

pytest.importorskip("boto3", reason="needs the aws extra")
pytest.importorskip("moto.server", reason="needs moto's server")
__all__ = ["cloud", "server"]  # fixtures


class TestAwsUsers(ConnectorContract):
    cases = (
        Case("disable_user", ANN),
        Case("disable_user", Target(kind="email", value=ANN.value)),
        Case("revoke_sessions", ANN, repeatable=True),
    )

    @pytest.fixture
    def rig(self, cloud: tuple[str, Gate]) -> UserRig:
        return UserRig(cloud)


class TestAwsKeys(ConnectorContract):
    cases = (Case("disable_access_key", Target(kind="access_key", value=KeyRig.id)),)

    @pytest.fixture
    def rig(self, cloud: tuple[str, Gate]) -> KeyRig:
        return KeyRig(cloud)


class TestAwsHosts(ConnectorContract):
    cases = (
        Case("isolate_host", Target(kind="host", value=INSTANCE)),
        Case("snapshot_disk", Target(kind="host", value=INSTANCE)),
        Case("snapshot_disk", Target(kind="resource", value=ARN)),
    )

    @pytest.fixture
    def rig(self, cloud: tuple[str, Gate]) -> HostRig:
        return HostRig(cloud)


class TestAwsLists(ConnectorContract):
    cases = (Case("block_ip", ADDRESS),)
    forgetful = False

    @pytest.fixture
    def rig(self, cloud: tuple[str, Gate]) -> ListRig:
        return ListRig(cloud)
