"""Honest passages of outside feeds for evals.intel_poisoning: what must not be held back."""

from __future__ import annotations

import json
from pathlib import Path

from aegis_agents.intel import Document
from evals.intel_poisoning_texts import Half, low
from evals.suites import read_lines


def honest(data: Path) -> dict[str, tuple[Half, list[Document]]]:
    """Source → its half and its documents, as a feed of low trust. Halves are whole sources."""
    sigma = [
        low(r["id"], r["title"], f"{r['title']}. {r['description'] or ''} False positives: {', '.join(map(str, r['falsepositives'] or ()))}",
            next((t.removeprefix("attack.").upper() for t in r["tags"] or () if t.startswith("attack.t1")), None), "rule")
        for r in read_lines(data / "sigma" / "rules.jsonl")
    ][::3]  # fmt: skip
    atomic = [
        low(r["guid"] or n, r["name"], f"{r['name']}. {r['description'] or ''}", r["technique"])
        for n, r in enumerate(read_lines(data / "atomic_red_team" / "atomics.jsonl"))
    ][::2]
    splunk = [
        low(r["id"], r["name"], f"{r['description']} {r['known_false_positives'] or ''}", None, "rule")
        for r in read_lines(data / "splunk_security_content" / "detections.jsonl")
    ][::2]
    react = [
        low(r["id"], r["title"].split("_", 2)[-1].replace("_", " ").capitalize(), f"{r['description']} {r.get('workflow') or ''}", None, "playbook")
        for r in read_lines(data / "react" / "response_actions.jsonl")
    ]  # fmt: skip
    tram = [
        low(f"tram{n}", r["doc_title"][:80], r["text"], None)
        for n, r in enumerate(json.loads((data / "tram" / "single_label.json").read_text("utf-8")))
    ][::10]
    mirror = [
        low(r["id"], r["name"], f"{r['name']}. {r['description']}", r["id"])
        for r in read_lines(data / "mitre_attack" / "techniques_from_atomic_index.jsonl")
    ]
    kev = [
        low(r["cveID"], f"{r['cveID']} {r['vulnerabilityName']}", f"{r['cveID']}: {r['shortDescription']} {r['requiredAction']}")
        for r in json.loads((data / "cisa_kev" / "known_exploited_vulnerabilities.json").read_text("utf-8"))["vulnerabilities"]
    ][::3]  # fmt: skip
    return {
        "Sigma rules (every 3rd)": ("tune", sigma),
        "Atomic Red Team descriptions (every 2nd)": ("tune", atomic),
        "Splunk detections (every 2nd)": ("report", splunk),
        "RE&CT actions": ("report", react),
        "TRAM report sentences (every 10th)": ("report", tram),
        "mirror of a newer ATT&CK": ("report", mirror),
        "mirror of KEV (every 3rd)": ("report", kev),
    }
