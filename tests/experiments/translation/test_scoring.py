import gzip
import os
from pathlib import Path

import pytest
import sacrebleu
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from datamodules.corpora import Corpus, ParallelText
from experiments.record import languages
from experiments.record.keys import Measurement
from experiments.training.decode import Translation, bleu
from experiments.translation.scoring import (
    LENGTH_BINS,
    bleu_tokenised,
    bleu_torchtext,
    length_bins,
    score_translations,
    signatures,
    tokenise,
)

WORDS = ["der", "Hund", "die", "rote", "Katze", "läuft", "über", "Straße", "und", "schläft,", "Ball."]
REFERENCES = [
    "Ein Mann mit einem orangefarbenen Hut, der etwas anstarrt.",
    "Ein Boston Terrier läuft über saftig-grünes Gras vor einem weißen Zaun.",
    "Ein Mädchen in einem Karateanzug bricht ein Brett mit einem Tritt.",
]
HYPOTHESES = [
    "Ein Mann mit einem orangefarbenen Hut starrt etwas an.",
    "ein Terrier läuft über grünes Gras vor einem weißen Zaun.",
    "Ein Mädchen bricht ein Brett mit einem Tritt.",
]
few = settings(max_examples=20, suppress_health_check=[HealthCheck.filter_too_much])
sentence = st.lists(st.sampled_from(WORDS), min_size=4, max_size=12).map(" ".join)
pairs = st.lists(st.tuples(sentence, sentence, sentence), min_size=1, max_size=6).map(
    lambda drawn: [(f"{common} {a}", f"{common} {b}") for common, a, b in drawn]  # so that four-grams match
)


def test_a_score_that_must_not_move() -> None:
    assert bleu(HYPOTHESES, REFERENCES, "de") == pytest.approx(54.3066, abs=1e-4)
    assert bleu_tokenised(HYPOTHESES, REFERENCES, "de") == pytest.approx(54.8214, abs=1e-4)


@few
@given(pairs)
def test_torchtext_agrees(drawn: list[tuple[str, str]]) -> None:
    hypotheses, references = [h for h, _ in drawn], [r for _, r in drawn]
    ours = bleu_tokenised(hypotheses, references, "de")
    assume(ours > 0)
    assert bleu_torchtext(hypotheses, references, "de") == pytest.approx(ours, abs=1e-3)


def test_without_a_common_four_gram_the_literatures_bleu_is_0() -> None:
    assert bleu_tokenised(["ein Hund"], ["ein Hund"], "de") == 0
    assert bleu_torchtext(["a b c x e f g"], ["a b c d e f g"], "de") == 0


def test_moses_splits_punctuation_but_not_dashes_and_escapes() -> None:
    assert tokenise(["Ein saftig-grünes Gras, „so“ & so."], "de") == [
        "ein saftig-grünes gras , &quot; so &quot; &amp; so ."
    ]


def test_the_tokens_of_multi30k_are_those_of_the_literature() -> None:
    """With dashes split there would be 12,243."""
    path = Path(os.environ.get("DATA_DIR", "data"), "multi30k", "test_2016_flickr.de.gz")
    if not path.exists():
        pytest.skip(f"{path} is not there: make data, and DATA_DIR")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file]
    assert len(lines) == 1000
    assert sum(len(line.split()) for line in tokenise(lines, "de")) == 12103


@given(st.lists(st.integers(0, 70), max_size=20))
def test_length_bins_deal_every_sentence_to_the_bin_of_its_length(lengths: list[int]) -> None:
    bins = length_bins(lengths)
    assert sorted(i for indices in bins.values() for i in indices) == list(range(len(lengths)))
    above = dict(zip(LENGTH_BINS, (*LENGTH_BINS[1:], 10**9), strict=True))
    for low, indices in bins.items():
        assert indices
        assert all(low <= max(1, lengths[i]) < above[low] for i in indices)


def scores(
    hypotheses: list[str], sources: list[str], references: list[str], codes: tuple[str, str] = ("en", "de")
) -> list[Measurement]:
    translations = [Translation(i, text, 0.0, 0.0, 8 + i, False) for i, text in enumerate(hypotheses)]
    corpus = Corpus("files", *codes)
    return score_translations("test2016", translations, ParallelText(sources, references), corpus)


@pytest.mark.parametrize(
    ("language", "tokeniser", "hypothesis", "reference"),
    [
        ("zh", "zh", "这红女人拿红猫。", "这红女人拿这红猫。"),
        ("zh-Hant-TW", "zh", "這紅女人拿紅貓。", "這紅女人拿這紅貓。"),
        ("th", "char", "แมวสีแดงกินปลา", "แมวสีแดงกินปลาตัวเล็ก"),
        ("ja", "char", "猫が赤い魚を食べる", "猫が魚を食べる"),
        ("fr", "13a", "le chat mange un poisson rouge", "le chat mange le poisson rouge"),
    ],
)
def test_bleu_counts_the_words_of_the_target_language(
    language: str, tokeniser: str, hypothesis: str, reference: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "is_installed", lambda name: "mecab" not in name)
    rows = {row.metric: row for row in scores([hypothesis], ["a b"], [reference], ("en", language))}
    expected = sacrebleu.corpus_bleu([hypothesis], [[reference]], tokenize=tokeniser).score
    assert rows["bleu"].value == bleu([hypothesis], [reference], language) == pytest.approx(expected)
    assert expected > 20
    assert f"tok:{tokeniser}" in signatures(language)["bleu"].split("|")
    moses = {"bleu_tokenised", "bleu_torchtext"}
    assert moses & rows.keys() == (moses if tokeniser == "13a" else set())
    assert ("bleu_tokenised" in signatures(language)) == (tokeniser == "13a")


@pytest.mark.parametrize(
    ("language", "found"),
    [("zh", [("source tokens", 6, 2)]), ("th", [("source tokens", 6, 2)]), ("ko", [("source words", 1, 2)])],
)
def test_bins_are_by_tokens_where_words_are_not_separated(language: str, found: list[tuple[str, int, int]]) -> None:
    rows = scores(REFERENCES[:2], ["这红女人", "这猫"], REFERENCES[:2], (language, "de"))
    by_length = [(row.x_name.partition(",")[0], row.x, row.n) for row in rows if row.metric == "bleu_by_length"]
    assert by_length == found


def test_every_metric_of_a_test_set() -> None:
    sources = ["one two three four five six", "one two", "one two three"]
    rows = scores(HYPOTHESES, sources, REFERENCES)
    plain = {row.metric: row for row in rows if row.metric != "bleu_by_length"}
    assert list(plain) == ["bleu", "chrf", "length_ratio", "bleu_tokenised", "bleu_torchtext"]
    assert all((row.x_name, row.x, row.n) == ("test_set", "test2016", 3) for row in plain.values())
    assert [row.unit for row in plain.values()] == ["BLEU", "chrF", "ratio", "BLEU", "BLEU"]
    assert plain["bleu"].value == bleu(HYPOTHESES, REFERENCES, "de")
    assert plain["chrf"].value == sacrebleu.corpus_chrf(HYPOTHESES, [REFERENCES]).score
    lengths = [sum(len(sacrebleu.tokenizers.tokenizer_13a.Tokenizer13a()(t).split()) for t in texts)
               for texts in (HYPOTHESES, REFERENCES)]  # fmt: skip
    assert plain["length_ratio"].value == pytest.approx(lengths[0] / lengths[1])
    by_length = [(row.x_name, row.x, row.n, row.value) for row in rows if row.metric == "bleu_by_length"]
    assert by_length == [
        ("source words, test2016", 1, 2, bleu(HYPOTHESES[1:], REFERENCES[1:], "de")),
        ("source words, test2016", 6, 1, bleu(HYPOTHESES[:1], REFERENCES[:1], "de")),
    ]


def test_empty_hypotheses_score_0() -> None:
    rows = scores(["", ""], ["a dog", "two dogs"], ["ein Hund", "zwei Hunde"])
    assert {row.metric: row.value for row in rows} == dict.fromkeys(
        ("bleu", "chrf", "bleu_tokenised", "bleu_torchtext", "length_ratio", "bleu_by_length"), 0
    )
