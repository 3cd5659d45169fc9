"""What a text names: addresses, domains, URLs, hashes, keys. Shapes only; where it stood is judged in entities."""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from typing import Final

from aegis_agents.sources.keys import word_set

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

# Not after a letter and slash (Chrome/134.0.0.0), a "v" or another number; not before /24 or a fifth number.
_V4 = re.compile(
    r"(?<![\w.-])(?<![A-Za-z]/)(?<!version )(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\w-]|\.[0-9A-Za-z]|/[0-9]|\s?-\s?[0-9])"
)
_V6 = re.compile(r"(?<![\w:.-])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|(?:[0-9]{1,3}\.){3}[0-9]{1,3})?(?![\w:/])")
_URL = re.compile(r"(?i)\b(?:https?|ftp|sftp|ldaps?|smb)://[^\s\"'<>|\\^`{}⟦]{3,2000}")
_EMAIL = re.compile(r"(?<![\w.+-])[A-Za-z0-9_][\w.+-]{0,63}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_DOMAIN = re.compile(
    r"(?<![\w@.\\-])(?:[A-Za-z0-9_](?:[\w-]{0,61}[A-Za-z0-9])?\.){1,20}[A-Za-z]{2,24}(?![\w@\\-]|\.\w)"
)
_WHOLE_DOMAIN = re.compile(r"(?:\*\.)?(?:[A-Za-z0-9_](?:[\w-]{0,61}[A-Za-z0-9])?\.){1,20}[A-Za-z][A-Za-z0-9-]{1,23}\.?")
_HASH = re.compile(r"(?<![0-9A-Za-z])(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{40}|[0-9a-fA-F]{32})(?![0-9A-Za-z])")
_LABELLED_HASH = re.compile(r"(?i)\b(?:sha-?256|sha-?1|md5)\s*[=:]\s*([0-9a-f]{64}|[0-9a-f]{40}|[0-9a-f]{32})\b")
_ACCESS_KEY = re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,20}\b")
_ARN = re.compile(r"\barn:aws[\w-]{0,12}:[\w-]{1,40}:[\w-]{0,30}:(\d{12})?:([^\s\"',;]{1,500})")
_INSTANCE = re.compile(r"(?<![\w-])i-[0-9a-f]{8,17}(?![\w-])")
_MESSAGE_ID = re.compile(r"<([^\s<>@]{1,200}@[^\s<>@]{1,200})>")

# Top-level domains that free text is trusted with; file suffixes that are also country codes (py, sh, rs) are not
# here, so a domain under one of those is found in URLs, addresses and fields that hold domains, not in prose.
_TLDS: Final = word_set(
    "com net org edu gov mil int io co info biz xyz top site online club shop store dev cloud ai tech space live link "
    "click icu vip pro work world today news page web host zone agency email network systems solutions digital "
    "example test invalid local internal lan corp home onion arpa eu us uk de fr nl be lu ch at it es pt ie se no "
    "dk fi is cz sk hu ro bg gr lt lv ee ua by ru su tr il ae sa ir iq in pk bd cn hk tw jp kr sg my th vn id ph au "
    "nz za ng ke eg ma br ar cl mx pe ca me tv ws tk ga gq cf ly"
)
_EMPTY_FILE: Final = frozenset(
    (
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    )
)
_PRIVATE: Final = tuple(
    ipaddress.ip_network(net)
    for net in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)
_REFANG: Final = (
    (re.compile(r"(?i)\bhxxp"), "http"), (re.compile(r"\[\.\]|\(\.\)|\{\.\}|\[dot\]|\(dot\)", re.I), "."),
    (re.compile(r"\[:\]|\[:/\]"), ":"), (re.compile(r"\[@\]|\[at\]|\(at\)", re.I), "@"), (re.compile(r"\[://\]"), "://"),
)  # fmt: skip


def refang(text: str) -> str:
    """Text with hxxp, [.] and [at] written out, as analysts write addresses so that nobody clicks them."""
    if "[" in text or "(" in text or "{" in text or "xxp" in text.lower():
        for pattern, plain in _REFANG:
            text = pattern.sub(plain, text)
    return text


@lru_cache(maxsize=4096)
def as_ip(text: str) -> IPAddress | None:
    """The address, if the whole text is one that can be talked to: not 0.0.0.0, loopback, multicast or broadcast."""
    if len(text) > 45 or not ("." in text or ":" in text):
        return None
    base, scoped, zone = text.partition("%")
    if scoped and not (":" in base and zone.isalnum()):
        return None  # only IPv6 has zones, and a zone is a plain word
    try:
        address = ipaddress.ip_address(base)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_loopback or address.is_multicast or address == _BROADCAST:
        return None
    return address


_BROADCAST: Final = ipaddress.ip_address("255.255.255.255")


@lru_cache(maxsize=4096)
def is_internal(address: IPAddress) -> bool:
    """Whether the address is of a private range. (Not `is_private`, which counts documentation ranges too.)"""
    return any(address in net for net in _PRIVATE if net.version == address.version)


def ips_in(text: str) -> list[str]:
    """The addresses named in a text; not version numbers, network ranges or their ends."""
    found = _V4.findall(text) if text.count(".") > 2 else []
    if text.count(":") > 1:
        found += [match for match in _V6.findall(text) if _plausible_v6(match)]
    return [address for address in found if as_ip(address) is not None]


def _plausible_v6(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    return len(groups) >= 2 and any(char.isdigit() for char in text)


def urls_in(text: str) -> list[str]:
    """The URLs in a text, without the punctuation that ends a sentence."""
    return [url.rstrip(".,;:!?)]}") for url in _URL.findall(text)] if "://" in text else []


def domain_of(url: str) -> str | None:
    """The host name of a URL, with or without a scheme; None if it is an address or no name."""
    rest = url.partition("://")[2] or url
    host = re.split(r"[/?#\\]", rest, maxsplit=1)[0].rpartition("@")[2]
    host = re.sub(r":\d{1,5}$", "", host)
    return host.rstrip(".") if is_domain(host) else None


def is_domain(text: str) -> bool:
    """Whether the whole text is a domain name (any top-level domain)."""
    if not 3 < len(text) < 254 or "." not in text or not _WHOLE_DOMAIN.fullmatch(text):
        return False
    return not text.rsplit(".", 1)[-1].isdigit()


def domains_in(text: str) -> list[str]:
    """Domain names in free text: only under well-known top-level domains, so that file names aren't taken for them."""
    if "." not in text:
        return []
    found = [match.group() for match in _DOMAIN.finditer(text)]
    return [name for name in found if name.rsplit(".", 1)[1].lower() in _TLDS and not _CODE.match(name)]


_CODE: Final = re.compile(r"[A-Z][a-z]\w*\.[A-Z][a-z]\w*$")
"""Class.Method, as in System.Net."""


def emails_in(text: str) -> list[str]:
    """The e-mail addresses in a text."""
    return _EMAIL.findall(text) if "@" in text else []


def hashes_in(text: str, *, labelled_only: bool) -> list[str]:
    """MD5, SHA-1 and SHA-256 in a text; those of the empty file are left out, they name nothing."""
    found = (_LABELLED_HASH if labelled_only else _HASH).findall(text) if len(text) >= 32 else []
    return [digest for digest in found if digest.lower() not in _EMPTY_FILE and len(set(digest)) > 4]


def access_keys_in(text: str) -> list[str]:
    """AWS access key ids."""
    return _ACCESS_KEY.findall(text) if "AKIA" in text or "ASIA" in text else []


def arns_in(text: str) -> list[tuple[str, str, str]]:
    """ARNs in a text: (whole ARN, account or "", resource part)."""
    if "arn:aws" not in text:
        return []
    return [(match.group().rstrip(".)"), match.group(1) or "", match.group(2)) for match in _ARN.finditer(text)]


def instances_in(text: str) -> list[str]:
    """EC2 instance ids."""
    return _INSTANCE.findall(text) if "i-" in text else []


def message_ids_in(text: str) -> list[str]:
    """Message-IDs of RFC 5322, without the angle brackets."""
    return _MESSAGE_ID.findall(text) if "<" in text else []


def without_urls(text: str) -> str:
    """The text with its URLs blanked out."""
    return _URL.sub(" ", text) if "://" in text else text
