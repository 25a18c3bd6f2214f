"""silver.silver_document_content without a run of dbt, from the models' own SQL: for evaluations and tests."""

import re
from pathlib import Path

import psycopg

_MODELS = ("bronze/bronze_document_chunks", "silver/silver_document_content")


def create_views(connection: psycopg.Connection, dbt_project: Path) -> None:
    """Create the views that `dbt build` makes of the documents. Their SQL holds nothing but references. Commits."""
    for name in _MODELS:
        text = (dbt_project / "models" / f"{name}.sql").read_text()
        text = re.sub(r"\{#.*?#\}|\{\{ config\(.*?\) \}\}", "", text, flags=re.DOTALL)
        text = re.sub(r"\{\{ source\('(\w+)', '(\w+)'\) \}\}", r"\1.\2", text)
        text = re.sub(r"\{\{ ref\('((\w+?)_\w+)'\) \}\}", r"\2.\1", text)
        connection.execute(f"create view {name.replace('/', '.')} as {text}".encode())
    connection.commit()
