"""Rules of the claims about speed at their edges; nothing is decided on what was not measured."""

import json
from pathlib import Path
from typing import Any

import pytest

from analysis.claims.verdict import CANNOT_TELL, CONTRADICTED, NOT_DECIDED, SUPPORTED, Verdict
from tests.support import verdicts
from tests.support.fakes import speed as fake
from tests.support.fakes.ledger_cases import machine
from tests.support.fakes.runs import row, write_json
from tests.support.fakes.speed import Cost

SEQUENTIAL = "RNN training is sequential: more length, more waiting; the Transformer does it in parallel"
TIME = "Attention costs O(n²): time (Transformer, narrow)"
MEMORY = "Attention costs O(n²): memory that keeping all weights adds"
FUSED = "A fused attention kernel needs linear memory"
WEAK, STRONG = (f"More GPUs, proportionally faster: {kind} scaling" for kind in ("weak", "strong"))
SECONDS = "The Transformer trains faster to the same quality (seconds)"
OPERATIONS = "The Transformer trains faster to the same quality (operations)"
DECODING = "At decoding recurrence has the constant cost a token, the Transformer's grows"
FEWER = "The LSTM does fewer operations than the Transformer when length exceeds width"
SLOWER = "Attention on top of the RNN does not fix the speed"
SIZE = {"measurements": [row("parameters", 1e6, "parameters", 1)]}


def decided(path: Path, processes: int = 3) -> dict[str, Verdict]:
    fake.repeat(path, processes)
    return verdicts.decided(path, "speed")


def on_gpu(root: Path, model: str, step: Cost) -> None:
    fake.write_length(root, model, step, changes={"machine": machine(("NVIDIA made-up",))})


def test_every_recurrent_model_has_to_wait(tmp_path: Path) -> None:
    for model, step in (("lstm", lambda n: n), ("gru", lambda n: n), ("transformer", lambda n: 1.0)):
        on_gpu(tmp_path / "all", model, step)
        on_gpu(tmp_path / "one", model, (lambda n: n**0.05) if model == "lstm" else step)
    found = decided(tmp_path / "all")[SEQUENTIAL]
    assert (found.outcome, found.effect) == (SUPPORTED, pytest.approx((1, 1, 1)))
    assert "for the Transformer, lengths 16 to 1024; in 3 processes: 1.00, 1.00, 1.00" in found.reason
    assert decided(tmp_path / "one")[SEQUENTIAL].outcome == NOT_DECIDED  # a fused kernel that does not
    on_gpu(tmp_path / "none", "transformer", lambda n: 1.0)
    assert decided(tmp_path / "none")[SEQUENTIAL].reason == "not run: no step seconds by length of a recurrent model"


def test_between_processes_times_move_more_than_within_one(tmp_path: Path) -> None:
    """One process of three has another order: nothing is decided."""
    fake.write_text(tmp_path, "lstm", 5000.0, 5000.0)
    folder = fake.write_text(tmp_path, "bahdanau", 5200.0, 5200.0)
    assert decided(tmp_path)[SLOWER].outcome == SUPPORTED
    fake.write_text(tmp_path / "other", "bahdanau", 6000.0, 6000.0)
    other = json.loads(next((tmp_path / "other").rglob("result.json")).read_text(encoding="utf-8"))
    third = folder.with_name("seed2")
    record = json.loads((third / "result.json").read_text(encoding="utf-8"))
    write_json(third / "result.json", record | {"measurements": other["measurements"]})
    (third / "blocks.jsonl").unlink()
    verdict = verdicts.decided(tmp_path, "speed")[SLOWER]
    assert verdict.outcome == NOT_DECIDED
    assert verdict.effect is not None
    assert verdict.effect.value == pytest.approx((1.04 + 1.04 + 1.2) / 3)
    assert verdict.effect.high > 1.2


def test_quadratic_cost_is_judged_where_most_operations_are_quadratic(tmp_path: Path) -> None:
    """From 128 on, where 2e7 a token are more than 2.5e9; what happens at shorter lengths is of no account."""
    flops: Cost = lambda n: 2.5e9 + 2e7 * n  # noqa: E731
    cost: Cost = lambda n: 1.0 if n < 125 else flops(n) ** 0.9  # noqa: E731
    memory: dict[str, Any] = {"memory": cost, "memory_ends": 512}
    fake.write_length(tmp_path, "transformer", cost, variant="narrow", flops=flops, memory=lambda n: 1.0)
    fake.write_length(tmp_path, "transformer", cost, variant="narrow-math-attention", flops=flops, **memory)
    found = decided(tmp_path)
    assert [found[claim].outcome for claim in (TIME, FUSED, MEMORY)] == [SUPPORTED, SUPPORTED, CANNOT_TELL]
    effect = found[TIME].effect
    assert effect is not None
    assert effect == pytest.approx((0.9, 0.9, 0.9))
    grown = (2.5 + 20.48) / (2.5 + 2.56)
    assert found[TIME].reason.startswith(
        "Transformer, narrow, from length 128 to 1024: "
        f"{grown**0.9:.2f} times the cost a token, {grown:.2f} times the operations counted"
    )
    assert "from length 256 to 512" in found[MEMORY].reason  # to 64 keeping all weights adds nothing
    assert "operations counted, out of memory at 1024" in found[MEMORY].reason
    fake.write_length(tmp_path / "one", "transformer", cost, variant="narrow", lengths=(16,))
    assert decided(tmp_path / "one")[TIME].reason == "not run: fewer than two lengths"


def test_the_model_that_scales_worst_decides_and_processes_of_a_cpu_are_no_gpus(tmp_path: Path) -> None:
    for name, gpus in (("cpu", 0), ("gpu", 2)):
        fake.write_devices(tmp_path / name, "lstm", 1.0, 1.0, gpus=("NVIDIA made-up",) * gpus)
        fake.write_devices(tmp_path / name, "transformer", 0.7, 0.9, gpus=("NVIDIA made-up",) * gpus)
    found = decided(tmp_path / "gpu")
    assert [found[claim].outcome for claim in (WEAK, STRONG)] == [CONTRADICTED, SUPPORTED]
    assert found[WEAK].reason.startswith("GPUs: LSTM 1.00 on 2")
    found = decided(tmp_path / "cpu")
    assert [found[claim].outcome for claim in (WEAK, STRONG)] == [CANNOT_TELL, CANNOT_TELL]
    assert found[WEAK].reason.startswith("processes that share one CPU: LSTM 1.00 on 2")


def test_operations_that_differ_by_seed_are_not_decided(tmp_path: Path) -> None:
    for seed, tokens in ((0, 1000.0), (1, 2000.0), (2, 2000.0)):
        fake.write_curve(tmp_path, "bahdanau", [(tokens, 40.0)], seed=seed, **SIZE)
        fake.write_curve(tmp_path, "transformer", [(1500.0, 40.0)], seed=seed, **SIZE)
    for model in ("bahdanau", "transformer"):
        fake.write_cost(tmp_path, model, 1.0)
    assert decided(tmp_path)[OPERATIONS].reason.endswith("the interval crosses 1.1")


def test_seconds_to_a_quality_are_those_measured_alone_and_not_those_of_runs_side_by_side(tmp_path: Path) -> None:
    """Twice the tokens at a third of the speed; what the runs themselves took is of no account."""
    for model, tokens, speed in (("bahdanau", 2000.0, 100.0), ("transformer", 1000.0, 300.0)):
        for seed in range(3):
            fake.write_curve(tmp_path, model, [(tokens, 40.0)], seed, **SIZE)
        fake.write_cost(tmp_path, model, tokens)
        fake.write_text(tmp_path, model, 1.0, speed, task="multi30k")
    found = decided(tmp_path)
    assert [found[claim].outcome for claim in (SECONDS, OPERATIONS)] == [SUPPORTED, SUPPORTED]
    assert [found[claim].effect.value for claim in (SECONDS, OPERATIONS)] == pytest.approx([6, 4])  # type: ignore[union-attr]
    start = "multi30k: 2.00 (2.00 to 2.00) times the target tokens, each at 3.00 (3.00 to 3.00) times the seconds; in 3"
    assert found[SECONDS].reason.startswith(start)


def test_rounds_sharpen_the_cost_a_token(tmp_path: Path) -> None:
    """Quartiles are too wide, but each round grew by 1.21; without a beam greedy decoding is judged."""
    for name, kept in (("quartiles", False), ("rounds", True)):
        fake.write_length(tmp_path / name, "transformer", lambda n: 1.0)
        for model, growth in (("lstm", 1.0), ("transformer", 1.21)):
            rows: list[dict[str, Any]] = []
            timed = []
            for x, seconds in ((16, 1.0), (256, growth)):
                rows += fake.spread("greedy_seconds_per_token", seconds, "s", "length", x)
                timed += fake.block_rows("greedy_seconds_per_token", seconds, "length", x)
            fake.write_speed(tmp_path / name, "decoding", model, rows, blocks=timed if kept else None)
        verdict = decided(tmp_path / name)[DECODING]
        assert verdict.outcome == (SUPPORTED if kept else NOT_DECIDED)
        assert verdict.reason.startswith("greedy, length 16 to 256: ×1.00")


def test_operations_are_compared_above_the_width(tmp_path: Path) -> None:
    for model, flops in (("lstm", lambda n: 129.0), ("transformer", lambda n: n)):
        fake.write_length(tmp_path / "short", model, lambda n: 1.0, lengths=(16, 64))
        fake.write_length(tmp_path / "none", model, lambda n: 1.0, changes={"held_equal": {}})
        fake.write_length(tmp_path / "long", model, lambda n: 1.0, flops=flops)
    assert decided(tmp_path / "short")[FEWER].reason == "not run: no length above the width 128"
    assert decided(tmp_path / "none")[FEWER].tested is False
    assert "above width 128: 0.50 at 256" in decided(tmp_path / "long")[FEWER].reason
    for model, flops in (("lstm", lambda n: 300.0), ("transformer", lambda n: n)):
        fake.write_length(tmp_path / "once", model, lambda n: 1.0, flops=flops)
    assert decided(tmp_path / "once")[FEWER].outcome == CONTRADICTED  # at one length above the width it does more


def test_the_model_with_the_fewest_seeds_gives_the_power(tmp_path: Path) -> None:
    for model, tokens, seeds in (("bahdanau", 2000.0, 3), ("transformer", 1000.0, 2)):
        for seed in range(seeds):
            fake.write_curve(tmp_path, model, [(tokens, 40.0)], seed, **SIZE)
        fake.write_cost(tmp_path, model, 1.0)
    assert decided(tmp_path)[OPERATIONS].outcome == CANNOT_TELL
