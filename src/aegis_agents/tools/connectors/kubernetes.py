"""Kubernetes, by its SDK (kubernetes): ends the pod that an alert names, and no other of that name.

A pod's name says nothing about which one is meant: a StatefulSet starts the next one under the
same name. So the uid of the pod that is found first is pinned, and the API deletes that one or none
(DeleteOptions.preconditions.uid).

Not here, though the API seems to offer it:
- Isolating a node. Cordoning keeps new pods away and cuts nothing off; a NoExecute taint moves the
  intruder's pods to other nodes.
- Isolating a pod by a NetworkPolicy. Policies add up: one that allows nothing takes away nothing
  that another allows, and a cluster whose network plug-in enforces none accepts it all the same.
- Blocking an address by a NetworkPolicy: a policy can only allow.
- Disabling a service account. It has no such switch; taking its bindings away would miss those of
  its groups, and deleting it breaks the workloads that use it and can't be undone.

Checked with the SDK against a loopback server that holds bodies to the SDK's generated models.
Unverified against a cluster: how long kubelets take, what admission webhooks add.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Final, NamedTuple

from aegis_agents.errors import ConnectorError, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.records import ActionName, Target
from aegis_agents.tools.connectors.addresses import shown, value_of
from aegis_agents.tools.connectors.answers import checked_url, clean, missing, raise_error
from aegis_agents.tools.connectors.recall import Recall

SYSTEM: Final = "Kubernetes"
_LABEL: Final = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_POD: Final = re.compile(rf"(?:(?P<namespace>{_LABEL})/)?(?P<name>{_LABEL}(?:\.{_LABEL})*)")
_LONGEST_NAME: Final = 253  # RFC 1123 subdomain, as the API server checks it
_MIRROR: Final = "kubernetes.io/config.mirror"
_LOOK_AGAIN_S: Final = 0.5
_MOST: Final = 50
"""Pods of one name that are asked for: two are too many."""


class _Conflict(ConnectorError):
    """Something changed in between: the API's 409."""


class _Pod(NamedTuple):
    namespace: str
    name: str
    uid: str
    static: bool
    """Whether a node runs it from its own files."""
    successor: str
    """What starts another one in its place; "" for a pod that nobody looks after."""

    @classmethod
    def of(cls, answer: Any) -> _Pod:
        """From the SDK's model. Raises TransientConnectorError for an answer that is no pod."""
        try:
            meta = answer.metadata
            owners = [owner for owner in meta.owner_references or () if owner.controller]
            successor = f"{owners[0].kind} {owners[0].name}" if owners else ""
            pod = cls(meta.namespace, meta.name, meta.uid, _MIRROR in (meta.annotations or {}), successor)
        except (AttributeError, TypeError) as error:
            raise TransientConnectorError(f"{SYSTEM} answered something that is no pod") from error
        if not all(isinstance(part, str) and part for part in pod[:3]):
            raise TransientConnectorError(f"{SYSTEM} answered something that is no pod")
        return pod


class KubernetesConnector:
    """kill_process on a pod, named "name" or "namespace/name".

    Signs in with `api_server`, `token` and `ca_file`; or as `kubeconfig` says (in its `context`);
    or, with none of these, as the service account of the pod that Aegis runs in. It needs get, list
    and delete on pods. `namespaces` are the only ones it looks into (all, if empty), `never_namespaces`
    those in which it ends nothing. `grace_s` is what containers get before they are killed; at least
    1, since 0 deletes the record without asking whether they ended. `settle_s` is how long it waits
    for the pod to be gone, `timeout_s` is for one request.

    Where a controller looks after the pod, another takes its place: this ends a process, it does not
    keep an intruder out.
    """

    kind: ClassVar[str] = "kubernetes"
    extra: ClassVar[str] = "kubernetes"
    secrets: ClassVar[frozenset[str]] = frozenset({"token"})
    name = "kubernetes"
    actions: frozenset[ActionName] = frozenset({"kill_process"})

    def __init__(
        self,
        *,
        api_server: str = "",
        token: str = "",
        ca_file: Path | None = None,
        kubeconfig: Path | None = None,
        context: str = "",
        namespaces: Sequence[str] = (),
        never_namespaces: Sequence[str] = ("kube-system", "kube-public", "kube-node-lease"),
        grace_s: int = 1,
        settle_s: float = 30.0,
        timeout_s: float = 10.0,
    ) -> None:
        if bool(api_server) != bool(token):
            raise SettingsError("api_server and token belong together: give both, or neither")
        if api_server and kubeconfig:
            raise SettingsError("kubeconfig: give it or api_server, not both")
        if context and not kubeconfig:
            raise SettingsError("context: it is one of a kubeconfig's; name that in kubeconfig")
        if ca_file and not api_server:
            raise SettingsError("ca_file: it is for api_server; a kubeconfig names its own")
        for field, given in (("namespaces", namespaces), ("never_namespaces", never_namespaces)):
            for one in given:
                if not re.fullmatch(_LABEL, one):
                    raise SettingsError(f"{field}: {clean(one)!r} is no name of a namespace")
        if grace_s < 1:
            raise SettingsError(f"grace_s: {grace_s}: give at least 1 second")
        try:
            import kubernetes  # noqa: F401 - is it there?
        except ImportError as error:
            raise missing(self.kind, "kubernetes", self.extra) from error
        self._server = checked_url(api_server, "api_server") if api_server else ""
        self._token, self._ca, self._kubeconfig, self._context = token, ca_file, kubeconfig, context
        self._namespaces, self._never = tuple(namespaces), frozenset(never_namespaces)
        self._grace, self._settle, self._timeout = grace_s, settle_s, timeout_s
        self._api: Any = None
        self._secrets: list[str] = [token]
        self._pinned: Recall[_Pod | None] = Recall()

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        """Delete the pod and wait until it is gone.

        Raises TargetNotFound, TransientConnectorError while it still ends, ConnectorError for a name
        of several pods, for protected namespaces, and for static pods, which a node's own files run.
        """
        if action not in self.actions:
            raise ConnectorError(f"kubernetes does not do {action}")
        value_of(target, "pod")
        # A second try with one key is after the same pod, whatever bears its name by now.
        pod = self._pinned.before(action, target) if self._pinned.key(action, target) == key else None
        self._pinned.note(action, target, key, pod)  # what an earlier request was after is over
        pod = pod or self._find(target)
        self._pinned.note(action, target, key, pod)
        self._delete(pod)
        until = time.monotonic() + self._settle
        while not self._gone(pod):
            if time.monotonic() >= until:
                raise TransientConnectorError(f"{SYSTEM}: {pod.namespace}/{pod.name} is being deleted, and still there")
            time.sleep(min(_LOOK_AGAIN_S, self._settle))
        successor = f"; {pod.successor} starts another" if pod.successor else ""
        return f"{pod.namespace}/{pod.name} {pod.uid}{successor}"

    def read(self, action: ActionName, target: Target) -> bool | None:
        """Whether the pod that this process was asked to end is gone; None if it was not asked."""
        pod = self._pinned.before(action, target) if self._pinned.key(action, target) else None
        return None if pod is None else self._gone(pod)

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        """There is no way back. Raises ConnectorError."""
        raise ConnectorError("kubernetes can't bring a pod back")

    def check(self) -> str:
        """That pods may be listed, where they are looked for."""
        if not self._namespaces:
            self._ask(lambda api, **how: api.list_pod_for_all_namespaces(limit=1, **how))
        for place in self._namespaces:
            self._ask(lambda api, **how: api.list_namespaced_pod(place, limit=1, **how))  # noqa: B023 - asked at once
        return f"may list pods in {', '.join(self._namespaces) or 'all namespaces'}"

    def _find(self, target: Target) -> _Pod:
        parts = _POD.fullmatch(target.value)
        if parts is None or len(parts["name"]) > _LONGEST_NAME:
            raise ConnectorError(f"{shown(target.value)} is no pod's name, nor namespace/name")
        found = self._named(parts["namespace"], parts["name"])
        if not found:
            raise TargetNotFound(f"{SYSTEM}: no pod {target.value}")
        if len(found) > 1:
            places = ", ".join(sorted(pod.namespace for pod in found)[:5])
            raise ConnectorError(f"{SYSTEM}: several pods are called {target.value} (in {places}): end it by hand")
        pod = found[0]
        if pod.namespace in self._never:
            raise ConnectorError(f"{SYSTEM}: nothing is ended in {pod.namespace}: never_namespaces holds it")
        if pod.static:
            raise ConnectorError(f"{SYSTEM}: {target.value} is a static pod: only the files of its node can end it")
        return pod

    def _named(self, namespace: str | None, name: str) -> list[_Pod]:
        """The pods of exactly this name, where we may look."""
        if namespace is None and not self._namespaces:
            wanted = {"field_selector": f"metadata.name={name}", "limit": _MOST}
            found = self._ask(lambda api, **how: api.list_pod_for_all_namespaces(**wanted, **how).items or ())
            return [pod for pod in map(_Pod.of, found) if pod.name == name]
        if namespace is not None and self._namespaces and namespace not in self._namespaces:
            raise TargetNotFound(f"{SYSTEM}: {namespace} is not one of the namespaces that are looked into")
        pods = [self._read(place, name) for place in ([namespace] if namespace else self._namespaces)]
        return [pod for pod in pods if pod is not None]

    def _read(self, namespace: str, name: str) -> _Pod | None:
        try:
            return _Pod.of(self._ask(lambda api, **how: api.read_namespaced_pod(name, namespace, **how)))
        except TargetNotFound:
            return None

    def _gone(self, pod: _Pod) -> bool:
        now = self._read(pod.namespace, pod.name)
        return now is None or now.uid != pod.uid

    def _delete(self, pod: _Pod) -> None:
        from kubernetes.client import V1DeleteOptions, V1Preconditions

        options = V1DeleteOptions(grace_period_seconds=self._grace, preconditions=V1Preconditions(uid=pod.uid))
        try:
            self._ask(lambda api, **how: api.delete_namespaced_pod(pod.name, pod.namespace, body=options, **how))
        except TargetNotFound:
            return  # gone by itself, or by our first try
        except _Conflict:
            # Another pod has this name by now, and ours is gone.
            if not self._gone(pod):
                raise

    def _ask(self, question: Callable[..., Any]) -> Any:
        with self._answers():
            if self._api is None:
                self._api = self._connect()
        with self._answers(TransientConnectorError):  # whatever it answered, it may have happened
            return question(self._api, _request_timeout=self._timeout)

    def _connect(self) -> Any:
        from kubernetes import client
        from kubernetes import config as untyped

        config: Any = untyped
        how = client.Configuration()
        if self._server:
            how.host = self._server
            how.api_key = {"authorization": self._token}
            how.api_key_prefix = {"authorization": "Bearer"}
            how.ssl_ca_cert = str(self._ca) if self._ca else None
        elif self._kubeconfig:
            config.load_kube_config(
                str(self._kubeconfig), context=self._context or None, client_configuration=how, persist_config=False
            )
        else:
            config.load_incluster_config(client_configuration=how)
        if not how.verify_ssl:
            raise ConnectorError(
                f"{SYSTEM}: the kubeconfig has insecure-skip-tls-verify: name the cluster's certificate-authority instead"
            )
        try:
            checked_url(how.host, "server")
        except SettingsError as error:
            raise ConnectorError(f"{SYSTEM}: the kubeconfig's {error}: the token would go out in the clear") from None
        how.retries = False  # the write path tries again, and looks before it does
        self._secrets += [value.removeprefix("Bearer ") for value in (how.api_key or {}).values() if value]
        return client.CoreV1Api(client.ApiClient(how))

    @contextmanager
    def _answers(self, unreadable: type[ConnectorError] = ConnectorError) -> Iterator[None]:
        """Within the block, errors of the SDK are raised as ours, without a secret in them."""
        from kubernetes.client import ApiException
        from kubernetes.client.exceptions import OpenApiException
        from kubernetes.config import ConfigException
        from urllib3.exceptions import HTTPError
        from yaml import YAMLError

        try:
            yield
        except ApiException as error:
            if error.status == 409:
                raise _Conflict(f"{SYSTEM} answered 409: {clean(_message(error), self._secrets)}") from None
            raise_error(error.status or 0, _message(error), SYSTEM, secrets=self._secrets)
        except HTTPError as error:
            said = clean(error, self._secrets)
            raise TransientConnectorError(f"{SYSTEM}: {type(error).__name__}: {said}") from None
        except (OpenApiException, ConfigException, YAMLError, AttributeError, TypeError, ValueError, OSError) as error:
            # A kubeconfig that can't be read, an answer that fits no model: the SDK raises what Python raised.
            raise unreadable(f"{SYSTEM}: {type(error).__name__}: {clean(error, self._secrets)}") from None


def _message(error: Any) -> str:
    """The message of the API's Status object, or what it said instead."""
    try:
        return str(json.loads(error.body)["message"])
    except (ValueError, LookupError, TypeError):
        return str(error.reason or "")
