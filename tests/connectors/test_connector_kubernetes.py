"""Kubernetes against the contract: the real SDK, and an API server on loopback with pods that are replaced.

The server checks paths and query parameters, and holds DeleteOptions to the SDK's own models, which are
generated from the API's OpenAPI document.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import ActionName, Target
from aegis_agents.tools import WritePath, assign
from aegis_agents.tools.connectors.kubernetes import KubernetesConnector
from tests.connectors.contract import Approved, Case, ConnectorContract, Rig
from tests.connectors.loopback import Answer, Request, Vendor, serving

client = pytest.importorskip("kubernetes.client", reason="needs the kubernetes extra")

TOKEN = "eyJhbGciOiJSUzI1NiJ9.token-of-the-tests.signature"
WEB = Target(kind="pod", value="web-7d9f8c-abcde")
DATABASE = Target(kind="pod", value="shop/db-0")


class Cluster(Vendor):
    """Pods by (namespace, name). A deleted one is gone at the second look, and a StatefulSet's comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.pods: dict[tuple[str, str], dict[str, Any]] = {}
        self.killed: list[tuple[str, str, str]] = []
        self.after_gone: Any = None
        self._uids = 0

    def add(self, namespace: str, name: str, owner: str = "", **annotations: str) -> str:
        self._uids += 1
        uid = f"00000000-0000-4000-8000-{self._uids:012d}"
        owners = [
            {"apiVersion": "apps/v1", "kind": owner, "name": name.rpartition("-")[0], "uid": "u", "controller": True}
        ]
        meta = {"namespace": namespace, "name": name, "uid": uid, "annotations": annotations}
        self.pods[namespace, name] = {"metadata": meta | ({"ownerReferences": owners} if owner else {}), "looks": None}
        return uid

    def answer(self, request: Request) -> Answer:
        assert request.headers.get("authorization") == f"Bearer {TOKEN}"
        if self.denied:
            return self.status(403, "Forbidden", f'pods is forbidden: User "{TOKEN}" cannot do that')
        one = re.fullmatch(r"/api/v1/namespaces/([a-z0-9-]+)/pods/([a-z0-9.-]+)", request.path)
        if request.method == "GET" and request.path == "/api/v1/pods":
            return self.listed(request)
        assert one is not None, f"no such path: {request.path}"
        assert request.query == ()
        self.settle(one.groups())
        found = self.pods.get((one[1], one[2]))
        if request.method == "GET":
            if found is None:
                return self.status(404, "NotFound", f'pods "{one[2]}" not found')
            found["looks"] = None if found["looks"] is None else found["looks"] + 1
            return Answer(200, self.shown(found))
        assert request.method == "DELETE"
        options = self.options(request.json())
        if found is None:
            return self.status(404, "NotFound", f'pods "{one[2]}" not found')
        if options.preconditions.uid != found["metadata"]["uid"]:
            return self.status(409, "Conflict", "Precondition failed: UID in precondition does not match")
        return self.change(lambda: self.kill(found), Answer(200, self.shown(found)))

    def kill(self, pod: dict[str, Any]) -> bool:
        first, meta = pod["looks"] is None, pod["metadata"]
        if first:
            pod["looks"] = 0
            self.killed.append((meta["namespace"], meta["name"], meta["uid"]))
        return first

    def settle(self, place: Any) -> None:
        pod = self.pods.get(place)
        if pod is not None and pod["looks"] is not None and pod["looks"] >= 1:
            del self.pods[place]
            owners = pod["metadata"].get("ownerReferences", ())
            if owners and owners[0]["kind"] == "StatefulSet":
                self.add(*place, owner="StatefulSet")

    @staticmethod
    def shown(pod: dict[str, Any]) -> dict[str, Any]:
        return {"kind": "Pod", "apiVersion": "v1", "metadata": pod["metadata"], "spec": {"containers": [{"name": "c"}]}}

    def listed(self, request: Request) -> Answer:
        assert {name for name, _ in request.query} <= {"fieldSelector", "limit"}
        if request.query == (("limit", "1"),):
            return Answer(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": []})
        # A selector is evaluated: "," joins several, "!=" negates.
        wanted = re.fullmatch(r"metadata\.name=([a-z0-9.-]+)", request.one("fieldSelector") or "")
        assert wanted is not None, f"an odd selector: {request.query}"
        found = [self.shown(pod) for (_, name), pod in self.pods.items() if name == wanted[1]]
        return Answer(200, {"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": found})

    @staticmethod
    def options(body: Any) -> Any:
        """The body as V1DeleteOptions; fails on a key or type that the model doesn't have."""
        model = client.V1DeleteOptions
        assert set(body) <= set(model.attribute_map.values()), body
        assert set(body["preconditions"]) == {"uid"}
        assert isinstance(body["gracePeriodSeconds"], int)
        assert body["gracePeriodSeconds"] >= 1
        return client.ApiClient()._ApiClient__deserialize(body, model)

    @staticmethod
    def status(code: int, reason: str, message: str) -> Answer:
        body = {
            "kind": "Status",
            "apiVersion": "v1",
            "status": "Failure",
            "reason": reason,
            "message": message,
            "code": code,
        }
        return Answer(code, body, {"Retry-After": "0"} if code == 429 else {})

    def busy(self) -> Answer:
        return self.status(429, "TooManyRequests", "the server has received too many requests")


class KubernetesRig(Rig):
    """A cluster with the two targets and bystanders, one of which has a like name."""

    secrets = (TOKEN,)

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        cluster.add("prod", WEB.value, owner="ReplicaSet")
        cluster.add("shop", "db-0", owner="StatefulSet")
        for place in (("prod", "web-7d9f8c-abcdf"), ("shop", "db-1"), ("kube-system", "coredns-1"), ("a", "web")):
            cluster.add(*place)
        self.uids = {place: pod["metadata"]["uid"] for place, pod in cluster.pods.items()}

    def place(self, target: Target) -> tuple[str, str]:
        namespace, _, name = target.value.rpartition("/")
        return namespace or "prod", name

    def connector(self) -> KubernetesConnector:
        return KubernetesConnector(api_server=self.cluster.url, token=TOKEN, settle_s=0.02, timeout_s=2)

    def set_in_effect(self, action: ActionName, target: Target) -> None:
        raise NotImplementedError("ending a pod is an event")

    def in_effect(self, action: ActionName, target: Target) -> bool:
        place = self.place(target)
        now = self.cluster.pods.get(place)
        return now is None or now["metadata"]["uid"] != self.uids[place] or now["looks"] is not None

    def effects(self) -> int:
        return self.cluster.effects

    def touched(self) -> set[str]:
        named = set()
        for namespace, name, _ in self.cluster.killed:
            whole = f"{namespace}/{name}"
            named.add(whole if namespace != "prod" or whole in self.planted else name)
        return named

    planted: frozenset[str] = frozenset()

    def forget(self, target: Target) -> None:
        del self.cluster.pods[self.place(target)]

    def deny(self) -> None:
        self.cluster.denied = True

    def ignore(self) -> None:
        self.cluster.ignoring = True

    def lose_answers(self, count: int) -> None:
        self.cluster.losing = count

    def limit_rate(self, count: int) -> None:
        self.cluster.limiting = count

    def plant(self, target: Target) -> bool:
        # What the API server takes as a name: RFC 1123.
        if not re.fullmatch(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?/)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", target.value):
            return False
        self.cluster.add(*self.place(target))
        return True

    def twin(self, target: Target) -> bool:
        if "/" in target.value:
            return False
        self.cluster.add("staging", target.value)
        return True


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    found = Cluster()
    with serving(found):
        yield found
    assert found.complaints == []


@pytest.fixture
def rig(cluster: Cluster) -> KubernetesRig:
    return KubernetesRig(cluster)


class TestKubernetes(ConnectorContract):
    cases = (Case("kill_process", WEB), Case("kill_process", DATABASE))
    odd_kind = "process"


def test_the_successor_of_the_same_name_lives(rig: KubernetesRig, cluster: Cluster) -> None:
    """The answer to the delete is lost, and the StatefulSet is quick: the second try must not end the new pod."""
    connector = rig.connector()
    cluster.losing = 1
    with pytest.raises(TransientConnectorError):
        connector.apply("kill_process", DATABASE, key="k1", note="")
    cluster.pods["shop", "db-0"]["looks"] = 1  # the old one ends before we look
    reference = connector.apply("kill_process", DATABASE, key="k1", note="")
    assert reference == f"shop/db-0 {rig.uids['shop', 'db-0']}; StatefulSet db starts another"
    assert [uid for _, _, uid in cluster.killed] == [rig.uids["shop", "db-0"]]
    assert cluster.pods["shop", "db-0"]["looks"] is None


def test_replaced_between_the_look_and_the_delete(rig: KubernetesRig, cluster: Cluster) -> None:
    """409, a wrong uid: what the alert was about is gone, and nothing else is ended."""
    connector, found = rig.connector(), cluster.pods["shop", "db-0"]
    answer = cluster.answer

    def replace_first(request: Request) -> Answer:
        if request.method == "DELETE" and cluster.pods["shop", "db-0"] is found:
            cluster.add("shop", "db-0", owner="StatefulSet")
        return answer(request)

    cluster.answer = replace_first  # type: ignore[method-assign]
    assert connector.apply("kill_process", DATABASE, key="k1", note="").startswith("shop/db-0")
    assert cluster.killed == []


def test_a_refused_second_kill_is_not_taken_for_the_first(
    rig: KubernetesRig, store: SqliteStore, approved: Approved
) -> None:
    path = WritePath(store, assign([rig.connector()]), longest_wait_s=0.01)
    assert path.execute(approved("kill_process", DATABASE, incident="inc-1")).outcome == "executed"
    rig.deny()
    assert path.execute(approved("kill_process", DATABASE, incident="inc-2")).outcome == "failed"


@pytest.mark.parametrize("value", ["coredns-1", "kube-system/coredns-1"])
def test_protected_namespaces(rig: KubernetesRig, cluster: Cluster, value: str) -> None:
    with pytest.raises(ConnectorError, match="never_namespaces"):
        rig.connector().apply("kill_process", Target(kind="pod", value=value), key="k", note="")
    assert cluster.killed == []
    free = KubernetesConnector(api_server=cluster.url, token=TOKEN, never_namespaces=[], settle_s=0.02)
    free.apply("kill_process", Target(kind="pod", value=value), key="k", note="")
    assert [name for _, name, _ in cluster.killed] == ["coredns-1"]


def test_only_where_it_may_look(rig: KubernetesRig, cluster: Cluster) -> None:
    connector = KubernetesConnector(api_server=cluster.url, token=TOKEN, namespaces=["a", "shop"], settle_s=0.02)
    for value in (WEB.value, f"prod/{WEB.value}"):
        with pytest.raises(TargetNotFound):
            connector.apply("kill_process", Target(kind="pod", value=value), key="k", note="")
    connector.apply("kill_process", Target(kind="pod", value="db-0"), key="k", note="")
    assert [request.path for request in cluster.requests if request.path == "/api/v1/pods"] == []
    assert [place[:2] for place in cluster.killed] == [("shop", "db-0")]


def test_a_static_pod_is_left_to_its_node(rig: KubernetesRig, cluster: Cluster) -> None:
    cluster.add("infra", "etcd-node1", **{"kubernetes.io/config.mirror": "abc"})
    with pytest.raises(ConnectorError, match="static pod"):
        rig.connector().apply("kill_process", Target(kind="pod", value="etcd-node1"), key="k", note="")
    assert cluster.killed == []


def test_check_asks_only(rig: KubernetesRig, cluster: Cluster) -> None:
    assert rig.connector().check() == "may list pods in all namespaces"
    assert cluster.killed == []
    rig.deny()
    with pytest.raises(NotPermitted):
        rig.connector().check()


def test_grace_reaches_the_server(rig: KubernetesRig, cluster: Cluster) -> None:
    connector = KubernetesConnector(api_server=cluster.url, token=TOKEN, grace_s=7, settle_s=0.02)
    connector.apply("kill_process", WEB, key="k", note="")
    sent = [request.json() for request in cluster.requests if request.method == "DELETE"]
    assert [body["gracePeriodSeconds"] for body in sent] == [7]


def kubeconfig(folder: Path, url: str) -> Path:
    file = folder / "kubeconfig"
    file.write_text(
        f"""
apiVersion: v1
kind: Config
current-context: elsewhere
clusters:
- {{name: here, cluster: {{server: "{url}"}}}}
- {{name: elsewhere, cluster: {{server: "http://127.0.0.1:9"}}}}
users:
- {{name: aegis, user: {{token: {TOKEN}}}}}
contexts:
- {{name: here, context: {{cluster: here, user: aegis}}}}
- {{name: elsewhere, context: {{cluster: elsewhere, user: aegis}}}}
"""
    )
    return file


def test_signing_in_by_kubeconfig(rig: KubernetesRig, cluster: Cluster, tmp_path: Path) -> None:
    file = kubeconfig(tmp_path, cluster.url)
    before = file.read_bytes()
    KubernetesConnector(kubeconfig=file, context="here", settle_s=0.02).apply("kill_process", WEB, key="k", note="")
    assert [name for _, name, _ in cluster.killed] == [WEB.value]
    with pytest.raises(TransientConnectorError):
        KubernetesConnector(kubeconfig=file).apply("kill_process", WEB, key="k", note="")
    rig.deny()
    with pytest.raises(NotPermitted) as caught:
        KubernetesConnector(kubeconfig=file, context="here").apply("kill_process", WEB, key="k", note="")
    assert TOKEN not in str(caught.value)
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("was", "now", "says"),
    [
        ('server: "http', 'insecure-skip-tls-verify: true, server: "http', "insecure-skip-tls-verify"),
        ("127.0.0.1:9", "k8s.example:6443", "in the clear"),
    ],
)
def test_a_kubeconfig_without_checked_tls_is_refused(tmp_path: Path, was: str, now: str, says: str) -> None:
    file = kubeconfig(tmp_path, "http://127.0.0.1:9")
    file.write_text(file.read_text().replace(was, now))
    with pytest.raises(ConnectorError, match=says):
        KubernetesConnector(kubeconfig=file).apply("kill_process", WEB, key="k", note="")


def test_two_incidents_at_once_each_know_their_own_pod(rig: KubernetesRig, cluster: Cluster) -> None:
    """The second ends the successor, and does not get far: the first one's is gone all the same."""
    connector = rig.connector()
    connector.apply("kill_process", DATABASE, key="k1", note="")
    seen: list[bool | None] = []

    def second() -> None:
        rig.ignore()
        with pytest.raises(TransientConnectorError):
            connector.apply("kill_process", DATABASE, key="k2", note="")
        seen.append(connector.read("kill_process", DATABASE))

    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    assert seen == [False]
    assert connector.read("kill_process", DATABASE) is True


def test_an_answer_that_makes_no_sense_after_the_effect_is_in_doubt(
    rig: KubernetesRig, cluster: Cluster, store: SqliteStore, approved: Approved
) -> None:
    path, well = WritePath(store, assign([rig.connector()]), longest_wait_s=0.01), cluster.answer

    def odd(request: Request) -> Answer:
        answer = well(request)
        return answer if not cluster.killed else Answer(200, b"[1]", {"Content-Type": "application/json"})

    cluster.answer = odd  # type: ignore[method-assign]
    receipt = path.execute(approved("kill_process", DATABASE))
    assert receipt.outcome == "unconfirmed", receipt.detail
    assert len(cluster.killed) == 1


@pytest.mark.parametrize("text", [None, "{", "kind: Config", "current-context: x"])
def test_a_kubeconfig_that_can_not_be_used_is_no_crash(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "kubeconfig"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ConnectorError):
        KubernetesConnector(kubeconfig=file).apply("kill_process", WEB, key="k", note="")


def test_outside_a_cluster_without_settings_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(ConnectorError, match="Service host"):
        KubernetesConnector().apply("kill_process", WEB, key="k", note="")


@pytest.mark.parametrize(
    "body", [b"", b"null", b"{}", b"[]", b"<html>", b'{"items": 3}', b'{"items": [{"metadata": null}]}']
)
def test_an_answer_that_fits_no_model(cluster: Cluster, body: bytes) -> None:
    KubernetesRig(cluster)
    cluster.answer = lambda _: Answer(200, body, {"Content-Type": "application/json"})  # type: ignore[method-assign]
    connector = KubernetesConnector(api_server=cluster.url, token=TOKEN, settle_s=0.02)
    for value in (WEB.value, DATABASE.value):
        with pytest.raises(ConnectorError):
            connector.apply("kill_process", Target(kind="pod", value=value), key="k", note="")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"api_server": "https://k.example"}, "token"),
        ({"token": "t"}, "api_server"),
        ({"api_server": "http://k.example", "token": "t"}, "api_server"),
        ({"api_server": "https://k.example", "token": "t", "kubeconfig": Path("k")}, "kubeconfig"),
        ({"context": "prod"}, "context"),
        ({"ca_file": Path("ca")}, "ca_file"),
        ({"namespaces": ["*"]}, "namespaces"),
        ({"never_namespaces": ["Kube"]}, "never_namespaces"),
        ({"grace_s": 0}, "grace_s"),
    ],
)
def test_wrong_settings_name_the_field(settings: dict[str, Any], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        KubernetesConnector(**settings)


def test_without_the_sdk_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "kubernetes", None)
    with pytest.raises(SettingsError, match=r"aegis-soc-agents\[kubernetes\]"):
        KubernetesConnector(api_server="https://k.example", token="t")
