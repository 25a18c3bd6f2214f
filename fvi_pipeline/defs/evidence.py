"""Evidence: documents, notes, wiki pages and what is made from the marts, in chunks, with the mines they are about.

Searching them is in `retrieval`; reading, cutting and linking belong to `evidence`.
"""

from collections.abc import Iterator

import dagster as dg

from fvi_pipeline.defs import publishers
from fvi_pipeline.defs.landing import landing_key, row_count
from fvi_pipeline.defs.resources import LandingFolder, Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.defs.retrieval import EMBEDDINGS, QUALITY
from fvi_pipeline.defs.weights import INDEX
from fvi_pipeline.evidence.chunks import chunk_documents
from fvi_pipeline.evidence.documents import load_documents
from fvi_pipeline.evidence.notes import load_geojson_notes
from fvi_pipeline.feeds.arrivals import still_arriving
from fvi_pipeline.feeds.ingest import is_simulated
from fvi_pipeline.platform.settings import PROJECT_ROOT, get_settings

WIKI_PAGES = landing_key("wiki_pages")
DOCUMENTS = landing_key("documents")
CHUNKS = landing_key("document_chunks")
FACT_SHEETS = dg.AssetKey(["evidence", "fact_sheets"])
SYSTEM_DOCUMENTS = dg.AssetKey(["evidence", "system_documents"])
CHUNK_MINES = dg.AssetKey(["evidence", "chunk_mines"])
_OWNERS = ["team:evidence"]
# After all else that a run does: sheets tell its scores, and the pages about the system its cards and promotions.
# Dependencies on those would leave the sheets out where a model is skipped.
_AFTER_THE_SCORES = {"dagster/priority": "-3"}


@dg.asset(
    key=WIKI_PAGES,
    deps=[landing_key("gem_coal_mines"), landing_key("gem_mine_features")],
    group_name="landing",
    kinds={"python", "postgres"},
    owners=_OWNERS,
    description="Pages of Global Energy Monitor's wiki: where the spider is with each, their texts in "
    "landing.documents. Off without FVI_SPIDER_CONTACT; up to FVI_SPIDER_PAGES changed pages a run.",
)
def wiki_pages(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Fetch what has changed; a wiki that does not answer stops nothing, its pages wait for the next run."""
    from fvi_pipeline.evidence.spider.client import SpiderError
    from fvi_pipeline.evidence.spider.crawl import crawl, http_client, wiki_client

    settings = get_settings()
    if settings.spider_contact is None:
        return dg.MaterializeResult(metadata={"crawl": "off: FVI_SPIDER_CONTACT is not set"})
    with retried(context), warehouse.connect() as connection, http_client() as client:
        try:
            done = crawl(connection, wiki_client(client, settings), settings.spider_pages)
        except SpiderError as error:
            context.log.warning(str(error))
            return dg.MaterializeResult(metadata={"crawl": str(error)})
    return dg.MaterializeResult(
        metadata={
            "checked": done.checked,
            "fetched": done.fetched,
            "failed": done.failed,
            "missing": done.missing,
            "waiting": done.waiting,
        }
    )


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            DOCUMENTS,
            deps=[publishers.DOCUMENTS, landing_key("gem_mine_features"), WIKI_PAGES],
            group_name="landing",
            kinds={"python", "postgres"},
            owners=_OWNERS,
            description="Texts: files of `documents/`, each distinct note of GEM's geojson, and wiki pages.",
        ),
        dg.AssetSpec(
            CHUNKS,
            deps=[DOCUMENTS],
            group_name="landing",
            kinds={"python", "postgres"},
            owners=_OWNERS,
            description="Passages of the documents, cut at headings, paragraphs and sentences, with overlap; each with "
            "its dates and its near-duplicates.",
        ),
    ]
)
def documents(
    context: dg.AssetExecutionContext, warehouse: Warehouse, landing_folder: LandingFolder
) -> Iterator[dg.MaterializeResult[None]]:
    """Take in new documents and notes and cut them into passages."""
    folder = landing_folder.folder
    with retried(context), warehouse.connect(autocommit=True) as connection:
        arriving = still_arriving(folder)
        files = load_documents(connection, folder, simulated=is_simulated(folder), leave=arriving)
        notes = load_geojson_notes(connection)
        added = chunk_documents(connection)
        for key, table in ((DOCUMENTS, "documents"), (CHUNKS, "document_chunks")):
            rows = connection.execute(row_count(table)).fetchone()
            metadata = {"dagster/row_count": rows[0] if rows else 0}
            if key == DOCUMENTS:
                metadata |= {
                    "files_rejected": files.files_rejected,
                    "new": files.documents_added + notes,
                }
            else:
                metadata |= {"new": added}
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            FACT_SHEETS,
            deps=[INDEX, dg.AssetKey(["silver", "silver_mine_profiles"]), dg.AssetKey(["silver", "silver_mine_years"])],
            group_name="evidence",
            kinds={"python", "postgres"},
            owners=_OWNERS,
            description="One sheet for each mine, from the marts: what it is, its scores and why, its index, its "
            "production. A sheet that reads otherwise takes the place of the former one, which is kept.",
        ),
        dg.AssetSpec(
            SYSTEM_DOCUMENTS,
            deps=[INDEX, dg.AssetKey(["mart", "feature_catalogue"])],
            group_name="evidence",
            kinds={"python", "postgres"},
            owners=_OWNERS,
            description="What the system says of itself: pages of docs/, features, weights, model cards, promotions, "
            "runs, files.",
        ),
    ],
    op_tags=_AFTER_THE_SCORES,
)
def generated_documents(
    context: dg.AssetExecutionContext, warehouse: Warehouse
) -> Iterator[dg.MaterializeResult[None]]:
    """Make them anew, and cut those that have changed."""
    from fvi_pipeline.evidence.fact_sheets import refresh_fact_sheets
    from fvi_pipeline.evidence.system import refresh_system_documents

    with retried(context), warehouse.connect(autocommit=True) as connection:
        changes = {
            FACT_SHEETS: refresh_fact_sheets(connection),
            SYSTEM_DOCUMENTS: refresh_system_documents(connection, PROJECT_ROOT),
        }
        chunk_documents(connection)
    for key, change in changes.items():
        yield dg.MaterializeResult(asset_key=key, metadata={"new": change.added, "superseded": change.superseded})


@dg.asset(
    key=CHUNK_MINES,
    deps=[
        CHUNKS,
        FACT_SHEETS,
        SYSTEM_DOCUMENTS,
        dg.AssetKey(["silver", "silver_mine_profiles"]),
        dg.AssetKey(["silver", "silver_mine_crosswalk"]),
    ],
    group_name="evidence",
    kinds={"python", "postgres"},
    owners=_OWNERS,
    op_tags=_AFTER_THE_SCORES,
    description="The mines that each passage is about, by its source, or by an identifier, a name or an alias in it.",
)
def chunk_mines(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Read the passages that are new, or all of them when the mines have changed."""
    from fvi_pipeline.evidence.mine_links import link_chunks

    with retried(context), warehouse.connect(autocommit=True) as connection:
        read = link_chunks(connection)
        rows = connection.execute("select count(*) from evidence.chunk_mines").fetchone()
    return dg.MaterializeResult(metadata={"dagster/row_count": rows[0] if rows else 0, "passages_read": read})


EVIDENCE_JOB = dg.define_asset_job(
    "nightly_evidence",
    selection=dg.AssetSelection.assets(
        WIKI_PAGES, DOCUMENTS, CHUNKS, FACT_SHEETS, SYSTEM_DOCUMENTS, CHUNK_MINES, EMBEDDINGS, QUALITY
    ),
    executor_def=dg.in_process_executor,
    description="What has changed in the wiki, in the marts and in the system's own pages, searchable; and how well "
    "it is found. dbt has nothing to do: silver's passages are a view.",
)
EVIDENCE_SCHEDULE = dg.ScheduleDefinition(
    name="nightly_evidence_schedule",
    job=EVIDENCE_JOB,
    cron_schedule="30 2 * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Every night at 02:30 UTC, after the night's weights and index.",
)
ASSETS = [wiki_pages, documents, generated_documents, chunk_mines]
FEEDS_OF_DOCUMENTS = frozenset({"documents"})
