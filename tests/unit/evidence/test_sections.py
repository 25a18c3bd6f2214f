"""Chunks keep to the sections of a text, carry their headings, and lose no word."""

from itertools import groupby

import pytest

from fvi_pipeline.evidence.sections import cut_document


def words(count: int, stem: str) -> str:
    return " ".join(f"{stem}{number}." if number % 12 == 11 else f"{stem}{number}" for number in range(count))


def test_a_short_text_stays_whole():
    assert [(piece.text, piece.section) for piece in cut_document("# A\n\nOne.\n\n## B\n\nTwo.")] == [
        ("# A\n\nOne.\n\n## B\n\nTwo.", None)
    ]


def test_chunks_keep_to_sections_and_know_their_headings():
    text = (
        f"# Report\n\n{words(100, 'in')}\n\n## Reserves\n\n{words(300, 'seam')}\n\n### Method\n\n{words(90, 'drill')}"
        f"\n\n## Closure\n\n{words(150, 'bond')}"
    )
    pieces = cut_document(text, "Report")
    sections = [section for section, _ in groupby(piece.section for piece in pieces)]
    assert sections == [None, "Reserves", "Reserves > Method", "Closure"]
    for stem in ("in1", "seam", "drill", "bond"):
        assert len({piece.section for piece in pieces if stem in piece.text}) == 1, stem
    assert set(" ".join(piece.text for piece in pieces).split()) == set(text.split())
    assert pieces == cut_document(text, "Report")


def test_short_sections_go_together_under_the_heading_that_they_share():
    text = f"# Report\n\n## Staff\n\nTwo.\n\n## Owner\n\nOne.\n\n## Geology\n\n{words(175, 'seam')}"
    assert [piece.section for piece in cut_document(text)] == ["Report", "Report > Geology"]


@pytest.mark.parametrize(
    "heading",
    ["## Reserves", "Reserves\n--------", "2. Reserves", "RESERVES", "== Reserves =="],
)
def test_headings_of_plain_texts_are_headings_too(heading: str):
    text = f"{words(150, 'b')}\n\n{heading}\n\n{words(150, 'a')}"
    pieces = cut_document(text)
    assert [piece.section is not None and "reserves" in piece.section.casefold() for piece in pieces] == [False, True]


@pytest.mark.parametrize("line", ["3 Mt were sold.", "| a | b |", "- RESERVES", "WARNING: GAS!", "    # in code"])
def test_what_only_looks_like_a_heading_is_text(line: str):
    assert {piece.section for piece in cut_document(f"{words(150, 'a')}\n\n{line}\n\n{words(150, 'b')}")} == {None}


def test_a_comment_in_code_is_no_heading():
    text = f"{words(150, 'a')}\n\n```\n# install\nmake\n```\n\n{words(150, 'b')}"
    assert {piece.section for piece in cut_document(text)} == {None}
