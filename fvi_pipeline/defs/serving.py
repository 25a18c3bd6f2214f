"""The Bento: the champion packed with the service. Packing belongs to `bentos`, answering to `serving`."""

import tempfile
from pathlib import Path

import dagster as dg

from fvi_pipeline.defs.evidence import EMBEDDINGS
from fvi_pipeline.defs.features import ONLINE_FEATURES, ONLINE_INDEX
from fvi_pipeline.defs.model import SCORES
from fvi_pipeline.defs.resources import ModelWorkshop

BENTO = dg.AssetKey(["serving", "bento"])


@dg.asset(
    key=BENTO,
    deps=[SCORES, ONLINE_FEATURES, ONLINE_INDEX, EMBEDDINGS],
    group_name="serving",
    kinds={"bentoml", "onnx"},
    owners=["team:service"],
    description="The scoring service and the RAG runner with the champion's own bytes: `make serve` serves the newest.",
)
def bento(context: dg.AssetExecutionContext, model_workshop: ModelWorkshop) -> dg.MaterializeResult[None]:
    """Build the Bento of the champion; the same champion and code build nothing."""
    from bentos.build import build_bento

    registry = model_workshop.registry()
    champion = registry.champion()
    if champion is None:
        raise dg.Failure("There is no champion yet. Materialise model/champion first.")
    with tempfile.TemporaryDirectory() as folder:
        tag = build_bento(registry.files(champion.version, Path(folder)), champion.version)
    return dg.MaterializeResult(metadata={"tag": tag, "model_version": champion.version})


ASSETS = [bento]
