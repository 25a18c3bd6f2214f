"""The index of searches on a real PostgreSQL: nothing twice, a change of model, kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from fvi_pipeline.evidence.index import refresh
from fvi_pipeline.evidence.retrieval import Searcher, retrieve
from fvi_pipeline.evidence.vectors import current_model
from fvi_pipeline.platform.database import connect
from tests.integration.search_collection import WORDS, HashEmbedder, add, names, search, some_texts
from tests.integration.silver_documents import create_silver


@pytest.fixture
def connection(database_url):
    with connect(database_url) as opened:
        create_silver(opened)
        yield opened


def test_nothing_is_done_twice_and_sheets_may_wait(connection):
    add(connection, {"note": "A vent shaft."})
    add(
        connection,
        {f"sheet{n}": f"Mine number {n} is active.\n\nIt made {n} tons." for n in range(5)},
        kind="fact_sheet",
    )
    report = refresh(connection, WORDS, limit=2)
    assert (report.added, report.embedded, report.waiting) == (6, 3, 3)
    # that it waits for its vector says nothing against it
    assert (
        names(search(connection, "number 4", 1, mode="text")) == ["sheet4"] == names(search(connection, "number 4", 1))
    )
    assert search(connection, "number 4", 1)[0].similarity is None
    # the figures of a sheet are words and not meaning: another figure, the same vector
    add(connection, {"sheet0": "Mine number 0 is active.\n\nIt made 99 tons."}, kind="fact_sheet")
    report = refresh(connection, WORDS, limit=0)
    assert (report.added, report.removed, report.embedded, report.waiting) == (1, 1, 0, 3)
    assert refresh(connection, WORDS).embedded == 3
    before = connection.execute("select xmin, * from evidence.passages order by passage_no").fetchall()
    report = refresh(connection, WORDS)
    assert (report.added, report.removed, report.changed, report.embedded, report.waiting) == (0, 0, 0, 0, 0)
    assert connection.execute("select xmin, * from evidence.passages order by passage_no").fetchall() == before


def test_another_model_is_embedded_beside_the_old_one_and_then_takes_its_place(connection, database_url):
    texts = some_texts(20, 5)
    add(connection, texts)
    refresh(connection, WORDS)
    query = next(iter(texts.values()))
    other = HashEmbedder("other", dimension=48)
    old, seen = Searcher(WORDS), []
    assert old.retrieve(connection, query, 1, mode="vector")[0].similarity == pytest.approx(1, abs=1e-5)
    connection.commit()

    class KilledError(Exception):
        pass

    def killed(done, total):
        with connect(database_url, autocommit=True) as another:
            seen.append((current_model(another).model_name, len(old.retrieve(another, query, 5, mode="vector"))))
        raise KilledError

    with pytest.raises(KilledError):
        refresh(connection, other, killed)
    connection.rollback()
    assert seen == [("words", 5)]
    assert current_model(connection).model_name == "words"
    refresh(connection, other)
    assert current_model(connection).model_name == "other"
    assert names(retrieve(connection, other, query, 1, mode="vector")) == names(old.retrieve(connection, query, 1))
    # who still holds the former model is answered from its vectors; the one before it is gone
    assert len(old.retrieve(connection, query, 5, mode="vector")) == 5
    refresh(connection, HashEmbedder("other", dimension=48, salt="other weights by the same name"))
    states = connection.execute(
        "select state, count(*) from evidence.embedding_models group by 1 order by 1"
    ).fetchall()
    assert states == [("current", 1), ("retired", 1)]
    assert old.retrieve(connection, query, 5, mode="vector") == []
    assert len(old.retrieve(connection, query, 5)) == 5


def reconcile(connection, count):
    """Every chunk is a passage, has its words and its vector; and the counts of the words agree."""
    assert (
        connection.execute(
            """
        select (select count(*) from silver.silver_document_content), (select count(*) from evidence.passages),
            (select sum(sign * passages) from evidence.segments),
            (select count(*) from evidence.passages join evidence.chunk_embeddings using (embedded_sha256))
        """
        ).fetchone()
        == (count,) * 4
    )


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from tests.integration.search_collection import WORDS
from fvi_pipeline.evidence import index
from fvi_pipeline.platform.database import connect
place = {place!r}
def kill(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if place == "publish":
    index.make_current = kill
index.refresh(connect({url!r}), WORDS, kill if place == "embed" else None)
"""


@pytest.mark.parametrize("place", ["embed", "publish"])
def test_a_killed_refresh_leaves_the_old_index_and_the_next_one_completes(connection, database_url, request, place):
    texts = some_texts(100, 6)
    add(connection, texts)
    refresh(connection, WORDS)
    reconcile(connection, 100)
    before = search(connection, "mining seams")
    connection.commit()
    add(connection, {"t6-0": "another text", **some_texts(100, 7)})
    script = KILLED.format(root=str(request.config.rootpath), url=database_url, place=place)
    killed = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(request.config.rootpath)}
    )
    assert killed.returncode == -signal.SIGKILL
    assert search(connection, "mining seams") == before
    connection.commit()
    report = refresh(connection, WORDS)
    assert report.embedded == (101 - 64 if place == "embed" else 0)
    reconcile(connection, 200)


def test_postgres_that_dies_in_mid_run_leaves_nothing_half_indexed(connection, database_url):
    add(connection, some_texts(150, 8))
    refresh(connection, WORDS)
    add(connection, some_texts(150, 9))

    def cut(done, total):
        with connect(database_url, autocommit=True) as another:
            another.execute("select pg_terminate_backend(%s)", (connection.info.backend_pid,))

    with pytest.raises(Exception, match=r"terminat|closed|lost"):
        refresh(connection, WORDS, cut)
    with connect(database_url) as another:
        assert another.execute("select count(*) from evidence.passages").fetchone() == (150,)
        assert len(search(another, "mining seams")) == 10
        another.commit()
        refresh(another, WORDS)
        reconcile(another, 300)
