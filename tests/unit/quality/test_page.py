"""The report as a page, and Evidently's part of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import polars as pl
import pytest

from fvi_pipeline.quality.distributions import compare
from fvi_pipeline.quality.marks import FileInForce, MetricMarks, Trouble, findings
from fvi_pipeline.quality.page import Report, marks_table, page, write_page

MARKS = [MetricMarks("output", 200, 0.6, 0.9, 0.5, 1.0, 0.75, 0.6, 50.0, "validity")]
FILES = {"eia": FileInForce("eia", "eia/2019.csv", "2020-10-01", (Trouble("<b> is not a number"),))}
NIGHT = date(2026, 1, 10)
REPORT = Report(NIGHT, 70, MARKS, [], FILES, None, [], None)


def test_a_failing_metric_is_said_and_marked() -> None:
    text = page(replace(REPORT, findings=findings(MARKS, 70, {"output": ("eia.tons",)}, FILES)))
    assert "nothing is trained on these data" in text
    assert "output has 50 of 100 in validity" in text
    assert '<td class="number low">50</td>' in text
    assert "&lt;b&gt; is not a number" in text
    assert "training goes on" not in text


def test_marks_stand_beside_those_of_the_night_before() -> None:
    before = [replace(MARKS[0], score=90.0)]
    text = page(replace(REPORT, night_before=NIGHT - timedelta(days=2), before=before))
    assert "against the night of 2026-01-08" in text
    assert '<td class="number">-40</td>' in text


def test_only_the_newest_pages_stay(tmp_path) -> None:
    for day in range(40):
        write_page(tmp_path, replace(REPORT, night=NIGHT + timedelta(days=day)))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert len(names) == 30
    assert names[-1] == "quality-2026-02-18.html"


def test_the_table_of_marks() -> None:
    assert marks_table(MARKS).splitlines()[-1] == "| output | 50 | validity | 0.60 | 0.50 | 1.00 | 0.90 | 200 |"


@pytest.mark.filterwarnings("ignore")  # of what Evidently imports
def test_distributions_that_moved_are_found() -> None:
    before = pl.DataFrame({"still": range(200), "moved": range(200), "empty": [None] * 200, "same": [1] * 200})
    now = before.with_columns(pl.col("moved") + 100)
    found = compare(now, before)
    assert found is not None
    assert found.compared == ("still", "moved")
    assert found.moved == ("moved",)
    assert "Data quality" in page(replace(REPORT, distributions=found))
    assert "drawDashboard" in page(replace(REPORT, distributions=found))


def test_nothing_to_compare() -> None:
    empty = pl.DataFrame(schema={"still": pl.Float64})
    assert compare(empty, empty) is None
