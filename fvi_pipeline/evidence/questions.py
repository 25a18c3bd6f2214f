"""The project's own questions, with what answers them: written by hand about the system, drawn from the warehouse about
mines. How an answer is measured belongs in `evaluation`.
"""

from dataclasses import dataclass
from pathlib import Path

import psycopg
import yaml

from fvi_pipeline.evidence.evaluation import Measured, measure
from fvi_pipeline.evidence.query import MODES, Mode
from fvi_pipeline.evidence.retrieval import Passage, Searcher

DRAWN_MINES = 100
_FILE = Path(__file__).parent / "questions.yml"
# One a mine, in turn. None is made of a text's words: that would favour the search by words.
_ASKED = (
    "Who operates {name} in {place}?",
    "Is {name}, {place}, still producing?",
    "{name} {place}",
    "How likely is it that {name} in {place} is open in five years?",
    "What is known of the coal mine {name} ({place})?",
)


@dataclass(frozen=True)
class Question:
    """A question and the grades of the documents that answer it: 2 in full, 1 in part."""

    text: str
    grades: dict[str, float]


def question_sets(connection: psycopg.Connection) -> dict[str, list[Question]]:
    """Return the questions by set, those whose answers are indexed."""
    indexed = {
        source
        for (source,) in connection.execute("select distinct source from evidence.passages where kind = 'system'")
    }
    sets = {}
    for half, entries in yaml.safe_load(_FILE.read_text()).items():
        questions = [Question(str(entry["ask"]), {k: float(v) for k, v in entry["pages"].items()}) for entry in entries]
        sets[f"system_{half}"] = [question for question in questions if indexed.issuperset(question.grades)]
    sets["mines"] = _about_mines(connection)
    return {name: questions for name, questions in sets.items() if questions}


def _about_mines(connection: psycopg.Connection) -> list[Question]:
    """Return questions about mines with a fact sheet and a name of their own; other documents answer in part."""
    rows = connection.execute(
        """
        with sheets as (
            select mine_ids[1] as mine_id from evidence.passages where kind = 'fact_sheet' and position = 0
        ),
        named as (
            select s.mine_id, p.mine_name, coalesce(p.state_province, p.country) as place,
                count(*) over (partition by lower(p.mine_name)) as namesakes
            from sheets as s join silver.silver_mine_profiles as p using (mine_id)
            where p.mine_name is not null
        ),
        drawn as (
            select * from named where namesakes = 1 and place is not null
            order by md5(mine_id) limit %s
        )
        select d.mine_id, d.mine_name, d.place,
            (select jsonb_object_agg(p.document_id, case when p.kind = 'fact_sheet' then 2 else 1 end)
             from evidence.passages as p where p.mine_ids @> array[d.mine_id])
        from drawn as d order by d.mine_id
        """,
        (DRAWN_MINES,),
    ).fetchall()
    return [
        Question(_ASKED[number % len(_ASKED)].format(name=name, place=place), grades)
        for number, (_, name, place, grades) in enumerate(rows)
    ]


def answer_name(passage: Passage) -> str:
    """Return what grades name a passage by: a page of the system by its path, else the document."""
    return passage.source if passage.kind == "system" else passage.document_id


def measure_questions(
    connection: psycopg.Connection, searcher: Searcher, questions: list[Question]
) -> dict[Mode, dict[str, Measured]]:
    """Return the measures of each mode on the questions."""
    judgements = {question.text: question.grades for question in questions}
    return {
        mode: measure(
            {
                question.text: [
                    answer_name(passage) for passage in searcher.retrieve(connection, question.text, 10, mode=mode)
                ]
                for question in questions
            },
            judgements,
        )
        for mode in MODES
    }


def store_quality(connection: psycopg.Connection, searcher: Searcher) -> int:
    """Measure all sets and store what came out in mart.retrieval_quality; return the rows. One transaction."""
    measured = {
        name: (len(questions), measure_questions(connection, searcher, questions))
        for name, questions in question_sets(connection).items()
    }
    rows = [
        (name, mode, label, figure.mean, figure.low, figure.high, count)
        for name, (count, modes) in measured.items()
        for mode, figures in modes.items()
        for label, figure in figures.items()
    ]
    model = searcher.embedder.model_name if searcher.embedder else "none"
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany(
            """
            insert into mart.retrieval_quality
                (measured_at, question_set, mode, measure, mean, low, high, questions, passages, model_name)
            select now(), %s, %s, %s, %s, %s, %s, %s, count(*), %s from evidence.passages
            """,
            [(*row, model) for row in rows],
        )
    return len(rows)
