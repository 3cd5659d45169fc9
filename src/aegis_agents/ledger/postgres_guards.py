"""What keeps the ledger append-only on PostgreSQL: a trigger each, with a function of its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from aegis_agents.ledger.database import Read

_REFUSE: Final = "RAISE EXCEPTION 'the ledger is append-only';"
_IN_ORDER: Final = (
    "BEGIN IF NEW.{column} IS DISTINCT FROM (SELECT coalesce(max({column}), 0) + 1 FROM {table}) THEN "  # noqa: S608
    f"{_REFUSE} END IF; RETURN NEW; END"
)
_REMOVAL_ALONE: Final = (
    "BEGIN IF OLD.body IS NOT NULL AND OLD.salt IS NOT NULL AND NEW.body IS NULL AND NEW.salt IS NULL "
    "AND to_jsonb(NEW) - 'body' - 'salt' = to_jsonb(OLD) - 'body' - 'salt' THEN RETURN NEW; END IF; "
    f"{_REFUSE} END"
)
_NEVER: Final = f"BEGIN {_REFUSE} END"

# Bits of pg_trigger.tgtype (catalog/pg_trigger.h): row 1, before 2, insert 4, delete 8, update 16, truncate 32.
_EVENTS: Final = MappingProxyType({"INSERT": 1 + 2 + 4, "DELETE": 1 + 2 + 8, "UPDATE": 1 + 2 + 16, "TRUNCATE": 2 + 32})


class Guard(NamedTuple):
    """A trigger before `event` on `table`, whose function has this body."""

    table: str
    event: str
    body: str

    def statements(self, name: str) -> str:
        """What makes it. ENABLE ALWAYS: session_replication_role = replica would switch a plain one off."""
        each = "STATEMENT" if self.event == "TRUNCATE" else "ROW"
        return (
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT"
            f" AS $guard${self.body}$guard$;"
            f" CREATE TRIGGER {name} BEFORE {self.event} ON {self.table} FOR EACH {each} EXECUTE FUNCTION {name}();"
            f" ALTER TABLE {self.table} ENABLE ALWAYS TRIGGER {name}"
        )


_GUARDS: Final[Mapping[str, Guard]] = MappingProxyType(
    {
        "ledger_no_update": Guard("ledger_entries", "UPDATE", _REMOVAL_ALONE),
        "ledger_no_delete": Guard("ledger_entries", "DELETE", _NEVER),
        "ledger_no_truncate": Guard("ledger_entries", "TRUNCATE", _NEVER),
        "ledger_in_order": Guard(
            "ledger_entries", "INSERT", _IN_ORDER.format(column="seq", table="ledger_entries")
        ),
        "checkpoints_no_update": Guard("ledger_checkpoints", "UPDATE", _NEVER),
        "checkpoints_no_delete": Guard("ledger_checkpoints", "DELETE", _NEVER),
        "checkpoints_no_truncate": Guard("ledger_checkpoints", "TRUNCATE", _NEVER),
        "checkpoints_in_order": Guard(
            "ledger_checkpoints", "INSERT", _IN_ORDER.format(column="number", table="ledger_checkpoints")
        ),
    }
)  # fmt: skip

POSTGRES_GUARDS: Final[Mapping[str, str]] = MappingProxyType(
    {name: guard.statements(name) for name, guard in _GUARDS.items()}
)
"""Guard → the statements that make it; verify() counts a missing one as tampering."""


def standing(read: Read) -> Iterable[str]:
    """Names of the guards that are there, switched on for everybody, and whose functions are still ours."""
    found = read(
        "SELECT t.tgname, c.relname, t.tgenabled, t.tgtype, t.tgqual IS NULL AND t.tgattr = ''::int2vector,"
        " p.proname, p.prosrc, p.proconfig = ARRAY['search_path=' || current_setting('search_path')]"
        " FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid"
        " WHERE NOT t.tgisinternal AND c.relnamespace = current_schema()::regnamespace"
        " AND p.pronamespace = c.relnamespace"
    )
    for name, table, enabled, kind, plain, function, body, ours in found:
        guard = _GUARDS.get(name)
        if guard is None or not plain or not ours or (enabled, function) != ("A", name):
            continue
        if (table, kind, body) == (guard.table, _EVENTS[guard.event], guard.body):
            yield name
