"""LoRA for the generative model (Hu et al. 2021; QLoRA: Dettmers et al. 2023), resumable at any checkpoint.

On a CPU for the reference base; for a larger one on a GPU give its folder and --quantise nf4,
and the base stays in NF4 while the adapter learns. Three tasks on one prompt: the side of each
fact, said where its line ends; the verdict's word; and sentences that cite the facts. A step
reads several alerts of the same family, which differ in what decides and in little else.
"""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch.nn import functional as F

from aegis_agents.agents.evidence import fact_evidence
from aegis_agents.agents.narrate import SENTENCES, told_of
from aegis_agents.model.language import pin
from aegis_agents.model.language.adapter import CONFIG, WEIGHTS, digest_of
from aegis_agents.model.language.local import LocalChat, Quantise
from aegis_agents.model.language.prompt import (
    LABELS,
    PREFIX,
    QUOTED,
    SIDES,
    Told,
    quotes,
    sentences_schema,
    sides_as_weighed,
    verdict_prompt,
    words_prompt,
)
from aegis_agents.model.protocol import IncidentModel
from aegis_agents.records import Assessment, Verdict
from aegis_agents.training.corpus import Example
from aegis_agents.training.promote import HARMLESS, Discordant, compare
from aegis_agents.training.tune_facts import half_precision


class Lesson(NamedTuple):
    """One example: its facts as the model will see them, the verdict, and the side of each fact (0 none, -1 unknown).

    `fast` is what the fast model said of it, whose words are asked for; the verdict that is learnt is the true one.
    """

    facts: tuple[Told, ...]
    verdict: Verdict
    sides: tuple[int, ...]
    family: str
    fast: Verdict

    def right(self, said: Verdict) -> bool:
        """Benign and mistaken count as one, as everywhere."""
        return said == self.verdict or (said in HARMLESS and self.verdict in HARMLESS)


def lesson(example: Example, said: Assessment) -> Lesson:
    """The evidence that the fast model cites, as in serving; never facts that the label would choose."""
    side = dict(zip((f.id for f in example.incident.facts), example.stances, strict=True))
    told = told_of(fact_evidence(example.incident, said))
    return Lesson(tuple(told), example.verdict, tuple(side[one.id] for one in told), example.family, said.verdict)


def lessons(examples: Sequence[Example], model: IncidentModel) -> list[Lesson]:
    """All examples as lessons."""
    said = model.assess_many([e.incident for e in examples])
    return [lesson(e, s) for e, s in zip(examples, said, strict=True)]


def sentences(one: Lesson, rng: random.Random) -> str:
    """What a good answer would say: a sentence for each fact that has a side and a weight to the same effect, citing it."""
    found = [
        {"text": f"{told.text[:QUOTED]} {rng.choice(SIDES[side])}.", "cites": [told.id]}
        for told, side in zip(one.facts, one.sides, strict=True) if side > 0 and (side == 1) == (told.weight > 0)
    ][:SENTENCES]  # fmt: skip
    return json.dumps(found or [{"text": "Nothing here decides it; a person has to ask.", "cites": [one.facts[0].id]}])


class LanguagePlan(NamedTuple):
    """What a run does: `alike` alerts of a family stand in a batch; `words` is the share of rows that teach sentences."""

    steps: int = 650
    batch: int = 8
    alike: int = 4
    rate: float = 5e-4
    rank: int = 8
    words: float = 0.1
    seed: int = 7


STANDARD = LanguagePlan()
_SAID_OF: dict[int, Verdict] = {0: "undetermined", 1: "true_positive", 2: "benign_positive", 3: "false_positive"}
"""The word for a side is that of the verdict it speaks for: both tasks learn one meaning of it."""
_NEUTRAL = 0.4
"""What a fact on no side counts: most are."""


class Row(NamedTuple):
    """Token ids, and what is learnt of them: after which position which token, and what that counts."""

    ids: list[int]
    learnt: list[tuple[int, int, float]]


def _row(tokenizer: Any, one: Lesson, rng: random.Random, words: float) -> Row:
    in_words = rng.random() < words
    prompt = PREFIX + (words_prompt(one.facts, one.fast) if in_words else verdict_prompt(one.facts))
    read = tokenizer(prompt, add_special_tokens=False, return_offsets_mapping=True)
    answer = sentences(one, rng) + tokenizer.eos_token if in_words else LABELS[one.verdict]
    said = tokenizer(answer, add_special_tokens=False).input_ids
    begin = len(read.input_ids) - 1
    learnt = [(begin + at, token, 1 / len(said)) for at, token in enumerate(said)]  # alike, one word or sixty
    if not in_words:
        learnt += _sides(tokenizer, one, prompt, [start for start, _ in read.offset_mapping])
    return Row(read.input_ids + said, learnt)


def _sides(tokenizer: Any, one: Lesson, prompt: str, starts: list[int]) -> list[tuple[int, int, float]]:
    """The side of each fact, learnt where its line ends."""
    found, end = [], len(PREFIX) - 1
    for side in one.sides:
        end = prompt.index("\n", end + 1)
        if side >= 0:
            word = tokenizer(LABELS[_SAID_OF[side]], add_special_tokens=False).input_ids[0]
            found.append((bisect_right(starts, end) - 1, word, 1.0 if side else _NEUTRAL))
    whole = sum(weight for *_, weight in found)
    return [(at, word, weight / whole) for at, word, weight in found]


def _loss(model: Any, rows: list[Row], pad: int) -> torch.Tensor:
    """Cross-entropy, only where something is learnt: the vocabulary is larger than all else that a step computes."""
    tokens = torch.full((len(rows), max(len(row.ids) for row in rows)), pad)
    seen = torch.zeros_like(tokens)
    for at, row in enumerate(rows):
        tokens[at, : len(row.ids)], seen[at, : len(row.ids)] = torch.tensor(row.ids), 1
    learnt = [(at, *one) for at, row in enumerate(rows) for one in row.learnt]
    where, after, token, weight = (torch.tensor(column, device=model.device) for column in zip(*learnt, strict=True))
    plain = model.get_base_model()
    read = plain.get_decoder()(input_ids=tokens.to(model.device), attention_mask=seen.to(model.device), use_cache=False)
    said = plain.get_output_embeddings()(read.last_hidden_state[where, after]).float()
    return (F.cross_entropy(said, token, reduction="none") * weight).sum() / len(rows)


def _batch(families: list[list[Lesson]], plan: LanguagePlan, rng: random.Random) -> list[Lesson]:
    """Alerts of as many families as it takes, a few of each."""
    found: list[Lesson] = []
    while len(found) < plan.batch:
        family = rng.choice(families)
        found += rng.sample(family, min(plan.alike, len(family), plan.batch - len(found)))
    return found


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
        r=plan.rank, lora_alpha=2 * plan.rank, target_modules="all-linear", task_type="CAUSAL_LM",
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
    by_family: dict[str, list[Lesson]] = defaultdict(list)
    for one in train:
        by_family[one.family].append(one)
    families = [by_family[name] for name in sorted(by_family)]
    model.train()
    for step in range(start, plan.steps):
        rng = random.Random(plan.seed * 1_000_003 + step)  # the same step reads and drops the same, resumed or not
        torch.manual_seed(plan.seed * 1_000_003 + step)
        picked = _batch(families, plan, rng)
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
    """Both score the same held-out alerts, loaded as they were trained."""

    def right(chat: LocalChat) -> list[bool]:
        return [one.right(chat.lean(list(one.facts)).verdict) for one in held_out]

    before = right(LocalChat(folder=base, adapter="", quantise=quantise))
    after = right(LocalChat(folder=base, adapter=adapter, adapter_sha256=digest_of(adapter), quantise=quantise))
    return Compared(len(held_out), sum(before), sum(after), compare(after, before))


class Worded(NamedTuple):
    """Of `n` sentences, those that quote the fact they cite, and those that also side as its weight does."""

    n: int
    quoted: int
    sided: int


def evaluate_words(base: Path, adapter: Path, held_out: Sequence[Lesson], *, quantise: Quantise = "none") -> Worded:
    """Sentences about held-out alerts, written freely: serving lets the model write none but those that side (`weighed_schema`)."""
    chat = LocalChat(folder=base, adapter=adapter, adapter_sha256=digest_of(adapter), quantise=quantise)
    n = quoted = sided = 0
    for one in held_out:
        told = {fact.id: fact for fact in one.facts}
        schema = sentences_schema(list(told), SENTENCES)
        for sentence in json.loads(chat.complete(PREFIX + words_prompt(one.facts, one.fast), schema)):
            fact, n = told[sentence["cites"][0]], n + 1
            if quotes(sentence["text"], fact):
                quoted += 1
                sided += sides_as_weighed(sentence["text"], fact)
    return Worded(n, quoted, sided)


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
