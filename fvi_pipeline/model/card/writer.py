"""The language model that the settings name. Asking it belongs to `summary`."""

from __future__ import annotations

from fvi_pipeline.model.card.summary import Writer
from fvi_pipeline.platform.settings import Settings


def configured_writer(settings: Settings) -> Writer | None:
    """Whom to ask for a card's summary; None without a key."""
    if settings.openai_api_key is None:
        return None
    return Writer(settings.openai_api_key.get_secret_value(), settings.openai_base_url, settings.llm_model)
