"""Rows per second from file to silver beside `polars.read_csv` plus COPY of the same files, and the memory it takes.

Everything runs in this one call on one machine and server, each measured part in a process of its own, so the ratios
stand on a noisy machine. `--rows` measures one more file, of so many rows. Silver's history is a view: its way ends
when its rows can be read, and the tests of the last line read all of them.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
from psycopg import sql
from rich.console import Console
from rich.table import Table

from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.platform.environment import tool_environment
from fvi_pipeline.platform.servers import Servers, running_servers
from fvi_pipeline.platform.settings import PROJECT_ROOT, Settings

_SILVER = "silver_mine_metrics_history"
_FOREIGN = ("FVI_", "PG", "DBT_")
_REPETITIONS = 3
_LARGE_FILE_YEAR = 2019
_FIRST_MADE_UP_ID = 1_000_000


def main() -> None:
    """Measure and print the table; `--json` adds the figures for machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="sample", help="landing folder; `sample` (or `auto`): simulated files")
    parser.add_argument("--rows", type=int, default=0, help="also measure one file of so many rows, made of copies")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON too")
    parser.add_argument("--part", choices=("plain", "ingest"), help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--database", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        print(json.dumps(_measured_part(arguments.part, arguments.folder, arguments.database)))
        return
    with tempfile.TemporaryDirectory(prefix="fvi-bench-") as scratch:
        folder = _landing_folder(arguments.source, Path(scratch))
        settings = Settings(home=Path(scratch) / "home", database_url=None, redis_url=None)
        with running_servers(settings) as servers:
            figures = [_measure("the folder's years", folder, settings, servers, _REPETITIONS)]
            if arguments.rows:
                large = _folder_with_one_large_file(folder, arguments.rows, Path(scratch) / "large")
                figures.append(_measure("one large file", large, settings, servers, 1))
    _print(figures)
    if arguments.json:
        print(json.dumps(figures))


def _landing_folder(source: str, scratch: Path) -> Path:
    """A folder with the years of the source as CSV files and nothing else: what is measured is one feed's way."""
    from fvi_pipeline.simulator import SimulationConfig, write_landing_folder

    folder = Path(source).resolve()
    if source in ("auto", "sample"):
        folder = scratch / "simulated"
        write_landing_folder(folder, SimulationConfig())
    years = scratch / "years" / "eia_coal"
    years.mkdir(parents=True)
    for path in sorted((folder / "eia_coal").glob("*.csv")):
        (years / path.name).symlink_to(path)
    return years.parent


def _folder_with_one_large_file(folder: Path, rows: int, large: Path) -> Path:
    """The newest year's rows again and again, each time for mines of other IDs."""
    newest = max((folder / "eia_coal").glob("*.csv"))
    with newest.open(encoding="utf-8-sig", newline="") as file:
        header, *sample = csv.reader(file)
    (large / "eia_coal").mkdir(parents=True)
    year, mine = header.index("Year"), header.index("MSHA ID")
    usable = [row for row in sample if len(row) == len(header)]
    with (large / "eia_coal" / f"coalpublic{_LARGE_FILE_YEAR}.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for number in range(rows):
            row = usable[number % len(usable)]
            row[year], row[mine] = str(_LARGE_FILE_YEAR), str(_FIRST_MADE_UP_ID + number)
            writer.writerow(row)
    return large


def _measure(what: str, folder: Path, settings: Settings, servers: Servers, repetitions: int) -> dict[str, Any]:
    plain, ingest = [], []
    for _ in range(repetitions):
        plain.append(_in_own_process("plain", folder, _new_database(servers)))
        database = _new_database(servers)
        ingest.append(_in_own_process("ingest", folder, database))
    # the last ingest's database goes on to silver
    dbt_seconds, silver_seconds = _silver(settings, Servers(database, servers.redis_url))
    plain_seconds = statistics.median(part["seconds"] for part in plain)
    ingest_seconds = statistics.median(part["seconds"] for part in ingest)
    return {
        "what": what,
        "rows": ingest[-1]["rows"],
        "plain_seconds": plain_seconds,
        "ingest_seconds": ingest_seconds,
        "silver_seconds": silver_seconds,
        "dbt_seconds": dbt_seconds,
        "ingest_speed_ratio": plain_seconds / ingest_seconds,
        "silver_speed_ratio": plain_seconds / (ingest_seconds + silver_seconds),
        "plain_peak_megabytes": max(part["peak_megabytes"] for part in plain),
        "ingest_peak_megabytes": max(part["peak_megabytes"] for part in ingest),
    }


def _new_database(servers: Servers) -> str:
    name = f"bench_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(servers.database_url, autocommit=True) as connection:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    url = servers.database_url.replace("/fvi?", f"/{name}?")
    with psycopg.connect(url) as connection:
        bootstrap(connection)
    return url


def _in_own_process(part: str, folder: Path, database: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--part", part, "--folder", str(folder), "--database", database]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    measured: dict[str, float] = json.loads(output.splitlines()[-1])
    return measured


def _measured_part(part: str, folder: Path, database: str) -> dict[str, float]:
    with psycopg.connect(database) as connection:
        start = time.perf_counter()
        rows = _ingest(connection, folder) if part == "ingest" else _plain(connection, folder)
        seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "seconds": seconds, "peak_megabytes": peak}


def _ingest(connection: psycopg.Connection, folder: Path) -> int:
    report = ingest_folder(connection, folder, feeds=["eia_coal_mines"])
    assert not report.rejected, report.rejected
    return report.rows_loaded


def _plain(connection: psycopg.Connection, folder: Path) -> int:
    """What a script without checks does: read each file whole, and copy it into a table of texts without keys."""
    rows = 0
    columns: set[str] = set()
    connection.execute("create table plain ()")
    for path in sorted((folder / "eia_coal").glob("*.csv")):
        # a row that is cut off would stop it
        frame = pl.read_csv(path, infer_schema=False, missing_columns="insert", truncate_ragged_lines=True)
        for name in sorted(set(frame.columns) - columns):
            connection.execute(sql.SQL("alter table plain add column {} text").format(sql.Identifier(name)))
        columns.update(frame.columns)
        _copy(connection, frame.columns, frame.write_csv(include_header=False).encode())
        connection.commit()
        rows += frame.height
    return rows


def _copy(connection: psycopg.Connection, columns: Sequence[str], content: bytes) -> None:
    names = sql.SQL(", ").join(map(sql.Identifier, columns))
    statement = sql.SQL("copy plain ({}) from stdin (format csv)").format(names)
    with connection.cursor() as cursor, cursor.copy(statement) as copy:
        copy.write(content)


def _silver(settings: Settings, servers: Servers) -> tuple[float, float]:
    """Seconds of the whole `dbt build` up to silver with its tests, and of the models alone."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    environment |= tool_environment(settings, servers) | {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"}
    with tempfile.TemporaryDirectory(prefix="fvi-bench-dbt-") as target:
        command = [str(Path(sys.executable).parent / "dbt"), "build", "--select", f"+{_SILVER}"]
        # tests that compare with other models have nothing to look at here
        command += ["--indirect-selection", "cautious"]
        start = time.perf_counter()
        subprocess.run(
            [*command, "--target-path", target], check=True, env=environment, cwd=PROJECT_ROOT, stdout=sys.stderr
        )
        seconds = time.perf_counter() - start
        results = json.loads((Path(target) / "run_results.json").read_text())["results"]
    models = sum(result["execution_time"] for result in results if result["unique_id"].startswith("model."))
    return seconds, models


def _print(figures: list[dict[str, Any]]) -> None:
    table = Table(
        "files", "way", "seconds", "rows per second", "speed beside the plain way", "peak memory, MB",
        title="From file to silver beside polars.read_csv and COPY, same files, same run",
    )  # fmt: skip
    for figure in figures:
        plain, rows = figure["plain_seconds"], figure["rows"]
        whole = figure["ingest_seconds"] + figure["silver_seconds"]
        lines = [
            ("read_csv and COPY", plain, figure["plain_peak_megabytes"]),
            ("to landing", figure["ingest_seconds"], figure["ingest_peak_megabytes"]),
            ("to silver", whole, None),
            ("to silver, with dbt's start and tests", figure["ingest_seconds"] + figure["dbt_seconds"], None),
        ]
        for way, seconds, peak in lines:
            shown = "" if peak is None else f"{peak:,.0f}"
            ratio = f"{plain / seconds:.2f} ×"
            table.add_row(figure["what"], way, f"{seconds:.2f}", f"{rows / seconds:,.0f}", ratio, shown)
        table.add_section()
    Console().print(table)


if __name__ == "__main__":
    main()
