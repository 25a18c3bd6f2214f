"""The search for parameters on a real PostgreSQL: several processes, killed ones, and one that hangs."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass

import optuna
import psycopg
import pytest

from fvi_pipeline.model import tuning
from fvi_pipeline.model.challenger import Challenger, code_version, train_challenger
from fvi_pipeline.model.dataset import SplitPolicy, data_hash, make_dataset, split_by_time
from fvi_pipeline.model.training import TrainingSettings, Tuned
from fvi_pipeline.model.tuning import Say, Search, TuningRows, study_name
from fvi_pipeline.model.tuning_process import helping
from fvi_pipeline.platform.database import with_search_path
from tests.unit.model.panel import FEATURES, survival_panel

SETTINGS = TrainingSettings(seed=3, trials=8, fits=1, maximum_rounds=110, stopping_rounds=110)
POLICY = SplitPolicy(minimum_comparable_rows=200)


@dataclass(frozen=True)
class Study:
    """The study that a training of the panel makes: its name and its rows."""

    name: str
    rows: TuningRows

    def search(self, storage_url: str, **changes: int) -> Search:
        settings = SETTINGS.model_copy(update=changes)
        return Search(self.name, self.rows, FEATURES, settings, storage_url=storage_url)


@pytest.fixture(scope="module")
def study() -> Study:
    dataset = make_dataset(survival_panel(), FEATURES)
    split = split_by_time(dataset, POLICY)
    name = study_name(f"{data_hash(dataset, FEATURES)} {code_version()}", split.train_until_year, SETTINGS)
    return Study(name, TuningRows(split.tuning_fit, split.stopping))


@pytest.fixture
def storage_url(database_url: str) -> str:
    return with_search_path(database_url, "optuna")


def _train(storage_url: str | None, processes: int = 1, say: Say | None = None) -> Challenger:
    return train_challenger(
        survival_panel(),
        FEATURES,
        size_feature="log_size",
        feature_service="fvi_v1",
        storage_url=storage_url,
        settings=SETTINGS,
        policy=POLICY,
        tuning_processes=processes,
        say=say,
    )


@pytest.fixture(scope="module")
def undisturbed() -> Challenger:
    return _train(None)


@pytest.fixture(scope="module")
def tuned(undisturbed: Challenger) -> Tuned:
    return undisturbed.tuned


def _trials(storage_url: str) -> list[optuna.trial.FrozenTrial]:
    [found] = optuna.get_all_study_summaries(optuna.storages.RDBStorage(storage_url))
    return optuna.load_study(study_name=found.study_name, storage=storage_url).get_trials()


def _number_of_trials(storage_url: str) -> int:
    with psycopg.connect(storage_url) as connection:
        row = connection.execute("select count(*) from trials").fetchone()
    return row[0] if row else 0


def test_two_processes_make_the_same_bytes_as_one(
    storage_url: str, undisturbed: Challenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_ROWS_WORTH_HELP", 0)
    heard: list[str] = []
    together = _train(storage_url, processes=2, say=heard.append)

    assert together.files.onnx_sha256 == undisturbed.files.onnx_sha256
    assert together.tuned == undisturbed.tuned
    assert len(heard) == _number_of_trials(storage_url) == SETTINGS.trials
    assert heard[0].startswith("Trial 1 of 8: log loss ")


def test_a_process_that_is_killed_in_mid_study_changes_no_byte(
    study: Study, storage_url: str, undisturbed: Challenger
) -> None:
    search = study.search(storage_url)
    heard: list[str] = []
    with helping(1, study.name, study.rows, FEATURES, SETTINGS, storage_url, heard.append) as [pid]:
        deadline = time.monotonic() + 120
        while _number_of_trials(storage_url) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(pid, signal.SIGKILL)
        assert 2 <= _number_of_trials(storage_url) < SETTINGS.trials
        search.finish()

    assert [line for line in heard if "ended with code -9" in line]
    assert _train(storage_url).files.onnx_sha256 == undisturbed.files.onnx_sha256
    trials = _trials(storage_url)
    assert {trial.user_attrs["slot"] for trial in trials} == set(range(SETTINGS.trials))
    assert all(trial.state.is_finished() for trial in trials)
    assert len({trial.user_attrs["process"] for trial in trials}) == 2


def test_a_slot_of_a_process_that_hangs_is_done_again(
    study: Study, storage_url: str, tuned: Tuned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tuning, "_PATIENCE_SECONDS", 0.5)
    hanging = study.search(storage_url)
    assert hanging._claims is not None
    assert hanging._claims.claim(5)
    assert study.search(storage_url).finish() == tuned


def test_more_trials_go_on_with_the_same_study(study: Study, storage_url: str, tuned: Tuned) -> None:
    few = study.search(storage_url, trials=3).finish()
    assert few.trials == _number_of_trials(storage_url) == 3
    assert study.search(storage_url).finish() == tuned
    assert study.search(storage_url, trials=3).finish() == few
    assert _number_of_trials(storage_url) == SETTINGS.trials, "a finished search is read, not repeated"


def test_a_poor_trial_is_given_up(tuned: Tuned) -> None:
    assert 0 < tuned.pruned < tuned.trials == SETTINGS.trials
