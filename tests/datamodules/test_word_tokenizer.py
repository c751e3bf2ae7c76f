import pytest

from datamodules.batch import SPECIAL_TOKENS, UNK
from datamodules.tokenizer import TokenizerSettings
from datamodules.word_tokenizer import build_word_tokenizers

ENGLISH = ["The dog doesn't bark, does it?", "The dog sleeps."]
GERMAN = ["Der Hund bellt nicht, oder?", "Der Hund schläft."]


def build(**changes: int | bool) -> list:
    settings = TokenizerSettings("word", **{"vocab_size": 100, "min_frequency": 1, **changes})
    return build_word_tokenizers((ENGLISH, GERMAN), ("en", "de"), settings)


def test_words_come_back_as_plain_text() -> None:
    english, german = build()
    for tokenizer, lines in ((english, ENGLISH), (german, GERMAN)):
        assert [tokenizer.decode(tokenizer.encode(line)) for line in lines] == lines


def test_words_are_cut_as_moses_cuts_them_without_escapes() -> None:
    english = build()[0]
    assert english.pieces(english.encode(ENGLISH[0])) == ["The", "dog", "doesn", "'t", "bark", ",", "does", "it", "?"]


def test_rare_words_are_unknown() -> None:
    english, _ = build(min_frequency=2, joint=False)
    ids = english.encode("The dog barks")
    assert ids.count(UNK) == 1
    assert english.decode(ids) == "The dog ⁇"
    assert set(english.pieces(range(len(english)))) == {*SPECIAL_TOKENS, "The", "dog"}


def test_frequent_words_win_the_room() -> None:
    assert build(vocab_size=6)[1].pieces([4, 5]) == [",", "."]
    assert len(build(vocab_size=6)[0]) == 6


def test_settings_and_texts_that_leave_no_word() -> None:
    with pytest.raises(ValueError, match=r"data\.tokenizer\.vocab_size is 4.*ask for more"):
        build(vocab_size=4)
    with pytest.raises(ValueError, match=r"data\.tokenizer\.min_frequency is 9 but .* word occurs \d times"):
        build(min_frequency=9)
    with pytest.raises(ValueError, match="holds no word"):
        build_word_tokenizers([["\x01", "\x02 \x03"]], ["en"], TokenizerSettings("word", 50))
