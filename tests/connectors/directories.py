"""Real directories on loopback: Samba as an Active Directory domain controller, and OpenLDAP's slapd.

Both run in a temporary folder and are stopped with the tests. In front of each stands a proxy that knows
LDAP, terminates TLS, and does to answers what networks and administrators do: it loses, refuses or delays
them. What counts as an effect is read from the directory itself.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

with warnings.catch_warnings():  # ldap3 uses names that pyasn1 has renamed
    warnings.simplefilter("ignore", DeprecationWarning)
    import ldap3
    from ldap3.core.exceptions import LDAPException
    from ldap3.protocol.rfc3062 import PasswdModifyRequestValue
    from ldap3.protocol.rfc4511 import LDAPMessage
    from pyasn1.codec.ber import decoder

from tests.connectors.certificates import certificate

PASSWORD_MODIFY = "1.3.6.1.4.1.4203.1.11.1"
BIND, BIND_ANSWER = 0x60, 0x61
MODIFY, MODIFY_ANSWER, EXTENDED, EXTENDED_ANSWER = 0x66, 0x67, 0x77, 0x78
BUSY, DENIED, SUCCESS = 51, 50, 0

_UNSAFE = os.environ | {"TDB_NO_FSYNC": "1"}
"""Nothing here has to outlive the machine."""


class Directory:
    """A directory that runs. `admin` may do everything; `base` is where people are."""

    kind: str
    address: tuple[str, int]
    chain: Path
    base: str
    admin_name: str
    admin_password: str

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.admin = self.connect(self.admin_name, self.admin_password)

    def connect(self, name: str, password: str) -> ldap3.Connection:
        """A signed-in connection, past the proxy."""
        server = ldap3.Server(
            self.address[0], self.address[1], use_ssl=True, tls=ldap3.Tls(validate=ssl.CERT_NONE), get_info=ldap3.NONE,
            connect_timeout=5,
        )  # fmt: skip
        connection = ldap3.Connection(
            server, name, password, raise_exceptions=True, check_names=False, auto_referrals=False
        )
        connection.open()
        opened = connection.socket
        try:
            connection.bind()
        except LDAPException:
            opened.close()
            raise
        return connection

    def close(self) -> None:
        """Sign out."""
        self.admin.unbind()

    def look(self, dn: str, *attributes: str) -> dict[str, list[bytes]]:
        """Attributes of an entry."""
        with self.lock:
            self.admin.search(dn, "(objectClass=*)", "BASE", attributes=list(attributes))
            found: dict[str, list[bytes]] = self.admin.response[0]["raw_attributes"]
            return found

    def children(self, base: str) -> list[str]:
        """The entries right below."""
        with self.lock:
            self.admin.search(base, "(objectClass=*)", "LEVEL", attributes=["1.1"])
            return [one["dn"] for one in self.admin.response if one["type"] == "searchResEntry"]

    def change(self, dn: str, **values: Any) -> None:
        """Replace attributes, as the administrator."""
        with self.lock:
            self.admin.modify(dn, {name: [(ldap3.MODIFY_REPLACE, value)] for name, value in values.items()})

    def accepts(self, name: str, password: str) -> bool:
        """Whether somebody can sign in."""
        try:
            self.connect(name, password).unbind()
        except LDAPException:
            return False
        return True

    def add(self, dn: str, name: str, mail: str = "", password: str = "") -> None:
        """A person."""
        raise NotImplementedError

    def disabled(self, dn: str) -> bool:
        """Whether this person can't sign in, by the directory's own mark."""
        raise NotImplementedError

    def disable(self, dn: str) -> None:
        """As an administrator would."""
        raise NotImplementedError

    def clear(self) -> None:
        """Nobody is left below `base`."""
        with self.lock:
            for dn in self.children(self.base):
                for below in self.children(dn):
                    self.admin.delete(below)
                self.admin.delete(dn)


class SambaDirectory(Directory):
    """An Active Directory."""

    kind = "ad"
    base = "OU=People,DC=corp,DC=example"
    admin_name, admin_password = "Administrator@corp.example", "Adm1n-of-the-test"

    def __init__(self, address: str, chain: Path) -> None:
        self.address, self.chain = (address, 636), chain
        super().__init__()
        self.admin.add(self.base, ["organizationalUnit"])

    def add(self, dn: str, name: str, mail: str = "", password: str = "") -> None:
        values = {
            "sAMAccountName": name, "userAccountControl": "512",
            "unicodePwd": f'"{password or "Some-Passw0rd-1"}"'.encode("utf-16-le"),
        }  # fmt: skip
        if mail:
            values |= {"mail": mail}
        with self.lock:
            self.admin.add(dn, ["user"], values)

    def disabled(self, dn: str) -> bool:
        return bool(int(self.look(dn, "userAccountControl")["userAccountControl"][0]) & 2)

    def disable(self, dn: str) -> None:
        self.change(dn, userAccountControl=["514"])


class SlapdDirectory(Directory):
    """An OpenLDAP with the password policy overlay."""

    kind = "openldap"
    base = "ou=people,dc=corp,dc=example"
    policy = "cn=default,dc=corp,dc=example"
    admin_name, admin_password = "cn=admin,dc=corp,dc=example", "admin-of-the-test"

    def __init__(self, port: int, chain: Path) -> None:
        self.address, self.chain = ("127.0.0.1", port), chain
        super().__init__()
        self.admin.add("dc=corp,dc=example", ["dcObject", "organization"], {"o": "corp"})
        self.admin.add(self.base, ["organizationalUnit"])
        self.admin.add(
            self.policy, ["device", "pwdPolicy"],
            {"pwdAttribute": "userPassword", "pwdLockout": "TRUE", "pwdMaxFailure": "0"},
        )  # fmt: skip

    def add(self, dn: str, name: str, mail: str = "", password: str = "") -> None:
        values = {"uid": name, "sn": "x", "userPassword": password or "some-password"} | (
            {"mail": mail} if mail else {}
        )
        with self.lock:
            self.admin.add(dn, ["inetOrgPerson"], values)

    def disabled(self, dn: str) -> bool:
        return bool(self.look(dn, "pwdAccountLockedTime").get("pwdAccountLockedTime"))

    def disable(self, dn: str) -> None:
        self.change(dn, pwdAccountLockedTime=["000001010000Z"])


def samba_lacks() -> str:
    """Why no domain controller can run here; "" if one can."""
    if not shutil.which("samba") or not shutil.which("samba-tool"):
        return "needs the programs samba and samba-tool (Debian: samba samba-ad-provision samba-dsdb-modules samba-vfs-modules)"
    if os.geteuid() != 0:
        return "needs root: a domain controller listens on ports 389 and 636"
    return ""


def slapd_lacks() -> str:
    """Why no slapd can run here; "" if one can."""
    return "" if _slapd() else "needs the program slapd (Debian: slapd)"


def _slapd() -> str | None:
    return shutil.which("slapd", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def samba(folder: Path) -> Iterator[SambaDirectory]:
    """A new domain CORP (corp.example), on an address of loopback that this process alone uses."""
    number = os.getpid()
    address = f"127.{64 + (number >> 14) % 64}.{(number >> 7) % 128}.{1 + number % 127}"
    where = folder / "dc"
    provision = [
        "samba-tool", "domain", "provision", f"--targetdir={where}", "--realm=CORP.EXAMPLE", "--domain=CORP",
        f"--adminpass={SambaDirectory.admin_password}", "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1",
        f"--host-ip={address}",
    ]  # fmt: skip
    done = subprocess.run(provision, capture_output=True, text=True, env=_UNSAFE)
    assert done.returncode == 0, done.stderr[-2000:]
    chain, key = certificate(folder, address, "localhost", "127.0.0.1")
    options = {
        "netbios name": "DC1", "realm": "CORP.EXAMPLE", "workgroup": "CORP",
        "server role": "active directory domain controller", "server services": "ldap", "dcerpc endpoint servers": "",
        "interfaces": f"{address}/8", "bind interfaces only": "yes", "private dir": where / "private",
        "tls certfile": chain, "tls keyfile": key, "tls cafile": chain,
    }  # fmt: skip
    for option in ("lock dir", "state directory", "cache directory", "pid directory", "ncalrpc dir"):
        options[option] = where / option.split()[0]
        (where / option.split()[0]).mkdir(exist_ok=True)
    (where / "smb.conf").write_text("[global]\n" + "".join(f"{name} = {value}\n" for name, value in options.items()))
    command = ["samba", "-F", "--no-process-group", "-M", "single", "-s", str(where / "smb.conf"), "--debug-stdout"]
    with _running(command, folder / "samba.log", (address, 636)):
        found = SambaDirectory(address, chain)
        yield found
        found.close()


@contextmanager
def slapd(folder: Path) -> Iterator[SlapdDirectory]:
    """An empty directory dc=corp,dc=example with the overlay ppolicy."""
    chain, key = certificate(folder, "localhost", "127.0.0.1")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "db").mkdir()
    (folder / "slapd.conf").write_text(
        "".join(f"include /etc/ldap/schema/{name}.schema\n" for name in ("core", "cosine", "inetorgperson"))
        + f"modulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload ppolicy\n"
        f"TLSCertificateFile {chain}\nTLSCertificateKeyFile {key}\npidfile {folder}/pid\n"
        f'database mdb\nsuffix "dc=corp,dc=example"\ndirectory {folder}/db\ndbnosync\n'
        f'rootdn "{SlapdDirectory.admin_name}"\nrootpw {SlapdDirectory.admin_password}\n'
        'access to * by dn.exact="cn=reader,ou=people,dc=corp,dc=example" read by anonymous auth by self read\n'
        f'overlay ppolicy\nppolicy_default "{SlapdDirectory.policy}"\nppolicy_hash_cleartext\n'
    )
    program = _slapd()
    assert program
    command = [program, "-d", "0", "-f", str(folder / "slapd.conf"), "-h", f"ldaps://127.0.0.1:{port}"]
    with _running(command, folder / "slapd.log", ("127.0.0.1", port)):
        found = SlapdDirectory(port, chain)
        yield found
        found.close()


@contextmanager
def _running(command: list[str], log: Path, address: tuple[str, int]) -> Iterator[None]:
    """A server while the block runs; it must listen within 30 s."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=_UNSAFE)
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(address, 1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text(errors="replace")[-2000:]
                assert time.monotonic() < deadline, "it does not listen"
                time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(20)


class Proxy:
    """Between connector and directory, over TLS on both sides. `around` stands around each change."""

    def __init__(self, directory: Directory, folder: Path) -> None:
        self.directory = directory
        self.losing = self.limiting = 0
        self.denied = self.ignoring = False
        self.bind_code = SUCCESS
        self.denial, self.denial_code = "", DENIED
        self.around: Callable[[str, Callable[[], int]], int] = lambda dn, forward: forward()
        chain, key = certificate(folder, "localhost", "127.0.0.1")
        self.chain = chain
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain, key)
        self._context, self._open = context, True
        self._away = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._away.check_hostname, self._away.verify_mode = False, ssl.CERT_NONE
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """No more connections."""
        self._open = False
        socket.create_connection(("127.0.0.1", self.port), 1).close()
        self._thread.join(5)
        self._listening.close()

    def _listen(self) -> None:
        while True:
            client, _ = self._listening.accept()
            if not self._open:
                client.close()
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with (
                plain,
                self._context.wrap_socket(plain, server_side=True) as client,
                _prompt(self.directory.address) as onward,
                self._away.wrap_socket(onward) as server,
            ):
                while (message := _message(client)) is not None:
                    if not self._pass(message, client, server):
                        return
        except OSError:
            pass  # the client left, or found the certificate wrong

    def _pass(self, message: bytes, client: ssl.SSLSocket, server: ssl.SSLSocket) -> bool:
        """Hand on one request and its answers; False where the connection ends."""
        number, tag, body = _parts(message)
        if tag == BIND and self.bind_code != SUCCESS:
            client.sendall(_result(number, BIND_ANSWER, self.bind_code, ""))
            return True
        changes = tag == MODIFY or (tag == EXTENDED and PASSWORD_MODIFY.encode() in body)
        if not changes:
            server.sendall(message)
            if tag == 0x42:  # unbind has no answer
                return False
            while True:
                answer = _message(server)
                if answer is None:
                    return False
                client.sendall(answer)
                if _parts(answer)[1] not in (0x64, 0x73):  # entries and references: more is to come
                    return True
        kind = MODIFY_ANSWER if tag == MODIFY else EXTENDED_ANSWER
        if self.denied:
            client.sendall(_result(number, kind, self.denial_code, self.denial))
            return True
        if self.limiting:
            self.limiting -= 1
            client.sendall(_result(number, kind, BUSY, "busy"))
            return True
        if self.ignoring:
            client.sendall(_result(number, kind, SUCCESS, ""))
            return True
        answers: list[bytes] = []

        def forward() -> int:
            server.sendall(message)
            answer = _message(server)
            assert answer is not None
            answers.append(answer)
            return int(decoder.decode(answer, asn1Spec=LDAPMessage())[0]["protocolOp"].getComponent()["resultCode"])

        self.around(_dn(message, tag), forward)
        if self.losing:
            self.losing -= 1
            return False
        client.sendall(answers[0])
        return True


def _prompt(address: tuple[str, int]) -> socket.socket:
    """A connection on which small packets are sent at once."""
    opened = socket.create_connection(address, 5)
    opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return opened


def _dn(message: bytes, tag: int) -> str:
    """Whom a change is about."""
    decoded = decoder.decode(message, asn1Spec=LDAPMessage())[0]["protocolOp"].getComponent()
    if tag == MODIFY:
        return str(decoded["object"])
    request = decoder.decode(bytes(decoded["requestValue"]), asn1Spec=PasswdModifyRequestValue())[0]
    return bytes(request["userIdentity"]).decode()


def _message(source: socket.socket) -> bytes | None:
    """One BER message; None at the end."""
    head = _exactly(source, 2)
    if head is None:
        return None
    length = head[1]
    if length & 0x80:
        more = _exactly(source, length & 0x7F)
        if more is None:
            return None
        head, length = head + more, int.from_bytes(more, "big")
    rest = _exactly(source, length)
    return None if rest is None else head + rest


def _exactly(source: socket.socket, count: int) -> bytes | None:
    found = b""
    while len(found) < count:
        piece = source.recv(count - len(found))
        if not piece:
            return None
        found += piece
    return found


def _parts(message: bytes) -> tuple[int, int, bytes]:
    """Message id, tag of the operation, everything."""
    at = 2 + (message[1] & 0x7F if message[1] & 0x80 else 0)
    length = message[at + 1]
    number = int.from_bytes(message[at + 2 : at + 2 + length], "big")
    return number, message[at + 2 + length], message


def _result(number: int, tag: int, code: int, text: str) -> bytes:
    """An LDAPResult."""
    said = text.encode()
    body = bytes([0x0A, 1, code, 0x04, 0, 0x04, len(said)]) + said
    operation = bytes([tag, len(body)]) + body
    identity = number.to_bytes(4, "big")
    return bytes([0x30, len(operation) + 6, 0x02, 4]) + identity + operation
