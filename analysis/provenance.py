"""Where the numbers come from: what was held equal, every run, machines, versions, and what the metrics mean."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from analysis.page.blocks import Anchor, Block, Code, Legend, Listing, Notice, Paragraph, Section, Table
from analysis.page.labels import NONE, counted, label, listing
from analysis.page.run_sources import commit, in_order
from analysis.speed.runs import COUNTED
from analysis.speed.runs import EXPERIMENT as SPEED
from analysis.store import Run, Store, missing_runs
from experiments.record.metrics import metrics

HELD_EQUAL = {"bleu": "translation", "long-range": "long range", "language": "language models"}
VERSIONS = ("python", "torch", "lightning", "sacrebleu")
MOST_NAMED = 9
TARGETS = {"inspection": "inspect"}  # of experiments whose make target has another name


def build(store: Store) -> list[Section]:
    return [held_equal(store), runs_section(store), machine_section(store), meaning_section(store)]


def facts(store: Store) -> str:
    """Suite, machine, seeds and date in one line."""
    done = [run for run in store.runs if run.status == "finished"]
    machines = dict.fromkeys(in_short(run.record["machine"]) for run in done)
    seeds = sorted({run.seed for run in done if run.experiment != SPEED})
    days = sorted({run.record["finished"][:10] for run in done})
    parts = [f"Suite {store.suite}", *machines, f"{counted(len(done), 'finished run', 'finished runs')}"]
    parts += [f"{counted(len(seeds), 'seed', 'seeds')}"] if seeds else []
    parts += [" to ".join(dict.fromkeys((days[0], days[-1])))] if days else []
    return " · ".join(parts)


def in_short(machine: dict[str, Any]) -> str:
    gpus = listing([f"{n} × {name}" for name, n in Counter(machine.get("gpus") or ()).items()] or ["no GPU"])
    return f"{machine.get('cpu')}, {machine.get('cores')} cores, {gpus}"


def method(store: Store, legend: Legend) -> Section:
    """What was compared, what was held equal, and what made it, in short."""
    done = [run for run in store.runs if run.status == "finished"]
    rows = settings_in_short(done)
    threads = sorted({str(run.record["machine"].get("threads")) for run in done})
    rows.append(["CPU threads", " or ".join(threads) or NONE])
    versions = {name: [*dict.fromkeys(str(r.record["versions"].get(name)) for r in done)] for name in VERSIONS}
    rows.append(["versions", ", ".join(f"{name} {' or '.join(found)}" for name, found in versions.items() if found)])
    rows.append(["commit", ", ".join(dict.fromkeys(commit(run) for run in done)) or NONE])
    targets = dict.fromkeys(
        "speed-peers" if run.task.startswith("peers-") else TARGETS.get(run.experiment, run.experiment)
        for run in store.runs
    )
    rows.append(["regenerate with", Code(f"make {' '.join(targets)} report SUITE={store.suite}")])
    table = Table("The appendix lists every setting, every run and its command.", ["", ""], rows, left=2, wrap=True)
    return Section("method", "How it was made", [legend, table], short="Method")


def settings_in_short(done: Sequence[Run]) -> list[list[str]]:
    """What was held equal in all experiments, what in each of them too, and what was not.

    Between base models, whose variants may differ by it, and where all of them recorded it on every task.
    """
    found = {}
    done = [run for run in done if run.variant == "base"] or done
    for experiment in dict.fromkeys(run.experiment for run in done if run.experiment in HELD_EQUAL):
        equal: dict[str, bool] = {}
        held = [run.record["held_equal"] for run in done if run.experiment == experiment]
        known = [key for key in held[0] if all(key in each for each in held)]
        for task in dict.fromkeys(run.task for run in done if run.experiment == experiment):
            runs = [run for run in done if (run.experiment, run.task) == (experiment, task)]
            for key in known:
                equal[key] = equal.get(key, True) and held_value(runs, key)[1]
        found[experiment] = equal
    several = len(found) > 1
    everywhere = [key for key in next(iter(found.values()), {}) if several and all(e.get(key) for e in found.values())]
    rows = [["held equal", listing(everywhere)]] if everywhere else []
    for experiment, equal in found.items():
        also = [key for key in equal if equal[key] and key not in everywhere]
        not_equal = [key for key in equal if not equal[key]]
        kinds = {f"held equal{' too' if everywhere else ''}": also, "not equal": not_equal}
        rows += [[f"{kind}, {HELD_EQUAL[experiment]}", listing(keys)] for kind, keys in kinds.items() if keys]
    return rows


def groups(runs: Iterable[Run], value: Callable[[Run], Any]) -> dict[str, list[Run]]:
    """Runs by a value written as text, in the order in which values appear."""
    table: dict[str, list[Run]] = {}
    for run in runs:
        found = value(run)
        table.setdefault(found if isinstance(found, str) else json.dumps(found), []).append(run)
    return table


def names(runs: list[Run]) -> str:
    """Each run by name, or where they are many their number; the table of runs has them all."""
    if len(runs) > MOST_NAMED:
        of = Counter(HELD_EQUAL.get(run.experiment, run.experiment) for run in runs)
        return listing([f"{n} runs of {experiment}" for experiment, n in of.items()])
    return "; ".join(f"{label(run.system)} seed {run.seed}" for run in runs)


def held_equal(store: Store) -> Section:
    section = Section("equal", "What was held equal")
    done = [run for run in store.runs if run.status == "finished"]
    for experiment, task in dict.fromkeys((run.experiment, run.task) for run in done):
        runs = [run for run in done if (run.experiment, run.task) == (experiment, task)]
        keys = list(dict.fromkeys(key for run in runs for key in run.record["held_equal"]))
        rows, flagged = [], set()
        for key in keys:
            text, equal = held_value(runs, key)
            rows.append([key, text])
            if not equal:
                flagged.add(len(rows) - 1)
        if flagged:
            unknown = sum(rows[i][1].startswith("not recorded") for i in flagged)
            counts = {"not the same for all models": len(flagged) - unknown, "not recorded by every model": unknown}
            parts = [f"{number} {'is' if number == 1 else 'are'} {what}" for what, number in counts.items() if number]
            section.blocks.append(Notice(f"Of {len(keys)} settings {' and '.join(parts)}: compare with care."))
        caption = f"Settings of {experiment} on {task}, compared over its {len(runs)} finished runs."
        table = Table(caption, ["setting", "value"], rows, left=2, flagged=frozenset(flagged))
        section.blocks += [table] if rows else []
    if not done:
        section.blocks.append(Paragraph("No run has finished, so there is nothing to compare."))
    return section


def held_value(runs: list[Run], key: str) -> tuple[str, bool]:
    """The setting in words, and whether all models had the same one; values may follow the seed."""

    def held(run: Run) -> Any:
        return run.record["held_equal"].get(key, "not recorded")

    values = groups(runs, held)
    if len(values) == 1 and "not recorded" not in values:
        return next(iter(values)), True
    seeds = {run.seed: groups([r for r in runs if r.seed == run.seed], held) for run in runs}
    if all(len(v) == 1 for v in seeds.values()) and "not recorded" not in values:
        each = ", ".join(f"{next(iter(value))} (seed {seed})" for seed, value in sorted(seeds.items()))
        return f"follows the seed, the same for every model: {each}", True
    known = {value: found for value, found in values.items() if value != "not recorded"}
    kind = "differs" if len(known) > 1 else "not recorded by every model"
    return f"{kind}: " + "; ".join(f"{value} ({names(found)})" for value, found in values.items()), False


def runs_section(store: Store) -> Section:
    done = [run for run in store.runs if run.status == "finished"]
    absent = missing_runs(store.runs)
    others = [run for run in store.runs if run.status != "finished"]
    blocks: list[Block] = []
    if absent or others:
        blocks.append(Notice(incomplete(store)))
        items = [f"{run.name}: {run.status}{reason(run)}" for run in others]
        blocks.append(Listing([*items, *(f"{name}: missing, no run folder" for name in absent)]))
    dirty = [run for run in done if run.record["git"].get("dirty")]
    if dirty:
        blocks.append(Notice(f"Made from uncommitted changes, so no commit holds their code: {names(dirty)}."))
    if store.problems:
        blocks.append(Notice("Files that could not be used as they are:"))
        blocks.append(Listing(list(dict.fromkeys(store.problems))))
    header = ["no.", "run", "seed", "status", "commit", "finished", "config", "command that makes it again"]
    runs = in_order(store)
    flagged = {i for i, run in enumerate(runs) if run.status != "finished"}
    caption = "Every run folder of the suite. A run is finished when its result was written; others are marked."
    rows = [[Anchor(f"R{number}"), *run_row(run)] for number, run in enumerate(runs, start=1)]
    blocks.append(Table(caption, header, rows, left=len(header), flagged=frozenset(flagged)))
    return Section("runs", "Runs", blocks)


def incomplete(store: Store) -> str:
    """A sentence about the runs whose numbers are not there, empty if all are."""
    absent = len(missing_runs(store.runs))
    others = sum(run.status != "finished" for run in store.runs)
    total = len(store.runs) + absent
    if not absent + others:
        return ""
    counts = Counter(run.status for run in store.runs if run.status != "finished")
    each = listing([f"{number} {status}" for status, number in [*counts.items(), ("not run", absent)] if number])
    return f"Of {total} runs these are in no number here: {each}."


def reason(run: Run) -> str:
    if run.status == "failed":
        return f" with {run.record.get('error', 'no error recorded')!r} (log: {run.record.get('log', 'none')})"
    return ", neither a result nor a failure was written" if run.status == "interrupted" else ""


def run_row(run: Run) -> list[str]:
    name = f"{run.experiment}, {run.task}, {label(run.system)}"
    if run.status != "finished":
        return [name, str(run.seed), run.status, NONE, NONE, NONE, NONE]
    record = run.record
    finished = record["finished"].replace("T", " ")[:16]
    return [
        name,
        str(run.seed),
        run.status,
        commit(run),
        finished,
        Code(record["config_hash"][:8]),
        Code(record["command"]),
    ]


def scored(runs: list[Run]) -> list[Run]:
    """All but the speed runs, whose signatures are the kernels that ran, shown with their times."""
    return [run for run in runs if run.experiment != SPEED]


def machine_section(store: Store) -> Section:
    section = Section("machine", "Machine, versions and settings of the metrics")
    done = [run for run in store.runs if run.status == "finished"]
    captions = {"machine": "Machine", "versions": "Versions", "signatures": "Signatures of the metrics"}
    for part, caption in captions.items():
        variants = groups(scored(done) if part == "signatures" else done, lambda run, part=part: run.record[part])  # type: ignore[misc]
        for text, runs in variants.items():
            whose = f" of {names(runs)}" if len(variants) > 1 else ""
            rows = [[key, shown(value)] for key, value in json.loads(text).items()]
            section.blocks += [Table(f"{caption}{whose}.", ["", "value"], rows, left=2)] if rows else []
    if not done:
        section.blocks.append(Paragraph("No finished runs."))
    return section


def shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return NONE if value is None else str(value)


def meaning_section(store: Store) -> Section:
    section = Section("metrics", "What the metrics mean")
    measured = {metric.partition(":")[0] for metric in store.measurements["metric"]}
    rows = [[name, metric.meaning] for name, metric in metrics().items() if name in measured]
    if rows:
        section.blocks.append(Table("Every metric of the measurements.", ["metric", "meaning"], rows, left=2))
    section.blocks.append(Paragraph("measurements.csv has every number of every run, one row each, seed by seed."))
    return section


def as_json(store: Store) -> str:
    """Machines, commits and versions behind a report, so that two reports can be distinguished."""
    done = [run.record for run in store.runs if run.status == "finished"]
    timed = [each for each in done if each["experiment"] == SPEED and not each["task"].startswith(COUNTED)]
    facts: dict[str, Any] = {
        "suite": store.suite,
        "machines": distinct(record["machine"] for record in done),
        "speed_machines": distinct(record["machine"] for record in timed),
        "commits": sorted({str(record["git"].get("commit")) for record in done}),
        "uncommitted_changes": any(record["git"].get("dirty") for record in done),
        "versions": distinct(record["versions"] for record in done),
    }
    return json.dumps(facts, indent=1) + "\n"


def distinct(values: Iterable[Any]) -> list[Any]:
    return [json.loads(text) for text in dict.fromkeys(json.dumps(value, sort_keys=True) for value in values)]
