"""Errors of tracing; the command line prints them as one sentence."""

from __future__ import annotations

from fvi_pipeline.platform.errors import PlatformError


class TraceError(PlatformError):
    """There is no such mine, year or column, or it was not known then; the message says what there is."""


class SourcesError(ValueError):
    """A `meta.sources` of the dbt project cannot be read; the message names the column and the form that it needs."""
