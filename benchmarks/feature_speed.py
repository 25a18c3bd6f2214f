"""The features' speed, beside Feast's own way in the same call: filling the online store, reading it, and building gold
for one new year with a short and a long history behind it.

Rivals take turns, so the ratios stand on a noisy machine. Filling is timed from the first row read in PostgreSQL to the
last reply of Valkey, and both ways must leave the same bytes. Both histories of gold have the same mines in each year
that they share; the one year is new to both. Its ratio should be near 1.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import io
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import redis
from rich.console import Console
from rich.table import Table
from scratch_warehouse import ScratchDatabase

from fvi_pipeline.features.parity import compare
from fvi_pipeline.features.store import materialize, open_store
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers, running_servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings
from fvi_pipeline.serving.feature_reader import OnlineReader, mine_fields
from fvi_pipeline.serving.redis_link import RedisLink
from fvi_pipeline.simulator import SimulationConfig, write_landing_folder

_VIEW, _CONTEXT_VIEW = "mine_features_v1", "mine_index"
_CONTEXT = {"as_of_year": "integer", "in_cohort": "boolean", "index_score": "float8", "coverage": "float8"}
_NULL_SHARE = 0.1
_MINES_PER_CALL = 250  # of Feast's reader, whose time grows faster than the number of mines
_BATCH = 1_000
_NEWEST_YEAR = 2019


@dataclass(frozen=True)
class _Run:
    """One materialisation: seconds, and how many of them this process computed; the rest it waited for the servers."""

    seconds: float
    cpu_seconds: float


def main() -> None:
    """Measure and print the tables; `--json` adds the figures for machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=("all", "online", "gold"), default="all", help="what to measure")
    parser.add_argument("--mines", type=int, default=20_000, help="mines in the online store")
    parser.add_argument("--features", type=int, default=60, help="features of each mine")
    parser.add_argument("--rounds", type=int, default=3, help="materialisations each way")
    parser.add_argument("--reads", type=int, default=3_000, help="reads of one mine each way")
    parser.add_argument("--short", type=int, default=5, help="years of the short history of gold")
    parser.add_argument("--long", type=int, default=35, help="years of the long one")
    parser.add_argument("--panel", type=int, default=3_000, help="simulated mines over all years of the long one")
    parser.add_argument("--source", help="landing folder whose newest years are taken instead of simulated ones")
    parser.add_argument("--years", type=int, default=3, help="new years built on each history")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON too")
    arguments = parser.parse_args()
    figures: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="fvi-bench-") as scratch:
        settings = Settings(home=Path(scratch) / "home", database_url=None, redis_url=None)
        with running_servers(settings) as servers:
            if arguments.part != "gold":
                figures["online"] = _online(settings, servers, arguments)
            if arguments.part != "online":
                figures["gold"] = _gold(Path(scratch), settings, servers, arguments)
    if arguments.json:
        print(json.dumps(figures))


def _online(settings: Settings, servers: Servers, arguments: argparse.Namespace) -> dict[str, Any]:
    os.environ.update(tool_environment(settings, servers))
    features = [f"feature_{number:02d}" for number in range(arguments.features)]
    mines = [f"msha:{number:07d}" for number in range(arguments.mines)]
    _fill_gold(servers.database_url, mines, features)
    own, ours = _open(feasts_own=True), _open(feasts_own=False)
    _register(own, features)
    with redis.Redis.from_url(servers.redis_url) as client:
        written = _race_of_writers(client, own, ours, arguments.rounds)
    parity_start = time.perf_counter()
    report = compare(ours)
    parity_seconds = time.perf_counter() - parity_start
    if report.different:
        raise SystemExit(f"Online is not offline:\n{report.markdown()}")
    _print_writers(written, arguments, report.values, parity_seconds)
    seconds = {name: [run.seconds for run in runs] for name, runs in written.items()}
    return {"materialise_seconds": seconds, "parity_seconds": parity_seconds, **_race_of_readers(features, arguments)}


def _fill_gold(database_url: str, mines: Sequence[str], features: Sequence[str]) -> None:
    draw = random.Random(1)
    times = (datetime(2024, 12, 31, tzinfo=UTC), datetime(2025, 10, 1, tzinfo=UTC))
    keys = "mine_id text, event_timestamp timestamptz, created_timestamp timestamptz"
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        cursor.execute(f"create table gold.{_VIEW} ({keys}, {', '.join(f'{f} float8' for f in features)})".encode())
        context = ", ".join(f"{name} {kind}" for name, kind in _CONTEXT.items())
        cursor.execute(f"create table gold.{_CONTEXT_VIEW} ({keys}, {context})".encode())
        with cursor.copy(f"copy gold.{_VIEW} from stdin".encode()) as copy:
            for mine in mines:
                values = (None if draw.random() < _NULL_SHARE else draw.gauss(0, 1000) for _ in features)
                copy.write_row((mine, *times, *values))
        with cursor.copy(f"copy gold.{_CONTEXT_VIEW} from stdin".encode()) as copy:
            for mine in mines:
                copy.write_row((mine, *times, 2024, True, draw.uniform(0, 100), draw.random()))


def _open(*, feasts_own: bool) -> Any:
    store = open_store(PROJECT_ROOT / "feature_repo", os.environ)
    store.config.registry.cache_ttl_seconds = 0  # a read must not wait for the registry
    if feasts_own:
        store.config.batch_engine_config = {"type": "local", "backend": "polars"}
    return store


def _register(store: Any, features: Sequence[str]) -> None:
    from feast import Entity, FeatureService, FeatureView, Field, ValueType
    from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
    from feast.types import Bool, Float64, Int64, String

    types = {"integer": Int64, "boolean": Bool, "float8": Float64}
    mine = Entity(name="mine", join_keys=["mine_id"], value_type=ValueType.STRING)

    def view(name: str, columns: dict[str, Any]) -> Any:
        fields = [Field(name="mine_id", dtype=String), *(Field(name=c, dtype=kind) for c, kind in columns.items())]
        source = PostgreSQLSource(
            name=name,
            table=f"gold.{name}",
            timestamp_field="event_timestamp",
            created_timestamp_column="created_timestamp",
        )
        return FeatureView(name=name, entities=[mine], schema=fields, source=source)

    inputs = view(_VIEW, dict.fromkeys(features, Float64))
    context = view(_CONTEXT_VIEW, {name: types[kind] for name, kind in _CONTEXT.items()})
    services = [
        FeatureService(name="fvi_v1", features=[inputs]),
        FeatureService(name="fvi_serving_v1", features=[inputs, context]),
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        store.apply([mine, inputs, context, *services])


def _race_of_writers(client: redis.Redis, own: Any, ours: Any, rounds: int) -> dict[str, list[_Run]]:
    runs: dict[str, list[_Run]] = {"feast": [], "ours": []}
    stores = {"feast": own, "ours": ours}
    contents: dict[str, dict[bytes, Any]] = {}
    for _ in range(rounds):
        for name, store in stores.items():
            client.flushdb()
            start, cpu_start = time.perf_counter(), time.process_time()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                materialize(store, views=[_VIEW])
            runs[name].append(_Run(time.perf_counter() - start, time.process_time() - cpu_start))
            contents[name] = _contents(client)
    if contents["feast"] != contents["ours"]:
        raise SystemExit("Feast's writer and ours left different bytes in the online store.")
    with contextlib.redirect_stdout(io.StringIO()):
        materialize(ours, views=[_CONTEXT_VIEW])
    return runs


def _contents(client: redis.Redis) -> dict[bytes, Any]:
    keys = list(client.scan_iter(count=10_000))
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.hgetall(key)
        return dict(zip(keys, pipe.execute(), strict=True))


def _print_writers(written: dict[str, list[_Run]], arguments: argparse.Namespace, values: int, parity: float) -> None:
    size = f"{arguments.mines:,} mines × {arguments.features} features"
    table = Table("writer", "median, s", "best, s", "own CPU, s", title=f"Online store: {size}, the same bytes")
    seconds = {name: statistics.median(run.seconds for run in runs) for name, runs in written.items()}
    cpu = {name: statistics.median(run.cpu_seconds for run in runs) for name, runs in written.items()}
    for name, label in (("feast", "Feast's own, row by row"), ("ours", "in bulk")):
        best = min(run.seconds for run in written[name])
        table.add_row(label, f"{seconds[name]:.2f}", f"{best:.2f}", f"{cpu[name]:.2f}")
    table.add_section()
    table.add_row("ratio", f"{seconds['feast'] / seconds['ours']:.1f} ×", "", f"{cpu['feast'] / cpu['ours']:.1f} ×")
    table.add_row(f"parity check of {values:,} values", f"{parity:.2f}", "", "")
    Console().print(table)


def _race_of_readers(features: Sequence[str], arguments: argparse.Namespace) -> dict[str, Any]:
    feast = _open(feasts_own=True)
    link = RedisLink(os.environ["FVI_REDIS_URL"])
    fields = mine_fields(PROJECT_ROOT / "feature_repo" / "feature_store.yaml", "fvi_v1", features)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(link.start())
    reader = OnlineReader(link)

    def by_ours(mine_ids: Sequence[str]) -> object:
        return loop.run_until_complete(reader.read_fields(fields, mine_ids))

    inputs, served = feast.get_feature_service("fvi_v1"), feast.get_feature_service("fvi_serving_v1")

    def by_feast(service: Any) -> Callable[[Sequence[str]], object]:
        def read(mine_ids: Sequence[str]) -> object:
            for start in range(0, len(mine_ids), _MINES_PER_CALL):
                rows = [{"mine_id": mine} for mine in mine_ids[start : start + _MINES_PER_CALL]]
                feast.get_online_features(features=service, entity_rows=rows).to_dict()
            return None

        return read

    ways = {
        "Feast, inputs": by_feast(inputs),
        "Feast, as served": by_feast(served),
        "ours, as served": by_ours,
    }
    draw = random.Random(2)
    size = min(_BATCH, arguments.mines)
    ones = [[f"msha:{draw.randrange(arguments.mines):07d}"] for _ in range(arguments.reads)]
    batches = [[f"msha:{n:07d}" for n in draw.sample(range(arguments.mines), size)] for _ in range(10)]
    for read in ways.values():
        read(ones[0])
    gc.collect()
    gc.freeze()  # as the service does once it is warm
    one, many = _timed(ways, ones), _timed(ways, batches)
    title = f"One mine's {arguments.features} features online"
    table = Table("way", "p50, ms", "p95, ms", "p99, ms", f"{size:,} mines, ms", title=title)
    for name in ways:
        cuts = [_percentile(one[name], share) for share in (0.5, 0.95, 0.99)]
        table.add_row(name, *(f"{1000 * cut:.3f}" for cut in cuts), f"{1000 * statistics.median(many[name]):.1f}")
    Console().print(table)
    return {
        "one_mine_p95_ms": {name: 1000 * _percentile(one[name], 0.95) for name in ways},
        "batch_ms": {name: 1000 * statistics.median(many[name]) for name in ways},
    }


def _timed(
    ways: dict[str, Callable[[Sequence[str]], object]], asked: Sequence[Sequence[str]]
) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for mine_ids in asked:
        for name, read in ways.items():
            start = time.perf_counter()
            read(mine_ids)
            seconds[name].append(time.perf_counter() - start)
    return seconds


def _percentile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]


@dataclass
class _GoldYears:
    """New years built on one history: rows before, seconds of each build, and of each model in each build."""

    history_rows: int = 0
    seconds: list[float] = field(default_factory=list)
    models: list[dict[str, float]] = field(default_factory=list)

    def model(self, name: str) -> float:
        return statistics.median(build[name] for build in self.models)

    def all_models(self) -> float:
        return statistics.median(sum(build.values()) for build in self.models)


def _gold(scratch: Path, settings: Settings, servers: Servers, arguments: argparse.Namespace) -> dict[str, Any]:
    landing = _landing(scratch, arguments)
    files = sorted((landing / "eia_coal").iterdir(), key=lambda path: path.name)
    lengths = (min(arguments.short, len(files) - 1), min(arguments.long, len(files) - 1))
    new_year = _folder(scratch / "new_year", landing, files[-1:], only_panel=True)
    database = ScratchDatabase(settings, servers)
    for years in lengths:
        database.create()
        database.ingest(_folder(scratch / f"history_{years}", landing, files[-1 - years : -1]))
        database.build()
        database.rename(f"history_{years}")
    built = {years: _GoldYears() for years in lengths}
    for _ in range(arguments.years):
        for years, gold in built.items():
            database.create(template=f"history_{years}")
            gold.history_rows = database.panel_rows()
            database.ingest(new_year)
            database.build("--select", "path:models/bronze", "path:models/silver")
            start = time.perf_counter()
            gold.models.append(database.build("--select", "path:models/gold"))
            gold.seconds.append(time.perf_counter() - start)
            database.drop()
    return _print_gold(built)


def _landing(scratch: Path, arguments: argparse.Namespace) -> Path:
    if arguments.source not in (None, "auto", "sample"):
        return Path(arguments.source).resolve()
    first = _NEWEST_YEAR - arguments.long
    write_landing_folder(
        scratch / "landing",
        SimulationConfig(mines=arguments.panel, first_year=first, last_year=_NEWEST_YEAR, share_open_in_first_year=0.6),
    )
    return scratch / "landing"


def _folder(folder: Path, landing: Path, panel: Sequence[Path], *, only_panel: bool = False) -> Path:
    """A landing folder with these files of the panel, and what the other publishers have."""
    (folder / "eia_coal").mkdir(parents=True)
    for path in panel:
        (folder / "eia_coal" / path.name).symlink_to(path)
    for path in [] if only_panel else landing.iterdir():
        if path.name != "eia_coal":
            (folder / path.name).symlink_to(path)
    return folder


def _print_gold(built: dict[int, _GoldYears]) -> dict[str, Any]:
    short, long = built.values()
    table = Table(
        "history", "rows before", *(f"{years} years" for years in built), "ratio", title="Gold of one new year"
    )
    rows = f"{short.history_rows:,} / {long.history_rows:,}"

    def add(label: str, one: float, other: float, rows: str = "") -> None:
        table.add_row(label, rows, f"{one:.2f} s", f"{other:.2f} s", f"{other / one:.2f} ×")

    walls = statistics.median(short.seconds), statistics.median(long.seconds)
    add("dbt build of gold, every test", *walls, rows)
    add("its models alone", short.all_models(), long.all_models())
    table.add_section()
    for name in sorted(short.models[0], key=long.model, reverse=True):
        add(name, short.model(name), long.model(name))
    Console().print(table)
    return {
        "seconds": {years: gold.seconds for years, gold in built.items()},
        "ratio": walls[1] / walls[0],
        "models_ratio": long.all_models() / short.all_models(),
    }


if __name__ == "__main__":
    main()
