"""`python -m fvi_pipeline.monitoring [--check]`: the descriptions in docs/feature_catalogue.md, without a warehouse.

Figures are left as they are; `fvi catalogue --markdown` measures them anew.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.monitoring.document import PATH, by_category, feature_page, figures_from_page
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings

_COMMAND = "python -m fvi_pipeline.monitoring"


def described_page(manifest: Path, page: Path) -> str:
    """The document with the descriptions of a dbt manifest, and the figures that the page has.

    Raises:
        CatalogueError: a description is missing.
    """
    features = [column for column in load_catalogue(manifest).features if column.role == "feature"]
    figures = figures_from_page(page.read_text(encoding="utf-8") if page.exists() else "")
    return feature_page(by_category((column.name, str(column.category), column) for column in features), figures)


def main() -> int:
    """Write the document if it is out of date, or with `--check` only say so; then the exit status is 1."""
    arguments = argparse.ArgumentParser(prog=_COMMAND, description="Write what the features' descriptions say.")
    arguments.add_argument("--check", action="store_true", help="write nothing; fail when the document is out of date")
    check = arguments.parse_args().check
    settings, page = get_settings(), PROJECT_ROOT / PATH
    try:
        wanted = described_page(ensure_manifest(settings.dbt_project_dir, settings.home), page)
    except (CatalogueError, PlatformError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if page.exists() and page.read_text(encoding="utf-8") == wanted:
        return 0
    if check:
        sys.stderr.write(f"out of date: {PATH}. The features' descriptions say something else: run `{_COMMAND}`.\n")
        return 1
    page.write_text(wanted, encoding="utf-8")
    sys.stdout.write(f"written: {PATH}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
