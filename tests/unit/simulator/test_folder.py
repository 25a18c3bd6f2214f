"""The written folder: publishers' forms, stated row counts, planted defects, the same bytes again."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import time
from pathlib import Path

import polars as pl
import pytest
from python_calamine import CalamineWorkbook

from fvi_pipeline.simulator import (
    MARKER_NAME,
    SimulatedTruth,
    SimulationConfig,
    SimulationConfigError,
    small_simulation_config,
    write_landing_folder,
)

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
HEADERS = {
    2000: "Year,MSHA ID,Mine Name,Mine State,Mine County,Mine Basin,Mine Status,Mine Type,Company Type,"
    "Operation Type,Operating Company,Operating Company Address,Union Code,Production (short tons)",
    2011: "Year,MSHA ID,Mine Name,Mine State,Mine County,Mine Basin,Mine Status,Mine Type,Company Type,"
    "Operation Type,Operating Company,Operating Company Address,Union Code,Production (short tons),"
    "Average Employees,Labor Hours",
    2012: "Year,MSHA ID,Mine Name,Mine State,Mine County,Mine Status,Mine Type,Company Type,"
    "Operation Type,Operating Company,Operating Company Address,Union Code,Production (short tons),"
    "Average Employees,Labor Hours",
    2013: "Year,MSHA ID,Mine Name,Mine State,Mine County,Mine Status,Mine Type,Company Type,"
    "Operation Type,Operating Company,Operating Company Address,Union Code,Coal Supply Region,"
    "Production (short tons),Average Employees,Labor Hours",
}


def text_of(path: Path) -> str:
    content = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def eia_rows(truth: SimulatedTruth, year: int) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text_of(truth.folder / f"eia_coal/coalpublic{year}.csv"))))


def number(cell: str | None) -> int:
    cleaned = (cell or "").replace(",", "")
    return int(cleaned) if cleaned.isdigit() else 0


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("year", HEADERS)
def test_every_header_form_is_the_publishers(default_truth: SimulatedTruth, year: int) -> None:
    text = text_of(default_truth.folder / f"eia_coal/coalpublic{year}.csv")
    assert text.split("\r\n")[0] == HEADERS[year]
    assert text.endswith("\r\n")


def test_eia_files_carry_the_habits_of_the_real_ones(default_truth: SimulatedTruth) -> None:
    folder, years = default_truth.folder / "eia_coal", default_truth.config.years
    encodings = {}
    for year in years:
        content = (folder / f"coalpublic{year}.csv").read_bytes()
        try:
            content.decode("utf-8")
        except UnicodeDecodeError:
            encodings[year] = content.startswith(BYTE_ORDER_MARK)
    assert sorted(encodings.values()) == [False, True]
    rows = [row for year in years for row in eia_rows(default_truth, year)]
    assert any(row["MSHA ID"] == "-" for row in rows)
    assert any(len(row["MSHA ID"]) == 6 for row in rows)
    assert any("," in row["Production (short tons)"] for row in rows if row["Production (short tons)"])
    assert any(row["Company Type"] == "Indepedent Producer Operator" for row in rows)
    assert max(len(row["Operating Company"] or "") for row in rows) == 30
    keys = [(row["MSHA ID"], row["Year"]) for row in rows]
    assert len(set(keys)) < len(keys)


def test_files_hold_the_stated_rows(default_truth: SimulatedTruth) -> None:
    for (name, part), rows in default_truth.rows.items():
        path = default_truth.folder / name
        if name.endswith(".csv"):
            counted = len(list(csv.reader(io.StringIO(text_of(path))))) - 1
        elif name.endswith(".geojson"):
            counted = len(json.loads(path.read_text(encoding="utf-8"))["features"])
        elif name.endswith(".xlsx"):
            headers = 6 if "CMO" in name else 1
            counted = len(CalamineWorkbook.from_path(path).get_sheet_by_name(part).to_python()) - headers
        else:
            counted = 1
        assert counted == rows, (name, part)


def test_rows_of_a_mine_add_up_to_the_panel_and_rows_of_a_year_to_its_total(
    default_truth: SimulatedTruth,
) -> None:
    year = 2018
    mines: dict[str, list[int]] = {}
    for row in eia_rows(default_truth, year):
        measures = (row["Production (short tons)"], row["Average Employees"], row["Labor Hours"])
        sums = mines.setdefault(row["MSHA ID"].zfill(7), [0, 0, 0])
        mines[row["MSHA ID"].zfill(7)] = [a + number(b) for a, b in zip(sums, measures, strict=True)]
    panel = default_truth.panel.filter(pl.col("as_of_year") == year)
    columns = ("msha_id", "production_short_tons", "average_employees", "labor_hours")
    expected = {key: list(values) for key, *values in panel.select(columns).iter_rows()}
    assert {key: mines[key] for key in expected} == expected
    assert sum(m[0] for m in mines.values()) == default_truth.production_short_tons_by_year[year]


def test_panel_years_and_outcomes_agree(default_truth: SimulatedTruth) -> None:
    panel = default_truth.panel.select("mine_id", "as_of_year")
    known = default_truth.oracle.drop_nulls("viable").with_columns(
        outcome_year=pl.col("as_of_year") + pl.col("horizon_years")
    )
    later = panel.rename({"as_of_year": "outcome_year"}).with_columns(produced=pl.lit(True))
    joined = known.join(later, on=["mine_id", "outcome_year"], how="left")
    assert (joined["viable"] == joined["produced"].fill_null(False)).all()
    cohort = default_truth.panel.filter("in_cohort")
    assert len(cohort) == default_truth.oracle.filter(pl.col("horizon_years") == 1).height
    usable = cohort.filter(pl.col("as_of_year") >= 2001)
    assert usable["mine_status"].unique().to_list() == ["Active"]


def test_planted_defects_are_where_the_truth_says(small_truth: SimulatedTruth) -> None:
    kinds = sorted(defect.kind for defect in small_truth.defects)
    assert kinds == ["bad_value", "bad_value", "empty_file", "foreign_file", "truncated_row"]
    for defect in small_truth.defects:
        path = small_truth.folder / defect.name
        if defect.row_number is None:
            assert (path.stat().st_size == 0) == (defect.kind == "empty_file")
        elif defect.part:
            rows = CalamineWorkbook.from_path(path).get_sheet_by_name(defect.part).to_python()
            value = rows[defect.row_number - 1][rows[0].index(defect.column_name)]
            assert str(value) == defect.raw
        else:
            assert defect.raw in text_of(path).split("\r\n")[defect.row_number - 1]


def test_defects_leave_the_truth_alone(small_truth: SimulatedTruth, tmp_path: Path) -> None:
    clean = write_landing_folder(tmp_path / "clean", small_simulation_config(seed=1, defects=False))
    assert clean.defects == ()
    assert clean.panel.equals(small_truth.panel)
    assert clean.production_short_tons_by_year == small_truth.production_short_tons_by_year
    assert not (clean.folder / "eia_coal" / "coalpublic2020.csv").exists()


def test_same_seed_same_bytes_other_seed_other_bytes(small_truth: SimulatedTruth, tmp_path: Path) -> None:
    # Workbooks keep time in steps of two seconds: wait one out, so that a clock in a file would show.
    time.sleep(2.1)
    write_landing_folder(tmp_path / "again", small_simulation_config(seed=1))
    write_landing_folder(tmp_path / "other", small_simulation_config(seed=2))
    first = digests(small_truth.folder)
    assert digests(tmp_path / "again") == first
    other = digests(tmp_path / "other")
    assert first["eia_coal/coalpublic2018.csv"] != other["eia_coal/coalpublic2018.csv"]


def test_prices_average_to_those_of_the_process(default_truth: SimulatedTruth) -> None:
    path = default_truth.folder / "world_bank/CMO-Historical-Data-Monthly.xlsx"
    rows = CalamineWorkbook.from_path(path).get_sheet_by_name("Monthly Prices").to_python()
    assert rows[3][0] == "Updated on May 02, 2025"
    coal = rows[4].index("Coal, Australian")
    assert rows[6][0] == "1960M01"
    assert rows[6][coal] == "\u2026"
    monthly = [row[coal] for row in rows[6:] if str(row[0]).startswith("2010M")]
    t = 2010 - (default_truth.config.first_year - 1)
    expected = pl.Series(default_truth.population.log_coal_price).exp()[t]
    assert sum(monthly) / 12 == pytest.approx(expected, rel=1e-6)


def test_marker_names_seed_and_settings(small_truth: SimulatedTruth) -> None:
    marker = json.loads((small_truth.folder / MARKER_NAME).read_text())
    assert marker["simulated"] is True
    assert marker["seed"] == 1
    assert marker["config"]["mines"] == 150


def test_a_simulation_that_fails_leaves_no_folder_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise OSError("the disk is full")

    monkeypatch.setattr("fvi_pipeline.simulator.folder.write_gem", fails)
    with pytest.raises(OSError, match="disk is full"):
        write_landing_folder(tmp_path / "landing", small_simulation_config())
    assert list(tmp_path.iterdir()) == []


def test_writing_the_same_simulation_again_keeps_what_others_put_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "landing"
    write_landing_folder(folder, small_simulation_config())
    (folder / "documents" / "mine.md").write_text("a user's own document")
    (folder / "eia_coal" / "coalpublic2019.csv").write_bytes(b"damaged")
    before = digests(folder)
    write_landing_folder(folder, small_simulation_config())
    changed = {name for name, digest in digests(folder).items() if before[name] != digest}
    assert changed == {"eia_coal/coalpublic2019.csv"}


def test_a_folder_of_other_files_is_refused_and_left_alone(small_truth: SimulatedTruth, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("real")
    with pytest.raises(SimulationConfigError, match="empty folder"):
        write_landing_folder(tmp_path, small_simulation_config())
    assert [path.name for path in tmp_path.iterdir()] == ["real.csv"]
    with pytest.raises(SimulationConfigError, match="other settings"):
        write_landing_folder(small_truth.folder, small_simulation_config(seed=99))


@pytest.mark.parametrize("settings", [{"mines": 5}, {"first_year": 2017}, {"last_year": 2030}, {"oracle_paths": 1}])
def test_impossible_settings_say_what_to_change(settings: dict[str, int]) -> None:
    with pytest.raises(SimulationConfigError):
        SimulationConfig(**settings)
