"""Masking what must not leave."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_agents.gate import redact, secrets_in

KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow" + "A" * 60 + "\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize(
    ("text", "secret", "kind"),
    [
        ("key AKIAIOSFODNN7EXAMPLE used", "IOSFODNN7EXAMPLE", "AWS access key"),
        ("aws_secret_access_key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "wJalrXUtnFEMI", "password"),
        ("token ghp_" + "a1" * 18, "a1a1a1", "GitHub token"),
        ("xoxb-123456789012-abcdefABCDEF", "123456789012", "Slack token"),
        (f"before {KEY} after", "MIIEow", "private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXk", "b3BlbnNz", "private key"),
        ("Authorization: Bearer abcdef0123456789.x", "abcdef0123456789", "authorization"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl", "eyJzdWIi", "web token"),
        ("net use * /user:a password=Winter2026!", "Winter2026", "password"),
        ('{"password": "hunter2 and more"}', "hunter2", "password"),
        ("mysql --password 'S3cret pass'", "S3cret", "password"),
        ("client_secret: 8Q~abcDEF123", "8Q~abc", "password"),
        ("https://bob:pa55w0rd@example.com/x", "pa55w0rd", "credentials in a URL"),
        ("AccountKey=" + "Ab1+" * 20 + "==", "Ab1+Ab1+", "Azure storage key"),
        ("paid with 4111 1111 1111 1111 today", "1111 1111", "payment card"),
        ("IBAN DE89 3704 0044 0532 0130 00", "0532 0130", "bank account"),
        ("ssn 078-05-1120", "05-1120", "social security number"),
        ("sk-proj-" + "Zz9" * 10, "Zz9Zz9", "service key"),
        ("hf_" + "aB3d" * 9, "aB3daB3d", "service key"),
        ("https://hooks.slack.com/services/T01ABCDEF/B01/abcdefghijkl", "abcdefghijkl", "webhook"),
        ("net user backup P@ssw0rd! /add", "P@ssw0rd", "password"),
        ("mysql -u root -pHunter2! shop", "Hunter2", "password"),
        ("curl -u admin:Summer2026 https://intra/", "Summer2026", "password"),
        ("psexec \\\\web-01 -u adm -p Winter!26 cmd", "Winter!26", "password"),
        ("set PGPASSWORD=s3cr3tpg", "s3cr3tpg", "password"),
        ("$pw = ConvertTo-SecureString 'Zx!92ab' -AsPlainText", "Zx!92ab", "password"),
        ("Passwort: Sommer2026!", "Sommer2026", "password"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----\nlQdGBF", "lQdGBF", "private key"),
    ],
)
def test_secrets_are_masked(text: str, secret: str, kind: str) -> None:
    masked = redact(text)
    assert secret not in masked
    assert kind in masked
    assert kind in secrets_in(text)
    assert redact(masked) == masked
    assert secrets_in(masked) == ()


def test_what_stands_around_stays() -> None:
    assert redact("key AKIAIOSFODNN7EXAMPLE used by j.doe@example.com") == (
        "key ⟨AKIA… AWS access key masked⟩ used by j.doe@example.com"
    )


@pytest.mark.parametrize(
    "text",
    [
        "user j.doe signed in from 203.0.113.9",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "net user backup /add", "net user ann *", "mysql -h db -u root shop", "curl https://example.com -o out", "bypass=true",
        "{0197231E-F570-6938-8A10-000000000800}", "4111 1111 1111 1112", "the password was reset", "password spray against 40 accounts", "token theft suspected",
        "event 1738592347123456", "2026-11-22 12:00:00", "GB00 1234 5678 9012", "https://example.com:8443/path",
        "arn:aws:iam::123456789012:user/ann", "000-12-3456", "one-time passcode prompts were declined eight times",
    ],
)  # fmt: skip
def test_ordinary_text_stays(text: str) -> None:
    assert redact(text) == text


@given(st.text(max_size=200))
def test_masking_twice_is_masking_once(text: str) -> None:
    assert redact(redact(text)) == redact(text)


def test_an_aws_secret_that_follows_its_name_is_masked() -> None:
    secret = "wJalr" + "XUtnFEMI/K7MDENG/bPxRfiCY" + "zzR2D2C3PO"
    assert secret not in redact(f"aws configure set aws_secret_access_key {secret}")
