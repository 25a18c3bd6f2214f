"""Cards on a real registry and database, with what dbt would have built written by hand."""

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import psycopg
import pytest

from fvi_pipeline.model import ledger
from fvi_pipeline.model.card.store import StoredCard, make_card, stored_card, versions_to_describe
from fvi_pipeline.model.challenger import Challenger, train_challenger
from fvi_pipeline.model.dataset import SplitPolicy
from fvi_pipeline.model.errors import RegistryError
from fvi_pipeline.model.gate import Verdict
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.model.scoring import ModelFiles
from fvi_pipeline.model.training import TrainingSettings
from fvi_pipeline.model.viability_candidate import ViabilityCandidate
from fvi_pipeline.platform.database import connect, with_search_path
from tests.unit.model.card.test_summary import Service, serving
from tests.unit.model.companions.conftest import fit_production, fit_status, next_year_panel
from tests.unit.model.panel import FEATURES, HORIZONS, survival_panel

PROMOTED = Verdict("promoted", ["First champion."], {"latency_p95_us": 42.5})
STATES = ("Kentucky (East)", "Wyoming", "Illinois")
GOLD = """
create table gold.gold_mine_feature_history (
    mine_id text, as_of_year integer, created_timestamp timestamptz, in_cohort boolean, mine_state text,
    mine_type text, production_short_tons double precision
);
create table gold.gold_mine_features (
    mine_id text, as_of_year integer, in_cohort boolean, newest_fact_known_at timestamptz
);
create table gold.gold_mine_outcomes (
    mine_id text, as_of_year integer, horizon_years integer, outcome_year integer, viable boolean
);
create table mart.feature_catalogue (feature text, description text);
insert into mart.feature_catalogue values ('log_size', 'How large the mine is.');
insert into landing.files
    (publisher, name, ingested_at, known_at, rows_read, rows_loaded, rows_quarantined, status, simulated)
values
    ('U.S. Energy Information Administration', 'coal.xls', now(), '2020-10-01', 1234, 1234, 0, 'loaded', false);
"""


@pytest.fixture(scope="module")
def panel() -> pl.DataFrame:
    return survival_panel(mines=250)


@pytest.fixture(scope="module")
def challenger(panel: pl.DataFrame) -> Challenger:
    return train_challenger(
        panel,
        FEATURES,
        size_feature="log_size",
        feature_service="fvi_v1",
        settings=TrainingSettings(seed=3, trials=1, maximum_rounds=30, stopping_rounds=10),
        policy=SplitPolicy(minimum_comparable_rows=200),
        horizons=HORIZONS,
    )


@pytest.fixture
def connection(database_url: str, panel: pl.DataFrame) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        opened.execute(GOLD.encode())
        mines = panel.unique(["mine_id", "as_of_year"]).select("mine_id", "as_of_year", "log_size").rows()
        with opened.cursor() as cursor:
            cursor.executemany(
                "insert into gold.gold_mine_feature_history values (%s, %s, '2020-10-01', true, %s, 'Surface', %s)",
                [(mine, year, STATES[int(mine[5:10]) % 3], size) for mine, year, size in mines],
            )
            # a later vintage says otherwise of where the mines lie: cards hold what was known first
            cursor.execute(
                "insert into gold.gold_mine_feature_history select mine_id, as_of_year, '2024-01-01', in_cohort, "
                "'Utah', mine_type, production_short_tons from gold.gold_mine_feature_history"
            )
            cursor.execute(
                "insert into gold.gold_mine_features select distinct mine_id, as_of_year, true, "
                "timestamptz '2020-10-01' from gold.gold_mine_feature_history"
            )
            with cursor.copy("copy gold.gold_mine_outcomes from stdin") as copy:
                for row in panel.select("mine_id", "as_of_year", "horizon_years", "outcome_year", "viable").iter_rows():
                    copy.write_row((*row[:4], bool(row[4])))
        opened.commit()
        yield opened


@pytest.fixture
def registry(database_url: str, tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(with_search_path(database_url, "mlflow"), tmp_path / "mlflow")


def store_fold(connection: psycopg.Connection, challenger: Challenger, nudge: float = 0.0) -> None:
    test = challenger.split.test
    connection.execute("delete from mart.backtest_predictions")
    with connection.cursor() as cursor:
        cursor.executemany(
            "insert into mart.backtest_predictions (mine_id, as_of_year, horizon_years, train_until_year, "
            "viability_probability, viable) values (%s, %s, %s, %s, %s, %s)",
            [
                (*key[:3], challenger.split.train_until_year, float(probability) * (1 - nudge), bool(viable))
                for key, probability, viable in zip(
                    test.keys.select("mine_id", "as_of_year", "horizon_years").rows(),
                    challenger.test_probability,
                    test.viable,
                    strict=True,
                )
            ],
        )
    connection.commit()


def with_other_bytes(challenger: Challenger) -> Challenger:
    import lightgbm

    from fvi_pipeline.model.onnx_export import to_onnx

    metadata = challenger.files.metadata.model_copy(update={"feature_service": "fvi_v2"})
    booster = lightgbm.Booster(model_str=challenger.files.booster_text)
    return replace(challenger, files=ModelFiles(to_onnx(booster, metadata), challenger.files.booster_text, metadata))


def lines_of(card: StoredCard, start: str) -> list[list[str]]:
    rows = [line for line in card.markdown.splitlines() if line.startswith(f"| {start} |")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_life_of_a_card(
    registry: ModelRegistry, connection: psycopg.Connection, challenger: Challenger, database_url: str
) -> None:
    first = registry.register(ViabilityCandidate(challenger)).version
    store_fold(connection, challenger)
    ledger.apply_verdict(connection, registry, first, PROMOTED, metrics=challenger.metrics(), actor="pipeline")
    assert versions_to_describe(registry, connection) == ["1"]
    card = make_card(connection, registry, first)
    text = card.markdown

    # what it says is what was measured
    assert card.is_new
    assert "it is the champion" in text
    assert "First champion." in text
    assert "| latency p95 us | 42.5 |" in text
    assert challenger.files.metadata.data_hash in text
    assert "| U.S. Energy Information Administration | 1 | 1,234 | 2020-10-01 | 2020-10-01 |" in text
    assert "How large the mine is." in text
    assert "SIMULATED" not in text
    one_year = challenger.evaluation.by_horizon[0]
    assert f"| 1 | {one_year.rows:,} | {one_year.viable_share:.3f} |" in text
    by_region = [row for row in lines_of(card, "1") if row[1] in ("Appalachia", "Interior", "West") and len(row) == 11]
    assert {row[1] for row in by_region} == {"Appalachia", "Interior", "West"}  # not Utah's, known later
    assert sum(int(row[2].replace(",", "")) for row in by_region) == one_year.rows
    assert "**Untested horizons: 10 years.**" in text
    assert re.search(r"Of \d+ differences \d+ have an interval on one side of zero; chance alone", text)
    assert "None" not in text
    assert "nan" not in text.replace("explan", "")

    # kept in the table and beside the model, and left alone while nothing changes
    assert {entry.path for entry in registry._client.list_artifacts(registry.get(first).run_id, "card")} == {
        "card/model_card.html",
        "card/model_card.md",
    }
    again = make_card(connection, registry, first)
    assert (again.made_at, again.markdown, again.is_new) == (card.made_at, text, False)

    # a version that is refused: its own card, and the stored predictions are not taken for its own
    second = registry.register(ViabilityCandidate(with_other_bytes(challenger))).version
    store_fold(connection, challenger, nudge=0.01)
    refusal = Verdict("refused", ["Its Brier score is worse."])
    ledger.apply_verdict(connection, registry, second, refusal, metrics={}, actor="pipeline")
    assert versions_to_describe(registry, connection) == ["1", "2"]
    refused = make_card(connection, registry, second)
    assert "the gate refused it; version 1 is the champion" in refused.markdown
    assert "Not measured" in refused.markdown
    # the champion's groups stay as they were measured on its own predictions
    assert make_card(connection, registry, first).markdown == text

    # by hand, the champion changes: both cards are made again and say so
    ledger.promote(connection, registry, second, reason="A test.", actor="ada")
    assert versions_to_describe(registry, connection) == ["1", "2"]
    former = make_card(connection, registry, first)
    assert former.is_new
    assert "it was the champion; version 2 is the champion" in former.markdown
    assert "### By region" in former.markdown
    assert stored_card(connection, registry.name, second) != make_card(connection, registry, second)
    with pytest.raises(RegistryError, match="no version 9"):
        make_card(connection, registry, "9")


def test_rivals_simulated_data_and_a_summary(
    registry: ModelRegistry, connection: psycopg.Connection, challenger: Challenger
) -> None:
    version = registry.register(ViabilityCandidate(challenger)).version
    store_fold(connection, challenger)
    connection.execute(
        "insert into mart.backtest_rival_predictions (model, mine_id, as_of_year, horizon_years, train_until_year, "
        "viability_probability, viable) select 'coin', mine_id, as_of_year, horizon_years, train_until_year, 0.5, "
        "viable from mart.backtest_predictions"
    )
    connection.execute("update landing.files set simulated = true")
    connection.commit()
    service = Service(content=f"Version {version} was fitted with T = 2013. It must not be used alone.")
    with serving(service) as writer:
        card = make_card(connection, registry, version, writer)
        assert make_card(connection, registry, version, writer).made_at == card.made_at
    assert len(service.asked) == 1  # unchanged facts ask nobody
    assert "> Version 1 was fitted with T = 2013." in card.markdown
    assert "Written by the language model small" in card.markdown
    assert "**SIMULATED DATA.**" in card.markdown
    (coin,) = [row for row in lines_of(card, "1") if row[1] == "coin"]
    assert coin[2].startswith("0.500")
    assert coin[3].startswith("0.2500")
    assert coin[4].startswith("+")
    # made again when the service is away: a card, with a note
    ledger.apply_verdict(connection, registry, version, PROMOTED, metrics={}, actor="pipeline")
    with serving(Service(status=500)) as writer:
        noted = make_card(connection, registry, version, writer)
    assert noted.is_new
    assert "No summary: the language model did not answer" in noted.markdown
    assert "## Limits" in noted.markdown


def test_the_companions_have_cards(database_url: str, connection: psycopg.Connection, tmp_path: Path) -> None:
    panel = next_year_panel(mines=100)
    for candidate in (fit_production(panel), fit_status(panel)):
        registry = ModelRegistry(with_search_path(database_url, "mlflow"), tmp_path / "mlflow", candidate.name)
        version = registry.register(candidate).version
        text = make_card(connection, registry, version).markdown
        rows = len(candidate.split.test)
        assert f"# Model card: {candidate.name}, version {version}" in text
        assert f"The test has {rows:,} rows of later as-of years." in text
        for name, value in candidate.metrics().items():
            assert f"| {name} | {value:.5g} |" in text
        # no state, size or region was measured, and no limit speaks of horizons that it does not have
        assert "### By" not in text
        assert "horizon" not in text.split("## Limits")[1].split("## How")[0]
        assert "None" not in text
        assert "nan" not in text.replace("explan", "")
