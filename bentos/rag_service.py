"""The RAG runner: embeds a query and finds passages, and answers in words; its own service, so that the scorer has no
torch.

Its model is loaded behind its start, and may be missing: a machine that only scores does not have it. It follows the
model that the stored vectors are of; while another one is loaded, the former one's vectors are still there.
"""

import logging
import threading
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Literal

import bentoml
from bentoml.exceptions import BadInput, ServiceUnavailable

if TYPE_CHECKING:
    from fvi_pipeline.answers.service import Answerer
    from fvi_pipeline.evidence.retrieval import Searcher
    from fvi_pipeline.platform.settings import Settings

POOL_SECONDS = 3.0
LOADING_SECONDS = 20.0
FOLLOW_SECONDS = 15.0
logger = logging.getLogger("bentoml.fvi")


@bentoml.service(name="rag_runner", workers=1, traffic={"timeout": 120})
class RagRunner:
    """Holds the embedding model and connections to PostgreSQL."""

    def __init__(self) -> None:
        from psycopg_pool import ConnectionPool

        from fvi_pipeline.platform.errors import PlatformError
        from fvi_pipeline.platform.settings import get_settings

        settings = get_settings()
        if settings.database_url is None:
            raise PlatformError('FVI_DATABASE_URL is not set. Run `eval "$(fvi env)"`, or use `make serve`.')
        self._model_name, self._exports = settings.embedding_model, settings.embedding_exports_dir
        self._searcher: Searcher | None = None
        self._missing: str | None = None
        self._loaded, self._stopping = threading.Event(), threading.Event()
        # Connections are made in the background: the runner starts without PostgreSQL, too.
        self._pool = ConnectionPool(
            settings.database_url,
            min_size=1,
            max_size=4,
            timeout=POOL_SECONDS,
            # After a restart of PostgreSQL the next request tries at once; the default waits for minutes.
            reconnect_timeout=POOL_SECONDS,
            check=ConnectionPool.check_connection,
            kwargs={"autocommit": True, "connect_timeout": 3, "application_name": "fvi-rag"},
            open=True,
        )
        threading.Thread(target=self._follow, name="fvi-embedder", daemon=True).start()
        self._answerer = self._open_answerer(settings)
        threading.Thread(target=self._read_names, name="fvi-names", daemon=True).start()

    def _follow(self) -> None:
        """Load the model that the vectors are of, and again whenever that becomes another one."""
        loaded: int | None = None
        first = True
        while first or not self._stopping.wait(FOLLOW_SECONDS):
            model_id, name = self._stored_model()
            if first or (model_id is not None and model_id != loaded):
                self._load(name)
                loaded = model_id
            first = False

    def _stored_model(self) -> tuple[int | None, str]:
        import psycopg
        from psycopg_pool import PoolTimeout

        from fvi_pipeline.evidence.vectors import current_model

        try:
            with self._pool.connection() as connection:
                model = current_model(connection)
        except (psycopg.Error, PoolTimeout):
            model = None
        return (model.model_id, model.model_name) if model else (None, self._model_name)

    def _load(self, name: str) -> None:
        from fvi_pipeline.evidence.embedding import EmbedderUnavailableError, load_embedder
        from fvi_pipeline.evidence.retrieval import Searcher

        try:
            embedder = load_embedder(name, self._exports)
            embedder.encode_query("warm-up")
            self._searcher = Searcher(embedder)
        except (EmbedderUnavailableError, ImportError) as error:
            self._missing = str(error)
            logger.warning("No passages can be searched for by meaning here: %s", error)
        finally:
            self._loaded.set()

    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML's have no types
    def retrieve(
        self,
        query: str,
        k: int = 5,
        mine_id: str | None = None,
        kind: list[str] | None = None,
        language: str | None = None,
        as_of: str | None = None,
        mode: Literal["hybrid", "text", "vector"] = "hybrid",
        per_document: int = 1,
    ) -> list[dict[str, Any]]:
        """Return the k best passages, best first, as dictionaries of Passage's fields."""
        import psycopg

        from fvi_pipeline.evidence.filters import Filter
        from fvi_pipeline.evidence.query import InvalidQueryError, end_of
        from fvi_pipeline.evidence.retrieval import Searcher

        if mode == "text":
            searcher = Searcher(None)
        else:
            self._loaded.wait(LOADING_SECONDS)
            if self._searcher is None:
                raise ServiceUnavailable(self._missing or "The embedding model is still being loaded.")
            searcher = self._searcher
        try:
            only = Filter(mine_id, kind, language, end_of(as_of) if as_of else None)
            with self._pool.connection() as connection:
                passages = searcher.retrieve(connection, query, k, mode=mode, only=only, per_document=per_document)
        except InvalidQueryError as error:
            raise BadInput(str(error)) from error
        except psycopg.Error as error:
            raise ServiceUnavailable(f"PostgreSQL does not answer: {error}") from error
        return [passage.as_json() for passage in passages]

    def _open_answerer(self, settings: "Settings") -> "Answerer":
        from fvi_pipeline.answers.assembly import answer_log, answerer

        self._log = answer_log(settings, str(settings.database_url))
        # while the model is loaded, answers find their passages by words
        return answerer(
            settings, self._pool.connection, lambda: self._searcher, settings.redis_url, on_complete=self._log.add
        )

    def _read_names(self) -> None:
        import psycopg

        try:
            self._answerer.warm_up()
        except psycopg.Error as error:
            logger.warning("The mines' names are read with the first question: %s", error)

    @bentoml.api  # type: ignore[untyped-decorator]  # BentoML's have no types
    async def chat(
        self,
        message: str,
        mine_id: str | None = None,
        conversation_id: str | None = None,
        client: str = "local",
        answer_id: str | None = None,
    ) -> AsyncGenerator[str, None]:
        """Answer a question as server-sent events, the last one an end."""
        from fvi_pipeline.answers.service import Ask

        ask = Ask(message, mine_id, conversation_id, client, **({"answer_id": answer_id} if answer_id else {}))
        async with aclosing(self._answerer.stream(ask)) as events:
            async for event in events:
                yield event.as_sse()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]  # BentoML's have no types
    def close(self) -> None:
        """Write what waits and give the connections back."""
        self._stopping.set()
        self._log.close()
        self._pool.close()
