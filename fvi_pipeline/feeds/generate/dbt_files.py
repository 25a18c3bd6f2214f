"""dbt's view of the feeds: sources with freshness, bronze models with contracts, and the list that macros loop over.

The SQL that all bronze models share is the macro `landed_feed`, written by hand.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import yaml

from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.generate.columns import TableColumn, bronze_columns, landing_columns

_LINE = 120


def sources_yaml(feeds: Iterable[Feed], note: str) -> str:
    """The landing tables as dbt sources; a feed with a limit of freshness is asked when its newest file came."""
    tables = [_source(feed) for feed in feeds]
    return _yaml({"version": 2, "sources": [{"name": "landing", "schema": "landing", "tables": tables}]}, note)


def _source(feed: Feed) -> dict[str, Any]:
    config: dict[str, Any] = {
        "meta": {
            "publisher": feed.publisher,
            "licence": feed.licence,
            "attribution": feed.attribution,
            "publication_lag": feed.publication_lag,
        }
    }
    if feed.freshness is not None:
        # a feed of which nothing ever came (no key, no folder) has nothing that could grow old
        config["loaded_at_query"] = (
            "select coalesce(max(ingested_at), now()) from landing.files "  # noqa: S608 (a described name)
            f"where status = 'loaded' and feed = '{feed.name}'"
        )
        config["freshness"] = {
            "warn_after": {"count": feed.freshness.warn_days, "period": "day"},
            "error_after": {"count": feed.freshness.error_days, "period": "day"},
        }
    return {
        "name": feed.table,
        "description": about(feed),
        "config": config,
        "columns": [_column(column) for column in landing_columns(feed)],
    }


def _column(column: TableColumn) -> dict[str, str]:
    return {"name": column.name, "data_type": column.data_type, "description": column.description}


def bronze_yaml(feed: Feed, note: str) -> str:
    """The enforced contract of a feed's bronze model."""
    model = {
        "name": f"bronze_{feed.name}",
        "description": f"{about(feed)} One row per row of a file, with the file and the time of knowing.",
        "config": {"contract": {"enforced": True}},
        "columns": [_column(column) for column in bronze_columns(feed)],
    }
    return _yaml({"version": 2, "models": [model]}, note)


def bronze_sql(feed: Feed, note: str) -> str:
    """A feed's bronze model."""
    return f"-- {note}\n{{{{ landed_feed('{feed.name}') }}}}\n"


def feeds_macro(feeds: Iterable[Feed], note: str) -> str:
    """A macro that returns {feed: {table, part, columns, period}}, with nothing in the last but for a `fact_period`."""
    described = {
        feed.name: {
            "table": feed.table,
            "part": feed.part_column or "",
            "columns": [column.name for column in landing_columns(feed)],
            "period": {"columns": feed.fact_period.columns, "public_at": feed.fact_period.public_at_sql}
            if feed.fact_period
            else {},
        }
        for feed in feeds
    }
    text = json.dumps(described, indent=4, ensure_ascii=False)
    return f"{{# {note} #}}\n{{% macro landed_feeds() -%}}\n{{{{ return({text}) }}}}\n{{%- endmacro %}}\n"


def about(feed: Feed) -> str:
    """A sentence about what the feed holds."""
    return feed.summary or f"{feed.title} ({feed.publisher})."


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def _yaml(content: dict[str, Any], note: str) -> str:
    dumped = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_LINE)
    return f"# {note}\n{dumped}"
