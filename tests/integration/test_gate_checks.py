"""The gate's checks in Dagster: a leak stops the training before it starts, a refusal shows its reason."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import polars as pl
import psycopg
import pytest

from fvi_pipeline.defs.gate import gate_checks, no_feature_is_the_future
from fvi_pipeline.defs.model import CHALLENGER, TRAINING_SET
from fvi_pipeline.defs.resources import ModelWorkshop, Warehouse
from fvi_pipeline.model.gate import Decision, Verdict
from fvi_pipeline.model.leak_check import FACTS
from fvi_pipeline.model.promotion import Promotion
from fvi_pipeline.model.registry import RegisteredVersion
from fvi_pipeline.model.training_set import TRAINING_FILE, write_training_set
from fvi_pipeline.platform.database import connect
from tests.unit.model.future_facts import mines_with_facts, planted


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        yield opened


@pytest.fixture
def resources(database_url: str, tmp_path: Path) -> dict[str, Any]:
    workshop = ModelWorkshop(
        mlflow_tracking_uri="", optuna_storage_url="", home=str(tmp_path), seed=1, trials=1, tuning_processes=1
    )
    return {"warehouse": Warehouse(database_url=database_url), "model_workshop": workshop}


def write_facts(connection: psycopg.Connection, facts: pl.DataFrame) -> None:
    """What silver and gold hold of them: a file of each year, which is corrected a year later."""
    connection.execute(
        """
        create schema if not exists silver;
        create schema if not exists gold;
        create table silver.silver_mine_years (file_id bigint, as_of_year integer, mine_id text,
            production_short_tons double precision, average_employees double precision, labor_hours double precision);
        create table gold.gold_vintage_releases (as_of_year integer, created_timestamp timestamptz, fact_year integer,
            file_id bigint);
        create table gold.gold_vintages (as_of_year integer, created_timestamp timestamptz, is_first boolean);
        """
    )
    columns = "file_id, as_of_year, mine_id, production_short_tons, average_employees, labor_hours"
    corrected = facts.with_columns(pl.col(FACTS[0]) * 3)
    for correction, values in ((0, facts), (1, corrected)):
        with connection.cursor().copy(f"copy silver.silver_mine_years ({columns}) from stdin") as copy:
            for mine_id, year, *rest in values.rows():
                copy.write_row((10 * year + correction, year, mine_id, *rest))
        for year in facts["as_of_year"].unique().to_list():
            known = f"{year + 1 + correction}-10-01"
            connection.execute(
                "insert into gold.gold_vintage_releases values (%s, %s, %s, %s)",
                [year, known, year, 10 * year + correction],
            )
            connection.execute("insert into gold.gold_vintages values (%s, %s, %s)", [year, known, correction == 0])
    connection.commit()


def test_a_leak_stops_the_training(
    connection: psycopg.Connection,
    resources: dict[str, Any],
    tmp_path: Path,
) -> None:
    rows, facts = mines_with_facts()
    write_facts(connection, facts)
    leaking = planted((rows, facts), FACTS[0], lambda later, now, noise: np.log1p(later))
    (tmp_path / "training").mkdir()
    trained = []

    @dg.asset(key=CHALLENGER, deps=[TRAINING_SET])
    def learner() -> None:
        trained.append(True)

    def run(frame: pl.DataFrame) -> dg.AssetCheckEvaluation:
        @dg.asset(key=TRAINING_SET)
        def rows_to_learn() -> None:
            write_training_set(frame, "fvi_v1", tmp_path / "training" / TRAINING_FILE)

        assets = [rows_to_learn, learner, no_feature_is_the_future]
        result = dg.materialize(assets, resources=resources, raise_on_error=False)
        (evaluation,) = result.get_asset_check_evaluations()
        assert result.success == evaluation.passed
        return evaluation

    assert run(rows).passed
    assert trained == [True]
    stopped = run(leaking)
    assert not stopped.passed
    assert str(stopped.description).startswith("innocent looks like next year's production_short_tons")
    assert trained == [True]


@pytest.mark.parametrize("decision", ["promoted", "refused"])
def test_what_the_gate_decided_is_shown_beside_the_challenger(decision: Decision) -> None:
    parity = {"parity_rows_over_tolerance": 0.0 if decision == "promoted" else 3.0}
    verdict = Verdict(decision, ["Its AUC is worse."], {"gate_auc_difference": -0.1, **parity}, ["ranking"])

    @dg.asset(key=CHALLENGER)
    def challenger() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata=Promotion(RegisteredVersion("7", "run", "hash"), verdict, "6").metadata())

    result = dg.materialize([challenger, *gate_checks(CHALLENGER)])
    shown = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
    evaluation = shown["gate_passed"]
    assert result.success
    assert shown["onnx_equals_lightgbm"].passed == (decision == "promoted")
    assert evaluation.passed == (decision == "promoted")
    assert evaluation.severity == dg.AssetCheckSeverity.WARN
    assert evaluation.description == f"{decision.capitalize()}: Its AUC is worse."
    assert evaluation.metadata["gate_auc_difference"].value == -0.1
