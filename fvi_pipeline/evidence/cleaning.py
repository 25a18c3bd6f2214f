"""Making a text fit to be read, cut and compared: form of characters, broken words, furniture of pages.

Pure text in, text out; nothing that was said is lost. Reading bytes belongs in `reading`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

_LEAST_PAGES = 3
_SHARE_OF_PAGES = 0.6
_LINES_LOOKED_AT = 3
"""At the top and at the bottom of a page: running heads and numbers stand there."""
_FULL_LINE_CHARACTERS = 45
"""A line shorter than this was ended by its author and not by the margin."""

_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_ODD_SPACE = re.compile("[\t\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_BROKEN_WORD = re.compile(r"([^\W\d_]+)-[ \t]*\n[ \t]*([^\W\d_]+)")
_LIST_ITEM = re.compile(r"\s*([-*•–▪]|\(?[0-9a-z]{1,3}[.)])\s")
_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(r"\bpage\b|^\W*\d+\W*$|\b\d+ of \d+$", re.IGNORECASE)


def clean_text(text: str) -> str:
    """Return the text in NFC, with plain line ends and spaces, without control and invisible characters, words that a
    line end broke made whole, and no more than one empty line in a row.
    """
    text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate, which PostgreSQL refuses
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n"))
    text = _ODD_SPACE.sub(" ", _CONTROL.sub("", _INVISIBLE.sub("", text.replace("\x85", "\n").replace("\u2028", "\n"))))
    text = _join_broken_words(text)
    text = re.sub(r"[ ]+\n", "\n", text)
    text = re.sub(r"(?<=\S) {2,}", " ", text)  # not at the start of a line: there it is structure
    return re.sub(r"\n{3,}", "\n\n", text).strip()


def _join_broken_words(text: str) -> str:
    """Join words that were broken at a line end. A hyphen that the word has elsewhere in the text too stays."""
    words = Counter(re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)+|[^\W\d_]+", text.casefold())) if "-\n" in text else Counter()

    def whole(match: re.Match[str]) -> str:
        first, second = match.group(1), match.group(2)
        hyphened, joined = f"{first}-{second}", f"{first}{second}"
        is_compound = not second[0].islower() or words[hyphened.casefold()] > words[joined.casefold()]
        return hyphened if is_compound else joined

    return _BROKEN_WORD.sub(whole, text)


def join_pages(pages: Sequence[str]) -> str:
    """Return the text of a document's pages: without heads, feet and numbers that repeat from page to page, and with
    the lines of a paragraph joined again.
    """
    stripped = [[line.strip() for line in page.replace("\r\n", "\n").split("\n")] for page in pages]
    furniture = _furniture(stripped)
    kept = [_without(lines, furniture) for lines in stripped]
    return "\n\n".join(filter(None, (_unwrapped(lines) for lines in kept)))


def _furniture(pages: Sequence[Sequence[str]]) -> set[str]:
    if len(pages) < _LEAST_PAGES:
        return set()
    seen: Counter[str] = Counter()
    for lines in pages:
        seen.update({_without_number(line) for line in _edges(lines)})
    return {line for line, count in seen.items() if count >= max(_LEAST_PAGES, _SHARE_OF_PAGES * len(pages))}


def _without_number(line: str) -> str:
    """A line as it repeats: the number of the page differs, other figures are text."""
    return _DIGITS.sub("0", line) if _PAGE_NUMBER.search(line) else line


def _edges(lines: Sequence[str]) -> list[str]:
    filled = [line for line in lines if line]
    return [*filled[:_LINES_LOOKED_AT], *filled[-_LINES_LOOKED_AT:]]


def _without(lines: Sequence[str], furniture: set[str]) -> list[str]:
    """Drop furniture from the edges only: the same words within the text are text."""
    if not furniture:
        return list(lines)
    filled = [place for place, line in enumerate(lines) if line]
    edges = {*filled[:_LINES_LOOKED_AT], *filled[-_LINES_LOOKED_AT:]}
    return [line for place, line in enumerate(lines) if place not in edges or _without_number(line) not in furniture]


def _unwrapped(lines: Sequence[str]) -> str:
    text = ""
    previous = ""
    for line in lines:
        if not line or not previous:
            text += "\n\n" + line
        elif previous.endswith("-") or _LIST_ITEM.match(line) or len(previous) < _FULL_LINE_CHARACTERS:
            text += "\n" + line
        else:
            text += " " + line
        previous = line
    return text.strip()
