"""The one style sheet: light and dark, by the system's wish and by the theme of the notebook it stands in.

Attack is orange and harmless is blue in every picture: these two are told apart with every common kind of colour
blindness (after Okabe and Ito 2008), and no colour stands alone, there is always a sign or a word beside it.
"""

from __future__ import annotations

from functools import cache
from importlib import resources
from typing import Final

_LIGHT: Final = {
    "bg": "#ffffff", "soft": "#f4f6f8", "ink": "#1b1f24", "muted": "#57606a", "line": "#d3d9df", "strong": "#8a94a0",
    "attack": "#ad4500", "attack-fill": "#c25100", "attack-soft": "#fbe9dd", "calm": "#0064a0", "calm-fill": "#0072b2",
    "calm-soft": "#e0eef8", "calm2-fill": "#56a5d8", "open": "#7a5c00", "open-fill": "#e0a000", "open-soft": "#fbf1d5",
    "good": "#00684f", "good-soft": "#dcf3ea", "over": "#ffffff", "on-open": "#1b1f24",
}  # fmt: skip
_DARK: Final = {
    "bg": "#14181d", "soft": "#1d232a", "ink": "#e6edf3", "muted": "#a0abb7", "line": "#343c45", "strong": "#77828e",
    "attack": "#ffa56b", "attack-fill": "#f0803a", "attack-soft": "#3a2416", "calm": "#7cc1f5", "calm-fill": "#4aa3df",
    "calm-soft": "#152c3f", "calm2-fill": "#2b6f9f", "open": "#f2c75c", "open-fill": "#d9a520", "open-soft": "#352b10",
    "good": "#5fd6ad", "good-soft": "#11332a", "over": "#14181d", "on-open": "#14181d",
}  # fmt: skip
# JupyterLab and Notebook 7, VS Code, and the attribute a page of ours may set.
_IS_LIGHT: Final = ('[data-jp-theme-light="true"]', "body.vscode-light", '[data-aegis-theme="light"]')
_IS_DARK: Final = ('[data-jp-theme-light="false"]', "body.vscode-dark", "body.vscode-high-contrast", '[data-aegis-theme="dark"]')  # fmt: skip


def _block(selectors: str, colours: dict[str, str], scheme: str) -> str:
    return f"{selectors}{{color-scheme:{scheme};{';'.join(f'--aegis-{k}:{v}' for k, v in colours.items())}}}"


@cache
def css() -> str:
    """The style sheet of everything that `aegis_agents.display` renders; every rule of it is under `.aegis`."""
    light, dark = _block(".aegis", _LIGHT, "light"), _block(".aegis", _DARK, "dark")
    named_light = _block(",".join(f"{s} .aegis" for s in _IS_LIGHT), _LIGHT, "light")
    named_dark = _block(",".join(f"{s} .aegis" for s in _IS_DARK), _DARK, "dark")
    rules = (resources.files("aegis_agents.display") / "aegis.css").read_text("utf-8")
    return "\n".join((light, f"@media (prefers-color-scheme:dark){{{dark}}}", named_light, named_dark, rules))


def notebook(fragment: str) -> str:
    """A fragment with its style sheet, for a cell of a notebook (which has none of its own)."""
    return f'<style>{css()}</style><div class="aegis">{fragment}</div>'
