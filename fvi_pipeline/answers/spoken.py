"""An answer as it is said: each sentence with its references and its check. What is said is decided elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fvi_pipeline.answers.checking import Check, check
from fvi_pipeline.answers.directory import Directory
from fvi_pipeline.answers.events import Event
from fvi_pipeline.answers.extractive import Said
from fvi_pipeline.answers.fact import Citations, Fact, Passage


@dataclass
class Answered:
    """Sentences so far, their citations and checks."""

    citations: Citations = field(default_factory=Citations)
    checks: list[tuple[bool, Check]] = field(default_factory=list)
    references: list[str] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)

    def reset(self) -> None:
        """Forget all that was said."""
        self.citations = Citations()
        for kept in (self.checks, self.references, self.texts):
            kept.clear()


def told(said: Sequence[Said], directory: Directory, answered: Answered) -> list[Event]:
    """The events of sentences with their sources."""
    events = []
    for sentence in said:
        references = [
            answered.citations.of_fact(source)
            if isinstance(source, Fact)
            else answered.citations.of_passage(source, sentence.text)
            for source in sentence.sources
        ]
        events.append(checked(sentence, references, directory, answered))
    return events


def checked(
    said: Said,
    references: Sequence[str],
    directory: Directory,
    answered: Answered,
    *,
    is_claim: bool | None = None,
    faults: tuple[str, ...] = (),
) -> Event:
    """A sentence as an event, after its check against what it cites; `faults` are known before."""
    claims = said.is_claim if is_claim is None else is_claim
    verdict = check(said.text, said.sources, names_in(said.sources, directory)) if claims else Check(True)
    if faults:
        verdict = Check(False, (*faults, *verdict.problems), verdict.numbers)
    answered.checks.append((claims, verdict))
    answered.references += references
    answered.texts.append(said.text)
    return Event(
        "sentence",
        {
            "text": said.text,
            "citations": list(references),
            "claim": claims,
            "supported": verdict.supported if claims else None,
            "problems": list(verdict.problems),
        },
    )


def names_in(sources: Sequence[Fact | Passage], directory: Directory) -> list[str]:
    """The names of the mines that sources are about, which may hold digits."""
    identifiers = {
        identifier
        for source in sources
        for identifier in ([source.mine_id] if isinstance(source, Fact) else source.mine_ids)
        if identifier
    }
    mines = [directory.mines[identifier] for identifier in identifiers if identifier in directory.mines]
    return [text for mine in mines for text in (mine.name, *mine.former_names, mine.where, *mine.companies) if text]
