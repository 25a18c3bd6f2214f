"""A local server that speaks like a MediaWiki with pages of mines: robots.txt, api.php with query and parse, redirects,
missing pages, ETags, and the troubles that a test sets.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass
class Page:
    """A page's revisions, the newest last, as rendered HTML."""

    page_id: int
    revisions: list[tuple[int, str]]


def mine_page(name: str, status: str, owner: str = "Qarmet") -> str:
    """A page of the shape of GEM's: an opening sentence, tables, sections, footnotes."""
    return f"""<div class="mw-parser-output"><p><b>{name}</b> is an {status} coal mine in Karaganda, Kazakhstan.
<sup class="reference"><a href="#cite_note-1">[1]</a></sup></p>
<h2><span class="mw-headline">Location</span></h2><p>The map below shows the location of {name} near Saran.</p>
<h2><span class="mw-headline">Project details</span></h2>
<table class="wikitable"><tr><th>Owner</th><td>{owner}</td></tr><tr><th>Mine type</th><td>Underground</td></tr></table>
<h2><span class="mw-headline">Background</span></h2><p>The mine was opened in 1955. In October 2023 a fire closed the
longwall for several months, and the owner announced a programme of degasification in the years that follow.</p>
<h2><span class="mw-headline">References</span></h2><ol class="references"><li>Footnote text of an agency</li></ol>
<div class="navbox">Navigation to all other mines</div></div>"""


@dataclass
class Trouble:
    """Answered instead of the page as often as `times` says: a status with headers, or a wait before the answer."""

    status: int = 503
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1
    wait_seconds: float = 0.0


class WikiServer(ThreadingHTTPServer):
    """Pages by title, which tests change, redirects, and every call that was made, as its parameters."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, Page] = {}
        self.redirects: dict[str, str] = {}
        self.robots: tuple[int, str] = (404, "")
        self.troubles: dict[str, Trouble] = {}  # by action, or by "parse REVISION"
        self.calls: list[dict[str, str]] = []
        self.agents: set[str] = set()
        self.answered_304 = 0
        self.lock = threading.Lock()

    @property
    def api_url(self) -> str:
        """Address of api.php."""
        return f"http://127.0.0.1:{self.server_address[1]}/w/api.php"

    def page_url(self, title: str) -> str:
        """Address of a page, as the tracker's files write it."""
        return f"http://127.0.0.1:{self.server_address[1]}/{title.replace(' ', '_')}"

    def fetched(self) -> list[int]:
        """Revisions whose text was asked for, in order."""
        return [int(call["oldid"]) for call in self.calls if call.get("action") == "parse"]


class _Handler(BaseHTTPRequestHandler):
    server: WikiServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """Answer one call."""
        parts = urlsplit(self.path)
        wiki = self.server
        wiki.agents.add(self.headers.get("User-Agent", ""))
        if parts.path == "/robots.txt":
            self._send(wiki.robots[0], wiki.robots[1].encode(), {"Content-Type": "text/plain"})
            return
        call = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with wiki.lock:
            wiki.calls.append(call)
            trouble = wiki.troubles.get(f"parse {call.get('oldid')}") or wiki.troubles.get(call["action"])
            if trouble and trouble.times > 0:
                trouble.times -= 1
            else:
                trouble = None
        if trouble:
            time.sleep(trouble.wait_seconds)
            if trouble.status != 200:
                self._send(trouble.status, b"{}", {"Content-Type": "application/json", **trouble.headers})
                return
        document = self._parse(call) if call["action"] == "parse" else self._query(call)
        body = json.dumps(document).encode()
        etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if self.headers.get("If-None-Match") == etag:
            wiki.answered_304 += 1
            self._send(304, b"", {"ETag": etag})
            return
        self._send(200, body, {"Content-Type": "application/json; charset=utf-8", "ETag": etag})

    def _query(self, call: dict[str, str]) -> dict[str, Any]:
        if call.get("meta") == "siteinfo":
            rights = {"url": "https://creativecommons.org/licenses/by-nc-sa/4.0/", "text": "CC BY-NC-SA 4.0"}
            return {"query": {"rightsinfo": rights}}
        titles = call["titles"].split("|")
        normalized = [{"from": title, "to": title[:1].upper() + title[1:]} for title in titles if title[:1].islower()]
        spelled = [title[:1].upper() + title[1:] for title in titles]
        redirects = [
            {"from": title, "to": self.server.redirects[title]} for title in spelled if title in self.server.redirects
        ]
        pages = []
        for title in dict.fromkeys(self.server.redirects.get(title, title) for title in spelled):
            page = self.server.pages.get(title)
            if page is None:
                pages.append({"title": title, "missing": True})
                continue
            revision = page.revisions[-1][0]
            written = f"2024-05-{revision % 27 + 1:02d}T10:00:00Z"
            pages.append(
                {"pageid": page.page_id, "title": title, "revisions": [{"revid": revision, "timestamp": written}]}
            )
        return {"query": {"normalized": normalized, "redirects": redirects, "pages": pages}}

    def _parse(self, call: dict[str, str]) -> dict[str, Any]:
        for title, page in self.server.pages.items():
            for revision, html in page.revisions:
                if revision == int(call["oldid"]):
                    return {"parse": {"title": title, "pageid": page.page_id, "revid": revision, "text": html}}
        return {"error": {"code": "nosuchrevid", "info": "There is no revision with that ID."}}

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def wiki_server() -> Iterator[WikiServer]:
    """A server on a free port of loopback."""
    server = WikiServer()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
