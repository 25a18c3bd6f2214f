"""What `feast apply` registers: made from the dbt project's descriptions. No feature is named here."""

from pathlib import Path

from fvi_pipeline.features.catalogue import load_catalogue
from fvi_pipeline.features.views import build_views

_VIEWS = build_views(load_catalogue(Path(__file__).resolve().parent.parent / "dbt_project"))

# Feast collects the objects that it finds under module-level names
mine = _VIEWS.mine
mine_features = _VIEWS.mine_features
mine_index = _VIEWS.mine_index
fvi_v1 = _VIEWS.fvi_v1
fvi_serving_v1 = _VIEWS.fvi_serving_v1
