"""`python -m fvi_pipeline.monitoring [--check]`: the descriptions in docs/feature_catalogue.md, without a warehouse.

Figures are left as they are; `fvi catalogue --markdown` measures them anew.
"""

from __future__ import annotations

import sys
from pathlib import Path

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.monitoring.document import PATH, by_category, feature_page, figures_from_page
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.generated_page import write_or_check
from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings


def described_page(manifest: Path, page: Path) -> str:
    """The document with the descriptions of a dbt manifest, and the figures that the page has.

    Raises:
        CatalogueError: a description is missing.
    """
    features = [column for column in load_catalogue(manifest).features if column.role == "feature"]
    figures = figures_from_page(page.read_text(encoding="utf-8") if page.exists() else "")
    return feature_page(by_category((column.name, str(column.category), column) for column in features), figures)


def _page() -> str:
    settings = get_settings()
    return described_page(ensure_manifest(settings.dbt_project_dir, settings.home), PROJECT_ROOT / PATH)


if __name__ == "__main__":
    sys.exit(
        write_or_check("python -m fvi_pipeline.monitoring", PATH, "features'", _page, CatalogueError, PlatformError)
    )
