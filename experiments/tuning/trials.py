"""The trials of one model on one task: an Optuna study in a journal, every trial a run in a process of its own."""

import math
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import optuna
from optuna.pruners import MedianPruner
from optuna.samplers import TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, Trial, TrialState

from experiments.launch.local import end
from experiments.planning.grid import HERE, Planned
from experiments.provenance import git_state, machine
from experiments.record.read import NUMBER, read_object, read_rows
from experiments.run import BOUND
from experiments.training.divergence import Diverged
from experiments.training.environment import environment
from experiments.tuning.space import SEED, SHARED_POINTS, distributions, overrides, rounded, shared_point

SHARE = 0.25  # of the published run's steps
FEWEST = 600  # steps of a trial, where the published run has as many: fewer end on the plateau of most tasks
REPORTS = 10  # validations of a trial
# Some tasks are learnt suddenly, after a long plateau: no trial ends in its first half, nor before three are complete.
COMPLETE_FIRST = 3
NEVER_BEFORE = 0.5
SETTLED = {"finished": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "diverged": TrialState.PRUNED}
POLL = 0.5  # seconds between two looks at a run's record

Report = Callable[[int, float], bool]  # (step, validation loss) -> whether to go on
Runner = Callable[[Planned, Report], int]  # -> exit code; ends the run as soon as a report is answered with False


@dataclass(frozen=True)
class Subject:
    """A model on a task, to be tuned.

    Args:
        base: Its run as the suite plans it, without what an earlier tuning chose.
        max_steps: Steps of the published run.
        curriculum_steps: Batches of the published run until all training points are in use.
        fingerprint: Of all that its trials have in common; trials with another one are not comparable.
    """

    base: Planned
    max_steps: int
    curriculum_steps: int
    fingerprint: str

    @property
    def folder(self) -> Path:
        key = self.base.key
        return Path(key.root, f"{key.suite}-tuning", key.experiment, key.task, key.model)

    @property
    def tuned(self) -> Path:
        """Configuration file of the values that were chosen."""
        key = self.base.key
        return HERE / "configs" / "long_range" / key.suite / "tuned" / key.task / f"{key.model}.yaml"

    @property
    def label(self) -> str:
        return f"{self.base.key.task} {self.base.key.model}"

    @property
    def budget(self) -> int:
        return min(self.max_steps, max(FEWEST, round(SHARE * self.max_steps)))

    @property
    def report_every(self) -> int:
        return max(1, self.budget // REPORTS)

    @property
    def steps(self) -> int:
        """Steps of a trial; the last of them is validated."""
        return max(1, self.budget // self.report_every) * self.report_every

    def command(self, trials: int) -> str:
        key = self.base.key
        return f"make tune SUITE={key.suite} TASKS={key.task} MODELS={key.model} TRIALS={trials}"

    def trial(self, variant: str, values: tuple[str, ...], trials: int) -> Planned:
        """The run of a trial: the published one with fewer steps, another seed and no look at the test sets."""
        suite = f"{self.base.key.suite}-tuning"
        key = replace(self.base.key, suite=suite, variant=variant, seed=SEED, command=self.command(trials))
        shorter = (
            f"--trainer.max_steps={self.steps}",
            f"--trainer.validate_every={self.report_every}",
            f"--data.init_args.curriculum_steps={round(self.curriculum_steps * self.steps / self.max_steps)}",
            "--evaluate_tests=false",
        )
        return replace(self.base, key=key, overrides=(*self.base.overrides, *shorter, *values))


class Search:
    """The trials of one subject; what is known of them survives an interruption.

    Args:
        subject: What is tuned.
        trials: How many settings are tried; those that diverge or are pruned count.
    """

    def __init__(self, subject: Subject, trials: int) -> None:
        self.subject, self.trials = subject, trials
        self.study = open_study(subject)

    @property
    def missing(self) -> list[int]:
        """Numbers of the trials that are still to be run; one whose process failed is tried again."""
        settled = {row["number"] for row in self.rows() if row["outcome"] in SETTLED}
        return [number for number in range(self.trials) if number not in settled]

    def rows(self) -> list[dict[str, Any]]:
        """What came of each trial's last attempt, by number."""
        attempts = (self._latest(number) for number in range(self.trials))
        return [attempt.user_attrs["row"] for attempt in attempts if attempt and "row" in attempt.user_attrs]

    @property
    def best(self) -> dict[str, Any] | None:
        """The trial whose last validation loss is the lowest among those that ran to their end."""
        finished = [row for row in self.rows() if row["outcome"] == "finished"]
        return min(finished, key=lambda row: row["validation_loss"], default=None)

    def attempt(self, number: int, run: Runner) -> dict[str, Any]:
        """Run one trial and keep what came of it."""
        trial = self._propose(number)
        values = rounded(trial.params)
        planned = self.subject.trial(f"trial{number}", overrides(values), self.trials)
        began, stopped_as, reports = time.monotonic(), "", list[tuple[int, float]]()

        def report(step: int, loss: float) -> bool:
            nonlocal stopped_as
            reports.append((step, loss))
            trial.report(loss, step)
            if not math.isfinite(loss):
                stopped_as = "diverged"
            elif step < self.subject.steps and trial.should_prune():
                stopped_as = "pruned"
            return not stopped_as

        code = run(planned, report)
        last_step, last_loss = reports[-1] if reports else (0, math.nan)
        if code == 1 and recorded_error(planned).startswith(f"{Diverged.__name__}: "):
            stopped_as, last_loss = "diverged", math.nan
        complete = code == 0 and last_step == self.subject.steps
        outcome = stopped_as or ("finished" if complete else "interrupted" if code in (130, 143) else "failed")
        row = {
            "number": number,
            **values,
            "outcome": outcome,
            "validation_loss": last_loss if math.isfinite(last_loss) else None,
            "steps": last_step,
            "seconds": round(time.monotonic() - began, 1),
            "reports": [[step, loss if math.isfinite(loss) else None] for step, loss in reports],
            "error": why_it_failed(planned, code) if outcome == "failed" else None,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            **provenance(),
        }
        trial.set_user_attr("row", row)
        state = SETTLED.get(outcome, TrialState.FAIL)
        self.study.tell(trial, last_loss if state == TrialState.COMPLETE else None, state=state)
        if outcome in SETTLED:
            shutil.rmtree(planned.key.folder / "checkpoints", ignore_errors=True)  # nobody goes on from them
        return row

    def _latest(self, number: int) -> FrozenTrial | None:
        attempts = [t for t in self.study.get_trials(deepcopy=False) if t.user_attrs.get("number") == number]
        return attempts[-1] if attempts else None

    def _propose(self, number: int) -> Trial:
        """Take the values of an earlier attempt, the shared point of that number, or what the sampler proposes."""
        earlier = self._latest(number)
        if earlier is not None:
            self.study.enqueue_trial(earlier.params)
        elif number < SHARED_POINTS:
            self.study.enqueue_trial(shared_point(number))
        # The seed follows from the number, so that an interrupted search draws as an uninterrupted one does.
        self.study.sampler = TPESampler(n_startup_trials=SHARED_POINTS, seed=SEED + number)
        trial = self.study.ask(distributions())
        trial.set_user_attr("number", number)
        return trial


def open_study(subject: Subject) -> optuna.Study:
    """The trials so far; those of another configuration are moved aside, nothing is deleted."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = subject.folder / "study.journal"
    if subject.folder.exists():
        mark = None
        if journal.exists():
            begun = optuna.get_all_study_summaries(_storage(journal))  # none if the process died at once
            mark = begun[0].user_attrs.get("fingerprint") if begun else subject.fingerprint
        if mark != subject.fingerprint:
            aside = subject.folder.with_name(f"until-{time.strftime('%Y%m%d-%H%M%S')}-{subject.folder.name}")
            subject.folder.rename(aside)
            print(f"{subject.label}: the configuration changed; earlier trials are now in {aside}", file=sys.stderr)
    subject.folder.mkdir(parents=True, exist_ok=True)
    pruner = MedianPruner(n_startup_trials=COMPLETE_FIRST, n_warmup_steps=round(NEVER_BEFORE * subject.steps))
    study = optuna.create_study(study_name=subject.label, storage=_storage(journal), pruner=pruner, load_if_exists=True)
    study.set_user_attr("fingerprint", subject.fingerprint)
    while study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):  # the process died before it began them
        study.ask()
    for cut_off in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(cut_off.number, state=TrialState.FAIL)
    return study


def _storage(journal: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(journal)))


def provenance() -> dict[str, str]:
    """The code and the machine of a trial, in a few words."""
    code, here = git_state(), machine()
    commit = f"{code['commit']}{', changed since' if code['dirty'] else ''}"
    return {"commit": commit, "machine": f"{', '.join(here['gpus']) or here['cpu']}, {here['cores']} cores"}


def why_it_failed(planned: Planned, code: int) -> str:
    """The error that the run recorded, or how its process ended."""
    return f"{recorded_error(planned) or f'exit code {code}'}; see {planned.key.log}"


def recorded_error(planned: Planned) -> str:
    """The error that the run recorded; empty if it recorded none."""
    failure = planned.key.folder / "failure.json"
    try:
        return str(read_object(failure, {"error": str})["error"]) if failure.exists() else ""
    except ValueError as error:
        return str(error)


def run_trial(planned: Planned, report: Report, threads: int, stopped: threading.Event) -> int:
    """Run in a process of its own and read its validation losses as they come.

    Args:
        planned: The run.
        report: Told of every validation; the process is asked to end when it answers False.
        threads: Of the process.
        stopped: Set when the search is interrupted: the process is asked to end, and later goes on from there.

    Returns:
        The exit code of the process.
    """
    key = planned.key
    key.log.parent.mkdir(parents=True, exist_ok=True)
    variables = {**environment(threads, WANDB_MODE="disabled"), BOUND: "1"}  # a hundred short runs are no dashboard
    command = [sys.executable, "-m", "experiments.run", *planned.arguments]
    told: set[int] = set()

    def tell() -> bool:
        new = [(step, loss) for step, loss in validation_losses(key.folder / "metrics.jsonl") if step not in told]
        told.update(step for step, _ in new)
        return all(report(step, loss) for step, loss in new)

    with (
        key.log.open("a", encoding="utf-8") as log,
        subprocess.Popen(
            command,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        ) as process,
    ):
        try:
            while process.poll() is None:
                if not tell() or stopped.wait(POLL):
                    break
        finally:
            end(process)
    tell()
    return process.returncode


def validation_losses(record: Path) -> Iterator[tuple[int, float]]:
    """(step, loss) of the whole lines of a metrics.jsonl; its last line may still be being written."""
    if record.exists():
        for row in read_rows(record, {"step": int, "value": NUMBER}, having='"val/loss"'):
            yield row["step"], row["value"]
