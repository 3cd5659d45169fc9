"""What the Microsoft connectors share: the clouds, signing in as an application, and Graph by its SDK.

National clouds are hosts of their own, for signing in as for the services (learn.microsoft.com/graph/deployments
and .../defender-endpoint/gov); a token of one is worth nothing in another.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, NamedTuple, NoReturn, TypeVar

from aegis_agents.errors import SettingsError, TransientConnectorError
from aegis_agents.tools.connectors.answers import checked_url, clean, missing, needed, raise_error
from aegis_agents.tools.connectors.background import run

T = TypeVar("T")


class Cloud(NamedTuple):
    """Where a cloud signs in, and where its services are; "" where it has none."""

    authority: str
    graph: str
    defender: str


CLOUDS: Final = {
    "global": Cloud("https://login.microsoftonline.com", "https://graph.microsoft.com", "https://api.securitycenter.microsoft.com"),
    "gcc": Cloud("https://login.microsoftonline.com", "https://graph.microsoft.com", "https://api-gcc.securitycenter.microsoft.us"),
    "gcc_high": Cloud("https://login.microsoftonline.us", "https://graph.microsoft.us", "https://api-gov.securitycenter.microsoft.us"),
    "dod": Cloud("https://login.microsoftonline.us", "https://dod-graph.microsoft.us", "https://api-gov.securitycenter.microsoft.us"),
    "china": Cloud("https://login.chinacloudapi.cn", "https://microsoftgraph.chinacloudapi.cn", ""),
}  # fmt: skip


def audience(service: str) -> str:
    """The scope of a token for this service."""
    return f"{service}/.default"


def cloud_named(name: str) -> Cloud:
    """The cloud of this name. Raises SettingsError."""
    if name not in CLOUDS:
        raise SettingsError(f"cloud: {clean(name)!r} is none of {', '.join(CLOUDS)}")
    return CLOUDS[name]


class SignIn:
    """Tokens for an application with a client secret; kept until they are about to expire.

    `private` is for an authority that Microsoft's own cloud does not vouch for.
    """

    def __init__(
        self, kind: str, tenant_id: str, client_id: str, client_secret: str, authority: str, timeout_s: float, private: bool
    ) -> None:  # fmt: skip
        try:
            from azure.identity import ClientSecretCredential
        except ImportError as error:
            raise missing(kind, "azure-identity", "microsoft") from error
        if timeout_s <= 0:
            raise SettingsError("timeout_s is in seconds, and more than 0")
        self._secret, self._token = needed(client_secret, "client_secret"), ""
        host = checked_url(authority, "authority").removeprefix("https://")
        try:
            self._credential = ClientSecretCredential(
                needed(tenant_id, "tenant_id"), needed(client_id, "client_id"), client_secret, authority=host,
                disable_instance_discovery=private, retry_total=0, connection_timeout=timeout_s, read_timeout=timeout_s,
            )  # fmt: skip
        except ValueError as error:
            raise SettingsError(f"connector {kind}: {clean(error, self.secrets)}") from None

    @property
    def secrets(self) -> list[str]:
        """What must not be shown: the secret, and the token in use."""
        return [s for s in (self._secret, self._token) if s]

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """As azure-identity's credentials do it, so that the SDK takes this object for one."""
        # Whatever else the SDK would have (CAE): one kind of token is kept once.
        found = self._credential.get_token(*scopes, claims=options.get("claims"))
        self._token = found.token
        return found

    def token(self, scope: str, system: str) -> str:
        """A token for `scope`. Raises NotPermitted, TransientConnectorError or ConnectorError."""
        from azure.core.exceptions import AzureError

        try:
            return str(self.get_token(scope).token)
        except AzureError as error:
            self.refused(error, system)

    def refused(self, error: Exception, system: str) -> NoReturn:
        """Raise our error for one of azure-identity's, which hides a broken connection in an authentication error."""
        from azure.core.exceptions import ServiceRequestError, ServiceResponseError

        inner: BaseException | None = error
        while inner is not None:
            if isinstance(inner, ServiceRequestError | ServiceResponseError):
                raise TransientConnectorError(f"{system} sign-in: {clean(error, self.secrets)}") from None
            inner = inner.__cause__ or inner.__context__
        # MSAL's own errors have the status in their text alone.
        told = re.search(r"HTTP Error: (\d{3})", str(error))
        status = int(getattr(getattr(error, "response", None), "status_code", 0) or (told[1] if told else 401))
        # A secret that is wrong or out of date is a 400 or 401 of the token endpoint.
        raise_error(401 if status == 400 else status, error, f"{system} sign-in", secrets=self.secrets)


class Graph:
    """Microsoft Graph by msgraph-sdk, from threads that know nothing of asyncio; our errors for its own."""

    def __init__(self, system: str, kind: str, sign_in: SignIn, url: str, timeout_s: float) -> None:
        try:
            import msgraph  # noqa: F401 - to fail at the start, not in the middle of an incident
        except ImportError as error:
            raise missing(kind, "msgraph-sdk", "microsoft") from error
        self._system, self._sign_in, self._timeout = system, sign_in, timeout_s
        self._url = checked_url(url, "graph_url")
        self._lock = threading.Lock()
        self._made: Any = None

    def run(self, call: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """What `call`, given the SDK's client, answers. Raises ConnectorError and its kinds."""
        import httpx
        from azure.core.exceptions import AzureError
        from kiota_abstractions.api_error import APIError

        # Signing in blocks: here, not in the loop, which then finds the token kept.
        self._sign_in.token(audience(self._url), self._system)
        try:
            return run(call(self._client()), self._system, self._timeout)
        except APIError as error:
            inner = getattr(error, "error", None)
            said = f"{getattr(inner, 'code', '') or ''} {getattr(inner, 'message', '') or ''}".strip()
            raise_error(
                error.response_status_code or 0, said or error.message, self._system, secrets=self._sign_in.secrets
            )
        except AzureError as error:
            self._sign_in.refused(error, self._system)
        except httpx.HTTPError as error:
            said = f"{type(error).__name__} {clean(error, self._sign_in.secrets)}"
            raise TransientConnectorError(f"{self._system} did not answer: {said}") from None
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # A page of a proxy, say. What was asked for may have happened all the same.
            said = clean(error, self._sign_in.secrets)
            raise TransientConnectorError(f"{self._system} answered what its SDK can't read: {said}") from None

    def _client(self) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._new_client()
            return self._made

    def _new_client(self) -> Any:
        import httpx
        from kiota_authentication_azure.azure_identity_authentication_provider import (
            AzureIdentityAuthenticationProvider,
        )
        from kiota_http.middleware.options import RetryHandlerOption
        from msgraph.graph_request_adapter import GraphRequestAdapter, options
        from msgraph.graph_service_client import GraphServiceClient
        from msgraph_core import GraphClientFactory

        # The write path tries again, and looks before it does.
        chosen = dict(options) | {RetryHandlerOption.get_key(): RetryHandlerOption(max_retries=0, should_retry=False)}
        # No connection is kept: nobody would close it, and calls are rare.
        limits = httpx.Limits(max_keepalive_connections=0)
        plain = httpx.AsyncClient(timeout=self._timeout, trust_env=False, follow_redirects=False, limits=limits)
        http = GraphClientFactory.create_with_default_middleware(options=chosen, client=plain)
        host = httpx.URL(self._url).host
        who = AzureIdentityAuthenticationProvider(self._sign_in, scopes=[audience(self._url)], allowed_hosts=[host])
        adapter = GraphRequestAdapter(who, client=http)
        adapter.base_url = f"{self._url}/v1.0"
        return GraphServiceClient(request_adapter=adapter)


def listed(page: Any, system: str) -> list[Any]:
    """The rows of a page that Graph answered. Raises TransientConnectorError where it is none."""
    if page is None or page.value is None:
        raise TransientConnectorError(f"{system} answered without a list")
    return list(page.value)


def odata(text: str) -> str:
    """A string of an OData filter, in its quotes (OASIS OData 4.01 part 2, 5.1.1.14.1)."""
    return "'" + text.replace("'", "''") + "'"
