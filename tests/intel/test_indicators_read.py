"""What counts as an indicator, and the one form that it is kept in."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aegis_agents.intel.indicators import MAX_LENGTH, read_indicator, refang

SHA = "A" * 64


@pytest.mark.parametrize(
    ("said", "key"),
    [
        ("203[.]0[.]113[.]7", "ip:203.0.113.7"),
        ("2001:DB8::0:1", "ip:2001:db8::1"),
        ("::ffff:203.0.113.7", "ip:203.0.113.7"),
        ("fe80::1%eth0", "ip:fe80::1"),
        ("google.com\u3002", "domain:google.com"),
        ("203.0.113.0/24", "net:203.0.113.0/24"),
        ("203.0.113.9/32", "ip:203.0.113.9"),
        ("EVIL[dot]Example.", "domain:evil.example"),
        ("evil [.] example", "domain:evil.example"),
        ("münchen.example", "domain:xn--mnchen-3ya.example"),
        ("mallory (at) evil[.]example", "email:mallory@evil.example"),
        ("hxxps://Evil[.]example:443/a?b#c", "url:https://evil.example/a?b"),
        ("http://user:secret@evil.example", "url:http://evil.example/"),
        ("hxxp[:]//[2001:db8::1]:8080/x", "url:http://[2001:db8::1]:8080/x"),
        (SHA, f"sha256:{SHA.lower()}"),
        ("b" * 40, "sha1:" + "b" * 40),
        ("c" * 32, "md5:" + "c" * 32),
    ],
)
def test_one_form_for_what_is_the_same(said: str, key: str) -> None:
    found = read_indicator(said)
    assert found is not None
    assert found.key == key


@pytest.mark.parametrize(
    "said", ["", "a", "localhost", "not an indicator", "a.b", "javascript:alert(1)", "http://", "x@", "1.2.3", "e" * 33, "evil.example/" + "x" * MAX_LENGTH]
)  # fmt: skip
def test_what_is_none_is_none(said: str) -> None:
    assert read_indicator(said) is None


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(max_size=300))
def test_any_text_is_read_without_an_error_and_the_form_is_stable(text: str) -> None:
    found = read_indicator(text)
    if found is not None:
        assert read_indicator(found.value) == found
        assert read_indicator(found.value.replace(".", "[.]").replace("@", "[@]")) == found


def test_reading_takes_linear_time() -> None:
    started = time.thread_time()
    for text in ("a" + " " * 100_000 + "b", " [.] " * 20_000, "(at)" * 25_000, "a." * 50_000):
        refang(text)
    assert time.thread_time() - started < 2
