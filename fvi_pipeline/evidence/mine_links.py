"""evidence.chunk_mines kept in step: the mines that each chunk is about, from its source, its text and its title.

How a text is read for mines belongs in `links`.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict

import psycopg

from fvi_pipeline.evidence.links import Gazetteer, GazetteerMine

_READ_FOR_NAMES = ("file", "note", "wiki")
"""Sheets say whom they are about, and pages about the system name mines as examples only."""
_RULES = "links-1"
"""Name of the rules of reading; change the number with the code, and every chunk is read again."""
_BATCH = 2_000

Progress = Callable[[int, int], None]


def link_chunks(connection: psycopg.Connection, progress: Progress | None = None) -> int:
    """Find the mines of every chunk that was not read yet, or with another gazetteer; return how many were read.

    One transaction for each batch: after a kill, the next call goes on. Without silver_mine_profiles (nothing was
    built yet) nothing happens. `progress` is called with (chunks read, chunks to read).
    """
    connection.commit()
    with connection.transaction():
        if not _is_built(connection):
            return 0
        mines = read_gazetteer(connection)
        ours = _our_identifiers(connection)
        digest = _digest(mines, ours)
        waiting = [
            chunk_id
            for (chunk_id,) in connection.execute(
                "SELECT chunk_id FROM landing.document_chunks WHERE linked_with IS DISTINCT FROM %s ORDER BY chunk_id",
                (digest,),
            )
        ]
    gazetteer = Gazetteer(mines) if waiting else None
    for start in range(0, len(waiting), _BATCH):
        batch = waiting[start : start + _BATCH]
        with connection.transaction():
            _link(connection, gazetteer, ours, batch, digest)
        if progress is not None:
            progress(start + len(batch), len(waiting))
    return len(waiting)


def _link(
    connection: psycopg.Connection, gazetteer: Gazetteer | None, ours: dict[str, str], batch: list[str], digest: str
) -> None:
    rows = connection.execute(
        """
        SELECT c.chunk_id, c.text, c.section, d.title, d.kind, d.mine_links
        FROM landing.document_chunks AS c JOIN landing.documents AS d USING (document_id)
        WHERE c.chunk_id = ANY (%s) ORDER BY c.chunk_id FOR UPDATE OF c
        """,
        (batch,),
    ).fetchall()
    links: dict[tuple[str, str], tuple[str, str | None]] = {}
    in_title: dict[str, list[str]] = {}
    for chunk_id, text, section, title, kind, mine_links in rows:
        for link in mine_links:
            if link in ours:
                links[chunk_id, ours[link]] = ("source", None)
        if gazetteer is None or kind not in _READ_FOR_NAMES:
            continue
        around = "\n".join(filter(None, (title, section)))
        for mention in gazetteer.mentions(text, around):
            links.setdefault((chunk_id, mention.mine_id), (mention.how, mention.words))
        if title and kind != "note":
            if title not in in_title:
                in_title[title] = [mention.mine_id for mention in gazetteer.mentions(title, text)]
            # a title that names two mines does not say which of them a chunk is about
            if len(in_title[title]) == 1:
                links.setdefault((chunk_id, in_title[title][0]), ("title", None))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM evidence.chunk_mines WHERE chunk_id = ANY (%s)", (batch,))
        with cursor.copy("COPY evidence.chunk_mines (chunk_id, mine_id, how, mention) FROM STDIN") as copy:
            for (chunk_id, mine_id), (how, words) in links.items():
                copy.write_row((chunk_id, mine_id, how, words))
        cursor.execute("UPDATE landing.document_chunks SET linked_with = %s WHERE chunk_id = ANY (%s)", (digest, batch))


def _is_built(connection: psycopg.Connection) -> bool:
    row = connection.execute(
        "SELECT to_regclass('silver.silver_mine_profiles') IS NOT NULL"
        " AND to_regclass('silver.silver_mine_crosswalk') IS NOT NULL"
    ).fetchone()
    return bool(row and row[0])


def read_gazetteer(connection: psycopg.Connection) -> list[GazetteerMine]:
    """The mines of silver.silver_mine_profiles with the aliases that the tracker gives."""
    rows = connection.execute(
        """
        WITH aliases AS (
            SELECT c.mine_id, array_agg(DISTINCT btrim(alias) ORDER BY btrim(alias)) AS aliases
            FROM landing.gem_coal_mines AS g
            JOIN silver.silver_mine_crosswalk AS c ON c.gem_mine_id = g.gem_mine_id,
                 regexp_split_to_table(g.mine_name_aliases, '\\s*[;,]\\s*') AS alias
            WHERE btrim(alias) <> '' GROUP BY c.mine_id
        )
        SELECT p.mine_id, p.mine_name, p.mine_name_local, p.msha_id, coalesce(p.gem_mine_ids, '{}'), p.state_province,
               p.mine_county, p.country, p.operating_company, p.owners, p.parent_company,
               p.last_production_year = max(p.last_production_year) OVER () OR p.tracker_status = 'Operating',
               coalesce(a.aliases, '{}')
        FROM silver.silver_mine_profiles AS p LEFT JOIN aliases AS a ON a.mine_id = p.mine_id
        ORDER BY p.mine_id
        """
    ).fetchall()
    return [
        GazetteerMine(
            mine_id=mine_id,
            names=tuple(filter(None, (name,))),
            aliases=tuple(filter(None, (local, *aliases))),
            msha_id=msha_id,
            gem_ids=tuple(gem_ids),
            state=state,
            county=county,
            country=country,
            companies=tuple(
                company.strip()
                for companies in (operator, owners, parents)
                for company in (companies or "").split(";")
                if company.strip()
            ),
            is_producing=bool(is_producing),
        )
        for (
            mine_id,
            name,
            local,
            msha_id,
            gem_ids,
            state,
            county,
            country,
            operator,
            owners,
            parents,
            is_producing,
            aliases,
        ) in rows
    ]


def _our_identifiers(connection: psycopg.Connection) -> dict[str, str]:
    """What a source may write for a mine (its tracker ID, its MSHA ID, our own identifier), to our identifier."""
    ours: dict[str, str] = {}
    rows = connection.execute("SELECT mine_id, msha_id, gem_mine_id FROM silver.silver_mine_crosswalk").fetchall()
    for mine_id, msha_id, gem_mine_id in rows:
        ours[mine_id] = mine_id
        if msha_id:
            ours[f"msha:{msha_id}"] = ours[msha_id] = mine_id
        if gem_mine_id:
            ours[f"gem:{gem_mine_id}"] = ours[gem_mine_id] = mine_id
    return ours


def _digest(mines: list[GazetteerMine], ours: dict[str, str]) -> str:
    content = f"{_RULES}{[asdict(mine) for mine in mines]}{sorted(ours.items())}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]
