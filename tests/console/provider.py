"""A small OpenID Connect provider on loopback, strict about what RFC 6749 and RFC 7636 ask of a client."""

from __future__ import annotations

import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwk, jwt
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

CLIENT, AUDIENCE = "aegis-console", "aegis-api"
KEY = jwk.generate_key("RSA", 2048, {"kid": "a", "use": "sig"})
STRANGER = jwk.generate_key("RSA", 2048, {"kid": "a", "use": "sig"})


class Site:
    """The provider, and what it is told to get wrong: claims of the ID token, the signing key, the access token's claims."""

    def __init__(self) -> None:
        self.issuer = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.id_claims: dict[str, Any] = {}
        self.access_claims: dict[str, Any] = {}
        self.answer: dict[str, str] = {}
        self.key: Any = KEY
        self.asked: list[str] = []

    def app(self) -> Starlette:
        routes = [
            Route("/.well-known/openid-configuration", self.about), Route("/keys", self.keys),
            Route("/authorize", self.authorize), Route("/token", self.token, methods=["POST"]),
        ]  # fmt: skip
        return Starlette(routes=routes)

    async def about(self, _: Request) -> Response:
        at = self.issuer
        ends = {"authorization_endpoint": f"{at}/authorize", "token_endpoint": f"{at}/token", "jwks_uri": f"{at}/keys"}
        return JSONResponse({"issuer": at} | ends)

    async def keys(self, _: Request) -> Response:
        return JSONResponse({"keys": [KEY.as_dict(private=False)]})

    async def authorize(self, request: Request) -> Response:
        """Signs everybody in at once, as alice."""
        q = dict(request.query_params)
        assert (q["response_type"], q["client_id"], q["code_challenge_method"]) == ("code", CLIENT, "S256")
        assert "openid" in q["scope"].split()
        code = secrets.token_urlsafe(16)
        self.codes[code] = q
        back = {"code": code, "state": q["state"], "iss": self.issuer} | self.answer
        return RedirectResponse(f"{q['redirect_uri']}?{urlencode(back)}", 302)

    async def token(self, request: Request) -> Response:
        form = {k: v[0] for k, v in parse_qs((await request.body()).decode()).items()}
        self.asked.append(form.get("code", ""))
        begun = self.codes.pop(form.get("code", ""), None)
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        if begun is None or challenge.rstrip(b"=").decode() != begun["code_challenge"]:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if form["redirect_uri"] != begun["redirect_uri"] or form["client_id"] != CLIENT:
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        times = {"iss": self.issuer, "sub": "u-1", "iat": now, "exp": now + 300}
        claims = times | {"aud": CLIENT, "nonce": begun["nonce"]} | self.id_claims
        access = times | {"aud": AUDIENCE, "preferred_username": "alice", "roles": ["soc"]} | self.access_claims
        kept = {k: v for k, v in claims.items() if v is not None}
        return JSONResponse(
            {
                "token_type": "Bearer",
                "id_token": jwt.encode({"alg": "RS256", "kid": "a"}, kept, self.key),
                "access_token": jwt.encode({"alg": "RS256", "kid": "a", "typ": "at+jwt"}, access, KEY),
            }
        )


@contextmanager
def provider() -> Iterator[Site]:
    """A provider that listens on loopback."""
    site = Site()
    server = uvicorn.Server(uvicorn.Config(site.app(), host="127.0.0.1", port=0, log_level="warning", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        until = time.monotonic() + 20
        while not server.started and time.monotonic() < until:
            time.sleep(0.01)
        site.issuer = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield site
    finally:
        server.should_exit = True
        thread.join(20)
