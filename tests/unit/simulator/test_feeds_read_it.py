"""The feeds read what the simulator wrote, row for row, and find the planted defects and no others."""

from __future__ import annotations

from collections import Counter

import polars as pl

from fvi_pipeline.feeds.catalogue import FEEDS
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.parse import ParsedFile, parse
from fvi_pipeline.simulator import SimulatedTruth


def parsed_files(truth: SimulatedTruth) -> tuple[dict[str, ParsedFile], set[str]]:
    read, unreadable = {}, set()
    for path in sorted(truth.folder.rglob("*.*")):
        name = path.relative_to(truth.folder).as_posix()
        feed = next((feed for feed in FEEDS.values() if feed.takes(name)), None)
        if feed is None:
            continue
        try:
            read[name] = parse(feed, name, path.read_bytes())
        except UnreadableFileError:
            unreadable.add(name)
    return read, unreadable


def test_feeds_reconcile_with_the_truth(default_truth: SimulatedTruth) -> None:
    read, unreadable = parsed_files(default_truth)
    stated: Counter[str] = Counter()
    for (name, _), rows in default_truth.rows.items():
        if not name.startswith("documents/"):
            stated[name] += rows
    assert {name: parsed.rows_read for name, parsed in read.items()} == dict(stated)
    whole_files = {defect.name for defect in default_truth.defects if defect.row_number is None}
    assert unreadable <= whole_files

    # A row without a readable production cannot be used at all; a foreign mine without a latitude can.
    bad_row, bad_cell = default_truth.defects_of("bad_value")
    (cut_off,) = default_truth.defects_of("truncated_row")
    quarantined = {(name, row.row_number) for name, file in read.items() for row in file.quarantined}
    assert quarantined == {(defect.name, defect.row_number) for defect in (cut_off, bad_row)}
    rejected = [(name, value) for name, file in read.items() for value in file.rejected_values]
    # The release itself writes ranges such as 15-20 into a column of numbers.
    assert {value.column_name for _, value in rejected} == {"latitude", "reported_life_years"}
    latitudes = {(name, value.row_number) for name, value in rejected if value.column_name == "latitude"}
    assert latitudes == {(bad_cell.name, bad_cell.row_number)}


def test_totals_come_out_of_the_feeds(default_truth: SimulatedTruth) -> None:
    read, _ = parsed_files(default_truth)
    eia = [file.frame for name, file in read.items() if name.startswith("eia_coal/")]
    totals = pl.concat(eia).group_by("as_of_year").agg(pl.col("production_short_tons").sum())
    assert dict(totals.iter_rows()) == default_truth.production_short_tons_by_year
