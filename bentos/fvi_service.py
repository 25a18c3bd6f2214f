"""The scoring service: ONNX Runtime in this process, features from Feast, passages from the RAG runner.

Routes, limits and errors are fvi_pipeline.serving.app's; here are only the stores that it calls.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bentoml
from bentoml.exceptions import BentoMLException
from starlette.types import Receive, Scope, Send

from bentos.rag_service import RagRunner
from fvi_pipeline.platform.database import with_search_path
from fvi_pipeline.serving.app import create_app
from fvi_pipeline.serving.backends import Backends
from fvi_pipeline.serving.call_meter import CallMeter
from fvi_pipeline.serving.contract import RetrieveRequest
from fvi_pipeline.serving.edge import Edge
from fvi_pipeline.serving.errors import InvalidRequestError, StoreUnavailableError
from fvi_pipeline.serving.guard import GuardState
from fvi_pipeline.serving.log_entry import NoLog

if TYPE_CHECKING:
    from fvi_pipeline.platform.settings import Settings
    from fvi_pipeline.serving.arms import ServedModel
    from fvi_pipeline.serving.backends import ChatEvents
    from fvi_pipeline.serving.board import ChampionBoard
    from fvi_pipeline.serving.contract import ChatRequest
    from fvi_pipeline.serving.history import History
    from fvi_pipeline.serving.scorer import Scorer
    from fvi_pipeline.serving.shadow import Shadow
    from fvi_pipeline.serving.warmer import Warmer

RETRY_SECONDS = 2.0
_GC_THRESHOLDS = (20_000, 20, 1_000)
LIMITS_SECONDS = 0.05

logger = logging.getLogger("bentoml.fvi")
app = create_app(docs_assets=Path(bentoml.__file__).parent / "_internal" / "server" / "static_content")
guard = GuardState()
meter = CallMeter(NoLog())


async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
    """The application for BentoML, which would match every route of a Starlette object a second time."""
    await app(scope, receive, send)


def _tracking_uri(settings: Settings) -> str:
    """Where the registry is: the pipeline's own is a schema of the warehouse."""
    return settings.mlflow_tracking_uri or with_search_path(str(settings.database_url), "mlflow")


def _newest_year(settings: Settings, history: History, champion: ServedModel) -> int | None:
    """The as-of year of now, noted in the online store too if it was filled by code that did not."""
    import redis

    from fvi_pipeline.serving.cache import settle
    from fvi_pipeline.serving.feature_reader import blocking_read

    try:
        newest = history.newest_score()
        if newest is None:
            return None
        year, mine_id = newest
        with redis.Redis.from_url(str(settings.redis_url), socket_timeout=1, socket_connect_timeout=1) as client:
            # one that lost what it held stays without a version: what it lacks is asked of the warehouse
            if blocking_read(client, champion, [mine_id]) != [None]:
                settle(client, year)
    except (StoreUnavailableError, redis.RedisError) as error:
        logger.warning("The online store is taken as it is: %s", error)
        return None
    return year


# No access log, whose line is written before the answer goes out: what was answered is in ops.predictions, and who was
# refused in the audit log.
@bentoml.service(
    name="fvi",
    workers=1,
    traffic={"timeout": 30},
    logging={"access": {"enabled": False}},
)
@bentoml.asgi_app(mounted, path="/")
class FviService:
    """Scores mines. Starts without its stores and is ready as soon as they answer."""

    model = bentoml.models.BentoModel("fvi_viability:latest")
    rag = bentoml.depends(RagRunner)

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._board: ChampionBoard | None = None
        self._shadow: Shadow | None = None
        self._warmer: Warmer | None = None
        self._warming: asyncio.Task[None] | None = None
        self._open_guard()
        if not self._connect():
            threading.Thread(target=self._connect_until_ready, daemon=True).start()

    def _open_guard(self) -> None:
        """Let callers in as the settings say; a setting that cannot be used stops the start."""
        from fvi_pipeline.platform.errors import PlatformError
        from fvi_pipeline.platform.settings import get_settings
        from fvi_pipeline.platform.tls import redis_tls
        from fvi_pipeline.serving.audit import AuditLog
        from fvi_pipeline.serving.gate import gate_of
        from fvi_pipeline.serving.prediction_log import WarehouseLog
        from fvi_pipeline.serving.redis_link import RedisLink

        settings = get_settings()
        if settings.database_url is None or settings.redis_url is None:
            raise PlatformError(
                'FVI_DATABASE_URL or FVI_REDIS_URL is not set. Run `eval "$(fvi env)"`, or use `make serve`.'
            )
        tls = redis_tls(settings.redis_url)
        self._audit = AuditLog(settings.database_url)
        self._log = WarehouseLog(settings.database_url, settings.prediction_log_rows, self._note_lost)
        meter.log = self._log
        # A connection of its own: what limits callers shares no queue with what answers them, and is waited for less.
        limits = RedisLink(settings.redis_url, tls, reply_seconds=LIMITS_SECONDS)
        guard.open(gate_of(settings, limits, self._audit))
        self._link = RedisLink(settings.redis_url, tls)

    def _note_lost(self, entries: int) -> None:
        from fvi_pipeline.serving.metrics import count_lost

        count_lost(entries)
        self._audit.note("log_lost", details={"rows": entries})

    def _connect(self) -> bool:
        """Open the stores and let the routes answer; False when a store is down."""
        from fvi_pipeline.platform.settings import get_settings
        from fvi_pipeline.serving.cache import AnswerCache
        from fvi_pipeline.serving.feature_reader import OnlineReader
        from fvi_pipeline.serving.feedback import FeedbackStore
        from fvi_pipeline.serving.health import HealthDesk
        from fvi_pipeline.serving.history import History
        from fvi_pipeline.serving.offline_reader import PostgresReader
        from fvi_pipeline.serving.phrases import read_phrases
        from fvi_pipeline.serving.predictor import Predictor
        from fvi_pipeline.serving.scorer import Scorer
        from fvi_pipeline.serving.standing_note import registry_source
        from fvi_pipeline.serving.warmer import Warmer
        from fvi_pipeline.serving.weights import read_weights

        settings = get_settings()
        database_url = str(settings.database_url)
        link, scorer = self._link, Scorer(self._link)
        history = History(database_url)
        try:
            board = self._board = self._open_board(settings, scorer)
        except StoreUnavailableError as error:
            logger.warning("Not ready: %s", error)
            return False
        shadow = self._shadow = self._open_shadow(settings, board)
        predictor = Predictor(
            board,
            OnlineReader(link),
            scorer,
            cache=AnswerCache(link, settings.cache_seconds),
            fallback=PostgresReader(database_url),
            past=history.answer,
            newest_year=_newest_year(settings, history, board.standing.champion),
            phrasebook=read_phrases(Path(self.model.path)),
        )
        self._warmer = Warmer(
            predictor, board, link, maximum=settings.cache_warm_answers, seconds=settings.cache_seconds
        )
        # What is loaded by now lives as long as the process: a full collection would stop requests for
        # some 100 ms to look at it.
        gc.collect()
        gc.freeze()
        # BentoML leaves a timer of 30 s behind each request: to look at all of them every few seconds takes longer
        # than a request may
        gc.set_threshold(*_GC_THRESHOLDS)
        app.state.backends = Backends(
            predictor=predictor,
            board=board,
            retrieve=self._retrieve,
            weights=lambda: read_weights(link),
            weight_history=history.weights,
            log=meter,
            shadow=shadow,
            health=HealthDesk(board, meter, registry_source(_tracking_uri(settings)), database_url),
            feedback=FeedbackStore(database_url, self._log),
            asked=self._warmer,
            chat=self._chat,
        )
        board.start()
        return True

    def _open_board(self, settings: Settings, scorer: Scorer) -> ChampionBoard:
        """Load the champion, and whoever is asked beside it. Raises StoreUnavailableError."""
        import redis

        from fvi_pipeline.model.scoring import ONNX_FILE
        from fvi_pipeline.serving.board import ChampionBoard
        from fvi_pipeline.serving.feature_reader import FeatureLayouts
        from fvi_pipeline.serving.model_files import ModelShelf
        from fvi_pipeline.serving.standing_note import RedisNote, VersionRef, registry_source

        packed = Path(self.model.path)
        sha256 = hashlib.sha256((packed / ONNX_FILE).read_bytes()).hexdigest()
        note = RedisNote(redis.Redis.from_url(str(settings.redis_url), socket_timeout=1, socket_connect_timeout=1))
        sources = [registry_source(_tracking_uri(settings)), note] if settings.served_model == "champion" else []
        board = ChampionBoard(
            FeatureLayouts(settings.feature_repo_dir / "feature_store.yaml"),
            ModelShelf(settings.home / "serving" / "models"),
            [source for source in sources if source is not None],
            VersionRef(str(self.model.info.metadata["version"]), sha256, packed.as_uri()),
            packed.parent,
            share=settings.challenger_share,
            mode=settings.challenger_mode,
            warm_up=lambda served: self._warm_up(scorer, served),
        )
        # as after the start; without a collection, which would stop requests
        board.on_change = lambda _: gc.freeze()
        return board

    def _warm_up(self, scorer: Scorer, served: ServedModel) -> None:
        """Run the whole way of a model once; behind the start, which the import of LightGBM would hold up for a second.

        Scores, and reasons that are stored, need nothing of it.
        """

        def warm() -> None:
            scorer.warm_up(served)
            gc.freeze()

        if self._board is None:
            threading.Thread(target=warm, name="fvi-warm-up", daemon=True).start()
        else:
            scorer.warm_up(served)

    def _open_shadow(self, settings: Settings, board: ChampionBoard) -> Shadow | None:
        """Start what scores unseen, if that is asked for."""
        import redis

        from fvi_pipeline.serving.feature_reader import blocking_read
        from fvi_pipeline.serving.shadow import Shadow

        if settings.challenger_mode != "shadow" or settings.challenger_share <= 0:
            return None
        client = redis.Redis.from_url(str(settings.redis_url), socket_timeout=1, socket_connect_timeout=1)
        shadow = Shadow(board, lambda served, mine_ids: blocking_read(client, served, mine_ids), meter)
        shadow.start()
        return shadow

    def _connect_until_ready(self) -> None:
        while not self._stopping.wait(RETRY_SECONDS):
            if self._connect():
                return

    async def _retrieve(self, request: RetrieveRequest) -> list[dict[str, Any]]:
        import aiohttp

        try:
            passages: list[dict[str, Any]] = await self.rag.to_async.retrieve(**request.model_dump())
        except BentoMLException as error:
            if error.error_code == 400:
                raise InvalidRequestError("The query cannot be searched for.") from error
            raise StoreUnavailableError("The evidence store does not answer: ask again later.") from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise StoreUnavailableError("The RAG runner does not answer: ask again in a moment.") from error
        return passages

    async def _chat(self, question: ChatRequest, client: str, request_id: str | None) -> ChatEvents:
        import aiohttp

        try:
            events = self.rag.to_async.chat(
                message=question.message,
                mine_id=question.mine_id,
                conversation_id=question.conversation_id,
                client=client,
                answer_id=request_id,
            )
            async for event in events:
                yield event
        except (BentoMLException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise StoreUnavailableError("The RAG runner does not answer: ask again in a moment.") from error

    def __is_ready__(self) -> bool:
        """Answer /readyz: there is a model, and a store to ask; without Redis that is the warehouse."""
        return app.state.backends is not None

    @bentoml.on_startup  # type: ignore[untyped-decorator]  # BentoML's have no types
    async def open_link(self) -> None:
        """Connect to Redis, in the loop that answers."""
        await self._link.start()
        self._warming = asyncio.get_running_loop().create_task(self._keep_warm())

    async def _keep_warm(self) -> None:
        while self._warmer is None:
            await asyncio.sleep(RETRY_SECONDS)
        await self._warmer.run()

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]  # BentoML's have no types
    def close(self) -> None:
        """Stop waiting for stores, and write what waits for the warehouse."""
        self._stopping.set()
        if self._warming is not None:
            self._warming.cancel()
        for part in (self._board, self._shadow):
            if part is not None:
                part.close()
        self._log.close()
        self._audit.close()  # last: it takes note of what the log has lost


_service: Any = FviService
_plain_asgi = type(_service).to_asgi


def _to_asgi(service: Any, is_main: bool = True) -> Edge:
    """The application that a worker runs: BentoML's own middlewares would stand before any that is added to them."""
    return Edge(app, _plain_asgi(service, is_main), guard, meter)


# the decorators make a plain Service, and take no class of ours
_service.__class__ = type("EdgedService", (type(_service),), {"__slots__": (), "to_asgi": _to_asgi})
