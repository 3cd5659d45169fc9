"""A hook of mkdocs: what the pages link to outside docs/ becomes part of the site, and so does the command's help.

A link to a Markdown file of the repository (a report, a README) leads to a page made of it, one to any other file to a
copy. So the site needs no other host, and a link to what is not there is an error.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = "repository"
"""Where in the site the repository's other files stand."""
_LINK = re.compile(r"(?<=\]\()(?P<path>[^)#\s:]+)(?P<anchor>#[^)\s]*)?(?=\))")
_FENCED = re.compile(r"^[ ]*```.*?^[ ]*```", re.MULTILINE | re.DOTALL)
_CLI = "reference/cli.md"


def on_files(files: Files, config: Any) -> Files:
    """Add what is linked to, and what that links to in turn."""
    docs = Path(config["docs_dir"])
    files.append(File.generated(config, _CLI, content=command_reference()))
    todo = [docs / f.src_uri for f in files.documentation_pages() if f.src_uri != _CLI]
    seen = set(todo)
    while todo:
        page = todo.pop()
        for found in _LINK.finditer(_FENCED.sub("", _listing(page) if page.is_dir() else page.read_text("utf-8"))):
            target = _target(page, found["path"])
            if target is None or target in seen or target.is_relative_to(docs):
                continue
            seen.add(target)
            uri = _uri(target, docs)
            if target.is_dir():
                files.append(File.generated(config, uri, content=_listing(target)))
                todo.append(target)
            elif target.suffix == ".md":
                files.append(File.generated(config, uri, content=target.read_text("utf-8")))
                todo.append(target)
            else:
                files.append(File.generated(config, uri, content=target.read_bytes()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Lead links out of docs/ to where their targets stand in the site."""
    docs, here = Path(config["docs_dir"]), page.file.src_uri
    source = ROOT / here.removeprefix(OUTSIDE + "/") if here.startswith(OUTSIDE + "/") else docs / here
    if source.name == "index.md" and not source.exists():
        source = source.parent  # the listing of a folder
    if here == _CLI:
        return markdown

    def led(found: re.Match[str]) -> str:
        target = _target(source, found["path"])
        if target is None or (target.is_relative_to(docs) and source.is_relative_to(docs)):
            return found[0]
        return posixpath.relpath(_uri(target, docs), posixpath.dirname(here)) + (found["anchor"] or "")

    return _LINK.sub(led, markdown)


def _target(page: Path, link: str) -> Path | None:
    """The file or folder of the repository that a link leads to; of a folder its README. None if there is none."""
    target = ((page if page.is_dir() else page.parent) / link).resolve()
    target = target / "README.md" if (target / "README.md").is_file() else target
    return target if target.exists() and target.is_relative_to(ROOT) else None


def _uri(target: Path, docs: Path) -> str:
    if target.is_relative_to(docs):
        return target.relative_to(docs).as_posix()
    return f"{OUTSIDE}/{target.relative_to(ROOT).as_posix()}" + ("/index.md" if target.is_dir() else "")


def _listing(folder: Path) -> str:
    """A page of a folder that has no README: its files, and the folders in it that have one."""
    inside = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    files = [f"- [{entry.name}]({entry.name})" for entry in inside if entry.is_file()]
    folders = [f"- [{e.name}/]({e.name}/README.md)" for e in inside if (e / "README.md").is_file()]
    return "\n".join([f"# {folder.relative_to(ROOT).as_posix()}", "", *folders, *files])


def command_reference() -> str:
    """Every `aegis` command with its arguments and options, from the command itself."""
    import typer

    from aegis_agents.cli.main import app

    lines = ["# The aegis command", ""]
    group = typer.main.get_command(app)
    lines += [
        (group.help or "").strip(),
        "",
        "Exit codes: 0 done; 1 an alert, action or check failed; 2 wrong usage or",
    ]
    lines += ["settings; 3 the ledger, the model or the intelligence was tampered with.", ""]
    for path, command in sorted(_commands(group, "aegis")):
        usage = [p.make_metavar(typer.Context(command)) for p in command.params if p.param_type_name == "argument"]
        lines += [
            f"## {path}",
            "",
            (command.help or "").strip(),
            "",
            "```text",
            " ".join([path, "[OPTIONS]", *usage]),
            "```",
            "",
        ]
        for p in command.params:
            record = p.get_help_record(typer.Context(command))
            if record is not None and "--help" not in p.opts:
                said = re.sub(r"\s+", " ", record[1]).replace("<", "&lt;")
                lines.append(f"- `{record[0]}` {said}")
        lines.append("")
    return "\n".join(lines)


def _commands(group: Any, path: str) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for name, command in group.commands.items():
        found += _commands(command, f"{path} {name}") if hasattr(command, "commands") else [(f"{path} {name}", command)]
    return found
