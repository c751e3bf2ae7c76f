"""The command line of a program of ours, made of the arguments of its `main`."""

import re
import sys
from collections.abc import Callable
from typing import NoReturn

from jsonargparse import ArgumentParser, auto_cli

from experiments.launch.exit_codes import mistake


class Parser(ArgumentParser):
    """A mistake in what was typed is one sentence, which names the variable of make."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        named = re.sub(r'^Parser key "(\w+)":', lambda found: f"{found[1].upper()} (--{found[1]}):", message)
        raise mistake(" ".join(named.split())) from ex


def run(main: Callable[..., None], *, positional: bool = False) -> None:
    """Call `main` with what was typed; `positional` are arguments without a default."""
    started = sys.modules["__main__"].__spec__
    name = started.name.removesuffix(".__main__") if started else main.__module__
    auto_cli(main, as_positional=positional, parser_class=Parser, prog=f"python -m {name}")
