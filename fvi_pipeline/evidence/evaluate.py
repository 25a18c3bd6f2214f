"""`python -m fvi_pipeline.evidence.evaluate`: how well searches do on a collection of the user's own.

The documents are indexed in a database of their own, dropped afterwards, just as a run indexes those of `documents/`.
Measures are in `evaluation`; the project's own questions are in `questions`.
"""

import argparse
import json
import shutil
import sys
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from fvi_pipeline.evidence.evaluation import DEPTH, Measured, measure
from fvi_pipeline.evidence.query import MODES, Mode

if TYPE_CHECKING:
    from collections.abc import Iterator

    import psycopg

    from fvi_pipeline.evidence.embedding import Embedder
    from fvi_pipeline.evidence.retrieval import Searcher


class UnusableCollectionError(ValueError):
    """A file of queries or judgements cannot be read; the message names the line."""


def read_queries(path: Path) -> dict[str, str]:
    """Return the queries of a file by identifier: lines of identifier, white space, text."""
    queries = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            name, _, text = line.strip().partition("\t") if "\t" in line else line.strip().partition(" ")
            if not text.strip():
                raise UnusableCollectionError(f"{path}, line {number}: write an identifier, a tab and the query.")
            queries[name] = text.strip()
    return queries


def read_judgements(path: Path) -> dict[str, dict[str, float]]:
    """Return grades by query and document from TREC's qrels: lines of query, 0, document, grade (or without 0)."""
    judgements: dict[str, dict[str, float]] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        fields = line.split()
        if fields:
            try:
                query, document, grade = fields[0], fields[-2], float(fields[-1])
            except (IndexError, ValueError) as error:
                raise UnusableCollectionError(f"{path}, line {number}: write query, 0, document and grade.") from error
            judgements.setdefault(query, {})[document] = max(grade, 0.0)
    return judgements


def search_all(
    connection: "psycopg.Connection", searcher: "Searcher", queries: Mapping[str, str], mode: Mode
) -> dict[str, list[str]]:
    """Return the first documents by query, named by the stem of their file."""
    return {
        name: [PurePosixPath(found.source).stem for found in searcher.retrieve(connection, text, DEPTH, mode=mode)]
        for name, text in queries.items()
    }


def compare(
    connection: "psycopg.Connection",
    searcher: "Searcher",
    queries: Mapping[str, str],
    judgements: Mapping[str, Mapping[str, float]],
) -> dict[Mode, dict[str, Measured]]:
    """Return the measures of each mode on what is indexed."""
    judged = {name: gains for name, gains in judgements.items() if name in queries}
    return {mode: measure(search_all(connection, searcher, queries, mode), judged) for mode in MODES}


@contextmanager
def indexed(documents: Path, embedder: "Embedder", progress: bool) -> "Iterator[psycopg.Connection]":
    """Take a folder's files in and index them, in a database of their own that is dropped at the end."""
    import psycopg

    from fvi_pipeline.evidence.chunks import chunk_documents
    from fvi_pipeline.evidence.collection import create_views
    from fvi_pipeline.evidence.documents import load_documents
    from fvi_pipeline.evidence.index import refresh
    from fvi_pipeline.platform.bootstrap import bootstrap
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    settings = get_settings()
    with running_servers(settings) as servers, tempfile.TemporaryDirectory() as scratch:
        name = f"evaluate_{uuid.uuid4().hex[:12]}"
        with psycopg.connect(servers.database_url, autocommit=True) as connection:
            connection.execute(f'create database "{name}"'.encode())
        try:
            with psycopg.connect(servers.database_url, dbname=name) as connection:
                bootstrap(connection)
                create_views(connection, settings.dbt_project_dir)
                shutil.copytree(documents, Path(scratch) / "documents")
                load_documents(connection, Path(scratch))
                chunk_documents(connection)
                refresh(connection, embedder, _show if progress else None)
                yield connection
        finally:
            with psycopg.connect(servers.database_url, autocommit=True) as connection:
                connection.execute(f'drop database "{name}" with (force)'.encode())


def main() -> None:
    """Print nDCG, recall and reciprocal rank by words, by meaning and fused, with intervals."""
    parser = argparse.ArgumentParser(
        prog="python -m fvi_pipeline.evidence.evaluate",
        description="Measure searches on a collection of your own, or on the project's questions.",
    )
    parser.add_argument("--documents", type=Path, help="folder of files, each named by its document's identifier")
    parser.add_argument("--queries", type=Path, help="lines of identifier, tab, query")
    parser.add_argument("--judgements", type=Path, help="TREC's qrels: lines of query, 0, document, grade")
    parser.add_argument("--own", action="store_true", help="the project's own questions, on what FVI_HOME has indexed")
    parser.add_argument("--constants", type=int, nargs="*", default=[], help="constants of the fusion to compare too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    files = (arguments.documents, arguments.queries, arguments.judgements)
    if arguments.own == any(files) or (any(files) and not all(files)):
        parser.error("give --documents, --queries and --judgements, or --own")
    from fvi_pipeline.cli.quiet import quiet_libraries
    from fvi_pipeline.evidence.embedding import load_embedder
    from fvi_pipeline.platform.settings import get_settings

    quiet_libraries()
    settings = get_settings()
    embedder = load_embedder(settings.embedding_model, settings.embedding_exports_dir)
    if arguments.own:
        tables = _own(embedder, arguments.constants)
    else:
        tables = _given(embedder, *files, constants=arguments.constants)
    if arguments.json:
        print(json.dumps(tables, default=asdict))
    else:
        _print(tables)


_Tables = dict[str, dict[Mode, dict[str, Measured]]]


def _given(embedder: "Embedder", documents: Path, queries: Path, judgements: Path, constants: list[int]) -> _Tables:
    from fvi_pipeline.evidence.retrieval import Searcher

    asked, judged = read_queries(queries), read_judgements(judgements)
    with indexed(documents, embedder, progress=sys.stderr.isatty()) as connection:
        tables = {f"{len(asked)} queries": compare(connection, Searcher(embedder), asked, judged)}
        for constant in constants:
            tables[f"constant {constant}"] = compare(connection, Searcher(embedder, constant), asked, judged)
    return tables


def _own(embedder: "Embedder", constants: list[int]) -> _Tables:
    from fvi_pipeline.evidence.questions import measure_questions, question_sets
    from fvi_pipeline.evidence.retrieval import Searcher
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    tables: _Tables = {}
    with running_servers(get_settings()) as servers, connect(servers.database_url, autocommit=True) as connection:
        for name, questions in question_sets(connection).items():
            tables[f"{name}, {len(questions)} questions"] = measure_questions(connection, Searcher(embedder), questions)
            for constant in constants:
                searcher = Searcher(embedder, constant)
                tables[f"{name}, constant {constant}"] = measure_questions(connection, searcher, questions)
    return tables


def _show(done: int, total: int) -> None:
    print(f"\r{done} of {total} passages embedded", end="" if done < total else "\n", file=sys.stderr)


def _print(tables: _Tables) -> None:
    from rich.console import Console
    from rich.table import Table

    for title, modes in tables.items():
        table = Table(title=title)
        table.add_column("")
        for label in next(iter(modes.values())):
            table.add_column(label)
        for mode, figures in modes.items():
            table.add_row(mode, *(f"{one.mean:.3f}  ({one.low:.3f}–{one.high:.3f})" for one in figures.values()))
        Console().print(table)


if __name__ == "__main__":
    main()
