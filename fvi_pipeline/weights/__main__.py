"""`python -m fvi_pipeline.weights [--check]`: docs/index.md from the metrics' descriptions."""

from __future__ import annotations

import sys

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.generated_page import write_or_check
from fvi_pipeline.platform.settings import get_settings
from fvi_pipeline.weights.document import PATH, index_page


def _page() -> str:
    settings = get_settings()
    return index_page(load_catalogue(ensure_manifest(settings.dbt_project_dir, settings.home)))


if __name__ == "__main__":
    sys.exit(write_or_check("python -m fvi_pipeline.weights", PATH, "metrics'", _page, CatalogueError, PlatformError))
