import json
import math
from pathlib import Path

import pytest
import yaml

from experiments.tuning.space import SPACE, points

TUNED = Path(__file__).parents[3] / "experiments" / "configs" / "long_range" / "full" / "tuned"


@pytest.mark.parametrize("number", [1, 2, 4, 8, 16])
def test_points_lie_within_the_space_and_every_part_of_it_has_one(number: int) -> None:
    tried = points(number)
    for name, bounds in SPACE.items():
        share = [math.log(point[name] / bounds.low) / math.log(bounds.high / bounds.low) for point in tried]
        assert sorted(int(s * number) for s in share) == list(range(number))


def test_more_points_begin_with_the_fewer() -> None:
    many = points(9)
    assert [points(number) for number in range(1, 9)] == [many[:number] for number in range(1, 9)]


def test_what_a_configuration_file_shows_is_what_runs() -> None:
    for point in points(8):
        assert yaml.safe_load(yaml.safe_dump(point)) == point
        assert all(len(f"{value:g}".lstrip("0.").replace(".", "")) <= 3 for value in point.values())


def test_the_committed_trials_are_the_first_points() -> None:
    """Numbers of the published runs depend on them."""
    records = [json.loads(path.read_text()) for path in sorted(TUNED.glob("*/*.trials.json"))]
    assert len(records) == 40
    for record in records:
        tried = [{name: trial[name] for name in SPACE} for trial in record["trials"]]
        assert tried == points(len(tried)) == points(4)
