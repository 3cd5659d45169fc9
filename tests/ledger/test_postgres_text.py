"""SQL and text between the store's words and PostgreSQL's."""

# ruff: noqa: F811 - fixtures are imported by the names that tests take them by

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aegis_agents.ledger.postgres import PostgresStore
from aegis_agents.ledger.postgres_text import escape, translate, unescape
from tests.ledger.postgres_server import cut, open_pg, pg, postgres_url, schema  # noqa: F401 - fixtures

Open = Callable[..., PostgresStore]


def test_marks_become_placeholders_outside_literals_alone() -> None:
    assert translate("SELECT '?', '50%', 'it''s ?' WHERE a = ? AND b LIKE '%x' AND c % ? = 0") == (
        "SELECT '?', '50%%', 'it''s ?' WHERE a = %s AND b LIKE '%%x' AND c %% %s = 0"
    )


def test_question_marks_and_percents_are_plain_text(pg: PostgresStore) -> None:
    assert pg._rows("SELECT '?%s', ?, '100%'", ("?%s",))[0][1] == "?%s"
    assert list(pg._rows("SELECT '?%s', ?, '100%'", ("?%s",))[0]) == ["?%s", "?%s", "100%"]


@given(st.text(alphabet=st.characters() | st.sampled_from("\x00\x1a\ud800\udfffabc0123456789")))
def test_any_text_survives_escaping_and_no_two_become_one(text: str) -> None:
    escaped = escape(text)
    assert unescape(escaped) == text
    assert "\x00" not in escaped
    escaped.encode("utf-8")


def test_escaping_is_one_to_one() -> None:
    texts = ["".join(parts) for n in range(4) for parts in itertools.product("\x00\x1a\ud800", repeat=n)]
    texts += ["\x1a0000", "\x1a001a", "\x1ad800", "0000", "\x000000"]
    assert len({escape(text) for text in texts}) == len(set(texts))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(alphabet=st.characters() | st.sampled_from("\x00\x1a\ud800?%'")))
def test_any_text_comes_back_from_the_database(pg: PostgresStore, text: str) -> None:
    (row,) = pg._rows("SELECT CAST(? AS TEXT) AS it, length(CAST(? AS TEXT)) > 0", (text, text))
    assert (row["it"], row[0], row[1]) == (text, text, text != "")


def test_rows_answer_by_name_and_by_place(pg: PostgresStore) -> None:
    (row,) = pg._rows("SELECT 1 AS one, 'b' AS two")
    assert (row["one"], row[1], list(row), tuple(row.keys()), len(row)) == (1, "b", [1, "b"], ("one", "two"), 2)  # type: ignore[arg-type]
    with pytest.raises(KeyError):
        row["three"]
