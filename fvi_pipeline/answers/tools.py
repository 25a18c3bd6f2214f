"""The functions over the marts that an answer may call, by name, and their JSON schemas for a language model.

A schema follows from a function's signature and docstring. What the functions read belongs to `facts_*`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Annotated, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from fvi_pipeline.answers import facts_lists, facts_mines, facts_model, facts_scores
from fvi_pipeline.answers.directory import Directory
from fvi_pipeline.answers.fact import Fact
from fvi_pipeline.answers.marts import Marts, NoSuchFactError

Tool = Callable[..., list[Fact]]
MAXIMUM_ARGUMENT_CHARACTERS = 2_000
_TOOLS: tuple[Tool, ...] = (
    facts_scores.scores,
    facts_scores.score_history,
    facts_scores.reasons,
    facts_scores.index,
    facts_scores.production_forecast,
    facts_scores.next_status,
    facts_scores.closing_year,
    facts_scores.peers,
    facts_mines.profile,
    facts_mines.production,
    facts_mines.production_history,
    facts_mines.peak_production,
    facts_mines.workforce,
    facts_mines.changes,
    facts_lists.list_mines,
    facts_lists.total_production,
    facts_lists.total_employees,
    facts_lists.largest_producers,
    facts_lists.score_summary,
    facts_model.champion,
    facts_model.promotions,
    facts_model.weights,
    facts_model.metric,
    facts_model.meaning,
    facts_model.data_age,
)
FIND_MINES = "find_mines"


class ToolError(Exception):
    """A call that cannot be made; the message is for the model."""


@lru_cache(maxsize=1)
def tools() -> Mapping[str, tuple[Tool, type[BaseModel]]]:
    """Every tool with the model of its arguments."""
    return {tool.__name__: (tool, _arguments(tool)) for tool in _TOOLS}


def _arguments(tool: Tool) -> type[BaseModel]:
    hints = get_type_hints(tool)
    fields: dict[str, Any] = {}
    for name, parameter in list(inspect.signature(tool).parameters.items())[1:]:
        kind = hints[name]
        if name == "mine_id":
            kind = Annotated[str, Field(pattern=r"^[!-~]{1,64}$", description="msha:… or gem:…, from find_mines")]
        elif kind in (str, str | None):
            kind = Annotated[kind, Field(max_length=200)]
        fields[name] = (kind, ... if parameter.default is parameter.empty else parameter.default)
    return create_model(tool.__name__, __config__=ConfigDict(extra="forbid"), **fields)


def schemas() -> list[dict[str, Any]]:
    """The tools in the shape of OpenAI's chat completions."""
    described = [
        _schema(name, inspect.getdoc(tool) or "", model.model_json_schema()) for name, (tool, model) in tools().items()
    ]
    find = {
        "type": "object",
        "properties": {"name": {"type": "string", "maxLength": 200, "description": "A name as the user wrote it"}},
        "required": ["name"],
        "additionalProperties": False,
    }
    return [_schema(FIND_MINES, "The mines of a name, with their identifiers and places.", find), *described]


def _schema(name: str, description: str, parameters: dict[str, Any]) -> dict[str, Any]:
    parameters.pop("title", None)
    for described in parameters.get("properties", {}).values():
        described.pop("title", None)
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


def call(marts: Marts, directory: Directory, name: str, arguments: str | Mapping[str, Any]) -> list[Fact]:
    """Call a tool with arguments as a model gave them.

    Raises:
        ToolError: no such tool, or arguments that do not fit; the message says which.
        NoSuchFactError: the warehouse does not have it.
    """
    given = _parsed(arguments)
    if name == FIND_MINES:
        return directory.facts(str(given.get("name", ""))[:200])
    known = tools().get(name)
    if known is None:
        raise ToolError(f"There is no tool {name[:50]!r}.")
    tool, model = known
    try:
        checked = model.model_validate(given)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise ToolError(f"{name}: {problems}") from error
    return tool(marts, **checked.model_dump())


def _parsed(arguments: str | Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(arguments, str):
        return arguments
    if len(arguments) > MAXIMUM_ARGUMENT_CHARACTERS:
        raise ToolError("The arguments are too long.")
    try:
        parsed = json.loads(arguments or "{}")
    except json.JSONDecodeError as error:
        raise ToolError("The arguments are not JSON.") from error
    if not isinstance(parsed, dict):
        raise ToolError("The arguments are not an object.")
    return parsed


__all__ = ["FIND_MINES", "NoSuchFactError", "ToolError", "call", "schemas", "tools"]
