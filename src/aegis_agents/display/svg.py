"""The few shapes that pictures are made of. Classes only: colour and font are the style sheet's."""

from __future__ import annotations

from typing import Final

from aegis_agents.display.shown import Markup, el, fit, text

WIDTH: Final = 760
"""Units across; a picture is as wide as its page allows, at most this many pixels, and scrolls where there is less."""
MONO: Final = 7.25
"""Units that one column of the fixed-width font takes at 12 units: the widest of the common ones."""
SMALL: Final = 6.65
"""The same at 11 units."""


def figure(kind: str, title: str, about: str, height: float, *parts: object, width: float = WIDTH) -> str:
    """A picture; `title` names it and `about` says what it shows, for who can't see it."""
    said = (el("title", title), el("desc", about))
    drawn = el(
        "svg", *said, *parts, xmlns="http://www.w3.org/2000/svg", class_=f"aegis-svg aegis-{kind}", role="img",
        viewBox=f"0 0 {n(width)} {n(height)}", width=n(width), height=n(height), aria_label=f"{title}. {about}",
    )  # fmt: skip
    return str(drawn)


def n(value: float) -> str:
    """A coordinate."""
    return f"{value:.5g}" if value < 10_000 else f"{value:.0f}"


# The shapes below are put together by hand, at a fifth of what `el` costs: only what `text` gives back is data,
# `style` is always of this package.


def rect(x: float, y: float, width: float, height: float, style: str, round: float = 3, title: object = None) -> Markup:
    """A box; `title` is shown to who points at it."""
    size = f'width="{n(max(0, width))}" height="{n(max(0, height))}" rx="{n(round)}"'
    opened = f'<rect x="{n(x)}" y="{n(y)}" {size} class="{style}"'
    return Markup(f"{opened}/>" if title is None else f"{opened}><title>{text(title)}</title></rect>")


def line(x1: float, y1: float, x2: float, y2: float, style: str = "aegis-line") -> Markup:
    """A straight line."""
    return Markup(f'<line x1="{n(x1)}" y1="{n(y1)}" x2="{n(x2)}" y2="{n(y2)}" class="{style}"/>')


def curve(x1: float, y1: float, x2: float, y2: float, style: str = "aegis-line") -> Markup:
    """A line that leaves and arrives level."""
    middle = n((x1 + x2) / 2)
    return Markup(f'<path d="M{n(x1)} {n(y1)}C{middle} {n(y1)} {middle} {n(y2)} {n(x2)} {n(y2)}" class="{style}"/>')


def dot(x: float, y: float, radius: float, style: str) -> Markup:
    """A disc."""
    return Markup(f'<circle cx="{n(x)}" cy="{n(y)}" r="{n(radius)}" class="{style}"/>')


_PLACES: Final = {"start": "", "middle": " aegis-mid", "end": " aegis-end"}


def label(x: float, y: float, said: object, style: str = "", anchor: str = "start") -> Markup:
    """Text whose baseline is at y; it must be known to fit (see `mono`)."""
    return Markup(f'<text x="{n(x)}" y="{n(y)}" class="aegis-t {style}{_PLACES[anchor]}">{text(said)}</text>')


def mono(x: float, y: float, width: float, value: object, style: str = "", anchor: str = "start") -> Markup:
    """A value in the fixed-width font, cut to `width` units; pointed at, it is shown in full (to 500 characters)."""
    unit = SMALL if "aegis-small" in style else MONO
    shown = fit(value, max(1, int(width / unit)))
    full = "" if shown == value else f"<title>{text(value, 500)}</title>"
    classes = f"aegis-t aegis-mono {style}{_PLACES[anchor]}"
    return Markup(f'<text x="{n(x)}" y="{n(y)}" class="{classes}">{full}{text(shown)}</text>')
