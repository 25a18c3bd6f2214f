"""Each feature of a mine's own past is what its description says, computed a second time from silver by plain rules.

The panel is simulated, then made awkward: years are missing, amounts zero, operators and basins unknown, a year is
restated, and some rows claim a time after their file's. What comes from peers, markets and the tracker, and what a
future fact may touch, is tested beside this.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from psycopg.rows import dict_row

from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from tests.commands import BIN, run_tool
from tests.integration.warehouse import OwnWarehouse, new_warehouse

RESTATED_YEAR, RECEIVED_AT, RESTATED_AT = 2006, datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
WESTERN = ("Powder River Basin", "Uinta Region", "Western")
# of each mine and year, by chance that never changes
AWKWARD = {
    "update {} set operator_key = 'OTHER' || abs(hashtext(mine_id)) %% 3 where {}": 5,
    "update {} set operator_key = null where {}": 7,
    "update {} set production_short_tons = 0 where {}": 11,
    "update {} set labor_hours = 0 where {}": 13,
    "update {} set average_employees = null where {}": 12,
    "update {} set mine_basin = null where {}": 4,
    "update {} set mine_basin = 'Interior' where {}": 9,
    "update {} set known_at = '2099-01-01 00:00+00' where {}": 17,
    "delete from {} where {}": 10,
}
Row = Mapping[str, Any]
Years = Mapping[int, Row]
Number = Fraction | None


@dataclass(frozen=True)
class Panel:
    """Gold's rows, and for each of them the mine's years as known at its vintage."""

    rows: tuple[Row, ...]
    years: tuple[Years, ...]


@pytest.fixture(scope="module")
def panel(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    root = tmp_path_factory.mktemp("own-features")
    first, second = root / "first", root / "second"
    write_landing_folder(first, SimulationConfig(mines=140, first_year=1998, last_year=2010, foreign_mines=10))
    _restate(first, second)
    with new_warehouse(servers, root / "home") as warehouse:
        with psycopg.connect(warehouse.url) as connection:
            ingest_folder(connection, first, simulated=True, now=lambda: RECEIVED_AT)
            ingest_folder(connection, second, simulated=True, now=lambda: RESTATED_AT)
        gold = [f"gold_{name}" for name in ("mine_own_measures", "mine_peer_measures", "mine_feature_history")]
        models = ("--resource-type", "model", "--resource-type", "seed")
        warehouse.dbt("build", *models, "--select", f"+{gold[-1]}", "--exclude", *gold)
        with psycopg.connect(warehouse.url) as connection:
            for statement, one_of in AWKWARD.items():
                which = f"hashtext(mine_id || as_of_year || '{statement[:24]}') %% {one_of} = 0"
                connection.execute(statement.format("silver.silver_mine_years", which).encode(), [])
        warehouse.dbt("run", "--select", *gold)
        yield _panel(warehouse)


def _restate(folder: Path, target: Path) -> None:
    """The restated year again, with half as much production for every third of its rows."""
    (file,) = (folder / "eia_coal").glob(f"*{RESTATED_YEAR}*")
    rows = list(csv.reader(io.StringIO(file.read_bytes().decode("utf-8-sig"), newline="")))
    start = next(number for number, row in enumerate(rows) if "MSHA ID" in row)
    tons = rows[start].index("Production (short tons)")
    for row in rows[start + 1 :: 3]:
        if len(row) > tons and row[tons].replace(",", "").isdigit():
            row[tons] = str(int(row[tons].replace(",", "")) // 2)
    text = io.StringIO(newline="")
    csv.writer(text).writerows(rows)
    (target / "eia_coal").mkdir(parents=True)
    (target / "eia_coal" / file.name).write_text(text.getvalue(), encoding="utf-8", newline="")


def _panel(warehouse: OwnWarehouse) -> Panel:
    with psycopg.connect(warehouse.url, row_factory=dict_row) as connection:
        rows = tuple(connection.execute("select * from gold.gold_mine_feature_history").fetchall())
        facts: dict[str, list[Row]] = {}
        for fact in connection.execute("select * from silver.silver_mine_years"):
            facts.setdefault(fact["mine_id"], []).append(fact)
    return Panel(rows, tuple(_known(facts[row["mine_id"]], row) for row in rows))


def _known(facts: list[Row], row: Row) -> Years:
    moment = row["created_timestamp"]
    # when a file's successor came is the file's matter; a row that claims a later time is not known at all
    return {
        fact["as_of_year"]: fact
        for fact in facts
        if fact["as_of_year"] <= row["as_of_year"]
        and fact["known_at"] <= moment
        and (fact["known_until"] is None or fact["known_until"] > moment)
    }


def _ratio(part: Number, whole: Number) -> Number:
    return part / whole if part is not None and whole else None


def _change(now: Number, before: Number) -> Number:
    ratio = _ratio(now, before)
    return None if ratio is None else ratio - 1


def _values(years: Years, column: str, last: int | None = None) -> dict[int, Fraction]:
    """What the mine's years say, exactly; of the `last` years only."""
    newest = max(years)
    return {
        year: Fraction(row[column])
        for year, row in sorted(years.items())
        if row[column] is not None and (last is None or newest - year < last)
    }


def _productivity(years: Years, last: int | None = None) -> dict[int, Fraction]:
    tons, hours = _values(years, "production_short_tons", last), _values(years, "labor_hours", last)
    return {year: tons[year] / hours[year] for year in tons if hours.get(year)}


def _trend(values: Mapping[int, Fraction]) -> Number:
    if len(values) < 3:
        return None
    middle, mean = Fraction(sum(values), len(values)), Fraction(sum(values.values()), len(values))
    rise = sum(((year - middle) * value for year, value in values.items()), Fraction())
    return _ratio(rise / sum((year - middle) ** 2 for year in values), mean)


def _acceleration(tons: Mapping[int, Fraction], t: int) -> Number:
    if not {t - 2, t - 1, t} <= tons.keys():
        return None
    now, before = tons[t] - tons[t - 1], tons[t - 1] - tons[t - 2]
    return _ratio(now - before, (tons[t] + tons[t - 1] + tons[t - 2]) / 3)


def _decline(years: Years) -> Number:
    year = max(years)
    if year - 1 not in years:
        return None
    tons = _values(years, "production_short_tons")
    while year - 1 in tons and tons[year] < tons[year - 1]:
        year -= 1
    return Fraction(max(years) - year)


def _tenure(years: Years) -> Number:
    known = [(year, row["operator_key"]) for year, row in sorted(years.items()) if row["operator_key"]]
    now = years[max(years)]["operator_key"]
    if now is None:
        return None
    while known[-1][1] == now:
        first, _ = known.pop()
        if not known:
            break
    return Fraction(max(years) - first + 1)


def _operator_changes(years: Years) -> Number:
    order = sorted(years)
    pairs = [
        (years[before]["operator_key"], years[year]["operator_key"])
        for before, year in pairwise(order)
        if max(years) - year < 5 and None not in (years[before]["operator_key"], years[year]["operator_key"])
    ]
    return Fraction(sum(before != after for before, after in pairs)) if pairs else None


def _basin(years: Years) -> str | None:
    return next((row["mine_basin"] for _, row in sorted(years.items(), reverse=True) if row["mine_basin"]), None)


def _expected(years: Years) -> dict[str, Number]:
    """The features of a mine's own past, from the years that are known."""
    t = max(years)
    tons, people, hours = (
        _values(years, name) for name in ("production_short_tons", "average_employees", "labor_hours")
    )
    productivity = _productivity(years)
    producing = [year for year, amount in tons.items() if amount > 0]
    peak = max(tons.values())
    since = t - min(producing) + 1 if producing else None
    basin = _basin(years)
    has_surface = years[t]["has_surface"]
    return {
        "production_change_5y": _change(tons[t], tons.get(t - 5)),
        "production_trend_5y": _trend(_values(years, "production_short_tons", 5)),
        "production_acceleration_1y": _acceleration(tons, t),
        "production_to_recent_peak_5y": _ratio(tons[t], max(_values(years, "production_short_tons", 5).values())),
        "production_decline_years_in_a_row": _decline(years),
        "employees_change_3y": _change(people.get(t), people.get(t - 3)),
        "employees_to_peak": _ratio(people.get(t), max(people.values(), default=None)),
        "labor_hours_change_1y": _change(hours.get(t), hours.get(t - 1)),
        "productivity_trend_5y": _trend(_productivity(years, 5)),
        "productivity_to_own_best": _ratio(productivity.get(t), max(productivity.values(), default=None)),
        "is_surface": None if has_surface is None else Fraction(int(has_surface)),
        "is_appalachian": None if basin is None else Fraction(int(basin.startswith("Appalachia"))),
        "is_western": None if basin is None else Fraction(int(basin in WESTERN)),
        "operator_tenure_years": _tenure(years),
        "operator_changes_5y": _operator_changes(years),
        "years_since_peak_production": Fraction(t - max(year for year in producing if tons[year] == peak))
        if producing
        else None,
        "years_idle_since_first_production": None if since is None else Fraction(since - len(producing)),
        "share_of_years_producing": None if since is None else Fraction(len(producing), since),
    }


def test_each_feature_of_the_own_past_is_what_its_description_says(panel: Panel) -> None:
    vintages = {(row["as_of_year"], row["created_timestamp"]) for row in panel.rows}
    assert len(vintages) > 15
    wrong = []
    given: set[str] = set()
    withheld: set[str] = set()
    for row, years in zip(panel.rows, panel.years, strict=True):
        for name, expected in _expected(years).items():
            (withheld if expected is None else given).add(name)
            found = row[name]
            if (found is None) != (expected is None) or (
                expected is not None and abs(Fraction(found) - Fraction(expected)) > Fraction(1, 10**12)
            ):
                wrong.append((row["mine_id"], row["as_of_year"], name, found, expected and float(expected)))
    assert wrong == []
    # every feature and every rule about null had rows to show itself in
    names = _expected(panel.years[0]).keys()
    assert given == names
    assert names - withheld <= {"is_surface"}


def test_the_panel_has_what_is_awkward(panel: Panel) -> None:
    """Otherwise the comparison would compare little."""
    newest = [years[max(years)] for years in panel.years]
    assert any(row["labor_hours"] == 0 for row in newest)
    assert any(row["operator_key"] is None for row in newest)
    assert any(row["production_short_tons"] == 0 for row in newest)
    assert any(max(years) - min(years) >= len(years) for years in panel.years), "no mine lacks a year in between"
    assert any(row["operator_changes_5y"] == 3 for row in panel.rows)
    assert any((row["production_decline_years_in_a_row"] or 0) >= 3 for row in panel.rows)
    keys = [(row["mine_id"], row["as_of_year"]) for row in panel.rows]
    assert len(set(keys)) < len(keys), "no row has two vintages"


def test_a_row_tells_when_its_own_facts_became_known(panel: Panel) -> None:
    for row, years in zip(panel.rows, panel.years, strict=True):
        assert row["own_facts_known_at"] == max(fact["known_at"] for fact in years.values())
        groups = ("own_facts", "peer_facts", "prices", "energy", "tracker")
        times = [row[f"{group}_known_at"] for group in groups]
        assert row["newest_fact_known_at"] == max(time for time in times if time is not None)
        assert row["newest_fact_known_at"] <= row["created_timestamp"]


@pytest.mark.parametrize(
    ("feature", "of", "mine_type"),
    [
        ("underground_productivity_to_peers", "productivity_to_peers", "Underground"),
        ("underground_labor_hours_per_employee", "labor_hours_per_employee", "Underground"),
        ("surface_productivity_to_peers", "productivity_to_peers", "Surface"),
        ("surface_gas_price_change_1y", "gas_price_change_1y", "Surface"),
    ],
)
def test_what_is_told_of_one_type_is_null_for_the_others(panel: Panel, feature: str, of: str, mine_type: str) -> None:
    assert {row[feature] for row in panel.rows if row["mine_type"] != mine_type} == {None}
    same = [(row[feature], row[of]) for row in panel.rows if row["mine_type"] == mine_type]
    assert all(found == expected for found, expected in same)
    assert any(found is not None for found, _ in same)


def test_what_was_not_published_is_null_and_not_zero(panel: Panel) -> None:
    """Workforce begins in 2001; a year that the mine is not in the panel for has no amounts."""
    of_workforce = ("average_employees", "employees_to_peak", "labor_hours_change_1y", "productivity_to_own_best")
    before = [row for row in panel.rows if row["as_of_year"] < 2001]
    assert before
    assert {row[name] for row in before for name in of_workforce} == {None}
    for row, years in zip(panel.rows, panel.years, strict=True):
        t = row["as_of_year"]
        for name, needed in (
            ("production_change_5y", t - 5),
            ("production_acceleration_1y", t - 2),
            ("production_decline_years_in_a_row", t - 1),
            ("employees_change_3y", t - 3),
        ):
            assert needed in years or row[name] is None


def test_a_feature_that_is_not_described_ends_the_build(servers: Servers, tmp_path: Path) -> None:
    project = tmp_path / "dbt_project"
    shutil.copytree(PROJECT_ROOT / "dbt_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    path = project / "models" / "gold" / "gold_mine_features.yml"
    text = yaml.safe_load(path.read_text(encoding="utf-8"))
    columns = {column["name"]: column for column in text["models"][0]["columns"]}
    del columns["operator_tenure_years"]["description"]
    del columns["employees_to_peak"]["config"]["meta"]["null_means"]
    columns["is_western"]["config"]["meta"]["category"] = "misc"
    columns["mine_depth_m"]["config"]["meta"]["sources"] = []
    path.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
    with new_warehouse(servers, tmp_path / "home") as warehouse:
        environment = warehouse.environment | {"DBT_PROJECT_DIR": str(project), "DBT_TARGET_PATH": str(tmp_path / "t")}
        result = run_tool(environment, str(BIN / "dbt"), "build", "--select", "gold_mine_features")
    assert result.returncode != 0
    for fault in (
        "operator_tenure_years needs a description",
        "employees_to_peak needs meta.null_means",
        "is_western needs a category",
        "mine_depth_m needs meta.sources",
    ):
        assert fault in result.stdout
