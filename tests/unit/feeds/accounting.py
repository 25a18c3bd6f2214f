"""What must hold for every file, however damaged: it is refused whole, or each of its rows is in one place."""

from __future__ import annotations

from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.errors import UnreadableFileError
from fvi_pipeline.feeds.parse import ParsedFile, parse


def reconciled(feed: Feed, name: str, content: bytes) -> ParsedFile | None:
    """The parsed file after its rows have been counted; None for a file that is refused with a reason."""
    try:
        parsed = parse(feed, name, content)
    except UnreadableFileError:
        return None
    assert parsed.rows_read == parsed.frame.height + len(parsed.quarantined)
    places = [(row.part, row.row_number) for row in parsed.quarantined]
    part = feed.part_column
    numbers = parsed.frame.select(*([part] if part else []), "row_number")
    loaded = [(row[0] if part else "", row[-1]) for row in numbers.iter_rows()]
    assert len({*places, *loaded}) == parsed.rows_read
    assert {(value.part, value.row_number) for value in parsed.rejected_values} <= set(loaded)
    text = parsed.frame.write_csv() + "".join(row.raw + row.reason for row in parsed.quarantined)
    assert "\x00" not in text
    assert all(row.reason for row in parsed.quarantined)
    assert (parsed.problem is None) == (parsed.frame.height > 0)
    assert (parsed.facts_digest is None) == (parsed.frame.height == 0)
    return parsed
