"""The prompts, one file per version; a version is never changed, a new one is added.

Which version answers is a setting (`variants`); MLflow's registry holds a copy of each (`registered`).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent
REGISTERED_NAME = "fvi_answer"


@dataclass(frozen=True)
class Prompt:
    """A prompt's text with its version and the hash of its text."""

    version: str
    text: str

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class UnknownPromptError(ValueError):
    """There is no such version."""


def versions() -> tuple[str, ...]:
    """All versions, the oldest first."""
    return tuple(
        sorted((path.stem.removeprefix("answer_") for path in _FOLDER.glob("answer_v*.md")), key=lambda v: int(v[1:]))
    )


@lru_cache(maxsize=16)
def prompt(version: str) -> Prompt:
    """A version of the prompt; raises UnknownPromptError."""
    if version not in versions():
        raise UnknownPromptError(f"There is no prompt {version}; there are {', '.join(versions())}.")
    return Prompt(version, (_FOLDER / f"answer_{version}.md").read_text(encoding="utf-8").strip())
