"""A question in, a stream of events out: facts and passages, through a model if there is one, checked before the end.

Whatever fails on the way ends in the extractive answer, and says so. Reading the question is in `questions`,
sentences in `extractive` and `generating`, HTTP in the service that mounts this.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
import uuid
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any

import psycopg

from fvi_pipeline.answers import extractive
from fvi_pipeline.answers.checking import summary
from fvi_pipeline.answers.conversation import Conversations, Turn
from fvi_pipeline.answers.directory import Directory, load_directory
from fvi_pipeline.answers.events import Event, Status
from fvi_pipeline.answers.extractive import Said
from fvi_pipeline.answers.fact import Fact, Passage, Passages, PassagesUnavailableError
from fvi_pipeline.answers.generating import BudgetSpentError, Writer, Writing, evidence_text
from fvi_pipeline.answers.generator import ModelFailedError
from fvi_pipeline.answers.marts import NoSuchFactError, reading
from fvi_pipeline.answers.observation import Trace
from fvi_pipeline.answers.passages import Connections
from fvi_pipeline.answers.plans import calls, wants_passages
from fvi_pipeline.answers.policy import clean_passage, refusal
from fvi_pipeline.answers.prompts import prompt
from fvi_pipeline.answers.questions import Before, Question, read_question, says_more_than_which
from fvi_pipeline.answers.spoken import Answered, told
from fvi_pipeline.answers.tools import call as call_tool
from fvi_pipeline.answers.variants import DEFAULT, Variant, chosen

logger = logging.getLogger(__name__)
DIRECTORY_SECONDS = 300.0


@dataclass(frozen=True)
class Ask:
    """One question of one client."""

    message: str
    mine_id: str | None = None
    conversation_id: str | None = None
    client: str = "local"
    answer_id: str = field(default_factory=lambda: uuid.uuid4().hex)


@dataclass
class Found:
    """What answers a question, before it is said, and how the answer ends."""

    said: list[Said] = field(default_factory=list)
    status: Status = "answered"
    reason: str | None = None
    is_final: bool = False
    """Nothing can be added: refused, asked back, or no such mine."""


@dataclass
class Outcome:
    """How an answer ended."""

    status: Status = "declined"
    reason: str | None = "store_unavailable"
    mode: str = "extractive"
    writer: Writer | None = None


@dataclass
class Completed:
    """An answer that is out, for whoever keeps it."""

    ask: Ask
    question: Question
    variant: Variant
    trace: Trace
    end: dict[str, Any]
    text: str


class Answerer:
    """Answers questions from the marts and the passages; without a model, or when it fails, extractively."""

    def __init__(
        self,
        connections: Connections,
        passages: Passages | None = None,
        *,
        writing: Writing | None = None,
        conversations: Conversations | None = None,
        variants: Sequence[Variant] = (DEFAULT,),
        on_complete: Callable[[Completed], None] | None = None,
    ) -> None:
        """`connections` gives one to PostgreSQL; `on_complete` is told of each answer, and must not wait."""
        self._connections = connections
        self._passages = passages
        self._writing = writing
        self._conversations = conversations or Conversations()
        self._variants = variants
        self._on_complete = on_complete
        self._directory: Directory | None = None
        self._as_of_year: int | None = None
        self._loaded_at = 0.0
        self._loading = threading.Lock()

    def warm_up(self) -> None:
        """Load the mines' names; raises psycopg.Error when PostgreSQL is away."""
        self._known()

    def _known(self) -> tuple[Directory, int | None]:
        """The mines and the newest year. When they are old they are read again behind the answers."""
        if self._directory is None:
            with self._loading:
                if self._directory is None:
                    self._load()
        elif time.monotonic() - self._loaded_at >= DIRECTORY_SECONDS and self._loading.acquire(blocking=False):
            threading.Thread(target=self._reload, name="fvi-names", daemon=True).start()
        return self._known_before()

    def _reload(self) -> None:
        try:
            self._load()
        except psycopg.Error as error:
            logger.warning("The mines' names stay as they are: %s", error)
        finally:
            # also after a failure: not every answer asks again
            self._loaded_at = time.monotonic()
            self._loading.release()

    def _load(self) -> None:
        with self._connections() as connection:
            row = connection.execute("select max(as_of_year) from mart.fvi_scores").fetchone()
            self._directory, self._as_of_year = load_directory(connection), row[0] if row else None
        self._loaded_at = time.monotonic()

    def _known_before(self) -> tuple[Directory, int | None]:
        if self._directory is None:
            raise psycopg.OperationalError("The mines' names have not been read yet.")
        return self._directory, self._as_of_year

    async def stream(self, ask: Ask) -> AsyncGenerator[Event, None]:
        """The events of the answer, the last one an end, whatever happens but a cancellation."""
        started = time.perf_counter()
        trace, answered, outcome = Trace(), Answered(), Outcome()
        variant = chosen(self._variants, ask.conversation_id or ask.answer_id)
        question = Question(ask.message, "text", None)
        with trace.step("answer", answer_id=ask.answer_id, client=ask.client, question=ask.message) as whole:
            mode = "extractive" if self._writing is None else "generated"
            yield Event(
                "start",
                {
                    "answer_id": ask.answer_id,
                    "trace_id": trace.trace_id,
                    "mode": mode,
                    "variant": variant.name,
                    "conversation_id": ask.conversation_id,
                },
            )
            try:
                turns = await asyncio.to_thread(self._conversations.turns, ask.client, ask.conversation_id)
                question, directory = await asyncio.to_thread(self._read, ask, turns, trace)
                async with aclosing(
                    self._answer(ask, question, directory, turns, variant, trace, answered, outcome)
                ) as events:
                    async for event in events:
                        yield event
            except psycopg.errors.UndefinedTable:
                outcome.status, outcome.reason = "declined", "no_data"
                yield _warning("no_data", "There is no data yet: run the pipeline first (make demo).")
            except psycopg.Error as error:
                logger.warning("No answer: %s", error)
                outcome.status, outcome.reason = "declined", "store_unavailable"
                yield _warning("store_unavailable", "The data cannot be read just now: ask again in a moment.")
            end = self._end(ask, question, answered, outcome, started)
            whole.attributes |= {name: end[name] for name in ("status", "reason", "mode", "check", "usage")}
            whole.attributes["variant"] = variant.name
        await asyncio.to_thread(self._keep, ask, question, answered)
        if self._on_complete is not None:
            self._on_complete(Completed(ask, question, variant, trace, end, " ".join(answered.texts)))
        yield Event("end", end)

    def _end(
        self, ask: Ask, question: Question, answered: Answered, outcome: Outcome, started: float
    ) -> dict[str, Any]:
        draft = outcome.writer.draft if outcome.writer is not None else None
        return {
            "answer_id": ask.answer_id,
            "status": outcome.status,
            "reason": outcome.reason,
            "mode": outcome.mode,
            "citations": answered.citations.as_json(answered.references),
            "check": summary(answered.checks),
            "mine_ids": [mine.mine_id for mine in question.mines],
            "usage": None if draft is None else draft.usage.as_json() | {"cost_microdollars": draft.cost_microdollars},
            "milliseconds": round(1000 * (time.perf_counter() - started), 1),
        }

    def _read(self, ask: Ask, turns: Sequence[Turn], trace: Trace) -> tuple[Question, Directory]:
        directory, as_of_year = self._known()
        before, message = None, ask.message
        if turns:
            last = turns[-1]
            before = Before(last.mine_ids, last.quantity, last.kind, last.horizon_years)
            if last.was_asked_back and not says_more_than_which(message, directory):
                message = f"{last.question} {message}"
        with trace.step("read_question", "PARSER") as step:
            question = read_question(message, directory, as_of_year, ask.mine_id, before)
            step.attributes |= {
                "kind": question.kind,
                "quantity": question.quantity,
                "mine_ids": [mine.mine_id for mine in question.mines],
            }
        return question, directory

    async def _answer(
        self,
        ask: Ask,
        question: Question,
        directory: Directory,
        turns: Sequence[Turn],
        variant: Variant,
        trace: Trace,
        answered: Answered,
        outcome: Outcome,
    ) -> AsyncGenerator[Event, None]:
        found = await asyncio.to_thread(self._facts, question, directory, trace)
        if self._writing is not None and not found.is_final:
            try:
                async with aclosing(
                    self._written(
                        self._writing, ask, question, directory, turns, variant, trace, answered, outcome, found
                    )
                ) as events:
                    async for event in events:
                        yield event
                return
            except BudgetSpentError:
                yield _warning("budget_spent", "The budget of the day is spent: this answer is without the model.")
            except ModelFailedError as error:
                yield _warning("model_failed", f"{error} This answer is without it.", discard=True)
            answered.reset()
        outcome.mode = "extractive"
        for event in told(found.said, directory, answered):
            yield event
        outcome.status, outcome.reason = found.status, found.reason
        if found.status == "answered" and not found.is_final and (wants_passages(question) or not found.said):
            passages = await asyncio.to_thread(self._search, question, variant, trace, question.unexplained)
            if passages is None:
                yield _warning("no_passages", "The documents cannot be searched just now.")
            more = _texts(question, passages or (), has_facts=bool(found.said))
            for event in told(more.said, directory, answered):
                yield event
            outcome.status, outcome.reason = more.status, more.reason

    async def _written(
        self,
        writing: Writing,
        ask: Ask,
        question: Question,
        directory: Directory,
        turns: Sequence[Turn],
        variant: Variant,
        trace: Trace,
        answered: Answered,
        outcome: Outcome,
        found: Found,
    ) -> AsyncGenerator[Event, None]:
        """The model's answer; raises BudgetSpentError or ModelFailedError when there is none."""
        outcome.mode = "generated"
        passages = await asyncio.to_thread(self._search, question, variant, trace)
        if passages is None:
            yield _warning("no_passages", "The documents cannot be searched just now.")
        facts = [source for said in found.said for source in said.sources if isinstance(source, Fact)]
        notes = [said.text for said in found.said if not said.sources]
        evidence = evidence_text(answered, facts, passages or (), notes)
        writer = outcome.writer = Writer(writing, self._connections, directory, trace, answered)
        async with aclosing(
            writer.events(prompt(variant.prompt), ask.client, question.text, evidence, turns)
        ) as events:
            async for event in events:
                yield event
        if writer.draft.withheld:
            yield _warning("withheld", "Of the model's sentences some were kept back, as the policy says.")
        claims = any(is_claim for is_claim, _ in answered.checks)
        outcome.status = "answered" if claims else "declined"
        outcome.reason = None if claims else "not_in_the_data"

    def _facts(self, question: Question, directory: Directory, trace: Trace) -> Found:
        """What the marts say, and what is asked back or declined without asking them."""
        if question.refusal is not None:
            return Found([Said(question.refusal.sentence)], "declined", question.refusal.reason, True)
        if question.unknown and not question.mines:
            near = [mine for name in question.unknown for mine in directory.nearest(name)]
            return Found(extractive.not_known(question, near), "declined", "unknown_mine", True)
        if question.unclear:
            return Found(extractive.asked_back(question), "clarify", "like_names", True)
        if question.unexplained:
            return Found()
        found = Found([*extractive.left_out(question), *extractive.choices_told(question)])
        declined: list[str] = []
        answered_any = False
        planned = calls(question, self._as_of_year)
        if planned:
            with self._connections() as connection, reading(connection) as marts:
                for call in planned:
                    with trace.step(call.tool, "TOOL", arguments=call.arguments) as step:
                        try:
                            facts = _fitting(question, call_tool(marts, directory, call.tool, call.arguments))
                        except NoSuchFactError as error:
                            step.attributes["no_such_fact"] = str(error)
                            declined += [] if call.optional else [str(error)]
                            continue
                        step.attributes["facts"] = len(facts)
                        answered_any = answered_any or bool(facts)
                        found.said += extractive.of_facts(facts)
        found.said += [Said(text) for text in dict.fromkeys(declined)]
        if declined and not answered_any:
            found.status, found.reason = "declined", "not_in_the_data"
        return found

    def _search(
        self, question: Question, variant: Variant, trace: Trace, having: frozenset[str] = frozenset()
    ) -> Sequence[Passage] | None:
        """The passages for a question; None when they cannot be searched."""
        mine_id = question.mines[0].mine_id if question.mines else None
        with trace.step("retrieve", "RETRIEVER", query=question.text, mine_id=mine_id, k=variant.passages) as step:
            try:
                if self._passages is None:
                    raise PassagesUnavailableError("There is no search of documents here.")
                passages = self._passages.search(question.text, variant.passages, mine_id, having)
            except PassagesUnavailableError as error:
                step.attributes["unavailable"] = str(error)
                return None
            step.attributes["chunk_ids"] = [passage.chunk_id for passage in passages]
        # from here on a passage has nothing that is not repeated: neither reader, model nor check sees it
        return [replace(passage, text="\n".join(clean_passage(passage.text))) for passage in passages]

    def _keep(self, ask: Ask, question: Question, answered: Answered) -> None:
        self._conversations.add(
            ask.client,
            ask.conversation_id,
            Turn(
                question.text,
                " ".join(answered.texts),
                tuple(mine.mine_id for mine in question.mines),
                question.quantity,
                question.kind,
                question.horizon_years,
                bool(question.unclear),
            ),
        )


def _texts(question: Question, passages: Sequence[Passage], *, has_facts: bool) -> Found:
    """What passages say; a question that only they could answer is declined when none does."""
    if has_facts:
        return Found(extractive.quotes(question, passages)[:1] or extractive.context(question, passages))
    found = Found(extractive.quotes(question, passages))
    if not found.said:
        of_ours = question.mines or question.place or question.company or question.quantity
        no = refusal("not_in_the_data" if of_ours else "off_topic")
        found = Found([Said(no.sentence)], "declined", no.reason)
    return found


def _fitting(question: Question, facts: list[Fact]) -> list[Fact]:
    """For a count the count alone; else every fact. A forecast for a year that was not asked for is none."""
    if question.quantity == "count":
        return facts[:1]
    if facts and facts[0].table == "mart.production_forecasts" and question.years:
        forecast = next((v.value for v in facts[0].values if v.name == "forecast_year"), None)
        if forecast != question.years[0]:
            raise NoSuchFactError(f"Production is forecast for {forecast} alone, not for {question.years[0]}.")
    return facts


def _warning(code: str, message: str, *, discard: bool = False) -> Event:
    return Event("warning", {"code": code, "message": message, "discard": discard})
