"""Gold rebuilt from what was known on a night is the gold that was stored in that night."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from dbt.cli.main import dbtRunner
from dbt.contracts.graph.manifest import Manifest
from psycopg import sql

from fvi_pipeline.definitions import build_defs
from fvi_pipeline.defs import resources
from fvi_pipeline.defs.replay import GOLD_AS_OF, note_replay
from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.servers import Servers
from fvi_pipeline.replay.comparison import COMPARED, compare
from fvi_pipeline.replay.errors import ReplayError
from fvi_pipeline.replay.moment import Moment
from fvi_pipeline.replay.rebuild import Replay, replay
from fvi_pipeline.replay.schemas import drop, in_the_making, kept_replays, schema_of
from tests.commands import run_fvi
from tests.integration.nights import NIGHTS, Night, folders
from tests.integration.warehouse import OwnWarehouse, new_warehouse

LIVE = ("bronze", "silver", "gold", "ops")
BUILD = ["build", "--resource-type", "model", "--resource-type", "seed", "--select", "+path:models/gold"]


class DbtInThisProcess:
    """dbt, started once: with manifests that are parsed once for the live tables and once for replays."""

    def __init__(self, target: Path) -> None:
        self._target = ["--target-path", str(target), "--quiet", "--log-level-file", "none", "--no-write-json"]
        self._manifests: dict[bool, Any] = {}

    def __call__(self, arguments: Sequence[str]) -> None:
        """Run dbt; it must succeed."""
        is_replay = "--vars" in arguments
        if is_replay not in self._manifests:
            variables = ["--vars", json.dumps({"as_of": "2000-01-01"})] if is_replay else []
            parsed = dbtRunner().invoke(["parse", "--no-partial-parse", *variables, *self._target])
            assert isinstance(parsed.result, Manifest), parsed.exception
            self._manifests[is_replay] = parsed.result
        result = dbtRunner(manifest=self._manifests[is_replay].deepcopy()).invoke([*arguments, *self._target])
        assert result.success, result.exception or result.result


@dataclass(frozen=True)
class Lived:
    """A warehouse after its last night, with what it stored in each of them."""

    warehouse: OwnWarehouse
    dbt: DbtInThisProcess
    live: dict[str, str]
    """Digests of what a replay must not touch."""

    def replay(self, night: Night, *, as_received: bool = False) -> Replay:
        """The replay of the end of a night, from scratch."""
        with psycopg.connect(self.warehouse.url, autocommit=True) as connection:
            return replay(connection, Moment(night.end, as_received), "any", self.dbt, print)

    def kept(self, night: Night) -> Moment:
        """The moment of a night whose replay is there."""
        moment = Moment(night.end)
        with psycopg.connect(self.warehouse.url) as connection:
            there = moment.name in kept_replays(connection)
        return moment if there else self.replay(night).moment


def _tables(connection: psycopg.Connection, schema: str) -> list[str]:
    rows = connection.execute(
        "select table_name from information_schema.tables where table_schema = %s order by 1", [schema]
    )
    return [str(row[0]) for row in rows]


def _keep(connection: psycopg.Connection, night: Night) -> None:
    """Copy what silver and gold hold tonight, views as what they show."""
    for layer in ("silver", "gold"):
        kept = f"{layer}_stored_{night.day:%Y%m%d}"
        connection.execute(sql.SQL("create schema {}").format(sql.Identifier(kept)))
        for table in _tables(connection, layer):
            copy = sql.SQL("create table {} as select * from {}")
            connection.execute(copy.format(sql.Identifier(kept, table), sql.Identifier(layer, table)))


def _digests(connection: psycopg.Connection, *schemas: str) -> dict[str, str]:
    tables = [(schema, table) for schema in schemas for table in _tables(connection, schema)]
    query = "select coalesce(md5(string_agg(t::text, ';' order by t::text)), '') from {} as t"
    return {
        f"{schema}.{table}": str(
            connection.execute(sql.SQL(query).format(sql.Identifier(schema, table))).fetchall()[0][0]
        )
        for schema, table in tables
    }


def _now(night: Night) -> datetime:
    """In the evening."""
    return night.end - timedelta(hours=6)


@pytest.fixture(scope="module")
def lived(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    root = tmp_path_factory.mktemp("nights")
    with new_warehouse(servers, root / "home") as warehouse, pytest.MonkeyPatch.context() as patch:
        for name, value in warehouse.environment.items():
            if name.startswith(("FVI_DBT_", "DBT_")):
                patch.setenv(name, value)
        dbt = DbtInThisProcess(root / "target")
        for night, folder in folders(root):
            with psycopg.connect(warehouse.url) as connection:
                report = ingest_folder(connection, folder, simulated=True, now=partial(_now, night))
                assert {file.status for file in report.files} == {"loaded"}, report
            dbt(BUILD)
            with psycopg.connect(warehouse.url) as connection:
                _keep(connection, night)
        with psycopg.connect(warehouse.url) as connection:
            live = _digests(connection, *LIVE)
        yield Lived(warehouse, dbt, live)


def _unlike(connection: psycopg.Connection, night: Night, moment: Moment) -> list[str]:
    """Tables of the replay that are not, row for row and bit for bit, what was stored in the night."""
    unlike, compared = [], 0
    for layer in ("silver", "gold"):
        replayed, stored = schema_of(layer, moment), f"{layer}_stored_{night.day:%Y%m%d}"
        for table in _tables(connection, replayed):
            names = {"stored": sql.Identifier(stored, table), "replayed": sql.Identifier(replayed, table)}
            query = sql.SQL(
                "with stored as (select s::text from {stored} as s), replayed as (select r::text from {replayed} as r) "
                "select (select count(*) from stored), "
                "(select count(*) from (table stored except all table replayed) as missing), "
                "(select count(*) from (table replayed except all table stored) as extra)"
            ).format(**names)
            rows, missing, extra = connection.execute(query).fetchall()[0]
            compared += rows
            if missing or extra:
                unlike.append(f"{table}: {missing} of {rows} stored rows are not in the replay, {extra} are only there")
    assert compared > 300
    return unlike


@pytest.mark.parametrize("night", NIGHTS, ids=lambda night: str(night.day))
def test_a_replay_is_what_was_stored_in_the_night(lived: Lived, night: Night) -> None:
    # in the nights in which a year was owed, what had come is less than what was public
    made = lived.replay(night, as_received=night.owes)
    with psycopg.connect(lived.warehouse.url) as connection:
        assert _unlike(connection, night, made.moment) == []
        assert _digests(connection, *LIVE) == lived.live
    if night.owes:
        assert "came later" in str(made.not_compared)
    else:
        assert [table.table for table in made.comparison if table.equal] == [table.name for table in COMPARED]
        assert made.newest_fact is not None
        assert made.newest_fact[0] <= night.end


def test_what_was_public_counts_although_it_came_late(lived: Lived) -> None:
    night = next(night for night in NIGHTS if night.owes)
    made = lived.replay(night)
    assert made.not_compared is None
    assert not made.differs, made.first_difference
    years = "select array_agg(distinct as_of_year order by as_of_year) from {}.gold_vintages"
    with psycopg.connect(lived.warehouse.url) as connection:
        assert _unlike(connection, night, made.moment), "the year that was owed is in no table of that night"
        for schema, known in (
            (schema_of("gold", made.moment), [2003, 2004, 2005]),
            (f"gold_stored_{night.day:%Y%m%d}", [2003, 2004]),
        ):
            assert connection.execute(sql.SQL(years).format(sql.Identifier(schema))).fetchone() == (known,)


def test_a_killed_replay_leaves_nothing_and_a_repeat_changes_nothing(lived: Lived) -> None:
    night = NIGHTS[6]
    moment = lived.kept(night)
    with psycopg.connect(lived.warehouse.url, autocommit=True) as connection:
        before = _digests(connection, schema_of("gold", moment))
        oid = "select oid from pg_namespace where nspname = %s"
        first = connection.execute(oid, [schema_of("gold", moment)]).fetchone()

        def killed(arguments: Sequence[str]) -> None:
            connection.execute(f"create schema {in_the_making('gold')} create table gold_vintages (half text)".encode())
            raise ReplayError("killed")

        with pytest.raises(ReplayError, match="killed"):
            replay(connection, moment, "any", killed, print)
        assert _digests(connection, schema_of("gold", moment)) == before
        assert connection.execute(oid, [schema_of("gold", moment)]).fetchone() == first
        lived.replay(night)
        assert _digests(connection, schema_of("gold", moment)) == before
        assert connection.execute(oid, [schema_of("gold", moment)]).fetchone() != first
        assert connection.execute(oid, [in_the_making("gold")]).fetchone() is None
        assert _digests(connection, *LIVE) == lived.live


def test_a_planted_difference_is_found_and_named(lived: Lived) -> None:
    moment = lived.kept(NIGHTS[-1])
    history = "gold.gold_mine_feature_history"
    with psycopg.connect(lived.warehouse.url) as connection:
        mine, created, hours = connection.execute(
            f"select mine_id, created_timestamp::text, labor_hours from {history} "
            "where as_of_year = 2004 and labor_hours > 0 order by mine_id, created_timestamp limit 1".encode()
        ).fetchall()[0]
        where = "where mine_id = %s and as_of_year = 2004 and created_timestamp = %s"
        # the smallest step that a double can take
        connection.execute(
            f"update {history} set labor_hours = labor_hours * (1 + 2.3e-16::double precision) {where}".encode(),
            [mine, created],
        )
        found = {table.table: table for table in compare(connection, schema_of("gold", moment), moment)}
        assert {name for name, table in found.items() if not table.equal} == {"gold_mine_feature_history"}
        table = found["gold_mine_feature_history"]
        assert (table.stored_only, table.replayed_only) == (1, 1)
        assert table.first is not None
        assert table.first.key == {"mine_id": mine, "as_of_year": "2004", "created_timestamp": created}
        assert (table.first.column, table.first.replayed) == ("labor_hours", f"{hours:.0f}")
        assert table.first.stored not in {None, table.first.replayed}
        for word in ("gold_mine_feature_history.labor_hours", mine, "2004", table.first.stored, table.first.replayed):
            assert str(word) in str(table.first)
        connection.rollback()

        connection.execute(f"delete from {history} {where}".encode(), [mine, created])
        (table,) = (
            table
            for table in compare(connection, schema_of("gold", moment), moment)
            if table.table == "gold_mine_feature_history"
        )
        assert (table.stored_only, table.replayed_only) == (0, 1)
        assert "in the replay only" in str(table.first)
        connection.rollback()

        connection.execute("alter table gold.gold_mine_own_measures add column planted integer")
        found = {table.table: table for table in compare(connection, schema_of("gold", moment), moment)}
        assert "gold_mine_own_measures.planted" in str(found["gold_mine_own_measures"].first)
        connection.rollback()


def test_within_a_day_its_own_releases_are_not_compared(lived: Lived) -> None:
    night = next(night for night in NIGHTS if night.restated and night.years)
    with psycopg.connect(lived.warehouse.url, autocommit=True) as connection:
        moment = Moment(night.end.replace(hour=20, minute=30, second=0, microsecond=0))
        made = replay(connection, moment, "any", lived.dbt, print)
        assert made.schemas[-1] == "gold_as_of_20101015t203000z"
        assert not made.differs, made.first_difference
        assert drop(connection, moment) == sorted(made.schemas)
        assert moment.name not in kept_replays(connection)


def test_the_command_says_which_value_differs(lived: Lived) -> None:
    night = NIGHTS[1]
    update = "update gold.gold_mine_outcomes set viable = not viable where mine_id = %s and outcome_year = 2004"
    with psycopg.connect(lived.warehouse.url) as connection:
        (mine,) = connection.execute(
            "select min(mine_id) from gold.gold_mine_outcomes where outcome_year = 2004"
        ).fetchall()[0]
        connection.execute(update.encode(), [mine])
        connection.commit()
        result = run_fvi(lived.warehouse.environment, "run", "--as-of", str(night.day))
        connection.execute(update.encode(), [mine])
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"gold_mine_outcomes.viable: mine_id {mine}, as_of_year 2003, horizon_years 1" in result.stdout
    assert "gold_as_of_20051015" in result.stdout
    assert "Newest fact that was known: 2005-10" in result.stdout
    dropped = run_fvi(lived.warehouse.environment, "run", "--as-of", str(night.day), "--drop")
    assert dropped.returncode == 0, dropped.stderr
    assert "gold_as_of_20051015" in dropped.stdout
    again = run_fvi(lived.warehouse.environment, "run", "--as-of", str(night.day), "--drop")
    assert again.returncode == 1
    assert "There is no replay as_of_20051015" in again.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--as-of", "yesterday"], "is no date or time"),
        (["--as-of", "2999-01-01"], "is in the future"),
        (["--as-of", "1999-12-31"], "Nothing about mines was known"),
        (["--as-of", "2006-10-15", "--source", "sample"], "takes no --source"),
        (["--drop"], "belong to --as-of"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(lived: Lived, arguments: list[str], words: str) -> None:
    result = run_fvi(lived.warehouse.environment, "run", *arguments)
    assert result.returncode in (1, 2)
    said = " ".join(result.stderr.replace("│", " ").split())
    assert words in said
    assert "Traceback" not in result.stderr


def test_a_partition_is_a_replay_with_its_check(lived: Lived, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in lived.warehouse.environment.items():
        monkeypatch.setenv(name, value)
    with dg.DagsterInstance.get() as instance:
        made = lived.replay(NIGHTS[7])
        for _ in range(2):
            note_replay(made)
        assert instance.get_materialized_partitions(GOLD_AS_OF) >= {str(NIGHTS[7].day)}
    definitions = build_defs({"warehouse": resources.Warehouse(database_url=lived.warehouse.url)})
    night = NIGHTS[6]
    with dg.DagsterInstance.ephemeral() as instance:
        result = definitions.resolve_job_def("replay_gold_as_of").execute_in_process(
            instance=instance, partition_key=str(night.day)
        )
        assert result.success
        assert instance.get_materialized_partitions(GOLD_AS_OF) == {str(night.day)}
    (check,) = result.get_asset_check_evaluations()
    assert check.passed
    counts: Any = check.metadata["tables"].value
    assert counts["gold_mine_features"]["stored"] == counts["gold_mine_features"]["replayed"] > 0
