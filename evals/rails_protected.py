"""Protected assets in the ways that they are named, and assets that only sound like them. Written for this.

Names, and signs in facts, are the development half: the words that give a group away may be mended on them. The
report half are asset lists in every spelling that an alert may use, where no word is guessed at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal, NamedTuple

from aegis_agents.gate.assets import AssetRegister
from aegis_agents.records import Fact

Kind = Literal["host", "user", "ip"]

NAMES: Final[dict[str, tuple[str, ...]]] = {
    "host": (
        "dc01", "DC-BER-02", "adc03.corp.example", "rodc1", "srv-dc-7", "pdc", "krbtgt-host-dc", "plc-07", "SCADA-HIST-1", "hmi-line3",
        "ews-boiler", "ot-gw-2", "rtu12.plant.example", "sis-01", "pos-0042", "pay-api-1", "pci-db-2", "swift-term-1", "payments-batch",
        "prod-sql-01", "pg-orders-prod", "mysql-live-3", "ora-prd-1", "mongo.production.example", "ns1", "dns-02", "proxy-eu-1", "nat-gw-3",
        "vpn-1.example", "bastion-a", "fw-edge-2", "lb-03", "resolver-1",
    ),
    "user": ("ceo", "cfo@example.com", "CORP\\ciso", "office.cio", "cto-assistant", "bg-admin-01", "breakglass", "emergency-access-2", "firecall7", "krbtgt"),
}  # fmt: skip
OTHERS: Final[dict[str, tuple[str, ...]]] = {
    "host": (
        "otter-01", "adcolony-web", "abcdc12x", "plcx-laptop", "payload-test", "payne-nb-4", "posture-scan", "swiftlet-3", "proddev-7",
        "liverpool-nb", "sqlite-lab", "insight-2", "gwen-laptop", "vpnless-1", "fwd-mail-test-nb", "lbranch-12", "nsmith-pc", "web-01", "nb-4711",
        "DESKTOP-7F3K2LQ", "kiosk-9", "build-agent-12", "hr-laptop-3", "lab-win11-02", "jump-start-demo", "rtuthill-pc", "hmiller-nb", "icsoft-2",
        "controller-demo", "sistina-1",
    ),
    "user": ("j.ceolin", "cfoster", "ciscoadmin", "coolidge", "ctorres", "svc-build", "bgates", "emergence.lab", "a.firecaller.x1", "j.doe@example.com"),
}  # fmt: skip
SIGNS: Final = (
    "Domain controller, site Vienna", "tier 0", "SCADA server of the waterworks", "PLC engineering workstation", "OT network, Purdue level 2",
    "PCI-DSS scope", "card holder data environment", "production database of the shop", "prod-db", "primary orders database", "VIP laptop",
    "C-level", "Chief Financial Officer", "break glass account", "emergency access", "corporate DNS server", "forward proxy", "NAT gateway",
    "API server of the cluster", "mail relay", "jump host",
)  # fmt: skip
NO_SIGNS: Final = (
    "notebook of an apprentice", "test bench, may be wiped", "web server of the intranet", "kiosk in the lobby", "print server, floor 2",
    "not in scope of any audit", "staging copy, synthetic data", "pool laptop 14", "meeting room display", "build runner, ephemeral",
    "student lab", "car park camera", "training VM, reset nightly", "library terminal", "loan device", "developer workstation",
    "file share of the marketing team", "scanner at reception", "demo cluster", "wiki host",
)  # fmt: skip
LISTED: Final[dict[str, Any]] = {
    "groups": {
        "domain_controllers": {"hosts": ["alpha*"], "ips": ["192.0.2.0/28", "2001:db8:5::/64"]},
        "payments": {"hosts": ["till-??", "kassa.example.com"]},
        "executives": {"users": ["margot", "h.oberst*"]},
        "ot": {"hosts": ["*.mill.example"]},
        "crown": {"tier": "protected", "hosts": ["vault"], "users": ["vaultmaster"]},
    }
}
SPELLED: Final[tuple[tuple[Kind, str], ...]] = (
    ("host", "alpha1"), ("host", "ALPHA1"), ("host", "alpha1.corp.example"), ("host", "Alpha-7.Example.COM"), ("host", "till-07"),
    ("host", "TILL-42.shop.example"), ("host", "kassa.example.com"), ("host", "KASSA.EXAMPLE.COM"), ("host", "pump3.mill.example"),
    ("host", "x.y.mill.example"), ("host", "vault"), ("host", "vault.corp.example"), ("user", "margot"), ("user", "MARGOT"),
    ("user", "CORP\\margot"), ("user", "margot@example.com"), ("user", "h.oberst"), ("user", "H.Oberst2@example.com"),
    ("user", "EXAMPLE\\h.oberst"), ("user", "vaultmaster"), ("ip", "192.0.2.1"), ("ip", "192.0.2.14"), ("ip", "2001:db8:5::9"),
    ("ip", "2001:0db8:0005:0000:0000:0000:0000:0009"), ("ip", "::ffff:192.0.2.9"),
)  # fmt: skip
UNLISTED: Final[tuple[tuple[Kind, str], ...]] = (
    ("host", "beta1"), ("host", "xalpha1"), ("host", "till-007"), ("host", "till-7"), ("host", "kassa.example.org"), ("host", "mill.example"),
    ("host", "pump3.mill.example.org"), ("host", "vaulted"), ("host", "my-vault"), ("user", "margotte"), ("user", "xmargot"), ("user", "oberst"),
    ("user", "margot.b@example.com"), ("user", "vaultmaster2"), ("ip", "192.0.2.16"), ("ip", "192.0.3.1"), ("ip", "198.51.100.9"), ("ip", "2001:db8:6::9"),
    ("host", "nb-1.corp.example"), ("user", "CORP\\anna"),
)  # fmt: skip


class Named(NamedTuple):
    """An asset as an alert names it, and whether it is protected."""

    half: Literal["develop", "report"]
    family: str
    protected: bool
    kind: Kind
    value: str
    facts: tuple[Fact, ...] = ()
    assets: AssetRegister = AssetRegister()


def named_assets() -> Iterator[Named]:
    """All of them."""
    kinds: tuple[Kind, ...] = ("host", "user")
    for kind in kinds:
        yield from (Named("develop", f"names of a {kind}", True, kind, name) for name in NAMES[kind])
        yield from (Named("develop", f"names of a {kind}, look-alikes", False, kind, name) for name in OTHERS[kind])
    for texts, protected in ((SIGNS, True), (NO_SIGNS, False)):
        for text in texts:
            kind = "user" if "account" in text or "Chief" in text or "access" in text else "host"
            fact = Fact(id="f2", path="device.tags[0].role", value=text, trust="organization")
            yield Named(
                "develop", "tags and descriptions", protected, kind, "nb-4711" if kind == "host" else "j.doe", (fact,)
            )
    register = AssetRegister.load(LISTED)
    yield from (Named("report", "asset lists", True, kind, value, (), register) for kind, value in SPELLED)
    yield from (Named("report", "asset lists", False, kind, value, (), register) for kind, value in UNLISTED)
