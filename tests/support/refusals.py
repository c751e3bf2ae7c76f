from collections.abc import Callable
from typing import Any

import pytest


def refusal(act: Callable[..., object], *arguments: Any, **named: Any) -> str:
    """The one sentence with which a program ends."""
    with pytest.raises(SystemExit) as stopped:
        act(*arguments, **named)
    said = stopped.value.code
    assert isinstance(said, str)  # Python prints it and exits with 1
    assert said.startswith("error: ")
    assert "\n" not in said.strip()
    return said
