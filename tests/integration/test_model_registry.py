"""The registry in a real MLflow store, the ledger and the marts, on a real PostgreSQL."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl
import psycopg
import pytest

from fvi_pipeline.model import ledger
from fvi_pipeline.model.batch import score_current, write_backtest_predictions, write_scores
from fvi_pipeline.model.challenger import Challenger, train_challenger
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.errors import RegistryError
from fvi_pipeline.model.gate import Verdict, champion_on_test, judge
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.model.scoring import ModelFiles, ViabilityModel
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.platform.database import connect, with_search_path
from tests.unit.model.panel import FEATURES, HORIZONS, survival_panel

PROMOTED = Verdict("promoted", ["Better."])
NOON = datetime(2024, 4, 1, 12, tzinfo=UTC)


class Killed(BaseException):
    """The process ends here."""


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return survival_panel()


def train(panel: pl.DataFrame, storage_url: str | None, seed: int = 3) -> Challenger:
    return train_challenger(
        panel,
        FEATURES,
        size_feature="log_size",
        feature_service="fvi_v1",
        storage_url=storage_url,
        settings=TrainingSettings(seed=seed, trials=2, maximum_rounds=60, stopping_rounds=10),
        policy=SplitPolicy(minimum_comparable_rows=200),
        horizons=HORIZONS,
    )


@pytest.fixture(scope="module")
def challenger(panel: pl.DataFrame) -> Challenger:
    return train(panel, storage_url=None)


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        yield opened


@pytest.fixture
def registry(database_url: str, tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(with_search_path(database_url, "mlflow"), tmp_path / "mlflow")


def promotions(connection: psycopg.Connection) -> list[tuple[str, str | None, str]]:
    return connection.execute(
        "select version, previous_version, decision from ops.promotions order by promoted_at"
    ).fetchall()


def with_other_bytes(challenger: Challenger, service: str) -> Challenger:
    """The same trees under another description: other bytes, the same predictions."""
    import lightgbm

    from fvi_pipeline.model.onnx_export import to_onnx

    metadata = challenger.files.metadata.model_copy(update={"feature_service": service})
    booster = lightgbm.Booster(model_str=challenger.files.booster_text)
    return replace(challenger, files=ModelFiles(to_onnx(booster, metadata), challenger.files.booster_text, metadata))


def test_life_of_versions(
    registry: ModelRegistry,
    connection: psycopg.Connection,
    challenger: Challenger,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert registry.champion() is None

    # killed after the run was logged and before the version existed: the next call leaves one of each
    client = registry._client
    monkeypatch.setattr(registry, "_ensure_model", _die)
    with pytest.raises(Killed):
        registry.register(challenger)
    monkeypatch.undo()
    first = registry.register(challenger)
    again = registry.register(challenger)
    assert (first.version, first.created, again.version, again.created) == ("1", True, "1", False)
    experiment = client.get_experiment_by_name("fvi_viability")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.run_id for run in runs] == [first.run_id]
    assert runs[0].info.status == "FINISHED"
    assert runs[0].data.metrics["test_auc"] == pytest.approx(challenger.evaluation.auc)
    assert runs[0].data.params["train_until_year"] == "2013"
    assert {entry.path for entry in client.list_artifacts(first.run_id, "plots")} == {
        "plots/calibration.png",
        "plots/feature_importance.png",
    }
    tags = client.get_model_version("fvi_viability", "1").tags
    assert set(tags) >= {"onnx_sha256", "data_hash", "feature_service", "train_until_year", "code_version"}

    # killed between the ledger and the alias: repeated, it is noted once
    monkeypatch.setattr(registry, "set_champion", _die)
    with pytest.raises(Killed):
        ledger.apply_verdict(connection, registry, "1", PROMOTED, metrics={"auc": 0.8}, actor="test")
    monkeypatch.undo()
    assert registry.champion() is None
    assert ledger.apply_verdict(connection, registry, "1", PROMOTED, metrics={"auc": 0.8}, actor="test") == "1"
    assert promotions(connection) == [("1", None, "promoted")]
    champion = registry.champion()
    assert champion is not None
    assert (champion.version, champion.onnx_sha256) == ("1", challenger.files.onnx_sha256)

    # what comes back is what was registered, and the same model changes nothing
    model = registry.load("1")
    rows = challenger.split.test.features[:100, :-1]
    assert model.score(rows) == challenger.files.model().score(rows)
    assert judge(challenger, champion_on_test("1", model, challenger)).decision == "kept"

    # a second version is promoted, a third refused with its reason where the UI shows it
    second = registry.register(with_other_bytes(challenger, "fvi_v2"))
    assert (
        judge(with_other_bytes(challenger, "fvi_v2"), champion_on_test("1", model, challenger)).decision == "promoted"
    )
    assert ledger.apply_verdict(connection, registry, second.version, PROMOTED, metrics={}, actor="test") == "2"
    third = registry.register(with_other_bytes(challenger, "fvi_v3"))
    refusal = Verdict("refused", ["Its Brier score is worse."])
    for _ in range(2):
        assert ledger.apply_verdict(connection, registry, third.version, refusal, metrics={}, actor="test") == "2"
    assert client.get_model_version("fvi_viability", "3").tags["gate_reason"] == "Its Brier score is worse."

    # back by one command, and forth by hand
    assert ledger.roll_back(connection, registry, reason="A bad night.", actor="ada") == "1"
    with pytest.raises(RegistryError, match="replaced no other version"):
        ledger.roll_back(connection, registry, reason="Again.", actor="ada")
    assert ledger.promote(connection, registry, "2", reason="Mended.", actor="ada") == "2"
    assert promotions(connection) == [
        ("1", None, "promoted"),
        ("2", "1", "promoted"),
        ("3", "2", "refused"),
        ("1", "2", "rolled_back"),
        ("2", "1", "promoted"),
    ]
    with pytest.raises(RegistryError, match="no version 99"):
        ledger.promote(connection, registry, "99", reason="A typing error.", actor="ada")

    # bytes that were changed since are not served
    folder = Path(client.get_model_version_download_uri("fvi_viability", "1").removeprefix("file://"))
    (folder / "model.onnx").write_bytes(with_other_bytes(challenger, "forged").files.onnx_model)
    with pytest.raises(RegistryError, match="not the one that was registered"):
        registry.load("1")


def test_no_champion_cannot_be_rolled_back(registry: ModelRegistry, connection: psycopg.Connection) -> None:
    with pytest.raises(RegistryError, match="no champion"):
        ledger.roll_back(connection, registry, reason="None.", actor="ada")


def test_trials_in_postgres_lead_to_the_same_model(
    database_url: str, panel: pl.DataFrame, challenger: Challenger
) -> None:
    url = with_search_path(database_url, "optuna")
    assert train(panel, url).files.onnx_sha256 == challenger.files.onnx_sha256
    assert train(panel, url).files.onnx_sha256 == challenger.files.onnx_sha256
    with connect(database_url) as connection:
        assert connection.execute("select count(*) from optuna.trials").fetchone() == (2,)


def test_scores_are_replaced_whole_and_left_alone_when_equal(
    connection: psycopg.Connection, panel: pl.DataFrame, challenger: Challenger
) -> None:
    model: ViabilityModel = challenger.files.model()
    current = panel.filter((pl.col("as_of_year") == 2018) & (pl.col("horizon_years") == 1))
    scores, reasons = score_current(current, model, model_version="1", scored_at=NOON)
    assert write_scores(connection, scores, reasons)

    later, _ = score_current(current, model, model_version="1", scored_at=NOON.replace(year=2025))
    assert not write_scores(connection, later, reasons)
    stored = connection.execute(
        "select mine_id, horizon_years, fvi_score, scored_at from mart.fvi_scores order by 1, 2"
    ).fetchall()
    expected = scores.sort("mine_id", "horizon_years").select("mine_id", "horizon_years", "fvi_score", "scored_at")
    assert stored == expected.rows()

    # one mine fewer and a new version: nothing of the old is left, other years are untouched
    earlier = scores.with_columns(as_of_year=pl.lit(2017)), reasons.with_columns(as_of_year=pl.lit(2017))
    assert write_scores(connection, *earlier)
    fewer, fewer_reasons = score_current(current.tail(-1), model, model_version="2", scored_at=NOON)
    assert write_scores(connection, fewer, fewer_reasons)
    counts = connection.execute(
        "select as_of_year, model_version, count(*) from mart.fvi_scores group by 1, 2 order by 1, 2"
    ).fetchall()
    assert counts == [(2017, "1", scores.height), (2018, "2", fewer.height)]
    assert connection.execute("select count(*) from mart.score_reasons where as_of_year = 2018").fetchone() == (
        fewer_reasons.height,
    )


def test_backtest_predictions_are_replaced_by_their_year(
    connection: psycopg.Connection, challenger: Challenger
) -> None:
    predictions = challenger.backtest_predictions()
    for _ in range(2):
        assert write_backtest_predictions(connection, predictions) == predictions.height
    stored = connection.execute(
        "select viability_probability from mart.backtest_predictions order by mine_id, as_of_year, horizon_years"
    ).fetchall()
    assert np.array_equal(np.ravel(stored), predictions["viability_probability"].to_numpy())
    leaking = predictions.with_columns(train_until_year=pl.lit(2014))
    with pytest.raises(psycopg.errors.CheckViolation):
        write_backtest_predictions(connection, leaking)


def _die(*_: object) -> None:
    raise Killed
