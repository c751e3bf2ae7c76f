"""Commands one after another: a failed one does not keep the rest from being done, an interruption or a mistake does.

python -m experiments.launch.in_turn make bleu then make long-range
"""

import signal
import subprocess
import sys
from collections.abc import Sequence
from itertools import groupby
from types import FrameType

from experiments.launch.exit_codes import BUSY, FAILED

THEN = "then"
GO_ON = (0, FAILED, BUSY)


def main(words: Sequence[str]) -> int:
    """Run commands that are separated by the word `then`; return the last exit code that is not 0, else 0."""
    status = 0
    for separates, command in groupby(words, lambda word: word == THEN):
        if separates:
            continue
        code = run(list(command))
        status = code or status
        if code not in GO_ON:
            break
    return status


def run(command: Sequence[str]) -> int:
    """Run a command; whoever asks this process to end asks the command, which saves and ends."""
    process: subprocess.Popen[bytes] | None = None
    asked: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        asked.append(number)
        if process and number != signal.SIGINT:  # Ctrl-C reaches all that run in the terminal
            process.send_signal(number)

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    before = {number: signal.signal(number, pass_on) for number in numbers}
    try:
        with subprocess.Popen(command) as process:
            process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    code = process.returncode if process.returncode >= 0 else 128 - process.returncode
    return 128 + asked[0] if asked else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
