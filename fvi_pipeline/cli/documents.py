"""`fvi documents` and `fvi spider`: texts in, from a folder and from GEM's wiki. How belongs to `evidence`."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from fvi_pipeline.cli.progress import Steps
from fvi_pipeline.cli.quiet import quiet_libraries
from fvi_pipeline.platform.errors import PlatformError
from fvi_pipeline.platform.settings import get_settings


def documents(
    source: Annotated[
        Path | None,
        typer.Option(
            help="A landing folder that holds documents/; without it, the one of the last run.", file_okay=False
        ),
    ] = None,
) -> None:
    """Take in new documents (Markdown, text, HTML, PDF) and make them searchable; nothing else is run."""
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.environment import watched_folder
    from fvi_pipeline.platform.servers import running_servers

    quiet_libraries()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    settings = get_settings()
    folder = source.resolve() if source else watched_folder(settings)
    if not (folder / "documents").is_dir():
        raise PlatformError(f"There is no folder {folder / 'documents'}: put the documents there, or give --source.")
    started = time.monotonic()
    from fvi_pipeline.run.documents import take_in_documents

    with running_servers(settings) as servers, connect(servers.database_url, autocommit=True) as connection:
        with Steps() as steps:
            taken = take_in_documents(connection, settings, folder, steps.show)
        reasons = connection.execute(
            "select name, reason from landing.files where feed = 'documents' and status = 'rejected' "
            "order by file_id desc limit %s",
            [taken.files.files_rejected],
        ).fetchall()
    for name, reason in sorted(reasons):
        typer.echo(f"! {name}: {reason}")
    files = taken.files
    typer.echo(
        f"{files.files_loaded:,} new files, {files.files_rejected:,} refused, {files.files_known:,} known before; "
        f"{taken.made.chunks:,} new passages, searchable after {time.monotonic() - started:.1f} s."
    )


def spider(
    limit: Annotated[int | None, typer.Option(min=1, help="Most pages to fetch; without it, FVI_SPIDER_PAGES.")] = None,
) -> None:
    """Fetch what has changed in Global Energy Monitor's wiki, with FVI_SPIDER_CONTACT, and make it searchable."""
    quiet_libraries()
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from fvi_pipeline.evidence.spider.crawl import crawl, http_client, wiki_client
    from fvi_pipeline.platform.database import connect
    from fvi_pipeline.platform.servers import running_servers

    settings = get_settings()
    with http_client() as client:
        wiki = wiki_client(client, settings)
        with running_servers(settings) as servers:
            from fvi_pipeline.run.documents import make_searchable

            with Steps() as steps, connect(servers.database_url, autocommit=True) as connection:
                done = crawl(connection, wiki, limit or settings.spider_pages, steps.show)
                if done.fetched:
                    make_searchable(connection, settings, steps.show)
    typer.echo(
        f"{done.checked:,} pages asked about, {done.fetched:,} fetched, {done.failed:,} failed, "
        f"{done.missing:,} missing; {done.waiting:,} wait for the next call."
    )
