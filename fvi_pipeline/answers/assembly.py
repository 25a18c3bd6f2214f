"""The answerer that the settings describe. Reading settings belongs to `platform.settings`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from fvi_pipeline.answers.answer_log import AnswerLog
from fvi_pipeline.answers.budgets import PRICES, Budgets
from fvi_pipeline.answers.conversation import Conversations
from fvi_pipeline.answers.generating import Writing
from fvi_pipeline.answers.otlp import OtlpExporter, headers_of
from fvi_pipeline.answers.passages import Connections, SearchedPassages
from fvi_pipeline.answers.service import Answerer, Completed
from fvi_pipeline.answers.variants import DEFAULT, Variant
from fvi_pipeline.evidence.embedding import EmbedderUnavailableError
from fvi_pipeline.evidence.retrieval import Searcher, open_searcher
from fvi_pipeline.platform.settings import Settings

logger = logging.getLogger(__name__)
_REDIS_SECONDS = 0.25
_NO_KEY = "none"


def answerer(
    settings: Settings,
    connections: Connections,
    searcher: Callable[[], Searcher | None],
    redis_url: str | None = None,
    on_complete: Callable[[Completed], None] | None = None,
) -> Answerer:
    """An answerer on these connections; with a model if a key or a server of one is set.

    `searcher` gives one whose embedding model is loaded; None while there is none: words are searched for then.
    """
    client = None
    if redis_url is not None:
        client = _redis(redis_url)
    return Answerer(
        connections,
        SearchedPassages(connections, searcher),
        writing=writing(settings, client),
        conversations=Conversations(client),
        variants=variants(settings),
        on_complete=on_complete,
    )


def searcher_once(settings: Settings, connections: Connections) -> Callable[[], Searcher | None]:
    """A searcher that is loaded when it is first asked for; None where there is no embedding model."""

    @cache
    def opened() -> Searcher | None:
        try:
            with connections() as connection:
                return open_searcher(connection, settings.embedding_model, settings.embedding_exports_dir)
        except (EmbedderUnavailableError, ImportError) as error:
            logger.warning("Documents are searched by words alone: %s", error)
            return None

    return opened


def _redis(url: str) -> Any:
    """A client that gives up at once: an answer does not wait for its history."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    return redis.Redis.from_url(
        url, socket_timeout=_REDIS_SECONDS, socket_connect_timeout=_REDIS_SECONDS, retry=Retry(NoBackoff(), 0)
    )


def answer_log(settings: Settings, database_url: str) -> AnswerLog:
    """Where answers are kept, and their traces sent to if the settings name a collector."""
    exporter = None
    if settings.otlp_traces_endpoint is not None:
        secret = settings.otlp_headers
        headers = headers_of(None if secret is None else secret.get_secret_value())
        exporter = OtlpExporter(settings.otlp_traces_endpoint, headers, with_texts=settings.trace_texts)
    return AnswerLog(database_url, exporter)


def writing(settings: Settings, redis_client: Any = None) -> Writing | None:
    """The model of the settings with its budgets; None without a key and without a server."""
    if settings.openai_api_key is None and settings.openai_base_url is None:
        return None
    from fvi_pipeline.answers.generator import OpenAiGenerator

    key = _NO_KEY if settings.openai_api_key is None else settings.openai_api_key.get_secret_value()
    prices = {**PRICES, **(settings.llm_prices or {})}
    budgets = Budgets(redis_client, settings.llm_tokens_per_day, settings.llm_dollars_per_day, prices)
    return Writing(OpenAiGenerator(settings.llm_model, key, settings.openai_base_url), budgets)


def variants(settings: Settings) -> tuple[Variant, ...]:
    """The variants of the settings; raises pydantic.ValidationError when they cannot be read."""
    if settings.answer_variants is None:
        return (DEFAULT,)
    return tuple(TypeAdapter(list[Variant]).validate_json(settings.answer_variants)) or (DEFAULT,)
