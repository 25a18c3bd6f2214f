"""What `feast apply` registers: made from the dbt manifest and the versions noted so far. No feature is named here.

Nothing is noted or removed by reading this: `feast apply` adds what the next run would, which then finds it there.
"""

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.versions import planned_versions
from fvi_pipeline.features.views import build_objects
from fvi_pipeline.platform.database import connect
from fvi_pipeline.platform.dbt_manifest import ensure_manifest
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import get_settings


def _objects() -> dict[str, object]:
    settings = get_settings()
    if settings.database_url is None:
        raise PlatformError('FVI_DATABASE_URL is not set. Run `eval "$(fvi env)"` first.')
    catalogue = load_catalogue(ensure_manifest(settings.dbt_project_dir, settings.home))
    with connect(settings.database_url) as connection:
        return {found.name: found for found in build_objects(planned_versions(connection, catalogue))}


# Feast collects the objects that it finds under module-level names
globals().update(_objects())
