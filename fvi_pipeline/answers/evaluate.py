"""How good the answers are, on questions made from the warehouse: `python -m fvi_pipeline.answers.evaluate`.

Asks every question of `question_set` of an answerer, measures each answer with `measures`, and tells it as a table.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg

from fvi_pipeline.answers.measures import Measured, measured
from fvi_pipeline.answers.question_set import KINDS, Asked, question_set
from fvi_pipeline.answers.service import Answerer, Ask

PAGE = "answers.md"
COMMAND = "python -m fvi_pipeline.answers.evaluate --write-docs"
GOALS = {"numbers_exact": 0.98, "cited_right": 0.95, "declined": 0.9, "first_token_p95": 150.0}


@dataclass(frozen=True)
class Quality:
    """All answers measured, and what they come to."""

    answers: tuple[Measured, ...]

    def share(self, kind: str) -> float | None:
        """The share of answers of a kind that are right."""
        found = [answer for answer in self.answers if answer.asked.kind == kind]
        return sum(answer.is_right for answer in found) / len(found) if found else None

    @property
    def numbers_exact(self) -> float:
        """Of the number questions, those whose every number is that of the truth."""
        found = [answer for answer in self.answers if answer.asked.kind == "number"]
        right = sum(answer.numbers_exact and answer.status in answer.asked.status for answer in found)
        return right / max(1, len(found))

    @property
    def cited_right(self) -> float:
        """Of the sentences that claim something, those whose citations hold."""
        return sum(a.sentences_cited_right for a in self.answers) / max(1, sum(a.sentences for a in self.answers))

    @property
    def supported(self) -> float:
        """Of the sentences that claim something, those that the check before the end found supported."""
        return sum(a.sentences_supported for a in self.answers) / max(1, sum(a.sentences for a in self.answers))

    @property
    def declined(self) -> float:
        """Of the unanswerable questions, those that were declined."""
        found = [answer for answer in self.answers if answer.asked.kind == "unanswerable"]
        return sum(answer.status == "declined" for answer in found) / max(1, len(found))

    @property
    def wrongly_declined(self) -> float:
        """Of the answerable questions, those that were declined."""
        found = [answer for answer in self.answers if answer.asked.kind != "unanswerable"]
        return sum(answer.status == "declined" for answer in found) / max(1, len(found))

    def percentile(self, share: float, *, first: bool = True) -> float:
        """Milliseconds to the first sentence, or to the end, within which this share of the answers came."""
        times = sorted(a.first_token_milliseconds if first else a.milliseconds for a in self.answers)
        return times[min(len(times) - 1, int(share * len(times)))]

    def as_json(self) -> dict[str, Any]:
        """The figures."""
        return {
            "questions": len(self.answers),
            "like_names": sum(answer.asked.like_names for answer in self.answers),
            **{f"right_{kind}": self.share(kind) for kind in KINDS},
            "numbers_exact": self.numbers_exact,
            "sentences": sum(answer.sentences for answer in self.answers),
            "cited_right": self.cited_right,
            "supported": self.supported,
            "declined": self.declined,
            "wrongly_declined": self.wrongly_declined,
            "first_token_p50": self.percentile(0.5),
            "first_token_p95": self.percentile(0.95),
            "complete_p95": self.percentile(0.95, first=False),
        }


async def collected(answerer: Answerer, ask: Ask) -> dict[str, Any]:
    """The whole answer as one dictionary, with the time to its first sentence or token."""
    started = time.perf_counter()
    first: float | None = None
    sentences: list[dict[str, Any]] = []
    warnings: list[dict[str, Any]] = []
    end: dict[str, Any] = {}
    async with aclosing(answerer.stream(ask)) as events:
        async for event in events:
            if event.kind == "sentence" and first is None:
                first = 1000 * (time.perf_counter() - started)
            if event.kind == "sentence":
                sentences.append(dict(event.data))
            elif event.kind == "warning":
                warnings.append(dict(event.data))
                if event.data.get("discard"):
                    sentences.clear()
            elif event.kind == "end":
                end = dict(event.data)
    return {
        "question": ask.message,
        "sentences": sentences,
        "warnings": warnings,
        **end,
        "first_token_milliseconds": round(first if first is not None else end["milliseconds"], 2),
    }


def evaluate(
    answerer: Answerer, connection: psycopg.Connection[Any], questions: Sequence[Asked] | None = None
) -> Quality:
    """Ask every question, one after the other, and measure the answers."""
    asked = question_set(connection) if questions is None else questions
    answerer.warm_up()
    found = []
    # one loop for all: a model's connections belong to theirs
    with asyncio.Runner() as runner:
        for question in asked:
            answer = runner.run(collected(answerer, Ask(question.text, question.mine_id)))
            found.append(measured(connection, question, answer))
    return Quality(tuple(found))


def table(quality: Quality) -> str:
    """The figures as Markdown."""
    figures = quality.as_json()
    rows = [
        ("questions", f"{figures['questions']}, of which {figures['like_names']} name mines of like names", ""),
        *(
            (f"right answers: {kind}", _percent(figures[f"right_{kind}"], quality, kind), "")
            for kind in KINDS
        ),
        ("numbers exact, of number questions", f"{quality.numbers_exact:.1%}", "≥ 98 %"),
        ("citations right, of sentences", f"{quality.cited_right:.1%} of {figures['sentences']}", "≥ 95 %"),
        ("sentences supported by the check", f"{quality.supported:.1%}", ""),
        ("unanswerable questions declined", f"{quality.declined:.1%}", "≥ 90 %"),
        ("answerable questions declined", f"{quality.wrongly_declined:.1%}", ""),
        ("first sentence, p50 / p95, ms", f"{figures['first_token_p50']:.0f} / "
        f"{figures['first_token_p95']:.0f}", "< 150 at p95"),
        ("complete answer, p95, ms", f"{figures['complete_p95']:.0f}", ""),
    ]  # fmt: skip
    lines = ["| measure | answers | goal |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {name} | {value} | {goal} |" for name, value, goal in rows)])


def _percent(share: float | None, quality: Quality, kind: str) -> str:
    count = sum(answer.asked.kind == kind for answer in quality.answers)
    return "none asked" if share is None else f"{share:.1%} of {count}"


def page_with(page: str, told: str, measured_on: str) -> str:
    """The page with the table between its marks replaced."""
    start, end = "<!-- quality -->", "<!-- /quality -->"
    before, _, rest = page.partition(start)
    after = rest.partition(end)[2]
    return f"{before}{start}\n{told}\n\n{measured_on}\n{end}{after}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure the home's answers; exit code 1 when a goal is missed."""
    from psycopg_pool import ConnectionPool

    from fvi_pipeline.answers.assembly import searcher_once, writing
    from fvi_pipeline.answers.passages import SearchedPassages
    from fvi_pipeline.cli.quiet import quiet_libraries
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help=f"write the table into docs/{PAGE}")
    parser.add_argument("--json", action="store_true", help="print every answer's measures as JSON")
    parser.add_argument("--with-model", action="store_true", help="ask the language model of the settings")
    parser.add_argument("--questions", type=int, help="so many of the questions only, evenly drawn")
    parser.add_argument("--faults", action="store_true", help="print what was wrong")
    chosen = parser.parse_args(arguments)
    quiet_libraries()
    settings = get_settings()
    with (
        running_servers(settings) as servers,
        ConnectionPool(servers.database_url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=True) as pool,
    ):
        searcher = searcher_once(settings, pool.connection)
        searcher()
        passages = SearchedPassages(pool.connection, searcher)
        model = writing(settings) if chosen.with_model else None
        answerer = Answerer(pool.connection, passages, writing=model)
        with pool.connection() as connection:
            asked = question_set(connection)
            every = max(1, len(asked) // chosen.questions) if chosen.questions else 1
            quality = evaluate(answerer, connection, asked[::every])
    figures = quality.as_json()
    print(json.dumps(figures, indent=2) if chosen.json else table(quality))
    if chosen.faults:
        for answer in quality.answers:
            if answer.faults:
                print(f"\n{answer.asked.kind}: {answer.asked.text}\n  " + "\n  ".join(answer.faults))
    if chosen.write_docs:
        path = Path(PROJECT_ROOT) / "docs" / PAGE
        when = f"Measured on {datetime.now(UTC).date().isoformat()} with `{COMMAND}` on a finished home."
        path.write_text(page_with(path.read_text(), table(quality), when))
    return 0 if reached(quality) else 1


def reached(quality: Quality) -> bool:
    """Whether every goal is."""
    return (
        quality.numbers_exact >= GOALS["numbers_exact"]
        and quality.cited_right >= GOALS["cited_right"]
        and quality.declined >= GOALS["declined"]
        and quality.percentile(0.95) < GOALS["first_token_p95"]
    )


if __name__ == "__main__":
    sys.exit(main())
