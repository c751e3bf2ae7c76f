"""Rules of the claims about speed at their edges; nothing is decided on what was not measured."""

from pathlib import Path
from typing import Any

import pytest

from analysis.claims.verdict import CONTRADICTED, NOT_DECIDED, SUPPORTED, Verdict
from tests.support import verdicts
from tests.support.fakes import speed as fake
from tests.support.fakes.speed import Cost

SEQUENTIAL = "RNN training is sequential: more length, more waiting; the Transformer does it in parallel"
TIME = "Attention costs O(n²): time (Transformer)"
MEMORY = "Attention costs O(n²): memory (Transformer)"
MATH = "Attention costs O(n²): memory (Transformer, math-attention)"
WEAK = "More devices, proportionally faster (CPU processes): weak scaling"
STRONG = "More devices, proportionally faster (CPU processes): strong scaling"
SECONDS = "The Transformer trains faster to the same quality (seconds)"
OPERATIONS = "The Transformer trains faster to the same quality (operations)"
DECODING = "At decoding recurrence has the constant cost a token, the Transformer's grows"
FEWER = "The LSTM does fewer operations than the Transformer when length exceeds width"


def decided(path: Path) -> dict[str, Verdict]:
    return verdicts.decided(path, "speed")


@pytest.mark.parametrize(
    ("lstm", "transformer", "outcome"),
    [
        (lambda n: n**0.5, lambda n: n, CONTRADICTED),  # the Transformer's grows more
        (lambda n: n, lambda n: n, NOT_DECIDED),  # equal exponents
    ],
)
def test_waiting(tmp_path: Path, lstm: Cost, transformer: Cost, outcome: str) -> None:
    fake.write_length(tmp_path, "lstm", lstm)
    fake.write_length(tmp_path, "transformer", transformer)
    verdict = decided(tmp_path)[SEQUENTIAL]
    assert verdict.outcome == outcome, verdict
    assert "lengths 16 to 1024" in verdict.reason


@pytest.mark.parametrize("lengths", [(16, 32, 256), (16, 20, 24, 32)])
def test_waiting_needs_four_lengths_over_a_factor_of_eight(tmp_path: Path, lengths: tuple[int, ...]) -> None:
    fake.write_length(tmp_path, "lstm", lambda n: n)
    fake.write_length(tmp_path, "transformer", lambda n: 1.0, lengths=lengths)
    found = decided(tmp_path)
    assert found[SEQUENTIAL].reason == "not run: fewer than 4 common lengths over a factor of 8"
    assert found[TIME].reason.startswith("not run: fewer than 3 lengths")


@pytest.mark.parametrize(
    ("cost", "outcome", "exponent"),
    [
        (lambda n: n**0.4, CONTRADICTED, 1.4),
        (lambda n: 1.0 if n < 100 else n, SUPPORTED, 2.0),  # the longer half alone is judged
    ],
)
def test_quadratic_cost_of_one_sequence(tmp_path: Path, cost: Cost, outcome: str, exponent: float) -> None:
    fake.write_length(tmp_path, "transformer", cost, memory=cost)
    found = decided(tmp_path)
    for claim in (TIME, MEMORY):
        assert found[claim].outcome == outcome, found[claim]
        effect = found[claim].effect
        assert effect is not None
        assert effect.value == pytest.approx(exponent)
    assert "lengths 128 to 1024" in found[TIME].reason
    assert "width 128" in found[TIME].reason
    assert "by the operations counted" in found[TIME].reason
    assert "by the operations counted" not in found[MEMORY].reason


def test_kernels_have_rows_of_their_own_and_say_where_memory_ran_out(tmp_path: Path) -> None:
    fake.write_length(tmp_path, "transformer", lambda n: 1.0, memory=lambda n: 1e8)
    fake.write_length(
        tmp_path, "transformer", lambda n: 1.0, variant="math-attention", memory=lambda n: n, memory_ends=512
    )
    found = decided(tmp_path)
    assert found[MEMORY].outcome == CONTRADICTED
    assert found[MATH].outcome == SUPPORTED
    assert "lengths 128 to 512, out of memory at 1024" in found[MATH].reason


def test_the_model_that_scales_worst_decides_and_processes_of_a_cpu_are_no_gpus(tmp_path: Path) -> None:
    fake.write_devices(tmp_path, "lstm", 1.0, 1.0)
    fake.write_devices(tmp_path, "transformer", 0.7, 0.9)
    found = decided(tmp_path)
    assert [found[claim].outcome for claim in (WEAK, STRONG)] == [CONTRADICTED, SUPPORTED]
    assert found[WEAK].reason.startswith("CPU processes, no GPU: LSTM 1.00 on 2")
    for kind in ("weak", "strong"):
        verdict = found[f"More GPUs, proportionally faster: {kind} scaling"]
        assert (verdict.outcome, verdict.tested) == (NOT_DECIDED, False)
        assert "processes that share the cores of one CPU" in verdict.reason
    for model in ("lstm", "transformer"):
        fake.write_devices(tmp_path, model, 0.95, 0.9, gpus=("NVIDIA made-up",) * 2)
    found = decided(tmp_path)
    assert found["More GPUs, proportionally faster: weak scaling"].reason.startswith("GPUs: LSTM 0.95 on 2")
    assert WEAK not in found


def test_operations_that_differ_by_seed_are_not_decided(tmp_path: Path) -> None:
    for seed, tokens in ((0, 1000.0), (1, 2000.0)):
        fake.write_curve(tmp_path, "bahdanau", [(1.0, tokens, 40.0)], seed=seed)
        fake.write_curve(tmp_path, "transformer", [(1.0, 1500.0, 40.0)], seed=seed)
    for model in ("bahdanau", "transformer"):
        fake.write_cost(tmp_path, model, 1.0)
    assert decided(tmp_path)[OPERATIONS].reason.endswith("the interval crosses 1.1")


def test_times_of_runs_side_by_side_decide_nothing_operations_do(tmp_path: Path) -> None:
    times = {"started": "2026-01-02T03:00:00+00:00", "finished": "2026-01-02T04:00:00+00:00"}
    for model, seconds in (("bahdanau", 300.0), ("transformer", 100.0)):
        fake.write_curve(tmp_path, model, [(seconds, 1000.0, 40.0)], **times)
        fake.write_cost(tmp_path, model, seconds)
    found = decided(tmp_path)
    assert found[SECONDS].outcome == NOT_DECIDED
    assert "times on multi30k cannot be compared: other runs ran at the same time" in found[SECONDS].reason
    assert found[OPERATIONS].outcome == SUPPORTED
    assert found[OPERATIONS].reason.startswith("multi30k to BLEU 40.0: ")


def test_a_cost_that_grows_for_both_contradicts_the_claim_on_decoding(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        fake.write_decoding(tmp_path, model, lambda n: 1 + n / 100)
    verdict = decided(tmp_path)[DECODING]
    assert verdict.outcome == CONTRADICTED
    assert verdict.reason.startswith("greedy, length 16 to 256: ×")


def test_rounds_sharpen_the_cost_a_token(tmp_path: Path) -> None:
    """Quartiles are too wide, but each round grew by 1.21."""
    for model, growth in (("lstm", 1.0), ("transformer", 1.21)):
        rows: list[dict[str, Any]] = []
        timed = []
        for x, seconds in ((16, 1.0), (256, growth)):
            rows += fake.spread("greedy_seconds_per_token", seconds, "s", "length", x)
            timed += fake.block_rows("greedy_seconds_per_token", seconds, "length", x)
        fake.write_speed(tmp_path, "decoding", model, rows)
        assert decided(tmp_path)[DECODING].outcome == NOT_DECIDED
        fake.write_speed(tmp_path, "decoding", model, rows, blocks=timed)
    assert decided(tmp_path)[DECODING].outcome == SUPPORTED


def test_operations_are_judged_above_the_width(tmp_path: Path) -> None:
    for model in ("lstm", "transformer"):
        fake.write_length(tmp_path, model, lambda n: 1.0, lengths=(16, 64))
    assert decided(tmp_path)[FEWER].reason == "not run: no length above the width 128"
    fake.write_length(tmp_path, "lstm", lambda n: 1.0, flops=lambda n: 129.0)
    fake.write_length(tmp_path, "transformer", lambda n: 1.0, flops=lambda n: n)
    verdict = decided(tmp_path)[FEWER]
    assert verdict.outcome == SUPPORTED  # 129 of 256; at 128 it would not be fewer
    assert "above width 128: 0.50 at 256" in verdict.reason
    for model in ("lstm", "transformer"):
        fake.write_length(tmp_path, model, lambda n: 1.0, changes={"held_equal": {}})
    assert decided(tmp_path)[FEWER].reason == "the width of the models was not recorded"
