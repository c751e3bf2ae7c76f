from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules import sampler
from datamodules import translation as module
from datamodules.batch import BOS, EOS, IGNORE, PAD, Batch
from datamodules.corpora import Corpus
from datamodules.tokenizer import TokenizerSettings
from datamodules.translation import TranslationData

NOUNS = {"dog": "Hund", "man": "Mann", "king": "König", "poet": "Dichter", "baker": "Bäcker"}
VERBS = {"sees": "sieht", "helps": "hilft", "calls": "ruft", "finds": "findet"}


def pair(index: int) -> tuple[str, str]:
    rng = np.random.default_rng(index)
    nouns, verbs = rng.choice(list(NOUNS), 9), rng.choice(list(VERBS), 9)
    words = [word for k in range(1 + index % 9) for word in (nouns[k], verbs[k])]
    return " ".join(words) + ".", " ".join({**NOUNS, **VERBS}[word] for word in words) + "!"


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    files = {}
    for split, numbers in (("train", range(400)), ("val", range(400, 420)), ("news", range(420, 450))):
        path = tmp_path / f"{split}.tsv"
        path.write_text("".join("\t".join(pair(i)) + "\n" for i in numbers))
        files[split] = [str(path)]
    return Corpus("files", files=files)


def build(corpus: Corpus, tmp_path: Path, tokenizer: TokenizerSettings | None = None, **settings: int):
    tokenizer = tokenizer or TokenizerSettings(vocab_size=60)
    return TranslationData(corpus, tokenizer, cache_dir=str(tmp_path / "cache"), **{"max_tokens": 300, **settings})


@pytest.mark.parametrize("kind", ["bpe", "word"])
@pytest.mark.parametrize("joint", [True, False])
def test_batches_hold_the_text(corpus: Corpus, tmp_path: Path, kind: str, joint: bool) -> None:
    data = build(corpus, tmp_path, TokenizerSettings(kind, 60, joint))
    assert data.shared_vocabulary is joint
    for split in ("train", "val", "news"):
        text, seen = data.text(split), []
        for batch in data.loader(split):
            assert isinstance(batch, Batch)
            assert len(batch.ids) * max(batch.source.shape[1], batch.labels.shape[1]) <= 300
            assert batch.source.max() < data.source_vocab_size
            assert batch.labels.max() < data.target_vocab_size
            for source, fed, labels, example in zip(*batch[:4], strict=True):
                source, fed, labels = source[source != PAD], fed[fed != PAD], labels[labels != IGNORE]
                assert source[-1] == EOS
                assert data.source_tokenizer.decode(source.tolist()) == text.source[example]
                assert fed[0] == BOS
                assert labels[-1] == EOS
                assert fed[1:].tolist() == labels[:-1].tolist()
                assert data.target_tokenizer.decode(labels.tolist()) == text.target[example]
            seen += batch.ids.tolist()
        assert sorted(seen) == list(range(len(text)))


def test_the_corpus_is_read_and_encoded_once_and_not_before_it_is_needed(
    corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    load = module.load_corpus
    monkeypatch.setattr(module, "load_corpus", lambda *arguments: calls.append(arguments) or load(*arguments))
    data = build(corpus, tmp_path)
    assert not calls
    assert data.text("val") is data.text("val")
    assert data.test_sets == ["news"]
    assert data.examples("train") is data.examples("train")
    assert len(calls) == 1


def test_the_tokenizer_is_trained_on_the_training_text_only(corpus: Corpus, tmp_path: Path) -> None:
    first = build(corpus, tmp_path)
    pieces = first.source_tokenizer.pieces(range(first.source_vocab_size))
    Path(corpus.files["val"][0]).write_text("zebras zoom\tZebras zoomen\n" * 50)
    second = build(corpus, tmp_path)
    assert second.source_tokenizer.pieces(range(second.source_vocab_size)) == pieces
    assert len(list(tmp_path.rglob("*.model"))) == 1


@pytest.mark.parametrize("kind", ["bpe", "word"])
@pytest.mark.parametrize("joint", [True, False])
def test_kept_tokenizers_need_no_corpus(corpus: Corpus, tmp_path: Path, kind: str, joint: bool) -> None:
    settings = TokenizerSettings(kind, 60, joint)
    data = build(corpus, tmp_path, settings)
    for name, content in data.serialised_tokenizers().items():
        (tmp_path / name).write_bytes(content)
    loaded = TranslationData(Corpus("files", files={}), settings, tokenizers=str(tmp_path))
    for one, other in zip(data.tokenizers, loaded.tokenizers, strict=True):
        ids = one.encode("dog Hund sees unheard")
        assert other.encode("dog Hund sees unheard") == ids
        assert other.decode(ids) == one.decode(ids)
    assert loaded.source_vocab_size == data.source_vocab_size
    for name in data.serialised_tokenizers():
        (tmp_path / name).write_bytes(b'["<pad>"]')
    with pytest.raises(ValueError, match="is not the tokeniser that was kept there"):
        TranslationData(Corpus("files", files={}), settings, tokenizers=str(tmp_path)).source_vocab_size  # noqa: B018


def test_long_training_pairs_are_left_out_and_counted(corpus: Corpus, tmp_path: Path) -> None:
    data = build(corpus, tmp_path, TokenizerSettings("word", 60), max_length=9)
    examples = data.examples("train")
    # 2, 4, 6, 8 words and a full stop are 9 tokens at most; 5 of 9 lengths are longer
    short = [i for i in range(400) if i % 9 < 4]
    assert len(examples) == len(short)
    assert data.notes == [
        f"train: {400 - len(short)} of 400 pairs are left out, longer than data.max_length = 9 tokens"
    ]
    assert examples.lengths.max() == 10
    assert data.examples("news").lengths.max() > 10
    with pytest.raises(ValueError, match=r"data\.max_length is 1 but every .* is longer: set it to 3 or more"):
        build(corpus, tmp_path, TokenizerSettings("word", 60), max_length=1).train_dataloader()
    assert build(corpus, tmp_path, TokenizerSettings("word", 60), max_length=3).train_dataloader()


def test_sentences_of_test_sets_may_exceed_the_budget(corpus: Corpus, tmp_path: Path) -> None:
    data = build(corpus, tmp_path, TokenizerSettings("word", 60), max_tokens=12, max_length=11)
    longest = int(data.examples("news").lengths.max())
    assert longest > 12
    assert sum(len(batch.ids) for batch in data.loader("news")) == 30
    assert all(batch.source.numel() <= longest for batch in data.loader("news"))
    large = list(data.loader("news", max_tokens=3000))
    assert len(large) < len(list(data.loader("news")))
    assert torch.cat([batch.ids for batch in large]).sort()[0].tolist() == list(range(30))
    with pytest.raises(ValueError, match=r"data\.max_tokens is 8 .* to 12 or more, or data\.max_length to 7 or less"):
        data.loader("train", max_tokens=8)
    assert data.loader("train", max_tokens=12)
    assert build(corpus, tmp_path, TokenizerSettings("word", 60), max_tokens=8, max_length=7).train_dataloader()


def test_seed_fixes_the_order_of_training_and_none_of_evaluation(corpus: Corpus, tmp_path: Path) -> None:
    orders = []
    for seed in (0, 0, 1):
        data = build(corpus, tmp_path, seed=seed)
        orders.append([[b.ids.tolist() for b in loader] for loader in (data.train_dataloader(), data.val_dataloader())])
    assert orders[0] == orders[1]
    assert orders[0][0] != orders[2][0]
    assert orders[0][1] == orders[2][1]


@pytest.mark.parametrize("rank", [0, 9])
def test_a_rank_without_a_batch_scores_nothing(
    rank: int, corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = build(corpus, tmp_path)
    for target in (module, sampler):
        monkeypatch.setattr(target, "rank_and_world", lambda: (rank, 10))
    (batch,) = data.loader("val", max_tokens=3000)
    assert len(batch.ids) == 20
    assert (batch.labels == IGNORE).all() == (rank > 0)


def test_a_loader_resumes_after_the_batches_taken(corpus: Corpus, tmp_path: Path) -> None:
    data = build(corpus, tmp_path)
    loader, resumed = data.train_dataloader(), data.train_dataloader()
    batches = iter(loader)
    taken = [next(batches).ids.tolist() for _ in range(2)]
    resumed.load_state_dict(loader.state_dict())
    rest = [batch.ids.tolist() for batch in resumed]
    assert [*taken, *rest] == [batch.ids.tolist() for batch in data.train_dataloader()]
    assert resumed.state_dict() == {"taken": 0}
