"""Values that are no sign of an attack wherever they are seen: facts that hold without any warning list.

Addresses of public resolvers, networks of two content delivery networks (as Cloudflare and Fastly publish
them), names under which providers host everybody's content, digests of the empty file. Few and stable on
purpose: whatever changes belongs into a warning list that is synced.
"""

from __future__ import annotations

import hashlib
import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit

from aegis_agents.intel.indicators import Indicator

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_RESOLVER_LIST = """
8.8.8.8 8.8.4.4 2001:4860:4860::8888 2001:4860:4860::8844 1.1.1.1 1.0.0.1 1.1.1.2 1.0.0.2 1.1.1.3 1.0.0.3
2606:4700:4700::1111 2606:4700:4700::1001 9.9.9.9 149.112.112.112 9.9.9.10 149.112.112.10 9.9.9.11 149.112.112.11
2620:fe::fe 2620:fe::9 208.67.222.222 208.67.220.220 208.67.222.123 208.67.220.123 2620:119:35::35 2620:119:53::53
94.140.14.14 94.140.15.15 185.228.168.9 185.228.169.9 4.2.2.1 4.2.2.2 4.2.2.3 4.2.2.4 4.2.2.5 4.2.2.6
64.6.64.6 64.6.65.6 77.88.8.8 77.88.8.1 114.114.114.114 223.5.5.5 223.6.6.6 119.29.29.29 84.200.69.80 84.200.70.40
"""
_RESOLVERS = frozenset(_RESOLVER_LIST.split())

_DELIVERY_LIST = """
173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20
188.114.96.0/20 197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13
131.0.72.0/22 2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29
2c0f:f248::/32 23.235.32.0/20 43.249.72.0/22 103.244.50.0/24 103.245.222.0/23 103.245.224.0/24 104.156.80.0/20
140.248.64.0/18 140.248.128.0/17 146.75.0.0/17 151.101.0.0/16 157.52.64.0/18 167.82.0.0/17 167.82.128.0/20
167.82.160.0/20 167.82.224.0/20 172.111.64.0/18 185.31.16.0/22 199.27.72.0/21 199.232.0.0/16 2a04:4e40::/32
"""
_DELIVERY = tuple(ipaddress.ip_network(n) for n in _DELIVERY_LIST.split())

_EXAMPLES = tuple(
    ipaddress.ip_network(n) for n in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")
)
"""For documentation (RFC 5737, RFC 3849): nobody meets them, so they do no harm, and examples need them."""

_SHARED_LIST = """
amazonaws.com s3.amazonaws.com cloudfront.net elasticbeanstalk.com akamaiedge.net akamai.net edgekey.net
edgesuite.net akamaized.net azureedge.net azurewebsites.net windows.net blob.core.windows.net cloudapp.net
trafficmanager.net cloudflare.net workers.dev pages.dev fastly.net fastlylb.net googleapis.com googleusercontent.com
gstatic.com appspot.com run.app web.app firebaseapp.com blogspot.com github.io githubusercontent.com gitlab.io
herokuapp.com netlify.app vercel.app onrender.com ngrok.io wordpress.com weebly.com wixsite.com myshopify.com
sharepoint.com duckdns.org no-ip.org ddns.net dyndns.org
google.com microsoft.com windowsupdate.com microsoftonline.com office.com office365.com live.com apple.com icloud.com
github.com cloudflare.com amazon.com mozilla.org wikipedia.org
"""
SHARED_HOSTS = frozenset(_SHARED_LIST.split())
"""Of these names themselves, not of what customers put below them."""

_SECOND_LEVEL = frozenset(
    ("co", "com", "net", "org", "edu", "gov", "gob", "gouv", "mil", "ac", "go", "or", "ne", "nom", "sch", "id")
)
_EMPTY_FILE = frozenset(hashlib.new(name, b"", usedforsecurity=False).hexdigest() for name in ("md5", "sha1", "sha256"))


def harmless(indicator: Indicator) -> str | None:
    """Why a value is never an indicator, None if nothing is known that would say so."""
    kind, value = indicator
    if kind == "url":
        return _url(value)
    if kind == "ip":
        return _address(value)
    if kind == "net":
        return _network(ipaddress.ip_network(value))
    if kind == "domain":
        return domain(value)
    if kind in ("md5", "sha1", "sha256"):
        if value in _EMPTY_FILE:
            return "is the digest of the empty file"
        return "is no digest of any file" if len(set(value)) == 1 else None
    return None


def domain(name: str) -> str | None:
    """Why a domain is nobody's own, None if it may be somebody's."""
    labels = name.split(".")
    if name in SHARED_HOSTS or name.removeprefix("www.") in SHARED_HOSTS:
        return "is a provider's name that everybody uses"
    if len(labels) == 2 and len(labels[1]) == 2 and labels[0] in _SECOND_LEVEL:
        return "is a public suffix"
    if labels[-1] in ("local", "localhost", "internal", "lan", "home", "arpa"):
        return "is a name of local use"
    return None


@lru_cache(maxsize=4096)
def _address(value: str) -> str | None:
    address = ipaddress.ip_address(value)
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return _address(str(address.ipv4_mapped))  # "::ffff:8.8.8.8", as servers of both versions log it
    if any(address in n for n in _EXAMPLES):
        return None
    if not address.is_global or address.is_multicast:
        return "is a private, reserved or multicast address"
    if value in _RESOLVERS:
        return "is a public resolver"
    inside = next((n for n in _DELIVERY if address.version == n.version and address in n), None)
    return f"is in a content delivery network ({inside})" if inside else None


def _network(network: Network) -> str | None:
    if any(network.version == n.version and network.subnet_of(n) for n in _EXAMPLES):  # type: ignore[arg-type]
        return None
    if not network.is_global or network.is_multicast:
        return "is a private, reserved or multicast network"
    for resolver in _RESOLVERS:
        if ipaddress.ip_address(resolver) in network:
            return f"holds the public resolver {resolver}"
    for other in _DELIVERY:
        if other.version == network.version and other.overlaps(network):
            return f"overlaps a content delivery network ({other})"
    return None


def _url(value: str) -> str | None:
    """A URL is its host's where it names nothing on it; what lies on a shared host may well be hostile."""
    parts = urlsplit(value)
    host = parts.hostname or ""
    bare = parts.path in ("", "/") and not parts.query
    try:
        why = _address(str(ipaddress.ip_address(host)))
    except ValueError:
        return domain(host) if bare else None
    return why if bare or why is None or "delivery" not in why else None
