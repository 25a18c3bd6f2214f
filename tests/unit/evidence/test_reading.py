"""Text comes out of Markdown, text and PDF; everything else is refused with a reason."""

import io

import pytest

from fvi_pipeline.evidence.reading import UnreadableDocumentError, read_document


def blank_pdf(password: str | None = None) -> bytes:
    from pypdf import PdfWriter

    writer = PdfWriter()
    writer.add_blank_page(width=200, height=200)
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    buffer = io.BytesIO()
    writer.write(buffer)
    return buffer.getvalue()


def pdf_with_text(text: str) -> bytes:
    """A one-page PDF in the plainest form of the format: Helvetica, no compression."""
    stream = f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 200] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    content, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, start=1):
        offsets.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return content + (
        b"xref\n0 6\n0000000000 65535 f \n%strailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (table, len(content))
    )


def test_a_markdown_heading_is_the_title():
    document = read_document("documents/a-mine.md", b"\xef\xbb\xbf# Bailey mine\n\nLongwall.\r\n")
    assert document.title == "Bailey mine"
    assert document.text == "# Bailey mine\n\nLongwall."


def test_without_a_heading_the_name_is_the_title():
    assert read_document("documents/coal_outlook-2020.txt", "Überblick".encode()).title == "coal outlook 2020"


def test_text_of_a_pdf():
    document = read_document("documents/report.pdf", pdf_with_text("Seam four is exhausted"))
    assert document.text == "Seam four is exhausted"


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("documents/a.docx", b"PK", ".docx"),
        ("documents/noise", b"abc", "no suffix"),
        ("documents/a.txt", b" \n", "empty"),
        ("documents/a.txt", b"abc\x00\x01", "binary"),
        ("documents/a.md", b"caf\xe9", "UTF-8"),
        ("documents/a.pdf", b"<html>not found</html>", "not a PDF"),
        ("documents/a.pdf", b"%PDF-1.7\ngarbage", "broken"),
        ("documents/a.pdf", blank_pdf(), "no text"),
        ("documents/a.pdf", blank_pdf("secret"), "encrypted"),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else value,  # an encrypted PDF is another one every time
)
def test_unreadable_files_say_why(name, content, reason):
    with pytest.raises(UnreadableDocumentError, match=reason):
        read_document(name, content)
