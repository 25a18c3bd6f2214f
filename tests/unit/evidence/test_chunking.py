"""Chunks keep every word, keep within the limits, overlap, and are always the same."""

import re
from itertools import pairwise

import pytest

from fvi_pipeline.evidence.chunking import (
    CHARACTERS_PER_CHUNK,
    OVERLAP_WORDS,
    WORDS_PER_CHUNK,
    split_into_chunks,
)


def sentences(count: int, words: int = 12) -> str:
    return " ".join(
        f"Sentence {number} " + " ".join(f"word{number}x{index}" for index in range(words - 2)) + "."
        for number in range(count)
    )


def test_a_short_note_stays_one_chunk():
    assert split_into_chunks("  East ventilation shaft\n") == ["East ventilation shaft"]


@pytest.mark.parametrize("text", ["", "   ", "\n\n \r\n"])
def test_an_empty_text_gives_no_chunk(text):
    assert split_into_chunks(text) == []


def test_every_chunk_is_within_the_limits_and_no_word_is_lost():
    text = "\n\n".join(sentences(20) for _ in range(6))
    chunks = split_into_chunks(text)
    assert len(chunks) > 5
    for chunk in chunks:
        assert len(chunk.split()) <= WORDS_PER_CHUNK
        assert len(chunk) <= CHARACTERS_PER_CHUNK
    assert set(" ".join(chunks).split()) == set(text.split())
    assert chunks == split_into_chunks(text)


def test_neighbours_share_whole_sentences_at_their_border():
    chunks = split_into_chunks(sentences(60), characters_per_chunk=10_000)
    for before, after in pairwise(chunks):
        first = after.split(". ")[0] + "."
        assert first in before
        overlap = [word for word in after.split() if word in set(before.split()) and "x" in word]
        assert 0 < len(overlap) <= OVERLAP_WORDS


def test_order_is_kept():
    chunks = split_into_chunks(sentences(100))
    firsts = [int(re.search(r"Sentence (\d+)", chunk)[1]) for chunk in chunks]
    assert firsts == sorted(firsts)
    assert firsts[0] == 0


def test_text_without_sentences_or_spaces_is_cut_too():
    assert all(len(chunk) <= CHARACTERS_PER_CHUNK for chunk in split_into_chunks("煤" * 5_000))
    assert "".join(split_into_chunks("x" * 5_000, overlap_words=0)).replace(" ", "").count("x") >= 5_000
    long_sentence = " ".join(f"w{index}" for index in range(1_000))
    words = [word for chunk in split_into_chunks(long_sentence) for word in chunk.split()]
    assert set(words) == set(long_sentence.split())
