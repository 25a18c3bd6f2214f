"""Information gain on polars and on a real Spark: the same expressions, the same numbers."""

from __future__ import annotations

import os
import shutil
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from fvi_pipeline.weights.engines import scan_parquet
from fvi_pipeline.weights.errors import EngineError
from fvi_pipeline.weights.history import rows_to_measure
from fvi_pipeline.weights.information_gain import information_gain

ROWS = 4000
NIGHT = datetime(2012, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    rng = np.random.default_rng(4)
    viable = rng.random(ROWS) < 0.6
    normal = rng.normal(size=ROWS) + viable
    year = rng.integers(2000, 2010, ROWS)
    frame = pl.DataFrame(
        {
            "as_of_year": year,
            "outcome_known_at": [datetime(int(each) + 4, 10, 1, tzinfo=UTC) for each in year],
            "viable": viable,
            "continuous": normal,
            "with_holes": np.where(rng.random(ROWS) < 0.3, None, normal).tolist(),
            "not_a_number": np.where(rng.random(ROWS) < 0.3, np.nan, normal),
            "flag": (rng.random(ROWS) < 0.2 + 0.2 * viable).astype(float),
            "count": rng.poisson(1 + viable).astype(float),
            "mostly_zero": np.where(rng.random(ROWS) < 0.7, -0.0, rng.gamma(2, 2 + viable)),
            "nothing": [None] * ROWS,
        },
        schema_overrides={"with_holes": pl.Float64, "nothing": pl.Float64},
    )
    path = tmp_path_factory.mktemp("exports") / "metric_history.parquet"
    frame.write_parquet(path)
    return path


def gains(path, engine: str, master: str = "") -> pl.DataFrame:
    metrics = pl.read_parquet_schema(path).keys() - {"as_of_year", "outcome_known_at", "viable"}
    with scan_parquet(path, engine, master) as rows:
        return information_gain(rows_to_measure(rows, NIGHT), sorted(metrics))


def test_spark_and_polars_give_the_same_numbers(export):
    if not os.environ.get("JAVA_HOME") and shutil.which("java") is None:
        pytest.skip("Spark needs Java: apt-get install default-jre-headless")
    of_polars, of_spark = gains(export, "polars"), gains(export, "spark", "local[2]")
    assert of_spark.equals(of_polars)
    told = dict(of_polars.select("metric", "information_gain").iter_rows())
    assert told["continuous"] > told["with_holes"] > told["flag"] > 0
    assert told["not_a_number"] > told["flag"]
    assert told["nothing"] is None
    # the newest five years whose outcome is known on the night: 2003 to 2007
    assert 0.4 * ROWS < of_polars["rows"][0] < 0.6 * ROWS


def test_without_java_or_an_export_it_is_said_what_to_do(export, monkeypatch, tmp_path):
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EngineError, match="default-jre-headless"):
        gains(export, "spark", "local[1]")
    with pytest.raises(EngineError, match="missing"), scan_parquet(tmp_path / "no.parquet", "polars", ""):
        pass
