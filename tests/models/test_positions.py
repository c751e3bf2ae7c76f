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


def test_sinusoidal_shift_is_one_rotation_whatever_the_position() -> None:
    """Section 3.5: PE(t + k) is a linear function of PE(t)."""
    width, k = 8, 5
    table = Sinusoidal(width).added(0, 40, CPU).double()
    shift = torch.zeros(width, width, dtype=torch.float64)
    for i in range(width // 2):
        angle = k / 10000 ** (2 * i / width)
        cos, sin = math.cos(angle), math.sin(angle)
        shift[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = torch.tensor([[cos, sin], [-sin, cos]])
    torch.testing.assert_close(table[:-k] @ shift.T, table[k:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("kind", [Sinusoidal(8), Learned(8, 60)])
def test_added_positions_continue_where_the_past_ends(kind: Positions) -> None:
    whole, part = kind.added(0, 50, CPU), kind.added(37, 4, CPU)
    assert whole is not None
    assert part is not None
    torch.testing.assert_close(part, whole[37:41])


def test_learned_positions_end_at_max_length() -> None:
    table = Learned(8, 10)
    assert table.added(9, 1, CPU).shape == (1, 8)
    assert table.added(0, 10, CPU).shape == (10, 8)
    for start, length in ((0, 11), (10, 1)):
        with pytest.raises(ValueError, match=r"11 tokens.*up to 10.*network\.max_length"):
            table.added(start, length, CPU)


def test_learned_positions_are_trained() -> None:
    table = Learned(8, 10)
    table.added(2, 3, CPU).sum().backward()
    gradient = table.table.weight.grad
    assert gradient is not None
    assert gradient.abs().sum(1).bool().tolist() == [False] * 2 + [True] * 3 + [False] * 5


def test_rotary_turns_complex_numbers() -> None:
    d, x = 6, random(1, 1, 9, 6)
    turned = Rotary(d).turned(x, 3)
    for t in range(9):
        for i in range(d // 2):
            angle = (3 + t) / 10000 ** (2 * i / d)
            number = complex(x[0, 0, t, i], x[0, 0, t, i + d // 2]) * complex(math.cos(angle), math.sin(angle))
            assert turned[0, 0, t, i].item() == pytest.approx(number.real, abs=1e-5)
            assert turned[0, 0, t, i + d // 2].item() == pytest.approx(number.imag, abs=1e-5)


def test_rotary_products_depend_on_the_distance_alone() -> None:
    rotary, q, k = Rotary(8), random(8), random(8, seed=1)
    queries = rotary.turned(q.expand(1, 1, 30, 8), 0)[0, 0]
    keys = rotary.turned(k.expand(1, 1, 30, 8), 0)[0, 0]
    products = queries @ keys.T
    for distance in range(-29, 30):
        diagonal = products.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-4)
    assert products[0].std() > 0.1
    later = rotary.turned(q.expand(1, 1, 1, 8), 107) @ rotary.turned(k.expand(1, 1, 1, 8), 100).mT
    torch.testing.assert_close(later.squeeze(), products[7, 0], rtol=0, atol=1e-4)


def test_rotary_keeps_lengths_and_position_zero() -> None:
    x = random(2, 3, 9, 8)
    turned = Rotary(8).turned(x, 0)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=0, atol=1e-6)
    torch.testing.assert_close(turned[:, :, 0], x[:, :, 0])
    assert turned.dtype == x.dtype
    assert Rotary(8).turned(x.bfloat16(), 0).dtype == torch.bfloat16


def test_rotary_continues_where_the_past_ends() -> None:
    x = random(1, 2, 12, 8)
    torch.testing.assert_close(Rotary(8).turned(x[:, :, 7:], 7), Rotary(8).turned(x, 0)[:, :, 7:])


def test_alibi_slopes_of_eight_heads() -> None:
    bias = ALiBi(8).bias(5, 5, CPU)
    assert bias.shape == (8, 5, 5)
    assert (-bias[:, 1, 0]).tolist() == [1 / 2**n for n in range(1, 9)]


@pytest.mark.parametrize(("queries", "keys"), [(6, 6), (1, 6)])
def test_alibi_is_slope_times_distance_and_flatter_to_the_right(queries: int, keys: int) -> None:
    bias = ALiBi(4).bias(queries, keys, CPU)
    for head, slope in enumerate((1 / 4, 1 / 16, 1 / 64, 1 / 256)):
        for i in range(queries):
            for j in range(keys):
                back = keys - queries + i - j
                expected = -slope * back if back >= 0 else slope * back / math.sqrt(2)
                assert bias[head, i, j].item() == pytest.approx(expected)


@pytest.mark.parametrize("heads", [1, 2, 8, 16])
def test_no_head_of_alibi_is_the_mirror_of_any_head(heads: int) -> None:
    """With 16 heads a slope to the right equals the next head's slope to the left: the pair still tells them apart."""
    bias = ALiBi(heads).bias(5, 5, CPU)
    for mirrored in bias.flip(1, 2):
        assert not any(torch.allclose(mirrored, head) for head in bias)


def test_looking_back_alibi_is_as_in_the_paper() -> None:
    """A decoder sees nothing to the right, and one query at the end has the last row of all."""
    whole = ALiBi(8).bias(7, 7, CPU)
    distance = torch.arange(7).view(7, 1) - torch.arange(7)
    for n, head in enumerate(whole, start=1):
        assert torch.equal(head.tril(), (-distance / 2**n).tril())
    torch.testing.assert_close(ALiBi(8).bias(1, 7, CPU), whole[:, -1:], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("kind", "added", "turned", "biased"),
    [
        ("sinusoidal", True, False, False),
        ("learned", True, False, False),
        ("rotary", False, True, False),
        ("alibi", False, False, True),
        ("none", False, False, False),
    ],
)
def test_each_kind_acts_in_one_place(kind: PositionKind, added: bool, turned: bool, biased: bool) -> None:
    place, x = positions(kind, width=8, heads=2, max_length=20), random(1, 2, 3, 4)
    assert (place.added(0, 3, CPU) is not None) == added
    assert (not torch.equal(place.turned(x, 0), x)) == turned
    assert (place.bias(3, 3, CPU) is not None) == biased


def test_every_kind_that_is_named_can_be_made() -> None:
    made = {type(positions(kind, width=8, heads=2, max_length=20)) for kind in get_args(PositionKind)}
    assert made == {Sinusoidal, Learned, Rotary, ALiBi, Positions}


def test_an_unknown_kind_is_refused_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"network\.positions is 'sine'.*sinusoidal, learned, rotary, alibi, none"):
        positions("sine", width=8, heads=2, max_length=20)  # type: ignore[arg-type]


def test_odd_widths_are_refused() -> None:
    with pytest.raises(ValueError, match=r"network\.width is 7"):
        positions("sinusoidal", width=7, heads=1, max_length=20)
    with pytest.raises(ValueError, match=r"head is 3 wide"):
        positions("rotary", width=6, heads=2, max_length=20)
