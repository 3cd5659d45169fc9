"""Keeps workers on Ray: starts them, replaces those of another version one by one, and watches.

Ray and whoever runs this are disposable. The actors are detached: they outlive this process, so that a driver that
dies, or is upgraded, stops nothing; the next one finds them by name. What waits, what is held and what was decided is
in the database alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from aegis_agents._version import __version__
from aegis_agents.errors import SettingsError
from aegis_agents.fleet.actor import Expected, FleetActor, Health, state_of
from aegis_agents.fleet.opening import Opener
from aegis_agents.fleet.processes import FATAL, WINDOW_S
from aegis_agents.fleet.ray_setup import LOCAL, RayGone, lets_anybody_in
from aegis_agents.settings import Settings

WATCH_EVERY_S = 2.0
STOP_S = 60.0
_ANSWER_S = 10.0
"""How long an actor has to say how it is; one that is being made anew does not answer."""
_START_S = 120.0
_PREFIX = "worker-"
"""Of the actors' names; their number follows."""


def namespace(settings: Settings) -> str:
    """Ray's namespace of a fleet: two fleets on one Ray don't touch each other's actors."""
    return f"aegis-{state_of(settings)}"


class Cluster:
    """`count` workers on the Ray that `ray` is connected to (see `ray_setup.join`), each opened by `opener` there.

    Without a `count` there is one for each CPU of Ray's. `settings` are this process's own: they say which state.
    Raises SettingsError where the state is in files and Ray has more than one machine.
    """

    def __init__(
        self, ray: Any, opener: Opener, settings: Settings, *, count: int | None = None, say: Callable[[str], None]
    ) -> None:
        self._ray, self._opener, self._say = ray, opener, say
        nodes = [node for node in ray.nodes() if node["Alive"]]
        in_files = settings.database is None
        if in_files and len(nodes) > 1:
            raise SettingsError(
                f"database: Ray has {len(nodes)} machines, and the state is in files of one: set database"
                ' ("postgresql://..."), or run `aegis worker --processes N` here'
            )
        here = ray.get_runtime_context().get_node_id()
        self._expected = Expected(state_of(settings), here if in_files else None)
        self._names = [f"{_PREFIX}{n}" for n in range(count or max(1, int(ray.cluster_resources().get("CPU", 1))))]
        self._actors: dict[str, Any] = {}
        self._seen: dict[str, str] = {}
        self._restarts, self._ends = settings.worker.restarts, list[float]()

    def start(self) -> None:
        """See that every worker is there and of this version; one of another is stopped, then replaced, one by one."""
        for name in self._names:
            actor = self._found(name)
            if actor is not None and self._is_current(self._health(actor)):
                self._actors[name] = actor
                continue
            if actor is not None:
                self._say(f"{name} is of another version, or has ended: it is replaced")
                self._end(name)
            self._actors[name] = self._made(name)
            self._await_opened(name)
        for name in self._left_over():
            self._say(f"{name} is one too many: it is stopped")
            self._end(name)

    def watch(self, stop: threading.Event) -> int:
        """Say what changes until `stop` is set: 0, or the exit code of a worker that starting again can't mend.

        Raises RayGone.
        """
        while not stop.wait(WATCH_EVERY_S):
            for name, health in self.health().items():
                self._tell(name, health)
                if health is not None and health.code in FATAL:
                    self._say(f"{name} stopped: {health.why}; all are stopped")
                    self.stop()
                    return health.code
                if health is not None and health.code:
                    self._mend(name)
        return 0

    def _mend(self, name: str) -> None:
        """Another in the place of one that ended by itself, unless `worker.restarts` did within five minutes."""
        now = time.monotonic()
        self._ends = [at for at in self._ends if at > now - WINDOW_S]
        if len(self._ends) < self._restarts:
            self._ends.append(now)
            self._end(name)
            self._actors[name] = self._made(name)

    def health(self) -> dict[str, Health | None]:
        """How each is; None for one that does not answer, since Ray is making it anew. Raises RayGone."""
        if not self._ray.is_initialized():
            raise RayGone("Ray is gone: start `aegis cluster` again; what waits is in the inbox")
        return {name: self._health(actor) for name, actor in self._actors.items()}

    def stop(self) -> None:
        """Let every worker finish what it is at, all at once, and end it."""
        actors = [actor for name in self._all_names() if (actor := self._found(name)) is not None]
        asked = [actor.stop.remote(STOP_S) for actor in actors]
        self._ray.wait(asked, num_returns=len(asked), timeout=STOP_S) if asked else None
        for actor in actors:
            self._ray.kill(actor)
        self._actors.clear()

    def _made(self, name: str) -> Any:
        strategy: Any = "SPREAD"
        if self._expected.node is not None:
            from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

            strategy = NodeAffinitySchedulingStrategy(self._expected.node, soft=False)
        remote = self._ray.remote(_OnRay)
        return remote.options(
            name=name, lifetime="detached", max_restarts=-1, max_concurrency=3, num_cpus=1, scheduling_strategy=strategy
        ).remote(self._opener, self._expected, int(name.removeprefix(_PREFIX)))

    def _await_opened(self, name: str) -> None:
        """Until it works or has ended: so the next is replaced only when this one has taken over."""
        until = time.monotonic() + _START_S
        while time.monotonic() < until:
            health = self._health(self._actors[name])
            if health is not None and (health.report is not None or health.code is not None):
                return self._tell(name, health)
            time.sleep(0.1)
        self._say(f"{name} has not started yet: Ray may have no CPU left for it (`ray status`)")
        return None

    def _found(self, name: str) -> Any:
        try:
            return self._ray.get_actor(name)
        except ValueError:
            return None

    def _health(self, actor: Any) -> Health | None:
        errors = self._ray.exceptions
        try:
            found: Health = self._ray.get(actor.health.remote(), timeout=_ANSWER_S)
        except errors.ActorDiedError as error:
            if not error.actor_init_failed:
                return None
            return Health(0, "", "", None, 1, "Ray can't make it; Ray's log on its machine says why")
        except (errors.RayActorError, errors.ActorUnavailableError, errors.GetTimeoutError):
            return None
        except (errors.RaySystemError, ConnectionError) as error:
            raise RayGone(f"Ray is gone ({type(error).__name__}): start `aegis cluster` again") from error
        return found

    def _is_current(self, health: Health | None) -> bool:
        return health is not None and health.version == __version__ and health.code is None

    def _end(self, name: str) -> None:
        """Stop one as gently as it lets itself, and remove it; its name is free then."""
        errors = self._ray.exceptions
        actor = self._found(name)
        if actor is None:
            return
        try:
            self._ray.get(actor.stop.remote(STOP_S), timeout=STOP_S + _ANSWER_S)
        except errors.RayError:  # dead or away: it holds nothing that others don't take
            pass
        self._ray.kill(actor)
        until = time.monotonic() + _ANSWER_S
        while self._found(name) is not None and time.monotonic() < until:
            time.sleep(0.05)

    def _left_over(self) -> list[str]:
        return [name for name in self._all_names() if name not in self._names]

    def _all_names(self) -> list[str]:
        from ray.util import list_named_actors

        return [name for name in list_named_actors() if name.startswith(_PREFIX)]

    def _tell(self, name: str, health: Health | None) -> None:
        """One line where something changed."""
        if health is None:
            now = "does not answer; Ray makes it anew where there is room"
        elif health.code is not None:
            now = f"ended: {health.why or 'it was told to'}"
        elif health.report is None:
            now = f"is opening on {health.node[:8]} (process {health.pid})"
        else:
            trouble = f"; waits: {health.report.trouble}" if health.report.trouble else ""
            now = f"works on {health.node[:8]} (process {health.pid}), {health.version}, model {health.report.model}{trouble}"
        if self._seen.get(name) != now:
            self._say(f"{name} {now}")
        self._seen[name] = now


class _OnRay(FleetActor):
    """The actor as Ray makes it: it asks Ray itself where it is."""

    def __init__(self, opener: Opener, expected: Expected, number: int) -> None:
        import ray

        super().__init__(opener, expected, lets_anybody_in, ray.get_runtime_context().get_node_id(), number)


__all__ = ["LOCAL", "Cluster", "namespace"]
