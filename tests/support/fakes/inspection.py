"""Made-up inspections of translation models: heads that each do one thing, maps with tokens that are attacks."""

from pathlib import Path
from typing import Any

from tests.support.fakes.runs import corpus, folder_of, result, row, write_json

N = 200
CHANCE = 0.21
SOURCE_SENTENCES = 3
# What each head of a made-up map does
TRANSFORMER = {
    "encoder layer 1": ("previous", "next"),
    "encoder layer 2": ("edge", "plain"),
    "decoder layer 1": ("same", "previous"),
    "cross layer 1": ("even", "alignment"),
    "cross layer 2": ("alignment", "alignment"),
}
HEADS: dict[str, dict[str, tuple[str, ...]]] = {
    "lstm": {},
    "bahdanau": {"additive": ("alignment",)},
    "transformer": TRANSFORMER,
}


def measures(kind: str, does: str) -> dict[str, float]:
    """Of a head that does one thing; the measures that its kind of attention has."""
    found = {
        "head_entropy": 2.2 if does == "even" else 0.8,
        "head_entropy_share": 0.95 if does == "even" else 0.3,
        "head_distance": 4.0 if does == "even" else 1.5,
        "head_strongest": 0.8 if does == "alignment" else 0.3,
        "head_edge": 0.6 if does == "edge" else 0.1,
    }
    offsets = {"encoder": ("previous", "same", "next"), "decoder": ("previous", "same")}.get(kind, ())
    found |= {f"head_{name}": 0.7 if does == name else 0.05 for name in offsets}
    if not offsets:
        found["head_alignment"] = 0.75 if does == "alignment" else 0.2
    return found


def head_rows(model: str) -> list[dict[str, Any]]:
    rows = []
    for name, heads in HEADS[model].items():
        for head, does in enumerate(heads, start=1):
            for metric, value in measures(name.split()[0], does).items():
                unit = {"head_entropy": "nats", "head_distance": "tokens"}.get(metric, "share")
                rows.append(row(metric, value, unit, N, name, head))
    return [*rows, row("alignment_by_chance", CHANCE, "share", N)] if rows else []


def sentences(model: str) -> list[dict[str, Any]]:
    """Maps of a few sentences: head 1 looks at the key of its own number, other heads evenly at what they may see."""
    entries = []
    for i in range(SOURCE_SENTENCES):
        source = [*corpus(5, 3)[i].split()[:6], "<b>&\"'", "</s>"]
        target = [model, "<script>alert(1)</script>", "</script><img src=x onerror=alert(2)>", *source[2:-2], "</s>"]
        maps = {
            name: [weights(name, head, source, target) for head in range(len(heads))]
            for name, heads in HEADS[model].items()
        }
        entry = {"test_set": "test2016", "id": 7 * i, "source_tokens": source, "target_tokens": target, "maps": maps}
        entries.append(entry)
    return entries


def weights(name: str, head: int, source: list[str], target: list[str]) -> list[list[float]]:
    kind = name.split()[0]
    rows = source if kind == "encoder" else target
    columns = target if kind == "decoder" else source
    table = []
    for t in range(len(rows)):
        seen = t + 1 if kind == "decoder" else len(columns)
        diagonal = [float(k == min(t, seen - 1)) for k in range(len(columns))]
        even = [round(1 / seen, 3) if k < seen else 0.0 for k in range(len(columns))]
        table.append(even if head else diagonal)
    return table


def inspection_folder(root: Path, model: str, *, suite: str = "quick", seed: int = 0) -> Path:
    return Path(str(folder_of(root, model, suite=suite, seed=seed)).replace("/bleu/", "/inspection/"))


def write_inspection(
    root: Path, model: str, variant: str = "base", *, suite: str = "quick", seed: int = 0, **changes: Any
) -> Path:
    """Write one finished inspection; `changes` replaces entries of its result.json."""
    folder = inspection_folder(root, model, suite=suite, seed=seed)
    folder = folder.parents[1] / variant / folder.name
    record = result(suite, model, variant, seed, head_rows(model)) | {
        "experiment": "inspection",
        "command": f"make inspect SUITE={suite}",
        "started": "2026-01-02T04:00:00+00:00",
        "finished": "2026-01-02T04:01:00+00:00",
        "held_equal": {"precision": "32-true"},
        "signatures": {},
    }
    write_json(folder / "attention.json", sentences(model))
    write_json(folder / "result.json", record | changes)
    return folder
