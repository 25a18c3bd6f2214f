"""Structure of a text: its sections by their headings, and chunks that keep to them.

Pure text in, pieces out. Cutting a section at its sentences belongs in `chunking`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fvi_pipeline.evidence.chunking import (
    CHARACTERS_PER_CHUNK,
    OVERLAP_WORDS,
    WORDS_PER_CHUNK,
    split_into_chunks,
)

LEAST_WORDS = 60
"""A section with fewer words is put together with what follows it: alone it says too little to be found."""
CUTTER = f"sections-1:{WORDS_PER_CHUNK}:{OVERLAP_WORDS}:{CHARACTERS_PER_CHUNK}:{LEAST_WORDS}"
"""Name of the rules of cutting. A text that was cut by others is cut again: change the number with the code."""
_LONGEST_HEADING = 90

_MARKDOWN = re.compile(r" {0,3}(#{1,6})\s+(.*?)\s*#*\s*$")
_WIKI = re.compile(r"(={2,6})\s*([^=].*?)\s*\1\s*$")
_UNDERLINE = re.compile(r"(={3,}|-{3,})\s*$")
_NUMBERED = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s+([A-Z][^.!?;]*[^.!?;:,])$")
_FENCE = re.compile(r" {0,3}(```|~~~)")


@dataclass(frozen=True)
class Piece:
    """A chunk's text, and the headings above it from the outermost in, joined by " > "; None outside any section."""

    text: str
    section: str | None


@dataclass(frozen=True)
class _Section:
    path: tuple[str, ...]
    text: str

    @property
    def words(self) -> int:
        return len(self.text.split())


def cut_document(text: str, title: str | None = None) -> list[Piece]:
    """Cut a text into chunks at its headings, paragraphs and sentences.

    A text within the limits of `chunking` comes back whole; a chunk holds either one section or part of one, or short
    sections that follow each other. The heading that is the document's `title` is left out of the section's path. No
    word is lost; the same text always gives the same pieces.
    """
    text = text.replace("\r\n", "\n").strip()
    whole = split_into_chunks(text)
    if len(whole) <= 1:
        return [Piece(piece, None) for piece in whole]
    pieces = []
    for section in _joined(list(_sections(text))):
        path = section.path[1:] if section.path and _same(section.path[0], title) else section.path
        pieces += [Piece(piece, " > ".join(path) or None) for piece in split_into_chunks(section.text)]
    return pieces


def _same(heading: str, title: str | None) -> bool:
    return title is not None and heading.casefold() == title.casefold()


def _joined(sections: list[_Section]) -> Iterator[_Section]:
    """Put short sections together with what follows, as long as all fits into one chunk."""
    waiting: _Section | None = None
    for section in sections:
        if waiting is None:
            waiting = section
            continue
        both = f"{waiting.text}\n\n{section.text}"
        if min(waiting.words, section.words) < LEAST_WORDS and len(split_into_chunks(both)) == 1:
            waiting = _Section(_common(waiting.path, section.path), both)
        else:
            yield waiting
            waiting = section
    if waiting is not None:
        yield waiting


def _common(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    """The headings that both sections stand under; with none in common, those of the first that has any."""
    common = []
    for one, other in zip(first, second, strict=False):
        if one != other:
            break
        common.append(one)
    return tuple(common) or first or second


def _sections(text: str) -> Iterator[_Section]:
    path: list[tuple[int, str]] = []
    current: list[str] = []
    for level, heading, lines in _blocks(text.split("\n")):
        if level is not None:
            body = "\n".join(current).strip()
            if body:
                yield _Section(tuple(name for _, name in path), body)
            while path and path[-1][0] >= level:
                path.pop()
            path.append((level, heading))
            current = list(lines)
        else:
            current += lines
    body = "\n".join(current).strip()
    if body:
        yield _Section(tuple(name for _, name in path), body)


def _blocks(lines: list[str]) -> Iterator[tuple[int | None, str, list[str]]]:
    """Yield (level, heading, its lines) for a heading and (None, "", [line]) for any other line."""
    fenced = False
    place = 0
    while place < len(lines):
        line = lines[place]
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced:
            after = lines[place + 1] if place + 1 < len(lines) else ""
            alone = (place == 0 or not lines[place - 1].strip()) and len(line) <= _LONGEST_HEADING
            found = _heading(line, after, alone)
            if found is not None:
                level, name, length = found
                yield level, name, lines[place : place + length]
                place += length
                continue
        yield None, "", [line]
        place += 1


def _heading(line: str, after: str, alone: bool) -> tuple[int, str, int] | None:
    """Level, name and number of lines of the heading that starts with `line`; None if it is none."""
    if match := _MARKDOWN.match(line):
        return (len(match.group(1)), match.group(2), 1) if match.group(2) else None
    if match := _WIKI.match(line):
        return len(match.group(1)), match.group(2), 1
    words = line.strip()
    if not alone or not words or words.startswith(("|", "-", "*", ">", "•")):
        return None
    if _UNDERLINE.match(after):
        return (1 if after.startswith("=") else 2), words, 2
    if after.strip():
        return None
    if match := _NUMBERED.match(words):
        return 1 + match.group(1).count("."), words, 1
    letters = [character for character in words if character.isalpha()]
    if len(letters) >= 4 and all(character.isupper() for character in letters) and words[-1] not in ".!?:;,":
        return 1, words, 1
    return None
