"""EPSS by FIRST: how likely each CVE is exploited within 30 days, as a daily CSV of some 300,000 rows.

Source of the method: Jacobs et al., "Exploit Prediction Scoring System" (2021); https://www.first.org/epss/.
"""

from __future__ import annotations

import csv
import datetime as dt
import re
from collections.abc import Iterator, Sequence

from aegis_agents.errors import InputError
from aegis_agents.intel.documents import Document, plain
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats.common import SkipLog, csv_rows, observed, provenance
from aegis_agents.intel.feeds.parsed import Blob, Parsed
from aegis_agents.intel.feeds.unpack import decode_text
from aegis_agents.intel.kev import CVE_ID

EPSS_LICENCE = "EPSS by FIRST (https://www.first.org/epss/), free to use with attribution"

_SAID = re.compile(r"(model_version|score_date)\s*:\s*([^,\s]+)")
_NUMBER = re.compile(r"\d(?:\.\d{1,12})?(?:[eE]-\d{1,2})?")
_FIX = "give FIRST's epss_scores-current.csv.gz"


def read(blobs: Sequence[Blob], feed: Feed, *, fetched_at: dt.datetime) -> Parsed:
    """One document for each CVE, under its id, observed on the day of the score.

    Raises InputError if there are no columns cve, epss and percentile, or no usable row.
    """
    skips = SkipLog()
    came = provenance(feed, fetched_at, EPSS_LICENCE)
    documents: dict[str, Document] = {}
    version = ""
    for blob in blobs:
        lines = decode_text(blob).splitlines()
        said = dict(_SAID.findall(lines[0][:200])) if lines and lines[0].startswith("#") else {}
        scored = observed(said.get("score_date"), fetched_at)
        day = scored.date().isoformat() if scored else "an unknown day"
        version = version or f"{said.get('model_version', 'unknown model')[:40]}, scores of {day}"
        for where, cve, score, percentile in _rows(lines, blob.name, skips):
            if cve in documents:
                skips.add(where, f"{cve} is listed twice")
                continue
            # 300,000 validated documents take 9 s, built so they take 4: every field is checked or ours.
            documents[cve] = Document.model_construct(
                corpus="epss", id=cve, title=f"EPSS of {cve}: {score}", aliases=(), observed_at=scored,
                text=f"{cve} is exploited within 30 days with a probability of {score} (EPSS, {day}); "
                f"percentile {percentile}.", **came,
            )  # fmt: skip
    if not documents:
        raise InputError("holds no score", field=feed.name, fix=_FIX)
    return Parsed(plain(version), list(documents.values()), skips.listed())


def _rows(lines: list[str], name: str, skips: SkipLog) -> Iterator[tuple[str, str, str, str]]:
    """Where, CVE, score and percentile of each usable row; the numbers as they stand there."""
    start = next((n for n, line in enumerate(lines) if line.strip() and not line.startswith("#")), len(lines))
    header = [h.strip().lower() for h in lines[start].split(",")] if start < len(lines) else []
    try:
        columns = [header.index(c) for c in ("cve", "epss", "percentile")]
    except ValueError as error:
        raise InputError("has no columns cve, epss and percentile", field=name, fix=_FIX) from error
    last = max(columns)
    rows = csv.reader(lines[start + 1 :])
    for row in csv_rows(rows, lambda: f"{name}:{start + 1 + rows.line_num}", skips):
        if not row:
            continue
        if len(row) <= last:
            skips.add(f"{name}:{start + 1 + rows.line_num}", "has too few columns")
            continue
        cve, score, percentile = (row[c].strip() for c in columns)
        if not CVE_ID.fullmatch(cve) or not cve.isascii():
            skips.add(f"{name}:{start + 1 + rows.line_num}", f"{cve[:40]!r} is not a CVE id")
        elif not all(_NUMBER.fullmatch(n) and n.isascii() and float(n) <= 1 for n in (score, percentile)):
            skips.add(f"{name}:{start + 1 + rows.line_num}", f"{cve}: a score is between 0 and 1")
        else:
            yield f"{name}:{start + 1 + rows.line_num}", cve, score, percentile
