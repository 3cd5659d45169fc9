"""Addresses and names that everybody uses: an attack may go through one, and blocking it breaks everyone else.

Public resolvers, networks of two content delivery networks (as Cloudflare and Fastly publish them), names of services,
and names under which providers host everybody's content or mail. Few and stable on purpose: whatever changes belongs
into a warning list that is synced. Intelligence asks here for what is no indicator, the gate for what is not blocked alone.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_RESOLVER_LIST: Final = """
8.8.8.8 8.8.4.4 2001:4860:4860::8888 2001:4860:4860::8844 1.1.1.1 1.0.0.1 1.1.1.2 1.0.0.2 1.1.1.3 1.0.0.3
2606:4700:4700::1111 2606:4700:4700::1001 9.9.9.9 149.112.112.112 9.9.9.10 149.112.112.10 9.9.9.11 149.112.112.11
2620:fe::fe 2620:fe::9 208.67.222.222 208.67.220.220 208.67.222.123 208.67.220.123 2620:119:35::35 2620:119:53::53
94.140.14.14 94.140.15.15 185.228.168.9 185.228.169.9 4.2.2.1 4.2.2.2 4.2.2.3 4.2.2.4 4.2.2.5 4.2.2.6 64.6.64.6
64.6.65.6 77.88.8.8 77.88.8.1 114.114.114.114 223.5.5.5 223.6.6.6 119.29.29.29 84.200.69.80 84.200.70.40
"""
RESOLVERS: Final = frozenset(ipaddress.ip_address(text) for text in _RESOLVER_LIST.split())

_DELIVERY_LIST: Final = """
173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20
188.114.96.0/20 197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13
131.0.72.0/22 2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29
2c0f:f248::/32 23.235.32.0/20 43.249.72.0/22 103.244.50.0/24 103.245.222.0/23 103.245.224.0/24 104.156.80.0/20
140.248.64.0/18 140.248.128.0/17 146.75.0.0/17 151.101.0.0/16 157.52.64.0/18 167.82.0.0/17 167.82.128.0/20
167.82.160.0/20 167.82.224.0/20 172.111.64.0/18 185.31.16.0/22 199.27.72.0/21 199.232.0.0/16 2a04:4e40::/32
"""
DELIVERY: Final = tuple(ipaddress.ip_network(text) for text in _DELIVERY_LIST.split())

_SERVICE_LIST: Final = """
accounts.google.com amazon.com amazonaws.com api.github.com apple.com aws.amazon.com azure.com cloudflare-dns.com
cloudflare.com cloudfront.net dns.google dns.quad9.net doh.opendns.com github.com google.com googleapis.com
graph.microsoft.com gstatic.com icloud.com live.com login.live.com login.microsoft.com login.microsoftonline.com
login.windows.net management.azure.com microsoft.com microsoftonline.com office.com office365.com okta.com
one.one.one.one outlook.com outlook.office.com outlook.office365.com s3.amazonaws.com sts.amazonaws.com
teams.microsoft.com update.microsoft.com windows.com windows.net windowsupdate.com
"""
SERVICES: Final = frozenset(_SERVICE_LIST.split())
"""Names that everyone's work depends on, themselves alone: below some of them attackers keep their own."""

_PROVIDER_LIST: Final = """
akamai.net akamaiedge.net akamaized.net aol.com appspot.com azureedge.net azurewebsites.net blob.core.windows.net
blogspot.com cloudapp.net cloudflare.net ddns.net duckdns.org dyndns.org edgekey.net edgesuite.net
elasticbeanstalk.com fastly.net fastlylb.net firebaseapp.com github.io githubusercontent.com gitlab.io gmail.com
gmx.com gmx.de gmx.net googlemail.com googleusercontent.com herokuapp.com hotmail.com mail.ru mozilla.org
myshopify.com netlify.app ngrok.io no-ip.org onrender.com pages.dev proton.me protonmail.com qq.com run.app
sharepoint.com trafficmanager.net vercel.app web.app web.de weebly.com wikipedia.org wixsite.com wordpress.com
workers.dev yahoo.com yandex.ru zoho.com
"""
PROVIDERS: Final = frozenset(_PROVIDER_LIST.split())
"""Names under which customers keep their own, and of mail that everyone may have; themselves, not what lies below."""


@lru_cache(maxsize=4096)
def delivery_network(address: Address) -> str | None:
    """The range of a content delivery network that an address lies in, as text; None where in none."""
    inside = next((n for n in DELIVERY if address.version == n.version and address in n), None)
    return str(inside) if inside is not None else None
