"""The RAG runner: embeds a query and finds passages; its own service, so that the scorer has no torch.

Its model is loaded behind its start, and may be missing: a machine that only scores does not have it.
"""

import logging
import threading
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.exceptions import BadInput, ServiceUnavailable

if TYPE_CHECKING:
    from fvi_pipeline.evidence.embedding import Embedder

POOL_SECONDS = 3.0
LOADING_SECONDS = 20.0
logger = logging.getLogger("bentoml.fvi")


@bentoml.service(name="rag_runner", workers=1, traffic={"timeout": 30})
class RagRunner:
    """Holds the embedding model and connections to PostgreSQL."""

    def __init__(self) -> None:
        from psycopg_pool import ConnectionPool

        from fvi_pipeline.platform.errors import PlatformError
        from fvi_pipeline.platform.settings import get_settings

        database_url = get_settings().database_url
        if database_url is None:
            raise PlatformError('FVI_DATABASE_URL is not set. Run `eval "$(fvi env)"`, or use `make serve`.')
        self._embedder: Embedder | None = None
        self._missing: str | None = None
        self._loaded = threading.Event()
        threading.Thread(target=self._load, name="fvi-embedder", daemon=True).start()
        # Connections are made in the background: the runner starts without PostgreSQL, too.
        self._pool = ConnectionPool(
            database_url,
            min_size=1,
            max_size=4,
            timeout=POOL_SECONDS,
            # After a restart of PostgreSQL the next request tries at once; the default waits for minutes.
            reconnect_timeout=POOL_SECONDS,
            check=ConnectionPool.check_connection,
            kwargs={"autocommit": True, "connect_timeout": 3},
            open=True,
        )

    def _load(self) -> None:
        from fvi_pipeline.evidence.embedding import EmbedderUnavailableError, load_embedder

        try:
            embedder = load_embedder()
            embedder.encode(["warm-up"])
            self._embedder = embedder
        except (EmbedderUnavailableError, ImportError) as error:
            self._missing = str(error)
            logger.warning("No passages can be searched for here: %s", error)
        finally:
            self._loaded.set()

    @bentoml.api  # type: ignore[untyped-decorator]
    def retrieve(self, query: str, k: int = 5) -> list[dict[str, Any]]:
        """Return the k passages nearest to the query, best first, as dictionaries of Passage's fields."""
        from dataclasses import asdict

        import psycopg

        from fvi_pipeline.evidence.retrieval import InvalidQueryError
        from fvi_pipeline.evidence.retrieval import retrieve as retrieve_passages

        self._loaded.wait(LOADING_SECONDS)
        if self._embedder is None:
            raise ServiceUnavailable(self._missing or "The embedding model is still being loaded.")
        try:
            with self._pool.connection() as connection:
                passages = retrieve_passages(connection, self._embedder, query, k)
        except InvalidQueryError as error:
            raise BadInput(str(error)) from error
        except psycopg.Error as error:
            raise ServiceUnavailable(f"PostgreSQL does not answer: {error}") from error
        return [asdict(passage) for passage in passages]

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        """Give the connections back."""
        self._pool.close()
