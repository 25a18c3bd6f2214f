"""Which models are in force: at the start, after a change of the registry, and when stores are away."""

from __future__ import annotations

import json
import threading
from dataclasses import replace

import numpy as np
import pytest

from fvi_pipeline.model.scoring import ONNX_FILE, ModelFiles
from fvi_pipeline.serving.board import ChampionBoard
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.model_files import ModelShelf
from fvi_pipeline.serving.standing_note import Reign, VersionRef
from tests.unit.serving.small_models import FIELDS, Layouts, Registry, small_model, stored

ROW = np.array([[1e6, 50]], dtype=np.float32)


@pytest.fixture(scope="module")
def models() -> dict[str, ModelFiles]:
    return {"1": small_model(1), "2": small_model(2), "3": small_model(3)}


@pytest.fixture
def refs(models, tmp_path) -> dict[str, VersionRef]:
    return {version: stored(files, tmp_path / f"v{version}", version) for version, files in models.items()}


@pytest.fixture
def shelf(tmp_path) -> ModelShelf:
    return ModelShelf(tmp_path / "shelf")


def score(board: ChampionBoard) -> float:
    return float(board.standing.champion.model.probabilities(ROW, 5)[0])


def test_a_promotion_is_taken_up_and_a_rollback_too(models, refs, shelf) -> None:
    registry = Registry(Reign(refs["1"]))
    board = ChampionBoard(Layouts(), shelf, [registry], refs["1"])
    changes = []
    board.on_change = changes.append
    first = board.standing
    assert (first.champion.version, board.refresh(), board.standing is first) == ("1", False, True)
    registry.reign = Reign(refs["2"])
    assert board.refresh()
    assert board.standing.champion.version == "2"
    assert score(board) == models["2"].model().probabilities(ROW, 5)[0]
    registry.reign = Reign(refs["1"])
    assert board.refresh()
    assert score(board) == models["1"].model().probabilities(ROW, 5)[0]
    assert [change.champion.version for change in changes] == ["2", "1"]


def test_what_cannot_be_loaded_leaves_the_champion_and_says_why(refs, shelf, tmp_path) -> None:
    registry = Registry(Reign(refs["1"]))
    board = ChampionBoard(Layouts(), shelf, [registry], refs["1"])
    onnx = tmp_path / "v2" / ONNX_FILE
    content = onnx.read_bytes()
    onnx.write_bytes(content[:-1] + b"?")  # not the bytes that were registered
    registry.reign = Reign(refs["2"])
    assert not board.refresh()
    assert board.standing.champion.version == "1"
    assert "version 2" in board.pending["champion"]
    onnx.write_bytes(content)
    assert board.refresh()
    assert (board.standing.champion.version, board.pending) == ("2", {})


def test_a_silent_registry_changes_nothing_and_the_note_stands_in(refs, shelf) -> None:
    registry, note = Registry(Reign(refs["1"])), Registry(Reign(refs["2"]))
    board = ChampionBoard(Layouts(), shelf, [registry, note], refs["1"])
    assert board.standing.champion.version == "1"
    registry.reign = None
    assert board.refresh()
    assert board.standing.champion.version == "2"
    note.reign = None
    assert not board.refresh()
    assert board.standing.champion.version == "2"
    registry.reign = Reign(None)  # a registry without a champion takes none away
    assert not board.refresh()


def test_a_start_without_any_store_serves_the_last_champion_of_this_disk(refs, shelf, tmp_path) -> None:
    registry, layouts = Registry(Reign(refs["2"])), Layouts()
    ChampionBoard(layouts, shelf, [registry], refs["1"])
    registry.reign, layouts.down = None, True
    for path in (tmp_path / "v2").iterdir():
        path.unlink()
    board = ChampionBoard(layouts, shelf, [registry], refs["1"])
    assert board.standing.champion.version == "2"
    assert board.standing.champion.fields == FIELDS
    # without the disk's memory the Bento's own model answers, once the place of its features is known
    with pytest.raises(StoreUnavailableError, match="feature registry"):
        ChampionBoard(layouts, ModelShelf(tmp_path / "empty"), [registry], refs["1"])
    layouts.down = False
    board = ChampionBoard(layouts, ModelShelf(tmp_path / "empty"), [registry], refs["1"])
    assert board.standing.champion.version == "1"


def test_a_damaged_shelf_is_no_shelf(refs, shelf) -> None:
    registry = Registry(Reign(refs["2"]))
    ChampionBoard(Layouts(), shelf, [registry], refs["1"])
    (shelf.folder / "standing.json").write_text('{"champion": 7}')
    registry.reign = None
    assert ChampionBoard(Layouts(), shelf, [registry], refs["1"]).standing.champion.version == "1"


def test_without_sources_the_model_of_the_bento_stays(refs, shelf) -> None:
    ChampionBoard(Layouts(), shelf, [Registry(Reign(refs["2"]))], refs["1"])
    board = ChampionBoard(Layouts(), shelf, [], refs["1"])
    assert (board.standing.champion.version, board.refresh()) == ("1", False)


def test_the_share_decides_whether_a_challenger_is_loaded(refs, shelf) -> None:
    registry = Registry(Reign(refs["1"], refs["2"]))
    assert ChampionBoard(Layouts(), shelf, [registry], refs["1"]).standing.challenger is None
    board = ChampionBoard(Layouts(), shelf, [registry], refs["1"], share=0.25, mode="route")
    mines = [f"msha:{number:07d}" for number in range(4_000)]
    routed = {mine for mine in mines if board.standing.of(mine).arm == "challenger"}
    assert 0.22 < len(routed) / len(mines) < 0.28
    # a larger share keeps the mines that were drawn before, and a new challenger answers for the same ones
    wider = replace(board.standing, share=0.5)
    assert routed < {mine for mine in mines if wider.of(mine).arm == "challenger"}
    registry.reign = Reign(refs["1"], refs["3"])
    assert board.refresh()
    assert {mine for mine in mines if board.standing.of(mine).version == "3"} == routed
    # promoted, it is no challenger any more
    registry.reign = Reign(refs["3"], refs["3"])
    assert board.refresh()
    assert (board.standing.champion.version, board.standing.challenger) == ("3", None)


def test_in_the_shadow_the_champion_answers_for_all(refs, shelf) -> None:
    board = ChampionBoard(Layouts(), shelf, [Registry(Reign(refs["1"], refs["2"]))], refs["1"], share=1.0)
    assert board.standing.challenger is not None
    assert {board.standing.of(f"msha:{n:07d}").version for n in range(100)} == {"1"}
    assert board.standing.drawn("msha:0000001")


def test_a_reader_never_sees_half_a_change(models, refs, shelf) -> None:
    registry = Registry(Reign(refs["1"]))
    board = ChampionBoard(Layouts(), shelf, [registry], refs["1"])
    expected = {version: files.model().probabilities(ROW, 5)[0] for version, files in models.items()}
    seen: set[str] = set()
    wrong: list[str] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            served = board.standing.of("msha:0000001")
            if served.model.probabilities(ROW, 5)[0] != expected[served.version]:
                wrong.append(served.version)
            seen.add(served.version)

    thread = threading.Thread(target=ask)
    thread.start()
    for number in range(12):
        registry.reign = Reign(refs[str(number % 3 + 1)])
        board.refresh()
    done.set()
    thread.join()
    assert (wrong, seen) == ([], {"1", "2", "3"})


def test_the_shelf_keeps_few_versions(refs, shelf, tmp_path) -> None:
    registry = Registry(Reign(refs["1"]))
    board = ChampionBoard(Layouts(), shelf, [registry], refs["1"])
    for seed in range(10, 17):
        registry.reign = Reign(stored(small_model(seed), tmp_path / f"v{seed}", str(seed)))
        board.refresh()
    kept = [each.name for each in shelf.folder.iterdir() if each.is_dir()]
    assert len(kept) == 5
    assert json.loads((shelf.folder / "standing.json").read_text())["champion"]["version"] == "16"
    assert any(name.startswith("16-") for name in kept)
