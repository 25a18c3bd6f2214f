"""Notes and descriptions of GEM's geojson as documents. Files of `documents/` belong in `documents`."""

from datetime import datetime

import psycopg

from fvi_pipeline.evidence.chunking import text_sha256
from fvi_pipeline.evidence.cleaning import clean_text
from fvi_pipeline.evidence.versions import ID_DIGITS

_LICENCE = "CC BY 4.0"


def load_geojson_notes(connection: psycopg.Connection) -> int:
    """Make a document of every distinct note and description in landing.gem_mine_features; return how many are new.

    The same text at several mines is one document that links to all of them. Known from the earliest
    file that holds it. Commits once.
    """
    notes: dict[str, _Note] = {}
    connection.commit()
    with connection.transaction():
        rows = connection.execute(
            """
            SELECT m.notes, m.description, m.gem_mine_id, m.mine_name,
                   f.file_id, f.name, f.publisher, f.known_at
            FROM landing.gem_mine_features AS m JOIN landing.files AS f USING (file_id)
            WHERE m.notes IS NOT NULL OR m.description IS NOT NULL
            ORDER BY f.known_at, f.file_id, m.row_number
            """
        ).fetchall()
        for note, description, gem_mine_id, mine_name, file_id, file_name, publisher, known_at in rows:
            for text in (note, description):
                cleaned = clean_text(text or "")
                if not cleaned:
                    continue
                entry = notes.setdefault(cleaned, _Note(file_id, f"{publisher}, {file_name}", known_at))
                if gem_mine_id:
                    entry.mines.add(f"gem:{gem_mine_id}")
                if mine_name:
                    entry.names.add(mine_name)
        with connection.cursor() as cursor:
            cursor.execute("CREATE TEMP TABLE new_notes (LIKE landing.documents INCLUDING DEFAULTS) ON COMMIT DROP")
            with cursor.copy(
                "COPY new_notes (document_id, file_id, source, title, text, content_sha256, mine_links,"
                " known_at, licence, kind) FROM STDIN"
            ) as copy:
                for text, entry in notes.items():
                    digest = text_sha256(text)
                    copy.write_row(
                        (
                            f"gem-note:{digest[:ID_DIGITS]}",
                            entry.file_id,
                            entry.source,
                            _title(entry.names),
                            text,
                            digest,
                            sorted(entry.mines),
                            entry.known_at,
                            _LICENCE,
                            "note",
                        )
                    )
            before = _count(cursor)
            cursor.execute(
                """
                INSERT INTO landing.documents AS d
                SELECT * FROM new_notes
                ON CONFLICT (document_id) DO UPDATE
                    SET mine_links = EXCLUDED.mine_links, title = EXCLUDED.title,
                        file_id = EXCLUDED.file_id, source = EXCLUDED.source, known_at = EXCLUDED.known_at
                WHERE (d.mine_links, d.title, d.file_id, d.source, d.known_at)
                    IS DISTINCT FROM (EXCLUDED.mine_links, EXCLUDED.title, EXCLUDED.file_id, EXCLUDED.source,
                                      EXCLUDED.known_at)
                """
            )
            return _count(cursor) - before


class _Note:
    def __init__(self, file_id: int, source: str, known_at: datetime) -> None:
        self.file_id = file_id
        self.source = source
        self.known_at = known_at
        self.mines: set[str] = set()
        self.names: set[str] = set()


def _title(names: set[str]) -> str | None:
    if not names:
        return None
    ordered = sorted(names)
    more = f" and {len(ordered) - 3} more" if len(ordered) > 3 else ""
    return ", ".join(ordered[:3]) + more


def _count(cursor: psycopg.Cursor) -> int:
    row = cursor.execute("SELECT count(*) FROM landing.documents WHERE kind = 'note'").fetchone()
    return int(row[0]) if row else 0
