"""What goes wrong between client and server.

AegisClientError
├── InvalidInput      the alert or an argument is not usable (names the field and the fix)
├── Unauthorised      the token is missing, unknown, expired or revoked
├── Forbidden         its holder may not do that
├── NotFound          there is no such incident or action
├── AlreadyDecided    somebody else answered first, or the action's state does not allow it
├── RateLimited       too many requests (`retry_after`, seconds)
├── Unavailable       the server can't be reached, is starting, stopping or full, or broke off: try again later
└── ServerError       the server failed, what it acts through said no, or the answer is none of Aegis
"""

from __future__ import annotations

from typing import Any


class AegisClientError(Exception):
    """Base of every error that the client raises on purpose.

    `status` is the HTTP status (None where there was no answer), `code` the server's own name for what is wrong,
    `field` the path of what is wrong and `fix` what to do about it.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        code: str | None = None,
        field: str | None = None,
        fix: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.detail, self.status, self.code = detail, status, code
        self.field, self.fix, self.retry_after = field, fix, retry_after
        super().__init__((f"{field}: " if field else "") + detail + (f" ({fix})" if fix else ""))

    def __reduce__(self) -> tuple[Any, ...]:
        """Keyword arguments survive pickling, as process pools of SOAR hosts do it."""
        given = {k: getattr(self, k) for k in ("status", "code", "field", "fix", "retry_after")}
        return _again, (type(self), self.detail, given)


class InvalidInput(AegisClientError):
    """The alert or an argument is not usable."""


class Unauthorised(AegisClientError):
    """The token is missing, unknown, expired or revoked."""


class Forbidden(AegisClientError):
    """The token's holder may not do that."""


class NotFound(AegisClientError):
    """There is no such incident or action."""


class AlreadyDecided(AegisClientError):
    """Somebody else answered first, or the action's state does not allow it."""


class RateLimited(AegisClientError):
    """Too many requests; `retry_after` says for how many seconds."""


class Unavailable(AegisClientError):
    """The server can't be reached, is starting, stopping or full, or broke off.

    Whether something was done is not known: the same alert again, or the same call with the same idempotency key, does
    nothing twice.
    """


class ServerError(AegisClientError):
    """The server failed, what it acts through said no, or the answer is none of Aegis."""


BY_STATUS: dict[int, type[AegisClientError]] = {
    400: InvalidInput, 401: Unauthorised, 403: Forbidden, 404: NotFound, 408: Unavailable, 409: AlreadyDecided,
    411: InvalidInput, 413: InvalidInput, 415: InvalidInput, 422: InvalidInput, 429: RateLimited,
    502: Unavailable, 503: Unavailable, 504: Unavailable,
}  # fmt: skip
"""Which error an HTTP status is; every other one is a ServerError."""

BY_CODE: dict[str, type[AegisClientError]] = {"in_progress": Unavailable, "connector_failed": ServerError}
"""Which error a problem is whose code says more than its status."""


def _again(kind: type[AegisClientError], detail: str, given: dict[str, Any]) -> AegisClientError:
    return kind(detail, **given)
