"""Questions are read without a model, and nothing is guessed in silence."""

import pytest

from fvi_pipeline.answers.plans import calls
from fvi_pipeline.answers.questions import Before, read_question
from fvi_pipeline.answers.words import sentences_of
from tests.unit.answers.mines import directory

MINES = directory()


def read(text, **more):
    return read_question(text, MINES, 2019, **more)


@pytest.mark.parametrize(
    ("text", "quantity", "mine_id", "horizon"),
    [
        ("What is the FVI score of Freedom Mine in 10 years?", "score", "msha:3200595", 10),
        ("How likely is it that North Antelope Rochelle still produces in 2029?", "score", "msha:4801353", 10),
        ("viability of freedom mine over the next decade", "score", "msha:3200595", 10),
        ("Why is Bailey Mine in Pennsylvania at risk?", "reasons", "msha:3607230", None),
        ("What changed at Oak Grove in Alabama this year?", "change", "msha:0100851", None),
        ("What does M0988 produce?", "production", "msha:3607230", None),
        ("How many tons of reserves are left at Peak Downs?", "reserves", "gem:M0087", None),
        ("When will Marion County Mine close?", "closing_year", "msha:4700001", None),
        ("How many people work at Blacksville Mine?", "average_employees", "msha:4700002", None),
        ("What was the output of msha:3200595 in 2015?", "production", "msha:3200595", None),
        ("Which county is Freedom Mine in?", "place", "msha:3200595", None),
        ("What's the chance Freedom Mine keeps going for another decade?", "score", "msha:3200595", 10),
        ("By which year will Freedom Mine probably have shut down?", "closing_year", "msha:3200595", None),
        ("How productive is Freedom Mine?", "productivity", "msha:3200595", None),
        ("What was Freedom Mine's best year?", "peak_production", "msha:3200595", None),
        ("What are the risks for Freedom Mine?", "reasons", "msha:3200595", None),
        ("Anything new at Freedom Mine?", "change", "msha:3200595", None),
        ("How did Freedom Mine do compared with 2015?", "change", "msha:3200595", None),
        ("freedom mine headcount", "average_employees", "msha:3200595", None),
        ("Is Freedom Mine still open?", "status", "msha:3200595", None),
        ("Is Freedom Mine still open in 2029?", "score", "msha:3200595", 10),
    ],
)
def test_what_is_asked_of_which_mine(text, quantity, mine_id, horizon):
    question = read(text)
    assert (question.quantity, [m.mine_id for m in question.mines], question.horizon_years) == (
        quantity,
        [mine_id],
        horizon,
    )
    assert not question.unexplained
    assert not question.unclear
    assert not question.unknown
    assert all(call.arguments["mine_id"] == mine_id for call in calls(question, 2019))


def test_a_name_of_several_mines_is_asked_back_unless_something_tells_them_apart():
    asked = read("What is the score of Oak Grove?")
    assert not asked.mines
    assert [{m.mine_id for m in mines} for _, mines in asked.unclear] == [{"msha:4600001", "msha:0100851"}]
    for told in ("in West Virginia", "in Boone County", "(WV)"):
        assert [m.mine_id for m in read(f"What is the score of Oak Grove {told}?").mines] == ["msha:4600001"], told
    assert [m.mine_id for m in read("What is the score of Murray's Oak Grove mine?").mines] == ["msha:0100851"]
    assert len(read("What is the score of Mine #1?").unclear[0][1]) == 3
    assert [m.mine_id for m in read("score of No. 1 in western Kentucky").mines] == ["msha:1500003"]
    assert read("What is the score of Oak Grove in Ohio?").unclear


def test_of_like_names_the_only_one_that_produces_is_taken_and_the_answer_says_so():
    now = read("What changed for Bailey this year?")
    assert [m.mine_id for m in now.mines] == ["msha:3607230"]
    ((named, meant, others),) = now.choices
    assert (named.text, meant.mine_id, [m.mine_id for m in others]) == ("bailey", "msha:3607230", ["msha:0102496"])
    then = read("How much did Bailey produce in 1983?")
    assert [m.mine_id for m in then.mines] == ["msha:0102496"]
    assert then.choices
    # both produced in 1984: nothing is chosen
    assert read("How much did Bailey produce in 1984?").unclear


def test_mines_of_a_company_a_place_and_an_order():
    owned = read("Which Wyoming mines does Peabody own?")
    assert (owned.kind, owned.company, owned.place.state, owned.mines) == ("list", "Peabody", "Wyoming", ())
    (call,) = calls(owned, 2019)
    assert (call.tool, call.arguments) == ("list_mines", {"state": "Wyoming", "company": "Peabody"})
    (call,) = calls(read("List the 5 riskiest mines in West Virginia over ten years"), 2019)
    assert call.arguments == {"state": "West Virginia", "order": "lowest_score", "horizon_years": 10, "limit": 5}
    (call,) = calls(read("How many active underground mines are in Alabama?"), 2019)
    assert call.arguments == {"state": "Alabama", "status": "operating", "mine_type": "Underground", "limit": 1}


def test_several_places_are_each_their_own():
    asked = read("Compare the scores of Bailey in Pennsylvania and Oak Grove in Alabama")
    assert [m.mine_id for m in asked.mines] == ["msha:3607230", "msha:0100851"]
    found = calls(read("How many mines are in Wyoming and Alabama?"), 2019)
    assert [call.arguments["state"] for call in found] == ["Wyoming", "Alabama"]
    # a place's own words ask for nothing
    (call,) = calls(read("Show me all mines in North Dakota"), 2019)
    assert call.arguments == {"state": "North Dakota"}


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("What is the score of Freedom Mine in 5, 10 and 20 years?", [("scores", 5), ("scores", 10), ("scores", 20)]),
        ("production of Freedom Mine in 2010 and 2015", [("production", 2010), ("production", 2015)]),
        ("How much did Freedom Mine produce from 2016 to 2018?", [("production", y) for y in (2016, 2017, 2018)]),
        (
            "owner, status and production of Freedom Mine",
            [("profile", "owner"), ("profile", "status"), ("production", None)],
        ),
        ("What are the score and the employees of Freedom Mine?", [("scores", 5), ("workforce", "average_employees")]),
    ],
)
def test_what_is_asked_in_a_list_is_answered_in_whole(text, asked):
    found = calls(read(text), 2019)
    keys = ("horizon_years", "year", "attribute", "measure")
    assert [(c.tool, next((c.arguments[k] for k in keys if k in c.arguments), None)) for c in found] == asked


def test_words_that_the_data_has_no_column_for_are_noticed():
    for text in (
        "What is the ash content of Bailey coal?",
        "What was the EBITDA of Freedom Mine in 2019?",
        "Has Freedom Mine been fined?",
    ):
        assert read(text).unexplained, text
    assert read("What is the score of Khazad-dum Mine?").unknown
    assert read("What is the score of msha:9999999?").unknown
    assert read("What is the capital of France?").kind == "text"


def test_a_list_in_an_order_that_the_data_does_not_have_is_not_listed_in_another():
    assert read("Which mines in Alabama have the best coffee?").unexplained
    (call,) = calls(read("Which mines in Alabama have the worst outlook?"), 2019)
    assert call.arguments["order"] == "lowest_score"


def test_a_conversation_goes_on():
    before = Before(("msha:3200595",), "score", "number", 5)
    assert [m.mine_id for m in read("And in ten years?", before=before).mines] == ["msha:3200595"]
    assert read("And in ten years?", before=before).horizon_years == 10
    assert read("Why is it at risk?", before=before).quantity == "reasons"
    assert [m.mine_id for m in read("And Peak Downs?", before=before).mines] == ["gem:M0087"]
    assert [m.mine_id for m in read("What changed this year?", mine_id="gem:M0087").mines] == ["gem:M0087"]
    # a question about many mines is not about the last one
    assert read("Which mines are in Wyoming?", before=before).mines == ()


def test_reading_never_fails():
    for text in (
        "",
        "?",
        "\x00",
        "a" * 100_000,
        "#" * 500,
        "mine " * 900,
        "½ ① ß İ ﬃ",
        "No. No. No.",
        "(((",
        "2019 2019",
    ):
        read(text)


def test_the_beginning_of_a_name_is_enough_where_one_such_mine_produces():
    begun = read("Why is the score of Rosebud so low?")
    assert [m.mine_id for m in begun.mines] == ["msha:2401747"]
    ((named, _, others),) = begun.choices
    assert (named.is_beginning, [m.mine_id for m in others]) == (True, ["msha:3608410"])
    # the longer name goes before the one within it
    assert [m.mine_id for m in read("What is the status of Upper Big Branch?").mines] == ["msha:4608436"]


def test_two_names_side_by_side_are_a_name_that_nobody_has():
    assert read("Where does Raven Ridge lie?").unknown == ("raven ridge",)
    assert [m.name for m in read("Compare Raven, Ridge and Bailey in Pennsylvania").mines][:2] == [
        "Raven Mine",
        "Ridge",
    ]


@pytest.mark.parametrize(
    ("text", "called"),
    [
        ("Top 5 producers in Wyoming in 2015", [("largest_producers", {"state": "Wyoming", "limit": 5, "year": 2015})]),
        ("Which mines closed in Wyoming in 2015?", None),
        ("Average score of mines in Montana", [("score_summary", {"state": "Montana", "horizon_years": 5})]),
        (
            "How did employment in Wyoming change from 2010 to 2019?",
            [("total_employees", {"state": "Wyoming", "year": year}) for year in (2010, 2019)],
        ),
        ("Which mines belong to Coal India?", [("list_mines", {"company": "Coal India"})]),
        ("Rank the Alabama mines by risk over ten years.",
         [("list_mines", {"state": "Alabama", "order": "lowest_score", "horizon_years": 10})]),
        ("Is Freedom Mine growing or shrinking?", [("changes", {"mine_id": "msha:3200595"}),
         ("score_history", {"mine_id": "msha:3200595", "horizon_years": 5})]),
    ],
)  # fmt: skip
def test_questions_of_many_mines_and_of_past_years(text, called):
    question = read(text)
    if called is None:  # of a past year only what was produced is known of all mines
        assert question.unexplained
    else:
        assert not question.unexplained
        assert [(call.tool, call.arguments) for call in calls(question, 2019)] == called


def test_wrapped_lines_are_one_sentence_and_items_of_a_list_are_several():
    text = (  # as a page has it
        "# Usual\n\nMines of one year share prices, weather and a very great number of\npublisher's habits. "
        "Of one county, everything.\n- first item\n- second item. - Third item\n| a | table |"
    )
    assert sentences_of(text) == [
        "Usual",
        "Mines of one year share prices, weather and a very great number of publisher's habits.",
        "Of one county, everything.",
        "first item",
        "second item.",
        "Third item",
        "| a | table |",
    ]
