"""`fvi search`: passages of the documents for a query. How they are found belongs in `evidence`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fvi_pipeline.cli.quiet import quiet_libraries
from fvi_pipeline.evidence.query import KINDS, InvalidQueryError, Mode, end_of
from fvi_pipeline.platform.settings import get_settings

if TYPE_CHECKING:
    from fvi_pipeline.evidence.retrieval import Passage

_out = Console(highlight=False, soft_wrap=True)
_err = Console(stderr=True, highlight=False, soft_wrap=True)


def search(
    query: Annotated[str, typer.Argument(help='Words or a question; a "phrase" in quotes has to be in the passages.')],
    k: Annotated[int, typer.Option("--k", min=1, max=50, help="How many passages.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    mine: Annotated[str | None, typer.Option(help="Only what is about this mine, such as msha:4801353.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help=f"Only these sources: {', '.join(KINDS)}; may be repeated.")
    ] = None,
    language: Annotated[str | None, typer.Option(help="Only this language, ISO 639-1.")] = None,
    as_of: Annotated[
        str | None, typer.Option("--as-of", help="Nothing that became known after this day (its end, UTC) or moment.")
    ] = None,
    mode: Annotated[Mode, typer.Option(help="By words and meaning, by words, or by meaning.")] = "hybrid",
    per_document: Annotated[
        int, typer.Option(min=1, max=50, help="More passages of one document come after those of the others.")
    ] = 1,
) -> None:
    """Find passages in the documents."""
    quiet_libraries()
    from fvi_pipeline.evidence.filters import Filter
    from fvi_pipeline.evidence.retrieval import Searcher, open_searcher
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers

    try:
        only = Filter(mine, kind, language, end_of(as_of) if as_of else None)
        settings = get_settings()
        with running_servers(settings) as servers, connect(servers.database_url) as connection:
            searcher = (
                Searcher(None)
                if mode == "text"
                else open_searcher(connection, settings.embedding_model, settings.embedding_exports_dir)
            )
            passages = searcher.retrieve(connection, query, k, mode=mode, only=only, per_document=per_document)
    except InvalidQueryError as error:
        _err.print(f"[red]fvi search:[/red] {error}")
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps({"passages": [passage.as_json() for passage in passages]}, indent=2, ensure_ascii=False))
    else:
        for passage in passages:
            _print(passage)


def _print(passage: Passage) -> None:
    ranks = " · ".join(
        f"{arm} {rank}" for arm, rank in (("words", passage.text_rank), ("meaning", passage.vector_rank)) if rank
    )
    _out.print(f"[bold]{passage.score:.3f}[/bold] [dim]{passage.source} · {passage.chunk_id} · {ranks}[/dim]")
    _out.print(" > ".join(filter(None, (passage.title, passage.section))), markup=False, style="italic")
    _out.print(passage.text, markup=False)
    _out.print()
