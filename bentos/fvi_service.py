"""The scoring service: ONNX Runtime in this process, features from Feast, passages from the RAG runner.

Routes, limits and errors are fvi_pipeline.serving.app's; here are only the stores that it calls.
"""

import gc
import logging
import threading
from pathlib import Path
from typing import Any

import bentoml
from bentoml.exceptions import BentoMLException

from bentos.rag_service import RagRunner
from fvi_pipeline.serving.app import Backends, create_app, with_body_limit
from fvi_pipeline.serving.errors import InvalidRequestError, StoreUnavailableError

RETRY_SECONDS = 2.0

logger = logging.getLogger("bentoml.fvi")
app = create_app(docs_assets=Path(bentoml.__file__).parent / "_internal" / "server" / "static_content")


@bentoml.service(name="fvi", workers=1, traffic={"timeout": 30})
@bentoml.asgi_app(with_body_limit(app), path="/")
class FviService:
    """Scores mines. Starts without its stores and is ready as soon as they answer."""

    model = bentoml.models.BentoModel("fvi_viability:latest")
    rag = bentoml.depends(RagRunner)

    def __init__(self) -> None:
        from fvi_pipeline.model.scoring import ViabilityModel

        self._stopping = threading.Event()
        self._viability = ViabilityModel.load(Path(self.model.path))
        if not self._connect():
            threading.Thread(target=self._connect_until_ready, daemon=True).start()

    def _connect(self) -> bool:
        """Open the stores and let the routes answer; False when a store is down."""
        # Feast imports prometheus_client, which must find BentoML's folder: so not at the head of the module.
        import redis

        from fvi_pipeline.platform.errors import PlatformError
        from fvi_pipeline.platform.settings import get_settings
        from fvi_pipeline.serving.feature_reader import FeastFeatureReader, fail_fast
        from fvi_pipeline.serving.predictor import Predictor
        from fvi_pipeline.serving.weights import read_weights

        settings = get_settings()
        if settings.database_url is None or settings.redis_url is None:
            raise PlatformError(
                'FVI_DATABASE_URL or FVI_REDIS_URL is not set. Run `eval "$(fvi env)"`, or use `make serve`.'
            )
        client = redis.Redis.from_url(settings.redis_url)
        fail_fast(client)
        try:
            reader = FeastFeatureReader(
                settings.feature_repo_dir / "feature_store.yaml",
                settings.database_url,
                self._viability.features,
                self._viability.metadata.feature_service,
            )
            predictor = Predictor(self._viability, str(self.model.info.metadata["version"]), reader)
            predictor.warm_up()
        except StoreUnavailableError as error:
            logger.warning("Not ready: %s", error)
            return False
        # What is loaded by now lives as long as the process: a full collection would stop requests for
        # some 100 ms to look at it.
        gc.collect()
        gc.freeze()
        app.state.backends = Backends(scorer=predictor, retrieve=self._retrieve, weights=lambda: read_weights(client))
        return True

    def _connect_until_ready(self) -> None:
        while not self._stopping.wait(RETRY_SECONDS):
            if self._connect():
                return

    async def _retrieve(self, query: str, k: int) -> list[dict[str, Any]]:
        import aiohttp

        try:
            passages: list[dict[str, Any]] = await self.rag.to_async.retrieve(query=query, k=k)
        except BentoMLException as error:
            if error.error_code == 400:
                raise InvalidRequestError("The query cannot be searched for.") from error
            raise StoreUnavailableError("The evidence store does not answer: ask again later.") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise StoreUnavailableError("The RAG runner does not answer: ask again in a moment.") from error
        return passages

    def __is_ready__(self) -> bool:
        """Answer /readyz: the stores are open."""
        return app.state.backends is not None

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Stop waiting for stores."""
        self._stopping.set()
