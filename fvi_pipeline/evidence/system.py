"""What the system says of itself as documents: its pages, features, metrics, models, runs and files.

Facts that change every night are rounded or left out, so that a document changes when something has. Sheets of mines
belong in `fact_sheets`; a language model's answers in `bentos`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from fvi_pipeline.evidence.cleaning import clean_text
from fvi_pipeline.evidence.reading import read_document
from fvi_pipeline.evidence.versions import DocumentVersion, VersionChanges, put_versions

_PAGES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs/*.md", "docs/decisions/*.md")
_MODEL = "FVI model registry"
_CATALOGUE = "FVI feature catalogue"


def refresh_system_documents(connection: psycopg.Connection, project: Path) -> VersionChanges:
    """Keep the documents about the system in step with `project` (its README.md and docs/) and the ops and mart tables.

    What is gone (a page, a feature) is superseded. A table that is not there yet gives no document. One transaction.
    """
    connection.commit()
    with connection.transaction():
        documents = [
            *_pages(project),
            *_features(connection),
            *_weights(connection),
            *_model_cards(connection),
            *_decisions(connection),
            *_runs(connection),
            *_files(connection),
        ]
        return put_versions(connection, "system", documents, complete=True)


def _pages(project: Path) -> Iterator[DocumentVersion]:
    for pattern in _PAGES:
        for path in sorted(project.glob(pattern)):
            name = path.relative_to(project).as_posix()
            content = path.read_bytes()
            if content.strip():
                page = read_document(name, content)
                yield DocumentVersion(f"system:{name}", name, page.title, page.text, language="en")


def _features(connection: psycopg.Connection) -> Iterator[DocumentVersion]:
    for row in _rows(connection, "mart.feature_catalogue", "SELECT * FROM mart.feature_catalogue ORDER BY position"):
        role = "an input of the model" if row["model_role"] == "input" else "a candidate that the model does not use"
        sentences = [
            f"Feature {row['feature']}: {row['description'].rstrip('.')}.",
            f"It is {role}, of category {row['category']}, in {row['unit']}; null means: {row['null_means']}.",
            f"Made from {', '.join(row['sources'])}.",
        ]
        if row["null_rate"] is not None:
            sentences.append(f"{row['null_rate']:.0%} of its {row['rows']:,} rows are null.")
        if row["mean"] is not None:
            sentences.append(
                f"It goes from {row['minimum']:.4g} to {row['maximum']:.4g}, on average {row['mean']:.3g}."
            )
        if row["information_gain"] is not None:
            sentences.append(f"Information gain: {row['information_gain']:.3f}.")
        if row["drift_level"]:
            sentences.append(f"Drift against the training data: {row['drift_level']}.")
        yield _about(f"feature:{row['feature']}", _CATALOGUE, f"Feature {row['feature']}", " ".join(sentences))


def _weights(connection: psycopg.Connection) -> Iterator[DocumentVersion]:
    rows = _rows(
        connection,
        "mart.fvi_weights",
        "SELECT * FROM mart.fvi_weights WHERE night = (SELECT max(night) FROM mart.fvi_weights) "
        "ORDER BY weight DESC, metric",
    )
    if not rows:
        return
    lines = [
        f"- {row['metric']}: weight {row['weight']:.3f}, base weight {row['base_weight']:.2f}, "
        f"data quality {row['quality']:.2f}"
        + (f", information gain {row['information_gain']:.3f}" if row["information_gain"] is not None else "")
        + (f", overridden by {row['override_author']}: {row['override_reason']}" if row["override_author"] else "")
        for row in rows
    ]
    text = "The share of each metric in the FVI index, the heaviest first (dynamic weights).\n\n" + "\n".join(lines)
    yield _about("weights", "mart.fvi_weights", "Dynamic weights of the index's metrics", text)


def _model_cards(connection: psycopg.Connection) -> Iterator[DocumentVersion]:
    query = "SELECT DISTINCT ON (model_name) * FROM ops.model_cards ORDER BY model_name, made_at DESC"
    for row in _rows(connection, "ops.model_cards", query):
        title = f"Model card: {row['model_name']}, version {row['version']}"
        yield _about(f"model-card:{row['model_name']}", _MODEL, title, clean_text(row["markdown"]))


def _decisions(connection: psycopg.Connection) -> Iterator[DocumentVersion]:
    query = """
        SELECT model_name, version, previous_version, decision, reason, actor, promoted_at, train_until_year
        FROM (SELECT *, row_number() OVER (PARTITION BY model_name ORDER BY promoted_at DESC) AS place
              FROM ops.promotions) AS placed
        WHERE place <= 10 ORDER BY model_name, promoted_at DESC
    """
    rows = _rows(connection, "ops.promotions", query)
    for name in sorted({row["model_name"] for row in rows}):
        lines = []
        for row in rows:
            if row["model_name"] != name:
                continue
            trained = f", trained on outcomes until {row['train_until_year']}" if row["train_until_year"] else ""
            before = f" (before it: version {row['previous_version']})" if row["previous_version"] else ""
            lines.append(
                f"- {row['promoted_at']:%Y-%m-%d %H:%M} UTC: version {row['version']}: "
                f"{row['decision'].replace('_', ' ')} by {row['actor']}{before}{trained}. Reason: {row['reason']}"
            )
        text = f"Which version of {name} is served, promoted, refused or rolled back, the newest first.\n\n"
        yield _about(f"promotions:{name}", _MODEL, f"Promotions of {name}", text + "\n".join(lines))


def _runs(connection: psycopg.Connection) -> Iterator[DocumentVersion]:
    query = """
        SELECT run_id, min(started_at) AS started_at, sum(seconds) AS seconds, count(*) AS stages,
               max(peak_memory_megabytes) AS megabytes,
               (array_agg(stage || ' ' || round(seconds) || ' s' ORDER BY seconds DESC))[1:8] AS longest
        FROM ops.stage_runs GROUP BY run_id ORDER BY 2 DESC LIMIT 5
    """
    lines = [
        f"- {row['started_at']:%Y-%m-%d %H:%M} UTC (run {row['run_id'][:8]}): "
        f"{row['stages']} stages in {row['seconds']:.0f} s"
        + (f", at most {row['megabytes']:,.0f} MB" if row["megabytes"] else "")
        + f". Longest: {', '.join(row['longest'])}."
        for row in _rows(connection, "ops.stage_runs", query)
    ]
    if lines:
        text = "The last runs of the pipeline, the newest first, with how long their stages took.\n\n" + "\n".join(
            lines
        )
        yield _about("runs", "ops.stage_runs", "Runs of the pipeline", text)


def _files(connection: psycopg.Connection) -> Iterator[DocumentVersion]:
    query = """
        SELECT publisher, coalesce(feed, 'not taken') AS feed, count(*) AS files,
               count(*) FILTER (WHERE status = 'rejected') AS rejected, sum(rows_read) AS rows_read,
               sum(rows_quarantined) AS quarantined, min(period) AS first_period, max(period) AS last_period,
               max(known_at) FILTER (WHERE feed <> 'documents') AS known_at
        FROM landing.files GROUP BY publisher, feed ORDER BY publisher NULLS LAST, feed
    """
    lines = []
    for row in _rows(connection, "landing.files", query):
        periods = f", periods {row['first_period']} to {row['last_period']}" if row["first_period"] else ""
        known = f", newest known on {row['known_at']:%Y-%m-%d}" if row["known_at"] else ""
        lines.append(
            f"- {row['feed']} ({row['publisher'] or 'publisher unknown'}): {row['files']:,} files, "
            f"{row['rejected']:,} rejected; {row['rows_read']:,} rows read, "
            f"{row['quarantined']:,} quarantined{periods}{known}"
        )
    if lines:
        text = "What was taken in so far, by feed: files, rows, and what was refused.\n\n" + "\n".join(lines)
        yield _about("files", "landing.files", "Files taken in", text)


def _about(topic: str, source: str, title: str, text: str) -> DocumentVersion:
    return DocumentVersion(f"system:{topic}", source, title, text, language="en")


def _rows(connection: psycopg.Connection, table: str, query: str) -> list[dict[str, Any]]:
    found = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
    if found is None or found[0] is None:
        return []
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(query.encode()).fetchall()
