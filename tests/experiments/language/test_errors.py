import numpy as np
import pytest

from experiments.language.errors import standard_error


@pytest.mark.parametrize("alike", [1, 10])
def test_the_error_is_how_far_means_of_such_texts_lie_apart(alike: int) -> None:
    """Also where neighbours are equal, so that a text of 1,000 pieces has 100 that differ."""
    rng = np.random.default_rng(0)
    texts = [np.repeat(rng.normal(size=1000 // alike), alike) for _ in range(400)]
    errors = [standard_error(text) for text in texts]
    assert np.mean(errors) == pytest.approx(np.std([text.mean() for text in texts]), rel=0.1)


def test_one_piece_has_no_error() -> None:
    assert standard_error(np.array([2.0])) == 0
    assert standard_error(np.array([1.0, 3.0])) == 1
