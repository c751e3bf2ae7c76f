"""A suite: its experiments, measurements of their models, the report, one after another; finished work is skipped.

python -m experiments.suite bleu long-range report --suite quick --models "lstm transformer" --seeds "0 1"
"""

import argparse
import contextlib
import json
import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import NoReturn

from jsonargparse.typing import PositiveInt, restricted_number_type

from experiments.launch import local, receipts
from experiments.launch.exit_codes import BUSY, FAILED, mistake
from experiments.launch.finished import finished
from experiments.launch.local import Ended, Limits, jobs_at_once, say
from experiments.launch.stopping import Interrupted, code_of, end, exit_code, interruptions
from experiments.planning.grid import Planned, plan_bleu, plan_tasks, row_of
from experiments.record.wandb_names import MODES, UNANSWERED
from experiments.record.write import write_atomically
from experiments.training.failures import run_error

EXPERIMENTS = ("bleu", "long-range", "language")
PRECISIONS = ("auto", "32-true", "bf16-mixed")  # those of TrainerSettings
MODULES = {
    "contrastive": "experiments.translation.contrastive",
    "inspect": "experiments.translation.attention_heads",
    "speed": "experiments.speed",
    "report": "analysis.report",
}


class Parser(argparse.ArgumentParser):
    """A mistake in what was typed is one sentence, which names the variable of make."""

    def error(self, message: str) -> NoReturn:
        raise mistake(re.sub(r"^argument --(\w+)", lambda found: f"{found[1].upper()} (--{found[1]})", message))


Minutes = restricted_number_type("Minutes", float, [(">", 0), ("<", math.inf)])


def numbers(text: str) -> list[int]:
    """Different whole numbers from 0, as a seed of torch and numpy may be."""
    words = text.split()
    if not all(word.isascii() and word.isdecimal() and int(word) < 2**32 for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of whole numbers from 0, for example 0 1 2")
    return list(dict.fromkeys(map(int, words)))


def devices(text: str) -> str:
    if text != "auto" and not (text.isascii() and text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is neither auto nor a whole number from 1")
    return text


def parser() -> argparse.ArgumentParser:
    made = Parser(prog="python -m experiments.suite", description=__doc__, allow_abbrev=False)
    made.add_argument("stages", nargs="+", choices=(*EXPERIMENTS, *MODULES), metavar="STAGE", help="%(choices)s")
    made.add_argument("--suite", default="quick", help="a grid of experiments/suites (default: quick)")
    made.add_argument("--tasks", type=str.split, default=[], help="TASKS of long-range, language or speed")
    made.add_argument("--models", type=str.split, default=[], help="MODELS: model configurations")
    made.add_argument("--seeds", type=numbers, default=[], help="SEEDS, for example '0 1 2'")
    made.add_argument("--direction", default="", help="DIRECTION of translation as source-target, for example en-de")
    made.add_argument("--devices", type=devices, help="DEVICES of each run")
    made.add_argument("--precision", choices=PRECISIONS, help="PRECISION of training (default: the suite's)")
    made.add_argument(
        "--jobs", type=PositiveInt, help="JOBS: runs at once (default: one, of the small experiments one a core)"
    )
    made.add_argument("--timeout", type=Minutes, default=0.0, help="TIMEOUT: minutes that one run may take")
    made.add_argument("--launcher", choices=("local", "ray"), default="local", help="LAUNCHER of runs")
    made.add_argument(
        "--ray", default="", help="address of the cluster as host:port (default: RAY_ADDRESS, or that of ray start)"
    )
    made.add_argument("--root", default="runs", help="folder of the run store (default: runs)")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Carry out the stages in the order given.

    A failure does not keep the later ones from being done; an interruption or a mistake in what was typed does.

    Returns:
        The last exit code that is not 0, else 0.
    """
    options, status = parser().parse_args(words), 0
    if (mode := os.environ.get("WANDB_MODE")) and mode not in MODES:
        raise mistake(f"WANDB_MODE is {mode!r}; choose one of {', '.join(MODES)}.")
    with contextlib.suppress(OSError):
        Path(options.root, options.suite, UNANSWERED).unlink()  # W&B may answer again
    for module, stages in groupby(options.stages, lambda stage: "" if stage in EXPERIMENTS else stage):
        code = run_module(module, options) if module else run_experiments([*stages], options)
        status = code or status
        if code not in (0, FAILED, BUSY):
            break
    return status


def run_experiments(experiments: Sequence[str], options: argparse.Namespace) -> int:
    """Run what is not finished of their grids; small runs of several experiments one after another, one a core.

    What starts from the weights of another run waits until all others have ended, and is not finished before that is.
    """
    grids = {experiment: planned(experiment, options) for experiment in experiments}
    all_runs = [one for runs in grids.values() for one in runs]
    unfinished = {one.key.folder for one, there in zip(all_runs, finished(all_runs), strict=True) if not there}
    sources = {one.key.folder: source.folder for one in all_runs if (source := one.source)}
    left: list[tuple[bool, bool, Planned]] = []
    for experiment, runs in grids.items():
        some = [one for one in runs if unfinished & {one.key.folder, sources.get(one.key.folder)}]
        if len(some) < len(runs):
            say(f"finished already: {len(runs) - len(some)} of {len(runs)} {experiment} runs\n")
        try:
            announce(Path(options.root), options.suite, experiment, runs, some)
        except OSError as error:
            print(f"error: {run_error(error)}", file=sys.stderr)
            return FAILED
        small = experiment != "bleu" or row_of(options.suite, experiment)["small"]
        left += [(one.key.folder in sources, small, one) for one in some]
    ended: list[Ended] = []
    for (_, small), each in groupby(sorted(left, key=itemgetter(0)), key=itemgetter(0, 1)):
        ended += launch([one for *_, one in each], options, small)
    return conclude(ended)


def planned(experiment: str, options: argparse.Namespace) -> list[Planned]:
    """An experiment's grid."""
    given = {"trainer.devices": options.devices, "trainer.precision": options.precision}
    settings = [f"--{name}={value}" for name, value in given.items() if value]
    suite, models, seeds, root = options.suite, options.models, options.seeds, options.root
    try:
        if experiment == "bleu":
            return list(plan_bleu(suite, models, seeds, options.direction, root, settings))
        return list(plan_tasks(experiment, suite, options.tasks, models, seeds, root, settings))
    except ValueError as error:
        raise mistake(str(error)) from None


def run_module(stage: str, options: argparse.Namespace) -> int:
    """Carry out a stage that is a program of its own, unless its receipt shows that nothing is left to do."""
    suite, tasks = options.suite, " ".join(options.tasks)
    words = ["--suite", suite, "--runs" if stage == "report" else "--root", options.root]
    settings = []
    if stage == "speed":
        words += ["--tasks", tasks] if tasks else []
        settings = [tasks]
    if stage == "contrastive" and "long-range" in options.stages and not any(Path(options.root, suite).glob("bleu/*")):
        print(
            "contrastive translation needs trained translation models: "
            f"make bleu SUITE={suite}, then make contrastive SUITE={suite}"
        )
        return 0
    if stage in receipts.RESULTS and receipts.of_stage(stage, suite, options.root, *settings).holds():
        print(f"finished already: {stage}", flush=True)
        return 0
    with interruptions():
        process = subprocess.Popen([sys.executable, "-m", MODULES[stage], *words], start_new_session=True)
        try:
            process.wait()
        except (KeyboardInterrupt, Interrupted) as interruption:
            end(process)
            raise SystemExit(code_of(interruption)) from None
    return exit_code(process)


def launch(runs: Sequence[Planned], options: argparse.Namespace, small: bool) -> list[Ended]:
    """Carry out runs on this machine or on a cluster; `small` ones share it by default."""
    limits = Limits(jobs_at_once(options.jobs, small), options.timeout)
    if options.launcher == "local":
        return local.run_all(runs, limits)
    from experiments.launch import ray_runs  # resolves configurations, and so imports torch

    return ray_runs.run_all(runs, limits, options.ray)


def conclude(ended: Sequence[Ended]) -> int:
    """List the runs that have no result; return FAILED, BUSY if other processes still work on all of these, or 0."""
    failed = [one for one, code in ended if code not in (0, BUSY)]
    busy = [one for one, code in ended if code == BUSY]
    if failed:
        print(f"\n{len(failed)} of {len(ended)} runs failed:", file=sys.stderr)
        for one in failed:
            print(f"  {one.label}: {error_of(one)}\n    see {one.key.log}", file=sys.stderr)
        print("the same command runs these again, each from its last checkpoint", file=sys.stderr)
    if busy:
        print(f"\n{len(busy)} of {len(ended)} runs are being run by another process:", file=sys.stderr)
        for one in busy:
            print(f"  {one.label}", file=sys.stderr)
        print("when that has ended, the same command runs what is left", file=sys.stderr)
    return FAILED if failed else BUSY if busy else 0


def error_of(planned: Planned) -> str:
    """The first line of the run's failure.json."""
    try:
        record = json.loads((planned.key.folder / "failure.json").read_text(encoding="utf-8"))
        return str(record["error"]).partition("\n")[0]
    except (OSError, ValueError, KeyError):
        return "its failure could not be recorded"


def announce(root: Path, suite: str, experiment: str, runs: Sequence[Planned], left: Sequence[Planned]) -> None:
    """Write planned-EXPERIMENT.json: when the suite began, its runs and those left to run, as folders inside `root`.

    `make watch` learns from it how many there will be.
    """
    folders = {
        name: [str(p.key.folder.relative_to(root)) for p in some] for name, some in (("runs", runs), ("left", left))
    }
    record = {"started": datetime.now(UTC).isoformat(timespec="seconds"), **folders}
    write_atomically(root / suite / f"planned-{experiment}.json", json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
