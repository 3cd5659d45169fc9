"""The table of docs/threat-model.md, from docs/threat_model.toml: `python -m tests.hardening.threat_page` writes it anew."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[2] / "docs"
PAGE, MODEL = DOCS / "threat-model.md", DOCS / "threat_model.toml"
BEGIN, END = "<!-- table: begin -->", "<!-- table: end -->"


def model() -> dict[str, list[dict[str, Any]]]:
    """The elements and threats."""
    return tomllib.loads(MODEL.read_text("utf-8"))


def table() -> str:
    """A section for each element, a row for each threat."""
    read, lines = model(), list[str]()
    for element in read["element"]:
        lines += [
            f"### {element['id']} · {element['name']}",
            "",
            "| | STRIDE | Threat | Control | OWASP, ATLAS | Tests |",
            "|---|---|---|---|---|---|",
        ]
        for t in (t for t in read["threat"] if t["on"] == element["id"]):
            control = t["control"] + (f" **Left:** {t['left']}" if t.get("left") else "")
            ids = ", ".join([*t["owasp"], *t["atlas"]])
            tests = "<br>".join(f"`{name.partition('::')[2]}`" for name in t["tests"])
            lines.append(f"| {t['id']} | {t['stride']} | {t['what']} | {control} | {ids} | {tests} |")
        lines.append("")
    return "\n".join(lines)


def written(page: str) -> str:
    """The page with the table as it should be."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text("utf-8")), "utf-8")
