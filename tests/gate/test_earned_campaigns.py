"""One vote a campaign: what ties alerts together, and how votes are counted."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aegis_agents.gate.earned.campaigns import MOST_LINKS, Vote, links_of, rule_template, tally
from aegis_agents.gate.earned.rule import VOTES_A_DAY
from aegis_agents.records import Claim, Entity, Fact, Incident

AT = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)


def incident(title: str = "Beacon to a rare address", trust: str = "product", **named: Any) -> Incident:
    entities = tuple(
        Entity.model_validate({"kind": kind, "value": value, "role": role})
        for kind, (value, role) in ((k.rstrip("0123456789"), v) for k, v in named.items())
    )
    facts = (Fact.model_validate({"id": "f1", "path": "title", "value": title, "trust": trust}),)
    return Incident(
        id="i", source="edr", native_id="n", title=title, observed_at=None, claim=Claim(), facts=facts,
        entities=entities, digest="0" * 64,
    )  # fmt: skip


def together(one: Incident, other: Incident, later: timedelta = timedelta(0)) -> bool:
    return not set(links_of(one, AT)).isdisjoint(links_of(other, AT + later))


def test_one_rule_on_one_day_is_one_campaign_whatever_varies() -> None:
    one = incident(host=("wks-1", "subject"), ip=("203.0.113.9", "peer"), hash=("a" * 64, "observed"))
    other = incident(host=("wks-2", "subject"), ip=("198.51.100.7", "peer"), hash=("b" * 64, "observed"))
    assert together(one, other)
    assert not together(one, other, timedelta(days=1))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Malware evil-1.exe blocked on WKS-041", "Malware evil-2.exe blocked on WKS-042"),
        ('Mail "Invoice 1" reported', 'Mail "Your parcel" reported'),
        ("Sign-in from 203.0.113.9 at 10:11", "Sign-in from 198.51.100.1 at 23:59"),
        ("Job 7f3ac9d21 failed", "Job aa01ff329 failed"),
    ],
)
def test_a_title_without_what_differs(one: str, other: str) -> None:
    assert rule_template(incident(one)) == rule_template(incident(other)) != ""


def test_names_of_the_incident_are_no_part_of_the_rule() -> None:
    one = incident("Shell opened by jdoe", user=("jdoe", "actor"))
    other = incident("Shell opened by asmith", user=("asmith", "actor"))
    assert rule_template(one) == rule_template(other) == "shell opened by"


def test_a_title_that_others_wrote_names_no_rule() -> None:
    assert rule_template(incident("Your invoice", "external")) == ""
    assert together(incident("Your invoice", "external"), incident("Wire transfer", "external"))


def test_what_an_attacker_brings_ties_for_a_week_across_rules() -> None:
    pairs: list[tuple[dict[str, Any], dict[str, Any]]] = [
        ({"ip": ("203.0.113.9", "peer")}, {"ip": ("203.0.113.200", "actor")}),  # the next address of one network
        ({"domain": ("a1.evil.example", "peer")}, {"domain": ("b2.evil.example", "peer")}),
        ({"url": ("https://x.evil.example/a", "peer")}, {"domain": ("evil.example", "peer")}),
        ({"hash": ("a" * 64, "observed")}, {"hash": ("A" * 64, "subject")}),
        ({"email": ("boss@evil.example", "actor")}, {"email": ("ceo@evil.example", "actor")}),
    ]
    for mine, yours in pairs:
        assert together(incident("Rule one", **mine), incident("Rule two", **yours), timedelta(hours=20)), mine
        assert not together(incident("Rule one", **mine), incident("Rule two", **yours), timedelta(days=8))


def test_what_everybody_shares_ties_nothing() -> None:
    for shared in (("ip", ("8.8.8.8", "peer")), ("ip", ("10.0.0.5", "peer")), ("domain", ("microsoft.com", "peer"))):
        named = dict([shared])
        assert not together(incident("Rule one", **named), incident("Rule two", **named)), shared
    seen = {"ip": ("203.0.113.9", "observed")}  # merely named: anybody can write an address into a field
    assert not together(incident("Rule one", **seen), incident("Rule two", **seen))


def test_one_victim_on_one_day_is_one_intrusion() -> None:
    one, other = incident("Rule one", host=("WKS-1", "subject")), incident("Rule two", host=("wks-1", "actor"))
    assert together(one, other)
    assert not together(one, other, timedelta(days=1))


def test_a_flood_of_entities_costs_little_and_keeps_what_is_shared() -> None:
    rng = random.Random(1)

    def stuffed(seed: int) -> Incident:
        junk = {f"domain{n}": (f"d{rng.randrange(10**9)}.example", "peer") for n in range(600)}
        return incident("Rule " + "abc"[seed], hash=("c" * 64, "observed"), host=(f"h{seed}", "subject"), **junk)

    made = [stuffed(seed) for seed in range(2)]
    started = time.perf_counter()
    links = [links_of(i, AT) for i in made]
    assert time.perf_counter() - started < 0.2
    assert all(len(found) <= MOST_LINKS for found in links)
    assert together(incident("Rule a"), made[0])  # the rule's own link is never pushed out


@given(st.text(max_size=60), st.text(max_size=60), st.sampled_from(["url", "domain", "ip", "email", "hash"]))
def test_any_text_makes_links(title: str, value: str, kind: str) -> None:
    found = links_of(incident(title, **{kind: (value, "peer")}), AT)
    assert 1 <= len(found) <= MOST_LINKS
    assert all(len(link) == 16 for link in found)


def test_surrogates_and_huge_texts() -> None:
    found = links_of(incident("\ud800" + "x" * 100_000, domain=("\udcff." * 1000, "peer")), AT)
    assert found


# counting


def vote(
    seq: int, *links: str, acts_at: float = 0.9, against: bool = False, counts: bool = True, day: str = ""
) -> Vote:
    return Vote(seq, links, acts_at, against, counts, seq % 2 == 0, day or f"day-{seq // 10}")


def test_five_hundred_copies_are_one_vote() -> None:
    found = tally([vote(n, "same") for n in range(500)], 0.9)
    assert (found.campaigns, found.errors, len(found.seqs)) == (1, 0, 1)


def test_one_error_makes_its_campaign_an_error() -> None:
    votes = [vote(n, "same", against=n == 250) for n in range(500)]
    assert tally(votes, 0.9)[:2] == (1, 1)


def test_a_late_link_joins_campaigns() -> None:
    votes = [vote(1, "a"), vote(2, "b"), vote(3, "a", "b")]
    assert tally(votes[:2], 0.9).campaigns == 2
    assert tally(votes, 0.9).campaigns == 1


def test_joining_makes_no_error_go_away() -> None:
    votes = [vote(1, "a", against=True), vote(2, "b", against=True), vote(3, "a", "b")]
    assert tally(votes, 0.9)[:2] == (2, 2)


def test_what_would_not_have_been_done_counts_for_nothing_and_ties_all_the_same() -> None:
    votes = [vote(1, "a"), vote(2, "b"), vote(3, "a", "b", acts_at=0.7), vote(4, "c", acts_at=0.7, against=True)]
    assert tally(votes, 0.9)[:2] == (1, 0)
    assert tally(votes, 0.7)[:2] == (2, 1)


def test_what_people_chose_can_only_speak_against() -> None:
    assert tally([vote(1, "a", counts=False)], 0.9).campaigns == 0
    assert tally([vote(1, "a", counts=False, against=True)], 0.9)[:2] == (1, 1)


def test_a_day_has_only_so_many_votes_and_any_number_of_errors() -> None:
    flood = [vote(n, f"l{n}", day="monday") for n in range(300)]
    found = tally(flood, 0.9)
    assert (found.campaigns, found.held_back) == (VOTES_A_DAY, 300 - VOTES_A_DAY)
    wrong = [vote(n, f"l{n}", day="monday", against=True) for n in range(300)]
    assert tally(wrong, 0.9)[:2] == (300, 300)


@given(st.lists(st.tuples(st.sets(st.sampled_from("abcdefgh"), min_size=1), st.booleans()), max_size=30), st.randoms())
def test_the_order_of_right_ones_does_not_matter(drawn: list[tuple[set[str], bool]], rng: random.Random) -> None:
    votes = [Vote(n, sorted(links), 0.9, False, True, False, f"d{n}") for n, (links, _) in enumerate(drawn)]
    shuffled = list(votes)
    rng.shuffle(shuffled)
    assert tally(votes, 0.9)[:2] == tally(shuffled, 0.9)[:2]
    # ... and where there are errors, no order finds fewer than the campaigns that hold one.
    wrong = [v._replace(against=bad) for v, (_, bad) in zip(votes, drawn, strict=True)]
    least = _campaigns_with_errors(wrong)
    rng.shuffle(wrong)
    assert tally(wrong, 0.9).errors >= least


def _campaigns_with_errors(votes: list[Vote]) -> int:
    groups: list[tuple[set[str], bool]] = []
    for v in votes:
        links, bad = set(v.links), v.against
        apart = []
        for other, was in groups:
            if other.isdisjoint(links):
                apart.append((other, was))
            else:
                links, bad = links | other, bad or was
        groups = [*apart, (links, bad)]
    # joined in passing only while the list grows: one more sweep until nothing joins
    return sum(bad for _, bad in groups)


def test_ten_thousand_votes_are_counted() -> None:
    votes = [vote(n, *(f"{n}-{k}" for k in range(6)), day=f"d{n // 20}") for n in range(10_000)]
    assert tally(votes, 0.9).campaigns == 10_000
