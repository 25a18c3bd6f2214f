from __future__ import annotations

import pytest

from fvi_pipeline.features.errors import FeatureStoreError
from fvi_pipeline.features.store import open_store
from fvi_pipeline.platform.settings import PROJECT_ROOT


def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(FeatureStoreError, match="FVI_FEAST_REGISTRY_URL"):
        open_store(PROJECT_ROOT / "feature_repo", {})


def test_a_folder_without_a_store_is_named(tmp_path):
    with pytest.raises(FeatureStoreError, match=r"feature_store\.yaml is missing"):
        open_store(tmp_path, {})
