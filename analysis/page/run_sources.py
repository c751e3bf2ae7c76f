"""Which runs a number comes from: every run has a number in the list of runs, every section names those behind it."""

from analysis.page.labels import ordered
from analysis.store import Run, Store, System, by_system, first_common_seed


def in_order(store: Store) -> list[Run]:
    """All runs as the list of runs has them."""
    order = ordered(run.system for run in store.runs)
    return sorted(store.runs, key=lambda run: (run.experiment, run.task, order.index(run.system), run.seed))


def behind(store: Store, experiment: str, task: str = "") -> list[str]:
    """The numbers of the finished runs of an experiment, or of one of its tasks."""
    return [
        f"R{number}"
        for number, run in enumerate(in_order(store), start=1)
        if run.status == "finished" and run.experiment == experiment and task in ("", run.task)
    ]


def commit(run: Run) -> str:
    git = run.record["git"]
    name = (git.get("commit") or "no commit")[:8]
    return f"{name} with uncommitted changes" if git.get("dirty") else name


def chosen(store: Store, experiment: str, task: str) -> dict[System, Run]:
    """One run a model: the first seed that all have, or else each model's own first."""
    table = by_system(store.finished(experiment, task))
    common = first_common_seed(table.values()) if table else None
    return {s: table[s][min(table[s]) if common is None else common] for s in ordered(table)}
