"""Reading the text out of one document file.

Bytes in, title and text out, or an UnreadableDocumentError that says why not. Nothing here knows of
the database or of chunks.
"""

import io
import re
from dataclasses import dataclass
from pathlib import PurePosixPath

TEXT_SUFFIXES = frozenset({".md", ".markdown", ".txt", ".text"})
PDF_SUFFIXES = frozenset({".pdf"})
MAXIMUM_BYTES = 20_000_000

_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.+?)\s*#*\s*$", re.MULTILINE)


class UnreadableDocumentError(ValueError):
    """The file holds no text that can be taken in; the message is the reason given in the ledger."""


@dataclass(frozen=True)
class DocumentText:
    """The title and the text of one document file."""

    title: str
    text: str


def read_document(name: str, content: bytes) -> DocumentText:
    """Return the text of a Markdown, plain text or PDF file.

    `name` is the file's path; its suffix decides how the bytes are read. Raises
    UnreadableDocumentError for another kind of file and for an empty, huge, binary, encrypted or
    broken one.
    """
    path = PurePosixPath(name)
    suffix = path.suffix.lower()
    if suffix not in TEXT_SUFFIXES | PDF_SUFFIXES:
        raise UnreadableDocumentError(
            f"Documents of kind {suffix or '(no suffix)'} are not read: give Markdown, text or PDF."
        )
    if not content.strip():
        raise UnreadableDocumentError("The file is empty.")
    if len(content) > MAXIMUM_BYTES:
        raise UnreadableDocumentError(f"The file has {len(content):,} bytes, more than {MAXIMUM_BYTES:,}: split it.")
    if suffix in PDF_SUFFIXES:
        title, text = _read_pdf(content)
    else:
        text = _decode(content)
        heading = _HEADING.search(text) if suffix in {".md", ".markdown"} else None
        title = heading.group(1) if heading else None
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise UnreadableDocumentError("The file holds no text (a scanned PDF has to be recognised first).")
    return DocumentText(title=(title or path.stem.replace("_", " ").replace("-", " ")).strip(), text=text)


def _decode(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif b"\x00" in content:
        raise UnreadableDocumentError("The file is binary, not text.")
    else:
        encoding = "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableDocumentError(
            f"The text is not {encoding.upper()} (byte {error.start}): save it as UTF-8."
        ) from error


def _read_pdf(content: bytes) -> tuple[str | None, str]:
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    if not content.lstrip().startswith(b"%PDF-"):
        raise UnreadableDocumentError("The file is not a PDF, whatever its suffix says.")
    try:
        reader = PdfReader(io.BytesIO(content))
        if reader.is_encrypted:
            raise UnreadableDocumentError("The PDF is encrypted.")
        title = reader.metadata.title if reader.metadata else None
        return title, "\n\n".join(page.extract_text() for page in reader.pages)
    # pypdf lets errors of Python itself out for some broken files.
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        if isinstance(error, UnreadableDocumentError):
            raise
        raise UnreadableDocumentError(f"The PDF is broken: {error}") from error
