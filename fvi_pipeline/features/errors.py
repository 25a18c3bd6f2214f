"""Errors of the feature catalogue and the feature store. Errors of servers belong to the platform."""

from __future__ import annotations

from fvi_pipeline.platform.errors import PlatformError


class CatalogueError(ValueError):
    """A description in the dbt project is missing or wrong; the message names the column and the cure."""


class FeatureStoreError(PlatformError):
    """The feature store cannot be opened, or cannot give what it is asked for; the message says what to do."""


class UnknownMineError(FeatureStoreError):
    """The mine has no features, now or at the time that was asked for."""


class AuditError(RuntimeError):
    """The leakage audit cannot judge a feature or a training set; the message says what to do."""
