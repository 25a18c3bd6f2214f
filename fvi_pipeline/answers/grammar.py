"""The words of questions: which quantity they ask for, at which horizon or year, of which status.

Patterns over plain text (small letters, no accents), tried in order. Putting a question together belongs to
`questions`; mines and places belong to `directory`.
"""

from __future__ import annotations

import re
from typing import Literal

from fvi_pipeline.answers.marts import HORIZONS
from fvi_pipeline.answers.words import stem

Kind = Literal["number", "why", "change", "list", "model", "overview", "text"]

_FUTURE = r"\b(?:forecast|predict|expect|project|will|going to|next year|future)\w*\b"
_OUTPUT = r"\b(?:produc\w*|output|mined|dig|dug|digs|extract\w*|tonnage|tons?|tonnes?)\b"
# (quantity, kind, pattern); the first that fits is asked for
QUANTITIES: tuple[tuple[str, Kind, str], ...] = (
    ("champion", "model", r"\bchampion\w*\b|\bmodel\b.*\b(?:live|served|production|in use|reign)"
        r"|\bwhich (?:version|model)\b"
     r"|\bmodel version\b|\bmodel\b.*\btrained\b|\bbrier\b|\bauc\b|how (?:good|accurate) is the\b.*\bmodel"),
    ("promotions", "model", r"\bpromot\w+|\brefused\b|\brolled? back|\bgate\b"
        r"|\bmodel\b.*\b(?:chang\w+|replac\w+|updat\w+)\b|\bnew model\b"),
    ("meaning", "model", r"\bwhat (?:does|do|is|are) (?:the |an? )?(?:fvi|fvi scores?|scores?"
        r"|viability scores?)\b.*\b(?:mean|stand for|say)\b"
     r"|\bwhat (?:does|do|is|are)\b.*\bintervals?\b.*\b(?:mean|stand for|say)\b"
     r"|\bmeaning of\b.*\b(?:fvi|scores?)\b|\bwhat is (?:the )?(?:fvi|future viability index)\W*$"),
    ("weights", "model", r"\bweight(?:s|ed|ing)?\b|\bimportant metrics?\b"
        r"|\bmetrics?\b.*\b(?:weigh|counts?|matters?|important)\b"),
    ("data_age", "model", r"\bhow (?:old|new|fresh|recent|current)\b.*\b(?:data|scores?)\b|\b(?:data"
        r"|scores?)\b.*\b(?:up to date|how old)\b"
     r"|\bwhen were the scores\b|\bnewest data\b|\blatest year of (?:the )?data\b"),
    ("score_summary", "number", r"\b(?:average|mean|median|typical)\b.*\b(?:scores?|fvi|viability|odds|chances?"
        r"|probabilit\w+)\b"),
    ("list", "list", r"\b(?:list|name|show|give)\b.*\bmines\b|\b(?:which|what)\b.*?\bmines\b|\bwhich (?:(?!is\b"
        r"|are\b|was\b"
        r"|did\b|does\b|county|state|country|year|company|version)\w+ ){0,3}?mine (?:in|of|has|had"
        r"|produc\w+|employ\w+|is|are|was|with)\b"
     r"|^(?:please )?rank\b.*\bmines\b|\b(?:riskiest|largest|biggest|smallest|safest) mine\b"
     r"|\btop (?:\d+|five|ten|three)\b|\bmines\b.*\b(?:does|do|did)\b.*\b(?:own|operate|run)\b|\b(?:does|do"
         r"|did)\b.*\b(?:own|operate|run|have)\b.*\bmines\b|\bmines (?:owned"
         r"|operated|run) by\b"
     r"|\b(?:riskiest|largest|biggest|safest) mines\b"),
    ("total_production", "number", rf"\b(?:total|together|altogether|combined|all mines)\b.*{_OUTPUT}"
        rf"|{_OUTPUT}.*\b(?:in total|altogether|together)\b"),
    ("count", "number", r"\bhow many\b(?:(?!\bpeople|\bworkers|\bemployees|\bhours|\btons|\btonnes|\bshort tons"
        r"|\byears).)*\bmines\b|\bnumber of\b.*\bmines\b"),
    ("planned_closing_year", "number", r"\bplanned (?:closing|closure)\b"),
    ("closing_year", "number", r"\b(?:when|(?:by )?(?:what|which) year|by when|how long)\b.*\b(?:clos\w+|shut\w*"
        r"|cease\w*|stop\w*|last|end|run out)\b"
     r"|\bclosing year\b|\bclosure (?:year|date)\b"
     r"|\bhow (?:much )?long(?:er)?\b.*\b(?:keep|go on|going|continue\w*|survive|operate|produce)\b"),
    ("next_status", "number", r"\bstatus\b.*\b(?:next|forecast|probab\w+|likel\w+|expect\w*)\b|\b(?:next|expected"
        r"|likel\w+|forecast)\b.*\bstatus\b"
     r"|\b(?:probab\w+|likel\w+|chance)\b.*\b(?:idle|idled|temporarily|permanently)\b"),
    ("change", "change", r"\bchang\w*\b|\b(?:what(?:'s| is)|anything) new\b|\bhow much (?:more|less|fewer)\b"
        r"|\b(?:more|less|fewer)\b.*\bthan (?:in|the year)\b"
        r"|\bcompared? (?:to|with) (?:19|20)\d\d|\bdiffer\w*\b.*\b(?:from|since|to)\b.*\b(?:last|year|before"
        r"|20\d\d|19\d\d)\b"
     r"|\bcompared? (?:to|with)\b.*\b(?:last|previous|the) year|\bdevelop\w*\b.*\b(?:since|over)\b|\b(?:rise|rose"
         r"|fall|fell|grow|grew|drop\w*|declin\w+|increas\w+|decreas\w+)\b"
     r".*\b(?:since|this year|last year|from|in)\b|\b(?:cuts?|cutting|shed|shedding|los[et]|losing|add(?:ed|ing)?"
         r"|hir(?:ed|ing))\b.*\b(?:jobs|people|workers|staff|miners|since)\b"
         r"|\b(?:growing|shrinking|falling|rising|expanding|contracting|declining)\b"
         r"|\bhappened to (?:the )?(?:workforce|production|output|employment|score)\b"),
    ("reasons", "why", r"\bwhy\b|\bcounts? (?:for|against)\b|\bwhat (?:are|is) the risks?\b|\brisks (?:of|for|at"
        r"|to)\b|\breasons?\b"
        r"|\bwhat (?:drives|explains|speaks|makes|is behind)\b|\bexplain\w*\b|\bfactors?\b|\bbecause of\b"
        r"|\bhow come\b|\bin favou?r of\b"),
    ("production_forecast", "number", rf"\bforecast\w*\b.*{_OUTPUT}|{_OUTPUT}.*\b(?:forecast\w*|next year)\b"
        rf"|{_FUTURE}.*{_OUTPUT}.*\bnext year\b"
     r"|\bhow (?:much|many)\b.*\b(?:will|going to)\b.*\bproduce\b|\b(?:expected|predicted"
         r"|projected) (?:production|output)\b|\bexpect\w* (?:of|for|from)\b.*\bnext year\b|\bnext year\b.*\bproduc"),
    ("interval", "number", r"\bintervals?\b|\bconfidence (?:band|range)\b|\buncertain\w*\b|\bhow (?:sure|certain"
        r"|reliable|confident)\b"),
    ("index", "number", r"\bindex\b|\bpillars?\b"),
    ("peers", "number", r"\bpeers?\b|\brank\w*\b|\bcompar\w+ (?:to|with) other\b|\bother mines\b|\bstand among\b"),
    ("reserve_life", "number", r"\bhow long\b.*\breserves?\b|\breserves? (?:last|life)\b"
        r"|\breserve[- ]to[- ]production\b"),
    ("peak_production", "number", rf"\bbest year\b|\bwhen did\b.*\bpeak\b"
        rf"|\b(?:peak|record|highest|most|maximum)\b.*{_OUTPUT}"
        rf"|{_OUTPUT}.*\b(?:peak|record|highest|the most|maximum)\b"),
    ("production_history", "number", rf"\b(?:history|histories|over time|over the years|by year|per year since"
        rf"|trend|time series)\b.*{_OUTPUT}"
     rf"|{_OUTPUT}.*\b(?:history|histories|over time|over the years|by year|trend|time series|last \w+ years)\b"),
    ("productivity", "number", r"\bproductivity\b|\bhow productive\b|\bper (?:labou?r |worker |man "
        r"|employee |miner |man-)?hour\b"),
    ("labor_hours", "number", r"\bhours\b"),
    ("average_employees", "number", r"\bemploy(?:s|ed|ees?|ment)?\b|\bworkers?\b|\bworkforce\b|\bheadcount\b"
        r"|\bhow many (?:people|miners|workers)\b|\bnumber of (?:people|miners)\b|\bstaff\b|\bjobs\b"),
    ("status", "number", r"\b(?:is|are)\b.*\bstill (?:going|open|active|operating|running"
        r"|in operation)\b(?!.*\b(?:20\d\d|years?)\b)"),
    ("score", "number", r"\bscores?\b|\bfvi\b|\bviab\w+\b|\b(?:probability|chance|likelihood|odds|likely)\b"
        r"|\bsurviv\w+\b|\bat risk\b|\bhow (?:risky|safe)\b"
     r"|\bstill (?:be )?(?:produc\w+|operat\w+|running|open)\b|\bfuture\b|\b(?:outlook|prospects?) (?:of|for)\b"),
    ("capacity", "number", r"\bcapacity\b|\bable to produce\b"),
    ("reserves", "number", r"\breserves?\b|\bcoal is left\b"),
    ("resources", "number", r"\b(?:coal )?resources\b"),
    ("depth", "number", r"\bdepth\b|\bhow deep\b"),
    ("area", "number", r"\barea\b|\bhow (?:large|big)\b|\bsquare (?:km|kilomet)"),
    ("methane", "number", r"\bmethane\b|\bemissions?\b"),
    ("opening_year", "number", r"\b(?:when|what year|which year)\b.*\b(?:open\w*|start\w*|began|begin)\b"
        r"|\bopening (?:year|date)\b|\bhow old\b"),
    ("coal_type", "number", r"\b(?:type|kind|sort|rank) of coal\b|\bcoal type\b|\bwhat coal\b"),
    ("mining_method", "number", r"\bmining method\b|\bhow is\b.*\bmined\b|\blongwall\b"),
    ("mine_type", "number", r"\bmine type\b|\b(?:type|kind|sort) of mine\b|\bunderground or\b|\bsurface or\b"
        r"|\bopen[- ]?pit or\b"),
    ("owner", "number", r"\bown(?:s|ed|er|ers|ership)?\b|\bparent compan\w+\b|\bbelongs? to\b"),
    ("operator", "number", r"\boperat(?:or|ors|es|ed)\b|\bwho runs\b|\b(?:which|what) company\b|\bwho is behind\b"),
    ("place", "number", r"\bwhere\b|\blocat\w+\b|\bwhich (?:state|county|country)\b|\bin what (?:state|county"
        r"|country)\b"),
    ("status", "number", r"\bstatus\b|\b(?:is|are)\b.*\b(?:active|open|closed|operating|idle|abandoned)\b"
        r"|\bstill (?:open|active)\b"),
    ("production", "number", rf"{_OUTPUT}|\bfigures?\b"),
    ("overview", "overview", r"\btell me (?:more )?about\b|\boverview\b|\bsummar\w+\b|\bwhat (?:do you"
        r"|is) know\w*\b|\bdescribe\b|\bprofile\b|\bwhat is the .* mine\b"),
)  # fmt: skip
_COMPILED = tuple((name, kind, re.compile(pattern)) for name, kind, pattern in QUANTITIES)

STATUSES: tuple[tuple[str, str], ...] = (
    ("closed", r"\b(?:closed|abandoned|shut down)\b"),
    ("proposed", r"\b(?:proposed|planned|new)\b"),
    ("mothballed", r"\b(?:mothballed|temporarily closed|idled?)\b"),
    ("operating", r"\b(?:active|operat(?:e|es|ing)|open|producing|working|in operation)\b"),
)
MINE_TYPES: tuple[tuple[str, str], ...] = (
    ("Underground", r"\bunderground\b"),
    ("Surface", r"\b(?:surface|open[- ]?(?:pit|cast|cut))\b"),
    ("Refuse", r"\brefuse\b"),
)
ORDERS: tuple[tuple[str, str], ...] = (
    ("lowest_score", r"\bby risk\b"
        r"|\b(?:lowest|worst|weakest|smallest) (?:fvi )?(?:scores?|viability|outlooks?|prospects?|chance\w*"
        r"|probabilit\w+)\b"
        r"|\b(?:riskiest|least secure|most at risk"
        r"|at (?:most |the most |greatest )?risk|least viable|most likely to close"
        r"|likely to close)\b"),
    ("highest_score", r"\b(?:highest|best|strongest|top) (?:fvi )?(?:scores?|viability|outlooks?|prospects?|chance\w*"
        r"|probabilit\w+)\b"
        r"|\b(?:safest|most secure|most viable|least at risk)\b"),
    ("employees", r"\b(?:most|largest number of) (?:people|workers|employees)\b"),
    ("production", r"\bproducers\b|\b(?:largest|biggest|most productive|produced? (?:the )?most"
        r"|highest (?:production|output)|by (?:production|output))\b"),
)  # fmt: skip
_NUMBERS = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30, "fifty": 50, "a": 1,
}  # fmt: skip
_COUNT = rf"(\d{{1,3}}|{'|'.join(_NUMBERS)})"
_HORIZON = (
    re.compile(rf"\b(?:in|within|at|over|after|for) (?:the )?(?:next |coming |a horizon of )?{_COUNT}[ -]years?\b"),
    re.compile(
        rf"\b{_COUNT}[ -]years?(?:'s?)?[ -](?:horizon|score|fvi|viability|probability|chance|outlook|ahead"
        rf"|from now|out)"
    ),
    re.compile(rf"\b(?:next|coming) {_COUNT} years?\b"),
    re.compile(rf"\bhorizon(?: of)? {_COUNT}\b|\bh({'|'.join(map(str, HORIZONS))})\b"),
    re.compile(rf"\b{_COUNT}[ -]years?\b(?! ago)"),
)
_SEVERAL_HORIZONS = re.compile(rf"\b({_COUNT}(?:(?:,? (?:and|or) |, ?|/){_COUNT})+)[ -]years?\b")
_NOUNS: tuple[tuple[str, str], ...] = (
    ("score", r"scores?|viability"),
    ("index", r"index"),
    ("production", r"production|output"),
    ("average_employees", r"employees|employment|workforce|headcount|workers"),
    ("labor_hours", r"hours"),
    ("productivity", r"productivity"),
    ("owner", r"owners?"),
    ("operator", r"operators?"),
    ("status", r"status"),
    ("reserves", r"reserves"),
    ("capacity", r"capacity"),
    ("depth", r"depth"),
    ("area", r"area"),
    ("methane", r"methane"),
    ("resources", r"resources"),
    ("closing_year", r"closing year|closure"),
    ("place", r"location"),
)
_NOUN = "|".join(pattern for _, pattern in _NOUNS)
# overlapping pairs of a list: "a, b and c" is (a, b) and (b, c)
_LISTED = re.compile(rf"\b({_NOUN})\b(?=(?:,? and |, ?| as well as )(?:the |its |their )?({_NOUN})\b)")
_YEAR = re.compile(r"(?<![\d,.:#])(1[5-9]\d\d|20\d\d|21\d\d)(?![\d,%]*\d|%)\b")
_DECADES = (
    (re.compile(r"\b(?:next|coming|another|a|the|this|within a|in a) decade\b"), 10),
    (re.compile(r"\btwo decades\b"), 20),
)
_TOP = re.compile(
    rf"\b(?:top|first|largest|biggest|lowest|highest|worst|best|riskiest|safest|list)(?: the)? {_COUNT}\b"
    rf"|\b{_COUNT} (?:largest|biggest|lowest|highest|worst|best|riskiest|safest|most)\b"
)

# Words that a question of ours may have; any other word asks for something that the marts may not know.
_VOCABULARY = """
score scores fvi viability viable index rating pillar pillars probability probabilities chance chances likelihood
likely odds survive survives surviving survival produce produces produced producing production productive output
tons ton tonnes tonne tonnage short coal mined mining mine mines future horizon years year yearly annual annually
interval intervals confidence range uncertainty uncertain certain sure band low high risk risky risks close closes
closed closing closure closures shut shutdown cease stop stops stopped end ends run running still open opened
opening operate operates operated operating operation operator operators own owns owned owner owners ownership
belong belongs company companies parent status active inactive idle idled abandoned temporarily permanently state
states county country place located location lie lies where reason reasons explain explains explanation explained
drive drives driver drivers factor factors behind because against speak speaks speaking change changes changed
changing different difference since compare compared comparison than ago rise rose risen fall fell fallen grow grew
grown drop dropped decline declined declining increase increased decrease decreased new newest latest last recent
update updated list listed lists name names named top largest biggest smallest highest lowest most least best worst
safest riskiest first number numbers count total totals together altogether combined sum figure figures data value
values amount level quantity model models version versions champion challenger promoted promotion promotions gate
reign served weight weights weighted metric metrics feature features auc brier calibration calibrated accurate
accuracy good better test tested train trained information gain quality dynamic history historical time series trend
peak record maximum forecast forecasts forecasted forecasting predict predicts predicted prediction expect expects
expected project projected estimate estimated next outlook coming within ahead now from until employees employee
employ employs employed employment workers worker workforce staff people miners headcount jobs hours labor labour
worked productivity per hour capacity reserves reserve resources resource depth deep area large big size square
kilometres metres methane emissions emission type kind sort underground surface pit method longwall peers peer rank
ranks ranked ranking among other others stand stands overview summary summarise summarize summarised describe
description profile old fresh age scored scoring made known become became day date decade median share percent
percentage points point of does did have has had happened happen happening going doing way average mean exact
exactly precisely roughly approximately about around please kindly quickly briefly currently actual actually really
overall main mainly strongest important importance position situation detail details versus vs between both each
question answer wonder interested looking look find want need help thing much many more less fewer unlikely think
say says said means according dear thanks thank hello hi ok okay also further additionally keep remain remains stay
stays exist exists alive there here current present being used use in-use live regard regarding respect concerning
related terms given make makes consider considered proposed mothballed planned working refuse u.s us usa identifier
id msha gem panel tracker eia lasted lasts long longer ever already yet today tomorrow month monthly night nightly
year's mine's reported report reports reporting sit begin began start started moved move trending developed
development developing viably out previous prior reach reached reaches fare fared keeps poor reliable counts able
another probably left got anything weigh weighs might remaining down dig digs dug extract extracts extracted shrink
shrinks shrinking shrank cut cuts cutting shed lose loses lost losing add adds added hire hired hiring emit emits
greatest prospect prospects gain gains gave typical replaced producer producers expanding favour favor came come comes
confident base composed consist consists matter matters continue continues poorly badly well weakest secure
falling rising hold holds wide width narrow perform performs performed drag drags goes soon
"""
VOCABULARY = frozenset(_VOCABULARY.split())
_VOCABULARY_STEMS = frozenset(stem(word) for word in VOCABULARY)


def known(word: str) -> bool:
    """Whether the grammar knows a word, or a form of it."""
    return word in VOCABULARY or stem(word) in _VOCABULARY_STEMS


def quantity(text: str) -> tuple[str, Kind] | None:
    """The quantity that a plain text asks for, and the kind of question; None when it names none."""
    for name, kind, pattern in _COMPILED:
        if pattern.search(text):
            return name, kind
    return None


_SINCE = re.compile(r"\b(?:compared? (?:to|with)|since|than in|from)\s+((?:19|20)\d\d)\b")


def since(text: str) -> int | None:
    """The year that a text compares with."""
    found = _SINCE.search(text)
    return int(found[1]) if found else None


def first_of(text: str, patterns: tuple[tuple[str, str], ...]) -> str | None:
    """The first name whose pattern is in the text."""
    return next((name for name, pattern in patterns if re.search(pattern, text)), None)


def orders_by_something(text: str) -> bool:
    """Whether a list is asked for in some order, known to the grammar or not."""
    return (
        re.search(r"\b(?:worst|best|lowest|highest|least|most|largest|biggest|smallest|oldest|newest)\b", text)
        is not None
    )


def years(text: str) -> tuple[int, ...]:
    """The calendar years that a text names, in their order."""
    return tuple(int(year) for year in _YEAR.findall(text))


def horizon(text: str) -> int | None:
    """The number of years ahead that a text names, whether there are scores for it or not."""
    for pattern, length in _DECADES:
        if pattern.search(text):
            return length
    for pattern in _HORIZON:
        if found := pattern.search(text):
            return _number(next(group for group in found.groups() if group))
    return None


def horizons(text: str) -> tuple[int, ...]:
    """Every number of years ahead of a list such as "5, 10 and 20 years"; one or none otherwise."""
    found = _SEVERAL_HORIZONS.search(text)
    if found is None:
        one = horizon(text)
        return () if one is None else (one,)
    return tuple(dict.fromkeys(_number(word) for word in re.findall(rf"\b{_COUNT}\b", found[1])))


def quantities(text: str) -> tuple[str, ...]:
    """What a list such as "owner, score and production" asks for; none if the text has no such list."""
    found: list[str] = []
    for match in _LISTED.finditer(text):
        found += [name for name, pattern in _NOUNS for word in [match[1], match[2]] if re.fullmatch(pattern, word)]
    ordered = sorted(dict.fromkeys(found), key=lambda name: _first_place(name, text))
    return tuple(ordered) if len(ordered) > 1 else ()


def _first_place(name: str, text: str) -> int:
    found = re.search(dict(_NOUNS)[name], text)
    return found.start() if found else len(text)


def limit(text: str) -> int | None:
    """How many a text wants to see."""
    found = _TOP.search(text)
    return _number(next(group for group in found.groups() if group)) if found else None


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS[word]
