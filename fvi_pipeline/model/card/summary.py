"""Three sentences about a card by a language model, if one is configured. They are shown only if every number in them
stands on the card; a model that is away, slow or wrong leaves a note and never a missing card.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_INSTRUCTIONS = (
    "You summarise a model card for lenders, ministries and unions. Write at most three plain sentences: how good the "
    "model is, where it is weaker, and what it must not be used for. Use only facts of the card. Copy numbers exactly "
    "as they are written there, do not compute new ones, and write every number in digits. No Markdown, no links."
)
_SENTENCES = 3
_LONGEST = 900
_MOST_TOKENS = 300
_NUMBER = re.compile(r"(?<![\w.,])[+\-−–]?\d[\d,]*(?:\.\d+)?(?:\s?%|\s?percent\b)?")
_IN_WORDS = re.compile(
    r"\b(two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|\w+teen|twenty|thirty|forty|fifty|sixty|seventy|"
    r"eighty|ninety|hundred|thousand|[mb]illion|half|third|quarter|fifth|\w*(?:six|seven|eigh|nin|ten)th|twice|double|triple|"
    r"dozen)s?\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"[<>|`#\[\]*_{}]|https?:|www\.", re.IGNORECASE)


@dataclass(frozen=True)
class Summary:
    """The text and who wrote it, or a note on why there is none; neither when none was asked for."""

    text: str | None = None
    written_by: str | None = None
    note: str | None = None


NO_SUMMARY: Final = Summary()


@dataclass(frozen=True)
class Writer:
    """An OpenAI-compatible service: its key, its address (None: OpenAI's) and the model to ask."""

    api_key: str
    base_url: str | None
    model: str
    timeout_seconds: float = 20.0


def summarise(card: str, writer: Writer | None) -> Summary:
    """Ask for the sentences and check them against the card."""
    if writer is None:
        return NO_SUMMARY
    import openai

    client = openai.OpenAI(
        api_key=writer.api_key, base_url=writer.base_url, timeout=writer.timeout_seconds, max_retries=0
    )
    try:
        answer = client.chat.completions.create(
            model=writer.model,
            messages=[{"role": "system", "content": _INSTRUCTIONS}, {"role": "user", "content": card}],
            temperature=0,
            max_tokens=_MOST_TOKENS,
        )
    except (openai.OpenAIError, ValueError) as error:
        # the error's text may repeat the key or the request; its kind says enough
        return Summary(note=f"No summary: the language model did not answer ({type(error).__name__}).")
    finally:
        client.close()
    # a server that answers something else than JSON is handed through as it is
    choices = answer.choices if isinstance(answer, openai.types.chat.ChatCompletion) else None
    text = " ".join((choices[0].message.content or "").split()) if choices else ""
    fault = fault_of(text, card)
    return Summary(note=f"No summary: {fault}") if fault else Summary(text, writer.model)


def fault_of(text: str, card: str) -> str | None:
    """Why a text may not stand on the card; None if it may."""
    if not text:
        return "the language model wrote nothing."
    if _MARKUP.search(text):
        return "the language model wrote markup or a link."
    if len(text) > _LONGEST or len(re.findall(r"[.!?](?=\s|$)", text)) > _SENTENCES:
        return "the language model wrote more than was asked for."
    if _IN_WORDS.search(text):
        return "the language model wrote numbers in words, which cannot be checked."
    if any(character.isnumeric() for character in _NUMBER.sub("", text)):
        return "the language model wrote numbers in a form that cannot be checked."
    if numbers_in(text) - numbers_in(card):
        return "the language model named a number that is not on the card."
    return None


def numbers_in(text: str) -> set[tuple[str, bool]]:
    """The numbers of a text, a minus kept and thousands' commas left out, each with whether it is a percentage."""
    found = set()
    for match in _NUMBER.finditer(text):
        number = match[0]
        sign = "-" if number[0] in "-−–" else ""
        found.add((sign + re.sub(r"[^\d.]", "", number), number.endswith(("%", "percent"))))
    return found
