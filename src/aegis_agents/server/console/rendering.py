"""Templates, and the headers that every page of the console carries.

Text from alerts reaches a page in one way only: Jinja escapes it, after characters that hide or turn text around were
named. Templates hold no script and no style, and the policy below would run none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.responses import HTMLResponse

from aegis_agents import display
from aegis_agents.display.shown import cut, visible
from aegis_agents.display.words import MEANING, VERDICTS, percent
from aegis_agents.records import ActionReport
from aegis_agents.server.console.cards import shared

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    # Not "no-referrer": with that, browsers send `Origin: null` with forms, and the origin could not be checked.
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Cookie",
}
_TYPES: Final = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}
_UNITS: Final = ((86_400, "d"), (3_600, "h"), (60, "min"), (5, "s"))
MOST_SHOWN: Final = 2_000
"""Characters of one value on a page."""


@cache
def static_file(name: str) -> tuple[bytes, str] | None:
    """A static file and its type, out of the few there are; None for any other name."""
    if name == "display.css":
        return display.css().encode(), _TYPES["css"]
    if name not in ("console.css", "console.js", "icon.svg"):
        return None
    found = (resources.files("aegis_agents.server.console") / "static" / name).read_bytes()
    return found, _TYPES[name.rpartition(".")[2]]


@cache
def static_url(name: str) -> str:
    """Where a static file is fetched; it changes with the file, so that browsers may keep it."""
    found = static_file(name)
    assert found is not None, name  # noqa: S101 - named by our own templates
    return f"/static/{name}?{hashlib.sha256(found[0]).hexdigest()[:12]}"


@cache
def environment() -> Environment:
    """The templates, strict: what is missing is an error and not an empty place."""
    made = Environment(
        loader=PackageLoader("aegis_agents.server.console"), autoescape=True, undefined=StrictUndefined,
        finalize=_finalize, trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.filters |= {
        "age": age, "when": when, "percent": percent, "words": words, "part": part, "path": path_part,
        "exact": exact, "outcome": outcome, "sentence": sentence, "shared": shared, "json": lambda record: record.model_dump(mode="json"),
    }  # fmt: skip
    made.globals |= {"static": static_url, "display": _Display(), "verdicts": VERDICTS, "meaning": MEANING}
    return made


def render(template: str, context: Mapping[str, Any]) -> str:
    """A template with these values."""
    return environment().get_template(template).render(context)


def html(body: str, status: int = 200, headers: Mapping[str, str] | None = None) -> HTMLResponse:
    """A page's answer, with the headers of the console; a lone surrogate in it becomes its escape."""
    clean = body.encode("utf-8", "backslashreplace").decode()
    return HTMLResponse(clean, status, {**_HEADERS, **(headers or {})})


class _Display:
    """`aegis_agents.display` for templates: what it makes is finished and escaped."""

    def __getattr__(self, name: str) -> Any:
        made = getattr(display, name)
        return lambda *given: Markup(made(*given))  # noqa: S704 - display escapes all that came from outside


def _finalize(value: Any) -> Any:
    """What `{{ }}` shows: hidden characters named, too long values cut. Markup is finished."""
    return cut(value, MOST_SHOWN) if isinstance(value, str) and not isinstance(value, Markup) else value


def part(value: Any, most: int) -> str:
    """Visible text of about so many characters at most, cut in the middle with a count."""
    return cut(value, most)


def exact(value: Any) -> Markup:
    """A value to the letter, for what a form sends back; it is escaped, and not made readable."""
    return escape(value)


def outcome(report: ActionReport) -> tuple[str, str]:
    """What became of an action, in words, and its tone."""
    return display.outcome_of(report.model_dump(mode="json"))


def shown(value: Any) -> Any:
    """JSON whose every text is as `{{ }}` would show it, for what a script puts on the page.

    What has a target also has `exact`, the target to the letter, for the form that is sent: a name with a character
    that nobody sees must reach the entity of that name, and no other.
    """
    if isinstance(value, Mapping):
        found = {key: shown(held) for key, held in value.items()}
        if isinstance(target := value.get("target"), Mapping):
            found["exact"] = f"{target.get('kind')}:{target.get('value')}"
        return found
    if isinstance(value, list | tuple):
        return [shown(held) for held in value]
    return visible(value) if isinstance(value, str) else value


def path_part(value: Any) -> str:
    """A value as one part of a path."""
    return quote(str(value).encode("utf-8", "surrogatepass"), safe="")


def age(at: datetime) -> str:
    """How long ago, or in how long, in its largest unit: a card is read at a glance, and the exact time is beside it."""
    seconds = (datetime.now(UTC) - at).total_seconds()
    size, unit = next(((s, u) for s, u in _UNITS if abs(seconds) >= s), (0, ""))
    if not size:
        return "just now"
    told = f"{int(abs(seconds) // size)} {unit}"
    return f"{told} ago" if seconds > 0 else f"in {told}"


def when(at: datetime | str | None) -> str:
    """A time to the second, in UTC."""
    if at is None or at == "":
        return ""
    found = datetime.fromisoformat(at) if isinstance(at, str) else at
    return f"{found.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def words(name: str) -> str:
    """A name of ours as people read it: "isolate_host" is "isolate host"."""
    return "IP" if name == "ip" else name.replace("_", " ").replace(" ip", " IP")


def sentence(text: str) -> str:
    """With a capital letter in front, and the others as they are."""
    return text[:1].upper() + text[1:]
