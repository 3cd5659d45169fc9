"""The monitor: reads what was decided and said, and lets autonomy fall back where the model is not what it was.

Everything it knows is a function of the ledger, so that any worker can go on where another ended; two at once come to the
same, and what they find is written down once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from aegis_agents.agents.caution import Cautious
from aegis_agents.agents.offering import newest
from aegis_agents.gate.caution import FellBack, Scope
from aegis_agents.monitor import canaries, honeytokens
from aegis_agents.monitor.drift import STREAMS
from aegis_agents.monitor.falling import fall_back, fallen
from aegis_agents.monitor.probing import Cluster, searching
from aegis_agents.monitor.reading import STATE, last_state, lifted_unread, read_news
from aegis_agents.monitor.state import FORMAT, State, Watched, key_of
from aegis_agents.monitor.status import Status, status

if TYPE_CHECKING:
    from aegis_agents.aegis import Aegis

NOTICED = "monitor.noticed"
"""Ledger entry: drift, disagreement or overconfidence was shown."""
PROBED = "monitor.probed"
"""Ledger entry: near-duplicates that search for the decision boundary."""
MOST_AT_ONCE = 5_000
"""Entries of one look: the rest waits for the next, so that a look stays short."""
KEEP_EVERY = 1_000
"""Entries read after which the state is kept in the ledger."""
KEEP_WAIT = timedelta(minutes=15)
"""Least time between two: a state may have some megabytes, and who sends many alerts must not fill the ledger with it."""
MOST_GROUPS_FALLEN = 20
"""Groups of one source that fall back one by one; with another one all of that source does: each costs every decision."""
LATE = 3
"""Rounds of canaries that may fail to come before that is an alarm."""


class Alarm(NamedTuple):
    """Something found: its ledger entry's kind, its cause, and why; `entry` is what fell back by it, if anything did."""

    kind: str
    cause: str
    reason: str
    entry: int | None


class Monitor:
    """Watches the model of one Aegis. Safe to share between threads: one looks at a time.

    Making one plants the honeytokens and arms this process with them, since one that never comes to look sends things out
    too. Raises StoreError.
    """

    def __init__(self, aegis: Aegis, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._aegis, self._clock, self._began = aegis, clock, clock()
        self._state: State | None = None
        self._tokens: dict[str, str] = {}
        self._unkept = 0
        self._kept_at: datetime | None = None
        self._cautious = Cautious(aegis.store)
        self._lock = threading.RLock()
        self.settings = aegis.settings.monitor
        self._arm()

    def _arm(self) -> None:
        if self.settings.honeytokens:
            home = self._aegis.settings.home
            self._tokens = honeytokens.plant(self._aegis.store, home, falls=self.settings.fall_back)

    @property
    def state(self) -> State:
        """What is known so far."""
        with self._lock:
            if self._state is None:
                self._state = last_state(self._aegis.store) or State()
            if not self._state.seed:  # it could not be read, or the ledger had no entry yet
                self._state.seed = _seed(self._aegis.store)
            return self._state

    def status(self) -> Status:
        """How the model in use stands."""
        with self._lock:
            return status(self._aegis.store, self.state, self.settings, self._aegis.context.model.version)

    # looking

    def look(self, most: int = MOST_AT_ONCE) -> list[Alarm]:
        """Read what is new, and raise what alarms follow. Answers them."""
        with self._lock:
            news = read_news(self._aegis.store, self.state, self.settings, most)
            # All of them, and not what is new alone: an alarm that the database did not take is raised the next time.
            found = [alarm for model, watched in self.state.models.items() for alarm in self._tests(model, watched)]
            found += [alarm for cluster in self.state.probing.clusters if (alarm := self._probed(cluster))]
            found += self._canaries_late()
            self._unkept += news
            waited = self._kept_at is None or abs(self._clock() - self._kept_at) >= KEEP_WAIT
            if self._unkept >= KEEP_EVERY and waited:
                self.keep()
            return found

    def keep(self) -> None:
        """Keep the state in the ledger, if there is anything new in it."""
        with self._lock:
            if self._unkept:
                self._aegis.store.append(STATE, None, {"format": FORMAT, "state": self.state.packed()})
                self._unkept, self._kept_at = 0, self._clock()

    def _tests(self, model: str, watched: Watched) -> list[Alarm]:
        doubt, found = self.settings.doubt, list[Alarm | None]()
        for name in watched.drift.found(doubt / 2):
            wager = watched.drift.streams[name].wager
            reason = f"{STREAMS[name]} changed since this model began here"
            figures = {"model": model, "stake": round(wager.top, 1), "needed": round(1 / watched.drift.doubt(doubt / 2), 1), "compared": wager.n}  # fmt: skip
            found.append(self._raise(NOTICED, f"drift.{name}", reason, figures))
        for name in watched.agreement.found(doubt / 4):
            group = watched.agreement.groups[name]
            said = f"people contradict {group.contradicted} of {group.agreed + group.contradicted} verdicts"
            kind, _, of = name.partition(":")
            scope: Scope = "source" if kind == "source" else "class" if kind == "class" else "all"
            reason = f"{said} ({name}), shown to be above {self.settings.most_disagreement:g}"
            figures = {"model": model, "agreed": group.agreed, "contradicted": group.contradicted}
            found.append(self._raise(NOTICED, f"agreement.{name}", reason, figures, scope=scope, of=of))
        if watched.calibrated.found(doubt / 4):
            c = watched.calibrated
            reason = f"confidence is too high: mean {c.sure / c.n:.2f}, right {c.right} of {c.n}"
            found.append(self._raise(NOTICED, "calibration", reason, {"model": model, "n": c.n, "right": c.right, "mean": round(c.sure / c.n, 4)}))  # fmt: skip
        return [alarm for alarm in found if alarm]

    def _probed(self, cluster: Cluster) -> Alarm | None:
        if not searching(cluster, self.settings.probe_doubt):
            return None
        reason = f"one alert came in {cluster.steps} new wordings, and {cluster.moved} of them moved the answer: like a search"
        figures: dict[str, Any] = {"steps": cluster.steps, "moved": cluster.moved}
        told = {f.like for f in self._cautious.now().fallen if (f.cause, f.of) == ("probing", cluster.source)}
        if len(told) < MOST_GROUPS_FALLEN or cluster.like in told:
            alarm = self._raise(
                PROBED, "probing", reason, figures, scope="cluster", of=cluster.source, like=cluster.like
            )  # fmt: skip
        else:
            reason = f"{len(told)} groups of alerts search for the boundary already, and another one does: all of {cluster.source}"
            alarm = self._raise(
                PROBED, f"probing.source:{cluster.source}", reason, figures, scope="source", of=cluster.source
            )  # fmt: skip
        cluster.told = True  # now, and not before: what could not be written down is told the next time
        return alarm

    def _raise(
        self, kind: str, cause: str, reason: str, figures: dict[str, Any], *, scope: Scope = "all", of: str = "",
        like: str = "", from_state: bool = True,
    ) -> Alarm | None:  # fmt: skip
        """Write an alarm down, once, and let autonomy fall back.

        Once is until a person lifts it. Without `fall_back` there is nothing to lift: then it is once for each version of the
        model, which the state remembers. What is found `from_state` may have been lifted by an entry that is not read yet.
        """
        store, key = self._aegis.store, key_of(cause, like or str(figures.get("model", "")))
        if self._is_told(key, cause, like, self._cautious.now().fallen):
            return None
        with store.transaction():
            if self._is_told(key, cause, like, fallen(store).fallen):
                return None
            if from_state and any((f.cause, f.like) == (cause, like) for f in lifted_unread(store, self.state)):
                return None
            store.append(kind, None, {"cause": cause, "reason": reason, "of": of, "figures": figures})
            entry = None
            if self.settings.fall_back:
                entry = fall_back(store, cause, reason, scope=scope, of=of, like=like, figures=figures)
        self.state.told.add(key)
        return Alarm(kind, cause, reason, entry)

    def _is_told(self, key: str, cause: str, like: str, standing: Iterable[FellBack]) -> bool:
        if any((f.cause, f.like) == (cause, like) for f in standing):
            return True
        return not self.settings.fall_back and key in self.state.told

    # canaries

    def feed_canaries(self) -> list[Alarm]:
        """Feed a round of canaries and write down what they answered. Answers the alarms."""
        with self._lock:
            _ = self.state
            feeder = canaries.Feeder(self._aegis.context, self._tokens)
            model, store = self._aegis.context.model.version, self._aegis.store
            recorded = self._recorded(model)
            try:
                done = canaries.round_within(feeder, recorded, self.settings.canary_seconds)
            except Exception as error:  # noqa: BLE001 - whatever keeps a canary from being answered is the alarm itself
                return self._failed(model, {"round": f"it ended in {type(error).__name__}: {error}"[:300]})
            if done is None:
                why = {"round": f"no answer within {self.settings.canary_seconds:g} s"}
                return self._failed(model, why)
            if recorded is None:
                store.append(canaries.RECORDED, None, {"model": model, "answers": done.answers})
            said = {"model": model, "fed": done.fed, "wrong": done.wrong, "missed": list(done.missed)}
            store.append(canaries.ANSWERED, None, said)
            if done.wrong:
                return self._failed(model, done.wrong)
            self.state.told = {key for key in self.state.told if not key.startswith("canary.")}
            return []

    def _recorded(self, model: str) -> dict[str, tuple[str, float]] | None:
        for entry in self._aegis.store.entries(kind=canaries.RECORDED, limit=1000):
            if entry.body and entry.body.get("model") == model:
                return {name: (str(a[0]), float(a[1])) for name, a in entry.body["answers"].items()}
        return None

    def _failed(self, model: str, why: dict[str, str]) -> list[Alarm]:
        name, first = next(iter(why.items()))
        more = f" (and {len(why) - 1} more)" if len(why) > 1 else ""
        alarm = self._raise(canaries.FAILED, "canary.failed", f"canary {name}: {first}{more}", {"model": model, "wrong": why}, from_state=False)  # fmt: skip
        return [alarm] if alarm else []

    def _canaries_late(self) -> list[Alarm]:
        if not self.settings.canary_minutes:
            return []
        last, wait = self.canaries_at(), timedelta(minutes=LATE * self.settings.canary_minutes)
        now = self._clock()
        if last is None or last > now:  # one of the future, from before the clock was put right, says nothing
            last = self._began
        since = min(max(last, self._began), now)
        if now - since <= wait:
            return []
        reason = f"no canary has been answered since {since.isoformat(timespec='minutes')}"
        alarm = self._raise(canaries.FAILED, "canary.late", reason, {"since": since.isoformat()}, from_state=False)
        return [alarm] if alarm else []

    def canaries_at(self) -> datetime | None:
        """When the last round was answered; None if none ever was."""
        last = newest(self._aegis.store, canaries.ANSWERED, 1)
        return datetime.fromisoformat(last[-1].at) if last else None

    def canaries_due(self) -> bool:
        """Whether a round is due."""
        if not self.settings.canary_minutes:
            return False
        last, now = self.canaries_at(), self._clock()
        return last is None or last > now or now - last >= timedelta(minutes=self.settings.canary_minutes)


def _seed(store: Any) -> str:
    """What lots are drawn by: the honeytokens' secret, and where none are planted the ledger's first entry."""
    for kind in (honeytokens.PLANTED, None):
        for entry in store.entries(kind=kind, limit=1):
            return str((entry.body or {}).get("seed") or entry.hash)
    return ""
