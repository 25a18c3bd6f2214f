"""The sources that a feature names are what it is computed from: no value beside them moves it, and each of them does.

Some values of the silver tables are changed, one here and one there, and gold is built again. A feature of a mine and
year may differ only where one of its sources says that a changed value counts; and for every source there is a row
in which its value alone was changed and the feature moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from fvi_pipeline.features.groups import GROUPS
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.platform.settings import PROJECT_ROOT
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder
from fvi_pipeline.simulator.gem_files import build_gem, write_tracker
from fvi_pipeline.simulator.mines import draw_attributes
from fvi_pipeline.simulator.process import draw_population
from fvi_pipeline.trace.gold import FEATURES
from fvi_pipeline.trace.sources import Peers, Source, load_lineage
from tests.integration.warehouse import OwnWarehouse, new_warehouse

CONFIG = SimulationConfig(mines=160, first_year=2002, last_year=2012, foreign_mines=10)
YEARS, TRACKER = "silver_mine_years", "silver_mine_tracker_history"
PRICES, ENERGY = "silver_commodity_prices", "silver_country_energy"
COAL, GAS, SHARE, ENERGY_SHARE = (
    "coal_australian_usd_per_tonne",
    "natural_gas_us_usd_per_mmbtu",
    "coal_share_of_electricity_percent",
    "coal_share_of_energy_percent",
)
# far enough apart that no window of two years holds months of both
CHANGED_YEAR = {COAL: 2005, GAS: 2010, SHARE: 2006, ENERGY_SHARE: 2008}
TRACKER_RELEASE = 2011
CELLS_PER_COLUMN = 4
# in these years no production is changed: rows of them show what else moves a feature that all mines' production moves
PRODUCTION_UNCHANGED = range(2003, 2009)
_PRODUCTION = "production_short_tons"
_OTHER_TEXT = {
    "company_type": ("Contractor", "Operating Subsidiary", "Independent Producer Operator"),
    "mine_type": ("Surface", "Underground"),
    "union_code": ("Non-Union", "United Mine Workers of America"),
}
Key = tuple[str, int]
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Cell:
    """One changed value of `silver_mine_years`, or of the tracker's release that describes the year."""

    mine: str
    year: int
    column: str
    model: str = YEARS


@dataclass(frozen=True)
class Perturbed:
    """Gold before and after, silver before and after, and what was changed."""

    features: tuple[Mapping[Key, Row], Mapping[Key, Row]]
    years: tuple[Mapping[Key, Row], Mapping[Key, Row]]
    cells: tuple[Cell, ...]
    sources: Mapping[str, tuple[Source, ...]]

    def changed(self, key: Key, feature: str) -> bool:
        """Whether the feature of the mine and year differs."""
        return bool(self.features[0][key][feature] != self.features[1][key][feature])

    def touching(self, source: Source, key: Key) -> set[object]:
        """The changed values that count for a row, if the source is right."""
        assert source.period is not None
        if source.model == PRICES:
            # the newest months known by October of the year after
            months, changed = (source.period.first or 0) + 1, CHANGED_YEAR[source.column]
            return {source.column} if changed - 1 <= key[1] <= changed + months // 12 else set()
        if source.model == ENERGY:
            return {source.column} if source.period.holds(CHANGED_YEAR[source.column], key[1]) else set()
        if source.model == TRACKER:
            named = {cell for cell in self.cells if (cell.model, cell.column) == (TRACKER, source.column)}
            return {cell for cell in named if cell.mine == key[0] and cell.year <= key[1]}
        return {cell for cell in self.cells if self._counts(source, key, cell)}

    def _counts(self, source: Source, key: Key, cell: Cell) -> bool:
        mine, year = key
        assert source.period is not None
        if cell.model != YEARS:
            return False
        in_period = source.period.holds(cell.year, year)
        peers = source.peers
        if peers is None:
            return cell.column == source.column and cell.mine == mine and in_period
        shared_year = cell.year if peers.shared_before is None else year - peers.shared_before
        if cell.column == source.column and in_period and self._share(peers, key, (cell.mine, shared_year)):
            return True
        # what is grouped by is a source too: of the mine itself, and of each of the peers
        groups = cell.year == shared_year and in_period and self._share(peers, key, (cell.mine, cell.year))
        return cell.column in peers.columns and ((cell.mine == mine and cell.year == year) or groups)

    def _share(self, peers: Peers, key: Key, other: Key) -> bool:
        """Whether both share the columns, before or after the change."""

        def groups(of: Key) -> set[tuple[Any, ...]]:
            rows = [years[of] for years in self.years if of in years]
            found = {tuple(row[column] for column in peers.columns) for row in rows}
            return {group for group in found if None not in group}

        return bool(groups(key) & groups(other))


@pytest.fixture(scope="module")
def perturbed(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Perturbed]:
    folder = tmp_path_factory.mktemp("perturbed-landing")
    write_landing_folder(folder, CONFIG)
    population, mines = draw_population(CONFIG), draw_attributes(CONFIG)
    write_tracker(folder, build_gem(CONFIG, population, mines), year=TRACKER_RELEASE)
    with new_warehouse(servers, tmp_path_factory.mktemp("perturbed-home")) as warehouse:
        warehouse.take_in(folder)
        before = _features(warehouse), _years(warehouse)
        cells = _perturb(warehouse, before[1])
        gold = ["own_measures", "peer_measures", "feature_history", "features"]
        models = [f"gold_mine_{name}" for name in gold] + ["gold_market_measures"]
        warehouse.dbt("run", "--full-refresh", "--select", *models)
        lineage = load_lineage(PROJECT_ROOT / "dbt_project")
        sources = {column: lineage.sources(FEATURES, column) for column in lineage.columns(FEATURES)}
        yield Perturbed((before[0], _features(warehouse)), (before[1], _years(warehouse)), cells, sources)


def _table(warehouse: OwnWarehouse, query: str) -> dict[Key, Row]:
    with psycopg.connect(warehouse.url, row_factory=dict_row) as connection:
        return {(row["mine_id"], row["as_of_year"]): row for row in connection.execute(query.encode())}


def _features(warehouse: OwnWarehouse) -> dict[Key, Row]:
    return _table(warehouse, f"select * from gold.{FEATURES}")


def _years(warehouse: OwnWarehouse) -> dict[Key, Row]:
    return _table(warehouse, f"select * from silver.{YEARS} where known_until is null")


def _perturb(warehouse: OwnWarehouse, years: Mapping[Key, Row]) -> tuple[Cell, ...]:
    random = Random(20240401)
    lineage = load_lineage(PROJECT_ROOT / "dbt_project")
    named = [source for column in lineage.columns(FEATURES) for source in lineage.sources(FEATURES, column)]
    columns = {source.column for source in named if source.model == YEARS}
    grouping = {column for source in named if source.peers for column in source.peers.columns}
    columns |= grouping
    cells: dict[Key, Cell] = {}
    with psycopg.connect(warehouse.url) as connection:
        for column in sorted(columns):
            left = PRODUCTION_UNCHANGED if column == _PRODUCTION else ()
            eligible = sorted(
                key
                for key, row in years.items()
                if row["msha_id"] and row[column] and key not in cells and key[1] not in left
            )
            wanted = CELLS_PER_COLUMN * (4 if column == _PRODUCTION else 3 if column in grouping else 1)
            for number, key in enumerate(random.sample(eligible, wanted)):
                value = _other(column, years[key][column], years, number, random)
                update = sql.SQL("update silver.{} set {} = %s where mine_id = %s and as_of_year = %s")
                connection.execute(update.format(sql.Identifier(YEARS), sql.Identifier(column)), [value, *key])
                cells[key] = Cell(*key, column)
        for table, column, which in (
            (PRICES, COAL, "extract(year from month) = %s"),
            (PRICES, GAS, "extract(year from month) = %s"),
            (ENERGY, SHARE, "country = 'United States' and as_of_year = %s"),
            (ENERGY, ENERGY_SHARE, "country = 'United States' and as_of_year = %s"),
        ):
            update_all = f"update silver.{table} set {column} = {column} * 1.3 where {which}"
            connection.execute(update_all.encode(), [CHANGED_YEAR[column]])
        return (*cells.values(), *_perturb_tracker(connection, years, random))


def _perturb_tracker(connection: psycopg.Connection, years: Mapping[Key, Row], random: Random) -> tuple[Cell, ...]:
    """One column of each of some mines, in the release that rows of the panel may use."""
    cells: dict[str, Cell] = {}
    lineage = load_lineage(PROJECT_ROOT / "dbt_project")
    named = {
        source.column
        for column in lineage.columns(FEATURES)
        for source in lineage.sources(FEATURES, column)
        if source.model == TRACKER
    }
    year = TRACKER_RELEASE - 1
    for column in sorted(named):
        query = sql.SQL("select mine_id, {} from silver.{} where release_year = %s and {} is not null").format(
            sql.Identifier(column), sql.Identifier(TRACKER), sql.Identifier(column)
        )
        values = dict(connection.execute(query, [year]).fetchall())
        eligible = sorted(mine for mine in values if (mine, year) in years and mine not in cells)
        for mine in random.sample(eligible, CELLS_PER_COLUMN):
            update = sql.SQL("update silver.{} set {} = %s where mine_id = %s and release_year = %s")
            other = not values[mine] if isinstance(values[mine], bool) else values[mine] - 1
            connection.execute(update.format(sql.Identifier(TRACKER), sql.Identifier(column)), [other, mine, year])
            cells[mine] = Cell(mine, year, column, TRACKER)
    return tuple(cells.values())


def _other(column: str, value: Any, years: Mapping[Key, Row], number: int, random: Random) -> Any:
    if isinstance(value, bool):
        return not value
    if column == _PRODUCTION and number % 2:
        return 0  # what counts years of production does not see an amount
    if isinstance(value, int | float):
        return value * 2 + 1
    known = _OTHER_TEXT.get(column) or sorted({row[column] for row in years.values() if row[column]})
    return random.choice([text for text in known if text != value])


def test_no_value_beside_its_sources_moves_a_feature(perturbed: Perturbed) -> None:
    before, after = perturbed.features
    assert before.keys() == after.keys()
    moved = [(key, feature) for key in before for feature in perturbed.sources if perturbed.changed(key, feature)]
    assert len(moved) > 500
    unnamed = [
        (key, feature)
        for key, feature in moved
        if not any(perturbed.touching(source, key) for source in perturbed.sources[feature])
    ]
    assert unnamed == []


def test_every_source_moves_the_feature_that_names_it(perturbed: Perturbed) -> None:
    without_effect = {(feature, source.text) for feature, named in perturbed.sources.items() for source in named}
    for key in perturbed.features[0]:
        for feature, named in perturbed.sources.items():
            if not perturbed.changed(key, feature):
                continue
            touching = {source.text: perturbed.touching(source, key) for source in named}
            # the changed values of this source, and none of another's
            if len({frozenset(cells) for cells in touching.values() if cells}) == 1:
                without_effect -= {(feature, text) for text, cells in touching.items() if cells}
    assert without_effect == set()


def test_every_feature_of_the_table_is_explained(perturbed: Perturbed) -> None:
    unexplained = set(next(iter(perturbed.features[0].values()))) - perturbed.sources.keys()
    keys = {"mine_id", "event_timestamp", "created_timestamp", "as_of_year", "newest_fact_known_at"}
    assert unexplained == keys | {group.known_at_column for group in GROUPS}
