"""LoRA for the generative model (Hu et al. 2021; QLoRA: Dettmers et al. 2023), resumable at any checkpoint.

On a CPU for the reference base; for a larger one on a GPU give its folder and --quantise nf4,
and the base stays in NF4 while the adapter learns. Two tasks on one prompt: the verdict's
word, and sentences that cite the facts.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch.nn import functional as F

from aegis_agents.model.language import pin
from aegis_agents.model.language.adapter import CONFIG, WEIGHTS, digest_of
from aegis_agents.model.language.local import LocalChat, Quantise
from aegis_agents.model.language.prompt import LABELS, PREFIX, Told, verdict_prompt, words_prompt
from aegis_agents.model.protocol import IncidentModel
from aegis_agents.model.text import field_name
from aegis_agents.records import Assessment, Verdict
from aegis_agents.training.corpus import Example
from aegis_agents.training.promote import Discordant, compare
from aegis_agents.training.tune_facts import half_precision

_SIDES = {
    1: ("points to an attack", "speaks for an intrusion", "would not happen in normal work"),
    2: ("shows that this was expected", "says that it was allowed", "fits work that was planned"),
    3: ("shows that the detection misread it", "means that it did not happen as claimed", "explains the alarm away"),
}


class Lesson(NamedTuple):
    """One example: its facts as the model will see them, the verdict, and the side of each fact (0 none)."""

    facts: tuple[Told, ...]
    verdict: Verdict
    sides: tuple[int, ...]
    family: str


def lesson(example: Example, said: Assessment) -> Lesson:
    """The facts that weigh most with the fast model first, as in serving; never those that the label would choose."""
    facts = {f.id: (f, s) for f, s in zip(example.incident.facts, example.stances, strict=True)}
    ranked = sorted(said.weights, key=lambda w: -abs(w.weight))[:6]
    told = tuple(Told(w.fact, f"{field_name(facts[w.fact][0].path)}: {facts[w.fact][0].value}") for w in ranked)
    return Lesson(told, example.verdict, tuple(max(0, facts[w.fact][1]) for w in ranked), example.family)


def lessons(examples: Sequence[Example], model: IncidentModel) -> list[Lesson]:
    """All examples as lessons."""
    said = model.assess_many([e.incident for e in examples])
    return [lesson(e, s) for e, s in zip(examples, said, strict=True)]


def sentences(one: Lesson, rng: random.Random) -> str:
    """What a good answer would say: a sentence for each fact that has a side, citing it."""
    found = [
        {"text": f"{told.text[:70]} {rng.choice(_SIDES[side])}.", "cites": [told.id]}
        for told, side in zip(one.facts, one.sides, strict=True) if side
    ][:3]  # fmt: skip
    return json.dumps(found or [{"text": "Nothing here decides it; a person has to ask.", "cites": [one.facts[0].id]}])


class LanguagePlan(NamedTuple):
    """What a run does; `words` is the share of examples that teach sentences."""

    steps: int = 90
    batch: int = 8
    rate: float = 4e-4
    rank: int = 8
    words: float = 0.25
    seed: int = 7


STANDARD = LanguagePlan()


def _row(tokenizer: Any, one: Lesson, rng: random.Random, words: float) -> tuple[list[int], int]:
    """Token ids, and where the answer begins."""
    if rng.random() < words:
        prompt, answer = words_prompt(one.facts, one.verdict), sentences(one, rng) + tokenizer.eos_token
    else:
        prompt, answer = verdict_prompt(one.facts), LABELS[one.verdict]
    start = tokenizer(PREFIX + prompt, add_special_tokens=False).input_ids
    return start + tokenizer(answer, add_special_tokens=False).input_ids, len(start)


def _loss(model: Any, rows: list[tuple[list[int], int]], pad: int) -> torch.Tensor:
    width = max(len(ids) for ids, _ in rows)
    tokens = torch.full((len(rows), width), pad)
    seen, target = torch.zeros_like(tokens), torch.full_like(tokens, -100)
    for at, (ids, begin) in enumerate(rows):
        tokens[at, : len(ids)], seen[at, : len(ids)] = torch.tensor(ids), 1
        target[at, begin : len(ids)] = torch.tensor(ids[begin:])
    hidden = model(input_ids=tokens, attention_mask=seen).logits[:, :-1]
    each = F.cross_entropy(hidden.transpose(1, 2), target[:, 1:], ignore_index=-100, reduction="none")
    # Each example counts alike, be its answer one word or sixty.
    counted = (target[:, 1:] != -100).sum(dim=1).clamp_min(1)
    return (each.sum(dim=1) / counted).mean()


def tune_language(
    base: Path, run: Path, train: list[Lesson], *, plan: LanguagePlan = STANDARD, quantise: Quantise = "none",
    console: Console | None = None,
) -> Path:  # fmt: skip
    """Train an adapter, resuming from `run`/language.pt; returns the folder with the adapter in half precision."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict

    console = console or Console(stderr=True)
    torch.manual_seed(plan.seed)
    run.mkdir(parents=True, exist_ok=True)
    plain, tokenizer = LocalChat(folder=base, adapter="", quantise=quantise).parts()
    if plain.device.type == "cpu":
        plain.set_attn_implementation("eager")  # fused attention is slow to differentiate there in bfloat16
    config = LoraConfig(
        r=plan.rank, lora_alpha=2 * plan.rank, lora_dropout=0.05, target_modules=["q_proj", "k_proj", "v_proj", "o_proj"],
        task_type="CAUSAL_LM",
    )  # fmt: skip
    model = get_peft_model(plain, config)
    wanted = [p for p in model.parameters() if p.requires_grad]
    optimiser, file, start = torch.optim.AdamW(wanted, lr=plan.rate), run / "language.pt", 0
    if file.exists():
        saved = torch.load(file, weights_only=True)
        set_peft_model_state_dict(model, saved["adapter"])
        optimiser.load_state_dict(saved["optimiser"])
        start = int(saved["step"])
        console.print(f"resuming language model at step {start}")
    by_verdict = {v: [one for one in train if one.verdict == v] for v in LABELS}
    kinds = [v for v in LABELS if by_verdict[v]]
    model.train()
    for step in range(start, plan.steps):
        rng = random.Random(plan.seed * 1_000_003 + step)  # the same step reads and drops the same, resumed or not
        torch.manual_seed(plan.seed * 1_000_003 + step)
        picked = [rng.choice(by_verdict[rng.choice(kinds)]) for _ in range(plan.batch)]
        with half_precision():
            loss = _loss(model, [_row(tokenizer, one, rng, plan.words) for one in picked], tokenizer.eos_token_id)
        for group in optimiser.param_groups:
            group["lr"] = plan.rate * min(1.0, (step + 1) / 10) * max(0.1, 1 - step / plan.steps)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        torch.nn.utils.clip_grad_norm_(wanted, 1.0)
        optimiser.step()
        if (step + 1) % 10 == 0 or step + 1 == plan.steps:
            console.print(f"language {step + 1}/{plan.steps} loss {loss.item():.3f}")
            state = {
                "adapter": get_peft_model_state_dict(model), "optimiser": optimiser.state_dict(), "step": step + 1,
            }  # fmt: skip
            torch.save(state, file.with_suffix(".tmp"))
            file.with_suffix(".tmp").replace(file)
    out = run / "adapter"
    model.half().save_pretrained(str(out), safe_serialization=True)
    for left in out.iterdir():
        if left.name not in (CONFIG, WEIGHTS):
            left.unlink()
    _without_paths(out / CONFIG, base.name)
    return out


def _without_paths(file: Path, base: str) -> None:
    """peft records where the base lay on this machine: nobody else needs to know more than its name."""
    config = json.loads(file.read_text("utf-8"))
    config["base_model_name_or_path"] = base
    file.write_text(json.dumps(config, indent=1, sort_keys=True), "utf-8")


class Compared(NamedTuple):
    """Right answers of base and adapter among `n` held-out alerts, and the exact test between them."""

    n: int
    base_right: int
    adapter_right: int
    test: Discordant


def evaluate_language(
    base: Path, adapter: Path, held_out: Sequence[Lesson], *, quantise: Quantise = "none"
) -> Compared:
    """Both score the same held-out alerts, loaded as they were trained; benign and mistaken count as one, as everywhere."""

    def right(chat: LocalChat) -> list[bool]:
        harmless = ("benign_positive", "false_positive")
        said = [chat.lean(list(one.facts)).verdict for one in held_out]
        return [
            s == one.verdict or (s in harmless and one.verdict in harmless)
            for s, one in zip(said, held_out, strict=True)
        ]

    before = right(LocalChat(folder=base, adapter="", quantise=quantise))
    after = right(LocalChat(folder=base, adapter=adapter, adapter_sha256=digest_of(adapter), quantise=quantise))
    return Compared(len(held_out), sum(before), sum(after), compare(after, before))


def ship(adapter: Path, target: Path) -> str:
    """Put an adapter into the package and pin its hash in the code; returns the hash."""
    target.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, WEIGHTS):
        (target / name).write_bytes((adapter / name).read_bytes())
    digest = digest_of(target)
    source = Path(pin.__file__)
    text = source.read_text("utf-8")
    source.write_text(text[: text.index("ADAPTER_SHA256")] + f'ADAPTER_SHA256 = "{digest}"\n', "utf-8")
    return digest
