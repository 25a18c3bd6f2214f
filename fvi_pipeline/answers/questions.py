"""A question read: what is asked, of which mines, where, when; or why it cannot be answered. Deterministic, no model.

Words are in `grammar`, names in `directory`, what is refused in `policy`. Which facts answer a question is said in
`plans`. Nothing is guessed without its being told: of like names the place, the owner or the year decides, or that one
mine alone still produces, which the answer says; otherwise the candidates are given back.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fvi_pipeline.answers import grammar
from fvi_pipeline.answers.directory import Directory, Mine, Named, core, narrowed, ordered
from fvi_pipeline.answers.grammar import Kind
from fvi_pipeline.answers.places import Place
from fvi_pipeline.answers.policy import MAXIMUM_QUESTION_CHARACTERS, Refusal, refusal, refused
from fvi_pipeline.answers.words import FUNCTION_WORDS, content_stems, plain, tokens

MAXIMUM_MINES = 5
OF_MANY = frozenset({"count", "total_production", "score_summary"})
"""Quantities of all mines of a place or a company."""
_POINTS_BACK = re.compile(
    r"\b(?:it|its|this mine|that mine|the mine|this one|that one|there|the same mine)\b|^(?:and|what about"
    r"|how about|why|also)\b"
)
_COMPANY = (
    re.compile(r"\b(?:does|do|did|has|have|is|are)\s+(?P<company>[^?,.]+?)\s+(?:own|operate|run|have"
        r"|control)\b", re.IGNORECASE),
    re.compile(
        r"\b(?:owned|operated|run|controlled|held)\s+by\s+(?P<company>[^?,]+?)"
        r"(?=\s+(?:in|at|with|that|which|are|is|have|has|produce|produced|together|still)\b|[?,]|\.?$)",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:belong|belongs|belonging|belonged)\s+to\s+(?P<company>[^?,]+?)(?=\s+(?:in|at|with|that|which)\b|[?,]|\.?$)",
        re.IGNORECASE,
    ),
    re.compile(r"\b(?:mines|production|output)\s+of\s+(?P<company>[^?,.]+?)(?=\s+(?:in|at|are|is|with|that)\b"
        r"|[?,.]|$)", re.IGNORECASE),
    re.compile(r"\b(?P<company>[A-Z][\w&.-]*(?:\s+[A-Z&][\w&.-]*)*)(?:['’]s|['’])\s+(?:\w+\s+){0,2}mines\b"),
    re.compile(r"\b(?:how much|what)\s+(?:coal\s+)?did\s+(?P<company>[^?,.]+?)\s+(?:produce|mine)\b.*\b(?:total"
        r"|together|altogether)\b", re.IGNORECASE),
)  # fmt: skip
_LEADING = re.compile(r"^(?:(?:the|all|(?-i:coal)|list|show|name|give|which|what|are|is|of)\s+)+", re.IGNORECASE)
_NO_COMPANY = frozenset(("the", "all", "mines", "they", "it", "there", "you", "we", "which", "what", "a", "any"))


# of which no past state is told: a question for one is not answered with today's
_AS_KNOWN_NOW = frozenset(
    (
        "score",
        "interval",
        "index",
        "peers",
        "status",
        "owner",
        "operator",
        "reserves",
        "resources",
        "capacity",
        "methane",
    )
)


@dataclass(frozen=True)
class Question:
    """What was asked, as far as it was understood."""

    text: str
    kind: Kind
    quantity: str | None
    mines: tuple[Mine, ...] = ()
    choices: tuple[tuple[Named, Mine, tuple[Mine, ...]], ...] = ()
    """Names that several mines have, the one that is meant, and the others: told in the answer."""
    unclear: tuple[tuple[Named, tuple[Mine, ...]], ...] = ()
    """Names that several mines have, none of which is meant for sure: asked back."""
    unknown: tuple[str, ...] = ()
    """Names that look like mines and are none."""
    place: Place = field(default_factory=Place)
    company: str | None = None
    status: str | None = None
    mine_type: str | None = None
    order: str | None = None
    limit: int | None = None
    horizon_years: int | None = None
    horizons: tuple[int, ...] = ()
    """Of a list of horizons all."""
    quantities: tuple[str, ...] = ()
    """Of a list of quantities all."""
    left_out: int = 0
    """Mines that were named beyond MAXIMUM_MINES."""
    years: tuple[int, ...] = ()
    since_year: int | None = None
    unexplained: frozenset[str] = frozenset()
    """Stems of words that no part of the grammar knows: only a passage can answer them."""
    refusal: Refusal | None = None


@dataclass(frozen=True)
class Before:
    """What the conversation was about: the last question that was understood."""

    mine_ids: tuple[str, ...] = ()
    quantity: str | None = None
    kind: Kind | None = None
    horizon_years: int | None = None


def read_question(
    text: str,
    directory: Directory,
    as_of_year: int | None = None,
    mine_id: str | None = None,
    before: Before | None = None,
) -> Question:
    """Read a question; `mine_id` is the mine that it is about if it names none, `before` what was asked last."""
    text = " ".join(text[:MAXIMUM_QUESTION_CHARACTERS].split())
    said = plain(text)
    no = refused(text)
    if no is not None:
        return Question(text, "text", None, refusal=no)
    words = tokens(text)
    if not words:
        return Question(text, "text", None, refusal=refusal("unclear"))
    place = directory.places.read(text)
    company, company_span = _company(text, words, directory, place)
    taken = [*place.spans, *([company_span] if company_span else [])]
    named = directory.names(text, taken, grammar.VOCABULARY)
    years = tuple(year for year in grammar.years(said) if str(year) not in {n.text for n in named})
    horizons = grammar.horizons(said)
    horizon = horizons[0] if horizons else None
    if horizon is None and as_of_year is not None and years and years[0] > as_of_year:
        horizon = years[0] - as_of_year
    # "Peak Downs" asks for no peak, "New Mexico" for nothing new
    without = _without(said, [name.text for name in named], [" ".join(words[i:j]) for i, j in taken])
    found = grammar.quantity(without)
    quantity, kind = found if found else (None, "text")
    question = Question(
        text, kind, quantity, place=place, company=company, status=grammar.first_of(without, grammar.STATUSES),
        mine_type=grammar.first_of(without, grammar.MINE_TYPES), order=grammar.first_of(without, grammar.ORDERS),
        limit=grammar.limit(said), horizon_years=horizon, horizons=horizons,
        quantities=grammar.quantities(without), years=years,
        since_year=grammar.since(said),
        unexplained=_unexplained(words, named, taken),
    )  # fmt: skip
    question = _resolved(question, named, directory, as_of_year)
    question = _in_context(question, named, said, directory, mine_id, before)
    return _settled(question, named, text, directory, as_of_year)


def _without(said: str, names: Sequence[str], places: Sequence[str]) -> str:
    """The text without names, so that their words are not taken for what is asked."""
    for text in (*names, *places):
        pattern = r"\W+".join(map(re.escape, core(tokens(text)) or tokens(text)))
        said = re.sub(rf"(?<!\w){pattern}(?!\w)", "thisone", said)
    return said


def _company(
    text: str, words: tuple[str, ...], directory: Directory, place: Place
) -> tuple[str | None, tuple[int, int] | None]:
    if not re.search(r"\bmines\b|\btotal\b|\btogether\b|\baltogether\b", text, re.IGNORECASE):
        return None, None
    for pattern in _COMPANY:
        match = pattern.search(text)
        if match is None:
            continue
        company = _LEADING.sub("", match["company"].strip())
        own = tokens(company)
        if not own or own[0] in _NO_COMPANY or all(w in grammar.VOCABULARY for w in own) or len(own) > 6:
            continue
        start = next((i for i in range(len(words)) if words[i : i + len(own)] == own), None)
        if start is None or any(s <= start < e for s, e in place.spans):
            continue
        return company, (start, start + len(own))
    return None, None


def _unexplained(words: tuple[str, ...], named: Sequence[Named], taken: Sequence[tuple[int, int]]) -> frozenset[str]:
    spans = [*taken, *((n.start, n.end) for n in named)]
    closed = {i for start, end in spans for i in range(start, end)}
    rest = [w for i, w in enumerate(words) if i not in closed]
    left = [w for w in rest if not grammar.known(w) and w not in FUNCTION_WORDS and not w[0].isdigit() and len(w) > 1]
    return content_stems(" ".join(left))


def _resolved(question: Question, named: Sequence[Named], directory: Directory, as_of_year: int | None) -> Question:
    mines: list[Mine] = []
    choices, unclear, unknown = [], [], list(question.unknown)
    words = frozenset(tokens(question.text))
    past = next((year for year in question.years if as_of_year is None or year <= as_of_year), None)
    for name in named:
        if not name.mines:
            unknown.append(name.text)
            continue
        own = set(core(tokens(name.text)))
        place = question.place.beside(name.end)
        fitting = narrowed(_called_so_now(name), place, words - own)
        if not fitting:
            fitting = narrowed(name.mines, place, words - own)
        if not fitting and len(named) > 1:
            # the place may be that of another name: "Bailey in Pennsylvania and Caballo"
            fitting = narrowed(_called_so_now(name), Place(), words - own)
        if not fitting:
            # of this name, but none where the question says
            unclear.append((name, tuple(ordered(name.mines))))
            continue
        one = fitting[0] if len(fitting) == 1 else _only_one(fitting, past)
        if one is None:
            unclear.append((name, tuple(ordered(fitting))))
            continue
        others = tuple(mine for mine in ordered(_called_so_now(name)) if mine != one)
        if others and len(fitting) > 1:
            choices.append((name, one, others))
        if one not in mines:
            mines.append(one)
    return replace(
        question,
        mines=tuple(mines[:MAXIMUM_MINES]),
        left_out=max(0, len(mines) - MAXIMUM_MINES),
        choices=tuple(choices),
        unclear=tuple(unclear),
        unknown=tuple(unknown),
    )


def _called_so_now(name: Named) -> tuple[Mine, ...]:
    """The mines that have the name now; those that had it once, if there are none."""
    wanted = core(tokens(name.text))
    now = tuple(mine for mine in name.mines if core(tokens(mine.name)) == wanted)
    return now or name.mines


def _only_one(mines: Sequence[Mine], past_year: int | None) -> Mine | None:
    """The one of like-named mines that produced in the year asked for, or that alone still produces; else None."""
    if past_year is not None:
        then = [
            mine
            for mine in mines
            if mine.last_production_year is not None
            and (mine.first_production_year or 0) <= past_year <= mine.last_production_year
        ]
        return then[0] if len(then) == 1 else None
    now = [mine for mine in mines if mine.produces]
    return now[0] if len(now) == 1 else None


def _in_context(
    question: Question,
    named: Sequence[Named],
    said: str,
    directory: Directory,
    mine_id: str | None,
    before: Before | None,
) -> Question:
    """Fill in what the question leaves to the mine it is asked about, or to what was asked before."""
    points_back = bool(_POINTS_BACK.search(said))
    of_many = question.kind in ("list", "model") or question.quantity in OF_MANY or question.company
    if not named and not of_many:
        known = (mine_id,) if mine_id else before.mine_ids if before and (points_back or not question.place) else ()
        mines = tuple(mine for one in known if (mine := directory.mines.get(one)) is not None)
        if mine_id and not mines:
            question = replace(question, unknown=(mine_id,))
        question = replace(question, mines=mines[:MAXIMUM_MINES])
    elif named and question.unclear and mine_id:
        meant = tuple(m for _, group in question.unclear for m in group if m.mine_id == mine_id)
        if meant:
            question = replace(question, mines=(*question.mines, *meant[:1]), unclear=())
    if question.quantity is None and before is not None and before.quantity and question.mines and points_back:
        question = replace(question, quantity=before.quantity, kind=before.kind or "number")
    if question.horizon_years is None and before is not None and points_back and question.kind in ("why", "number"):
        question = replace(question, horizon_years=before.horizon_years)
    return question


_NAME_OF_A_MINE = re.compile(r"((?:[A-Z#][\w#.'’&-]*\s+){1,5})(?:[Cc]oal\s+)?(?:[Mm]ine|[Cc]olliery)\b")


_CAPITALS = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][\w'’-]+(?:\s+[A-Z][\w'’-]+)*")


def _beginnings(text: str, directory: Directory, question: Question) -> list[Named]:
    """Capitalised words that no part of the grammar knows, and that names of mines begin with."""
    found = []
    for match in _CAPITALS.finditer(text):
        own = frozenset(s for s in content_stems(match[0]) if s in question.unexplained)
        mines = directory.beginning(core(tokens(match[0]))) if own else []
        if mines:
            found.append(Named(match[0], 0, 0, tuple(mines), is_beginning=True))
    return found


def _begun(question: Question, begun: Named, as_of_year: int | None) -> Question:
    """A beginning of names means the one mine of them that produces, where there is one; else it is unknown."""
    past = next((year for year in question.years if as_of_year is None or year <= as_of_year), None)
    one = _only_one(narrowed(begun.mines, question.place, frozenset()), past)
    if one is None:
        return replace(question, unknown=(*question.unknown, begun.text))
    others = tuple(mine for mine in ordered(begun.mines) if mine != one)
    return replace(
        question,
        mines=(*question.mines, one)[:MAXIMUM_MINES],
        choices=(*question.choices, (begun, one, others)) if others else question.choices,
        unexplained=question.unexplained - content_stems(begun.text),
    )


def _settled(
    question: Question, named: Sequence[Named], text: str, directory: Directory, as_of_year: int | None
) -> Question:
    """Decide what is left: names that are none, questions about nothing, horizons without a score."""
    if not named and not question.company and question.kind not in ("model",):
        for match in _NAME_OF_A_MINE.finditer(text):
            own = [w for w in tokens(match[1]) if w not in FUNCTION_WORDS and not grammar.known(w)]
            if own and question.unexplained & content_stems(" ".join(own)):
                question = replace(question, unknown=(*question.unknown, match[1].strip()))
    if question.kind == "list" and question.order is None and grammar.orders_by_something(plain(text)):
        # in an order that the data does not have
        question = replace(question, unexplained=question.unexplained | {"order"})
    if question.kind == "list" and any(as_of_year is None or year <= as_of_year for year in question.years):
        if question.status or question.order != "production":
            # of a past year only what was produced is known of all mines
            question = replace(question, unexplained=question.unexplained | {"year"})
    elif question.kind == "list":
        question = replace(question, years=())
    if question.quantity in _AS_KNOWN_NOW and as_of_year is not None and any(y < as_of_year for y in question.years):
        question = replace(question, unexplained=question.unexplained | {"year"})
    if not named and not question.company and question.kind in ("number", "why", "change"):
        for begun in _beginnings(text, directory, question):
            question = _begun(question, begun, as_of_year)
    if question.quantity is None and question.mines:
        question = replace(question, kind="overview" if not question.unexplained else "text")
    about_nothing = not (question.mines or question.unclear or question.unknown or question.place or question.company)
    if about_nothing and question.kind not in ("model", "list") and question.quantity not in OF_MANY:
        question = replace(question, kind="text")
    return question


def says_more_than_which(text: str, directory: Directory) -> bool:
    """Whether an answer to "which of them?" is a question of its own: it names a mine, or asks for a quantity."""
    place = directory.places.read(text)
    return bool(directory.names(text, place.spans, grammar.VOCABULARY) or grammar.quantity(plain(text)))


def horizon_of(question: Question, default: int = 5) -> int:
    """The horizon that is asked for, or the default."""
    return question.horizon_years if question.horizon_years is not None else default
