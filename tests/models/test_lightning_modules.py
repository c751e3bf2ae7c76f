from pathlib import Path
from typing import Any

import lightning as L
import pytest
import sacrebleu
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batch import EOS, IGNORE, SPECIAL_TOKENS, Batch, unscored
from datamodules.embedded.corpus import embedded_corpus
from datamodules.translation import TranslationExamples
from models import BahdanauSeq2Seq, LSTMSeq2Seq, Seq2SeqModule, TransformerSeq2Seq
from models.bahdanau import BahdanauSettings
from models.lightning_modules import Optimisation
from models.loss import scored_logits, smoothed_cross_entropy
from models.lstm import LSTMSettings
from models.schedules import learning_rate_factor
from models.search import Decoding, search
from models.transformer import TransformerSettings
from tests.support.toy_networks import PAD, TARGET_VOCABULARY, decoder_inputs, sources

every_kind = pytest.mark.parametrize("kind", ["lstm", "bahdanau", "transformer"])


def module(
    kind: str, vocabulary: int = TARGET_VOCABULARY, width: int = 16, dropout: float = 0.1, **optimisation: Any
) -> Seq2SeqModule:
    torch.manual_seed(0)
    sizes = {"source_vocabulary": vocabulary, "target_vocabulary": vocabulary, "shared_vocabulary": True}
    common: dict[str, Any] = {**sizes, "optimisation": Optimisation(**optimisation)}
    if kind == "lstm":
        return LSTMSeq2Seq(LSTMSettings(width, width, dropout=dropout), **common)
    if kind == "bahdanau":
        return BahdanauSeq2Seq(BahdanauSettings(width, width, dropout=dropout), **common)
    sized = TransformerSettings(width, 4, 2 * width, dropout, encoder_layers=2, decoder_layers=2)
    return TransformerSeq2Seq(sized, **common)


def batch(source_lengths: tuple[int, ...] = (3, 4), target_lengths: tuple[int, ...] = (5, 2), seed: int = 0) -> Batch:
    decoder_input = decoder_inputs(target_lengths, seed=seed + 1)
    labels = torch.cat([decoder_input[:, 1:], torch.full((len(target_lengths), 1), PAD)], 1)
    labels = labels.scatter(1, torch.tensor(target_lengths).unsqueeze(1) - 1, EOS)
    labels = labels.masked_fill(decoder_input == PAD, IGNORE)
    return Batch(sources(source_lengths, seed=seed), decoder_input, labels, torch.arange(len(target_lengths)))


def loader(batches: list[Batch]) -> DataLoader[Batch]:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]


def trainer(tmp_path: Path, **settings: Any) -> L.Trainer:
    quiet: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    quiet |= {"enable_checkpointing": False, "default_root_dir": tmp_path}
    return L.Trainer(accelerator="cpu", devices=1, **{**quiet, **settings})


class Seen(Callback):
    """Learning rates and losses of each training step."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, *rest: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, *rest: Any) -> None:
        self.losses.append(outputs["loss"].item())


def fit(tmp_path: Path, model: Seq2SeqModule, batches: list[Batch], **rest: Any) -> Seen:
    seen = Seen()
    run = trainer(tmp_path, limit_val_batches=0, max_epochs=1, callbacks=[seen], **rest)
    run.fit(model, loader(batches), loader(batches[:1]))
    return seen


@every_kind
def test_metrics_are_means_over_tokens_not_over_batches(kind: str, tmp_path: Path) -> None:
    """A batch without a scored position counts for nothing."""
    lengths = (((3, 4), (1, 2)), ((5,), (9,)), ((2, 6, 4, 7), (7, 8, 3, 6)))
    batches = [batch(s, t, seed) for seed, (s, t) in enumerate(lengths)]
    model = module(kind)
    run = trainer(tmp_path)
    with torch.no_grad():
        model.network.output.bias.normal_(std=2)  # type: ignore[union-attr, operator]
    evaluated = loader([batches[0], unscored(batches[1]), *batches[1:]])
    run.validate(model, evaluated, verbose=False)
    model.eval()
    with torch.no_grad():
        pairs = [scored_logits(model.network, b.source, b.decoder_input, b.labels) for b in batches]
    logits, labels = torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs])
    assert len(labels) == 3 + 9 + 24
    expected = {
        "val/loss": smoothed_cross_entropy(logits, labels, 0.0).item(),
        "val/smoothed_loss": smoothed_cross_entropy(logits, labels, 0.1).item(),
        "val/token_accuracy": (logits.argmax(-1) == labels).float().mean().item(),
    }
    measured = {name: value.item() for name, value in run.callback_metrics.items()}
    assert measured == {name: pytest.approx(value, rel=1e-5) for name, value in expected.items()}
    over_batches = sum(smoothed_cross_entropy(*pair, 0.0).item() for pair in pairs) / 3
    assert abs(over_batches - expected["val/loss"]) > 1e-3


def corpus() -> tuple[Batch, list[str], list[str]]:
    """Eight embedded sentence pairs as one batch over one vocabulary of whitespace words; references; the words."""
    pairs = embedded_corpus("train", size=8, longest=12)
    words = [*SPECIAL_TOKENS, *sorted({word for p in pairs for word in f"{p.english} {p.german}".split()})]
    number = {word: n for n, word in enumerate(words)}
    german = [pair.german for pair in pairs]
    sides = ([pair.english for pair in pairs], german)
    sources, targets = ([[number[word] for word in text.split()] for text in side] for side in sides)
    return TranslationExamples(sources, targets).batch(range(len(pairs))), german, words


@every_kind
def test_eight_sentences_are_learned_by_heart(kind: str, tmp_path: Path) -> None:
    eight, references, words = corpus()
    rate = {"lstm": 5e-3, "bahdanau": 5e-3, "transformer": 3e-3}[kind]
    model = module(kind, len(words), 64, 0.0, learning_rate=rate, warmup_steps=10, label_smoothing=0.0)
    fit(tmp_path, model, [eight] * 150)
    found = search(model.network.eval(), eight.source, Decoding(beam_size=1))
    hypotheses = [" ".join(words[token] for token in best[0].tokens) for best in found]
    assert sacrebleu.corpus_bleu(hypotheses, [references]).score == pytest.approx(100)
    assert hypotheses == references


@pytest.mark.parametrize(
    ("kind", "schedule"),
    [*((kind, "inverse_square_root") for kind in ("lstm", "bahdanau", "transformer")), ("lstm", "linear")],
)
def test_each_step_has_the_rate_of_the_schedule(kind: str, schedule: Any, tmp_path: Path) -> None:
    model = module(kind, schedule=schedule, warmup_steps=3, learning_rate=0.01)
    seen = fit(tmp_path, model, [batch()] * 8)
    factors = [learning_rate_factor(schedule, step, 3, max_steps=8) for step in range(1, 9)]
    assert seen.rates == pytest.approx([0.01 * f for f in factors])


def test_the_optimiser_has_its_settings_and_all_parameters(tmp_path: Path) -> None:
    settings = {"betas": (0.8, 0.9), "eps": 1e-7, "weight_decay": 0.03}
    model = module("lstm", learning_rate=0.02, schedule="constant", **settings)
    fit(tmp_path, model, [batch()])
    optimiser = model.trainer.optimizers[0]
    assert isinstance(optimiser, torch.optim.AdamW)
    assert {key: optimiser.defaults[key] for key in settings} == settings
    optimised = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in model.parameters()}


@every_kind
def test_the_training_loss_is_the_smoothed_mean_over_scored_tokens(kind: str, tmp_path: Path) -> None:
    model, one = module(kind, dropout=0.0, label_smoothing=0.3), batch()
    expected = smoothed_cross_entropy(*scored_logits(model.network, *one[:3]), 0.3).item()
    seen = fit(tmp_path, model, [one, unscored(one)], log_every_n_steps=1)
    assert seen.losses == [pytest.approx(expected, rel=1e-5), 0]
    assert model.trainer.callback_metrics["train/loss"].item() == 0
    assert all(p.isfinite().all() for p in model.parameters())


@every_kind
def test_an_update_of_several_batches_is_that_of_one_with_all_their_tokens(kind: str, tmp_path: Path) -> None:
    """Of uneven batches, one of them without a scored token; a mean of their means would weigh them alike."""
    parts = [batch(seed=0), batch((4,), (1,), seed=1), batch((2, 5, 3), (7, 6, 4), seed=2)]
    parts.insert(1, unscored(parts[0]))
    examples = [[field[i] for field in part[:4]] for part in parts for i in range(len(part.ids))]
    one, several = (
        module(kind, dropout=0.0, schedule="constant", warmup_steps=1, eps=1.0, learning_rate=1.0) for _ in range(2)
    )
    fit(tmp_path, one, [padded(examples)], log_every_n_steps=1)
    fit(tmp_path, several, parts, log_every_n_steps=1, accumulate_grad_batches=4)
    torch.testing.assert_close(dict(several.named_parameters()), dict(one.named_parameters()), rtol=1e-4, atol=1e-7)
    losses = [float(model.trainer.callback_metrics["train/loss"]) for model in (one, several)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def padded(examples: list[list[Tensor]]) -> Batch:
    fields = zip(*examples, strict=True)
    source, decoder_input, labels, ids = (list(field) for field in fields)
    padding = ((source, PAD), (decoder_input, PAD), (labels, IGNORE))
    rows = (torch.nn.utils.rnn.pad_sequence(field, batch_first=True, padding_value=value) for field, value in padding)
    return Batch(*rows, torch.stack(ids))


@every_kind
def test_no_token_is_preferred_at_the_start(kind: str) -> None:
    assert not module(kind).network.get_submodule("output").bias.any()  # type: ignore[union-attr, operator]


def test_the_initial_weights_are_scaled_and_biases_are_not() -> None:
    plain, scaled = (dict(module("lstm", initialisation_scale=s).named_parameters()) for s in (1.0, 0.5))
    for name, parameter in plain.items():
        torch.testing.assert_close(scaled[name], parameter * (0.5 if parameter.dim() > 1 else 1))
    with pytest.raises(ValueError, match=r"initialisation_scale is 0; it must be above 0"):
        Optimisation(initialisation_scale=0)
