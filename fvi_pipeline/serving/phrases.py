"""The words for the values of features, as a file beside the model in the Bento. How sentences are made of them belongs
in `model.explanations.reasons`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fvi_pipeline.model.explanations.reasons import Phrasebook, Worded

PHRASES_FILE = "phrases.json"
"""Written when a Bento is built; a feature that is not in it is stated as it stands."""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Words:
    """The sentences of one feature by case, and what a null of it means."""

    in_words: tuple[tuple[str, str], ...]
    null_means: str


def phrases_to_json(columns: Mapping[str, Worded]) -> str:
    """The content of the file PHRASES_FILE."""
    told = {name: {"in_words": column.in_words, "null_means": column.null_means} for name, column in columns.items()}
    return json.dumps(told, indent=1) + "\n"


def read_phrases(folder: Path) -> Phrasebook:
    """The phrasebook beside a model; without a file that can be read, one that states values as they stand."""
    try:
        told = json.loads((folder / PHRASES_FILE).read_text())
        words = {
            name: Words(tuple((case, text) for case, text in each["in_words"]), each["null_means"])
            for name, each in told.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        logger.warning("Reasons are told without sentences of their own: %s cannot be read (%s).", PHRASES_FILE, error)
        return Phrasebook({})
    return Phrasebook(words)
