"""Mines are found in texts: how many links are right and how many are found, on passages marked by hand."""

from fvi_pipeline.evidence.links import Gazetteer, GazetteerMine
from tests.unit.evidence.linking_sample import MINES, PASSAGES

GAZETTEER = Gazetteer(MINES)


def test_precision_and_recall_on_the_marked_passages():
    right = wrong = missed = 0
    told = []
    for around, text, marked in PASSAGES:
        found = {mention.mine_id for mention in GAZETTEER.mentions(text, around)}
        right += len(found & marked)
        wrong += len(found - marked)
        missed += len(marked - found)
        if found != marked:
            told.append(f"{text!r}: found {sorted(found - marked)}, missed {sorted(marked - found)}")
    precision, recall = right / (right + wrong), right / (right + missed)
    assert len(PASSAGES) == 60
    assert precision >= 0.97, (precision, told)
    assert recall >= 0.90, (recall, told)


def test_how_a_mine_was_found_is_told():
    found = {
        mention.mine_id: mention.how
        for mention in GAZETTEER.mentions("MSHA ID 3607416; NARM in Wyoming is Peabody Energy's; Unity Mine too.")
    }
    assert found == {"msha:3607416": "identifier", "msha:4801353": "alias", "msha:1102752": "name"}


def test_a_name_that_several_mines_bear_is_decided_by_what_stands_around_it_or_not_at_all():
    twins = [
        GazetteerMine(f"msha:000000{number}", ("Twin Pines Mine",), state=state, county="Lake", country="United States")
        for number, state in enumerate(("Ohio", "Indiana"))
    ]
    gazetteer = Gazetteer(twins)
    assert gazetteer.mentions("Twin Pines Mine hired.") == []
    assert [mention.mine_id for mention in gazetteer.mentions("Twin Pines Mine hired in Indiana.")] == ["msha:0000001"]
    assert gazetteer.mentions("Twin Pines Mine, once of Ohio, now of Indiana, hired.") == []
