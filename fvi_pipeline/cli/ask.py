"""`fvi ask`: a question in words, answered on the terminal with its citations. Answering belongs to `answers`."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fvi_pipeline.cli.quiet import quiet_libraries

if TYPE_CHECKING:
    from fvi_pipeline.answers.service import Answerer, Ask


def ask(
    question: Annotated[str, typer.Argument(help="A question, such as: Why is Bailey Mine at risk?")],
    mine: Annotated[str | None, typer.Option(help="The mine that the question is about, if it names none.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: sentences, citations, check.")] = False,
) -> None:
    """Answer a question from the marts and the documents; every sentence cites what it rests on."""
    from psycopg_pool import ConnectionPool

    from fvi_pipeline.answers.assembly import answer_log, searcher_once
    from fvi_pipeline.answers.assembly import answerer as answerer_of
    from fvi_pipeline.answers.evaluate import collected
    from fvi_pipeline.answers.service import Ask
    from fvi_pipeline.platform.servers import running_servers
    from fvi_pipeline.platform.settings import get_settings

    quiet_libraries()

    settings = get_settings()
    with (
        running_servers(settings) as servers,
        ConnectionPool(servers.database_url, min_size=1, max_size=2, kwargs={"autocommit": True}, open=True) as pool,
    ):
        log = answer_log(settings, servers.database_url)
        answerer = answerer_of(
            settings, pool.connection, searcher_once(settings, pool.connection), servers.redis_url, on_complete=log.add
        )
        asked = Ask(question, mine_id=mine)
        if as_json:
            print(json.dumps(asyncio.run(collected(answerer, asked)), indent=2, ensure_ascii=False, default=str))
        else:
            asyncio.run(_printed(answerer, asked))
        log.close()


async def _printed(answerer: Answerer, asked: Ask) -> None:
    async with aclosing(answerer.stream(asked)) as events:
        async for event in events:
            data = event.data
            if event.kind == "sentence":
                mark = "" if data["supported"] in (True, None) else f"  [not supported: {'; '.join(data['problems'])}]"
                cited = f" [{', '.join(data['citations'])}]" if data["citations"] else ""
                typer.echo(f"{data['text']}{cited}{mark}")
            elif event.kind == "warning":
                void = " What stands above is void." if data["discard"] else ""
                typer.echo(f"({data['message']}{void})", err=True)
            elif event.kind == "end":
                _print_end(data)


def _print_end(data: Any) -> None:
    typer.echo()
    for citation in data["citations"]:
        known = f", known {citation['known_at'][:10]}" if citation["known_at"] else ""
        if citation["type"] == "fact":
            key = ", ".join(f"{name}={value}" for name, value in citation["key"].items())
            trace = f"  ({citation['trace']})" if citation["trace"] else ""
            typer.echo(f"[{citation['id']}] {citation['table']}: {key}{known}{trace}")
        else:
            typer.echo(f"[{citation['id']}] {citation['source']}, {citation['chunk_id']}{known}")
    supported = data["check"]
    typer.echo(
        f"{data['mode']}, {data['status']}; {supported['supported']} of {supported['claims']} sentences supported; "
        f"{data['milliseconds']:.0f} ms"
    )
