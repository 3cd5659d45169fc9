"""The file that names the connectors, the kinds that it can name, and who is asked for which target."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import traceback
from collections.abc import Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, ClassVar

import pytest
from pydantic import SecretStr

from aegis_agents.errors import ConnectorError, NotPermitted, SettingsError, TargetNotFound, TransientConnectorError
from aegis_agents.ledger import SqliteStore
from aegis_agents.records import CATALOGUE, ActionName, Target
from aegis_agents.settings import load_settings
from aegis_agents.tools import WritePath
from aegis_agents.tools.connectors import config, registry
from aegis_agents.tools.connectors.asking import NOBODY
from aegis_agents.tools.connectors.assign import assign, connector_for, takes
from aegis_agents.tools.connectors.config import load_connectors, read_connectors
from aegis_agents.tools.connectors.registry import SHIPPED, connector_class, kinds, missing_modules
from tests.connectors.conftest import Approved
from tests.people import person

ANN_HERE, ANN_THERE = Target(kind="user", value="ann@corp.example"), Target(kind="user", value="CORP\\ann")


class Toy:
    """Remembers what it did."""

    kind: ClassVar[str] = "toy"
    extra: ClassVar[str] = ""
    secrets: ClassVar[frozenset[str]] = frozenset({"token", "pin"})
    name = "toy"
    actions: frozenset[ActionName] = frozenset({"disable_user", "block_ip"})

    def __init__(
        self, *, url: str, token: str, pin: SecretStr | None = None, port: int = 1, wait_s: float = 1.0, hard: bool = False,
        folder: Path = Path("x"), names: Sequence[str] = (), pair: tuple[str, ...] = (),
        labels: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        if url == "bad":
            raise SettingsError("url: 'bad' is bad")
        self.given = {"url": url, "token": token, "pin": pin, "port": port, "wait_s": wait_s, "hard": hard}
        self.given |= {"folder": folder, "names": names, "pair": pair, "labels": labels}
        self.done: list[Any] = []

    def apply(self, action: ActionName, target: Target, *, key: str, note: str) -> str:
        self.done.append(("apply", action, target.value))
        return "ref"

    def read(self, action: ActionName, target: Target) -> bool:
        return bool(self.done)

    def undo(self, action: ActionName, target: Target, *, key: str) -> str:
        self.done.append(("undo", action, target.value))
        return ""


class Narrow(Toy):
    """Wants to know what it is there for, and says only then what it can do."""

    kind = "narrow"

    def __init__(self, *, actions: Sequence[str] | None = None, zone: str = "") -> None:
        super().__init__(url="x", token="t")
        if actions is None and not zone:
            raise SettingsError("zone: block_ip needs one")
        self.actions = frozenset({"disable_user"} if actions is None or "disable_user" in actions else {"block_ip"})


class NeedsMuch(Toy):
    """Its extra is not installed."""

    kind = "much"
    extra = "much"


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The kinds toy and much, as an installed package would bring them."""
    points = [
        EntryPoint(kind, f"{__name__}:{made}", registry.GROUP)
        for kind, made in (("toy", "Toy"), ("much", "NeedsMuch"), ("narrow", "Narrow"))
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else [])


def written(folder: Path, text: str, mode: int = 0o600) -> Path:
    file = folder / "connectors.toml"
    file.write_text(textwrap.dedent(text))
    file.chmod(mode)
    return file


def secrets(**given: str) -> dict[str, SecretStr]:
    return {name.replace("__", "."): SecretStr(value) for name, value in given.items()}


PLAIN = """
    [mine]
    kind = "toy"
    url = "https://toy.example"
"""


def test_every_parameter_is_a_key_with_its_type(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [mine]
        kind = "toy"
        url = "https://toy.example"
        port = 7
        wait_s = 2
        hard = true
        folder = "sub/dir"
        names = ["a", "b"]
        pair = ["c"]
        labels = {a = "b"}
        """,
    )
    (found,) = load_connectors(file, secrets(mine__token="t", mine__pin="1234"))
    given = found.inner.given  # type: ignore[attr-defined]
    assert given["pin"].get_secret_value() == "1234"
    assert {k: v for k, v in given.items() if k != "pin"} == {
        "url": "https://toy.example", "token": "t", "port": 7, "wait_s": 2.0, "hard": True,
        "folder": tmp_path / "sub/dir", "names": ["a", "b"], "pair": ("c",), "labels": {"a": "b"},
    }  # fmt: skip
    assert (found.name, found.kind, found.actions, found.targets) == ("mine", "toy", Toy.actions, ())


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ("tokne = 't'", r"\[mine\] tokne is no setting of toy \(it takes folder, hard, "),
        ("folder = 5", r"\[mine\] folder: "),
        ("port = '7'", r"\[mine\] port: .*integer"),
        ("port = true", r"\[mine\] port: .*integer"),
        ("hard = 1", r"\[mine\] hard: .*boolean"),
        ("names = 'a'", r"\[mine\] names: "),
        ("names = ['a', 5]", r"\[mine\] names\[1\]: .*string"),
        ("port = 1979-05-27", r"\[mine\] port: "),
        ("actions = []", r"\[mine\] actions: an empty list"),
        ("actions = 'block_ip'", r"\[mine\] actions: give a list"),
        ("actions = ['block_it']", r"\[mine\] actions: there is no action 'block_it' .*block_ip"),
        ("actions = ['isolate_host']", r"\[mine\] actions: toy can't isolate_host \(it can block_ip, "),
        ("targets = []", r"\[mine\] targets: an empty list"),
        ("targets = [5]", r"\[mine\] targets: give a list"),
        ("targets = ['']", r"\[mine\] targets: give a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_file_table_and_key(tmp_path: Path, more: str, named: str) -> None:
    file = written(tmp_path, PLAIN + textwrap.indent(more, "    "))
    with pytest.raises(SettingsError, match=named) as caught:
        load_connectors(file, secrets(mine__token="t"))
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[mine]\nurl = 'x'", "kind is missing"), ("[mine]\nkind = 5", "kind is missing"), ("mine = 5", "'mine' is not a table"),
        ("[mine]\nkind = 'tpy'", "there is no kind 'tpy' .*toy"), ('["a b"]\nkind = "toy"', "'a b' is no name"), ("[outbox]\nkind = 'toy'", "not \"outbox\""), ("[mine", "TOML"), ("[mine]\nkind='toy'\n[mine]", "TOML"),
        ("[mine]\nkind = 'aegis_agents.tools:WritePath'", "there is no kind"), ("[mine]\nkind = 'os:system'", "there is no kind"),
        ("[mine]\nkind = 'much'\nurl = 'x'", r"pip install .aegis-soc-agents\[much\]"),
        ("[mine]\nkind = 'toy'\nurl = 'bad'", r"\[mine\] url: 'bad' is bad"),
    ],
)  # fmt: skip
def test_a_file_that_makes_no_sense(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, named: str) -> None:
    monkeypatch.setattr(config, "missing_modules", lambda extra: ("much_sdk",) if extra == "much" else ())
    with pytest.raises(SettingsError, match=named):
        load_connectors(written(tmp_path, text), secrets(mine__token="t"))


def test_a_file_that_is_not_there_or_no_text(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml"):
        load_connectors(tmp_path / "none.toml")
    (tmp_path / "connectors.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match=r"connectors\.toml"):
        load_connectors(tmp_path / "connectors.toml")


def test_a_class_that_wants_to_know_its_actions_is_told(tmp_path: Path) -> None:
    file = written(tmp_path, "[mine]\nkind = 'narrow'\nactions = ['disable_user']")
    assert load_connectors(file)[0].actions == {"disable_user"}
    with pytest.raises(SettingsError, match=r"\[mine\] zone: block_ip needs one"):
        load_connectors(written(tmp_path, "[mine]\nkind = 'narrow'"))


FIX = r'connector_secrets = \{"mine\.token" = "keyring:aegis/mine\.token"\} in the settings, or AEGIS_CONNECTOR_SECRETS'


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o604])
@pytest.mark.parametrize("given", [{}, {"mine__token": "other"}])
def test_a_secret_in_the_file_is_refused_whoever_may_read_it(tmp_path: Path, mode: int, given: dict[str, str]) -> None:
    with pytest.raises(
        SettingsError, match=rf"\[mine\] token is a secret, and .*: take it out, and give {FIX}"
    ) as caught:
        load_connectors(written(tmp_path, PLAIN + '    token = "s3cret"', mode), secrets(**given))
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_without_secrets_may_be_read_by_all(tmp_path: Path, mode: int) -> None:
    assert load_connectors(written(tmp_path, PLAIN, mode), secrets(mine__token="s3cret"))


def test_a_secret_that_is_missing_is_asked_for_where_it_belongs(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=rf"\[mine\] token is missing \(a secret: give {FIX}\)"):
        load_connectors(written(tmp_path, PLAIN))


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_who_could_change_an_address_could_have_its_secret(tmp_path: Path, mode: int) -> None:
    with pytest.raises(SettingsError, match="others may change this file"):
        load_connectors(written(tmp_path, PLAIN, mode), secrets(mine__token="s3cret"))


def test_settings_and_environment_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AEGIS_CONNECTOR_SECRETS", '{"mine.token": "from-environment"}')
    settings = load_settings(connectors=written(tmp_path, PLAIN))
    (found,) = load_connectors(settings.connectors, settings.connector_secrets)
    assert found.inner.given["token"] == "from-environment"  # type: ignore[attr-defined]
    assert "from-environment" not in repr(settings)


def test_each_connector_gets_its_own_secrets(tmp_path: Path) -> None:
    file = written(tmp_path, PLAIN + PLAIN.replace("mine", '"mine.too"'))
    both = load_connectors(file, secrets(mine__token="a", mine__pin="9") | secrets(mine__too__token="b"))
    given = [found.inner.given for found in both]  # type: ignore[attr-defined]
    assert [(one["token"], one["pin"] and one["pin"].get_secret_value()) for one in given] == [("a", "9"), ("b", None)]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"mine__tokne": "x"}, "tokne is no secret of toy .*pin, token"), ({"mine__url": "x"}, "url is no secret"),
        ({"other__token": "x"}, "connector_secrets names other.token"), ({"token": "x"}, "connector_secrets names token"),
    ],
)  # fmt: skip
def test_a_secret_for_nothing_is_an_error(tmp_path: Path, given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        load_connectors(written(tmp_path, PLAIN), secrets(mine__token="t") | secrets(**given))


def test_no_error_and_no_repr_shows_a_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for more in ("token = ['s3cret']", "token = 's3cret'\nport = 'x'", "token = 's3cret'\ntargets = 5"):
        with pytest.raises(SettingsError) as caught:
            load_connectors(written(tmp_path, PLAIN + textwrap.indent(more, "    ")))
        assert "s3cret" not in str(caught.value)
        assert caught.value.__cause__ is None or "s3cret" not in str(caught.value.__cause__)
    (entry,) = read_connectors(written(tmp_path, PLAIN), secrets(mine__token="s3cret"))
    assert "s3cret" not in repr(entry) + repr(entry.build())
    monkeypatch.setitem(Toy.__init__.__annotations__, "token", "int")
    given = secrets(mine__token="s3cret")
    for more in ("", "port = 'x'", "targets = 5"):
        with pytest.raises(SettingsError) as caught:
            read_connectors(written(tmp_path, PLAIN + f"    {more}"), given)
        assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_an_entry_point_can_not_take_the_place_of_what_ships(monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("outbox", f"{__name__}:Toy", registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    assert connector_class("outbox").__name__ == "OutboxConnector"


class Odd(Toy):
    """Takes what no file can give."""

    kind = "odd"

    def __init__(self, *, session: threading.Thread) -> None:
        super().__init__(url="x", token="t")


def test_a_class_that_no_file_can_configure_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = [EntryPoint("odd", f"{__name__}:Odd", registry.GROUP)]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(SettingsError, match=r"\[mine\] session: a file can't give"):
        load_connectors(written(tmp_path, "[mine]\nkind = 'odd'\nsession = 'x'"))
    monkeypatch.setitem(Odd.__init__.__annotations__, "session", "Nowhere")
    with pytest.raises(SettingsError, match="types can't be read"):
        load_connectors(written(tmp_path, "[mine]\nkind = 'odd'\nsession = 'x'"))


def test_an_entry_point_that_is_broken_or_claimed_twice_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for value, named in (("no.such.module:X", "can't be loaded"), (f"{__name__}:secrets", "is no connector")):
        points = [EntryPoint("acme", value, registry.GROUP)]
        monkeypatch.setattr(registry, "entry_points", lambda group, points=points: points)
        with pytest.raises(SettingsError, match=named):
            connector_class("acme")
    points = [EntryPoint("acme", value, registry.GROUP) for value in ("a:A", "b:B")]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    with pytest.raises(SettingsError, match="both a:A and b:B"):
        kinds()


@pytest.mark.parametrize("kind", sorted(SHIPPED))
def test_every_shipped_kind_can_be_configured(kind: str) -> None:
    made = connector_class(kind)
    assert made.kind == kind
    assert made.secrets <= config._parameters(made).keys()
    assert made.__doc__
    assert isinstance(missing_modules(made.extra), tuple)
    assert not made.extra or made.extra in registry._MODULES, "its modules are looked for before it is built"
    for name, (type_, _) in config._parameters(made).items():
        config.TypeAdapter(type_)  # a type that TOML can give
        assert name not in ("kind", "targets")


def test_importing_the_tools_imports_no_sdk_and_naming_a_kind_neither() -> None:
    sdks = "boto3 falconpy jira kubernetes ldap3 azure msgraph okta panos pysnc requests httpx"
    code = (
        "import sys, aegis_agents.tools, aegis_agents.tools.connectors.config as c\n"
        "from aegis_agents.tools.connectors.registry import SHIPPED, connector_class\n"
        "for kind in SHIPPED: connector_class(kind)\n"
        f"print([m for m in {sdks!r}.split() if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def two(tmp_path: Path) -> list[config.ConfiguredConnector]:
    text = """
        [okta]
        kind = "toy"
        url = "https://okta.example"
        actions = ["disable_user"]
        targets = ["*@corp.example"]

        [directory]
        kind = "toy"
        url = "https://ad.example"
        targets = ["CORP\\\\*", "10.20.0.0/16"]
    """
    return load_connectors(written(tmp_path, text), secrets(okta__token="t", directory__token="t"))


def test_targets_tell_two_of_one_action_apart(tmp_path: Path) -> None:
    okta, directory = two(tmp_path)
    able = assign([okta, directory])
    assert connector_for(able, "disable_user", ANN_HERE) is okta
    assert connector_for(able, "disable_user", ANN_THERE) is directory
    assert connector_for(able, "disable_user", Target(kind="user", value="ann")) is None
    assert connector_for(able, "block_ip", Target(kind="ip", value="10.20.3.4")) is directory
    assert connector_for(able, "block_ip", Target(kind="ip", value="10.21.3.4")) is None
    assert connector_for(able, "isolate_host", Target(kind="host", value="wks-1")) is None


def test_who_did_it_takes_it_back_and_nobody_else(tmp_path: Path) -> None:
    okta, directory = two(tmp_path)
    fallback = Toy(url="x", token="t")
    able = assign([okta, directory], fallback=fallback)
    assert connector_for(able, "disable_user", ANN_HERE, did="directory") is directory
    assert connector_for(able, "disable_user", ANN_HERE, did="toy") is fallback
    assert connector_for(able, "disable_user", ANN_HERE, did="gone") is None
    assert connector_for({"disable_user": okta}, "disable_user", ANN_HERE) is okta


def test_what_no_other_takes_goes_to_the_fallback(tmp_path: Path) -> None:
    okta, directory = two(tmp_path)
    fallback = Toy(url="x", token="t")
    able = assign([okta, directory], fallback=fallback)
    assert connector_for(able, "disable_user", Target(kind="user", value="ann")) is fallback
    assert set(able) == {"disable_user", "block_ip"}
    assert len(able) == 2
    assert able["disable_user"] is okta
    assert "isolate_host" not in able


def test_the_first_that_fits_takes_it(tmp_path: Path) -> None:
    okta, directory = two(tmp_path)
    everything = Toy(url="x", token="t")
    assert connector_for(assign([okta, directory, everything]), "disable_user", ANN_HERE) is okta
    assert (
        connector_for(assign([okta, directory, everything]), "disable_user", Target(kind="user", value="z"))
        is everything
    )
    with pytest.raises(SettingsError, match="both toy and okta claim it; give toy targets"):
        assign([everything, okta])
    with pytest.raises(SettingsError, match="two connectors are called okta"):
        assign([okta, okta])


def test_what_it_is_not_configured_for_is_refused_by_itself(tmp_path: Path) -> None:
    okta, _ = two(tmp_path)
    for action, target in (("disable_user", ANN_THERE), ("block_ip", Target(kind="ip", value="192.0.2.1"))):
        with pytest.raises(ConnectorError, match="okta is not configured for"):
            okta.apply(action, target, key="k", note="n")  # type: ignore[arg-type]
    assert okta.inner.done == []  # type: ignore[attr-defined]
    okta.apply("disable_user", ANN_HERE, key="k", note="n")
    # The settings may have changed since it acted: what is in effect can be seen and lifted.
    okta.undo("disable_user", ANN_THERE, key="k")
    assert [done[0] for done in okta.inner.done] == ["apply", "undo"]  # type: ignore[attr-defined]


def test_the_write_path_asks_who_takes_the_target_and_undoes_with_who_did_it(
    tmp_path: Path, store: SqliteStore, approved: Approved
) -> None:
    okta, directory = two(tmp_path)
    path = WritePath(store, assign([okta, directory]))
    for inner in (okta.inner, directory.inner):
        inner.read = lambda *_: None  # type: ignore[method-assign]
    nobodys = path.execute(approved("disable_user", Target(kind="user", value="ann")))
    assert (nobodys.outcome, nobodys.connector) == ("recommended", None)
    assert [entry.kind for entry in store.entries() if entry.kind == "action.begun"] == []
    key = approved("disable_user", ANN_THERE)
    assert path.execute(key).connector == "directory"
    # The settings change: now the other one would take her.
    okta.targets, directory.targets = ("CORP\\*",), ("nobody",)
    assert path.undo(key, person("alice")).connector == "directory"
    assert (okta.inner.done, [one[0] for one in directory.inner.done]) == ([], ["apply", "undo"])  # type: ignore[attr-defined]


def test_what_a_connector_that_is_gone_did_is_taken_back_by_hand(
    tmp_path: Path, store: SqliteStore, approved: Approved
) -> None:
    okta, directory = two(tmp_path)
    key = approved("disable_user", ANN_THERE)
    WritePath(store, assign([okta, directory])).execute(key)
    okta.targets = ()
    with pytest.raises(ConnectorError, match="by hand"):
        WritePath(store, assign([okta])).undo(key, person("alice"))
    assert okta.inner.done == []  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("pattern", "value", "fits"),
    [
        ("*.corp.example", "wks-1.CORP.example", True), ("*.corp.example", "wks-1.corp.example.evil.net", False),
        ("corp.example", "xcorp.example", False), ("CORP\\*", "corp\\ann", True), ("CORP\\*", "EVIL\\CORP\\ann", False),
        ("2001:db8::/32", "2001:db8::1", True), ("10.0.0.0/8", "10.evil.example", False), ("10.0.0.7", "10.0.0.7", True),
        ("*", "", True), ("[", "[", True),
    ],
)  # fmt: skip
def test_patterns(pattern: str, value: str, fits: bool) -> None:
    assert takes([pattern], Target(kind="host", value=value)) is fits
    assert takes([], Target(kind="host", value=value))


def test_an_action_that_does_not_exist_is_refused() -> None:
    odd = Toy(url="x", token="t")
    odd.actions = frozenset({"block_it"})  # type: ignore[arg-type]
    assert "block_it" not in CATALOGUE
    with pytest.raises(SettingsError, match="there is no action 'block_it'"):
        assign([odd])


class Asked(Toy):
    """Answers `check` as it is told."""

    kind = "asked"
    answer: ClassVar[Any] = "signed in as Aegis"

    def __init__(self, *, mood: str = "") -> None:
        super().__init__(url="x", token="t")

    def check(self) -> str:
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


class Plain(Toy):
    """Has no question of its own; `answer` is what read() says, by action."""

    kind = "plain"
    answer: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__(url="x", token="t")

    def read(self, action: ActionName, target: Target) -> bool:
        assert target.value in ("aegis-check@aegis-check.invalid", "192.0.2.1")
        answer = self.answer[action]
        if isinstance(answer, Exception):
            raise answer
        return answer  # type: ignore[no-any-return]


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The commands, with kinds that answer as they are told."""
    from typer.testing import CliRunner

    from aegis_agents.cli import connectors as commands

    points = [
        EntryPoint(made.kind, f"{__name__}:{made.__name__}", registry.GROUP) for made in (Toy, NeedsMuch, Asked, Plain)
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points)
    monkeypatch.setattr(config, "missing_modules", lambda extra: ("much_sdk",) if extra == "much" else ())
    return lambda *given: CliRunner().invoke(commands.connectors_app, [str(one) for one in given])


def test_the_list_says_what_there_is_and_what_is_missing(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_CONNECTOR_SECRETS", '{"second.token": "s3cret"}')
    text = """
        [first]
        kind = "asked"
        actions = ["block_ip"]
        targets = ["10.0.0.0/8"]

        [second]
        kind = "much"
        url = "x"
    """
    done = app("list", "--connectors", written(tmp_path, text), "--json")
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert first == {
        "name": "first", "kind": "asked", "actions": ["block_ip"], "targets": ["10.0.0.0/8"], "missing": [], "extra": "",
    }  # fmt: skip
    assert (second["missing"], second["extra"], done.exit_code) == (["much_sdk"], "much", 1)
    shown = app("list", "--connectors", written(tmp_path, text)).stdout
    assert "isolate_host" in shown.partition("recommended only")[2]
    assert "close_alert" in shown.partition("outbox")[2].partition("recommended only")[0]
    assert "s3cret" not in shown
    monkeypatch.delenv("AEGIS_CONNECTOR_SECRETS")
    assert app("list", "--connectors", written(tmp_path, "[first]\nkind = 'asked'")).exit_code == 0


@pytest.mark.parametrize(
    ("answer", "state", "code"),
    [
        ("signed in as Aegis", "ok", 0), (NotPermitted("403"), "failed", 1), (TransientConnectorError("no answer"), "failed", 1),
        (ConnectorError("the certificate was not accepted"), "failed", 1), (ZeroDivisionError("s3cret"), "failed", 1), ("x" * 5000, "ok", 0), ("a\x1b[2Jb", "ok", 0),
    ],
)  # fmt: skip
def test_the_check_asks_each_and_fails_with_the_worst(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: Any, state: str, code: int
) -> None:
    monkeypatch.setattr(Asked, "answer", answer)
    monkeypatch.setattr(Plain, "answer", {"disable_user": False, "block_ip": None})
    file = written(
        tmp_path, "[one]\nkind = 'asked'\nactions = ['block_ip']\n[two]\nkind = 'plain'\nactions = ['disable_user']"
    )
    done = app("check", "--connectors", file, "--json")
    one, two = (json.loads(line) for line in done.stdout.splitlines())
    assert (one["state"], two["state"], done.exit_code) == (state, "ok", code)
    assert len(one["said"]) <= 200
    assert "\x1b" not in one["said"]
    only = app("check", "two", "--connectors", file)
    assert (only.exit_code, only.stdout.split()[:2]) == (0, ["ok", "two"])
    assert app("check", "three", "--connectors", file).exit_code == 1


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"disable_user": False, "block_ip": None}, "ok"), ({"disable_user": None, "block_ip": None}, "silent"),
        ({"disable_user": TargetNotFound("404"), "block_ip": False}, "ok"),
        ({"disable_user": False, "block_ip": NotPermitted("403")}, "failed"),
        ({"disable_user": ConnectorError("odd"), "block_ip": False}, "failed"),
    ],
)  # fmt: skip
def test_who_has_no_question_of_its_own_is_asked_about_nobody(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], state: str
) -> None:
    monkeypatch.setattr(Plain, "answer", answers)
    done = app("check", "--connectors", written(tmp_path, "[two]\nkind = 'plain'"), "--json")
    assert json.loads(done.stdout)["state"] == state


def test_settings_that_are_wrong_are_said(app: Any, tmp_path: Path) -> None:
    for command in ("list", "check"):
        done = app(command, "--connectors", written(tmp_path, "[one]\nkind = 'nothing'"))
        assert (done.exit_code, "there is no kind 'nothing'" in done.output) == (2, True)
    twice = "[one]\nkind = 'asked'\n[two]\nkind = 'plain'"
    assert "both one and two claim it" in app("check", "--connectors", written(tmp_path, twice)).output


def test_without_any_connector_both_commands_say_so(app: Any, tmp_path: Path) -> None:
    for command in ("list", "check"):
        done = app(command, "--connectors", written(tmp_path, ""))
        assert (done.exit_code, "no connector is configured" in done.stdout) == (0, True)
        assert app(command, "--connectors", written(tmp_path, ""), "--json").stdout == ""


def test_those_that_settings_ask_for_are_listed_and_asked(
    app: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AEGIS_WEBHOOK_URL", "https://127.0.0.1:9/hook")
    monkeypatch.setenv("AEGIS_NFTABLES", "true")
    file = written(tmp_path, "[one]\nkind = 'asked'\nactions = ['disable_user']")
    rows = [json.loads(line) for line in app("list", "--connectors", file, "--json").stdout.splitlines()]
    assert [row["name"] for row in rows] == ["one", "webhook", "nftables"]
    done = app("check", "webhook", "--connectors", file, "--json")
    answer = json.loads(done.stdout)
    assert (answer["name"], answer["state"], done.exit_code) == ("webhook", "silent", 0)
    assert "can't be asked without doing it" in answer["said"]


def test_there_is_a_name_of_nobody_for_every_action() -> None:
    assert {spec.targets[0] for spec in CATALOGUE.values()} <= NOBODY.keys()


@pytest.mark.parametrize(("pattern", "meant"), [("10.20.0.5/16", "10.20.0.0/16"), ("2001:db8::1/32", "2001:db8::/32")])
def test_a_target_that_fits_nothing_is_told(tmp_path: Path, pattern: str, meant: str) -> None:
    file = written(
        tmp_path,
        f"""
        [toy]
        kind = "toy"
        url = "https://toy.example"
        targets = ["{pattern}"]
    """,
    )
    with pytest.raises(SettingsError, match=f"{pattern}' fits nothing: the network is {meant}"):
        read_connectors(file, secrets(toy__token="t"))


def test_undo_goes_to_who_did_it_though_it_may_not_do_it_any_more(tmp_path: Path) -> None:
    file = written(
        tmp_path,
        """
        [old]
        kind = "toy"
        url = "https://toy.example"
        actions = ["disable_user"]

        [new]
        kind = "toy"
        url = "https://toy.example"
        actions = ["block_ip"]
    """,
    )
    was, now = load_connectors(file, secrets(old__token="t", new__token="t"))
    found = assign([was, now])
    address = Target(kind="ip", value="192.0.2.1")
    assert found.pick("block_ip", address, "old") is was
    assert found.pick("block_ip", address, "gone") is None
    assert found.pick("block_ip", address) is now
    # One that was given this name since, and could never have done it, did not.
    assert found.pick("isolate_host", Target(kind="host", value="ws1"), "old") is None
