"""Which language model answers on the slow path: none, the local one, or an OpenAI-compatible server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pydantic import SecretStr

from aegis_agents.errors import ModelError
from aegis_agents.model.language.base import base_folder

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from aegis_agents.model.language.local import Quantise


class Wanted(NamedTuple):
    """`where` is "" for none, "local", a folder with a base of your own, or the URL of an OpenAI-compatible server."""

    where: str
    name: str = ""
    key: str | None = None
    adapter: Path | None = None
    adapter_sha256: str | None = None
    quantise: Quantise = "none"
    tokens: int = 200
    seconds: float = 20.0


def open_language(wanted: Wanted, home: Path) -> BaseChatModel | None:
    """The chat model, not loaded yet. Raises ModelError naming what is missing."""
    if not wanted.where:
        return None
    if wanted.where.startswith(("http://", "https://")):
        try:
            from langchain_openai import ChatOpenAI
        except ImportError as error:
            raise ModelError(f'{error.name} is not installed: pip install "aegis-soc-agents[llm]"') from error
        return ChatOpenAI(
            base_url=wanted.where, model=wanted.name, api_key=SecretStr(wanted.key or "none"), timeout=wanted.seconds, max_retries=0,
            max_completion_tokens=wanted.tokens, temperature=0,
        )  # fmt: skip
    from aegis_agents.model.language.local import LocalChat

    own = wanted.where != "local"
    return LocalChat(
        folder=Path(wanted.where) if own else base_folder(home), adapter=wanted.adapter or ("" if own else None),
        adapter_sha256=wanted.adapter_sha256, quantise=wanted.quantise, max_tokens=wanted.tokens, max_seconds=wanted.seconds,
    )  # fmt: skip
