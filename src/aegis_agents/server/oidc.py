"""Access tokens of an OpenID Connect provider: who they are of, checked by the provider's own keys.

RFC 9068 (JWT access tokens), RFC 8725 (best practices): the algorithm comes from our list and never from the token
alone, keys from the configured issuer's own metadata alone; issuer, audience, times are all demanded.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aegis_agents.errors import IdentityError
from aegis_agents.records import ROLES, Principal
from aegis_agents.server.problems import Refused
from aegis_agents.settings_server import OidcSettings, checked_url

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

_REFETCH_S = 30.0
"""A token with a key id that is not known makes us look again, no oftener than this: it may be made up."""
_LONGEST = 1_000_000
_TIMEOUT_S = 5.0
_WHOLE_S = 15.0
_MOST_NAME = 200
_OTHER_TOKENS = frozenset({"id", "refresh", "offline", "logout"})
_WRONG = "token: it is not valid here"

Fetch = Callable[[str], Any]
_log = logging.getLogger("aegis.server")


def fetch_json(url: str) -> Any:
    """The JSON at a URL of the provider; redirects are not followed, and no proxy of the environment is used."""
    import httpx

    body, until = b"", time.monotonic() + _WHOLE_S
    with (
        httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
        client.stream("GET", url, headers={"Accept": "application/json"}) as response,
    ):
        if response.status_code != 200:
            raise ValueError(f"{url} answered {response.status_code}")
        for chunk in response.iter_bytes():
            body += chunk
            if time.monotonic() > until:
                raise ValueError(f"{url} took more than {_WHOLE_S:g} seconds")
            if len(body) > _LONGEST:
                raise ValueError(f"{url} answered more than {_LONGEST} bytes")
    return httpx.Response(200, content=body).json()


class Provider:
    """One provider. Thread-safe; its keys are fetched when first needed and kept for a while."""

    def __init__(self, settings: OidcSettings, *, fetch: Fetch = fetch_json, now: Callable[[], float] = time.time):
        self._settings, self._fetch, self._now = settings, fetch, now
        self._lock, self._fetching = threading.Lock(), threading.Lock()
        self._keys: KeySet | None = None
        self._fetched_at = self._tried_at = float("-inf")

    def authenticate(self, token: str) -> Principal:
        """Whose token this is. Raises IdentityError, and Refused (503) where the provider's keys can't be had."""
        from joserfc import jwt
        from joserfc.errors import InvalidKeyIdError, JoseError

        try:
            try:
                decoded = jwt.decode(token, self._current(), algorithms=list(self._settings.algorithms))
            except InvalidKeyIdError:  # the provider may have changed its keys
                decoded = jwt.decode(token, self._current(anew=True), algorithms=list(self._settings.algorithms))
            self._check(decoded.header, decoded.claims)
        except (JoseError, ValueError, TypeError, KeyError) as error:
            # What is wrong is not told to who holds it.
            raise IdentityError(_WRONG) from error
        return self._principal(decoded.claims)

    def _check(self, header: dict[str, Any], claims: dict[str, Any]) -> None:
        from joserfc.jwt import JWTClaimsRegistry

        if str(header.get("typ", "at+jwt")).lower().removeprefix("application/") not in ("at+jwt", "jwt"):
            raise ValueError("it is no access token")
        if str(claims.get("typ", "")).lower() in _OTHER_TOKENS:  # Keycloak's word for what a token is
            raise ValueError("it is no access token")
        if "cnf" in claims:  # RFC 7800: it is bound to a key, and a bearer has not shown that it holds it
            raise ValueError("it is bound to a key of its holder, which can't be checked here")
        if "nonce" in claims or "at_hash" in claims or "c_hash" in claims:
            raise ValueError("it is an ID token: those say who somebody is to a client, not what they may do here")
        JWTClaimsRegistry(
            now=lambda: int(self._now()), leeway=self._settings.leeway_s,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": self._settings.audience},
            exp={"essential": True}, iat={"essential": True}, sub={"essential": True},
        ).validate(claims)  # fmt: skip

    def _principal(self, claims: dict[str, Any]) -> Principal:
        name = claims.get(self._settings.name_claim)
        if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > _MOST_NAME:
            raise IdentityError(f"token: its {self._settings.name_claim} is no name")
        path = self._settings.role_claim
        held: Any = claims
        # A claim may have dots in its own name ("https://aegis.example/roles"): that one counts first.
        for part in [path] if path in claims else path.split("."):
            held = held.get(part) if isinstance(held, dict) else None
        theirs = [held] if isinstance(held, str) else held if isinstance(held, list) else []
        ours = {role for one in theirs if isinstance(one, str) for role in self._settings.roles.get(one, ())}
        return Principal(
            name=name.strip(), method="oidc", roles=frozenset(role for role in ROLES if role in ours),
            detail=f"{self._settings.issuer} sub {str(claims['sub'])[:_MOST_NAME]}",
        )  # fmt: skip

    def _current(self, *, anew: bool = False) -> KeySet:
        """The provider's keys. Who has some does not wait for others' fetching: a made-up token can set that off."""
        now = self._now()
        with self._lock:
            old = now - self._fetched_at > self._settings.keys_s
            wanted = (self._keys is None or old or anew) and now - self._tried_at >= _REFETCH_S
            self._tried_at = now if wanted else self._tried_at
        if wanted or self._keys is None:
            with self._fetching:
                if wanted:
                    self._fetch_anew(now)
        if self._keys is None:
            raise Refused(503, "identity_provider", "the identity provider's keys can't be had", retry_after=30)
        return self._keys

    def _fetch_anew(self, now: float) -> None:
        try:
            self._keys = self._fetch_keys()
            self._fetched_at = now
        except Exception as error:  # noqa: BLE001 - the network's and the provider's: the keys we have still stand
            _log.warning("the identity provider's keys could not be fetched: %s", error)

    def _fetch_keys(self) -> KeySet:
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet, import_key

        issuer = self._settings.issuer
        about = self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
        if about["issuer"] != issuer:
            raise ValueError(f"the provider calls itself {about['issuer']!r}, not {issuer!r}")
        given = self._fetch(checked_url(str(about["jwks_uri"])))
        usable = []
        for key in given["keys"]:
            # Keys to sign with; a symmetric one has no place in a public set.
            if not isinstance(key, dict) or key.get("kty") == "oct" or key.get("use", "sig") != "sig":
                continue
            try:
                usable.append(import_key(key))
            except (JoseError, ValueError, TypeError, KeyError) as error:  # of a kind to come: the others still stand
                _log.warning("a key of the identity provider can't be used: %s", error)
        if not usable:
            raise ValueError("the provider has no key that can be used")
        return KeySet(usable)
