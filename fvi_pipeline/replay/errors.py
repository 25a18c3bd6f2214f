"""Errors of a replay; the command line prints them as one sentence."""

from __future__ import annotations

from fvi_pipeline.platform.errors import PlatformError


class ReplayError(PlatformError):
    """There is nothing to replay, or dbt failed; the message says what to do."""
