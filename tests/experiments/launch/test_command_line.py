import pytest

from experiments.launch.command_line import run


def program(trials: int, suite: str = "quick") -> None:
    print(trials, suite)


@pytest.mark.parametrize(("words", "said"), [("--trials x", "TRIALS (--trials): "), ("--trails 4", "--trails")])
def test_a_mistyped_argument_is_one_sentence(
    words: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["program", "--trials", "1", *words.split()])
    with pytest.raises(SystemExit, match="2"):
        run(program)
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    assert said in message


def test_what_was_typed_arrives(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for words, options in (("--trials 3 --suite full", {}), ("3 --suite full", {"positional": True})):
        monkeypatch.setattr("sys.argv", ["program", *words.split()])
        run(program, **options)
        assert capsys.readouterr().out == "3 full\n"
