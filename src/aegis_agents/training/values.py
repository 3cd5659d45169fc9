"""Draws the names, addresses and times that fill a scenario, the same within one alert.

Only reserved names and addresses are used (RFC 2606, RFC 5737, RFC 1918, RFC 5398), so
that nothing real is ever named.
"""

from __future__ import annotations

import ipaddress
import random
import string
import uuid
from datetime import UTC, datetime, timedelta

_FIRST = "ana ben carla dmitri elif farid grace hana ivan jonas kira liam mei nadia omar petra quinn rosa sven tara uma viktor wen yara zoe aisha bruno chloe david emil".split()
_LAST = "berg costa dahl evans fischer gupta haddad ito jensen kaya lopez moreau novak okafor park quist rossi santos tran urban vega weber xu young zeman abbott brandt chen diaz ekman".split()
_ORG = "Norvale Altamar Brightfell Quillon Redmoor Tessera Vandermere Oakhurst Solvane Pinecrest Marlowe Kestrun Havelock Ironbridge Lakemont Corvina".split()
_WORD = "atlas birch cedar delta ember falcon granite harbor indigo juniper krypton lumen meteor nimbus onyx prism quartz raven summit tundra umbra vertex willow zephyr".split()
_VENDOR = "Orbitek;Lindgren IT;Sepura Systems;Mandel Services;CoreAxis;Tallis Security;Bluefin Audit;Hexagon Care;Nordlys Drift;Paragon MSP".split(";")
_CITY = "Lisbon;Oslo;Austin;Lyon;Pune;Osaka;Warsaw;Cork;Leeds;Porto;Turin;Ghent;Bergen;Denver;Izmir;Hanoi;Lagos;Lima;Tallinn;Bratislava".split(";")
_COUNTRY = "PT NO US FR IN JP PL IE GB IT BE TR VN NG PE EE SK BR RO UA NL SG".split()
_HOSTING = "Greyline VPS;Cobalt Hosting;Nimbus Rack;Darkpine Servers;QuickNode Cloud;Bulletfort;Ashen Data;Seaboard VPS;Polar Dedicated".split(";")
_ISP = "MetroFiber Residential;Telnor Broadband;Coastline Mobile;Unity Cable;Northern DSL;CityNet Home".split(";")
_VPN = "HideRoute VPN;Tunnelbee;AnyExit Proxy;Foxhole VPN".split(";")
_APP = "billing catalog checkout ledger portal reports search sync telemetry users warehouse".split()


def _iso(moment: datetime, rng: random.Random) -> str:
    form = rng.choice(("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S.000Z"))
    return moment.strftime(form)


class Values:
    """The placeholders of one alert. Attribute access is by `fill`; the same name gives the same value."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(
            days=rng.randrange(1000), hours=rng.randrange(24), minutes=rng.randrange(60), seconds=rng.randrange(60)
        )
        self._known: dict[str, str] = {}
        self._company = rng.choice(_ORG)
        self._domain = f"{self._company.lower()}.{rng.choice(('example', 'example.com', 'example.net', 'test'))}"
        self._net = ipaddress.ip_network(f"{rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{rng.randrange(0, 16) * 16}/28")

    def fill(self, template: str) -> str:
        """The template with its placeholders replaced; KeyError names one that is unknown."""
        # In the template's order: a set's order, and so what is drawn, would differ from process to process.
        fields = dict.fromkeys(name for _, name, _, _ in string.Formatter().parse(template) if name)
        return template.format(**{name: self[name] for name in fields})

    def __getitem__(self, name: str) -> str:
        if name not in self._known:
            drawn = getattr(self, f"_{name.rstrip('2')}", None)
            if drawn is None or not callable(drawn):
                raise KeyError(f"unknown placeholder {{{name}}}")
            value = drawn()
            while name.endswith("2") and value == self[name[:-1]]:
                value = drawn()
            self._known[name] = value
        return self._known[name]

    def _pick(self, pool: list[str]) -> str:
        return self.rng.choice(pool)

    def _digits(self, n: int) -> str:
        return "".join(self.rng.choices(string.digits, k=n))

    def _hex(self, n: int) -> str:
        return "".join(self.rng.choices("0123456789abcdef", k=n))

    # people and accounts
    def _user(self) -> str:
        a, b = self._pick(_FIRST), self._pick(_LAST)
        return self.rng.choice((f"{a[0]}.{b}", f"{a}.{b}", f"{a[0]}{b}", f"{b}{a[0]}", f"{a}_{b}"))

    def _admin(self) -> str:
        return self.rng.choice((f"adm-{self._user()}", f"{self._user()}-a", f"a-{self._user()}", f"t0-{self._pick(_LAST)}"))

    def _svc(self) -> str:
        return self.rng.choice(("svc-", "svc_", "sa-", "app-")) + self._pick(_APP) + self.rng.choice(("", "01", "-prd"))

    def _email_user(self) -> str:
        return f"{self._pick(_FIRST)}.{self._pick(_LAST)}@{self._domain}"

    def _email_ext(self) -> str:
        return f"{self._pick(_FIRST)}@{self['domain_ext']}"

    def _role(self) -> str:
        return self._pick(["AdminRole", "ci-deploy", "ReadOnly", "DataPlatform", "BreakGlass", "NodeInstanceRole", "ops-oncall"])

    # machines and names
    def _host(self) -> str:
        p = self._company[:3].upper()
        return self.rng.choice((f"{p}-WS-{self._digits(4)}", f"{p}-LT{self._digits(3)}", f"{self._pick(_WORD)}-pc{self._digits(2)}", f"DESKTOP-{self._hex(7).upper()}"))

    def _server(self) -> str:
        return self.rng.choice((f"{self._company[:3].upper()}-SRV-{self._digits(2)}", f"{self._pick(_APP)}-{self._digits(2)}.{self._domain}", f"{self._pick(_WORD)}-app{self._digits(2)}"))

    def _dc(self) -> str:
        return f"{self._company[:3].upper()}-DC{self._digits(2)}"

    def _mac_host(self) -> str:
        return f"{self._company[:3].upper()}-MBP-{self._digits(4)}"

    def _linux_host(self) -> str:
        return f"{self._pick(_APP)}-{self._pick(['web', 'db', 'batch', 'edge', 'mq'])}-{self._digits(2)}"

    def _org(self) -> str:
        return self._company

    def _domain_org(self) -> str:
        return self._domain

    def _domain_ext(self) -> str:
        return f"{self._pick(_WORD)}-{self._pick(_APP)}.{self.rng.choice(('example', 'example.org', 'test'))}"

    def _domain_young(self) -> str:
        return f"{self._pick(_WORD)}{self._digits(2)}-{self.rng.choice(('cdn', 'login', 'update', 'secure', 'api'))}.example"

    def _domain_known(self) -> str:
        return f"{self._pick(['cdn', 'downloads', 'packages', 'mirror', 'api'])}.{self._pick(_WORD)}soft.example.com"

    # addresses
    def _ip_int(self) -> str:
        net = self.rng.choice((f"10.{self.rng.randrange(255)}", f"10.{self.rng.randrange(255)}", "172.20", "192.168"))
        return f"{net}.{self.rng.randrange(255)}.{self.rng.randrange(1, 255)}"

    def _outside(self) -> str:
        while True:
            ip = f"{self.rng.choice(('192.0.2', '198.51.100', '203.0.113'))}.{self.rng.randrange(1, 255)}"
            if ipaddress.ip_address(ip) not in self._net:
                return ip

    _ip_ext = _ip_out_cidr = _outside

    def _cidr(self) -> str:
        return str(self._net)

    def _ip_in_cidr(self) -> str:
        return str(self._net[self.rng.randrange(1, 15)])

    def _asn_hosting(self) -> str:
        return f"AS{self.rng.randrange(64496, 64511)} {self._pick(_HOSTING)}"

    def _asn_isp(self) -> str:
        return f"AS{self.rng.randrange(64496, 64511)} {self._pick(_ISP)}"

    def _asn_vpn(self) -> str:
        return f"AS{self.rng.randrange(65536, 65551)} {self._pick(_VPN)}"

    def _asn_own(self) -> str:
        return f"AS{self.rng.randrange(65536, 65551)} {self._company}"

    def _port(self) -> str:
        return self.rng.choice(("22", "80", "443", "445", "3389", "8080", "8443", "53"))

    def _port_high(self) -> str:
        return str(self.rng.randrange(20000, 65000))

    # times
    def _moved(self, **delta: float) -> str:
        return _iso(self.now + timedelta(**delta), self.rng)

    def _time(self) -> str:
        return self._moved()

    def _interval(self, start: float, end: float) -> str:
        form = self.rng.choice(("%Y-%m-%dT%H:%MZ", "%Y-%m-%d %H:%M"))
        a, b = ((self.now + timedelta(hours=h)).strftime(form) for h in (start, end))
        return f"{a}{self.rng.choice(('/', '..', ' to ', ' - '))}{b}"

    def _window_now(self) -> str:
        return self._interval(-self.rng.uniform(0.3, 4), self.rng.uniform(0.3, 5))

    def _window_past(self) -> str:
        end = -self.rng.uniform(2, 200)
        return self._interval(end - self.rng.uniform(1, 6), end)

    def _window_later(self) -> str:
        start = self.rng.uniform(5, 200)
        return self._interval(start, start + self.rng.uniform(1, 6))

    def _day(self, low: float, high: float) -> str:
        return (self.now + timedelta(days=self.rng.uniform(low, high))).strftime("%Y-%m-%d")

    def _date_recent(self) -> str:
        return self._day(-3, -0.1)

    def _date_old(self) -> str:
        return self._day(-1500, -180)

    def _date_future(self) -> str:
        return self._day(5, 300)

    def _hour_night(self) -> str:
        return f"{self.rng.choice((0, 1, 2, 3, 4, 23)):02d}:{self.rng.randrange(60):02d}"

    def _hour_day(self) -> str:
        return f"{self.rng.randrange(9, 17):02d}:{self.rng.randrange(60):02d}"

    # identifiers
    def _ticket(self) -> str:
        return self.rng.choice(("CHG", "CHG00", "RFC-", "REQ", "JIRA-", "SR-", "CR")) + self._digits(5)

    def _vendor(self) -> str:
        return self._pick(_VENDOR)

    def _sha256(self) -> str:
        return self._hex(64)

    def _sha1(self) -> str:
        return self._hex(40)

    def _md5(self) -> str:
        return self._hex(32)

    def _guid(self) -> str:
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def _key_id(self) -> str:
        return "AKIA" + "".join(self.rng.choices(string.ascii_uppercase + "234567", k=16))

    def _account(self) -> str:
        return self._digits(12)

    def _n_small(self) -> str:
        return str(self.rng.randrange(1, 10))

    def _n_mid(self) -> str:
        return str(self.rng.randrange(10, 91))

    def _n_large(self) -> str:
        return str(self.rng.randrange(200, 9001))

    def _city(self) -> str:
        return self._pick(_CITY)

    def _country(self) -> str:
        return self._pick(_COUNTRY)

    # things
    def _repo(self) -> str:
        return f"{self._company.lower()}/{self._pick(_APP)}-{self._pick(['api', 'infra', 'web', 'docs'])}"

    def _pod(self) -> str:
        return f"{self._pick(_APP)}-{self._hex(9)}-{self._hex(5)}"

    def _namespace(self) -> str:
        return self._pick(["default", "payments", "prod", "staging", "kube-system", "data", "shop", "monitoring"])

    def _bucket(self) -> str:
        return f"{self._company.lower()}-{self._pick(_APP)}-{self._pick(['backup', 'logs', 'export', 'assets'])}"

    def _image(self) -> str:
        return f"registry.{self._domain}/{self._pick(_APP)}:{self.rng.randrange(1, 9)}.{self.rng.randrange(20)}"

    def _cluster(self) -> str:
        return f"{self._pick(_WORD)}-{self._pick(['prod', 'stage', 'eu1', 'us2'])}"

    def _path_tmp(self) -> str:
        return self.rng.choice((r"C:\Windows\Temp", r"C:\Users\Public", r"C:\ProgramData", "/tmp", "/dev/shm", "/var/tmp"))  # noqa: S108 - text of alerts

    def _path_user(self) -> str:
        return self.rng.choice((rf"C:\Users\{self['user']}\Downloads", f"/home/{self['user']}", f"/Users/{self['user']}/Library", rf"C:\Users\{self['user']}\AppData\Local"))

    def _path_prog(self) -> str:
        return self.rng.choice((r"C:\Program Files", "/usr/bin", "/opt", "/usr/local/sbin", r"C:\Windows\System32"))

    def _file_doc(self) -> str:
        return f"{self._pick(['Invoice', 'Roadmap', 'Budget', 'Customers', 'Contract', 'Design'])}_{self._digits(3)}.{self.rng.choice(('docx', 'xlsx', 'pdf', 'zip'))}"
