"""The report as Markdown."""

from __future__ import annotations

import re

from aegis_agents._version import __version__
from aegis_agents.assurance.redteam.attempt import Attempt, Report, Suite

_MOST = 40
"""Attempts of one suite that are listed; the JSON has them all."""
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|#!])")


def to_markdown(report: Report) -> str:
    """What was tried, what held, and first of all what did not."""
    through = report.got_through
    lines = [
        "# Red team", "",
        f"{len(report.attempts)} attempts in {report.seconds:.0f} s: "
        + (f"**{len(through)} got through**." if through else "nothing got through."),
        "", f"Aegis {__version__}, begun {report.at or 'at a time not known'}. Versions: "
        + ", ".join(f"{k} {v}" for k, v in report.versions.items()) + ".",
    ]  # fmt: skip
    if report.set_aside:
        lines += [
            f"Not taken over from your settings, so that nothing outside is touched: {', '.join(report.set_aside)}."
        ]
    if through:
        lines += ["", "## What got through", "", *(_row(a) for a in through)]
    for suite in report.suites:
        lines += _section(report, suite)
    return "\n".join(lines) + "\n"


def _section(report: Report, suite: Suite) -> list[str]:
    attempts = report.of(suite.id)
    held = sum(a.result == "held" for a in attempts)
    untried = sum(a.result == "not_tried" for a in attempts)
    ids = ", ".join((*(f"OWASP {o}" for o in suite.owasp), *(f"ATLAS {a}" for a in suite.atlas)))
    counted = f"{held} of {len(attempts)} held" + (f", {untried} not tried" if untried else "")
    lines = ["", f"## {suite.id}", "", f"{suite.about}." + (f" ({ids})" if ids else ""), "", f"{counted}.", ""]
    shown = sorted(attempts, key=lambda a: a.result == "held")[:_MOST]
    lines += [_row(a) for a in shown]
    if len(attempts) > len(shown):
        lines.append(f"- and {len(attempts) - len(shown)} more that held")
    return lines


def _row(attempt: Attempt) -> str:
    detail = f": {_plain(attempt.detail)}" if attempt.detail else ""
    return f"- {attempt.result.replace('_', ' ')}: {attempt.suite}, {_plain(attempt.name)}{detail}"


def _plain(text: str) -> str:
    """One line without markup: some of it comes from alerts."""
    return _MARKUP.sub(r"\\\1", " ".join(text.split()))
