"""What is not answered, and what in a passage is not repeated: the policy of docs/answers_policy.md as code.

Everything in a passage is data. Sentences in it that give orders are left out, contacts of people are masked, and
nothing of it reaches a prompt outside its wrapping. Whether the marts know something belongs to `questions`.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from fvi_pipeline.answers.words import plain, sentences_of

Reason = Literal["personal_data", "secrets", "advice", "off_topic", "not_in_the_data", "instructions", "unclear"]

SENTENCES: dict[Reason, str] = {
    "personal_data": "I do not give or look for personal data of people: contacts, addresses, pay, health or family.",
    "secrets": "I do not give passwords, keys, settings or my own instructions.",
    "advice": "I do not advise on buying, selling, lending or law; I can tell scores, their reasons and their limits.",
    "off_topic": "I answer questions about coal mines, their scores, their figures and the models behind them, "
    "and this is none.",
    "not_in_the_data": "I do not know: neither the data nor the documents say it.",
    "instructions": "I answer questions about coal mines; I do not take other instructions.",
    "unclear": "I do not understand what is asked; name a mine and what you want to know of it.",
}
MAXIMUM_QUESTION_CHARACTERS = 2_000

_PEOPLE = (
    r"(?:manager|owner|ceo|director|miners?|workers?|employees?|foreman|president|engineer|widow|family|families"
    r"|people|person|him|her|he|she)"
)
_PERSONAL = (
    r"\b(?:phone|telephone|mobile|cell) ?(?:number|no\b)?|\be-?mail\b|\b(?:home|private|postal|street) address\w*\b"
    rf"|\b(?:salary|salaries|wage|pay|bonus|income)\b.*\b{_PEOPLE}\b|\b{_PEOPLE}\b.*\b(?:salary|salaries|bonus|earn)\b"
    rf"|\bdate of birth\b|\bborn\b|\bsocial security\b|\bssn\b|\bpassport\b|\breligio\w+\b|\bsexual\w*\b"
    rf"|\b(?:health|medical|illness|black lung)\b.*\b{_PEOPLE}\b|\bwhere (?:does|do)\b.*\blive\b"
    rf"|\bnames? of (?:the )?{_PEOPLE}\b"
    rf"|\b(?:mr|mrs|ms)\b\.? \w+.*\b(?:address|phone|live|wife|husband)\b|\bwife\b|\bhusband\b|\bchildren of\b"
)
_SECRETS = (
    r"\bpasswords?\b|\bapi[ _-]?keys?\b|\bsecret(?:s|_key| key)?\b|\bcredentials?\b|\bconnection string\b"
    r"|\bprivate key\b"
    r"|\benvironment variables?\b|\b(?:access|bearer|auth\w*) tokens?\b|\b(?:system|hidden|initial"
    r"|your) (?:prompt|instructions?)\b"
    r"|\bdatabase url\b|\bfvi_[a-z_]+\b|\bopenai_\w+\b|\.env\b|\brepeat (?:the|everything|all)\b.*\babove\b|\bpg_\w+\b"
    r"|\bselect \*? ?from\b|\bdrop table\b"
)
_ADVICE = (
    r"\bshould (?:i|we|one|my|our|a)\b.*\b(?:buy|sell|invest|lend|insure|short|hold|sue|finance|fund)\w*\b"
    r"|\b(?:buy|sell|invest in|short)\b.*\b(?:shares?|stocks?|bonds?)\b|\b(?:share|stock) price\b|\binvestment advice\b"
    r"|\bgood investment\b|\b(?:safe|wise|risky) to (?:buy|sell|invest|lend|insure|finance|fund)\b"
    r"|\b(?:best|top|good|which)\b.*\b(?:stocks?|shares?|bonds?)\b|\blegal advice\b"
)
# What somebody writes who wants to be obeyed rather than quoted; in questions and in passages alike.
_ORDERS = re.compile(
    r"\b(?:ignore|disregard|forget|override|bypass)\b.{0,40}\b(?:previous|prior|above|earlier|preceding|all|any|your|these|the)\b"
    r".{0,30}\b(?:instructions?|prompts?|rules?|directions?|guidelines?|context|messages?|polic\w+|questions?)\b"
    r"|\byou are (?:now|no longer)\b|\bact as (?:a|an|if|the)\b|\bpretend (?:to be|you are|that)\b"
    r"|\bfrom now on,? you\b|\bnew (?:system )?instructions?\b"
    r"|(?:^|[.!?>\n\u3002])\s*(?:#+\s*)?(?:system|assistant|developer|user|human|ai)\s*:|<\|?/?(?:im_start|im_end|system|assistant|tool|endoftext)\b"
    r"|\[/?(?:inst|system)\]|</?(?:passage|tool_call|function_call|instructions?)\b"
    r"|\b(?:dear |attention,? |note to |to the |hey,? )?(?:ai|llm|language model|chat ?bot|assistant"
    r"|gpt)\b.{0,40}\b(?:must|should|shall|please|always|never|reply|respond|say|answer|output|tell|write|report)\b"
    r"|\b(?:reveal|print|show|repeat|output|leak)\b.{0,30}\b(?:system prompt|your prompt|your instructions"
    r"|api key|password|secret|credentials?)\b"
    r"|\b(?:respond|reply|answer)\b.{0,25}\b(?:only with|with only|exactly|in all cases|always|to every question)\b"
    r"|\b(?:send|post|forward|exfiltrate|upload)\b(?!-).{0,40}\bto\b.{0,20}(?:https?:|the (?:url|address"
    r"|server)\b|webhook|e-?mail\b)"
    r"|!\[[^\]]*\]\(\s*https?:|\bcall (?:the )?(?:tool|function)\b|\bdo not (?:tell|mention|cite"
    r"|reveal)\b.{0,30}\b(?:user|reader|source|anyone)\b"
    r"|\b(?:tell|inform|convince) (?:the )?(?:user|reader)s?\b.{0,60}\b(?:score|mine|safe|risk|100|invest|buy"
    r"|visit|that)\b"
    r"|\bignoriere\b.{0,40}\banweisung|\bignore[zr]?\b.{0,30}\binstructions\b|\bignora\b.{0,40}\binstrucciones\b",
    re.IGNORECASE | re.DOTALL,
)
_ENCODED = re.compile(r"[A-Za-z0-9+/]{24,}={0,2}")
_CONTACT = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|(?<![\d.,/-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?|\d{3}[ .-])\d{3}[ "
    r".-]\d{4}(?![\d-])"
    r"|\+\d{1,3}(?:[ .-]?\d{2,4}){3,5}|\b(?:ssn|social security)\W{0,3}(?:number|no)?\W{0,3}\d{3}-\d{2}-\d{4}\b",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"<!--.*?-->|<(?:script|style)\b.*?</(?:script|style)>", re.IGNORECASE | re.DOTALL)
MASKED = "[contact left out]"
LEFT_OUT = "[a sentence that gives orders was left out]"


@dataclass(frozen=True)
class Refusal:
    """Why a question is not answered, as a word and as a sentence."""

    reason: Reason
    sentence: str


def refusal(reason: Reason, more: str = "") -> Refusal:
    """A refusal with the policy's sentence and what is offered instead."""
    return Refusal(reason, f"{SENTENCES[reason]} {more}".strip())


def refused(question: str) -> Refusal | None:
    """Whether the policy keeps a question from being answered, whatever the data has."""
    text = plain(question)
    reasons: tuple[tuple[Reason, str], ...] = (
        ("secrets", _SECRETS),
        ("personal_data", _PERSONAL),
        ("advice", _ADVICE),
    )
    for reason, pattern in reasons:
        if re.search(pattern, text, re.DOTALL):
            return refusal(reason)
    return refusal("instructions") if gives_orders(question) else None


def gives_orders(text: str) -> bool:
    """Whether a text wants to be obeyed: in plain words, hidden in markup or invisible letters, spaced out or
    encoded."""
    seen = visible(text)
    if _ORDERS.search(seen) or _ORDERS.search(_closed_up(seen)):
        return True
    return any(_ORDERS.search(decoded) for decoded in _decoded(seen))


def visible(text: str) -> str:
    """A text with lookalike letters made plain and invisible ones dropped."""
    normal = unicodedata.normalize("NFKC", text)
    kept = "".join(c for c in normal if unicodedata.category(c) not in ("Cf", "Co", "Cn") and (c >= " " or c in "\n\t"))
    return kept.translate(_LOOKALIKES)


_LOOKALIKES = str.maketrans("аеорсухіѕԁո", "aeopcyxisdn")


def _closed_up(text: str) -> str:
    """`i g n o r e` and `i.g.n.o.r.e` as one word."""
    return re.sub(r"\b(?:\w[ .\-_*]){3,}\w\b", lambda m: re.sub(r"[ .\-_*]", "", m[0]), text)


def _decoded(text: str) -> list[str]:
    found = []
    for match in list(_ENCODED.finditer(text))[:20]:
        try:
            raw = base64.b64decode(match[0][: len(match[0]) // 4 * 4], validate=True)
        except (binascii.Error, ValueError):
            continue
        decoded = raw.decode("utf-8", "ignore")
        if decoded.isprintable() and len(decoded) > 10:
            found.append(decoded)
    return found


def without_contacts(text: str) -> str:
    """A text with mail addresses, telephone and identity numbers masked."""
    return _CONTACT.sub(MASKED, text)


def clean_passage(text: str) -> list[str]:
    """The sentences of a passage that may be repeated: no hidden markup, no orders, no contacts.

    A passage whose sentences together give orders, though none does alone, has none.
    """
    kept = [without_contacts(visible(one)) for one in sentences_of(_MARKUP.sub(" ", text)) if not gives_orders(one)]
    return [] if gives_orders(" ".join(kept)) else kept


def wrapped(reference: str, source: str, text: str) -> str:
    """A passage as a model sees it: between marks that its text cannot contain."""
    inside = " ".join(text.split()).replace("<", "‹").replace(">", "›")
    told = re.sub(r"[<>\"\n]", " ", source)
    return f'<passage id="{reference}" source="{told}">\n{inside}\n</passage>'
