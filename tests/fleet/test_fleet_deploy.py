"""What is deployed says what it is meant to: images, secrets, networks, and every field is one that exists.

No Docker and no Kubernetes runs here. Manifests are compared, field by field, with the models that the Kubernetes
client makes of the API's own OpenAPI document; the Compose file with what we rely on.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

DEPLOY = Path(__file__).parents[2] / "deploy"
_MANIFESTS = sorted((DEPLOY / "kubernetes").glob("*.yaml"))


def documents() -> list[tuple[str, dict[str, Any]]]:
    """Every manifest, by file and kind."""
    return [
        (f"{file.name}:{document['kind']}:{document['metadata']['name']}", document)
        for file in _MANIFESTS
        for document in yaml.safe_load_all(file.read_text("utf-8"))
    ]


def unknown_fields(value: Any, kind: str, path: str = "") -> list[str]:
    """Fields that the API's model of this kind does not have, and those that it asks for and are missing."""
    models: Any = pytest.importorskip("kubernetes.client.models", reason="the extra kubernetes is not installed")
    if listed := re.fullmatch(r"list\[(.+)\]", kind):
        assert isinstance(value, list), f"{path}: is no list"
        return [u for i, item in enumerate(value) for u in unknown_fields(item, listed[1], f"{path}[{i}]")]
    if mapped := re.fullmatch(r"dict\((.+), (.+)\)", kind):
        assert isinstance(value, dict), f"{path}: is no mapping"
        return [u for key, item in value.items() for u in unknown_fields(item, mapped[2], f"{path}.{key}")]
    model = getattr(models, kind, None)
    if model is None:
        right = {"str": str, "int": int, "bool": bool, "float": (int, float)}.get(kind)
        return [] if right is None or isinstance(value, right) else [f"{path}: {value!r} is no {kind}"]
    assert isinstance(value, dict), f"{path}: is no {kind}"
    known = {json: (name, model.openapi_types[name]) for name, json in model.attribute_map.items()}
    found = [f"{path}.{key}: {kind} has no such field" for key in value if key not in known]
    try:  # the models check what is required, and what values are allowed
        model(**{known[key][0]: item for key, item in value.items() if key in known})
    except ValueError as error:
        found.append(f"{path}: {error}")
    return found + [
        u for key, item in value.items() if key in known for u in unknown_fields(item, known[key][1], f"{path}.{key}")
    ]


_KINDS = {
    "HorizontalPodAutoscaler": "V2HorizontalPodAutoscaler", "Deployment": "V1Deployment", "Service": "V1Service",
    "NetworkPolicy": "V1NetworkPolicy", "PodDisruptionBudget": "V1PodDisruptionBudget", "Namespace": "V1Namespace",
    "ServiceAccount": "V1ServiceAccount", "ConfigMap": "V1ConfigMap", "PersistentVolumeClaim": "V1PersistentVolumeClaim",
}  # fmt: skip


@pytest.mark.parametrize(("name", "document"), documents(), ids=lambda d: d if isinstance(d, str) else "")
def test_manifests_have_no_field_that_the_api_does_not_know(name: str, document: dict[str, Any]) -> None:
    assert unknown_fields(document, _KINDS[document["kind"]]) == []


def test_the_check_finds_what_is_wrong() -> None:
    wrong = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"template": {"spec": {"containrs": []}}}}
    found = " ".join(unknown_fields(wrong, "V1Deployment"))
    assert "V1PodSpec has no such field" in found
    assert "selector" in found


def _pods() -> list[tuple[str, dict[str, Any]]]:
    return [(name, d["spec"]["template"]["spec"]) for name, d in documents() if d["kind"] == "Deployment"]


@pytest.mark.parametrize(("name", "pod"), _pods(), ids=lambda d: d if isinstance(d, str) else "")
def test_pods_are_as_restricted_as_their_namespace_asks(name: str, pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert re.search(r"@sha256:[0-9a-f]{64}$", container["image"])
        assert "memory" in container["resources"]["limits"]
        assert not [e for e in container.get("env", ()) if "DATABASE" in e["name"] or "SECRET" in e["name"]]
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted == {volume["name"] for volume in pod["volumes"]}


def test_the_network_is_closed_but_for_what_is_named() -> None:
    policies = {d["metadata"]["name"]: d["spec"] for _, d in documents() if d["kind"] == "NetworkPolicy"}
    assert policies["default-deny"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for name, spec in policies.items():
        for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
            assert rule.get("ports"), f"{name}: a rule without ports lets all through"
            peers = rule.get("to") or rule.get("from")
            assert peers, f"{name}: a rule without peers lets everybody through"
            assert not [p for p in peers if p.get("ipBlock", {}).get("cidr") in ("0.0.0.0/0", "::/0")]


def test_selectors_fit_what_they_select() -> None:
    labels = {
        d["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/component"]: d
        for _, d in documents()
        if d["kind"] == "Deployment"
    }
    assert set(labels) == {"worker", "server"}
    for _, document in documents():
        spec = document.get("spec") or {}
        selector = spec.get("selector", {}).get("matchLabels") or spec.get("selector")
        if selector:
            template = labels[selector["app.kubernetes.io/component"]]["spec"]["template"]["metadata"]["labels"]
            assert selector.items() <= template.items()
    assert all(d["metadata"].get("namespace", d["metadata"]["name"]) == "aegis" for _, d in documents())


@pytest.fixture
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose" / "compose.yaml").read_text("utf-8"))
    return found


def test_compose_services_are_hardened(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["image"].startswith("${"), f"{name}: an image is named by you, by its digest"
        if name != "postgres":
            assert service["read_only"] is True
            assert service["user"] == "10001:10001"
        assert not [v for v in service.get("volumes", ()) if "docker.sock" in v]


def test_compose_publishes_the_api_on_this_machine_and_nothing_else(compose: dict[str, Any]) -> None:
    published = {name: s["ports"] for name, s in compose["services"].items() if "ports" in s}
    assert published == {"server": ["127.0.0.1:8740:8740"]}
    on_ray = {name for name, s in compose["services"].items() if "ray" in s["networks"]}
    assert on_ray == {"ray-head", "ray-worker"}
    assert compose["networks"]["ray"]["internal"] is True
    assert compose["networks"]["data"]["internal"] is True
    assert {name for name, s in compose["services"].items() if "front" in s["networks"]} == {"server"}


def test_compose_ray_has_its_token_and_keeps_to_itself(compose: dict[str, Any]) -> None:
    for name in ("ray-head", "ray-worker"):
        service = compose["services"][name]
        assert service["environment"]["RAY_AUTH_MODE"] == "token"
        assert service["environment"]["RAY_AUTH_TOKEN_PATH"] == "/run/secrets/ray_token"
        assert service["environment"]["RAY_USAGE_STATS_ENABLED"] == "0"
        assert "ray_token" in service["secrets"]
    assert "--include-dashboard=false" in compose["services"]["ray-head"]["command"]


def test_compose_refers_to_what_is_there_and_secrets_are_files(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        assert set(service["networks"]) <= set(compose["networks"])
        assert set(service.get("secrets", ())) <= set(compose["secrets"])
        assert set(service.get("depends_on", ())) <= set(compose["services"])
        assert {v.split(":")[0] for v in service.get("volumes", ())} <= set(compose["volumes"])
        words = " ".join(str(v) for v in service.get("environment", {}).values())
        assert "postgresql://" not in words
    assert all(set(secret) == {"file"} for secret in compose["secrets"].values())


def test_settings_that_deployments_name_are_settings(compose: dict[str, Any]) -> None:
    from aegis_agents.settings import only

    found: dict[str, str] = {}
    for service in compose["services"].values():
        found |= {k: str(v) for k, v in service.get("environment", {}).items() if k.startswith("AEGIS_")}
    for _, document in documents():
        if document["kind"] == "ConfigMap":
            found |= document["data"]
    nested: dict[str, Any] = {}
    for name, value in found.items():
        first, _, rest = name.removeprefix("AEGIS_").lower().partition("__")
        if rest:
            nested.setdefault(first, {})[rest] = value
        else:
            nested[first] = value
    assert only(**nested).database_schema == "aegis"


def test_the_image_runs_as_nobody_without_a_shell_from_a_digest_and_hashes() -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text("utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith(("#", " "))]
    assert [line for line in lines if line.startswith("ARG")] == ["ARG BASE"], "no default: a digest that was checked"
    assert re.search(r"^USER 10001:10001$", text, re.M)
    assert text.index("USER 10001") > text.rindex("FROM ")
    runs = [line for line in lines if line.startswith(("RUN", "ENTRYPOINT", "CMD"))]
    assert all("[" in line.split()[1] for line in runs), "the form without a shell"
    assert all("--require-hashes" in line or "--no-deps" in line for line in runs if '"install"' in line)
    assert not re.search(r"curl|wget|apt-get|ADD ", text)
