"""Answers without a language model: the facts' own sentences and the best sentences of passages, each cited.

Which facts are asked for is in `plans`, how they are read in `facts_*`. Streaming and checking belong to `service`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fvi_pipeline.answers.directory import MAXIMUM_CANDIDATES, Mine, candidate, core
from fvi_pipeline.answers.fact import Fact, Passage, Value
from fvi_pipeline.answers.marts import integer
from fvi_pipeline.answers.questions import Question
from fvi_pipeline.answers.words import content_stems, sentences_of, stem, tokens

LEAST_COVERAGE = 0.6
"""Of the stems that a question asks with, this share must be in a passage's sentence, or its title, to answer it."""
LEAST_COVERAGE_OF_ALL = {"fact_sheet": 0.6, "system": 0.7}
"""The same of all stems of the question, where a page has every word of the field somewhere."""
MAXIMUM_QUOTES = 3
_MAXIMUM_QUOTE_CHARACTERS = 500
_LEAST_WORDS = 5
_TABLE = "|"


@dataclass(frozen=True)
class Said:
    """A sentence of an answer with what it rests on. One without sources claims nothing: it asks, declines or
    leads on."""

    text: str
    sources: tuple[Fact | Passage, ...] = ()

    @property
    def is_claim(self) -> bool:
        """Whether it says something that has to be supported."""
        return bool(self.sources)


def of_facts(facts: Iterable[Fact]) -> list[Said]:
    """Each fact's own sentence."""
    return [Said(fact.sentence, (fact,)) for fact in facts]


def choices_told(question: Question) -> list[Said]:
    """Which of several mines of a name the answer is about, and why that one."""
    told = []
    for named, mine, others in question.choices:
        count = len(others) + 1
        then = question.years and question.years[0] <= (mine.last_production_year or 0)
        why = "the one that produced then" if then else "the only one that still produces"
        fact = Fact(
            f"{integer(count)} mines {'have names that begin with' if named.is_beginning else 'are called'} "
            f"{named.text!r}; "
            f"this is about {mine.name} ({mine.mine_id}), {mine.where}, {why}.",
            "silver.silver_mine_profiles",
            {"mine_id": [mine.mine_id, *(other.mine_id for other in others[:MAXIMUM_CANDIDATES])]},
            (Value("mines", count, "mines"), Value("name", named.text), Value("where", mine.where)),
            mine_id=mine.mine_id,
        )
        told.append(Said(fact.sentence, (fact,)))
    return told


def left_out(question: Question) -> list[Said]:
    """What of the question is not answered: names of no mine beside those of mines, and mines beyond the bound."""
    said = [Said(f"There is no mine called {name!r} in the data.") for name in question.unknown]
    if question.left_out:
        said.append(Said(f"This is about the first {len(question.mines)} mines; ask for the others by themselves."))
    return said


def asked_back(question: Question) -> list[Said]:
    """Which mines a name may mean, and what would tell them apart."""
    said = []
    for named, mines in question.unclear:
        place = question.place
        where = (place.county and f"{place.county} County") or place.state or place.country
        nowhere = where and not any(_lies_in(mine, question) for mine in mines)
        if nowhere:
            said.append(Said(f"No mine called {named.text!r} is in {where}; these have the name:"))
        else:
            more = "" if len(mines) <= MAXIMUM_CANDIDATES else f", of which these are {MAXIMUM_CANDIDATES}"
            said.append(
                Said(
                    f"{integer(len(mines))} mines may be meant by {named.text!r}{more}: "
                    "name the state, the county, the company or the identifier of yours."
                    if len(mines) > 1
                    else f"One mine may be meant by {named.text!r}:"
                )
            )
        said += of_facts(candidate(mine) for mine in mines[:MAXIMUM_CANDIDATES])
    return said


def _lies_in(mine: Mine, question: Question) -> bool:
    place = question.place
    return all(
        not wanted or (own or "").casefold().startswith(wanted.casefold())
        for wanted, own in ((place.country, mine.country), (place.state, mine.state), (place.county, mine.county))
    )


def not_known(question: Question, near: Sequence[Mine]) -> list[Said]:
    """That there are no mines of the names asked for, and which are spelt almost so."""
    names = " or ".join(repr(name) for name in question.unknown)
    said = [Said(f"There is no mine called {names} in the data.")]
    if near:
        said.append(Said("These are spelt almost so:"))
        said += of_facts(candidate(mine) for mine in near)
    return said


def quotes(question: Question, passages: Sequence[Passage]) -> list[Said]:
    """The best sentences of passages that answer the question; none when none does.

    A sentence answers if it, with its document's title, has LEAST_COVERAGE of the stems that the question asks with,
    all of those that the grammar does not know, and the question's numbers.
    """
    asked = _asked(question)
    if not asked:
        return []
    digits = {word for word in tokens(question.text) if word[0].isdigit()} - {
        w for m in question.mines for w in tokens(m.mine_id)
    }
    names = {w for mine in question.mines for w in core(tokens(mine.name))}
    digits = {word.rstrip("%") for word in digits - names}
    ranked: list[tuple[float, int, str, Passage]] = []
    for rank, passage in enumerate(passages):
        if question.mines and not _about(passage, question.mines):
            continue
        title = content_stems(passage.title or "")
        for sentence in sentences_of(passage.text):
            if len(sentence.split()) < _LEAST_WORDS or _TABLE in sentence:
                continue
            own = content_stems(sentence)
            covered = asked & (own | title)
            if len(covered) / len(asked) < LEAST_COVERAGE or not question.unexplained <= (own | title):
                continue
            if not asked & own or not digits <= {word.rstrip("%") for word in tokens(sentence)}:
                continue
            if not _of_its_kind(question, passage, own | title):
                continue
            ranked.append((-len(asked & own) / len(asked), rank, sentence[:_MAXIMUM_QUOTE_CHARACTERS], passage))
    ranked.sort(key=lambda found: found[:3])
    best: dict[str, Said] = {}
    for _, _, sentence, passage in ranked:
        best.setdefault(" ".join(tokens(sentence)), Said(sentence, (passage,)))
    return list(best.values())[:MAXIMUM_QUOTES]


def _of_its_kind(question: Question, passage: Passage, stems: frozenset[str]) -> bool:
    if passage.kind == "system" and (question.place or question.company):
        return False  # pages about the system tell nothing of them
    if passage.kind == "fact_sheet" and not question.mines:
        return False  # of some mine or other, and not of those that are asked for
    asked = content_stems(question.text)
    return len(asked & stems) >= LEAST_COVERAGE_OF_ALL.get(passage.kind, 0) * len(asked)


def context(question: Question, passages: Sequence[Passage]) -> list[Said]:
    """For a question that facts answer: the best sentence that a document has on its mines; none without a mine."""
    if not question.mines:
        return []
    for passage in passages:
        # a fact sheet says what the facts have said
        if passage.kind == "fact_sheet" or not _about(passage, question.mines):
            continue
        for sentence in sentences_of(passage.text):
            if len(sentence.split()) >= 2 * _LEAST_WORDS and "http" not in sentence and _TABLE not in sentence:
                return [Said(sentence[:_MAXIMUM_QUOTE_CHARACTERS], (passage,))]
    return []


def _about(passage: Passage, mines: Sequence[Mine]) -> bool:
    return any(mine.mine_id in passage.mine_ids for mine in mines)


def _asked(question: Question) -> frozenset[str]:
    names = {stem(w) for mine in question.mines for w in core(tokens(mine.name))}
    return question.unexplained or frozenset(content_stems(question.text) - names)
