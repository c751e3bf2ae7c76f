import pytest

from experiments.record import languages
from experiments.record.languages import is_installed, separates_words, tokeniser_for, tokeniser_in, words


@pytest.mark.parametrize(
    ("codes", "tokeniser", "separates"),
    [
        (["zh", "ZH", "zh-cn", "zh_TW", "zh-Hant-HK", "zho", "cmn", "yue", "cn"], "zh", False),
        (["ja", "jpn", "ja-JP", "jp"], "ja-mecab", False),
        (["ko", "kor", "ko-KR"], "ko-mecab", True),
        (["th", "tha", "lo", "khm", "my", "bod"], "char", False),
        (["de", "pt-br", "sr-Cyrl", "zu", "jam", "kok", "", "xx"], "13a", True),
    ],
)
def test_codes_of_a_language_name_one_tokeniser(
    codes: list[str], tokeniser: str, separates: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(languages, "is_installed", lambda name: True)
    assert {tokeniser_for(code) for code in codes} == {tokeniser}
    assert {separates_words(code) for code in codes} == {separates}
    monkeypatch.setattr(languages, "is_installed", lambda name: "mecab" not in name)
    assert {tokeniser_for(code) for code in codes} == {"char" if "mecab" in tokeniser else tokeniser}


def test_the_tokeniser_is_read_from_a_signature() -> None:
    for name in ("13a", "zh", "char", "ko-mecab"):
        assert tokeniser_in({"bleu": f"nrefs:1|case:mixed|eff:no|tok:{name}|smooth:exp"}) == name
    assert tokeniser_in({"bleu": "nrefs:1|tok:ja-mecab-0.996-IPA|smooth:exp"}) == "ja-mecab"
    assert tokeniser_in({}) == "13a"
    assert is_installed("zh")
    assert words("这红猫, ok\n", "zh") == ["这", "红", "猫", ",", "ok"]
