"""How the feature services and views of a version are called. It imports next to nothing: serving carries it along.

What a version is made of belongs to `versions`.
"""

from __future__ import annotations

import re

from fvi_pipeline.features.errors import FeatureStoreError

_SERVICE = re.compile(r"fvi_v([1-9]\d*)")


def service_name(number: int) -> str:
    """The feature service of the version: `fvi_v3`."""
    return f"fvi_v{number}"


def number_of(service: str) -> int:
    """The version of `fvi_v3`: 3.

    Raises:
        FeatureStoreError: it is not the name of a feature service with a model's inputs.
    """
    found = _SERVICE.fullmatch(service)
    if found is None:
        raise FeatureStoreError(
            f"{service!r} is no feature service of a model: they are called fvi_v1, fvi_v2, and so on."
        )
    return int(found[1])


def serving_service_of(service: str) -> str:
    """The feature service that serves a model which was made with `service`: `fvi_v3` → `fvi_serving_v3`."""
    return f"fvi_serving_v{number_of(service)}"


def view_of(service: str) -> str:
    """The feature view behind a feature service: `fvi_v3` → `mine_features_v3`."""
    return f"mine_features_v{number_of(service)}"
