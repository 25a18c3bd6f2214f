"""The tracker's facts enter the rows of the years that its releases describe, and of no earlier one; what a mine's
surroundings say is what one finds by counting anew.

One simulated warehouse: the panel of 2013-2023 with the tracker of April 2024 and a restatement of 2014; then the
tracker of April 2025 alone; then the panel of 2024, a correction of the tracker of 2024 and a restatement of 2015.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest

from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from fvi_pipeline.simulator.gem_files import GemRow, GemRows, build_gem, write_tracker
from fvi_pipeline.simulator.mines import draw_attributes
from fvi_pipeline.simulator.process import draw_population
from tests.integration.peer_truth import peer_measures, price_to_mean
from tests.integration.warehouse import OwnWarehouse, new_warehouse

CONFIG = SimulationConfig(mines=120, first_year=2013, last_year=2023, foreign_mines=10)
SHORT_TONS = 1102311.31
FACTS = {
    "mine_depth_m": ("Mine Depth (m)", 1.0),
    "mine_size_km2": ("Mine Size (Km2)", 1.0),
    "capacity_short_tons_per_year": ("Capacity (Mtpa)", SHORT_TONS),
    "reserves_short_tons": ("Total Reserves (Proven and Probable, Mt)", SHORT_TONS),
    "reserve_to_production_years": ("Reserve to Production Ratio (R/P)", 1.0),
}
FIRST_NIGHT = datetime(2026, 1, 1, tzinfo=UTC)
RESTATED_2014 = datetime(2026, 3, 1, tzinfo=UTC)
SECOND_RELEASE_CAME = datetime(2026, 4, 1, tzinfo=UTC)
CORRECTION_CAME = datetime(2026, 5, 1, tzinfo=UTC)
RESTATED_2015 = datetime(2026, 6, 1, tzinfo=UTC)
FIRST_RELEASE, SECOND_RELEASE = datetime(2024, 4, 30, tzinfo=UTC), datetime(2025, 4, 30, tzinfo=UTC)
VINTAGES = (
    (2014, datetime(2015, 10, 1, tzinfo=UTC)),
    (2014, RESTATED_2014),
    (2015, RESTATED_2014),
    (2016, RESTATED_2015),
    (2023, datetime(2024, 10, 1, tzinfo=UTC)),
    (2024, RESTATED_2015),
)
Key = tuple[str, int, datetime]
Facts = Mapping[str, Any]


@dataclass(frozen=True)
class Night:
    """What gold held after a night, and when each of its vintages was built."""

    rows: dict[Key, dict[str, Any]]
    built: dict[str, datetime]

    def tracked(self, year: int, created: datetime) -> dict[str, dict[str, Any]]:
        """The rows of a vintage that use the tracker, by mine."""
        vintage = {key[0]: row for key, row in self.rows.items() if key[1:] == (year, created)}
        assert vintage
        return {mine: row for mine, row in vintage.items() if row["tracker_known_at"] is not None}


@dataclass
class Story:
    """The nights one after the other, and what each release of the tracker says by mine."""

    warehouse: OwnWarehouse
    nights: list[Night] = field(default_factory=list)
    releases: list[dict[str, Facts]] = field(default_factory=list)
    two_rows: str = ""
    """Mine with a second phase in the second release."""
    without_id: str = ""
    """Mine of which the second release has no MSHA ID."""
    left_out: str = ""
    """Mine that the second release does not name."""

    def take_in(self, folder: Path, now: datetime) -> None:
        """Ingest the folder as received at this moment."""
        with psycopg.connect(self.warehouse.url) as connection:
            assert ingest_folder(connection, folder, simulated=True, now=lambda: now).new_files

    def build(self) -> None:
        """A night."""
        self.warehouse.dbt("build", "--resource-type", "model", "--resource-type", "seed", "-s", "+gold_mine_features")
        self.nights.append(self.night())

    def night(self) -> Night:
        """Gold as it is now."""
        rows = _frame(self.warehouse, "select * from gold.gold_mine_feature_history").rows(named=True)
        notes = "select part, refreshed_at from ops.built_parts where model = 'gold_mine_feature_history'"
        keyed = {(row["mine_id"], row["as_of_year"], row["created_timestamp"].astimezone(UTC)): row for row in rows}
        return Night(keyed, dict(self.warehouse.rows(notes)))


def _frame(warehouse: OwnWarehouse, query: str) -> pl.DataFrame:
    with psycopg.connect(warehouse.url) as connection:
        return pl.read_database(query, connection, infer_schema_length=None)


def _write_panel(source: Path, target: Path, year: int) -> None:
    """The agency's file as one of this year, with other figures and operators in some rows, one mine left out."""
    # one byte, one character: the files are in several encodings
    rows = list(csv.reader(io.StringIO(source.read_bytes().decode("latin-1"), newline="")))
    start = next(number for number, row in enumerate(rows) if "MSHA ID" in row)
    header, mines = rows[start], rows[start + 1 :]
    tons, operator = (header.index(name) for name in ("Production (short tons)", "Operating Company"))
    kept = rows[: start + 1]
    for number, row in enumerate(mines[1:]):
        if len(row) == len(header) and row[tons].replace(",", "").isdigit():
            row[0] = str(year)
            if number % 3 == 0:
                row[tons] = str(2 * int(row[tons].replace(",", "")))
            if number % 5 == 0:
                row[operator] = mines[0][operator]
            kept.append(row)
    text = io.StringIO(newline="")
    csv.writer(text).writerows(kept)
    target.parent.mkdir(parents=True)
    target.write_bytes(text.getvalue().encode("latin-1"))


def _panel_rows(rows: GemRows) -> list[GemRow]:
    return [row for row in (*rows.open_rows, *rows.closed_rows) if row["Country"] == "United States"]


def _mine(row: GemRow) -> str:
    return f"msha:{row['MSHA ID']:07d}"


def _number(value: object, factor: float) -> float | None:
    return float(value) * factor if isinstance(value, int | float) else None


def _facts(row: GemRow) -> Facts:
    """What a row says, in the names and units of gold."""
    grade, opened = row["Coal Grade"], row["Opening Year"]
    return {name: _number(row.get(title, "-"), factor) for name, (title, factor) in FACTS.items()} | {
        "is_metallurgical": None if grade == "-" else float("Met" in grade),
        "opening_year": opened if isinstance(opened, int) else None,
    }


def _second_release(story: Story, rows: GemRows) -> GemRows:
    """All mines are deeper; one has a second phase, one no ID, one is not there."""
    rows = deepcopy(rows)
    for row in _panel_rows(rows):
        row["Mine Depth (m)"] += 1
    for name, row in zip(("two_rows", "without_id", "left_out"), _panel_rows(rows)[3:6], strict=True):
        setattr(story, name, _mine(row))
    phase, nameless, missing = _panel_rows(rows)[3:6]
    phase["Capacity (Mtpa)"] = 2.0
    story.releases.append({_mine(row): _facts(row) for row in _panel_rows(rows) if row is not missing})
    more = {"Project Phase": "Phase 2", "Status": "Proposed", "Mine Depth (m)": 2000, "Capacity (Mtpa)": 5.0}
    rows.open_rows.append({**phase, **more})
    nameless["MSHA ID"] = "-"
    rows.open_rows.remove(missing)
    return rows


@pytest.fixture(scope="module")
def story(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    root = tmp_path_factory.mktemp("tracker")
    write_landing_folder(root / "first", CONFIG)
    rows = build_gem(CONFIG, draw_population(CONFIG), draw_attributes(CONFIG))
    corrected = deepcopy(rows)
    for row in _panel_rows(corrected):
        row["Mine Depth (m)"] += 1000
    panels = root / "first" / "eia_coal"
    for source, year, folder in ((2014, 2014, "2014"), (2023, 2024, "2024"), (2015, 2015, "2015")):
        name = f"coalpublic{year}.csv"
        _write_panel(panels / f"coalpublic{source}.csv", root / folder / "eia_coal" / name, year)
    with new_warehouse(servers, root / "home") as warehouse:
        story = Story(warehouse, releases=[{_mine(row): _facts(row) for row in _panel_rows(rows)}])
        story.take_in(root / "first", FIRST_NIGHT)
        story.take_in(root / "2014", RESTATED_2014)
        story.build()
        write_tracker(root / "second", _second_release(story, rows), year=2025)
        story.take_in(root / "second", SECOND_RELEASE_CAME)
        story.build()
        write_tracker(root / "correction", corrected)
        story.take_in(root / "2024", SECOND_RELEASE_CAME)
        story.take_in(root / "correction", CORRECTION_CAME)
        story.take_in(root / "2015", RESTATED_2015)
        story.build()
        yield story


def _said(row: Mapping[str, Any], year: int) -> dict[str, Any]:
    """A row's facts of the tracker, with the year of opening found back from the age."""
    age = row["mine_age_years"]
    names = (*FACTS, "is_metallurgical")
    return {name: row[name] for name in names} | {"opening_year": None if age is None else year - age}


def test_facts_of_2024_are_in_no_row_of_2022_or_before(story: Story) -> None:
    columns = (*FACTS, "is_metallurgical", "mine_age_years", "tracker_known_at")
    early = [row for night in story.nights for key, row in night.rows.items() if key[1] <= 2022]
    assert {row[column] for row in early for column in columns} == {None}
    # rows of 2014 were written again when the release had long been known
    assert any(key[1] == 2014 and key[2] == RESTATED_2014 for key in story.nights[0].rows)


def test_the_first_row_that_may_use_a_release_says_what_it_says(story: Story) -> None:
    for created in (datetime(2024, 10, 1, tzinfo=UTC), RESTATED_2014):
        tracked = story.nights[0].tracked(2023, created)
        assert len(tracked) > 40
        assert {row["tracker_known_at"] for row in tracked.values()} == {FIRST_RELEASE}
        for mine, row in tracked.items():
            assert _said(row, 2023) == story.releases[0][mine], mine
    for name in (*FACTS, "is_metallurgical"):
        assert len({row[name] for row in tracked.values()} - {None}) > 1, name
        assert any(row[name] is None for row in tracked.values()) or name == "mine_depth_m"


def test_a_second_release_alone_changes_nothing_and_rebuilds_nothing(story: Story) -> None:
    first, second = story.nights[:2]
    assert second.built == first.built != {}
    assert second.rows == first.rows
    held = "select release_year, known_at, known_until, count(*) > 40 from silver.silver_mine_tracker_history"
    assert story.warehouse.rows(f"{held} group by 1, 2, 3 order by 1, 2") == [
        (2023, FIRST_RELEASE, CORRECTION_CAME, True),
        (2023, CORRECTION_CAME, None, True),
        (2024, SECOND_RELEASE, None, True),
    ]


def test_the_second_release_is_in_rows_of_2024_only(story: Story) -> None:
    before, last = story.nights[1:]
    assert {key: last.rows[key] for key in before.rows} == before.rows
    assert {part: last.built[part] for part in before.built} == before.built
    vintages = sorted({key[2] for key in last.rows if key[1] == 2024})
    assert vintages == [datetime(2025, 10, 1, tzinfo=UTC), RESTATED_2014, RESTATED_2015]
    for created in vintages:
        tracked = last.tracked(2024, created)
        assert {row["tracker_known_at"] for row in tracked.values()} == {SECOND_RELEASE}
        assert story.left_out not in tracked
        for mine, row in tracked.items():
            depth = {"mine_depth_m": 2000.0} if mine == story.two_rows else {}
            assert _said(row, 2024) == {**story.releases[1][mine], **depth}, mine
        # the plan's capacity is not added to that of the mine that works; the ID is that of the first release
        assert tracked[story.two_rows]["capacity_short_tons_per_year"] == 2 * SHORT_TONS
        assert story.without_id in tracked


def test_a_correction_is_used_from_its_receipt_for_the_same_years(story: Story) -> None:
    last = story.nights[-1]
    corrected = last.tracked(2023, RESTATED_2015)
    assert {row["tracker_known_at"] for row in corrected.values()} == {CORRECTION_CAME}
    for mine, row in corrected.items():
        assert row["mine_depth_m"] == story.releases[0][mine]["mine_depth_m"] + 1000
    assert {row["tracker_known_at"] for row in last.tracked(2023, RESTATED_2014).values()} == {FIRST_RELEASE}


def test_rows_are_those_of_the_panel_and_every_mine_of_a_release_is_there_once(story: Story) -> None:
    panel = (
        "select count(*) from gold.gold_vintage_releases inner join silver.silver_mine_years using (file_id) "
        "where fact_year = gold_vintage_releases.as_of_year and msha_id is not null"
    )
    assert story.warehouse.value(panel) == len(story.nights[-1].rows)
    history = "select count(*), count(distinct mine_id) from silver.silver_mine_tracker_history where known_at = %s"
    for moment, mines in ((FIRST_RELEASE, story.releases[0]), (SECOND_RELEASE, story.releases[1])):
        assert story.warehouse.rows(history, moment) == [(len(mines), len(mines))]


def test_profiles_have_the_correction_as_the_newest_word(story: Story) -> None:
    profile = "select mine_depth_m from silver.silver_mine_profiles where mine_id = %s"
    mine = next(iter(story.releases[0]))
    assert story.warehouse.value(profile, mine) == story.releases[0][mine]["mine_depth_m"] + 1000


def _check_peers(warehouse: OwnWarehouse) -> pl.DataFrame:
    """Compare the measures of the vintages with the truth; return them, and the truth's word on who is in them."""
    mine_years = _frame(warehouse, "select * from silver.silver_mine_years")
    gold = _frame(warehouse, "select * from gold.gold_mine_peer_measures")
    skipped = ("mine_id", "as_of_year", "created_timestamp", "newest_fact_known_at")
    columns = [column for column in gold.columns if column not in skipped]
    compared = []
    for year, moment in VINTAGES:
        found = gold.filter((pl.col("as_of_year") == year) & (pl.col("created_timestamp") == moment)).sort("mine_id")
        truth = peer_measures(mine_years, year, moment)
        assert found["mine_id"].to_list() == truth["mine_id"].to_list()
        for column in columns:
            for mine, value, expected in zip(found["mine_id"], found[column], truth[column], strict=True):
                assert value == (None if expected is None else pytest.approx(expected, rel=1e-12)), (column, mine, year)
        compared.append(found)
    return pl.concat(compared).select("mine_id", "as_of_year", "created_timestamp", *columns)


def test_the_surroundings_are_what_one_counts(story: Story) -> None:
    compared = _check_peers(story.warehouse)
    for column in compared.columns[3:]:
        assert compared[column].drop_nulls().n_unique() > 3, column


def test_a_row_that_claims_a_later_time_than_its_file_is_not_counted(story: Story) -> None:
    largest = (
        "select mine_id from silver.silver_mine_years where as_of_year = 2014 and msha_id is not null "
        "group by mine_id having max(known_until) is not null order by max(production_short_tons) desc limit 1"
    )
    mine = story.warehouse.value(largest)
    claim = "update silver.silver_mine_years set known_at = '2030-01-01' where mine_id = %s and as_of_year = 2014"
    with psycopg.connect(story.warehouse.url) as connection:
        connection.execute(claim, (mine,))
    story.warehouse.dbt("run", "--full-refresh", "-s", "gold_mine_peer_measures")
    compared = _check_peers(story.warehouse)
    assert compared.filter((pl.col("mine_id") == mine) & (pl.col("as_of_year") == 2014)).is_empty()


def test_prices_are_compared_with_five_years_of_months(story: Story) -> None:
    prices = _frame(story.warehouse, "select * from silver.silver_commodity_prices")
    markets = _frame(story.warehouse, "select * from gold.gold_market_measures where country = 'United States'")
    assert markets["coal_price_to_mean_5y"].drop_nulls().n_unique() > 5
    for row in markets.rows(named=True):
        for name, column in {"coal": "coal_australian_usd_per_tonne", "gas": "natural_gas_us_usd_per_mmbtu"}.items():
            expected = price_to_mean(prices, column, row["created_timestamp"])
            found = row[f"{name}_price_to_mean_5y"]
            assert found == (None if expected is None else pytest.approx(expected, rel=1e-12))
