"""What searches read, kept in step with the passages. How it is made and read belongs to `evidence`."""

from typing import TYPE_CHECKING

import dagster as dg

from fvi_pipeline.defs.resources import Warehouse
from fvi_pipeline.defs.retries import retried
from fvi_pipeline.platform.settings import get_settings

if TYPE_CHECKING:
    from fvi_pipeline.evidence.embedding import Embedder

EMBEDDINGS = dg.AssetKey(["evidence", "chunk_embeddings"])
QUALITY = dg.AssetKey(["mart", "retrieval_quality"])
# Of fact sheets, of which there is one a mine: what a run embeds at most, those of scored mines first. The others are
# found by their words, and get their vectors in the runs that follow.
SHEETS_A_RUN = 3_000


@dg.asset(
    key=EMBEDDINGS,
    deps=[dg.AssetKey(["silver", "silver_document_content"]), dg.AssetKey(["evidence", "chunk_mines"])],
    group_name="evidence",
    kinds={"sentence-transformers", "pgvector"},
    owners=["team:evidence"],
    description="Passages as searches find them: their words (BM25) and a vector each; only new ones are embedded, and "
    "all of it changes at once.",
)
def chunk_embeddings(context: dg.AssetExecutionContext, warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Index the passages that are new, and drop those that have left."""
    from fvi_pipeline.evidence.index import refresh

    with retried(context), warehouse.connect(autocommit=True) as connection:
        report = refresh(
            connection,
            _embedder(),
            progress=lambda done, total: context.log.info(f"{done} of {total} passages embedded"),
            limit=SHEETS_A_RUN,
        )
        rows = connection.execute("select count(*) from evidence.passages").fetchone()
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": rows[0] if rows else 0,
            "added": report.added,
            "removed": report.removed,
            "embedded_now": report.embedded,
            "without_vector": report.waiting,
            "model": report.model_name,
        }
    )


@dg.asset(
    key=QUALITY,
    deps=[EMBEDDINGS],
    group_name="evidence",
    kinds={"python", "postgres"},
    owners=["team:evidence"],
    description="nDCG, recall and reciprocal rank by words, by meaning and fused, on the project's own questions.",
)
def retrieval_quality(warehouse: Warehouse) -> dg.MaterializeResult[None]:
    """Ask the project's questions and store how good the answers were."""
    from fvi_pipeline.evidence.questions import store_quality
    from fvi_pipeline.evidence.retrieval import open_searcher

    settings = get_settings()
    with warehouse.connect(autocommit=True) as connection:
        searcher = open_searcher(connection, settings.embedding_model, settings.embedding_exports_dir)
        rows = store_quality(connection, searcher)
        newest = connection.execute(
            """
            select question_set || ', ' || mode, round(mean::numeric, 3) from mart.retrieval_quality
            where measure = 'ndcg_at_10' and measured_at = (select max(measured_at) from mart.retrieval_quality)
            """
        ).fetchall()
    return dg.MaterializeResult(
        metadata={"dagster/row_count": rows, **{f"nDCG@10, {name}": float(mean) for name, mean in newest}}
    )


def _embedder() -> "Embedder":
    from fvi_pipeline.evidence.embedding import load_embedder

    settings = get_settings()
    return load_embedder(settings.embedding_model, settings.embedding_exports_dir)


ASSETS = [chunk_embeddings, retrieval_quality]
