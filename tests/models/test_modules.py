from pathlib import Path
from typing import Any

import lightning as L
import pytest
import sacrebleu
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.batch import BOS, EOS, IGNORE, SPECIAL_TOKENS, Batch, Example, collate
from datamodules.embedded.corpus import embedded_corpus
from models import BahdanauSeq2Seq, LSTMSeq2Seq, Seq2SeqModule, TransformerSeq2Seq
from models.bahdanau import BahdanauSettings
from models.loss import scored_logits, smoothed_cross_entropy
from models.lstm import LSTMSettings
from models.modules import Optimisation
from models.schedules import learning_rate_factor
from models.search import Decoding, search
from models.transformer import TransformerSettings
from tests.support.toy_networks import ALL, PAD, TARGET_VOCABULARY, build, decoder_inputs, sources

MODELS = ["lstm", "bahdanau", "transformer"]


def module(
    kind: str, vocabulary: int = TARGET_VOCABULARY, width: int = 16, dropout: float = 0.1, **optimisation: Any
) -> Seq2SeqModule:
    torch.manual_seed(0)
    trained = Optimisation(**optimisation)
    if kind == "lstm":
        settings = LSTMSettings(width, width, dropout=dropout)
        return LSTMSeq2Seq(vocabulary, vocabulary, True, settings, trained)
    if kind == "bahdanau":
        return BahdanauSeq2Seq(vocabulary, vocabulary, True, BahdanauSettings(width, width, dropout=dropout), trained)
    sized = TransformerSettings(width, 4, 2 * width, 2, 2, dropout)
    return TransformerSeq2Seq(vocabulary, vocabulary, True, sized, trained)


def batch(source_lengths: tuple[int, ...], target_lengths: tuple[int, ...], seed: int) -> Batch:
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


def fit(
    tmp_path: Path,
    model: Seq2SeqModule,
    batches: list[Batch],
    *,
    epochs: int = 1,
    resume: Path | None = None,
    **rest: Any,
) -> None:
    run = trainer(tmp_path, limit_val_batches=0, max_epochs=epochs, **rest)
    run.fit(model, loader(batches), loader(batches[:1]), ckpt_path=resume, weights_only=True if resume else None)


@pytest.mark.parametrize("stage", ["val", "test"])
@pytest.mark.parametrize("kind", MODELS)
def test_metrics_are_means_over_tokens_not_over_batches(kind: str, stage: str, tmp_path: Path) -> None:
    lengths = (((3, 4), (1, 2)), ((5,), (9,)), ((2, 6, 4, 7), (7, 8, 3, 6)))
    batches = [batch(s, t, seed) for seed, (s, t) in enumerate(lengths)]
    model = module(kind)
    run = trainer(tmp_path)
    with torch.no_grad():
        model.network.output.bias.normal_(std=2)  # type: ignore[union-attr, operator]
    (run.validate if stage == "val" else run.test)(model, loader(batches), verbose=False)
    model.eval()
    with torch.no_grad():
        pairs = [scored_logits(model.network, b.source, b.decoder_input, b.labels) for b in batches]
    logits, labels = torch.cat([p[0] for p in pairs]), torch.cat([p[1] for p in pairs])
    assert len(labels) == 3 + 9 + 24
    expected = {
        f"{stage}/loss": smoothed_cross_entropy(logits, labels, 0.0).item(),
        f"{stage}/smoothed_loss": smoothed_cross_entropy(logits, labels, 0.1).item(),
        f"{stage}/token_accuracy": (logits.argmax(-1) == labels).float().mean().item(),
    }
    measured = {name: value.item() for name, value in run.callback_metrics.items()}
    assert measured == {name: pytest.approx(value, rel=1e-5) for name, value in expected.items()}
    over_batches = sum(smoothed_cross_entropy(*pair, 0.0).item() for pair in pairs) / 3
    assert abs(over_batches - expected[f"{stage}/loss"]) > 1e-3


def corpus() -> tuple[Batch, list[str], list[str]]:
    """Eight embedded sentence pairs as one batch over one vocabulary of whitespace words; references; the words."""
    pairs = embedded_corpus("train", size=8, longest=12)
    words = [*SPECIAL_TOKENS, *sorted({word for p in pairs for word in f"{p.english} {p.german}".split()})]
    number = {word: n for n, word in enumerate(words)}
    examples = []
    for n, pair in enumerate(pairs):
        source = [number[word] for word in pair.english.split()] + [EOS]
        target = [number[word] for word in pair.german.split()]
        fields = (torch.tensor(source), torch.tensor([BOS, *target]), torch.tensor([*target, EOS]))
        examples.append(Example(*fields, n))
    return collate(examples), [pair.german for pair in pairs], words


@pytest.mark.parametrize("kind", MODELS)
def test_eight_sentences_are_learned_by_heart(kind: str, tmp_path: Path) -> None:
    eight, references, words = corpus()
    rate = {"lstm": 5e-3, "bahdanau": 5e-3, "transformer": 3e-3}[kind]
    model = module(kind, len(words), 64, 0.0, learning_rate=rate, warmup_steps=10, label_smoothing=0.0)
    fit(tmp_path, model, [eight] * 150)
    found = search(model.network.eval(), eight.source, Decoding(beam_size=1))
    hypotheses = [" ".join(words[token] for token in best[0].tokens) for best in found]
    assert sacrebleu.corpus_bleu(hypotheses, [references]).score == pytest.approx(100)
    assert hypotheses == references


@pytest.mark.parametrize("name", ALL)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    network = build(name).train()
    one = batch((7, 4, 1, 6), (3, 6, 5, 2), 0)
    logits, labels = scored_logits(network, one.source, one.decoder_input, one.labels)
    smoothed_cross_entropy(logits, labels, 0.1).backward()
    without = {n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    assert without == set()
    assert all(p.grad.isfinite().all() for p in network.parameters() if p.grad is not None)


class Seen(Callback):
    """Learning rates in force at each step, and training losses."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(outputs["loss"].item())


@pytest.mark.parametrize("schedule", ["inverse_square_root", "noam", "linear", "constant"])
def test_each_step_is_taken_at_the_rate_of_the_schedule(schedule: Any, tmp_path: Path) -> None:
    model, seen = module("lstm", schedule=schedule, warmup_steps=3, learning_rate=0.01), Seen()
    one = batch((3, 4), (5, 2), 0)
    fit(tmp_path, model, [one] * 8, callbacks=[seen])
    factors = [learning_rate_factor(schedule, step, 3, width=16, max_steps=8) for step in range(1, 9)]
    assert seen.rates == pytest.approx([0.01 * f for f in factors])


def test_the_optimiser_is_built_as_set(tmp_path: Path) -> None:
    model = module("lstm", betas=(0.8, 0.9), eps=1e-7, weight_decay=0.03, learning_rate=0.02, schedule="constant")
    fit(tmp_path, model, [batch((3,), (5,), 0)])
    optimiser = model.trainer.optimizers[0]
    assert isinstance(optimiser, torch.optim.AdamW)
    assert {key: optimiser.defaults[key] for key in ("betas", "eps", "weight_decay")} == {
        "betas": (0.8, 0.9),
        "eps": 1e-7,
        "weight_decay": 0.03,
    }
    optimised = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert optimised == {id(p) for p in model.parameters()}


@pytest.mark.parametrize("kind", MODELS)
def test_the_training_loss_is_the_smoothed_mean_over_scored_tokens(kind: str, tmp_path: Path) -> None:
    model, one, seen = module(kind, dropout=0.0, label_smoothing=0.3), batch((3, 4), (5, 2), 0), Seen()
    expected = smoothed_cross_entropy(*scored_logits(model.network, *one[:3]), 0.3).item()
    fit(tmp_path, model, [one], callbacks=[seen], log_every_n_steps=1)
    assert seen.losses == [pytest.approx(expected, rel=1e-5)]
    assert model.trainer.callback_metrics["train/loss"].item() == pytest.approx(expected, rel=1e-5)


def test_the_logged_loss_is_that_of_the_whole_update(tmp_path: Path) -> None:
    model, seen = module("transformer", dropout=0.0), Seen()
    batches = [batch((3, 4), (5, 2), seed) for seed in range(3)]
    fit(tmp_path, model, batches, callbacks=[seen], log_every_n_steps=1, accumulate_grad_batches=3)
    assert len(set(seen.losses)) == 3
    assert model.trainer.callback_metrics["train/loss"].item() == pytest.approx(sum(seen.losses), rel=1e-5)


@pytest.mark.parametrize("kind", MODELS)
def test_a_seed_fixes_the_training(kind: str, tmp_path: Path) -> None:
    losses = []
    for _ in range(2):
        model, seen = module(kind, dropout=0.3), Seen()
        fit(tmp_path, model, [batch((3, 4), (5, 2), 0)] * 4, callbacks=[seen])
        losses.append(seen.losses)
    assert losses[0] == losses[1]


@pytest.mark.parametrize("kind", MODELS)
def test_a_checkpoint_holds_plain_data_and_goes_on_where_it_stopped(kind: str, tmp_path: Path) -> None:
    batches, path = [batch((3, 4), (5, 2), seed) for seed in range(3)], tmp_path / "last.ckpt"
    whole, seen = module(kind, dropout=0.0, warmup_steps=2), Seen()
    fit(tmp_path, whole, batches, epochs=2, callbacks=[seen])

    class SavesFirstEpoch(Callback):
        def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
            if trainer.current_epoch == 0:
                trainer.save_checkpoint(path)

    fit(tmp_path, module(kind, dropout=0.0, warmup_steps=2), batches, epochs=2, callbacks=[SavesFirstEpoch()])
    checkpoint = torch.load(path, weights_only=True)
    assert checkpoint["model_class"] == type(whole).__name__
    assert checkpoint["global_step"] == 3

    resumed, went_on = module(kind, dropout=0.0, warmup_steps=2), Seen()
    fit(tmp_path, resumed, batches, epochs=2, resume=path, callbacks=[went_on])
    assert went_on.losses == pytest.approx(seen.losses[3:], rel=1e-5)
    assert went_on.rates == pytest.approx(seen.rates[3:])
    one = batches[0]
    torch.testing.assert_close(resumed(one.source, one.decoder_input), whole(one.source, one.decoder_input))


@pytest.mark.parametrize("kind", MODELS)
def test_tied_weights_survive_a_checkpoint(kind: str) -> None:
    saved, loaded = module(kind), module(kind)
    with torch.no_grad():
        saved.network.output.weight.add_(1.0)  # type: ignore[union-attr, operator]
    loaded.load_state_dict(saved.state_dict())
    one = batch((3, 4), (5, 2), 0)
    saved.eval(), loaded.eval()
    torch.testing.assert_close(loaded(one.source, one.decoder_input), saved(one.source, one.decoder_input))
    weights = [p for p in loaded.parameters() if p.shape == saved.network.output.weight.shape]  # type: ignore[union-attr]
    assert len(weights) == 1


def test_the_width_for_noam_is_the_models() -> None:
    assert [module(kind, width=32).width for kind in MODELS] == [32, 32, 32]


def test_default_settings_are_not_shared_by_change() -> None:
    assert LSTMSettings() == LSTMSettings(hidden=256, embedding=256)
    LSTMSeq2Seq(20, 20)
    BahdanauSeq2Seq(20, 20)
    TransformerSeq2Seq(20, 20)
    assert LSTMSettings() == LSTMSettings(hidden=256, embedding=256)


@pytest.mark.parametrize("kind", MODELS)
def test_bfloat16_autocast_trains(kind: str, tmp_path: Path) -> None:
    model, seen = module(kind), Seen()
    fit(tmp_path, model, [batch((3, 4), (5, 2), 0)] * 3, precision="bf16-mixed", callbacks=[seen])
    assert all(loss == loss for loss in seen.losses)
    assert {p.dtype for p in model.parameters()} == {torch.float32}


@pytest.mark.gpu
@pytest.mark.parametrize("name", ALL)
def test_a_network_on_a_gpu_gives_what_it_gives_on_a_cpu(name: str) -> None:
    """Warnings are errors, so weights that are not flat in memory would show here."""
    one = batch((7, 4, 1, 6), (3, 6, 5, 2), 0)
    network = build(name, dtype=torch.float32)
    expected: Tensor = network(one.source, one.decoder_input)
    moved = network.to("cuda")
    actual = moved(one.source.cuda(), one.decoder_input.cuda())
    torch.testing.assert_close(actual.cpu(), expected, rtol=1e-3, atol=1e-3)
    decoding = Decoding(beam_size=3, length_margin=4)
    assert len(search(moved, one.source.cuda(), decoding)) == 4
    moved.train()
    scored = scored_logits(moved, one.source.cuda(), one.decoder_input.cuda(), one.labels.cuda())
    smoothed_cross_entropy(*scored, 0.1).backward()
