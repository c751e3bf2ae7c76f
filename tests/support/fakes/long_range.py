"""Made-up long-range runs for the tests of the analysis: round numbers that can be checked by hand."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.fakes.runs import result, row, write_json, write_lines

Curve = Mapping[int, float] | Mapping[float, float]  # accuracy by x
MODELS = ("rnn", "gru", "lstm", "bahdanau", "transformer")
N = 400
GUESSING = {"guessing": 0.125}
FLAT = {4: 1.0, 8: 1.0, 16: 1.0, 32: 1.0, 64: 0.98}
FALLING = {4: 1.0, 8: 0.98, 16: 0.94, 32: 0.86, 64: 0.3}


def folder_of(root: Path, task: str, model: str, variant: str = "base", seed: int = 0, suite: str = "quick") -> Path:
    return root / suite / "long-range" / task / model / variant / f"seed{seed}"


def axis_rows(
    curve: Curve, name: str, *, trained_to: float = 32, error: float = 0.005, chance: Mapping[str, float] = GUESSING
) -> list[dict[str, Any]]:
    """Everything that is measured along one axis; x above `trained_to` are extrapolation."""
    rows = []
    for x, value in curve.items():
        spread = 0.0 if value in (0.0, 1.0) else error
        rows += [
            row("token_accuracy", value, "share", N, name, x),
            row("token_accuracy_error", spread, "share", N, name, x),
            row("exact_match", value**4, "share", N, name, x),
            row("trained", float(x <= trained_to), "flag", N, name, x),
        ]
        rows += [row(f"chance: {strategy}", level, "share", 1, name, x) for strategy, level in chance.items()]
    return rows


def cost_rows(control: float | None, steps: int = 1500) -> list[dict[str, Any]]:
    costs = [("parameters", 250_000), ("parameters_without_embeddings", 240_000), ("steps", steps)]
    costs += [("steps_to_0.99", 600)] if control is not None and control >= 0.99 else []
    rows = [row(metric, value, metric.partition("_")[0], 1) for metric, value in costs]
    rows += [row("train_seconds", 61.0, "s", 1), row("val_loss", 0.1, "nats", 1)]
    return rows if control is None else [*rows, row("control_accuracy", control, "share", N, "control", "length 4")]


def gradient_rows(decay: float) -> list[dict[str, Any]]:
    """A norm of 2 at the last token, times `decay` for every doubling of the distance."""
    return [
        row("gradient_reach", 2 * decay**power, "norm", 64, f"distance, {when}", 2**power)
        for when in ("at initialisation", "trained")
        for power in range(6)
    ]


def probe_rows() -> list[dict[str, Any]]:
    return [
        row(metric, share, "share", 200, "words read, trained", words)
        for words, found in ((1, 0.9), (4, 0.6), (16, 0.3))
        for metric, share in (("probe_accuracy", found), ("probe_chance", 0.1))
    ]


def attention_rows(name: str, curve: Curve) -> list[dict[str, Any]]:
    return [row("attention_on_answer", 0.8, "share", N, name, x) for x in curve]


SCORES = {  # by head size, of the scaled and of the unscaled
    "score_entropy": ({4: 4.0, 16: 4.0, 64: 4.0, 256: 4.0}, {4: 3.5, 16: 2.5, 64: 1.0, 256: 0.5}),
    "score_gradient": ({4: 0.2, 16: 0.2, 64: 0.2, 256: 0.2}, {4: 0.25, 16: 0.5, 64: 0.4, 256: 0.1}),
}


def score_rows() -> list[dict[str, Any]]:
    """A softmax over random scores of 64 keys: at head size 64 its entropy without scaling is a quarter."""
    return [
        row(metric, value, "nats" if metric == "score_entropy" else "norm", 64, f"head size, {name}", d)
        for metric, curves in SCORES.items()
        for name, curve in zip(("scaled", "unscaled"), curves, strict=True)
        for d, value in curve.items()
    ]


def pair_rows(values: Curve, over_all: float, pairs: int = 1000, each: int = 100) -> list[dict[str, Any]]:
    rows = [row("contrastive_accuracy", value, "share", each, "distance", x) for x, value in values.items()]
    rows += [row("chance: the more frequent number", 0.5, "share", each, "distance", x) for x in values]
    rows.append(row("chance: the more frequent number", 0.5, "share", pairs, "all", "all"))
    return [*rows, row("contrastive_accuracy", over_all, "share", pairs, "all", "all")]


RECURRENT: dict[str, Any] = {"embedding": 64, "layers": 1, "bidirectional": False, "dropout": 0.0, "forget_bias": 1.0}
RECURRENT |= {"chrono_length": None, "tied": True}
NETWORKS: dict[str, dict[str, Any]] = {
    "rnn": RECURRENT | {"cell": "rnn", "hidden": 208, "feed_context": False, "reversed_source": False},
    "gru": RECURRENT | {"cell": "gru", "hidden": 124, "feed_context": False, "reversed_source": False},
    "lstm": RECURRENT | {"cell": "lstm", "hidden": 104, "feed_context": False, "reversed_source": False},
    "bahdanau": RECURRENT | {"hidden": 82, "routing": "input_feeding"},
    "transformer": {"width": 64, "heads": 4, "feed_forward": 128, "encoder_layers": 2, "decoder_layers": 2}
    | {"dropout": 0.0, "positions": "rotary", "max_length": 512, "norm": "pre"}
    | {"residual": True, "scale_scores": True, "tied": True},
}
VARIANTS: dict[str, dict[str, Any]] = {
    **{kind: {"positions": kind} for kind in ("none", "sinusoidal", "learned", "rotary", "alibi")},
    "heads1": {"heads": 1},
    "scaled-d64": {"heads": 1},
    "unscaled-d64": {"heads": 1, "scale_scores": False},
    "forget0": {"forget_bias": 0.0},
    "chrono": {"chrono_length": 256},
    "hidden64": {"hidden": 64},
    "hidden128": {"hidden": 128},
}


def settings_of(model: str, variant: str = "base", **optimisation: Any) -> dict[str, Any]:
    """Settings as a run records them: those of its configuration, whole."""
    network = NETWORKS[model] | VARIANTS.get(variant, {})
    usual = {"learning_rate": 0.004, "initialisation_scale": 1.5, "schedule": "linear", "warmup_steps": 50}
    return {"class_path": "models.Made", "init_args": {"network": network, "optimisation": usual | optimisation}}


def trial(number: int, rate: float, scale: float, loss: float | None, outcome: str = "finished") -> dict[str, Any]:
    steps = 450 if outcome == "finished" else 225
    values = {"learning_rate": rate, "initialisation_scale": scale}
    ended = {"outcome": outcome, "steps": steps, "validation_loss": loss, "reports": [[steps, loss]]}
    return {"number": number, "values": values, "seconds": 17.1, **ended}


def trials_of(number: int = 4, chosen: int = 0) -> dict[str, Any]:
    """Trials as tuning records them, at most 5."""
    found = [
        trial(0, 0.004, 1.5, 2.05067),
        trial(1, 0.00284, 0.891, 2.10369),
        trial(2, 0.0128, 0.604, 2.47814, "pruned"),
        trial(3, 0.0199, 1.9, None, "diverged"),
        trial(4, 0.000568, 1.36, None, "failed"),
    ]
    bounds = {"learning_rate": (0.0005, 0.02), "initialisation_scale": (0.5, 2.0)}
    space = {
        name: {"key": f"model.init_args.optimisation.{name}", "low": a, "high": b, "distribution": "log-uniform"}
        for name, (a, b) in bounds.items()
    }
    search = {"sampler": "4 points of a sequence, then TPE", "pruner": "median of complete trials", "seed": 100}
    how = {
        "chosen_by": "lowest last val/loss of a finished trial",
        "space": space,
        "steps": 450,
        "share_of_steps": 0.25,
    }
    return {"chosen": chosen, **how, **search, "trials": found[:number]}


def history_rows(end: float, rise: float = 0.0) -> list[dict[str, Any]]:
    """A sudden rise to `end`; `rise` is gained in the last fifth of the 1,500 steps."""
    rows = []
    for step in range(100, 1501, 100):
        share = (end if step > 1200 else end - rise) if step > 600 else 0.2
        found = {"loss": 2.0 - share, "token_accuracy": share, "control_accuracy": min(1.0, share + 0.05)}
        common = {"step": step, "seconds": step / 25, "target_tokens": step * 1000}
        rows += [common | {"metric": f"val/{name}", "value": value} for name, value in found.items()]
    return rows


def write_long_range(
    root: Path,
    task: str,
    model: str,
    rows: Sequence[dict[str, Any]],
    *,
    variant: str = "base",
    seed: int = 0,
    suite: str = "quick",
    control: float | None = 1.0,
    settings: dict[str, Any] | None = None,
    trials: dict[str, Any] | None = None,
    rise: float = 0.0,
    steps: int = 1500,
) -> Path:
    """Write one finished run; `settings` are its model's, `trials` what they were chosen from, if anything."""
    folder = folder_of(root, task, model, variant, seed, suite)
    measurements = [*rows, *cost_rows(control, steps)]
    key = {"experiment": "long-range", "task": task, "command": f"make long-range SUITE={suite} TASKS={task}"}
    record = result(suite, model, variant, seed, measurements) | key
    write_json(folder / "result.json", record | ({} if settings is None else {"model_settings": settings}))
    if trials is not None:
        write_json(folder / "trials.json", trials)
    write_lines(folder / "metrics.jsonl", history_rows(0.9, rise))
    return folder


AXES = {
    "copy": "length",
    "reverse": "length",
    "recall": "gap, symbols 4",
    "associative-recall": "pairs, gap 0, keys 16",
    "selective-copy": "blanks, symbols 4",
    "agreement": "distance",
    "a-new-task": "depth",
}
ABLATIONS = ("none", "learned", "rotary", "alibi", "sinusoidal", "heads1", "scaled-d64", "unscaled-d64")
PAIRS = "contrastive-multi30k-en-de"


def write_task(root: Path, task: str, *, seed: int = 0, suite: str = "quick") -> None:
    """One task with all five models.

    Copy: the plain RNN is under-trained, the LSTM falls, those with attention hold. Recall: only the plain RNN falls.
    """
    name = AXES[task]
    for model in MODELS:
        falls = model in (("rnn",) if task == "recall" else ("rnn", "gru", "lstm"))
        rows = axis_rows(FALLING if falls else FLAT, name)
        if task == "recall":
            rows += gradient_rows({"rnn": 0.3, "lstm": 0.5, "gru": 0.5}.get(model, 1.0))
            rows += attention_rows(name, FLAT) if model in ("bahdanau", "transformer") else []
        if task == "agreement":
            rows += probe_rows()
        if (task, model) == ("copy", "transformer"):
            rows.append(row("permutation_difference", 0.4, "probability", 64))
        control = 0.8 if (task, model) == ("copy", "rnn") else 1.0
        made: dict[str, Any] = {"settings": settings_of(model), "control": control, "seed": seed, "suite": suite}
        write_long_range(root, task, model, rows, trials=trials_of() if task in ("copy", "recall") else None, **made)


def write_parity(root: Path, *, seed: int = 0) -> None:
    for model in MODELS:
        beyond = 1.0 if model in ("rnn", "gru", "lstm") else 0.5
        curve = {8: 1.0, 16: 1.0, 32: 1.0, 64: beyond, 128: beyond}
        write_long_range(
            root, "parity", model, one_token(axis_rows(curve, "length", chance={"guessing": 0.5})), seed=seed
        )


def write_adding(root: Path, *, seed: int = 0) -> None:
    for model in MODELS:
        rows = one_token(axis_rows({8: 0.9, 64: 0.5}, "length"))
        for x, error in ((8, 0.002), (64, 0.16)):
            rows.append(row("squared_error", error, "squared sum", N, "length", x))
            rows.append(row("chance squared error: the mean", 0.1667, "squared sum", 1, "length", x))
        write_long_range(root, "adding", model, rows, seed=seed)


def one_token(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows where an answer is one token: all of it is right if and only if that is."""
    right = {row["x"]: row["value"] for row in rows if row["metric"] == "token_accuracy"}
    return [row | ({"value": right[row["x"]]} if row["metric"] == "exact_match" else {}) for row in rows]


def write_published(root: Path, *, seed: int = 0) -> None:
    """Associative recall at two published settings, each an axis with one value; the LSTM fails the harder one."""
    for model in ("lstm", "bahdanau", "transformer"):
        rows = []
        for pairs, gap, value in ((4, 52, 1.0), (8, 104, 0.4 if model == "lstm" else 0.96)):
            name = f"pairs, gap {gap}, keys 512"
            chance = {"guessing": 0.002, "values without their keys": 1 / pairs}
            rows += axis_rows({pairs: value}, name, chance=chance)
            rows += [] if model == "lstm" else attention_rows(name, {pairs: value})
        write_long_range(root, "associative-recall", model, rows, seed=seed, settings=settings_of(model))


def write_pairs(root: Path, *, seed: int = 0) -> None:
    """Contrastive translation, where the three translation models are equal."""
    for model in ("lstm", "bahdanau", "transformer"):
        rows = pair_rows({1: 0.97, 5: 0.95, 15: 0.92}, 0.95)
        write_long_range(root, PAIRS, model, rows, seed=seed, control=None)


def write_ablations(root: Path, *, seed: int = 0) -> None:
    """Variants of copy: without positions and without scaling the Transformer fails, else it is as good as its base."""
    for variant in ABLATIONS:
        broken = variant in ("none", "unscaled-d64")
        rows = axis_rows(dict.fromkeys(FLAT, 0.2) if broken else FLAT, "length")
        rows.append(row("permutation_difference", 1e-16 if variant == "none" else 0.4, "probability", 64))
        control = 0.3 if broken else 1.0
        if variant.endswith("scaled-d64"):
            rows += score_rows()
        made: dict[str, Any] = {"variant": variant, "seed": seed, "settings": settings_of("transformer", variant)}
        write_long_range(root, "copy", "transformer", rows, control=control, **made)
    for variant in ("forget0", "hidden64", "hidden128"):
        made = {"variant": variant, "seed": seed, "settings": settings_of("lstm", variant)}
        write_long_range(root, "copy", "lstm", axis_rows(FALLING, "length"), **made)


def write_everything(root: Path, *, seeds: Sequence[int] = (0, 1)) -> None:
    for seed in seeds:
        for task in AXES:
            write_task(root, task, seed=seed)
        for special in (write_parity, write_adding, write_published, write_pairs, write_ablations):
            special(root, seed=seed)
