"""No pickle anywhere: not in the code, not in what ships."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from aegis_agents.hardening.models import refuse_pickle

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "aegis_agents"
_RUN_CODE = {
    "pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal",
}  # fmt: skip


_WORDS = re.compile(r"load|pickle|dill|joblib|shelve|marshal|trust_remote_code|from_pretrained")


def _trees() -> Iterator[tuple[str, ast.AST]]:
    """The modules that name anything of it, parsed."""
    for file in sorted(PACKAGE.rglob("*.py")):
        text = file.read_text("utf-8")
        if _WORDS.search(text):
            yield str(file.relative_to(ROOT)), ast.parse(text)


def _uses(tree: ast.AST) -> list[tuple[int, str]]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, a.name) for a in node.names if a.name.partition(".")[0] in _RUN_CODE]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in _RUN_CODE:
            found.append((node.lineno, str(node.module)))
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {k.arg: ast.unparse(k.value) for k in node.keywords}
            if called in ("np.load", "numpy.load") and given.get("allow_pickle") != "False":
                found.append((node.lineno, "np.load without allow_pickle=False"))
            if called == "torch.load" and given.get("weights_only") != "True":
                found.append((node.lineno, "torch.load without weights_only=True"))
            if called.endswith(("load_local", "FAISS.load_local")) or given.get("allow_dangerous_deserialization"):
                found.append((node.lineno, "a FAISS store of langchain's"))
            if given.get("trust_remote_code", "False") != "False":
                found.append((node.lineno, "trust_remote_code"))
            if called == "yaml.load":
                found.append((node.lineno, "yaml.load"))
    return found


def test_nothing_reads_or_writes_pickle() -> None:
    found = [f"{name}:{line}: {what}" for name, tree in _trees() for line, what in _uses(tree)]
    assert found == []


def test_the_scan_sees_what_it_looks_for() -> None:
    text = (
        "import pickle\nfrom joblib import load\nnp.load(x)\ntorch.load(x)\nm(trust_remote_code=True)\nyaml.load(x)\n"
    )
    assert [line for line, _ in sorted(_uses(ast.parse(text)))] == [1, 2, 3, 4, 5, 6]


def test_weights_that_ship_are_none() -> None:
    for folder in ("model/weights", "model/language/adapter"):
        if (PACKAGE / folder).is_dir():
            refuse_pickle(PACKAGE / folder)


def test_adapters_and_bases_are_read_as_safetensors_alone() -> None:
    """Every place that loads weights with transformers or peft says so."""
    silent = []
    for name, tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "PeftModel.from_pretrained":
                given = {k.arg: ast.unparse(k.value) for k in node.keywords}
                if given.get("use_safetensors") != "True":
                    silent.append(f"{name}:{node.lineno}")
    assert silent == []
