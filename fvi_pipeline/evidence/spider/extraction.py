"""The text of a wiki page: its sections and tables in Markdown, without footnote marks, references and navigation."""

from html import escape

from fvi_pipeline.evidence.cleaning import clean_text
from fvi_pipeline.evidence.reading import UnreadableDocumentError

_NOT_TEXT = [
    '//sup[contains(@class, "reference")]',
    '//ol[contains(@class, "references")]',
    '//*[contains(@class, "navbox") or contains(@class, "mw-editsection") or @id="toc" or @id="catlinks"]',
    "//style",
]
_LEAST_CHARACTERS = 40


def page_text(title: str, html: str) -> str:
    """Return the text of a page as MediaWiki renders it (the inside of a body element), in Markdown.

    Raises UnreadableDocumentError if the page says nothing.
    """
    import trafilatura

    page = f"<html><head><title>{escape(title)}</title></head><body><article>{html}</article></body></html>"
    text = trafilatura.extract(
        page,
        output_format="markdown",
        include_comments=False,
        include_tables=True,
        favor_recall=True,
        fast=True,
        prune_xpath=_NOT_TEXT,
    )
    text = clean_text(text or "")
    if len(text) < _LEAST_CHARACTERS:
        raise UnreadableDocumentError("The page holds no text.")
    return text
