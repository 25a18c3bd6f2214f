"""PostgreSQL or the reader killed while documents are taken in: nothing is half there, the next run makes it good."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from fvi_pipeline.evidence.chunks import chunk_documents
from fvi_pipeline.evidence.documents import load_documents
from fvi_pipeline.platform.bootstrap import bootstrap
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.servers import running_servers, status
from tests.conftest import embedded_settings

_TAKE_IN = (
    "import sys\n"
    "from pathlib import Path\n"
    "from fvi_pipeline.evidence.chunks import chunk_documents\n"
    "from fvi_pipeline.evidence.documents import load_documents\n"
    "from fvi_pipeline.platform.database import connect\n"
    "with connect(sys.argv[1]) as connection:\n"
    "    load_documents(connection, Path(sys.argv[2]), progress=lambda done, total: print(done, flush=True))\n"
    "    chunk_documents(connection)\n"
)
_STATE = (
    "select f.name, f.status, f.rows_read, d.document_id, c.chunk_id, c.text, c.duplicate_group from landing.files as f"
    " left join landing.documents as d using (file_id) left join landing.document_chunks as c using (document_id)"
    " order by 1, 5"
)


def _paragraph(number: int) -> str:
    return " ".join(f"w{number}x{place}" for place in range(120))


def _rows(connection: psycopg.Connection, query: str) -> list[tuple[object, ...]]:
    found = connection.execute(query.encode()).fetchall()
    connection.rollback()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["postgres", "reader"])
def test_a_kill_in_mid_run_leaves_no_half_document_and_the_next_run_makes_it_good(tmp_path: Path, victim: str) -> None:
    folder = tmp_path / "landing"
    for number in range(120):
        path = folder / "documents" / f"a{number:03d}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Title {number}\n\n" + "\n\n".join(_paragraph(number * 5 + place) for place in range(5)))
    settings = embedded_settings(tmp_path / "home")
    with running_servers(settings) as servers:
        url = servers.database_url
        with connect(url) as connection:
            bootstrap(connection)
        process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_IN, url, str(folder)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 40:
                break
        if victim == "postgres":
            postmaster = next(server.pid for server in status(settings) if server.name == "PostgreSQL")
            assert postmaster is not None
            os.kill(postmaster, signal.SIGKILL)
            assert process.wait(timeout=30) != 0
        else:
            process.kill()
            process.wait()
        process.stdout.close()
    with running_servers(settings) as servers, _connected(servers.database_url) as connection:
        taken = _rows(connection, "select count(*) from landing.files")[0][0]
        assert isinstance(taken, int)
        assert 40 <= taken < 120
        assert _rows(connection, "select count(*) from landing.documents") == [(taken,)]
        assert _rows(connection, "select count(*) from landing.document_chunks") == [(0,)]
        load_documents(connection, folder)
        chunk_documents(connection)
        disturbed = _rows(connection, _STATE)
        connection.execute("truncate landing.files, landing.documents, landing.quarantine cascade")
        connection.commit()
        load_documents(connection, folder)
        chunk_documents(connection)
        assert _rows(connection, _STATE) == disturbed
        assert len(disturbed) > 400


def _connected(url: str) -> psycopg.Connection:
    """A connection to a server that may still recover from its crash."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return connect(url)
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
