"""The store as a LangChain retriever, for chains that expect one."""

from __future__ import annotations

from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from pydantic import Field

from aegis_agents.intel.facade import AnyCorpus, Intel
from aegis_agents.intel.search import MAX_RESULTS


class IntelRetriever(BaseRetriever):
    """Finds passages for a query; everything but the text goes into each document's metadata.

    `corpora` limits what is searched (None: all but cases), `k` how much is found.
    """

    intel: Any = Field(exclude=True)
    corpora: tuple[AnyCorpus, ...] | None = None
    k: int = Field(default=5, ge=1, le=MAX_RESULTS)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        intel: Intel = self.intel
        passages = intel.search(query, corpora=self.corpora, k=self.k)
        return [
            LangChainDocument(id=p.id, page_content=p.text, metadata=p.model_dump(mode="json", exclude={"text"}))
            for p in passages
        ]
