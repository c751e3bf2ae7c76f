"""What a recipe asks for: against closed forms, published sizes, and itself with more rows."""

from dataclasses import replace

import pytest
from jsonargparse import Namespace

from experiments.planning.grid import Planned, plan_bleu
from experiments.planning.parser import build_parser
from experiments.speed.cost.recipe import Activations, Recipe, build, count_activations, kept_bytes, read_recipe
from models.bahdanau import BahdanauNetwork, BahdanauSettings
from models.embedding import Vocabularies
from models.lstm import LSTMNetwork, LSTMSettings
from models.network import Network
from models.transformer import TransformerNetwork, TransformerSettings

RECIPE = Recipe(
    name="transformer",
    model="transformer",
    routing="base",
    width=512,
    parameters=1_000_000,
    steps=10,
    tokens=1000,
    longest=100,
    averaged=True,
    flops_per_token=6e6,
    vocabulary_share=0.5,
    activations=Activations(fixed=500.0, per_token=20.0),
)
NETWORKS = {
    "transformer": lambda sizes: TransformerNetwork(sizes, TransformerSettings(width=16, heads=2, feed_forward=32)),
    "lstm": lambda sizes: LSTMNetwork(sizes, LSTMSettings(embedding=16, hidden=16, layers=2)),
    "bahdanau": lambda sizes: BahdanauNetwork(sizes, BahdanauSettings(embedding=16, hidden=16)),
    "parallel": lambda sizes: BahdanauNetwork(sizes, BahdanauSettings(embedding=16, hidden=16, routing="parallel")),
}


def planned(suite: str, model: str, *settings: str) -> Planned:
    return next(plan_bleu(suite, [model], [0], "", "runs", list(settings)))


def config(suite: str, model: str) -> Namespace:
    return build_parser().parse_args(planned(suite, model).arguments)


def network(name: str, vocabulary: int = 50) -> Network:
    return NETWORKS[name](Vocabularies(vocabulary, vocabulary))


def test_transformer_base_has_the_parameters_of_its_closed_form() -> None:
    V, D, F = 37_000, 512, 2048
    attention, feed_forward, norm = 4 * (D * D + D), 2 * D * F + F + D, 2 * D
    encoder, decoder = attention + feed_forward + 2 * norm, 2 * attention + feed_forward + 3 * norm
    module = build(config("paper", "transformer"))
    assert all(p.is_meta for p in module.parameters())
    assert sum(p.numel() for p in module.parameters()) == V * D + V + 6 * (encoder + decoder)


@pytest.mark.parametrize(("model", "published"), [("transformer", 65e6), ("transformer-big", 213e6)])
def test_sizes_are_those_that_vaswani_et_al_print(model: str, published: float) -> None:
    size = sum(p.numel() for p in build(config("paper", model)).parameters())
    assert size == pytest.approx(published, rel=0.03)


def test_a_recipe_is_read_from_the_configuration() -> None:
    changes = ("max_steps=70", "accumulate=3", "devices=5", "num_nodes=2")
    recipe = read_recipe(planned("smoke", "transformer", *(f"--trainer.{change}" for change in changes)), 8)
    settings = config("smoke", "transformer")
    assert (recipe.name, recipe.model, recipe.steps) == ("transformer", "transformer", 70)
    assert recipe.tokens == 3 * 5 * 2 * settings.data.init_args.max_tokens
    assert recipe.all_tokens == 70 * recipe.tokens
    assert recipe.flops == recipe.flops_per_token * recipe.all_tokens
    assert recipe.averaged == (settings.trainer.ema_decay > 0)
    assert recipe.width == settings.model.init_args.network.width
    assert 0 < recipe.vocabulary_share < 1
    # 6 FLOP a weight and token, half of the embeddings' weights being read and not multiplied
    assert 2 * recipe.parameters < recipe.flops_per_token < 12 * recipe.parameters


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_kept_grows_with_rows_and_has_no_weights(name: str) -> None:
    counted = count_activations(network(name).eval(), 12)
    assert counted.per_token > 0
    assert count_activations(network(name, vocabulary=5000).eval(), 12).fixed < 4 * 5000 * 16 / 2
    expected = counted.fixed + 64 * 12 * counted.per_token
    assert kept_bytes(network(name).eval(), 64, 12) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_larger_vocabulary_keeps_the_logits_or_their_softmax_and_their_gradient(name: str) -> None:
    small, large = (count_activations(network(name, v).eval(), 12).per_token for v in (500, 1500))
    assert 7999 < large - small < 16001


def test_memory_is_the_sum_of_its_parts() -> None:
    weights_gradients_adam_average = 5 * 4 * 1_000_000
    assert RECIPE.memory_on(1) == weights_gradients_adam_average + 500 + 20 * 1000
    buckets = 4 * 1_000_000
    assert RECIPE.memory_on(4) == weights_gradients_adam_average + buckets + 500 + 20 * 250
    assert replace(RECIPE, averaged=False).memory_on(1) == RECIPE.memory_on(1) - 4 * 1_000_000


def test_a_step_is_shared_until_a_device_has_no_room_for_a_sentence() -> None:
    assert RECIPE.tokens_on(10) == 100
    with pytest.raises(ValueError, match=r"11 devices are too many: .* 90 of the 1000 tokens .* at most 10\."):
        RECIPE.tokens_on(11)
