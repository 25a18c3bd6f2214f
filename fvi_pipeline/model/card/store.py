"""Cards made and kept: `ops.model_cards`, the artifacts of the version's run, and what was measured, so that a card can
be made again when the stored predictions are another version's by then.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import psycopg
from pydantic import TypeAdapter

from fvi_pipeline.model.card.facts import gather
from fvi_pipeline.model.card.measurements import Measurements, measure_fold
from fvi_pipeline.model.card.render import as_html, as_markdown
from fvi_pipeline.model.card.summary import Writer, summarise
from fvi_pipeline.model.registry import ModelRegistry
from fvi_pipeline.model.scoring import MODEL_NAME

MARKDOWN_FILE = "model_card.md"
HTML_FILE = "model_card.html"
ARTIFACTS = "card"
_INSERT = (
    "insert into ops.model_cards (model_name, version, markdown, facts_digest, measurements, made_at) "
    "values (%s, %s, %s, %s, %s, clock_timestamp()) on conflict (model_name, version) do update set "
    "markdown = excluded.markdown, facts_digest = excluded.facts_digest, measurements = excluded.measurements, "
    "made_at = excluded.made_at returning made_at"
)
_MEASUREMENTS = TypeAdapter(Measurements)


@dataclass(frozen=True)
class StoredCard:
    """A card as ops.model_cards has it; `is_new` if this call wrote it."""

    model_name: str
    version: str
    markdown: str
    made_at: datetime
    is_new: bool = False


def stored_card(connection: psycopg.Connection, model_name: str, version: str) -> StoredCard | None:
    """The card of a version as it was last made, or None."""
    row = connection.execute(
        "select markdown, made_at from ops.model_cards where model_name = %s and version = %s", [model_name, version]
    ).fetchone()
    return StoredCard(model_name, version, *row) if row else None


def make_card(
    connection: psycopg.Connection, registry: ModelRegistry, version: str, writer: Writer | None = None
) -> StoredCard:
    """Make the card of a registered version, keep it in the table and beside the version's files; commits.

    A card whose facts have not changed is left as it is, with its summary: the language model is asked once per state.

    Raises:
        RegistryError: there is no such version, or its files are gone.
    """
    logged = registry.logged(version)
    before = connection.execute(
        "select facts_digest, measurements from ops.model_cards where model_name = %s and version = %s",
        [registry.name, version],
    ).fetchone()
    kept = _MEASUREMENTS.validate_python(before[1]) if before and before[1] is not None else None
    fresh = None
    if registry.name == MODEL_NAME:
        fresh = measure_fold(connection, registry.name, int(logged.tags["train_until_year"]), logged.metrics)
    facts = gather(connection, registry, version, fresh or kept)
    plain = as_markdown(facts)
    digest = hashlib.sha256(plain.encode()).hexdigest()
    existing = stored_card(connection, registry.name, version)
    if existing and before and before[0] == digest:
        return existing
    connection.commit()  # a language model may take its time: no transaction stays open meanwhile
    markdown = as_markdown(facts, summarise(plain, writer)) if writer else plain
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / MARKDOWN_FILE).write_text(markdown)
        (Path(folder) / HTML_FILE).write_text(as_html(markdown, f"{registry.name}, version {version}"))
        registry.add_artifacts(version, Path(folder), ARTIFACTS)
    measured = json.dumps(asdict(facts.measurements)) if facts.measurements else None
    row = connection.execute(_INSERT, [registry.name, version, markdown, digest, measured]).fetchone()
    connection.commit()
    assert row is not None  # noqa: S101 (an insert that returns has a row)
    return StoredCard(registry.name, version, markdown, row[0], is_new=True)


def versions_to_describe(registry: ModelRegistry, connection: psycopg.Connection) -> list[str]:
    """Versions without a card, and those whose card may have changed: the newest, the champion, and the ones that the
    ledger speaks of since their card was made.
    """
    described: dict[str, datetime] = dict(
        connection.execute(
            "select version, made_at from ops.model_cards where model_name = %s", [registry.name]
        ).fetchall()
    )
    decided: dict[str, datetime] = dict(
        connection.execute(
            "select unnest(array[version, previous_version]), max(promoted_at) from ops.promotions "
            "where model_name = %s group by 1",
            [registry.name],
        ).fetchall()
    )
    versions = [entry.version for entry in registry.versions()]
    champion = registry.champion()
    always = {versions[-1] if versions else None, champion.version if champion else None}
    return [
        version
        for version in versions
        if version in always
        or version not in described
        or (version in decided and decided[version] > described[version])
    ]
