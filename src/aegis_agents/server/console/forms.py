"""What browsers send: forms of ours alone, and what was typed into them, kept where a session ended meanwhile.

Every form carries its session's token (synchroniser token), and its Origin must be ours: either alone would do.
Browsers send an Origin with every POST; what has none was sent by no page of ours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from aegis_agents.errors import InputError
from aegis_agents.server.problems import Refused

_PAGES: Final = re.compile(
    r"/(?:queue|ledger|autonomy|intel|timers|health|help|ask|cases/[^/?#\\]{1,900}|actions/[^/?#\\]{1,300})?(?:\?[^#\\]*)?"
)
"""Where one may be sent back to: pages of ours, and no address of anybody else's."""
_VERBS: Final = frozenset({"approve", "deny", "retarget", "undo", "keep", "ask", "confirm"})
_FIELDS: Final = frozenset({"reason", "target", "question", "verdict"})
MOST_DRAFT: Final = 6_000
"""Characters of what is kept of a form."""
MOST_FIELDS: Final = 20


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form that a page of ours sent; the last one counts. Raises Refused."""
    check_origin(request)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Refused(415, "unsupported_media_type", "send a form of this page", field="Content-Type")
    try:
        body = (await request.body()).decode("ascii")
        pairs = parse_qsl(body, keep_blank_values=True, strict_parsing=bool(body), max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise Refused(422, "invalid_input", "that is no form of this page") from error
    return dict(pairs)


def check_origin(request: Request) -> None:
    """Refuse what another site sent, or nobody's page. Raises Refused (403)."""
    ours = f"{request.url.scheme}://{request.headers.get('host', '')}"
    if request.headers.get("origin", "").lower() != ours.lower():
        raise Refused(
            403, "foreign_origin", "the request comes from another site, or from none: nothing was done",
            fix="open the console itself and use its buttons; behind a proxy, see that it passes Host and "
            "X-Forwarded-Proto and is named in trusted_proxies",
        )  # fmt: skip


def page_of(path: object) -> str:
    """The path, if it is a page of the console, else the first page."""
    return path if isinstance(path, str) and len(path) <= 1_500 and path.isprintable() and _PAGES.fullmatch(path) else "/"  # fmt: skip


def draft_of(path: str, fields: Mapping[str, str]) -> dict[str, Any]:
    """What was being sent: the page that it belongs to, what was to be done, and what was typed."""
    page, _, verb = path.rpartition("/")
    if verb == "ask":
        incident = fields.get("incident_id", "")
        page = f"/cases/{incident}" if incident and "/" not in incident else "/ask"
    typed = {name: fields[name] for name in sorted(_FIELDS & fields.keys())}
    return {"page": page_of(page), "verb": verb if verb in _VERBS else "", "typed": typed}


def pack_draft(draft: Mapping[str, Any]) -> str:
    """A draft as a hidden field holds it, on the way through a sign-in; "" where it is too long."""
    packed = json.dumps(draft)
    return packed if len(packed) <= MOST_DRAFT else ""


def unpack_draft(packed: str) -> dict[str, Any] | None:
    """The draft that a hidden field held. It came back from a browser: it is checked like anything that does."""
    if not packed or len(packed) > MOST_DRAFT:
        return None
    try:
        found = json.loads(packed)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not isinstance(found.get("typed"), dict) or found.get("verb") not in _VERBS:
        return None
    typed = {k: v for k, v in found["typed"].items() if k in _FIELDS and isinstance(v, str)}
    return {"page": page_of(found.get("page")), "verb": found["verb"], "typed": typed}


def target_of(chosen: str) -> tuple[str, str]:
    """Kind and value of a chosen target ("ip:203.0.113.9"). Raises InputError."""
    kind, colon, value = chosen.partition(":")
    if not colon or not kind or not value:
        raise InputError("was not chosen", field="target", fix="choose an entity of the incident")
    return kind, value
