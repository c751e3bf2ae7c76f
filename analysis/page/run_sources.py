"""Which runs a number comes from: every run has a number in the list of runs, every section names those behind it."""

from analysis.page.blocks import Source
from analysis.page.labels import label, ordered
from analysis.store import Run, Store


def in_order(store: Store) -> list[Run]:
    """All runs as the list of runs has them."""
    order = ordered(run.system for run in store.runs)
    return sorted(store.runs, key=lambda run: (run.experiment, run.task, order.index(run.system), run.seed))


def behind(store: Store, experiment: str, task: str = "") -> list[Source]:
    """The finished runs of an experiment, or of one of its tasks."""
    return [
        Source(f"R{number}", label(run.system), run.seed, origin(run))
        for number, run in enumerate(in_order(store), start=1)
        if run.status == "finished" and run.experiment == experiment and task in ("", run.task)
    ]


def origin(run: Run) -> str:
    """The folder, the configuration, the commit, and the command that makes the run again."""
    record = run.record
    return f"{run.name}; config {record['config_hash'][:8]}; commit {commit(run)}; {record['command']}"


def commit(run: Run) -> str:
    git = run.record["git"]
    name = (git.get("commit") or "no commit")[:8]
    return f"{name} with uncommitted changes" if git.get("dirty") else name
