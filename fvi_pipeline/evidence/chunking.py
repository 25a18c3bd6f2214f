"""Cutting a text into chunks that an embedding model can take in whole, and telling texts apart.

Pure text in, text out. What a chunk is called and where it is stored belongs in `documents`.
"""

import hashlib
import re
from collections.abc import Iterator

# MiniLM reads 256 word pieces: some 180 words of English. The limit in characters is for text in
# which words say little about length (Chinese, long web addresses).
WORDS_PER_CHUNK = 180
CHARACTERS_PER_CHUNK = 1_400
OVERLAP_WORDS = 40

_PARAGRAPH_BREAK = re.compile(r"\n\s*\n")
# A sentence ends at . ! ? before white space and something that can start a sentence (so that
# "approx. 3 Mt" stays whole), or at the full stops of Chinese and Japanese.
_SENTENCE_BREAK = re.compile(r"(?<=[.!?])\s+(?=[\"'(\[]?[A-Z])|(?<=[。!?])")


def text_sha256(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 bytes, in hexadecimal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def split_into_chunks(
    text: str,
    words_per_chunk: int = WORDS_PER_CHUNK,
    overlap_words: int = OVERLAP_WORDS,
    characters_per_chunk: int = CHARACTERS_PER_CHUNK,
) -> list[str]:
    """Cut a text into chunks at paragraphs and sentences; neighbours share their border's sentences.

    A text within the limits comes back as its only chunk; an empty one gives no chunk. No chunk is
    longer than either limit, no word is lost, and the same text always gives the same chunks.
    """
    text = text.replace("\r\n", "\n").strip()
    if not text:
        return []
    if _fits(text, words_per_chunk, characters_per_chunk):
        return [text]
    chunks: list[str] = []
    # Each piece is kept with what separates it from the piece before it.
    current: list[tuple[str, str]] = []
    fresh = False
    for separator, piece in _pieces(text, words_per_chunk - overlap_words, characters_per_chunk // 2):
        if fresh and not _fits(_join([*current, (separator, piece)]), words_per_chunk, characters_per_chunk):
            chunks.append(_join(current))
            current = _tail(current, overlap_words, characters_per_chunk // 2)
            fresh = False
            if not _fits(_join([*current, (separator, piece)]), words_per_chunk, characters_per_chunk):
                current = []
        current.append((separator, piece))
        fresh = True
    if fresh:
        chunks.append(_join(current))
    return chunks


def _fits(text: str, words: int, characters: int) -> bool:
    return len(text) <= characters and len(text.split()) <= words


def _join(pieces: list[tuple[str, str]]) -> str:
    return "".join(piece if index == 0 else separator + piece for index, (separator, piece) in enumerate(pieces))


def _tail(pieces: list[tuple[str, str]], words: int, characters: int) -> list[tuple[str, str]]:
    """Return the last pieces that together stay within the limits: the overlap with the next chunk."""
    tail: list[tuple[str, str]] = []
    for piece in reversed(pieces):
        if not _fits(_join([piece, *tail]), words, characters):
            break
        tail.insert(0, piece)
    return tail


def _pieces(text: str, words: int, characters: int) -> Iterator[tuple[str, str]]:
    """Yield (separator, sentence) pairs; a sentence beyond the limits is cut between words, then anywhere."""
    for paragraph in _PARAGRAPH_BREAK.split(text):
        separator = "\n\n"
        for sentence in _SENTENCE_BREAK.split(paragraph):
            for piece in _cut(sentence.strip(), words, characters):
                yield separator, piece
                separator = " "


def _cut(sentence: str, words: int, characters: int) -> Iterator[str]:
    if not sentence:
        return
    if _fits(sentence, words, characters):
        yield sentence
        return
    line: list[str] = []
    length = 0
    for word in sentence.split():
        for part in (word[start : start + characters] for start in range(0, len(word), characters)):
            if line and (len(line) >= words or length + 1 + len(part) > characters):
                yield " ".join(line)
                line, length = [], 0
            line.append(part)
            length += len(part) + (1 if length else 0)
    if line:
        yield " ".join(line)
