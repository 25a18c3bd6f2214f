"""The Bento: the champion packed with the service. Packing belongs to `bentos`, answering to `serving`."""

import json
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import psycopg

from fvi_pipeline.defs.features import ONLINE_FEATURES, ONLINE_INDEX
from fvi_pipeline.defs.model import SCORES
from fvi_pipeline.defs.model_card import MODEL_CARD
from fvi_pipeline.defs.resources import ModelWorkshop, OnlineStore, Warehouse
from fvi_pipeline.defs.retrieval import EMBEDDINGS
from fvi_pipeline.model.registry import RegisteredVersion
from fvi_pipeline.model.scoring import MODEL_NAME
from fvi_pipeline.platform.settings import get_settings

BENTO = dg.AssetKey(["serving", "bento"])
_FEATURE_LIST, _MODEL_CARD = "features.json", "model_card.md"
_TOLD_OF_A_FEATURE = ("name", "kind", "unit", "description", "null_means")


@dg.asset(
    key=BENTO,
    deps=[SCORES, ONLINE_FEATURES, ONLINE_INDEX, EMBEDDINGS, MODEL_CARD],
    group_name="serving",
    kinds={"bentoml", "onnx"},
    owners=["team:service"],
    description="The scoring service and the RAG runner with the champion's own bytes, its features and its model "
    "card: `make serve` serves the newest. Its tag is noted in ops.promotions.",
)
def bento(
    context: dg.AssetExecutionContext,
    warehouse: Warehouse,
    online_store: OnlineStore,
    model_workshop: ModelWorkshop,
) -> dg.MaterializeResult[None]:
    """Build the Bento of the champion; the same champion, documents and code build nothing."""
    from bentos.build import bento_size_bytes, build_bento
    from fvi_pipeline.model.ledger import note_bento
    from fvi_pipeline.model.reigns import announce

    registry = model_workshop.registry()
    champion = registry.champion()
    if champion is None:
        raise dg.Failure("There is no champion yet. Materialise model/champion first.")
    with warehouse.connect() as connection, tempfile.TemporaryDirectory() as folder:
        files = registry.files(champion.version, Path(folder))
        documents = _documents(connection, champion) | _place_of_features(files)
        if _MODEL_CARD not in documents:
            context.log.warning(f"Version {champion.version} has no card yet: materialise model/model_card.")
        tag = build_bento(files, champion.version, documents)
        note_bento(connection, registry.name, champion.version, tag)
    announce(online_store.redis_url, model_workshop.registry)
    return dg.MaterializeResult(
        metadata={
            "tag": tag,
            "model_version": champion.version,
            "size_megabytes": round(bento_size_bytes(tag) / 1e6, 1),
            "documents": sorted(documents),
        }
    )


def _documents(connection: psycopg.Connection, champion: RegisteredVersion) -> dict[str, str]:
    """The list of the model's features as described, and its card if it has one."""
    from fvi_pipeline.features.versions import columns_in_words, version_of
    from fvi_pipeline.model.card.store import stored_card
    from fvi_pipeline.serving.phrases import PHRASES_FILE, phrases_to_json

    version = version_of(connection, champion.feature_service)
    features = [
        {name: value for name, value in asdict(entry.column).items() if name in _TOLD_OF_A_FEATURE}
        for entry in version.columns
        if entry.column.role == "feature"
    ]
    listed = {"feature_service": version.service, "features": features}
    card = stored_card(connection, MODEL_NAME, champion.version)
    words = columns_in_words(connection, champion.feature_service)
    phrases = phrases_to_json({entry["name"]: words[str(entry["name"])] for entry in features})
    told = {_FEATURE_LIST: json.dumps(listed, indent=1) + "\n", PHRASES_FILE: phrases}
    return {**told, **({_MODEL_CARD: card.markdown} if card else {})}


def _place_of_features(files: Path) -> dict[str, str]:
    """Where the online store has the model's features, so that the service asks Feast's registry for nothing."""
    from fvi_pipeline.model.scoring import ViabilityModel
    from fvi_pipeline.serving.feature_reader import FeatureLayouts
    from fvi_pipeline.serving.model_files import FIELDS_FILE, fields_to_json

    layouts = FeatureLayouts(get_settings().feature_repo_dir / "feature_store.yaml")
    served = layouts.served(ViabilityModel.load(files), "", "champion", datetime.now(UTC))
    return {FIELDS_FILE: fields_to_json(served.fields)}


ASSETS = [bento]
