"""What decides a feature's values in SQL: the expressions of the gold models that lead to its column, as one text.

Read from the models' source in the dbt manifest, so that nothing has to run. Comments, white space and columns that
the feature does not use do not count; expressions, joins and conditions do. Which rows of a model are rebuilt, and the
SQL of silver below the measures, are left out: neither is part of a definition.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError

_COMMENT = re.compile(r"\{#.*?#\}|/\*.*?\*/|--[^\n]*", re.DOTALL)
_FINAL = ""


def column_definitions(
    manifest: Mapping[str, Any], table: str, columns: Iterable[str], models: Iterable[str]
) -> dict[str, str]:
    """For each column of the model `table` its definition, followed into `models` and no further.

    A model whose SQL cannot be read counts as a whole, so that a change of it is never overlooked. Without `table`
    there are none.
    """
    nodes = {node["name"]: node for node in manifest["nodes"].values() if node.get("raw_code") is not None}
    project = manifest.get("metadata", {}).get("project_name")
    macros = [m["macro_sql"] for m in manifest.get("macros", {}).values() if m["package_name"] == project]
    known = {name: _Model(name, nodes[name]["raw_code"], macros) for name in (table, *models) if name in nodes}
    return {column: _definition(known, table, column) for column in columns} if table in known else {}


@dataclass
class _Model:
    """One model: its queries by name (the final one has none), or its plain text where they cannot be told apart."""

    name: str
    raw: str
    macros: Sequence[str]
    queries: dict[str, exp.Expr] = field(init=False)
    text: str | None = field(init=False)

    def __post_init__(self) -> None:
        from jinja2 import TemplateError

        self.text, self.queries = None, {}
        try:
            query = parse_one(_rendered(self.raw, self.macros), dialect="postgres")
        except (SqlglotError, TemplateError, TypeError, ValueError):
            self.text = " ".join(_COMMENT.sub(" ", self.raw).split())
            return
        for cte in query.find_all(exp.CTE):
            self.queries[cte.alias] = cte.this
        for derived in query.find_all(exp.Subquery, exp.Lateral):
            if derived.alias:
                self.queries[_derived(derived)] = derived.this.unnest()
        query.set("with_", None)
        query.set("with", None)
        self.queries[_FINAL] = query


def _rendered(raw: str, macros: Sequence[str]) -> str:
    """The model's SQL as of a first build; what only says which rows to make has a stand-in."""
    from jinja2 import Environment, StrictUndefined

    def rows_with(model: str, values: Mapping[str, str], columns: Sequence[str] = ("*",)) -> str:
        chosen = ", ".join(f"chosen.{column}" for column in columns)
        found = " and ".join(f"chosen.{name} = {value}" for name, value in values.items())
        return f"select {chosen} from {model} as chosen where {found}"  # noqa: S608 - read, never run

    context = {
        "rows_with": rows_with,
        "missing_parts": lambda kind: f"select * from parts_of_{kind}",  # noqa: S608 - read, never run
        "config": lambda *_, **__: "",
        "is_incremental": lambda: False,
        "ref": lambda *names: names[-1],
        "source": lambda schema, table: f"{schema}.{table}",
    }
    own = {name: text for text in macros if (name := _macro_name(text)) and name not in context}
    called = [own[name] for name in _called(raw, own)]
    environment = Environment(extensions=["jinja2.ext.do"], undefined=StrictUndefined, autoescape=False)  # noqa: S701 - SQL
    return environment.from_string("".join(called) + raw).render(context)


def _called(text: str, macros: Mapping[str, str]) -> list[str]:
    """Names of the macros that a text names, and that these name."""
    found: list[str] = []
    waiting = [text]
    while waiting:
        words = set(re.findall(r"\w+", waiting.pop()))
        new = [name for name in macros if name in words and name not in found]
        found.extend(new)
        waiting.extend(macros[name] for name in new)
    return found


def _derived(source: exp.Expr) -> str:
    """The name of a query in a FROM, which need not be the only one with its alias."""
    return f"{source.alias}@{id(source)}"


def _macro_name(text: str) -> str:
    # a test is written like a macro, and no model calls one
    found = re.match(r"\s*\{%-?\s*macro\s+(\w+)", text)
    return found[1] if found else ""


@dataclass(frozen=True)
class _Need:
    """What is needed of a query: columns, and whether its rows are given, as those of a model are. Then a join that
    takes some away decides about no value of the others.
    """

    columns: frozenset[str] = frozenset()
    rows_are_given: bool = True

    def with_(self, other: _Need) -> _Need:
        """Both needs."""
        return _Need(self.columns | other.columns, self.rows_are_given and other.rows_are_given)


def _definition(models: Mapping[str, _Model], table: str, column: str) -> str:
    """Follow the column from query to query until nothing new is needed."""
    needed = {(table, _FINAL): _Need(frozenset({column}))}
    fragments: set[str] = set()
    waiting = [(table, _FINAL)]
    while waiting:
        model, query = waiting.pop()
        for target, need in _follow(models[model], query, needed[model, query], models, fragments):
            all_of_it = needed.get(target, _Need()).with_(need)
            if needed.get(target) != all_of_it:
                needed[target] = all_of_it
                waiting.append(target)
    return "\n".join(sorted(fragments))


def _follow(
    model: _Model, name: str, need: _Need, models: Mapping[str, _Model], fragments: set[str]
) -> list[tuple[tuple[str, str], _Need]]:
    """Note the parts of one query that decide what is needed of it; returns what they need of other queries."""
    if model.text is not None:
        fragments.add(f"{model.name}: {model.text}")
        return []
    query = model.queries[name]
    rows_stay = need.rows_are_given and not query.find(
        exp.AggFunc, exp.Window, exp.Group, exp.Distinct, exp.SetOperation
    )
    parts, passed_on = _deciding_parts(query, need.columns, rows_stay)
    label = f"{model.name}.{name.partition('@')[0]}"
    fragments.update(f"{label}: {part.sql(dialect='postgres', comments=False, copy=False)}" for part in parts)
    found = [column for part in parts for column in part.find_all(exp.Column)]
    shared = {c.name for c in found if not c.table} | {i.name for part in parts for i in part.args.get("using") or ()}
    sources: list[tuple[tuple[str, str], _Need]] = []
    for part in parts:
        for source in part.find_all(exp.Table, exp.Subquery, exp.Lateral):
            alias = source.alias_or_name
            target = _target(model, source, models)
            if target is not None:
                names = shared.union(c.name for c in found if c.table == alias)
                if alias in passed_on or "*" in passed_on:
                    names |= need.columns
                given = target[1] == _FINAL or (rows_stay and isinstance(part, exp.From))
                sources.append((target, _Need(frozenset(names), given)))
    return sources


def _target(model: _Model, source: exp.Expr, models: Mapping[str, _Model]) -> tuple[str, str] | None:
    if not isinstance(source, exp.Table):
        return (model.name, _derived(source)) if source.alias else None
    if source.name in model.queries:
        return model.name, source.name
    return (source.name, _FINAL) if source.name in models and source.name != model.name else None


def _deciding_parts(query: exp.Expr, columns: Collection[str], rows_stay: bool) -> tuple[list[exp.Expr], set[str]]:
    """The select items of `columns`, what filters or groups, and the joins that matter; and the aliases whose columns
    are all passed on (`*`: of every source).
    """
    if not isinstance(query, exp.Select):
        return [query], {"*"}  # a union: its columns go by position
    stars = [item for item in query.expressions if item.is_star]
    passed_on = {item.table or "*" if isinstance(item, exp.Column) else "*" for item in stars}
    parts = [item for item in query.expressions if item.is_star or item.alias_or_name in columns]
    joins = query.args.get("joins") or ()
    # no join multiplies rows here, and a left join takes none away
    optional = [join for join in joins if join.side == "LEFT" or (rows_stay and join.kind in ("INNER", ""))]
    for key, value in query.args.items():
        if key not in ("expressions", "with", "with_", "hint"):
            parts.extend(v for v in (value if isinstance(value, list) else [value]) if isinstance(v, exp.Expr))
    parts = [part for part in parts if part not in optional]
    while asked := [join for join in optional if _is_asked(join, parts, passed_on)]:
        parts.extend(asked)
        optional = [join for join in optional if join not in asked]
    return parts, passed_on


def _is_asked(join: exp.Expr, parts: Sequence[exp.Expr], passed_on: set[str]) -> bool:
    alias = join.this.alias_or_name
    names = {column.table for part in parts for column in part.find_all(exp.Column)}
    return alias in names or "" in names or "*" in passed_on
