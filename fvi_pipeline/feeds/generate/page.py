"""The page about the feeds for people (docs/feeds.md)."""

from __future__ import annotations

from collections.abc import Iterable

from fvi_pipeline.feeds.description import Column, Feed, OtherColumns
from fvi_pipeline.feeds.generate.columns import described_columns
from fvi_pipeline.feeds.generate.dbt_files import about

_HEAD = """\
# Feeds

Every dataset that the pipeline takes in, as its description in `fvi_pipeline/feeds/catalogue` says. A row whose
required value is missing or unreadable goes to `landing.quarantine`; another value outside of its range, pattern or
type is left empty and recorded in `landing.rejected_values`. Headers are compared without regard to case, line feeds
and footnote asterisks; the first of those listed that a file has counts. A new feed of one of the forms below is a
description in the catalogue and a run of `python -m fvi_pipeline.feeds.generate`, and no code.
"""


def feeds_page(feeds: Iterable[Feed], note: str) -> str:
    """The page: an overview, then a section with a table of columns for each feed."""
    listed = tuple(feeds)
    lines = [f"<!-- {note} -->", _HEAD, "| feed | publisher | licence | files | folder |", "|---|---|---|---|---|"]
    lines += [
        f"| [{feed.name}](#{feed.name}) | {_cell(feed.publisher)} | {_cell(feed.licence)} | {_forms(feed)} "
        f"| `{feed.folder}/` |"
        for feed in listed
    ]
    return "\n".join([*lines, "", *(line for feed in listed for line in _section(feed))])


def _section(feed: Feed) -> list[str]:
    lines = [f"## {feed.name}", "", about(feed), ""]
    lines += [f"- **{word}**: {text}" for word, text in _facts(feed) if text]
    lines.append("")
    for part in feed.parts:
        marks = _listed(_tokens(part.marks))
        where = f"Part `{part.name}`: its" if part.name else "The"
        lines += [f"{where} header row is the first one that holds {marks}.", ""]
    lines += ["| column | type | unit | possible values | headers | what it says |", "|---|---|---|---|---|---|"]
    lines += [_row(column) for column in described_columns(feed)]
    return [*lines, ""]


def _facts(feed: Feed) -> list[tuple[str, str]]:
    return [
        ("Title", feed.title),
        ("Publisher", f"{feed.publisher}; licence: {feed.licence}"),
        ("Attribution", feed.attribution),
        ("Addresses", _addresses(feed)),
        ("By hand", feed.manual_download or ""),
        ("API", _api(feed)),
        ("Files", f"`{feed.folder}/` {', '.join(f'`{pattern}`' for pattern in feed.patterns)}: {_forms(feed)}"),
        ("Table", f"`landing.{feed.table}`, `bronze.bronze_{feed.name}`"),
        ("A fact is identified by", _listed([f"`{key}`" for key in feed.keys])),
        ("Published", feed.publication_lag),
        ("Known", _known(feed)),
        ("Late", _late(feed)),
        ("Nothing is written as", ", ".join(["a blank", *_tokens(feed.null_tokens)])),
        ("In numbers, nothing is also", ", ".join(_tokens(feed.unstated_tokens))),
        ("Numbers", "decimal commas and spaced thousands are read too" if feed.loose_numbers else ""),
        ("One year per file", f"`{feed.single_year_column}`" if feed.single_year_column else ""),
        ("Shifted rows", _shifted(feed)),
        (
            "Other columns",
            "kept in `other_values` and named in the ledger" if feed.other_columns is OtherColumns.KEPT else "left out",
        ),
    ]


def _addresses(feed: Feed) -> str:
    if not feed.downloads:
        return ""
    first = ", else ".join(f"<{url}>" for url in feed.downloads[0].urls)
    years = [address.year for address in feed.downloads if address.year is not None]
    return f"{first} (and so on for every year)" if len(years) > 1 else first


def _api(feed: Feed) -> str:
    if feed.api is None:
        return ""
    key = feed.api.key
    asked = "asked without a key"
    if key is not None:
        asked = f"asked with the key in `{key.variable}` ({key.register_at}); skipped without it"
    return f"<{feed.api.address}>, {asked}, {feed.api.calls_per_second:g} per second at most"


def _known(feed: Feed) -> str:
    period = feed.fact_period
    if period is None:
        return ""
    columns = _listed([f"`{name}`" for name in period.columns])
    return (
        f"every file carries the whole past; the first one with a certain {columns} holds from when that was public "
        f"(`{period.public_at_sql}`), a later one from its own date"
    )


def _late(feed: Feed) -> str:
    if feed.freshness is None:
        return ""
    return (
        f"a warning {feed.freshness.warn_days:,} days after the newest file came, an error after "
        f"{feed.freshness.error_days:,}"
    )


def _shifted(feed: Feed) -> str:
    if feed.shifted_row_signs is None:
        return ""
    together = ["`" + "`, `".join(group) + "`" for group in feed.filled_together]
    return (
        f"a row with {feed.shifted_row_signs} or more values of the wrong kind, one of them in a column of words, goes "
        "to quarantine whole, as does one with a number in a column of words"
        + (f" or an empty cell among those that are filled together ({'; '.join(together)})" if together else "")
    )


def _tokens(tokens: Iterable[str]) -> list[str]:
    return [f"`{token}`" for token in sorted(tokens) if token]


def _forms(feed: Feed) -> str:
    return ", ".join(sorted(form.value for form in feed.form))


def _row(column: Column) -> str:
    kind = f"{column.kind.value}, required" if column.required else column.kind.value
    headers = ", ".join(f"`{header}`" if header else "(no header)" for header in column.headers)
    unit = column.unit or (column.printed_unit or "").strip("()")
    words = (column.name, kind, unit, _possible(column), headers, column.description)
    return "| " + " | ".join(_cell(word) for word in (f"`{words[0]}`", *words[1:])) + " |"


def _possible(column: Column) -> str:
    found = []
    if column.minimum is not None and column.maximum is not None:
        found.append(f"{_figure(column.minimum)} to {_figure(column.maximum)}")
    elif column.minimum is not None:
        found.append(f"{_figure(column.minimum)} or more")
    elif column.maximum is not None:
        found.append(f"{_figure(column.maximum)} or less")
    if column.allowed is not None:
        found.append(", ".join(f"`{text}`" for text in sorted(column.allowed)))
    if column.pattern is not None:
        found.append(f"`{column.pattern}`")
    return "; ".join(found)


def _figure(value: float) -> str:
    return f"{value:g}" if 1500 <= value <= 2200 and value == int(value) else f"{value:,.10g}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
