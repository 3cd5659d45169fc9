"""Signing in through an OpenID Connect provider: the authorisation code flow with PKCE, as a public client.

OpenID Connect Core 1.0 section 3.1, RFC 7636 (PKCE, S256), RFC 9700 (best practices), RFC 9207 (`iss` in the answer).
The ID token says to us who signed in, by the nonce that only this sign-in had; what they may do here is read from the
access token, by the same rules as for the API.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from aegis_agents.errors import IdentityError
from aegis_agents.records import Principal
from aegis_agents.server.oidc import Fetch, fetch_json
from aegis_agents.server.problems import Refused
from aegis_agents.settings_server import OidcSettings, checked_url

_KEPT_S: Final = 3_600.0
_LONGEST: Final = 200_000
_TIMEOUT_S: Final = 10.0
_WRONG: Final = "the identity provider's answer does not fit this sign-in: nobody was signed in; begin again"

Send = Callable[[str, Mapping[str, str]], Any]


def post_form(url: str, fields: Mapping[str, str]) -> Any:
    """The JSON that a form is answered with. Raises ValueError, httpx.HTTPError."""
    import httpx

    body = b""
    with (
        httpx.Client(timeout=_TIMEOUT_S, follow_redirects=False, trust_env=False) as client,
        client.stream("POST", url, data=dict(fields), headers={"Accept": "application/json"}) as response,
    ):
        for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _LONGEST:
                raise ValueError(f"{url} answered more than {_LONGEST} bytes")
        if response.status_code != 200:
            raise ValueError(f"{url} answered {response.status_code}")
    return json.loads(body)


class OidcClient:
    """The console as a client of one provider; `authenticate` answers whose an access token is, with all their roles.

    Thread-safe. Every method blocks, and may raise Refused (503).
    """

    def __init__(
        self, settings: OidcSettings, authenticate: Callable[[str], Principal], *, fetch: Fetch = fetch_json, send: Send = post_form,
        now: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._settings, self._authenticate, self._fetch, self._send, self._now = (
            settings,
            authenticate,
            fetch,
            send,
            now,
        )
        self._about: tuple[float, dict[str, Any]] | None = None

    def begin(self, redirect_uri: str) -> tuple[str, dict[str, str]]:
        """Where to send the browser, and what must be kept until it comes back."""
        kept = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        challenge = hashlib.sha256(kept["verifier"].encode()).digest()
        query = urlencode({
            "response_type": "code", "client_id": self._client_id, "redirect_uri": redirect_uri, "scope": self._settings.scope,
            "state": kept["state"], "nonce": kept["nonce"], "code_challenge_method": "S256",
            "code_challenge": base64.urlsafe_b64encode(challenge).rstrip(b"=").decode(),
        })  # fmt: skip
        url = self._endpoint("authorization_endpoint")
        return f"{url}{'&' if urlsplit(url).query else '?'}{query}", kept | {"redirect_uri": redirect_uri}

    def finish(self, kept: Mapping[str, Any], answered: Mapping[str, str]) -> Principal:
        """Who signed in, by the answer that the browser brought. Raises IdentityError."""
        if not hmac.compare_digest(str(kept.get("state", "")).encode(), answered.get("state", "").encode()):
            raise IdentityError(_WRONG)
        if answered.get("iss", self._settings.issuer) != self._settings.issuer:
            raise IdentityError(_WRONG)
        if "error" in answered or not answered.get("code"):
            raise IdentityError("the identity provider did not sign you in")
        fields = {
            "grant_type": "authorization_code", "code": answered["code"], "redirect_uri": str(kept["redirect_uri"]),
            "client_id": self._client_id, "code_verifier": str(kept["verifier"]),
        }  # fmt: skip
        try:
            tokens = self._send(self._endpoint("token_endpoint"), fields)
            id_token, access_token = str(tokens["id_token"]), str(tokens["access_token"])
        except (Refused, IdentityError):
            raise
        except Exception as error:  # whatever it answers, or does not: nobody is signed in
            raise IdentityError("the identity provider did not take the code: begin again") from error
        subject = self._checked(id_token, str(kept["nonce"]))
        who = self._authenticate(access_token)
        if not who.detail.endswith(f" sub {subject[:200]}"):
            raise IdentityError(_WRONG)  # two people's tokens in one answer
        return who

    def _checked(self, id_token: str, nonce: str) -> str:
        """The ID token's subject, if the token is the provider's, for us, fresh, and of this very sign-in."""
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet
        from joserfc.jwt import JWTClaimsRegistry

        try:
            given = self._fetch(self._endpoint("jwks_uri"))
            usable = [k for k in given["keys"] if k.get("kty") != "oct" and k.get("use", "sig") == "sig"]
            keys = KeySet.import_key_set({"keys": usable})
            claims = jwt.decode(id_token, keys, algorithms=list(self._settings.algorithms)).claims
            JWTClaimsRegistry(
                now=lambda: int(self._now()), leeway=self._settings.leeway_s,
                iss={"essential": True, "value": self._settings.issuer}, aud={"essential": True, "value": self._client_id},
                exp={"essential": True}, iat={"essential": True}, sub={"essential": True}, nonce={"essential": True, "value": nonce},
            ).validate(claims)  # fmt: skip
            audience = claims["aud"]
            several = isinstance(audience, list) and len(audience) > 1
            if claims.get("azp", None if several else self._client_id) != self._client_id:
                raise ValueError("it was issued to another client")
        except (Refused, IdentityError):
            raise
        except (JoseError, ValueError, TypeError, KeyError) as error:
            raise IdentityError(_WRONG) from error
        except Exception as error:  # the network's, or the provider's: nobody is signed in
            raise Refused(
                503, "identity_provider", "the identity provider's keys can't be had", retry_after=30
            ) from error
        return str(claims["sub"])

    @property
    def _client_id(self) -> str:
        if self._settings.client_id is None:
            raise Refused(404, "no_client", "no client is set for signing in here (server.oidc.client_id)")
        return self._settings.client_id

    def _endpoint(self, name: str) -> str:
        """An address out of what the provider says of itself."""
        now = self._now()
        if self._about is None or now - self._about[0] > _KEPT_S:
            issuer = self._settings.issuer
            try:
                about = self._fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration")
                if about["issuer"] != issuer:
                    raise ValueError(f"the provider calls itself {about['issuer']!r}, not {issuer!r}")
                named = ("authorization_endpoint", "token_endpoint", "jwks_uri")
                self._about = (now, {key: checked_url(str(about[key])) for key in named})
            except Exception as error:  # as above
                raise Refused(
                    503, "identity_provider", "the identity provider can't be reached", retry_after=30
                ) from error
        return str(self._about[1][name])
