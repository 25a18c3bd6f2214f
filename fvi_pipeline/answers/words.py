"""Words of questions and names as tokens: spelling made equal, so that "Bailey's No.1" and "bailey no 1" meet.

Which words mean what belongs to `questions` and `directory`.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_TOKEN = re.compile(r"[^\W_]+(?:[.,]\d+)*%?")
_NUMBER_WORD = re.compile(r"\b(?:number|num|nr|no)\s*\.?\s*(?=[\dIVX])|#\s*", re.IGNORECASE)
# a sentence ends before white space and something that can start one, or at the full stops of Chinese and Japanese
_SENTENCE_BREAK = re.compile(r"(?<=[.!?])\s+(?:[-*•]\s+)?(?=[\"'(\[`]*[A-Z0-9])|(?<=[\u3002\uff01\uff1f])")
_BLOCK_START = re.compile(r"[#>|•·*-]|\d+[.)]\s")
_LIST_SIGN = re.compile(r"^(?:[#>•·-]+\s*|\*+\s+)+")
_WRAPPED_CHARACTERS = 60
_ADDRESS = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
_POSSESSIVE = re.compile(r"(?<=\w)['’]s\b|(?<=s)['’](?=\s|$)")

# Words that carry nothing of what is asked.
FUNCTION_WORDS_TEXT = """
a an and any are as at be been being by can could did do does for from had has have how i if in into is it its
me mine mines my no of on or our please s say shall should so some than that the their them then there these
they this those to us was we were what when where which who whom whose why will with would you your about tell
give show know many much also just now today currently current latest newest recent last year years according
over all each one two three four five six seven eight nine ten twelve fifteen twenty thirty fifty per out up get
let like might may must during while so too very just even both such own same s t re ve ll via vs hence thus
upon off own
"""
FUNCTION_WORDS = frozenset(FUNCTION_WORDS_TEXT.split())


def plain(text: str) -> str:
    """Lower case without accents or typographic marks; what is invisible is gone."""
    decomposed = unicodedata.normalize("NFKD", text)
    kept = (c for c in decomposed if not unicodedata.combining(c) and unicodedata.category(c) not in ("Cf", "Cc"))
    return "".join(kept).casefold().replace("’", "'")


@lru_cache(maxsize=65_536)
def tokens(text: str) -> tuple[str, ...]:
    """The words and numbers of a text, in order: "No. 1", "#1" and "number 1" are all ("no", "1")."""
    readable = "".join(c if not c.isspace() else " " for c in text)
    readable = _NUMBER_WORD.sub(" no ", readable)
    readable = _POSSESSIVE.sub("", readable).replace("&", " and ")
    return tuple(_TOKEN.findall(plain(readable)))


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """A crude stem of an English word, for overlap only: "produced", "produces" and "producing" are "produc"."""
    if len(word) <= 3 or not word.isalpha():
        return word
    for ending, least in (
        ("ations", 4), ("ation", 4), ("ments", 4), ("ment", 4), ("ingly", 4), ("ings", 3), ("ing", 3), ("ies", 2),
        ("ied", 2), ("edly", 3), ("ed", 3), ("ers", 3), ("er", 4), ("es", 3), ("ly", 4), ("s", 3), ("e", 3), ("y", 3),
    ):  # fmt: skip
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return word[: -len(ending)]
    return word


def content_stems(text: str) -> frozenset[str]:
    """The stems of a text's words that carry meaning; web addresses have none, numbers are left to who compares "
    "them."""
    text = _ADDRESS.sub(" ", text)
    return frozenset(
        stem(word) for word in tokens(text) if word not in FUNCTION_WORDS and not word[0].isdigit() and len(word) > 1
    )


def sentences_of(text: str) -> list[str]:
    """The sentences of a passage; headings and lines of a list stand for themselves, wrapped lines are joined."""
    blocks: list[str] = []
    before = ""
    for line in text.splitlines():
        stripped = line.strip()
        wraps = len(before) >= _WRAPPED_CHARACTERS or stripped[:1].islower()
        if before and stripped and wraps and not _BLOCK_START.match(stripped):
            blocks[-1] += " " + stripped
        else:
            blocks.append(_LIST_SIGN.sub("", stripped))
        before = stripped
    return [part.strip() for block in blocks for part in _SENTENCE_BREAK.split(block) if part and part.strip()]
