"""`aegis report`: requirements of standards, each with its test or its entries in this ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from aegis_agents.cli.spoken import JsonFlag, SettingsFile, open_aegis, print_json, spoken_errors


def report(
    out: Annotated[Path | None, typer.Option("--out", help="Write Markdown to this file.")] = None,
    as_json: JsonFlag = False,
    settings: SettingsFile = None,
) -> None:
    """NIST SP 800-61r3, EU AI Act 12 and 14, ISO/IEC 42001, OWASP LLM and Agentic Top 10, MITRE ATLAS: what is met, by what."""
    from aegis_agents._version import __version__
    from aegis_agents.assurance.report import markdown
    from aegis_agents.assurance.report import report as make_report
    from aegis_agents.errors import InputError

    with spoken_errors(), open_aegis(settings) as aegis:
        found = aegis.store.verify()
        lines = make_report(aegis.store)
        if as_json:
            for line in lines:
                print_json(line.model_dump(mode="json"))
            return
        head = f"Aegis {__version__}; ledger verified: {found.entries} entries, head {found.head}"
        text = "\n".join(markdown(lines, head))
        if out is None:
            typer.echo(text)
            return
        try:
            out.write_text(text + "\n", "utf-8")
        except OSError as error:
            raise InputError(f"{out} can't be written: {error.strerror}", field="--out") from error
        typer.echo(f"{out}: {len(lines)} lines")
