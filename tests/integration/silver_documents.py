"""silver.silver_document_content in a database of a test, made from the dbt models' own SQL without a run of dbt."""

from __future__ import annotations

import psycopg

from fvi_pipeline.evidence.collection import create_views
from fvi_pipeline.platform.settings import PROJECT_ROOT


def create_silver(connection: psycopg.Connection) -> None:
    """Create the views that `dbt build` makes of the documents."""
    create_views(connection, PROJECT_ROOT / "dbt_project")
