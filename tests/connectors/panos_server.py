"""A PAN-OS firewall's XML API on loopback, over TLS: parses every command, and refuses what it doesn't know.

Requests come from the real SDK. There is no published schema of the XML API; what is checked here is what
Palo Alto's API guide and SDK say of these commands: element names, their order, the forms of xpaths.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape, quoteattr

from tests.connectors.loopback import Answer, Request, Vendor

KEY = "LUFRPT1YbGtQclE4testsKEY9xQ2VzT0E9PQ=="
ADMIN, TAG, CATEGORY = "aegis-api", "aegis-blocked", "aegis-blocked-domains"
_CATEGORY_PATH = (
    "/config/devices/entry[@name='localhost.localdomain']/vsys/entry[@name='vsys1']"
    f"/profiles/custom-url-category/entry[@name='{CATEGORY}']"
)
_MEMBER = re.compile(r"/list/member\[text\(\)='([^']*)'\]")


class Panos(Vendor):
    """Tags by address; a URL category in the running and the candidate configuration; commit jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: dict[str, set[str]] = {"198.51.100.200": {"quarantine"}}
        self.filter = f"'{TAG}' or 'quarantine'"
        self.running, self.candidate = ["bystander.example/"], ["bystander.example/"]
        self.has_category = True
        self.unfinished_of_others = "half-done.example/"
        self.jobs: list[dict[str, Any]] = []
        self.fails = self.slow = False
        self.locked = ""
        self.touched: set[str] = set()
        self.refusal = Answer(403, xml("error", f"<msg>Invalid Credential {KEY}</msg>", code=403), TYPE)

    def answer(self, request: Request) -> Answer:
        assert (request.method, request.path, request.query) == ("POST", "/api/", ())
        form = dict(parse_qsl(request.body.decode(), keep_blank_values=True, strict_parsing=True))
        assert form.pop("key") == KEY
        assert "target" not in form, "sent on to another device"
        if self.denied:
            return self.refusal
        kind = form.pop("type")
        if kind == "config":
            return self.config(form)
        assert form.pop("vsys", "vsys1") == "vsys1"
        command = ET.fromstring(form.pop("cmd"))
        assert form == {}, form
        known = {"op": self.op, "user-id": self.user_id, "commit": self.commit}
        return known[kind](command)

    def busy(self) -> Answer:
        return Answer(429, xml("error", "<msg>Too many requests</msg>"), TYPE)

    def op(self, command: ET.Element) -> Answer:
        match [one.tag for one in command.iter()]:
            case ["show", "system", "info"]:
                facts = {"hostname": "fw", "sw-version": "11.1.4", "app-version": "8700-1", "model": "PA-440"}
                facts |= {"serial": "0", "multi-vsys": "off", "vm-license": "none", "platform-family": "400"}
                return ok(f"<system>{''.join(f'<{k}>{v}</{k}>' for k, v in facts.items())}</system>")
            case ["show", "object", "registered-ip", "limit", "start-point", "tag", "entry", "ip"]:
                wanted, tag = command.findtext(".//ip"), command.find(".//entry").get("name")  # type: ignore[union-attr]
                found = [ip for ip, tags in self.tags.items() if ip == wanted and tag in tags]
                members = f"<tag><member>{escape(str(tag))}</member></tag>"
                return ok("".join(f"<entry ip={quoteattr(ip)}>{members}</entry>" for ip in found))
            case ["show", "object", "dynamic-address-group", "name"]:
                if command.findtext(".//name") != TAG:
                    return ok("<dyn-addr-grp/>")
                inner = f"<vsys>vsys1</vsys><group-name>{TAG}</group-name><filter>{escape(self.filter)}</filter>"
                return ok(f"<dyn-addr-grp><entry>{inner}<member-list/></entry></dyn-addr-grp>")
            case ["show", "jobs", "id"]:
                return self.job(int(command.findtext(".//id") or ""))
        raise AssertionError(f"no such command: {ET.tostring(command)!r}")

    def user_id(self, message: ET.Element) -> Answer:
        tags = [one.tag for one in message.iter()]
        assert tags[:4] == ["uid-message", "version", "type", "payload"], tags
        assert tags[5:] == ["entry", "tag", "member"], tags
        assert (message.findtext("version"), message.findtext("type")) == ("1.0", "update")
        verb, entry, tag = tags[4], message.find(".//entry"), message.findtext(".//member")
        assert entry is not None
        assert tag is not None
        ip = str(ipaddress.ip_address(entry.attrib["ip"]))
        assert verb in ("register", "unregister")
        there = tag in self.tags.get(ip, ())
        if there == (verb == "register"):
            said = f"tag {tag} already exists, ignore" if there else "does not exist, ignore unreg"
            inner = f"<{verb}><entry ip={quoteattr(ip)} message={quoteattr(said)}/></{verb}>"
            return Answer(
                200,
                xml("error", f"<msg><line><uid-response><payload>{inner}</payload></uid-response></line></msg>"),
                TYPE,
            )

        def do() -> bool:
            self.touched.add(ip)
            (self.tags.setdefault(ip, set()).add if verb == "register" else self.tags[ip].discard)(tag)
            return verb == "register"

        return self.change(do, ok(""))

    def config(self, form: dict[str, str]) -> Answer:
        path, action = form["xpath"], form["action"]
        assert path.startswith(_CATEGORY_PATH), path
        rest = path.removeprefix(_CATEGORY_PATH)
        if action in ("get", "show"):
            assert (rest, set(form)) == ("", {"action", "xpath"})
            if not self.has_category:
                if action == "show":
                    return Answer(200, xml("error", "<msg><line>No such node</line></msg>"), TYPE)
                return Answer(200, xml("success", "<result/>", code=7), TYPE)
            shown = self.running if action == "show" else [*self.candidate, self.unfinished_of_others]
            members = "".join(f"<member>{escape(one)}</member>" for one in shown)
            return ok(f"<entry name='{CATEGORY}'><list>{members}</list><type>URL List</type></entry>")
        if self.locked:
            return Answer(200, xml("error", f"<msg><line>Configuration is locked by {self.locked}</line></msg>"), TYPE)
        if action == "set":
            assert rest == "/list"
            element = ET.fromstring(form["element"])
            assert (element.tag, len(element), element.attrib) == ("member", 0, {})
            entry = element.text or ""
        else:
            found = _MEMBER.fullmatch(rest)
            assert found, path
            assert action == "delete"
            entry = found[1]

        def do() -> bool:
            self.touched.add(entry.rstrip("/"))
            if action == "set" and entry not in self.candidate:
                self.candidate.append(entry)
            elif action == "delete":
                self.candidate.remove(entry)
            return False  # nothing is in effect before it is committed

        return self.change(do, Answer(200, xml("success", "<msg>command succeeded</msg>", code=20), TYPE))

    def commit(self, command: ET.Element) -> Answer:
        assert [one.tag for one in command.iter()] == ["commit", "description", "partial", "admin", "member"]
        assert command.findtext("partial/admin/member") == ADMIN, "commits what others are working on"
        if any(not job["done"] for job in self.jobs):
            return Answer(
                200, xml("error", "<msg><line>A commit is in progress. Please try again later</line></msg>"), TYPE
            )
        if self.candidate == self.running:
            return Answer(200, xml("success", "<msg>There are no changes to commit.</msg>", code=13), TYPE)
        number = len(self.jobs) + 1
        inner = f"<result><msg><line>Commit job enqueued with jobid {number}</line></msg><job>{number}</job></result>"

        def do() -> bool:
            self.jobs.append({"done": not self.slow, "looks": 0, "ok": not self.fails})
            return not self.fails and not self.slow and self.go_live()

        return self.change(do, Answer(200, xml("success", inner, code=19), TYPE))

    def go_live(self) -> bool:
        more = len(self.candidate) > len(self.running)
        self.running = list(self.candidate)
        return more

    def finish(self) -> None:
        """The slow commit ends well."""
        self.slow, self.jobs[-1]["done"] = False, True
        self.effects += self.go_live()

    def job(self, number: int) -> Answer:
        job = self.jobs[number - 1]
        job["looks"] += 1
        if not job["done"] or job["looks"] < 2:
            return ok(f"<job><id>{number}</id><status>ACT</status><result>PEND</result><progress>55</progress></job>")
        said = "Configuration committed successfully" if job["ok"] else "rule 7 names an address that is not there"
        inner = f"<details><line>{said}</line></details>"
        return ok(
            f"<job><id>{number}</id><status>FIN</status><result>{'OK' if job['ok'] else 'FAIL'}</result>{inner}</job>"
        )


TYPE = {"Content-Type": "application/xml; charset=UTF-8"}


def xml(status: str, inner: str, code: int | None = None) -> bytes:
    """A response as the firewall writes it."""
    return f"<response status='{status}'{f' code={chr(39)}{code}{chr(39)}' if code else ''}>{inner}</response>".encode()


def ok(result: str) -> Answer:
    """A success with a result."""
    return Answer(200, xml("success", f"<result>{result}</result>"), TYPE)


def certificate(folder: Path, name: str = "127.0.0.1") -> tuple[str, str]:
    """A self-signed certificate for an address, as firewalls have: (file of the certificate, file of the key)."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(name))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / f"{name}.crt", folder / f"{name}.key"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    secret.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return str(chain), str(secret)
