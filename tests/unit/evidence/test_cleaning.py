"""Texts are made fit to be read and cut; nothing that was said is lost."""

from datetime import date

import pytest

from fvi_pipeline.evidence.cleaning import clean_text, join_pages
from fvi_pipeline.evidence.dates import dates_in, stated_date
from fvi_pipeline.evidence.language import language_of


def test_broken_words_are_made_whole_and_compounds_keep_their_hyphen():
    text = "The long-\nwall was re-\nopened. A long-wall of the Co-\nAl type. The cooper-\nation ended."
    assert clean_text(text) == "The long-wall was reopened. A long-wall of the Co-Al type. The cooperation ended."


def test_characters_are_of_one_form_and_visible():
    assert (
        clean_text("Ko\u0308ln\u00a0AG\x00\u200b\x07 co\u00adal\u2003mine\r\nend \ud800") == "Köln AG coal mine\nend ?"
    )
    assert clean_text("a\n\n\n\nb\f\fc") == "a\n\nb\n\nc"
    assert clean_text(clean_text("  x  y \n")) == clean_text("  x  y \n") == "x y"


def test_heads_feet_and_numbers_of_pages_go_and_lines_are_joined():
    pages = [
        f"Annual report 2020\n\nMine {number} produced more coal than in any year before it,\nand the crew of "
        f"panel {number} was larger.\nBody {number}.\n\nPage {number} of 5"
        for number in range(1, 6)
    ]
    text = join_pages(pages)
    assert "Annual report" not in text
    assert "Page" not in text
    assert text.count("in any year before it, and the crew") == 5
    assert [f"Body {number}." in text for number in range(1, 6)] == [True] * 5


def test_words_that_repeat_on_two_pages_only_are_text():
    assert join_pages(["Summary\n\nOne.", "Summary\n\nTwo."]).count("Summary") == 2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The mine was closed after a flood in the east panel.", "en"),
        ("Kopalnia została zamknięta po pożarze w 2019 roku, a załogę przeniesiono.", "pl"),
        ("Шахта была закрыта после затопления восточного участка.", "ru"),
        ("煤矿因水灾关闭", "zh"),
        ("East shaft", None),
        ("12345 67890 !!", None),
    ],
)
def test_languages(text: str, language: str | None):
    assert language_of(text) == language


def test_dates_are_read_in_the_forms_that_leave_no_doubt():
    text = (
        "On 12 March 2021 and March 5, 2020, by 2030; 2000 tonnes; since Sept. 2019; 2021-05-06; 1,2030; 555-2020; "
        "31 February 2020; 03/04/2018; in 1998."
    )
    assert [day.isoformat() for day in dates_in(text)] == [
        "1998-01-01",
        "2019-09-01",
        "2020-03-05",
        "2021-03-12",
        "2021-05-06",
        "2030-01-01",
    ]
    assert stated_date("# A report\n\nPublished: 12 May 2021\n\nIn 1990 …") == date(2021, 5, 12)
    assert stated_date("It dates from 1990.") is None
