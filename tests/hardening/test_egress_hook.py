"""The hook, in processes of their own: it can't be removed, and this one should not have it."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

PRELUDE = """
import _socket, asyncio, json, socket, sys, threading
names = {"good.example": ["203.0.113.7"], "rebound.example": ["8.8.8.8"], "evil.example": ["203.0.113.9"]}
asked = []
def resolver(host, port, *more):
    asked.append(host)
    host = host.decode() if isinstance(host, bytes) else host
    found = names.get(host, [host] if host and host[0].isdigit() or host and ":" in host else ["127.0.0.1"] if host == "localhost" else None)
    if found is None: raise socket.gaierror(-2, "unknown")
    return [(socket.AF_INET6 if ":" in a else socket.AF_INET, 1, 6, "", (a, port or 0)) for a in found]
_socket.getaddrinfo = resolver
from aegis_agents.errors import EgressRefused
from aegis_agents.hardening.egress import enforce, enforced
from aegis_agents.settings import only
def settings(**h): return only(hardening=h)
def refused(f, *a, **k):
    try: f(*a, **k)
    except EgressRefused: return True
    except OSError: return False
    return False
def tcp(*a):
    with socket.socket() as s:
        s.settimeout(0.05); s.connect(a)
def tcp6(*a):
    with socket.socket(socket.AF_INET6) as s:
        s.settimeout(0.05); s.connect(a)
def udp(*a):
    with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendto(b"x", a)
def udpmsg(*a):
    with socket.socket(type=socket.SOCK_DGRAM) as s: s.sendmsg([b"x"], [], 0, a)
listener = socket.create_server(("127.0.0.1", 0)); here = listener.getsockname()[1]
out = {}
"""


def run(code: str) -> dict[str, Any]:
    script = PRELUDE + textwrap.dedent(code) + "\nprint(json.dumps(out))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    return dict(json.loads(done.stdout.splitlines()[-1]))


def test_what_is_not_allowed_is_refused_by_every_way_there_is() -> None:
    out = run("""
        e = enforce(settings(egress_allow=["good.example"]))
        out["name"] = refused(socket.create_connection, ("evil.example", 443), 0.05)
        out["never asked"] = "evil.example" not in asked
        out["bytes"] = refused(socket.getaddrinfo, b"evil.example", 443)
        out["scope"] = refused(socket.getaddrinfo, "127.0.0.1%told.evil.example", 443) and not any("told" in str(a) for a in asked)
        out["gethostbyname"] = refused(socket.gethostbyname, "evil.example")
        out["gethostbyname_ex"] = refused(socket.gethostbyname_ex, "evil.example")
        out["address"] = refused(tcp, "203.0.113.9", 443)
        out["connect_ex"] = refused(lambda: socket.socket().connect_ex(("203.0.113.9", 443)))
        out["udp"] = refused(udp, "203.0.113.9", 53)
        out["sendmsg"] = refused(udpmsg, "203.0.113.9", 53)
        out["mapped"] = refused(tcp6, "::ffff:203.0.113.9", 443)
        out["nat64"] = refused(tcp6, "64:ff9b::203.0.113.9", 443)
        from aegis_agents.hardening.egress import _hook  # the kernel's own look-up of this name would fail here
        out["by name"] = refused(_hook, "socket.connect", (socket.socket(), ("good.example", 443)))
        out["reverse"] = refused(socket.gethostbyaddr, "203.0.113.9") and refused(socket.getnameinfo, ("203.0.113.9", 1), 0)
        async def stream(): await asyncio.open_connection("evil.example", 443)
        out["asyncio"] = refused(lambda: asyncio.run(stream()))
        import urllib.request, urllib.error
        try: urllib.request.urlopen("http://evil.example/", timeout=1); out["urllib"] = False
        except urllib.error.URLError as error: out["urllib"] = isinstance(error.reason, EgressRefused)
        import httpx
        try: httpx.get("http://evil.example/", timeout=1, trust_env=False); out["httpx"] = False
        except httpx.ConnectError: out["httpx"] = True
        box = []
        t = threading.Thread(target=lambda: box.append(refused(tcp, "203.0.113.9", 1))); t.start(); t.join()
        out["thread"] = box[0]
        out["counted"] = e.refusals.total >= 15
    """)
    assert out == dict.fromkeys(out, True)


def test_what_is_allowed_goes_on() -> None:
    out = run("""
        import os, tempfile
        e = enforce(settings(egress_allow=["good.example:443"]))
        out["loopback"] = not refused(tcp, "127.0.0.1", here) and not refused(socket.create_connection, ("localhost", here))
        out["unspecified"] = not refused(tcp, "0.0.0.0", here)
        out["not before it is asked for"] = refused(tcp, "203.0.113.7", 443)
        out["allowed"] = not refused(socket.create_connection, ("GOOD.example.", 443), 0.05)
        names["GOOD.example."] = names["good.example"]
        out["allowed"] = not refused(socket.create_connection, ("GOOD.example.", 443), 0.05)
        out["port"] = refused(tcp, "203.0.113.7", 22)
        out["literal"] = not refused(socket.getaddrinfo, "198.51.100.1", 80)
        with tempfile.TemporaryDirectory() as folder:
            a = socket.socket(socket.AF_UNIX); a.bind(folder + "/s"); a.listen()
            b = socket.socket(socket.AF_UNIX); b.connect(folder + "/s"); b.sendmsg([b"x"])
            out["unix"] = True
        left, right = socket.socketpair(); left.sendall(b"x"); out["pair"] = right.recv(1) == b"x"
        out["server"] = socket.create_server(("127.0.0.1", 0)).getsockname()[1] > 0
    """)
    assert out == dict.fromkeys(out, True)


def test_rebinding_is_refused_and_reported_as_such() -> None:
    out = run("""
        e = enforce(settings(egress_allow=["rebound.example"]))
        out["first"] = [a[4][0] for a in socket.getaddrinfo("rebound.example", 443)] == ["8.8.8.8"]
        names["rebound.example"] = ["10.0.0.5"]
        out["rebound"] = refused(socket.create_connection, ("rebound.example", 443), 0.05)
        names["rebound.example"] = ["127.0.0.1"]
        out["to this machine"] = refused(socket.create_connection, ("rebound.example", here), 0.05)
        names["rebound.example"] = ["8.8.4.4", "10.0.0.5"]
        out["the good answer stays"] = [a[4][0] for a in socket.getaddrinfo("rebound.example", 443)] == ["8.8.4.4"]
        out["the other not"] = refused(tcp, "10.0.0.5", 443)
        out["said"] = any("10.0.0.5" in name for name, _ in e.refusals.due())
    """)
    assert out == dict.fromkeys(out, True)


def test_several_in_a_process_and_lifting() -> None:
    """What one of them allows is allowed; lifted, it counts no more; with none left, the process is as it was."""
    out = run("""
        out["open is none"] = enforce(settings(egress="open")) is None
        before = refused(tcp, "203.0.113.9", 443)
        one = enforce(settings(egress_allow=["203.0.113.9"]))
        two = enforce(settings(egress_allow=["203.0.113.7"]))
        out["both"] = not before and not refused(tcp, "203.0.113.9", 1) and not refused(tcp, "203.0.113.7", 1)
        one.lift(); one.lift()
        out["lifted"] = refused(tcp, "203.0.113.9", 1) and not refused(tcp, "203.0.113.7", 1)
        out["told"] = two.refusals.total == 1 and one.refusals.total == 0
        two.lift()
        out["none"] = not refused(tcp, "203.0.113.9", 1)
        with enforced(settings()) as three: out["block"] = refused(tcp, "203.0.113.9", 1)
        out["after"] = not refused(tcp, "203.0.113.9", 1)
        listed = enforce(settings(egress="listed"))
        out["listed: not this machine"] = refused(tcp, "127.0.0.1", here) and refused(socket.create_connection, ("localhost", here))
        listed.lift(); listed = enforce(settings(egress="listed", egress_allow=["localhost", "127.0.0.1"]))
        out["listed: named"] = not refused(socket.create_connection, ("localhost", here))
    """)
    assert out == dict.fromkeys(out, True)


def test_families_that_nobody_asked_for_are_refused() -> None:
    if not hasattr(__import__("socket"), "AF_VSOCK"):
        pytest.skip("no AF_VSOCK here")
    out = run("""
        e = enforce(settings())
        try: sock = socket.socket(socket.AF_VSOCK)
        except OSError: out["vsock"] = True
        else: out["vsock"] = refused(sock.connect, (2, 1))
    """)
    assert out == {"vsock": True}


def test_an_alert_that_names_hosts_makes_nobody_ask_for_them(built_home: Path) -> None:
    """A whole investigation of an alert full of names and URLs, with the policy in force: nothing is refused, nothing asked."""
    out = run(
        f"home = {str(built_home)!r}\n"
        + textwrap.dedent("""
        import warnings
        warnings.simplefilter("ignore")
        from aegis_agents import Aegis
        alert = {"title": "beacon to http://evil.example/x", "url": "https://evil.example/", "dst_ip": "203.0.113.9", "user": "a@evil.example"}
        with enforced(settings()) as e:
            with Aegis(settings=only(home=home)) as aegis: out["verdict"] = bool(aegis.investigate(alert).verdict)
            out["nothing"] = e.refusals.total == 0 and not [a for a in asked if "evil" in str(a)]
    """)
    )
    assert out == {"verdict": True, "nothing": True}
