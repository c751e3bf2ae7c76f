"""Which runs of a suite have their result.

`python -m experiments.launch.finished` reads lists of arguments of `experiments.run` as JSON and prints for each
whether its run is finished, decided as the run itself does: by its resolved configuration.
"""

import json
import subprocess
import sys
from collections.abc import Sequence

from experiments.launch import receipts
from experiments.planning.grid import Planned
from experiments.record.keys import FAILURE, RESULT


def finished(runs: Sequence[Planned]) -> list[bool]:
    """Whether each run has its result: by receipt, else by its configuration, which another process resolves."""
    code = receipts.of_code()
    found = [receipts.of_run(run.key.folder, receipts.of_arguments(run.arguments, code)).holds() for run in runs]
    for run in (run for run, there in zip(runs, found, strict=True) if there):
        (run.key.folder / FAILURE).unlink(missing_ok=True)  # of an earlier attempt, left by a kill
    unsure = [i for i, run in enumerate(runs) if not found[i] and (run.key.folder / RESULT).exists()]
    if unsure:
        command = [sys.executable, "-m", "experiments.launch.finished"]
        question = json.dumps([runs[i].arguments for i in unsure])
        answer = subprocess.run(command, input=question, stdout=subprocess.PIPE, text=True, check=False)
        if answer.returncode == 0:
            for i, there in zip(unsure, json.loads(answer.stdout), strict=True):
                found[i] = there
    return found


def main() -> None:
    """Answer on standard output; only this process imports what a configuration is resolved with."""
    from jsonargparse import ArgumentError

    from experiments.planning.parser import build_parser
    from experiments.training.run_folder import is_settled

    parser, found = build_parser(), []
    for arguments in json.load(sys.stdin):
        inputs = receipts.of_arguments(arguments, receipts.AT_START)
        try:
            found.append(is_settled(parser.parse_args(arguments), inputs))
        except ArgumentError:  # the run will name the mistake
            found.append(False)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
