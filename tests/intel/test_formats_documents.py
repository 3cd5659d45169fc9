from __future__ import annotations

import datetime as dt
import io
import json
import time
from pathlib import Path
from typing import Any

import pytest

from aegis_agents.errors import InputError
from aegis_agents.intel.feeds.config import Feed
from aegis_agents.intel.feeds.formats import read
from aegis_agents.intel.feeds.formats.passages import LENGTH, cut, markdown
from aegis_agents.intel.feeds.parsed import Blob, Parsed

NOW = dt.datetime(2026, 11, 26, tzinfo=dt.UTC)


def reading(files: dict[str, str | bytes], **more: Any) -> Parsed:
    feed = Feed.model_validate({"name": "wiki", "kind": "documents", "path": "x"} | more)
    blobs = [Blob(name, c if isinstance(c, bytes) else c.encode()) for name, c in files.items()]
    return read(blobs, feed, fetched_at=NOW)


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page, written by hand."""
    bodies = ["<</Type/Catalog/Pages 2 0 R>>", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for text in pages:
        stream = f"BT /F1 12 Tf 50 700 Td ({text}) Tj ET"
        kids.append(f"{len(bodies) + 1} 0 R")
        bodies.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents {len(bodies) + 2} 0 R/Resources<</Font<</F1 3 0 R>>>>>>"
        )
        bodies.append(f"<</Length {len(stream)}>>stream\n{stream}\nendstream")
    bodies[1] = f"<</Type/Pages/Kids[{' '.join(kids)}]/Count {len(pages)}>>"
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, 1):
        places.append(len(out))
        out += f"{number} 0 obj{body}endobj\n".encode()
    start = len(out)
    out += f"xref\n0 {len(bodies) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{p:010} 00000 n \n".encode() for p in places)
    return out + f"trailer<</Size {len(bodies) + 1}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF".encode()


GUIDE = """---
title: hidden
owner: mitre
---
Before all headings.

# Phishing

## Reset the password

First *this*.

Then [that](https://example.com/a_(b)).

## Tell people
```
# not a heading
```
### Whom
Everyone.
# Malware
Isolate it.
"""


def test_markdown_is_cut_at_headings_whose_path_is_the_title() -> None:
    parsed = reading({"ir/guide.md": GUIDE})
    assert [(d.id, d.title, d.text) for d in parsed.documents] == [
        ("wiki/ir/guide.md#1", "guide", "Before all headings."),
        ("wiki/ir/guide.md#2", "guide > Phishing > Reset the password", "First *this*. Then [that](https://example.com/a_(b))."),
        ("wiki/ir/guide.md#3", "guide > Phishing > Tell people", "# not a heading"),
        ("wiki/ir/guide.md#4", "guide > Phishing > Tell people > Whom", "Everyone."),
        ("wiki/ir/guide.md#5", "guide > Malware", "Isolate it."),
    ]  # fmt: skip
    assert {d.corpus for d in parsed.documents} == {"document"}
    assert not parsed.skipped


def test_links_and_html_become_their_text() -> None:
    text = 'See [the runbook](https://example.com/x "T").\n\n<p>Call <b>us</b> &amp; wait</p><script>\n\nalert(1)\n\n</script>\n\nEnd <3'
    (passage,) = markdown(text, "n")
    assert passage.text == "See the runbook. Call us & wait End <3"


def test_a_passage_is_at_most_so_long_and_nothing_is_lost() -> None:
    words = [f"word{n}" for n in range(2000)]
    text = "\n\n".join(" ".join(words[n : n + 50]) + "." for n in range(0, 2000, 50))
    pieces = list(cut(text.split("\n\n")))
    assert max(map(len, pieces)) <= LENGTH
    assert " ".join(pieces).replace(".", "").split() == words
    assert len(pieces) < 2 * len(text) / LENGTH
    assert [len(p) for p in cut(["x" * 2000])] == [900, 900, 200]
    assert list(cut(["", "  ", "\n"])) == []
    sentences = "A first sentence. " * 60
    assert all(p.endswith(".") for p in cut([sentences]))


def test_text_json_and_pdf_are_read() -> None:
    files: dict[str, str | bytes] = {
        "a.txt": "One.\n\nTwo.",
        "b.json": json.dumps({"title": "Contacts", "list": [{"name": "Alice", "phone": 5}, "Bob"], "none": None}),
        "c.jsonl": '{"step": "One"}\n{"step": "Two"}\n',
        "d.PDF": pdf("Hello from page one", "And page two"),
        "e.png": b"\x89PNG",
    }
    parsed = reading(files)
    assert [(d.id, d.title, d.text) for d in parsed.documents] == [
        ("wiki/a.txt#1", "a", "One. Two."),
        ("wiki/b.json#1", "b", "title: Contacts name: Alice list: Bob"),
        ("wiki/c.jsonl#1", "c", "step: One step: Two"),
        ("wiki/d.PDF#1", "d, page 1", "Hello from page one"),
        ("wiki/d.PDF#2", "d, page 2", "And page two"),
    ]
    assert [s.where for s in parsed.skipped] == ["e.png"]


def encrypted() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf("secret"))))
    writer.encrypt("password", algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def circular() -> bytes:
    return pdf("x").replace(b"/Kids[4 0 R]", b"/Kids[2 0 R]")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "content",
    [b"", b"%PDF-1.4", b"not a pdf", pdf("x")[:200], pdf("x").replace(b"startxref", b"startxxxx")[:-200], circular(), encrypted(),
     pdf("x").replace(b"/Count 1", b"/Count 99999999999")[:300], b"%PDF-1.7\n" + b"1 0 obj<<" * 50_000],
    ids=["empty", "head", "other", "cut", "no-xref", "circular", "encrypted", "count", "deep"],
)  # fmt: skip
def test_a_pdf_that_can_not_be_read_costs_itself(content: bytes) -> None:
    started = time.process_time()
    parsed = reading({"bad.pdf": content, "good.md": "Fine."})
    assert [d.id for d in parsed.documents] == ["wiki/good.md#1"]
    assert {s.where.partition(":")[0] for s in parsed.skipped} == {"bad.pdf"}
    assert time.process_time() - started < 5


def test_pages_and_passages_behind_the_bound_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_agents.intel.feeds.formats.own_documents.MAX_PAGES", 2)
    parsed = reading({"a.pdf": pdf("One", "Two", "Three")})
    assert [d.text for d in parsed.documents] == ["One", "Two"]
    assert "3 pages" in parsed.skipped[0].why
    monkeypatch.setattr("aegis_agents.intel.feeds.formats.own_documents.MAX_FILE_PASSAGES", 1)
    parsed = reading({"a.md": "# A\nx\n# B\ny\n"})
    assert [d.text for d in parsed.documents] == ["x"]
    assert "left out" in parsed.skipped[0].why


def test_a_pdf_that_takes_too_long_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aegis_agents.intel.feeds.formats.own_documents.MAX_SECONDS", 0.1)
    # Every page draws the same 60,000 words.
    busy = pdf("a) Tj (" * 60_000, *["b"] * 50).replace(b"/Contents 7 0 R", b"/Contents 5 0 R")
    started = time.process_time()
    parsed = reading({"busy.pdf": busy, "good.md": "Fine."})
    assert "takes longer" in parsed.skipped[-1].why
    assert parsed.documents[-1].id == "wiki/good.md#1"
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("../../etc/shadow.md", "wiki/etc/shadow.md#1"), ("/root/a.md", "wiki/root/a.md#1"), ("..\\..\\a.md", "wiki/a.md#1"),
        ("a\u202egnp.md", "wiki/a gnp.md#1"), ("a\x00\n.md", "wiki/a .md#1"), ("./a//b.md", "wiki/a/b.md#1"),
    ],
)  # fmt: skip
def test_a_name_can_not_lead_out_or_lie(name: str, key: str) -> None:
    assert [d.id for d in reading({name: "Text."}).documents] == [key]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.md", ""), ("a.md", "---\ntitle: x\n---\n"), ("a.txt", b"\xff\xfe\x00"), ("a.txt", b"a\x00b"), ("a.json", "{"),
        ("a.json", "[" * 90_000), ("a.json", "[]"), ("a.json", "NaN"), ("a.jsonl", "{}\n{"), ("a.exe", "MZ"), ("a", "x"),
    ],
)  # fmt: skip
def test_a_file_without_text_costs_itself_and_alone_is_refused(name: str, content: str | bytes) -> None:
    assert len(reading({name: content, "good.md": "Fine."}).skipped) == 1
    with pytest.raises(InputError, match="nothing usable"):
        reading({name: content})


@pytest.mark.parametrize(
    "text",
    ["#" * 50_000, "[" * 50_000, "<" * 50_000, "<!--" * 20_000, "`" * 50_000, "```\n" * 20_000, "![[" * 20_000, "a" * 200_000,
     "# " * 50_000, "<a " * 20_000, "<![CDATA[" * 10_000, "&" * 50_000, "---\n" * 20_000, "[a](" * 20_000],
    ids=lambda text: text[:9].strip(),
)  # fmt: skip
def test_strange_markdown_does_not_take_for_ever(text: str) -> None:
    started = time.process_time()
    assert all(len(p.text) <= LENGTH for p in markdown(text, "n"))
    assert time.process_time() - started < 2


def test_front_matter_decides_nothing() -> None:
    parsed = reading(
        {"a.md": "---\ntrust: 1\ntlp: clear\ntenant: acme\n---\n# \u202eTitle\nText\u200b."}, tlp="red", tenant="north"
    )
    (document,) = parsed.documents
    assert (document.trust, document.tlp, document.tenant, document.owner) == (0.3, "red", "north", "wiki")
    assert (document.title, document.text) == ("a > Title", "Text.")


def test_the_same_text_has_the_same_hash_when_it_is_fetched_again() -> None:
    feed = Feed(name="wiki", kind="documents", path=Path("x"))
    one, two = (
        read([Blob("a.md", b"Text.")], feed, fetched_at=NOW + dt.timedelta(days=n)).documents[0].sha256 for n in (0, 1)
    )
    assert one == two
