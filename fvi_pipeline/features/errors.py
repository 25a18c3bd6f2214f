"""Errors of the feature catalogue and the feature store. Errors of servers belong to the platform."""


class CatalogueError(ValueError):
    """A description in the dbt project is missing or wrong; the message names the column and the cure."""


class FeatureStoreError(RuntimeError):
    """The feature store cannot be opened, or holds something else than gold; the message says what to do."""
