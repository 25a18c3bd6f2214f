"""What dbt gives to a model's Jinja beyond ref, source and config, so that sqlfluff can expand the models without dbt
and without a database. Only what the project's SQL uses; nothing here is part of a build.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import yaml

_MODELS = Path(__file__).resolve().parents[1] / "models"
_COLUMNS_OF_A_ROLE = 2  # a loop over more says nothing new about its style


class _Nodes:
    """Models by dbt's name for them, read from their .yml when a template asks."""

    def __getitem__(self, unique_id: str) -> SimpleNamespace:
        name = unique_id.rsplit(".", 1)[-1]
        (path,) = _MODELS.rglob(f"{name}.yml")
        (model,) = yaml.safe_load(path.read_text())["models"]
        columns: dict[str, SimpleNamespace] = {}
        seen: dict[Any, int] = {}
        for column in model["columns"]:
            meta = column.get("meta") or column.get("config", {}).get("meta", {})
            seen[meta.get("role")] = seen.get(meta.get("role"), 0) + 1
            if seen[meta.get("role")] <= _COLUMNS_OF_A_ROLE:
                columns[column["name"]] = SimpleNamespace(
                    name=column["name"], description=column.get("description", ""), meta=meta
                )
        return SimpleNamespace(columns=columns)


class _Config:
    """`config(…)` and `config.get(…)`, of one template."""

    def __init__(self) -> None:
        self._given: dict[str, Any] = {}

    def __call__(self, **given: Any) -> str:
        self._given |= given
        return ""

    def get(self, name: str, default: Any = None) -> Any:
        return self._given.get(name, default)


def _fail(message: str) -> None:
    raise ValueError(message)


execute = True
config = _Config()
flags = SimpleNamespace(WHICH="build")
model = SimpleNamespace(name="this_model")
project_name = "fvi"
graph = SimpleNamespace(nodes=_Nodes())
exceptions = SimpleNamespace(raise_compiler_error=_fail)
dbt = SimpleNamespace(
    string_literal=lambda text: f"'{text}'",
    escape_single_quotes=lambda text: str(text).replace("'", "''"),
)
