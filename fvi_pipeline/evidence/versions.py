"""Versions of documents in landing.documents: one current for each series, the former ones superseded and kept.

For documents that are made or fetched as a whole (wiki pages, fact sheets, what the system says of itself). Files of
`documents/` have the ledger to follow and are taken in by `documents`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime

import psycopg

from fvi_pipeline.evidence.chunking import text_sha256

ID_DIGITS = 16


@dataclass(frozen=True)
class DocumentVersion:
    """One version of a document. `series` says of what: another text or title under it takes the place of this one.

    `mine_links` are identifiers of mines as the source writes them, or our own.
    """

    series: str
    source: str
    title: str
    text: str
    licence: str | None = None
    mine_links: tuple[str, ...] = ()
    language: str | None = None
    document_date: date | None = None
    url: str | None = None
    revision_id: int | None = None
    revision_at: datetime | None = None
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", text_sha256(f"{self.title}\0{self.text}"))

    @property
    def document_id(self) -> str:
        """Series and start of the digest: the same content under the same series is the same document."""
        return f"{self.series}:{self.digest[:ID_DIGITS]}"


@dataclass(frozen=True)
class VersionChanges:
    """What `put_versions` changed: new texts, and former ones that are no longer current."""

    added: int
    superseded: int


def put_versions(
    connection: psycopg.Connection, kind: str, documents: Iterable[DocumentVersion], *, complete: bool = False
) -> VersionChanges:
    """Make these the current versions of their series; known from now. What is current already is left as it is.

    With `complete`, they are all that there is of the kind: what is not among them is superseded. One transaction (or
    a part of the caller's). A version that comes back is current again, known from when it was first.
    """
    documents = list(documents)  # whoever makes them may read from this connection, which a COPY keeps busy
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute(
            "CREATE TEMP TABLE new_versions (LIKE landing.documents INCLUDING DEFAULTS) ON COMMIT DROP;"
            "ALTER TABLE new_versions ALTER known_at SET DEFAULT now()"
        )
        with cursor.copy(
            "COPY new_versions (document_id, series, kind, source, title, text, content_sha256, mine_links, licence,"
            " language, document_date, url, revision_id, revision_at) FROM STDIN"
        ) as copy:
            for document in documents:
                copy.write_row(
                    (
                        document.document_id,
                        document.series,
                        kind,
                        document.source,
                        document.title,
                        document.text,
                        document.digest,
                        list(document.mine_links),
                        document.licence,
                        document.language,
                        document.document_date,
                        document.url,
                        document.revision_id,
                        document.revision_at,
                    )
                )
        cursor.execute("ANALYZE new_versions")
        superseded = cursor.execute(
            """
            UPDATE landing.documents AS d SET superseded_at = now()
            WHERE d.kind = %(kind)s AND d.superseded_at IS NULL
              AND NOT EXISTS (SELECT FROM new_versions AS n WHERE n.document_id = d.document_id)
              AND (%(complete)s OR d.series IN (SELECT n.series FROM new_versions AS n))
            """,
            {"kind": kind, "complete": complete},
        ).rowcount
        added = cursor.execute(
            """
            INSERT INTO landing.documents AS d SELECT * FROM new_versions
            ON CONFLICT (document_id) DO UPDATE SET superseded_at = NULL WHERE d.superseded_at IS NOT NULL
            """
        ).rowcount
        # facts about a version that are not its text may change without making it another one
        cursor.execute(
            """
            UPDATE landing.documents AS d
            SET mine_links = n.mine_links, source = n.source, licence = n.licence, url = n.url,
                revision_id = n.revision_id, revision_at = n.revision_at
            FROM new_versions AS n
            WHERE n.document_id = d.document_id
              AND (d.mine_links, d.source, d.licence, d.url, d.revision_id, d.revision_at)
                  IS DISTINCT FROM (n.mine_links, n.source, n.licence, n.url, n.revision_id, n.revision_at)
            """
        )
        cursor.execute("DROP TABLE new_versions")
    return VersionChanges(added, superseded)
