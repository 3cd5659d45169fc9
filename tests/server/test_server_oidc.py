"""Access tokens of an identity provider: whose are believed, and whose are not."""

from __future__ import annotations

import base64
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from joserfc import jwk, jwt
from pydantic import ValidationError

from aegis_agents.errors import IdentityError
from aegis_agents.server.oidc import Provider
from aegis_agents.server.people import People
from aegis_agents.server.problems import Refused
from aegis_agents.settings_server import OidcSettings

ISSUER = "https://login.example/realm"
KEYS = f"{ISSUER}/keys"
NOW = 1_790_000_000


class Site:
    """What the provider publishes, and how often it was asked."""

    def __init__(self, *keys: Any, **about: Any) -> None:
        self.keys, self.asked, self.down = list(keys), [], False  # type: ignore[var-annotated]
        self.about = {"issuer": ISSUER, "jwks_uri": KEYS} | about

    def __call__(self, url: str) -> Any:
        self.asked.append(url)
        if self.down:
            raise OSError("no route")
        if url == f"{ISSUER}/.well-known/openid-configuration":
            return self.about
        assert url == self.about["jwks_uri"]
        return {"keys": [key if isinstance(key, dict) else key.as_dict(private=False) for key in self.keys]}


def _key(kid: str, kind: str = "RSA", size: Any = 2048) -> Any:
    return jwk.generate_key(kind, size, {"kid": kid, "use": "sig"})  # type: ignore[call-overload]


RSA, OTHER, EC, ED = _key("a"), _key("a"), _key("e", "EC", "P-256"), _key("o", "OKP", "Ed25519")
CLAIMS = {
    "iss": ISSUER, "aud": ["aegis", "other"], "sub": "u-1", "exp": NOW + 300, "iat": NOW - 5,
    "preferred_username": "alice", "realm_access": {"roles": ["soc-approvers", "unknown"]},
}  # fmt: skip


def _settings(**given: Any) -> OidcSettings:
    known: dict[str, Any] = {
        "issuer": ISSUER, "audience": "aegis", "name_claim": "preferred_username", "role_claim": "realm_access.roles",
        "roles": {"soc-approvers": ("approver",), "soc": ("analyst",)},
    }  # fmt: skip
    return OidcSettings(**known | given)


def _provider(site: Site, clock: list[float] | None = None, **given: Any) -> Provider:
    return Provider(_settings(**given), fetch=site, now=lambda: clock[0] if clock else NOW)


def _token(key: Any = RSA, alg: str = "RS256", header: dict[str, Any] | None = None, **changed: Any) -> str:
    claims = {k: v for k, v in (CLAIMS | changed).items() if v is not None}
    return jwt.encode({"alg": alg, "kid": key.kid} | (header or {}), claims, key, algorithms=[alg])


def test_a_token_names_a_person_with_the_roles_that_the_settings_give() -> None:
    who = _provider(Site(RSA)).authenticate(_token())
    assert (who.name, who.id, who.roles) == ("alice", "oidc:alice", frozenset({"approver"}))
    assert ISSUER in who.detail
    assert "u-1" in who.detail


def test_roles_that_are_not_named_give_nothing() -> None:
    provider = _provider(Site(RSA))
    for roles in ([], "admin", ["admin"], None, {"a": 1}, [1, ["soc"]]):
        assert provider.authenticate(_token(realm_access={"roles": roles})).roles == frozenset()
    assert provider.authenticate(_token(realm_access=None)).roles == frozenset()


@pytest.mark.parametrize(("key", "alg"), [(RSA, "PS256"), (EC, "ES256"), (ED, "Ed25519")])
def test_other_public_keys_sign_too(key: Any, alg: str) -> None:
    assert _provider(Site(RSA, EC, ED)).authenticate(_token(key, alg)).name == "alice"


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://login.example/other"}, {"iss": f"{ISSUER}/"}, {"iss": None}, {"aud": "other"}, {"aud": None},
        {"aud": ["other"]}, {"exp": NOW - 61}, {"exp": None}, {"exp": "never"}, {"nbf": NOW + 61}, {"iat": NOW + 61},
        {"iat": None}, {"sub": None}, {"preferred_username": None}, {"preferred_username": ""},
        {"preferred_username": "a\u202eb"}, {"preferred_username": "x" * 201}, {"preferred_username": ["alice"]},
        {"nonce": "n"}, {"at_hash": "h"}, {"typ": "ID"}, {"typ": "Refresh"}, {"cnf": {"jkt": "t"}},
        {"sub": 5}, {"aud": {"aegis": 1}}, {"exp": True}, {"exp": 1e400}, {"iss": [ISSUER]}, {"nbf": {}},
    ],
    ids=str,
)  # fmt: skip
def test_a_claim_that_does_not_fit_is_nobody(changed: dict[str, Any]) -> None:
    with pytest.raises(IdentityError):
        _provider(Site(RSA)).authenticate(_token(**changed))


def test_clocks_may_differ_a_little() -> None:
    provider = _provider(Site(RSA))
    assert provider.authenticate(_token(exp=NOW - 30)).name == "alice"
    assert provider.authenticate(_token(nbf=NOW + 30, iat=NOW + 30)).name == "alice"


def _raw(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(claims).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(p).decode().rstrip("=") for p in parts)


def test_the_token_does_not_choose_how_it_is_checked() -> None:
    provider = _provider(Site(RSA))
    public = RSA.as_pem(private=False)
    secret = jwk.OctKey.import_key(base64.urlsafe_b64encode(public).decode())
    hmac_by_public_key = jwt.encode({"alg": "HS256", "kid": "a"}, dict(CLAIMS), secret, algorithms=["HS256"])
    own_key = {"jwk": OTHER.as_dict(private=False)}
    pointed = {"jku": "https://evil.example/keys", "x5u": "https://evil.example/cert"}
    for token in (
        _raw({"alg": "none"}, CLAIMS), _raw({"alg": "RS256", "kid": "a"}, CLAIMS), hmac_by_public_key,
        _token(OTHER), _token(OTHER, header=own_key), _token(OTHER, header=pointed),
        _token(header={"typ": "logout+jwt"}), "..", "a.b.c", _token() + "x",
    ):  # fmt: skip
        with pytest.raises(IdentityError):
            provider.authenticate(token)


def test_a_key_is_not_used_for_another_algorithm_than_the_settings_allow() -> None:
    with pytest.raises(IdentityError):
        _provider(Site(EC), algorithms=("RS256",)).authenticate(_token(EC, "ES256"))
    with pytest.raises(ValidationError, match="HS256"):
        _settings(algorithms=("HS256",))
    with pytest.raises(ValidationError, match="none"):
        _settings(algorithms=("none",))


def test_symmetric_keys_in_a_public_set_are_left_out() -> None:
    secret = jwk.OctKey.generate_key(256, {"kid": "s"})
    site = Site(RSA, secret.as_dict(private=True))
    token = jwt.encode({"alg": "HS256", "kid": "s"}, dict(CLAIMS), secret, algorithms=["HS256"])
    with pytest.raises(IdentityError):
        _provider(site).authenticate(token)


def test_new_keys_are_looked_for_when_one_is_not_known_and_not_too_often() -> None:
    new, clock = _key("b"), [float(NOW)]
    site = Site(RSA)
    provider = _provider(site, clock)
    assert provider.authenticate(_token()).name == "alice"
    site.keys = [new]
    clock[0] += 5
    with pytest.raises(IdentityError):
        provider.authenticate(_token(new))
    assert len(site.asked) == 2  # metadata and keys, once
    clock[0] += 40
    assert provider.authenticate(_token(new)).name == "alice"
    with pytest.raises(IdentityError):
        provider.authenticate(_token())  # the old key is gone
    for number in range(20):
        with pytest.raises(IdentityError):
            provider.authenticate(_token(_key_named(f"made-up-{number}")))
    assert len(site.asked) == 4


def _key_named(kid: str) -> Any:
    return jwk.import_key(OTHER.as_dict(private=True) | {"kid": kid})


def test_keys_that_are_had_stand_while_the_provider_is_away() -> None:
    clock = [float(NOW)]
    site = Site(RSA)
    provider = _provider(site, clock, keys_s=60)
    site.down = True
    with pytest.raises(Refused) as refused:
        provider.authenticate(_token())
    assert refused.value.problem.status == 503
    site.down = False
    clock[0] += 40
    assert provider.authenticate(_token()).name == "alice"
    site.down = True
    clock[0] += 100
    assert provider.authenticate(_token()).name == "alice"


def test_metadata_of_another_issuer_or_keys_from_an_open_line_are_not_taken() -> None:
    for about in ({"issuer": "https://evil.example"}, {"jwks_uri": "http://login.example/keys"}, {"jwks_uri": "file:///etc/passwd"}):  # fmt: skip
        site = Site(RSA, **about)
        with pytest.raises(Refused):
            _provider(site).authenticate(_token())
        assert site.asked == [f"{ISSUER}/.well-known/openid-configuration"]


@pytest.mark.parametrize("issuer", ["http://login.example", "ftp://x", "login.example", "https://u:p@login.example"])
def test_an_issuer_is_reached_over_tls(issuer: str) -> None:
    with pytest.raises(ValidationError):
        _settings(issuer=issuer)


def test_a_clock_that_may_not_be_off_is_not() -> None:
    with pytest.raises(IdentityError):
        _provider(Site(RSA), leeway_s=0).authenticate(_token(exp=NOW - 30))


def test_a_claim_with_dots_in_its_name_is_found() -> None:
    name = "https://aegis.example/roles"
    who = _provider(Site(RSA), role_claim=name).authenticate(_token(**{name: ["soc"]}))
    assert who.roles == frozenset({"analyst"})


def test_a_token_without_a_key_id_is_believed_only_where_there_is_one_key() -> None:
    token = jwt.encode({"alg": "RS256"}, dict(CLAIMS), RSA, algorithms=["RS256"])
    assert _provider(Site(RSA)).authenticate(token).name == "alice"
    with pytest.raises(IdentityError):
        _provider(Site(RSA, EC)).authenticate(token)


@pytest.mark.parametrize(
    "strange", [{"kid": "n"}, {"kty": "RSA", "kid": "z", "n": "!!", "e": "AQAB"}, {"kty": "new", "kid": "q"}, {}]
)
def test_a_key_of_a_kind_to_come_does_not_take_the_others_along(strange: dict[str, Any]) -> None:
    assert _provider(Site(strange, RSA)).authenticate(_token()).name == "alice"
    with pytest.raises(Refused):
        _provider(Site(strange)).authenticate(_token())


@pytest.mark.parametrize(
    "header",
    [
        b"[" * 4_000, b'"abc"', b"[]", b"null", b'{"alg":1}', b'{"alg":["RS256"]}', b'{"alg":"RS256","kid":["a"]}',
        b'{"alg":"RS256","kid":"a","crit":["b64"],"b64":false}', b"\xff\xfe", b'{"alg":"RS256","kid":"a","typ":5}',
    ],
)  # fmt: skip
def test_a_header_that_is_none_is_nobody(header: bytes) -> None:
    first = base64.urlsafe_b64encode(header).decode().rstrip("=")
    with pytest.raises(IdentityError):
        _provider(Site(RSA)).authenticate(f"{first}.e30.x")


def test_who_has_keys_does_not_wait_while_others_are_fetched() -> None:
    clock, site, go, begun = [float(NOW)], Site(RSA), threading.Event(), threading.Event()
    provider = _provider(site, clock)
    provider.authenticate(_token())
    clock[0] += 60

    def slow(url: str) -> Any:
        begun.set()
        go.wait(20)
        return site(url)

    provider._fetch = slow
    with ThreadPoolExecutor(1) as pool:
        made_up = pool.submit(provider.authenticate, _token(_key_named("made-up")))
        assert begun.wait(10)
        assert provider.authenticate(_token()).name == "alice"
        assert not made_up.done()
        go.set()
        with pytest.raises(IdentityError):
            made_up.result()


def test_people_of_both_kinds_come_in(make: Any) -> None:
    aegis = make()
    people = People(aegis.store, _provider(Site(RSA)))
    assert people.authenticate(_token()).roles == frozenset({"approver", "viewer"})
    with pytest.raises(IdentityError):
        people.authenticate("aegis_wrong")
    with pytest.raises(IdentityError):
        People(aegis.store).authenticate(_token())  # no provider is set: a JWT is nothing


def test_checking_a_token_is_quick() -> None:
    provider, token = _provider(Site(RSA)), _token()
    provider.authenticate(token)
    begun = time.perf_counter()
    for _ in range(50):
        provider.authenticate(token)
    assert (time.perf_counter() - begun) / 50 < 0.02
