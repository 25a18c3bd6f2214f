from __future__ import annotations

from dataclasses import replace

import pytest

from fvi_pipeline.weights.separation import COMPARED, WEIGHTINGS, Separated
from fvi_pipeline.weights.separation_report import PAGE, PICTURE, separation_table, verdict, write_docs


def span(first: int, last: int, difference: float, noise: float) -> list[Separated]:
    aucs = [Separated(first, last, weighting, "", 1000, 0.7, 0.65, 0.75) for weighting in WEIGHTINGS]
    return aucs + [
        Separated(first, last, weighting, rival, 1000, difference, difference - noise, difference + noise)
        for weighting, rival in COMPARED
    ]


MEASURED = [*span(2000, 2000, 0.02, 0.01), *span(2001, 2001, -0.02, 0.01), *span(2002, 2002, 0.0, 0.01)]


@pytest.mark.parametrize(
    ("difference", "said"), [(0.02, "is above that"), (-0.02, "is below that"), (0.001, "is not to be told from that")]
)
def test_the_verdict_is_of_the_years_after_the_choice_and_says_what_came_out(difference, said):
    told = verdict([*MEASURED, *span(1990, 2000, 0.5, 0.01), *span(2001, 2002, difference, 0.01)])
    assert f"On as-of years 2001 to 2002 the index with dynamic weights {said}" in told
    assert f"AUC {difference:+.4f} [{difference - 0.01:+.4f}, {difference + 0.01:+.4f}]" in told
    assert "above equal weights in 1 of 3 years, beyond the noise in 1, and below beyond the noise in 1" in told


def test_with_few_years_the_verdict_is_of_those_there_are():
    assert "On as-of years 2002 the index" in verdict(MEASURED)


def test_every_year_has_a_line_and_years_together_come_last():
    lines = separation_table([*span(2001, 2002, 0.01, 0.02), *MEASURED]).splitlines()
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines[2:]] == ["2000", "2001", "2002", "2001 to 2002"]
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_the_page_and_its_picture_are_written(tmp_path):
    page, picture = write_docs([replace(each) for each in MEASURED], "on a test", tmp_path)
    assert (page, picture) == (tmp_path / PAGE, tmp_path / PICTURE)
    assert verdict(MEASURED) in page.read_text()
    assert f"({PICTURE})" in page.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")
