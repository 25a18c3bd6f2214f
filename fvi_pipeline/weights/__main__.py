"""`python -m fvi_pipeline.weights [--check]`: docs/index.md from the metrics' descriptions."""

from __future__ import annotations

import argparse
import sys

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.errors import CatalogueError
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings
from fvi_pipeline.weights.document import PATH, index_page

_COMMAND = "python -m fvi_pipeline.weights"


def main() -> int:
    """Write the document if it is out of date, or with `--check` only say so; then the exit status is 1."""
    arguments = argparse.ArgumentParser(prog=_COMMAND, description="Write what the metrics' descriptions say.")
    arguments.add_argument("--check", action="store_true", help="write nothing; fail when the document is out of date")
    check = arguments.parse_args().check
    settings, page = get_settings(), PROJECT_ROOT / PATH
    try:
        wanted = index_page(load_catalogue(ensure_manifest(settings.dbt_project_dir, settings.home)))
    except (CatalogueError, PlatformError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if page.exists() and page.read_text(encoding="utf-8") == wanted:
        return 0
    if check:
        sys.stderr.write(f"out of date: {PATH}. The metrics' descriptions say something else: run `{_COMMAND}`.\n")
        return 1
    page.write_text(wanted, encoding="utf-8")
    sys.stdout.write(f"written: {PATH}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
