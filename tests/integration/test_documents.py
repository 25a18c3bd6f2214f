"""Files, notes and versions in landing.documents, their chunks, near-duplicates and mines, on a real PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from fvi_pipeline.evidence.chunks import chunk_documents
from fvi_pipeline.evidence.documents import load_documents
from fvi_pipeline.evidence.duplicates import mark_duplicates, shingles, similarity
from fvi_pipeline.evidence.mine_links import link_chunks
from fvi_pipeline.evidence.versions import DocumentVersion, put_versions
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.run.documents import DocumentsTaken, take_in_documents
from tests.conftest import Demo, embedded_settings
from tests.integration.silver_documents import create_silver

HTML = """<html><head><title>Longwall idled</title><meta name="date" content="2021-05-12"></head><body>
<nav>Home | News | Shop</nav><article><h1>Longwall idled</h1><p>The longwall of Olive Mine was idled on 3 May 2021
after a roof fall; the operator expects to start again in June, once the face is bolted and the inspector agrees.</p>
<h2>Crew</h2><p>All 120 people stay in place and work on the belts.</p></article>
<footer>Copyright</footer></body></html>"""


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with connect(database_url) as opened:
        create_silver(opened)
        yield opened


def write(folder: Path, name: str, content: str | bytes) -> None:
    path = folder / "documents" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def rows(connection: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    found = connection.execute(query.encode()).fetchall()
    connection.rollback()
    return found


def test_each_kind_of_file_becomes_passages_with_what_is_known_of_them(connection, tmp_path: Path) -> None:
    write(tmp_path, "idled.html", HTML)
    write(tmp_path, "report.md", "---\ndate: 2020-03-01\n---\n# Report\n\nRéserves de charbon de la mine, en millions.")
    write(tmp_path, "empty.html", "<html><body></body></html>")
    write(tmp_path, "huge.txt", b"a" * 20_000_001)
    write(tmp_path, "noise.txt", bytes(range(1, 32)) * 50)
    loaded = load_documents(connection, tmp_path)
    assert (loaded.files_loaded, loaded.files_rejected) == (2, 3)
    chunk_documents(connection)
    assert rows(
        connection,
        "select title, kind, source, language, document_date::text, dates::text, duplicate_group = chunk_id"
        " from silver.silver_document_content order by title",
    ) == [
        ("Longwall idled", "file", "documents/idled.html", "en", "2021-05-12", "{2021-05-03}", True),
        ("Report", "file", "documents/report.md", "fr", "2020-03-01", "{}", True),
    ]
    text = str(rows(connection, "select text from landing.documents where title = 'Longwall idled'")[0][0])
    assert "## Crew" in text
    assert "Shop" not in text
    reasons = dict(rows(connection, "select name, reason from landing.files where status = 'rejected'"))  # type: ignore[arg-type]
    assert "20,000,001 bytes" in str(reasons["documents/huge.txt"])
    assert "binary" in str(reasons["documents/noise.txt"])
    assert "no text" in str(reasons["documents/empty.html"])


def test_versions_one_is_current_and_the_others_are_kept(connection, tmp_path: Path) -> None:
    texts = ["The first text of the file.", "The second text of the file.", "The first text of the file."]
    for text in texts:
        write(tmp_path, "a.txt", text)
        load_documents(connection, tmp_path)
        chunk_documents(connection)
        assert rows(connection, "select text from silver.silver_document_content") == [(text,)]
    assert rows(connection, "select count(*), count(superseded_at) from landing.documents") == [(2, 1)]
    ledger = rows(connection, "select file_id, ingested_at from landing.files")
    assert load_documents(connection, tmp_path).files_known == 1
    assert chunk_documents(connection) == 0
    assert rows(connection, "select file_id, ingested_at from landing.files") == ledger


def sheet(mine: str, text: str) -> DocumentVersion:
    return DocumentVersion(f"fact-sheet:{mine}", f"sheet of {mine}", f"Sheet of {mine}", text, mine_links=(mine,))


def test_sheets_that_read_otherwise_take_the_place_of_former_ones(connection) -> None:
    def put(*sheets: DocumentVersion) -> tuple[int, int]:
        change = put_versions(connection, "fact_sheet", sheets, complete=True)
        chunk_documents(connection)
        return change.added, change.superseded

    assert put(sheet("gem:M1", "Score 50."), sheet("gem:M2", "Score 60.")) == (2, 0)
    assert put(sheet("gem:M1", "Score 50."), sheet("gem:M2", "Score 60.")) == (0, 0)
    assert put(sheet("gem:M1", "Score 51.")) == (1, 2)
    assert rows(connection, "select text from silver.silver_document_content") == [("Score 51.",)]
    assert put(sheet("gem:M1", "Score 50."), sheet("gem:M2", "Score 60.")) == (2, 1)
    assert rows(connection, "select text from silver.silver_document_content order by 1") == [
        ("Score 50.",),
        ("Score 60.",),
    ]
    assert rows(connection, "select count(*) from landing.documents") == [(3,)]


def passage(number: int, changed: int = 0) -> str:
    """120 words of its own for each number, of which the last `changed` are others."""
    words = [f"w{number}x{place}" for place in range(120)]
    return " ".join(words[: 120 - changed] + [f"z{number}x{place}" for place in range(changed)])


def test_planted_near_duplicates_are_grouped_exactly(connection, tmp_path: Path) -> None:
    for number in range(60):
        write(tmp_path, f"a{number:02d}.txt", passage(number))
        if number % 3 == 0:
            write(tmp_path, f"b{number:02d}.txt", passage(number, changed=number % 10))  # similarity 0.85 and more
        if number % 4 == 0:
            write(tmp_path, f"c{number:02d}.txt", passage(number, changed=30))  # similarity 0.6
    load_documents(connection, tmp_path)
    chunk_documents(connection)
    assert similarity(shingles(passage(0)), shingles(passage(0, changed=9))) > 0.8
    assert similarity(shingles(passage(0)), shingles(passage(0, changed=30))) < 0.8
    query = (
        "select d.source, f.source from landing.document_chunks as c join landing.documents as d using (document_id)"
        " join landing.document_chunks as l on l.chunk_id = c.duplicate_group"
        " join landing.documents as f on f.document_id = l.document_id"
    )
    groups = {str(name)[-7:-4]: str(first)[-7:-4] for name, first in rows(connection, query)}
    pairs = {frozenset((name, first)) for name, first in groups.items() if name != first}
    assert pairs == {frozenset((f"a{number:02d}", f"b{number:02d}")) for number in range(0, 60, 3)}
    # a copy that comes later joins its group; a group whose first goes has another first
    write(tmp_path, "later.txt", passage(3, changed=2))
    write(tmp_path, "a03.txt", "Something else.")
    load_documents(connection, tmp_path)
    chunk_documents(connection)
    later = rows(connection, query + " where d.source in ('documents/later.txt', 'documents/b03.txt')")
    assert len({first for _, first in later}) == 1
    assert "documents/a03.txt" not in {first for _, first in later}
    assert mark_duplicates(connection) == 0


def test_mines_are_linked_by_source_text_and_title(connection, tmp_path: Path) -> None:
    columns = (
        "mine_id text, msha_id text, gem_mine_ids text[], mine_name text, mine_name_local text, country text,"
        " state_province text, mine_county text, operating_company text, owners text, parent_company text,"
        " last_production_year int, tracker_status text"
    )
    connection.execute(f"create table silver.silver_mine_profiles ({columns})".encode())
    connection.execute("create table silver.silver_mine_crosswalk (mine_id text, msha_id text, gem_mine_id text)")
    connection.execute(
        "insert into silver.silver_mine_profiles (mine_id, msha_id, gem_mine_ids, mine_name, country) values"
        " ('msha:0000001', '0000001', '{M0001}', 'Olive Mine', 'United States'),"
        " ('gem:M0002', null, '{M0002}', 'Birch Coal Mine', 'Poland')"
    )
    connection.execute(
        "insert into silver.silver_mine_crosswalk values"
        " ('msha:0000001', '0000001', 'M0001'), ('gem:M0002', null, 'M0002')"
    )
    connection.commit()
    write(tmp_path, "idled.html", HTML)
    write(tmp_path, "birch.md", "# Birch Coal Mine\n\n" + "Nothing is said of its name here. " * 80)
    load_documents(connection, tmp_path)
    put_versions(
        connection, "wiki", [DocumentVersion("wiki:1", "wiki", "A page", "A text.", mine_links=("gem:M0001",))]
    )
    chunk_documents(connection)
    assert link_chunks(connection) == 6
    links = Counter(rows(connection, "select mine_id, how from evidence.chunk_mines"))
    assert links == {
        ("msha:0000001", "source"): 1,
        ("msha:0000001", "name"): 1,
        ("gem:M0002", "name"): 1,
        ("gem:M0002", "title"): 3,
    }
    ids = rows(connection, "select mine_ids from silver.silver_document_content where kind = 'wiki'")
    assert ids == [(["msha:0000001"],)]
    assert link_chunks(connection) == 0
    connection.execute("update silver.silver_mine_profiles set mine_name = 'Larch Mine' where mine_name = 'Olive Mine'")
    assert link_chunks(connection) == 6, "other mines: every passage is read again"
    assert ("msha:0000001", "name") not in rows(connection, "select mine_id, how from evidence.chunk_mines")


def test_a_folder_is_searchable_in_one_go_and_costs_nothing_the_second_time(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "idled.html", HTML)
    settings = embedded_settings(tmp_path / "home")
    told: list[str] = []

    def take_in() -> DocumentsTaken:
        with connect(database_url, autocommit=True) as connection:
            return take_in_documents(connection, settings, tmp_path, lambda what, done, total: told.append(what))

    with pytest.raises(PlatformError, match="fvi run"):
        take_in()
    with connect(database_url) as connection:
        create_silver(connection)
    first = take_in()
    assert (first.files.files_loaded, first.made.chunks) == (1, 1)
    assert first.made.index is not None
    assert first.made.index.embedded == 1
    assert told == ["files", "documents cut", "passages embedded"]
    with connect(database_url) as connection:
        assert rows(connection, "select title, kind from evidence.passages") == [("Longwall idled", "file")]
    monkeypatch.setattr("fvi_pipeline.run.documents.load_embedder", lambda name: pytest.fail("nothing is new"))
    second = take_in()
    assert (second.files.files_known, second.made.chunks, second.made.index) == (1, 0, None)


def test_after_a_run_every_mine_has_its_sheet_and_the_system_is_described(demo: Demo) -> None:
    with connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        mines, sheets = rows(
            connection,
            "select (select count(*) from silver.silver_mine_profiles), count(distinct document_id)"
            " from silver.silver_document_content where kind = 'fact_sheet'",
        )[0]
        assert mines == sheets
        scored = rows(
            connection,
            "select count(distinct s.mine_id),"
            " count(distinct s.mine_id) filter (where c.text like '%FVI scores as of%')"
            " from mart.fvi_scores as s left join silver.silver_document_content as c"
            " on c.kind = 'fact_sheet' and c.mine_ids = array[s.mine_id]"
            " where s.as_of_year = (select max(as_of_year) from mart.fvi_scores)",
        )[0]
        assert scored[0] == scored[1]
        system = rows(
            connection, "select series from landing.documents where kind = 'system' and superseded_at is null"
        )
        about = {str(series).split(":")[1].split("/")[0] for (series,) in system}
        assert about >= {"docs", "README.md", "feature", "weights", "model-card", "promotions", "files"}
        unlinked = rows(
            connection,
            "select count(*) from silver.silver_document_content"
            " where kind in ('fact_sheet', 'note') and mine_ids = '{}'",
        )
        assert unlinked == [(0,)]
