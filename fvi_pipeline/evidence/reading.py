"""Reading the text out of one document file.

Bytes in, title, text and date out, or an UnreadableDocumentError that says why not. Nothing here knows of the
database or of chunks; what makes a text fit to be cut is in `cleaning`.
"""

import io
import re
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from fvi_pipeline.evidence.cleaning import clean_text, join_pages
from fvi_pipeline.evidence.dates import stated_date

MARKDOWN_SUFFIXES = frozenset({".md", ".markdown"})
TEXT_SUFFIXES = MARKDOWN_SUFFIXES | {".txt", ".text"}
PDF_SUFFIXES = frozenset({".pdf"})
HTML_SUFFIXES = frozenset({".html", ".htm", ".xhtml"})
MAXIMUM_BYTES = 20_000_000
MAXIMUM_CHARACTERS = 5_000_000
MAXIMUM_PAGES = 3_000
_SHARE_OF_CONTROL_CHARACTERS = 0.02

_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)
_FRONT_MATTER = re.compile(r"\A---\n(.*?\n)---\n", re.DOTALL)


class UnreadableDocumentError(ValueError):
    """The file holds no text that can be taken in; the message is the reason given in the ledger."""


@dataclass(frozen=True)
class DocumentText:
    """The title and the text of one document file, and the date that it gives itself."""

    title: str
    text: str
    document_date: date | None = None


def read_document(name: str, content: bytes) -> DocumentText:
    """Return the text of a Markdown, plain text, HTML or PDF file; headings of HTML become Markdown's.

    `name` is the file's path; its suffix decides how the bytes are read. Raises
    UnreadableDocumentError for another kind of file and for an empty, huge, binary, encrypted or
    broken one.
    """
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix not in TEXT_SUFFIXES | PDF_SUFFIXES | HTML_SUFFIXES:
        raise UnreadableDocumentError(
            f"Documents of kind {suffix or '(no suffix)'} are not read: give Markdown, text, HTML or PDF."
        )
    if not content.strip():
        raise UnreadableDocumentError("The file is empty.")
    if len(content) > MAXIMUM_BYTES:
        raise UnreadableDocumentError(f"The file has {len(content):,} bytes, more than {MAXIMUM_BYTES:,}: split it.")
    if suffix in PDF_SUFFIXES:
        title, text, dated = _read_pdf(content)
    elif suffix in HTML_SUFFIXES:
        title, text, dated = read_html(content)
    else:
        title, text, dated = _read_text(content, suffix in MARKDOWN_SUFFIXES)
    text = clean_text(text)
    if not text:
        raise UnreadableDocumentError("The file holds no text (a scanned PDF has to be recognised first).")
    if len(text) > MAXIMUM_CHARACTERS:
        raise UnreadableDocumentError(
            f"The text has {len(text):,} characters, more than {MAXIMUM_CHARACTERS:,}: split it."
        )
    title = clean_text(title or "") or path.stem.replace("_", " ").replace("-", " ").strip()
    return DocumentText(title, text, dated or stated_date(text))


def _read_text(content: bytes, is_markdown: bool) -> tuple[str | None, str, date | None]:
    text = _decode(content).replace("\r\n", "\n")
    if not is_markdown:
        return None, text, None
    dated = None
    front_matter = _FRONT_MATTER.match(text)
    if front_matter:
        dated = stated_date(front_matter.group(1))
        text = text[front_matter.end() :]
    heading = _HEADING.search(text)
    return (heading.group(1) if heading else None), text, dated


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in content:
        raise UnreadableDocumentError("The file is binary, not text.")
    else:
        encoding = "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError(
            f"The text is not {encoding.upper()} (byte {error.start}): save it as UTF-8."
        ) from error
    controls = sum(character < " " and character not in "\n\r\t\f" for character in text)
    if controls > _SHARE_OF_CONTROL_CHARACTERS * len(text):
        raise UnreadableDocumentError("The file is binary, not text.")
    return text


def read_html(content: bytes | str) -> tuple[str | None, str, date | None]:
    """Return the title, the main text as Markdown, and the date of a web page.

    Menus, footers and the like are left out. Raises UnreadableDocumentError for what is not HTML.
    """
    import trafilatura

    if isinstance(content, bytes) and b"<" not in content[:4_096]:
        raise UnreadableDocumentError("The file is not HTML, whatever its suffix says.")
    tree = trafilatura.load_html(content)
    if tree is None:
        raise UnreadableDocumentError("The HTML is broken: it has no elements.")
    metadata = trafilatura.extract_metadata(tree)
    # without the fallback, which may give another answer when it takes long
    text = trafilatura.extract(
        tree, output_format="markdown", include_comments=False, include_tables=True, favor_recall=True, fast=True
    )
    text = text or trafilatura.html2txt(content)
    title = metadata.title if metadata else None
    dated = date.fromisoformat(metadata.date) if metadata and metadata.date else None
    return title, text or "", dated


def _read_pdf(content: bytes) -> tuple[str | None, str, date | None]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    if not content.lstrip().startswith(b"%PDF-"):
        raise UnreadableDocumentError("The file is not a PDF, whatever its suffix says.")
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted:
            raise UnreadableDocumentError("The PDF is encrypted.")
        if len(reader.pages) > MAXIMUM_PAGES:
            raise UnreadableDocumentError(f"The PDF has {len(reader.pages):,} pages, more than {MAXIMUM_PAGES:,}.")
        title = reader.metadata.title if reader.metadata else None
        created = reader.metadata.creation_date if reader.metadata else None
        text = join_pages([page.extract_text() for page in reader.pages])
        return title, text, created.date() if created else None
    # pypdf lets errors of Python itself out for some broken files.
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        if isinstance(error, UnreadableDocumentError):
            raise
        raise UnreadableDocumentError(f"The PDF is broken: {error}") from error
