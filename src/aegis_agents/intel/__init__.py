"""Threat intelligence: corpora, verified FAISS snapshots, hybrid search and the memory of confirmed cases.

Read in this order: documents, the corpora (attack, kev, actions), readers, index, words, tables, segments,
snapshot, store, search, changes, writer, build, prune, cases, facade. FAISS, the ATT&CK package and LangChain are
imported when they are first needed.
"""

from aegis_agents.intel.build import write_vectors
from aegis_agents.intel.cases import CaseCounts, FinalVerdict, SimilarCase
from aegis_agents.intel.crosswalk import base_technique
from aegis_agents.intel.documents import CORPORA, Corpus, Document, Embedder
from aegis_agents.intel.embedding import SHIPPED_VECTORS
from aegis_agents.intel.facade import Intel
from aegis_agents.intel.readers import Reader

__all__ = [
    "CORPORA", "SHIPPED_VECTORS", "CaseCounts", "Corpus", "Document", "Embedder", "FinalVerdict", "Intel", "Reader",
    "SimilarCase", "base_technique", "write_vectors",
]  # fmt: skip
