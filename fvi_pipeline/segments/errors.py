"""Errors of segments. Errors of servers belong to the platform."""

from __future__ import annotations

from fvi_pipeline.platform.errors import PlatformError


class SegmentsError(PlatformError):
    """The mines cannot be put into segments, or there are none to show; the message says why and what to do."""


class TooFewMinesError(SegmentsError):
    """There are too few mines, or too little that tells them apart; nothing is wrong with what was computed before."""
