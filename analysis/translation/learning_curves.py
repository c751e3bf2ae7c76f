"""Learning curves: validation loss and BLEU by step; by time they would compare machines."""

from analysis.page.blocks import Figures, Heading, Paragraph, Section
from analysis.page.canvas import Figure, learning_curve, lines
from analysis.page.look import Look
from analysis.page.prose import PROSE
from analysis.page.run_sources import behind
from analysis.store import Store
from analysis.translation.bleu import EXPERIMENT, systems_of

METRICS = {"val/loss": "validation loss", "val/bleu": "validation BLEU"}


def build(store: Store, look: Look) -> Section:
    section = Section("learning", "Learning curves", sources=behind(store, EXPERIMENT))
    runs = store.finished(EXPERIMENT)
    tasks = list(dict.fromkeys(run.task for run in runs))
    for task in tasks:
        figures = panels(store, look, task)
        if figures:
            section.blocks += [Heading(task)] if len(tasks) > 1 else []
            section.blocks.append(Figures(PROSE["learning curves"], figures))
    if not section.blocks:
        section.blocks.append(Paragraph("No finished run has recorded a learning curve."))
    return section


def panels(store: Store, look: Look, task: str) -> list[Figure]:
    runs = [run for seeds in systems_of(store.finished(EXPERIMENT), task).values() for run in seeds.values()]
    figures = []
    for metric, quantity in METRICS.items():
        found = lines(store, runs, metric)
        if found:
            name = f"curve-{task}-{metric.replace('/', '-')}"
            title = f"{quantity[0].upper()}{quantity[1:]} by step"
            figures.append(learning_curve(name, title, look, found, "step", quantity))
    return figures
