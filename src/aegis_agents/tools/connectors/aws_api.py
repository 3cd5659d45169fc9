"""AWS's clients for one account, and what AWS's errors mean."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from aegis_agents.errors import ConnectorError, NotPermitted, TargetNotFound, TransientConnectorError
from aegis_agents.tools.connectors.answers import checked_url, clean, missing, quiet

_NOT_PERMITTED: Final = frozenset(
    {
        "AccessDenied", "AccessDeniedException", "AuthFailure", "ExpiredToken", "ExpiredTokenException",
        "InvalidClientTokenId", "OptInRequired", "SignatureDoesNotMatch", "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)  # fmt: skip
_AGAIN: Final = frozenset(
    {
        "ConcurrentModification", "InternalError", "InternalFailure", "PriorRequestNotComplete", "RequestLimitExceeded",
        "RequestTimeout", "RequestTimeoutException", "ServiceFailure", "ServiceUnavailable", "Throttling",
        "ThrottlingException", "TooManyRequestsException", "Unavailable", "WAFInternalErrorException",
        "WAFOptimisticLockException", "WAFUnavailableEntityException",
    }
)  # fmt: skip
_NOT_FOUND: Final = frozenset({"NoSuchEntity", "InvalidInstanceID.NotFound", "InvalidVolume.NotFound"})
"""Codes by which AWS doesn't know the target itself; that it misses a group or list is another matter."""


class AwsApi:
    """Clients for one account, made when first used, shared by all threads.

    Credentials come by the SDK's standard chain, or from `profile`; with `role_arn` they assume
    that role (and `external_id`, if its trust policy asks for one), anew before they end.
    """

    def __init__(
        self, *, profile: str, role_arn: str, external_id: str, region: str, endpoint_url: str, timeout_s: float
    ) -> None:
        try:
            import boto3  # noqa: F401 - is it there?
        except ImportError as error:
            raise missing("aws", "boto3", "aws") from error
        quiet("botocore", "boto3")
        self._profile, self._role, self._external_id, self._region = profile, role_arn, external_id, region
        self._endpoint = checked_url(endpoint_url, "endpoint_url") if endpoint_url else None
        self._timeout = timeout_s
        self._lock = threading.Lock()
        self._session: Any = None
        self._clients: dict[tuple[str, str], Any] = {}

    def client(self, service: str, region: str = "") -> Any:
        """A client of `service`; raises NotPermitted where the credentials can't be found."""
        place = (service, region or self._region)
        with self._lock, self.answers():
            if place not in self._clients:
                if self._session is None:
                    self._session = self._new_session()
                self._clients[place] = self._session.client(place[0], region_name=place[1], **self._how())
            return self._clients[place]

    def _how(self) -> dict[str, Any]:
        from botocore.config import Config

        # One attempt: the write path tries again, and looks before it does.
        config = Config(
            connect_timeout=self._timeout,
            read_timeout=self._timeout,
            retries={"total_max_attempts": 1, "mode": "standard"},
        )
        return {"config": config, "endpoint_url": self._endpoint}

    def _new_session(self) -> Any:
        import boto3
        import botocore.session

        own = boto3.Session(profile_name=self._profile or None)
        if not self._role:
            return own
        assumed = botocore.session.Session()
        provider = _assuming(own, self._role, self._external_id, {"region_name": self._region, **self._how()})
        assumed.get_component("credential_provider").providers.insert(0, provider)
        return boto3.Session(botocore_session=assumed)

    @contextmanager
    def answers(self) -> Iterator[None]:
        """Within the block, errors of the SDK are raised as ours, without a secret in them or in their cause."""
        from boto3.exceptions import Boto3Error
        from botocore import exceptions as sdk
        from botocore.parsers import ResponseParserError

        try:
            yield
        except sdk.ClientError as error:
            raise self._refusal(error.response) from None
        except (sdk.NoCredentialsError, sdk.CredentialRetrievalError, sdk.PartialCredentialsError) as error:
            raise NotPermitted(f"AWS: no credentials: {self._clean(error)}") from None
        except (sdk.HTTPClientError, sdk.ConnectionError, ResponseParserError) as error:
            # Time-outs, lost and refused connections, bad certificates, answers of another shape: it may have happened all the same.
            raise TransientConnectorError(f"AWS: {type(error).__name__}: {self._clean(error)}") from None
        except (sdk.BotoCoreError, Boto3Error) as error:
            raise ConnectorError(f"AWS: {self._clean(error)}") from None

    def _refusal(self, response: dict[str, Any]) -> ConnectorError:
        said, status = response.get("Error", {}), response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = str(said.get("Code", ""))
        message = f"AWS answered {self._clean(code)}: {self._clean(said.get('Message', ''))}"
        if code in _NOT_PERMITTED or code.startswith("ExpiredToken") or status in (401, 403):
            return NotPermitted(f"{message} (these credentials may not do that)")
        if code in _NOT_FOUND:
            return TargetNotFound(message)
        if code in _AGAIN or status == 429 or status >= 500:
            return TransientConnectorError(message)
        return ConnectorError(message)

    def _clean(self, text: object) -> str:
        return clean(text, [*self._held(), self._external_id])

    def _held(self) -> Sequence[str]:
        """The secrets in use: a wrong signature is answered with the request, session token included."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            held = self._session.get_credentials() if self._session is not None else None
            frozen = held.get_frozen_credentials() if held is not None else None
        except (BotoCoreError, ClientError):
            return []
        return [secret for secret in (frozen.secret_key, frozen.token) if secret] if frozen is not None else []


def said_at(answer: Mapping[str, Any]) -> datetime:
    """When AWS answered, by its own clock, since ours may be wrong; ours where the answer doesn't say."""
    try:
        said = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return said if said.tzinfo else said.replace(tzinfo=UTC)
    except (KeyError, ValueError, TypeError):
        return datetime.now(UTC)


def _assuming(own: Any, role_arn: str, external_id: str, how: dict[str, Any]) -> Any:
    """A provider of credentials that assumes a role with those of the session `own`."""
    from botocore.credentials import AssumeRoleCredentialFetcher, CredentialProvider, DeferredRefreshableCredentials
    from botocore.exceptions import NoCredentialsError

    class Assuming(CredentialProvider):  # type: ignore[misc]
        METHOD = "assume-role"

        def load(self) -> Any:
            source = own.get_credentials()
            if source is None:
                raise NoCredentialsError
            extra = {"RoleSessionName": "aegis-agents"} | ({"ExternalId": external_id} if external_id else {})

            def creator(service: str, **keys: Any) -> Any:
                return own.client(service, **{**keys, **how})

            fetcher = AssumeRoleCredentialFetcher(creator, source, role_arn, extra_args=extra)
            return DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")

    return Assuming()
