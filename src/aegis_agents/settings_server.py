"""Settings of `aegis serve`: where it listens, who may come in, how much, and whom it tells.

In a settings file they are the table [server]; as variables AEGIS_SERVER__PORT, AEGIS_SERVER__OIDC__ISSUER ...
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from aegis_agents.records import Role

_FROZEN = ConfigDict(extra="forbid", frozen=True)
RATE = r"^[1-9][0-9]{0,6}/(second|minute|hour)$"
"""A rate: "600/minute"."""

Event = Literal["case.decided", "action.waiting", "action.done"]
EVENTS: tuple[Event, ...] = ("case.decided", "action.waiting", "action.done")
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519")
"""Signatures by which identity providers are believed: public keys alone, so that no shared secret can be guessed."""


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(url: str) -> str:
    """The URL, if it is https, or http on this machine; what else it points to is the administrator's word."""
    where = urlsplit(url)
    plain = where.scheme == "http" and is_loopback(where.hostname or "")
    if not where.hostname or not (where.scheme == "https" or plain):
        raise ValueError(f"{url!r} is neither https nor on this machine")
    if where.username or where.password:
        raise ValueError("a URL holds no user name or password here")
    return url


class OidcSettings(BaseModel):
    """An OpenID Connect provider whose access tokens are accepted beside Aegis' own."""

    model_config = _FROZEN

    issuer: str
    """Its issuer, to the letter; keys come from what its /.well-known/openid-configuration names."""
    audience: str
    """What `aud` must name: this API, as the provider knows it."""
    client_id: str | None = None
    """For the console: the client that people sign in by."""
    scope: str = Field(default="openid profile", pattern=r"^openid( [!#-\[\]-~]+)*$")
    """What the console asks for at sign-in. Entra ID needs "openid profile api://.../.default" to answer a token for this API."""
    name_claim: str = "sub"
    """What a person is called. Four eyes count names: choose the claim that holds what API tokens are named by."""
    role_claim: str = "roles"
    """Where roles stand; a dotted path reaches inside ("realm_access.roles")."""
    roles: dict[str, tuple[Role, ...]]
    """The provider's role or group → roles here. Who has none of them may do nothing."""
    algorithms: tuple[str, ...] = ("RS256", "PS256", "ES256", "Ed25519")
    leeway_s: int = Field(default=60, ge=0, le=300)
    """How far its clock may be off."""
    keys_s: int = Field(default=3600, ge=60)
    """Seconds for which its keys are kept; a key that is not known is asked for at once, at most every half minute."""

    _url = field_validator("issuer")(checked_url)

    @field_validator("algorithms")
    @classmethod
    def _public_keys_only(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        if not given or (other := set(given) - set(ALGORITHMS)):
            raise ValueError(f"not signed by a public key: {', '.join(sorted(other)) if given else 'none given'}")
        return given


class WebhookSettings(BaseModel):
    """Somebody to tell what happened, by Standard Webhooks (standardwebhooks.com)."""

    model_config = _FROZEN

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    """How it is remembered how far it was told: keep it."""
    url: str
    secret: SecretStr
    """ "whsec_" and 24 to 64 bytes in base64; the receiver checks the signature with it."""
    events: tuple[Event, ...] = EVENTS

    _url = field_validator("url")(checked_url)

    @field_validator("secret")
    @classmethod
    def _long_enough(cls, given: SecretStr) -> SecretStr:
        key_of(given)
        return given


def key_of(secret: SecretStr) -> bytes:
    """The bytes of a webhook's secret. Raises ValueError."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError('is not "whsec_" and 24 to 64 bytes in base64')
    return key


class ServerSettings(BaseModel):
    """Everything that can be set of the server."""

    model_config = _FROZEN

    host: str = "127.0.0.1"
    port: int = Field(default=8740, ge=0, le=65535)
    tls_certificate: Path | None = None
    """A PEM file with the certificate and its chain; with `tls_key` the server speaks TLS itself."""
    tls_key: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    """Addresses and networks of proxies that end TLS: their X-Forwarded-For and -Proto are believed, nobody else's."""
    plain_http: bool = False
    """Listen to other machines without TLS and without a proxy. Tokens can then be read on the way."""
    hosts: tuple[str, ...] = ()
    """Names that the server answers to (the Host header); empty: any."""
    oidc: OidcSettings | None = None
    tokens_answer: bool = True
    """Whether holders of API tokens may approve, undo and keep; off leaves that to people of the identity provider."""
    rate_per_person: str = Field(default="6000/minute", pattern=RATE)
    rate_per_address: str = Field(default="12000/minute", pattern=RATE)
    """Before anybody is authenticated; an IPv6 /64 is one address."""
    failures_per_address: str = Field(default="30/minute", pattern=RATE)
    """Wrong tokens after which an address has to wait."""
    body_bytes: int = Field(default=5_000_000, ge=1_000)
    """Longest alert."""
    batch_bytes: int = Field(default=100_000_000, ge=1_000)
    """Longest batch; it lies in a temporary file."""
    batches: int = Field(default=8, ge=1)
    """Batches at once; one person has at most half of them."""
    bodies_bytes: int = Field(default=256_000_000, ge=1_000)
    """Most bytes of request bodies in memory at once, of all clients together."""
    body_s: float = Field(default=30.0, gt=0)
    """Longest wait for a body."""
    workers: int = Field(default=2, ge=1, le=64)
    """Investigations at once; they share the processor, so more than it has cores is of no use."""
    waiting_room: int = Field(default=1_000, ge=0)
    """Requests that may wait for a worker; who comes then is told to come back (503)."""
    connections: int = Field(default=2_000, ge=1)
    """Connections at once."""
    drain_s: float = Field(default=30.0, ge=0)
    """After SIGTERM: how long requests under way may take before their connections are closed."""
    expire_s: float = Field(default=15.0, gt=0)
    """How often what is past its time is lifted."""
    recover_s: float = Field(default=60.0, gt=0)
    """How often what dead processes left is looked for; also at start."""
    idempotency_hours: float = Field(default=24.0, gt=0)
    """How long an answer is kept for a request that comes again with the same Idempotency-Key."""
    session_minutes: float = Field(default=60.0, gt=0)
    """After so long without a visit a session of the console ends."""
    session_hours: float = Field(default=12.0, gt=0)
    """After so long it ends however busy one was: a shift."""
    webhooks: tuple[WebhookSettings, ...] = ()
    webhook_give_up_hours: float = Field(default=72.0, gt=0)
    """After so long what a receiver did not take is given up, with a ledger entry."""

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            ipaddress.ip_network(one)
        return given

    @model_validator(mode="after")
    def _fits(self) -> ServerSettings:
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together")
        if not (is_loopback(self.host) or self.tls_certificate or self.trusted_proxies or self.plain_http):
            raise ValueError(
                f"host: {self.host} can be reached from elsewhere: give tls_certificate and tls_key, name the proxy that "
                "ends TLS in trusted_proxies, or say plain_http = true"
            )
        if len({hook.name for hook in self.webhooks}) != len(self.webhooks):
            raise ValueError("webhooks: two have one name")
        return self
