"""The registry in a real MLflow store, the gate's ledger and the marts, on a real PostgreSQL."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import psycopg
import pytest

from fvi_pipeline.features.versions import FeatureVersion, note_versions
from fvi_pipeline.model import ledger
from fvi_pipeline.model.batch import score_current, write_scores
from fvi_pipeline.model.challenger import Challenger, train_challenger
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.errors import RegistryError
from fvi_pipeline.model.gate_criteria import CRITERIA
from fvi_pipeline.model.leak_check import Leak, LeakReport
from fvi_pipeline.model.promotion import Promotion, contend
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.model.scoring import ModelFiles, ViabilityModel
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.model.viability_candidate import ViabilityCandidate, ViabilityPredictor
from fvi_pipeline.platform.database import connect, with_search_path
from tests.unit.model.panel import FEATURES, HORIZONS, survival_panel

NOON = datetime(2024, 4, 1, 12, tzinfo=UTC)
NO_LEAKS = LeakReport([], {}, features=4, rows=5000)
LEAK = Leak("luck", "next year's labor_hours", "share of equal values", 0.99, 0.2)


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
    with connect(database_url) as noting:
        note_versions(noting, [FeatureVersion(number, ()) for number in (1, 2, 3)])
    return ModelRegistry(with_search_path(database_url, "mlflow"), tmp_path / "mlflow")


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ViabilityCandidate, "write_plots", lambda self, folder: None)


def decisions(connection: psycopg.Connection) -> Sequence[tuple[str, str | None, str]]:
    return [(entry.version, entry.previous_version, entry.decision) for entry in ledger.entries(connection)][::-1]


class WithoutItsLastFeature(ViabilityCandidate):
    """Says that it does not read a feature that the champion reads."""

    @property
    def features(self) -> Sequence[str]:
        """All but the last."""
        return super().features[:-1]


def with_other_bytes(challenger: Challenger, **described: object) -> Challenger:
    """The same trees under another description: other bytes, the same predictions."""
    import lightgbm

    from fvi_pipeline.model.onnx_export import to_onnx

    metadata = challenger.files.metadata.model_copy(update=described)
    booster = lightgbm.Booster(model_str=challenger.files.booster_text)
    return replace(challenger, files=ModelFiles(to_onnx(booster, metadata), challenger.files.booster_text, metadata))


def test_a_registered_version_is_an_mlflow_model_with_its_lineage(
    registry: ModelRegistry, challenger: Challenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow

    # killed after the run was logged and before the version existed: the next call leaves one of each
    client = registry._client
    monkeypatch.setattr(registry, "_ensure_model", _die)
    with pytest.raises(Killed):
        registry.register(ViabilityCandidate(challenger))
    monkeypatch.undo()
    first = registry.register(ViabilityCandidate(challenger))
    again = registry.register(ViabilityCandidate(challenger))
    assert (first.version, first.created, again.version, again.created) == ("1", True, "1", False)
    experiment = client.get_experiment_by_name("fvi_viability")
    runs = client.search_runs([experiment.experiment_id])
    assert [run.info.run_id for run in runs] == [first.run_id]
    assert runs[0].info.status == "FINISHED"
    logged = registry.logged("1")
    assert logged.metrics["test_auc"] == pytest.approx(challenger.evaluation.auc)
    assert logged.parameters["train_until_year"] == "2013"
    metadata = challenger.files.metadata
    lineage = {
        "onnx_sha256": challenger.files.onnx_sha256,
        "data_hash": metadata.data_hash,
        "code_version": metadata.code_version,
        "feature_service": "fvi_v1",
        "feature_service_version": "1",
        "train_until_year": "2013",
    }
    assert logged.tags.items() >= lineage.items()

    # what MLflow loads by itself: the signature names the columns, and the scores are those that are served
    uri = client.get_model_version_download_uri("fvi_viability", "1")
    loaded = mlflow.pyfunc.load_model(uri)
    assert loaded.metadata.signature.inputs.input_names() == metadata.columns
    assert loaded.metadata.metadata.items() >= lineage.items()
    test = challenger.split.test
    table = pd.DataFrame(test.features[:, :-1].astype(np.float64), columns=metadata.features)
    table["horizon_years"] = test.horizon_years
    scores = loaded.predict(table[table.columns[::-1]])["probabilities_1"]
    assert np.array_equal(scores.to_numpy(dtype=np.float64), challenger.test_probability)
    with pytest.raises(mlflow.exceptions.MlflowException, match="trend"):
        loaded.predict(table.drop(columns="trend"))
    graph = mlflow.onnx.load_model(uri)
    assert ViabilityModel(graph.SerializeToString()).metadata == metadata
    files = registry.files("1", Path(registry._artifact_root or "") / "read")
    assert {entry.name for entry in files.iterdir()} >= {"model.onnx", "model.txt", "metadata.json", "MLmodel"}

    # pictures are added to a finished run
    pictures = files.parent / "pictures"
    pictures.mkdir()
    (pictures / "one.txt").write_text("1")
    registry.add_artifacts("1", pictures, "explanations")
    assert [entry.path for entry in client.list_artifacts(first.run_id, "explanations")] == ["explanations/one.txt"]

    # bytes that were changed since are not served
    folder = Path(uri.removeprefix("file://"))
    (folder / "model.onnx").write_bytes(with_other_bytes(challenger, feature_service="fvi_v9").files.onnx_model)
    with pytest.raises(RegistryError, match="not the one that was registered"):
        registry.load("1")


def test_a_candidate_of_another_model_or_of_unknown_origin_is_not_registered(
    registry: ModelRegistry, challenger: Challenger
) -> None:
    other = ModelRegistry(registry._tracking_uri, registry._artifact_root, "fvi_production")
    with pytest.raises(RegistryError, match="A fvi_viability is not a fvi_production"):
        other.register(ViabilityCandidate(challenger))
    unknown = with_other_bytes(challenger, code_version="")
    with pytest.raises(RegistryError, match="does not say its code_version"):
        registry.register(ViabilityCandidate(unknown))


@pytest.mark.usefixtures("no_pictures")
def test_each_refusal_is_in_the_ledger_and_where_the_registry_shows_it(
    registry: ModelRegistry, connection: psycopg.Connection, challenger: Challenger, monkeypatch: pytest.MonkeyPatch
) -> None:
    def judged(
        one: Challenger, leaks: LeakReport = NO_LEAKS, kind: type[ViabilityCandidate] = ViabilityCandidate
    ) -> Promotion:
        return contend(connection, registry, kind(one), leaks=leaks, actor="test")

    # killed between the ledger and the alias: repeated, it is noted once
    monkeypatch.setattr(registry, "set_champion", _die)
    with pytest.raises(Killed):
        judged(challenger)
    monkeypatch.undo()
    assert registry.champion() is None
    assert judged(challenger).champion_version == "1"
    assert decisions(connection) == [("1", None, "promoted")]
    # the same model changes nothing, an equal one passes
    assert judged(challenger).verdict.decision == "kept"
    assert judged(with_other_bytes(challenger, feature_service="fvi_v2")).champion_version == "2"

    def distorted(shift: float, share: float) -> Challenger:
        """Other bytes, whose predictions are moved (in log-odds) and drawn to the middle."""
        bytes_of = with_other_bytes(challenger, code_version=f"{shift} {share}")
        moved[bytes_of.files.onnx_sha256] = (shift, share)
        return bytes_of

    moved: dict[str, tuple[float, float]] = {}
    slow = with_other_bytes(challenger, code_version="s")
    predict = ViabilityPredictor.predict

    def distorting(self: ViabilityPredictor, inputs: np.ndarray) -> np.ndarray:
        if len(inputs) == 1 and self.model.onnx_sha256 == slow.files.onnx_sha256:
            until = time.thread_time() + 0.002
            while time.thread_time() < until:
                pass
        shift, share = moved.get(self.model.onnx_sha256, (0.0, 0.0))
        log_odds = np.log(p := predict(self, inputs)) - np.log1p(-p)
        return 1 / (1 + np.exp(-((1 - share) * log_odds + shift)))

    monkeypatch.setattr(ViabilityPredictor, "predict", distorting)
    parity = replace(challenger.parity, rows_over_tolerance=3)
    cases = {
        "loss": judged(distorted(0.0, 1.4)),
        "ranking": judged(distorted(0.0, 1.5)),
        "calibration": judged(distorted(-1.0, 0.0)),
        "parity": judged(replace(with_other_bytes(challenger, code_version="p"), parity=parity)),
        "leak": judged(with_other_bytes(challenger, code_version="l"), LeakReport([LEAK], {}, 5, 5000)),
        "features": judged(with_other_bytes(challenger, code_version="f"), kind=WithoutItsLastFeature),
        "latency": judged(slow),
    }
    said = {
        "loss": "Its Brier score is worse than that of version 2 by ",
        "ranking": "Its AUC is worse than that of version 2 by ",
        "calibration": "It is miscalibrated at horizon ",
        "parity": "ONNX and LightGBM differ by more than 1e-06 in 3 of ",
        "leak": "luck looks like next year's labor_hours: share of equal values is 0.990",
        "features": f"It lacks the champion's features {FEATURES[-1]}.",
        "latency": "It is slower than version 2: one row takes ",
    }
    for criterion, promotion in cases.items():
        assert promotion.verdict.decision == "refused"
        assert criterion in promotion.verdict.refused_for
        assert said[criterion] in promotion.verdict.reason
        assert promotion.champion_version == "2"
    for criterion in ("parity", "leak", "features", "latency"):
        assert cases[criterion].verdict.refused_for == [criterion]
    assert registry.champion() == registry.get("2")

    noted = {entry.version: entry for entry in ledger.entries(connection, "fvi_viability")}
    for promotion in cases.values():
        entry = noted[promotion.registered.version]
        assert (entry.decision, entry.actor, entry.previous_version) == ("refused", "test", "2")
        assert entry.reason == promotion.verdict.reason
        assert entry.refused_for == promotion.verdict.refused_for
        assert set(entry.refused_for) <= set(CRITERIA)
        assert {"test_auc", "gate_auc_difference", "gate_one_row_p95_ratio", "leaks"} <= set(entry.metrics)
        assert (entry.onnx_sha256, entry.train_until_year) == (promotion.registered.onnx_sha256, 2013)
        shown = registry._client.get_model_version("fvi_viability", entry.version)
        assert shown.tags["gate_decision"] == "refused"
        assert shown.tags["gate_reason"] == entry.reason
        assert shown.description == f"Refused by the gate: {entry.reason}"
    assert promotion.metadata()["gate_reason"] == promotion.verdict.reason

    # judged again, a refusal is not noted again, though the time of a row is another
    count = len(ledger.entries(connection))
    judged(slow)
    assert len(ledger.entries(connection)) == count


@pytest.mark.usefixtures("no_pictures")
def test_back_by_one_command_and_not_forth_by_itself(
    registry: ModelRegistry, connection: psycopg.Connection, challenger: Challenger
) -> None:
    def judged(number: int) -> Promotion:
        version = challenger if number == 1 else with_other_bytes(challenger, feature_service=f"fvi_v{number}")
        return contend(connection, registry, ViabilityCandidate(version), leaks=NO_LEAKS, actor="pipeline")

    with pytest.raises(RegistryError, match="no champion"):
        ledger.roll_back(connection, registry, reason="None.", actor="ada")
    judged(1)
    with pytest.raises(RegistryError, match="replaced no other version"):
        ledger.roll_back(connection, registry, reason="Too early.", actor="ada")
    judged(2)
    assert ledger.roll_back(connection, registry, reason="Odd scores in Ohio.", actor="ada") == "1"
    assert registry.champion() == registry.get("1")

    # the same data and code make the same bytes: they stay where people put them, and the ledger says so once
    for _ in range(2):
        again = judged(2)
        assert (again.registered.version, again.champion_version) == ("2", "1")
        assert again.verdict.refused_for == ["rolled_back"]
        assert "by ada (Odd scores in Ohio.)" in again.verdict.reason
    # other data or code make another version, which is judged on its merits; back from it leads to version 1
    assert judged(3).champion_version == "3"
    assert judged(2).champion_version == "3"
    assert ledger.roll_back(connection, registry, reason="No better.", actor="ada") == "1"
    # by hand it comes back, and is then an ordinary version again
    assert ledger.promote(connection, registry, "2", reason="It was the files.", actor="ada") == "2"
    assert judged(2).verdict.decision == "kept"
    assert decisions(connection) == [
        ("1", None, "promoted"),
        ("2", "1", "promoted"),
        ("1", "2", "rolled_back"),
        ("2", "1", "refused"),
        ("3", "1", "promoted"),
        ("2", "3", "refused"),
        ("1", "3", "rolled_back"),
        ("2", "1", "promoted"),
    ]
    with pytest.raises(RegistryError, match="no version 99"):
        ledger.promote(connection, registry, "99", reason="A typing error.", actor="ada")
    assert ledger.entries(connection, "fvi_production") == []


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
    scored = score_current(current, model, model_version="1", scored_at=NOON)
    scores = scored.scores
    assert write_scores(connection, scored)

    later = score_current(current, model, model_version="1", scored_at=NOON.replace(year=2025))
    assert not write_scores(connection, later)
    stored = connection.execute(
        "select mine_id, horizon_years, fvi_score, scored_at from mart.fvi_scores order by 1, 2"
    ).fetchall()
    expected = scores.sort("mine_id", "horizon_years").select("mine_id", "horizon_years", "fvi_score", "scored_at")
    assert stored == expected.rows()

    # one mine fewer and a new version: nothing of the old is left, other years are untouched
    year_before = current.with_columns(as_of_year=pl.lit(2017))
    assert write_scores(connection, score_current(year_before, model, model_version="1", scored_at=NOON))
    rescored = score_current(current.tail(-1), model, model_version="2", scored_at=NOON)
    fewer, fewer_reasons = rescored.scores, rescored.reasons
    assert write_scores(connection, rescored)
    counts = connection.execute(
        "select as_of_year, model_version, count(*) from mart.fvi_scores group by 1, 2 order by 1, 2"
    ).fetchall()
    assert counts == [(2017, "1", scores.height), (2018, "2", fewer.height)]
    assert connection.execute("select count(*) from mart.score_reasons where as_of_year = 2018").fetchone() == (
        fewer_reasons.height,
    )


def _die(*_: object) -> None:
    raise Killed
