"""Variants of answering beside each other: which prompt, how many passages; and who gets which.

A conversation keeps its variant, by its hash, so that nobody sees both. Comparing them is in `readout`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from fvi_pipeline.answers.prompts import versions


class Variant(BaseModel):
    """One way of answering and its share of the conversations; shares are relative to each other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,32}$")] = "default"
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    prompt: str = "v1"
    passages: Annotated[int, Field(ge=1, le=30)] = 8

    @field_validator("prompt")
    @classmethod
    def _there_is_one(cls, version: str) -> str:
        if version not in versions():
            raise ValueError(f"there is no prompt {version}; there are {', '.join(versions())}")
        return version


DEFAULT = Variant()


def chosen(variants: Sequence[Variant], key: str) -> Variant:
    """The variant of a conversation or an answer, always the same for the same key and shares."""
    total = sum(variant.share for variant in variants)
    if not variants or total <= 0:
        return DEFAULT
    place = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8]) / 2**64 * total
    for variant in variants:
        if place < variant.share:
            return variant
        place -= variant.share
    return variants[-1]
