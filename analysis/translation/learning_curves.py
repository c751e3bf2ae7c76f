"""Learning curves: validation loss and BLEU by step, by time and by target tokens."""

from analysis.page.blocks import Figures, Heading, Paragraph, Section
from analysis.page.canvas import Figure, Line, learning_curve
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind
from analysis.store import Store
from analysis.translation.bleu import EXPERIMENT, systems_of

METRICS = {"val/loss": "validation loss", "val/bleu": "validation BLEU"}
AXES = {"step": "step", "seconds": "training time (s)", "target_tokens": "target tokens"}


def build(store: Store, look: Look) -> Section:
    section = Section("learning", "Learning curves", sources=behind(store, EXPERIMENT))
    runs = store.finished(EXPERIMENT)
    tasks = list(dict.fromkeys(run.task for run in runs))
    for task in tasks:
        if len(tasks) > 1:
            section.blocks.append(Heading(task))
        figures = panels(store, look, task)
        repeated = [figure for figure in figures if figure.name.endswith("target-tokens")]
        if figures:
            section.blocks.append(Figures(PROSE["learning curves"], [f for f in figures if f not in repeated]))
            section.blocks.append(Figures("By target tokens; all models were given the same.", repeated, fold=True))
    if not section.blocks:
        section.blocks.append(Paragraph("No finished run has recorded a learning curve."))
    return section


def panels(store: Store, look: Look, task: str) -> list[Figure]:
    systems = systems_of(store.finished(EXPERIMENT), task)
    histories = [(system, store.history(run)) for system, seeds in systems.items() for run in seeds.values()]
    figures = []
    for metric, quantity in METRICS.items():
        for axis, unit in AXES.items():
            lines = []
            for system, history in histories:
                points = history[history["metric"] == metric].sort_values(axis)
                if len(points):
                    lines.append(Line(system, points[axis].tolist(), points["value"].tolist()))
            if lines:
                name = f"curve-{task}-{metric.replace('/', '-')}-{axis.replace('_', '-')}"
                title = f"{quantity[0].upper()}{quantity[1:]} by {unit.partition(' (')[0]}"
                figures.append(learning_curve(name, title, look, lines, unit, quantity))
    return figures
