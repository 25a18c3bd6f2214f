"""The challenger in the shadow: what it scores, what it logs, and that nobody waits for it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from fvi_pipeline.serving.arms import FixedBoard, ServedModel, Standing
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.mines import StoredMine
from fvi_pipeline.serving.shadow import Shadow
from tests.unit.serving.small_models import FIELDS, small_model

_ROW = np.array([1e6, 50], dtype=np.float32)
_MINES = {
    "msha:0000001": StoredMine(_ROW, 2019, True, 50.0),
    "msha:0000002": StoredMine(_ROW * np.float32(0.1), 2019, True, None),
    "msha:0000003": StoredMine(_ROW, 2019, False, 50.0),
    "gem:M0001": StoredMine(None, None, False, 50.0),
}


class Log(list):
    """Keeps what is offered."""

    def offer(self, entry) -> None:
        self.append(entry)


@pytest.fixture(scope="module")
def challenger() -> ServedModel:
    return ServedModel(small_model(2).model(), "2", "challenger", FIELDS, datetime.now(UTC))


def read(served, mine_ids):
    return [_MINES.get(mine_id) for mine_id in mine_ids]


def test_it_scores_what_was_asked_and_only_the_log_sees_it(challenger) -> None:
    champion = ServedModel(small_model(1).model(), "1", "champion", FIELDS, datetime.now(UTC))
    log = Log()
    shadow = Shadow(FixedBoard(Standing(champion, challenger, 1.0, "shadow")), read, log)
    for number, (mine_id, horizon) in enumerate([(mine, h) for mine in [*_MINES, "msha:9999999"] for h in (1, 5)]):
        shadow.offer(f"r{number}", mine_id, horizon)
    assert shadow.score_waiting() == 4
    told = {(entry.request_id, entry.mine_id, entry.horizon_years): entry.fvi_score for entry in log}
    expected = {
        (f"r{number}", mine, horizon): 100 * challenger.model.probabilities(_MINES[mine].row.reshape(1, -1), horizon)[0]
        for number, (mine, horizon) in enumerate([(m, h) for m in ("msha:0000001", "msha:0000002") for h in (1, 5)])
    }
    assert told == pytest.approx(expected)
    assert {(entry.arm, entry.model_version, entry.as_of_year) for entry in log} == {("shadow", "2", 2019)}
    assert shadow.score_waiting() == 0


def test_what_it_cannot_do_is_left_out_and_counted(challenger) -> None:
    def down(served, mine_ids):
        raise StoreUnavailableError("The online store does not answer.")

    shadow = Shadow(FixedBoard(Standing(challenger, challenger, 1.0, "shadow")), down, Log())
    for number in range(10_005):
        shadow.offer(f"r{number}", "msha:0000001", 1)
    assert shadow.left_out == 5
    assert shadow.score_waiting() == 0
    assert (shadow.left_out, shadow.scored) == (205, 0)
