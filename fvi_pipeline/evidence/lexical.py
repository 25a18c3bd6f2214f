"""What of a text is given to full text, and how a query is read.

PostgreSQL cuts texts into words and stems them (its configuration `english`); here is what it would do badly: words
joined by a slash or a dot, accents, capitals of other scripts, and scripts without spaces. Scoring is in `bm25`.
"""

import re
import unicodedata
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

CONFIGURATION = "english"

_PHRASE = re.compile(r'["“”„«»]([^"“”„«»]+)["“”„«»]')
_ABBREVIATION = re.compile(r"\b(?:[a-z]\.){2,}")
_HOST = re.compile(r"https?://(?:www\.)?([^\s/?#]+)\S*", re.IGNORECASE)
_WITHOUT_SPACES = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")


@dataclass(frozen=True)
class LexicalQuery:
    """A query for full text: all of its words, and the phrases that stood in quotes."""

    words: str
    phrases: tuple[str, ...]


def lexical_text(text: str) -> str:
    """Return the text as full text should read it: lower case, words and numbers with spaces between them.

    Accents are dropped (Zofiówka, Zofiowka), of a web address the host is kept, U.S. becomes us, and Chinese and
    Japanese, which have no spaces, become pairs of neighbouring characters.
    """
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(letter for letter in plain if not unicodedata.combining(letter)).lower()
    plain = unicodedata.normalize("NFC", plain).replace("ł", "l").replace("ø", "o").replace("’", "'")
    plain = _HOST.sub(lambda match: " " + match.group(1).replace(".", " ") + " ", plain)
    plain = _ABBREVIATION.sub(lambda match: match.group().replace(".", ""), plain)
    plain = _WITHOUT_SPACES.sub(_pairs, plain)
    plain = re.sub(r"(?<=\d),(?=\d{3}\b)", "", plain)
    plain = re.sub(r"(?<![0-9])\.|\.(?![0-9])", " ", plain)
    return " ".join(re.sub(r"[^\w\s.']|_", " ", plain).split())


def _pairs(match: re.Match[str]) -> str:
    run = match.group()
    return f" {run} " if len(run) <= 2 else " " + " ".join(map("".join, pairwise(run))) + " "


def read_query(query: str) -> LexicalQuery:
    """Return the words of a query, and its phrases in quotes, as they are looked for."""
    phrases = tuple(dict.fromkeys(filter(None, map(lexical_text, _PHRASE.findall(query)))))
    return LexicalQuery(lexical_text(query), phrases)


def passage_text(title: str | None, section: str | None, text: str) -> str:
    """Return what full text reads of a passage: the headings that it does not repeat itself, and the passage."""
    heads = []
    for head in (title, section):
        if head and head.casefold() not in text.casefold() and head not in heads:
            heads.append(head)
    return lexical_text("\n".join([*heads, text]))


def told_title(title: str | None, source: str) -> str | None:
    """Return a title; None for the name of a file that is no more than a number or a word and a number."""
    stem = PurePosixPath(source).stem
    if title and title.split() == re.split(r"[\s_-]+", stem) and len(re.findall(r"[^\W\d]{3,}", title)) < 2:
        return None
    return title
