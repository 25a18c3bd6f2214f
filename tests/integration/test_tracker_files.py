"""A release of the tracker that comes as two CSV files is one release in the warehouse."""

from __future__ import annotations

from pathlib import Path

import psycopg

from fvi_pipeline.feeds.ingest import ingest_folder
from fvi_pipeline.platform.servers import Servers
from tests.integration.warehouse import new_warehouse
from tests.unit.feeds.files import ROWS_2013, eia_csv
from tests.unit.feeds.files_gem import APRIL_2024_CLOSED, APRIL_2024_OPEN, closed_mine, mine, tracker_csv

OPEN = [mine(), mine(GEM_Mine_ID="M0002", MSHA_ID=103381, Country="United States")]
CLOSED = [
    closed_mine(GEM_Mine_ID="M0003", MSHA_ID=103380, Mine_Depth_m=610),
    closed_mine(GEM_Mine_ID="M0004", Latitude="50,5"),
]
FILES = {
    "eia_coal/coalpublic2013.csv": eia_csv(rows=ROWS_2013),
    "gem/Global Coal Mine Tracker - April 2024 open.csv": tracker_csv(APRIL_2024_OPEN, OPEN, ";"),
    "gem/Global Coal Mine Tracker - April 2024 closed.csv": tracker_csv(APRIL_2024_CLOSED, CLOSED, ";"),
}


def test_two_csv_files_are_one_release(servers: Servers, tmp_path: Path) -> None:
    for name, content in FILES.items():
        (tmp_path / "files" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "files" / name).write_bytes(content)
    with new_warehouse(servers, tmp_path / "home") as warehouse:
        with psycopg.connect(warehouse.url) as connection:
            ingest_folder(connection, tmp_path / "files")
        ledger = "select period, known_at_rule from landing.files where feed = 'gem_coal_mines' order by 1"
        assert warehouse.rows(ledger) == [("2024-04 closed", "publisher's date"), ("2024-04 open", "publisher's date")]
        models = ("+silver_mine_profiles", "silver_mine_tracker_history")
        warehouse.dbt("build", "--select", *models, "--exclude-resource-type", "test", "unit_test")
        profiles = "select mine_id, tracker_status, closing_year, latitude::float from silver.silver_mine_profiles"
        tracked = warehouse.rows(f"{profiles} where tracker_known_at is not null order by 1")
        history = "select mine_id, release_year, mine_depth_m from silver.silver_mine_tracker_history"
        assert warehouse.rows(f"{history} order by 1") == [("msha:0103380", 2023, 610.0), ("msha:0103381", 2023, 950.0)]
    assert tracked == [
        ("gem:M0003", "Closed", 2015, 51.33),
        ("gem:M0004", "Closed", 2015, 50.5),
        ("gem:M1700", "Operating", None, 51.33),
        ("msha:0103381", "Operating", None, 51.33),
    ]
