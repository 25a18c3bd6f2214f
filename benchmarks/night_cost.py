"""What a night costs that brings one new year, when the history behind it is 1× and 10×: its ratio should be near 1.

A night is the ingest of the new file and `dbt build` with every test. The longer history has ten times the mines in
every year but the new one. Both nights start from a copy of a warehouse that was built before, take turns, and run in
this one call on one server, so the ratio stands on a noisy machine.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import shutil
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from scratch_warehouse import ScratchDatabase, landing_folder

from fvi_pipeline.platform.servers import running_servers
from fvi_pipeline.platform.settings import Settings

_FIRST_FREE_ID = 5_500_000  # the agency's IDs begin with a state's number, which ends at 54


@dataclass(frozen=True)
class Night:
    """One night: rows of the panel before it, and seconds of its two steps."""

    history_rows: int
    ingest_seconds: float
    dbt_seconds: float

    @property
    def seconds(self) -> float:
        """The whole night."""
        return self.ingest_seconds + self.dbt_seconds


def main() -> None:
    """Build both histories, run the nights and print the table; `--json` adds the figures for machines."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", default="sample", help="landing folder; `sample` or `auto`: simulated files")
    parser.add_argument("--factor", type=int, default=10, help="how many times the mines the longer history has")
    parser.add_argument("--nights", type=int, default=3, help="nights with each history")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fvi-bench-") as scratch:
        nights = _measure(Path(scratch), arguments.source, arguments.factor, arguments.nights)
    medians = {factor: _median(runs) for factor, runs in nights.items()}
    ratio = medians[arguments.factor].seconds / medians[1].seconds
    table = Table("history", "rows before", "ingest, s", "dbt build, s", "night, s", title="A night with one new year")
    for factor, night in medians.items():
        cells = (f"{night.ingest_seconds:.2f}", f"{night.dbt_seconds:.2f}", f"{night.seconds:.2f}")
        table.add_row(f"{factor} ×", f"{night.history_rows:,}", *cells)
    table.add_section()
    table.add_row("ratio", "", "", "", f"{ratio:.2f} ×")
    Console().print(table)
    if arguments.json:
        seconds = {f"{factor}x": [night.seconds for night in runs] for factor, runs in nights.items()}
        print(json.dumps({"ratio": ratio, "seconds": seconds}))


def _measure(scratch: Path, source: str, factor: int, count: int) -> dict[int, list[Night]]:
    landing = landing_folder(source, scratch)
    newest = max((landing / "eia_coal").iterdir(), key=lambda path: path.name)
    new_year = scratch / "new_year"
    (new_year / "eia_coal").mkdir(parents=True)
    shutil.copy(newest, new_year / "eia_coal")
    settings = Settings(home=scratch / "home", database_url=None, redis_url=None)
    nights: dict[int, list[Night]] = {1: [], factor: []}
    with running_servers(settings) as servers:
        database = ScratchDatabase(settings, servers)
        for times in nights:
            folder = scratch / f"history_{times}"
            shutil.copytree(landing, folder, ignore=shutil.ignore_patterns(newest.name))
            _multiply(folder / "eia_coal", times)
            database.create()
            database.ingest(folder)
            database.build()
            database.rename(f"history_{times}")
        for _ in range(count):
            for times, runs in nights.items():
                database.create(template=f"history_{times}")
                runs.append(_night(database, new_year))
                database.drop()
    return nights


def _multiply(folder: Path, times: int) -> None:
    """Give every file `times` its mines: the copies of a mine have an ID and an operator of their own."""
    ids: dict[tuple[str, int], str] = {}
    for path in sorted(folder.iterdir()) if times > 1 else ():
        # bytes that are not ASCII go through unchanged
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("latin-1"), newline="")))
        start = next(number for number, row in enumerate(rows) if "MSHA ID" in row)
        mine, operator = rows[start].index("MSHA ID"), rows[start].index("Operating Company")
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        writer.writerows(rows[: start + 1])
        for row in rows[start + 1 :]:
            writer.writerow(row)
            for copy in range(1, times if len(row) > mine and row[mine].strip().isdigit() else 1):
                copied = list(row)
                copied[mine] = ids.setdefault((row[mine].strip().zfill(7), copy), str(_FIRST_FREE_ID + len(ids)))
                copied[operator] = f"{row[operator]} {copy}"
                writer.writerow(copied)
        path.write_bytes(text.getvalue().encode("latin-1"))


def _night(database: ScratchDatabase, new_year: Path) -> Night:
    rows = database.panel_rows()
    start = time.monotonic()
    database.ingest(new_year)
    ingested = time.monotonic()
    database.build()
    return Night(rows, ingested - start, time.monotonic() - ingested)


def _median(nights: list[Night]) -> Night:
    return Night(
        nights[0].history_rows,
        statistics.median(night.ingest_seconds for night in nights),
        statistics.median(night.dbt_seconds for night in nights),
    )


if __name__ == "__main__":
    main()
