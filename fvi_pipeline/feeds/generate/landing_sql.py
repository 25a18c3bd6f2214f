"""The landing tables of the feeds as SQL. The ledger, the quarantine and the rejected values are written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable

from fvi_pipeline.feeds.description import Feed
from fvi_pipeline.feeds.generate.columns import TableColumn, key_columns, landing_columns

# a table that an earlier description made gets the columns and types of today's, before anything is loaded
_FOLLOW_TYPES = """\
-- A table that an earlier description made: columns whose type has changed are converted, the views that read the table
-- dropped; the next dbt build makes them anew.
create or replace procedure landing.follow_types(feed text, wanted jsonb)
language plpgsql as $$
declare
    feed_table regclass := format('landing.%I', feed);
    changed record;
    reader text;
begin
    for changed in
        select attname as name, value as data_type
        from jsonb_each_text(wanted)
        inner join pg_attribute on attrelid = feed_table and attname = key
        where format_type(atttypid, atttypmod) <> value
    loop
        for reader in
            select distinct ev_class::regclass::text
            from pg_rewrite
            inner join pg_depend on objid = pg_rewrite.oid and classid = 'pg_rewrite'::regclass
            where refclassid = 'pg_class'::regclass and refobjid = feed_table
        loop
            execute format('drop view if exists %s cascade', reader);
        end loop;
        execute format(
            'alter table %s alter column %I type %s using %I::%s',
            feed_table, changed.name, changed.data_type, changed.name, changed.data_type
        );
    end loop;
end
$$;
"""


def landing_sql(feeds: Iterable[Feed], note: str) -> str:
    """Statements that make every feed's landing table, or bring an older one up to its description."""
    head = (
        f"-- {note}\n"
        "-- A landing table for each feed: what its files say, row by row. Written by the ingest, read by dbt.\n"
    )
    return "\n".join([head, _FOLLOW_TYPES, *(_table(feed) for feed in feeds)])


def _table(feed: Feed) -> str:
    name, columns = f"landing.{feed.table}", landing_columns(feed)
    keys = key_columns(feed)
    lines = [f"create table if not exists {name} ("]
    lines += [f"    {_definition(column)}," for column in columns]
    lines += [f"    primary key ({', '.join(keys)})", ");"]
    for column in columns:
        if column.name not in keys:
            # it may be null: the rows before it do not have it
            lines.append(f"alter table {name} add column if not exists {_definition(column, new=True)};")
    types = json.dumps({column.name: column.data_type for column in columns}, indent=4)
    lines.append(f"call landing.follow_types({_literal(feed.table)}, {_literal(types)});")
    lines.append(f"comment on table {name} is {_literal(f'{feed.title} ({feed.publisher}; {feed.licence}).')};")
    lines += [f"comment on column {name}.{column.name} is {_literal(column.description)};" for column in columns]
    return "\n".join(lines) + "\n"


def _definition(column: TableColumn, *, new: bool = False) -> str:
    words = [column.name, column.data_type]
    if column.required and not new:
        words.append("not null")
    if column.check:
        words.append(f"check ({column.check})")
    return " ".join(words)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
