import math
from typing import get_args

import pytest
import torch
from torch import Tensor

from models.positions import ALiBi, Learned, PositionKind, Positions, Rotary, Sinusoidal, positions

CPU = torch.device("cpu")


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_sinusoidal_values_by_the_formula() -> None:
    width, table = 6, Sinusoidal(6).added(0, 50, CPU)
    assert table.shape == (50, width)
    for t in range(50):
        for i in range(width // 2):
            angle = t / 10000 ** (2 * i / width)
            assert table[t, 2 * i].item() == pytest.approx(math.sin(angle), abs=1e-5)
            assert table[t, 2 * i + 1].item() == pytest.approx(math.cos(angle), abs=1e-5)


def test_positions_continue_after_the_cached_ones() -> None:
    for kind in (Sinusoidal(8), Learned(8, 60)):
        whole, part = kind.added(0, 50, CPU), kind.added(37, 4, CPU)
        assert whole is not None
        torch.testing.assert_close(part, whole[37:41])
    x = random(1, 2, 12, 8)
    torch.testing.assert_close(Rotary(8).rotated(x[:, :, 7:], 7), Rotary(8).rotated(x, 0)[:, :, 7:])
    torch.testing.assert_close(ALiBi(8).bias(1, 7, CPU), ALiBi(8).bias(7, 7, CPU)[:, :, -1:], rtol=0, atol=0)


def test_learned_positions_are_trained_and_end_at_max_length() -> None:
    table = Learned(8, 10)
    table.added(7, 3, CPU).sum().backward()
    gradient = table.table.weight.grad
    assert gradient is not None
    assert gradient.abs().sum(1).bool().tolist() == [False] * 7 + [True] * 3
    for start, length in ((0, 11), (10, 1)):
        with pytest.raises(ValueError, match=r"11 tokens.*network\.max_length .* up to 10: set it to 11"):
            table.added(start, length, CPU)


def test_rotary_multiplies_complex_numbers() -> None:
    d, x = 6, random(1, 1, 9, 6)
    rotated = Rotary(d).rotated(x, 3)
    for t in range(9):
        for i in range(d // 2):
            angle = (3 + t) / 10000 ** (2 * i / d)
            number = complex(x[0, 0, t, i], x[0, 0, t, i + d // 2]) * complex(math.cos(angle), math.sin(angle))
            assert rotated[0, 0, t, i].item() == pytest.approx(number.real, abs=1e-5)
            assert rotated[0, 0, t, i + d // 2].item() == pytest.approx(number.imag, abs=1e-5)
    assert Rotary(d).rotated(x.bfloat16(), 0).dtype == torch.bfloat16


@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (1, 6)])
def test_alibi_is_slope_times_distance_and_flatter_to_the_right(queries: int, keys: int) -> None:
    (bias,) = ALiBi(4).bias(queries, keys, CPU)
    for head, slope in enumerate((1 / 4, 1 / 16, 1 / 64, 1 / 256)):
        for i in range(queries):
            for j in range(keys):
                back = keys - queries + i - j
                expected = -slope * back if back >= 0 else slope * back / math.sqrt(2)
                assert bias[head, i, j].item() == pytest.approx(expected)


KINDS = {
    "sinusoidal": (True, False, False),
    "learned": (True, False, False),
    "rotary": (False, True, False),
    "alibi": (False, False, True),
    "none": (False, False, False),
}


@pytest.mark.parametrize("kind", get_args(PositionKind))
def test_each_kind_acts_in_one_place(kind: PositionKind) -> None:
    place, x = positions(kind, width=8, heads=2, max_length=20), random(1, 2, 3, 4)
    added, biased = (part is not None for part in (place.added(0, 3, CPU), place.bias(3, 3, CPU)))
    assert (added, not torch.equal(place.rotated(x, 0), x), biased) == KINDS[kind]
    assert (type(place) is Positions) == (kind == "none")


@pytest.mark.parametrize(
    ("kind", "width", "message"),
    [
        ("sine", 8, r"network\.positions is 'sine'.*sinusoidal, learned, rotary, alibi, none"),
        ("sinusoidal", 7, r"network\.width is 7"),
        ("rotary", 6, r"head is 3 wide"),
    ],
)
def test_unknown_kinds_and_odd_widths_are_refused(kind: PositionKind, width: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        positions(kind, width=width, heads=2, max_length=20)
