"""The section on attention: what inspection found, what is shown without it, and files that cannot be used."""

from pathlib import Path

import pytest

from analysis.page.blocks import Explorer, Figures, Notice, Paragraph, Section, Table
from analysis.page.look import Look
from analysis.page.run_sources import chosen
from analysis.store import Store, System, read_store
from analysis.translation.attention import build, screen
from tests.support.fakes.inspection import HEADS, inspection_folder, sentences, write_inspection
from tests.support.fakes.runs import folder_of, write_json, write_run, write_suite


def stored(path: Path) -> Store:
    return read_store(path, "quick")


def section(store: Store) -> Section:
    (found,) = build(store, Look(run.system for run in store.runs))
    return found


def first_screen(store: Store) -> Section:
    (found,) = screen(store, Look(run.system for run in store.runs))
    return found


def words(found: Section) -> str:
    return " ".join(block.text for block in found.blocks if isinstance(block, Paragraph | Notice))


def figures(found: Section) -> list[str]:
    return [figure.name for block in found.blocks if isinstance(block, Figures) for figure in block.figures]


def explorers(found: Section) -> list[Explorer]:
    return [block for block in found.blocks if isinstance(block, Explorer)]


def write_all(path: Path) -> None:
    write_suite(path, sentences=8, test_sets=("test2016",))
    for model in HEADS:
        write_inspection(path, model)


def test_without_inspection_the_maps_of_the_translation_runs_can_be_chosen(tmp_path: Path) -> None:
    write_suite(tmp_path, sentences=8, test_sets=("test2016",))
    found = section(stored(tmp_path))
    assert figures(found) == []
    assert [m["label"] for m in explorers(first_screen(stored(tmp_path)))[0].sentences[0]["models"]] == [
        "LSTM + attention",
        "Transformer",
    ]
    assert "LSTM: no attention, one vector holds the whole source." in words(found)
    assert "make inspect SUITE=quick adds every layer and head" in words(found)


def test_without_any_map_there_is_no_section(tmp_path: Path) -> None:
    write_run(tmp_path, "lstm", sentences=8, test_sets=("test2016",))
    (folder_of(tmp_path, "lstm") / "attention.json").write_text("[]", encoding="utf-8")
    for made in (build, screen):
        assert made(stored(tmp_path), Look([System("lstm", "base")])) == []


def test_an_inspected_suite_has_maps_to_choose_from_and_roles(tmp_path: Path) -> None:
    write_all(tmp_path)
    store = stored(tmp_path)
    found = section(store)
    seen = first_screen(store)
    (block,) = explorers(seen)
    maps = {m["label"]: [each["name"] for each in m["maps"]] for m in block.sentences[0]["models"]}
    assert maps == {"LSTM + attention": ["additive"], "Transformer": list(HEADS["transformer"])}
    assert list(block.replaces) == figures(seen)
    assert [f.title for each in seen.blocks if isinstance(each, Figures) for f in each.figures] == [
        "LSTM + attention",
        "Transformer, cross layer 1, head 1",
    ]
    assert "gives 100 % of its attention" in words(seen)
    assert figures(found) == ["attention-heads-multi30k"]
    assert "LSTM: no attention, one vector holds the whole source." in words(found)
    assert "make inspect" not in words(found)
    assert any(isinstance(block, Table) for block in found.blocks)
    assert store.problems == []


def test_models_that_were_not_inspected_are_named(tmp_path: Path) -> None:
    write_all(tmp_path)
    (inspection_folder(tmp_path, "bahdanau") / "result.json").unlink()
    found = section(stored(tmp_path))
    assert "Not inspected and not shown here: LSTM + attention. Run make inspect SUITE=quick." in words(found)
    assert [m["label"] for m in explorers(first_screen(stored(tmp_path)))[0].sentences[0]["models"]] == ["Transformer"]


def test_a_model_trained_again_since_is_named(tmp_path: Path) -> None:
    write_all(tmp_path)
    write_run(tmp_path, "transformer", sentences=8, changes={"finished": "2026-01-02T05:00:00+00:00"})
    assert "Transformer seed 0 was trained again after it was inspected" in words(section(stored(tmp_path)))


def test_models_are_shown_with_a_seed_that_all_have(tmp_path: Path) -> None:
    for model, seed in (("bahdanau", 1), ("bahdanau", 2), ("transformer", 0), ("transformer", 1)):
        write_inspection(tmp_path, model, seed=seed, config_hash=f"hash{seed}")
    runs = chosen(stored(tmp_path), "inspection", "multi30k")
    assert {system.model: run.seed for system, run in runs.items()} == {"bahdanau": 1, "transformer": 1}
    assert chosen(stored(tmp_path), "bleu", "multi30k") == {}


@pytest.mark.parametrize(
    ("content", "said"), [("[{}]", "test_set: Field required"), ("[{", "cannot be read"), (None, "is not there")]
)
def test_a_file_that_cannot_be_read_is_named_and_the_rest_shown(tmp_path: Path, content: str | None, said: str) -> None:
    write_all(tmp_path)
    path = inspection_folder(tmp_path, "transformer") / "attention.json"
    path.unlink()
    if content is not None:
        path.write_text(content, encoding="utf-8")
    store = stored(tmp_path)
    found = section(store)
    (problem,) = store.problems
    assert problem.startswith(str(path.relative_to(tmp_path / "quick")))
    assert said in problem
    assert [m["label"] for m in explorers(first_screen(store))[0].sentences[0]["models"]] == ["LSTM + attention"]
    (roles,) = (block for block in found.blocks if isinstance(block, Table))
    assert [row[0] for row in roles.rows if row[0].startswith("Transformer")]


def test_a_map_missing_from_one_sentence_takes_the_sentence_out(tmp_path: Path) -> None:
    write_all(tmp_path)
    entries = sentences("transformer")
    del entries[0]["maps"]["encoder layer 2"]
    write_json(inspection_folder(tmp_path, "transformer") / "attention.json", entries)
    (block,) = explorers(first_screen(stored(tmp_path)))
    assert [s["name"].split()[0] for s in block.sentences] == ["7", "14"]


def test_a_variant_is_not_shown_beside_its_model(tmp_path: Path) -> None:
    """One that trained twice as long looks like its model, and a teacher wants two maps."""
    write_suite(tmp_path, sentences=8, test_sets=("test2016",))
    write_run(tmp_path, "bahdanau", variant="doubled", sentences=8, test_sets=("test2016",))
    shown = explorers(first_screen(stored(tmp_path)))[0].sentences[0]["models"]
    assert [model["label"] for model in shown] == ["LSTM + attention", "Transformer"]
