"""Evidence: documents and notes in, chunks, then embeddings. Cutting and embedding belong to `evidence`."""

from collections.abc import Iterator

import dagster as dg

from fvi_pipeline.defs import publishers
from fvi_pipeline.defs.landing import landing_key, row_count
from fvi_pipeline.defs.resources import LandingFolder, Warehouse
from fvi_pipeline.evidence.documents import chunk_documents, load_documents, load_geojson_notes
from fvi_pipeline.feeds.ingest import is_simulated

DOCUMENTS = dg.AssetKey(["landing", "documents"])
CHUNKS = dg.AssetKey(["landing", "document_chunks"])
EMBEDDINGS = dg.AssetKey(["evidence", "chunk_embeddings"])


@dg.multi_asset(
    specs=[
        dg.AssetSpec(
            DOCUMENTS,
            deps=[publishers.DOCUMENTS, landing_key("gem_mine_features")],
            group_name="landing",
            kinds={"python", "postgres"},
            owners=["team:evidence"],
            description="Texts: files of `documents/` and each distinct note of GEM's geojson, with their mines.",
        ),
        dg.AssetSpec(
            CHUNKS,
            deps=[DOCUMENTS],
            group_name="landing",
            kinds={"python", "postgres"},
            owners=["team:evidence"],
            description="Passages of the documents, cut at paragraphs and sentences, with overlap.",
        ),
    ]
)
def documents(
    context: dg.AssetExecutionContext, warehouse: Warehouse, landing_folder: LandingFolder
) -> Iterator[dg.MaterializeResult[None]]:
    """Take in new documents and notes and cut them into passages."""
    folder = landing_folder.folder
    with warehouse.connect(autocommit=True) as connection:
        files = load_documents(connection, folder, simulated=is_simulated(folder))
        notes = load_geojson_notes(connection)
        added = chunk_documents(connection)
        for key, table in ((DOCUMENTS, "documents"), (CHUNKS, "document_chunks")):
            rows = connection.execute(row_count(table)).fetchone()
            metadata = {"dagster/row_count": rows[0] if rows else 0}
            if key == DOCUMENTS:
                metadata |= {
                    "files_rejected": files.files_rejected,
                    "new": files.documents_added + notes.documents_added,
                }
            else:
                metadata |= {"new": added}
            yield dg.MaterializeResult(asset_key=key, metadata=metadata)


@dg.asset(
    key=EMBEDDINGS,
    deps=[dg.AssetKey(["silver", "silver_document_content"])],
    group_name="evidence",
    kinds={"sentence-transformers", "pgvector"},
    owners=["team:evidence"],
    description="One vector per passage (all-MiniLM-L6-v2), for retrieval by meaning; only new passages are embedded.",
)
def chunk_embeddings(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Embed the passages that have no vector yet."""
    from fvi_pipeline.evidence.embedding import embed_chunks, load_embedder

    with warehouse.connect(autocommit=True) as connection:
        embedder = load_embedder()
        embedded = embed_chunks(
            connection, embedder, progress=lambda done, total: context.log.info(f"{done} of {total} passages embedded")
        )
        rows = connection.execute("select count(*) from evidence.chunk_embeddings").fetchone()
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows[0] if rows else 0, "embedded_now": embedded, "model": embedder.model_name}
    )


ASSETS = [documents, chunk_embeddings]
FEEDS_OF_DOCUMENTS = frozenset({"documents"})
