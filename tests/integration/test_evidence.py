"""From files and notes to passages on a real PostgreSQL with pgvector and the real MiniLM."""

from datetime import UTC, datetime

import pytest

from fvi_pipeline.evidence.chunks import chunk_documents
from fvi_pipeline.evidence.documents import load_documents
from fvi_pipeline.evidence.embedding import load_embedder
from fvi_pipeline.evidence.index import refresh
from fvi_pipeline.evidence.notes import load_geojson_notes
from fvi_pipeline.evidence.retrieval import retrieve
from fvi_pipeline.platform.database import connect
from tests.integration.silver_documents import create_silver

DOCUMENTS = {
    "methane.md": "# Methane\n\nDrained gas from the longwall is burned in engines that make electricity.",
    "union.txt": "The miners' union signed a five-year wage agreement after a strike of three weeks.",
    "rail.txt": "Freight rates of the railway rose by a tenth; the port cannot load more ships.",
    "flood.txt": "A river broke through the dam and the pit was under water for two months.",
    "reserves.txt": "Proven reserves last for forty years at the present rate of extraction.",
    "closure.txt": "The owner filed for bankruptcy; the mine will be sealed and the site reclaimed.",
    "power/plant.txt": "The power station that buys all of the coal will be retired by 2030.",
}


@pytest.fixture(scope="session")
def embedder():
    return load_embedder()


@pytest.fixture
def connection(database_url):
    with connect(database_url) as opened:
        create_silver(opened)
        yield opened


@pytest.fixture
def folder(tmp_path):
    for name, text in DOCUMENTS.items():
        path = tmp_path / "documents" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def add_notes(connection, rows):
    connection.execute(
        """
        INSERT INTO landing.files (file_id, publisher, feed, name, sha256, size_bytes, known_at, ingested_at,
            rows_read, rows_loaded, rows_quarantined, status, simulated)
        VALUES (1, 'Global Energy Monitor', 'gem_mine_features', 'gem/mines.geojson', 'abc', 1, %s, now(),
                %s, %s, 0, 'loaded', true)
        """,
        (datetime(2026, 5, 12, tzinfo=UTC), len(rows), len(rows)),
    )
    with connection.cursor() as cursor:
        cursor.executemany(
            """
            INSERT INTO landing.gem_mine_features
                (file_id, row_number, feature_id, gem_mine_id, mine_name, notes, description)
            VALUES (1, %s, %s, %s, %s, %s, %s)
            """,
            [(number, f"F{number}", *row) for number, row in enumerate(rows, start=1)],
        )
    connection.commit()


def table(connection, query):
    return connection.execute(query).fetchall()


def take_in(connection, embedder, folder):
    load_documents(connection, folder)
    load_geojson_notes(connection)
    chunk_documents(connection)
    return refresh(connection, embedder).embedded


def test_passages_are_found_by_meaning(connection, embedder, folder):
    add_notes(
        connection,
        [
            ("M0001", "Olive Mine", "The vent was found on satellite pictures.", "Main air shaft"),
            ("M0002", "Birch Mine", "The vent was found on satellite pictures.", ""),
            ("M0003", "Cedar Mine", None, "Conveyor to the washery"),
        ],
    )
    assert take_in(connection, embedder, folder) == len(DOCUMENTS) + 3
    for query, source in [
        ("labour dispute and pay", "documents/union.txt"),
        ("insolvency of the operator", "documents/closure.txt"),
        ("transport bottleneck", "documents/rail.txt"),
        ("customer stops burning coal", "documents/power/plant.txt"),
        ("gas capture", "documents/methane.md"),
    ]:
        passages = retrieve(connection, embedder, query, 3)
        assert passages[0].source == source, query
        scores = [passage.score for passage in passages]
        assert scores == sorted(scores, reverse=True)
        assert len(passages) == 3
    assert retrieve(connection, embedder, "washery at Cedar Mine", 1)[0].text == "Conveyor to the washery"
    shared = table(
        connection,
        "SELECT mine_links, title, known_at FROM landing.documents WHERE text LIKE 'The vent%'",
    )
    assert shared == [(["gem:M0001", "gem:M0002"], "Birch Mine, Olive Mine", datetime(2026, 5, 12, tzinfo=UTC))]


def test_a_second_time_costs_nothing_and_changes_nothing(connection, embedder, folder):
    add_notes(connection, [("M0001", "Olive Mine", "An air shaft.", "An air shaft.")])
    everything = (
        "SELECT d.*, c.chunk_id, c.text, e.embedded_sha256, e.embedded_at FROM landing.documents d "
        "JOIN landing.document_chunks c USING (document_id) "
        "JOIN evidence.passages p USING (chunk_id) JOIN evidence.chunk_embeddings e USING (embedded_sha256) "
        "ORDER BY c.chunk_id"
    )
    take_in(connection, embedder, folder)
    before = table(connection, everything), table(connection, "SELECT * FROM landing.files ORDER BY 1")
    assert len(before[0]) == len(DOCUMENTS) + 1
    assert take_in(connection, embedder, folder) == 0
    assert (
        table(connection, everything),
        table(connection, "SELECT * FROM landing.files ORDER BY 1"),
    ) == before


def test_bad_files_are_in_the_ledger_with_their_reason(connection, folder):
    (folder / "documents" / "scan.docx").write_bytes(b"PK\x03\x04")
    (folder / "documents" / "empty.md").write_bytes(b"")
    loaded = load_documents(connection, folder)
    assert (loaded.files_loaded, loaded.files_rejected) == (len(DOCUMENTS), 2)
    rejected = table(
        connection, "SELECT name, reason, rows_read FROM landing.files WHERE status = 'rejected' ORDER BY 1"
    )
    assert [(name, rows) for name, _, rows in rejected] == [
        ("documents/empty.md", 0),
        ("documents/scan.docx", 0),
    ]
    assert all(reason for _, reason, _ in rejected)
    again = load_documents(connection, folder)
    assert (again.files_loaded, again.files_rejected, again.files_known) == (0, 0, len(DOCUMENTS) + 2)


def test_a_changed_file_replaces_its_former_version(connection, embedder, folder):
    take_in(connection, embedder, folder)
    path = folder / "documents" / "flood.txt"
    former = path.read_text()
    path.write_text("An earthquake tore the shaft apart.")
    assert take_in(connection, embedder, folder) == 1
    texts = {passage.text for passage in retrieve(connection, embedder, "flooded by the river", 50)}
    assert former not in texts
    assert "An earthquake tore the shaft apart." in texts
    assert table(connection, "SELECT count(*) FROM landing.documents WHERE superseded_at IS NOT NULL") == [(1,)]
    path.write_text(former)
    assert take_in(connection, embedder, folder) == 1
    assert retrieve(connection, embedder, "flooded by the river", 1)[0].text == former


def test_long_texts_are_taken_whole(connection, embedder, tmp_path):
    (tmp_path / "documents").mkdir()
    long = " ".join(f"In year {year} the mine hauled {year * 7} tonnes." for year in range(1900, 2000))
    (tmp_path / "documents" / "long.txt").write_text(long + " The mascot of the mine is a green parrot.")
    assert take_in(connection, embedder, tmp_path) > 3
    assert "parrot" in retrieve(connection, embedder, "bird that stands for the mine", 1, mode="vector")[0].text
