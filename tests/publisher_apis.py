"""A local server that speaks like the publishers' APIs: EIA v2, World Bank v2, UN Comtrade and IMF DataMapper, with
their paging, keys and errors.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from fvi_pipeline.feeds.api.description import Paging
from fvi_pipeline.feeds.catalogue.apis import (
    EIA_API_COAL_PRICES,
    EIA_API_MINE_PRODUCTION,
    IMF_OUTLOOK,
    UN_COMTRADE_COAL,
    WORLD_BANK_INDICATORS,
)
from fvi_pipeline.feeds.description import Feed

EIA_KEY = "0123456789abcdef/+EIA"
COMTRADE_KEY = "fedcba9876543210comtrade"
KEYS = {"FVI_EIA_API_KEY": EIA_KEY, "FVI_COMTRADE_API_KEY": COMTRADE_KEY}
GDP, RENTS, COAL_POWER = "NY.GDP.PCAP.CD", "NY.GDP.COAL.RT.ZS", "EG.ELC.COAL.ZS"
_PLACES = {
    EIA_API_MINE_PRODUCTION.name: "/eia/v2",
    EIA_API_COAL_PRICES.name: "/eia/v2",
    WORLD_BANK_INDICATORS.name: "/world-bank/v2",
    UN_COMTRADE_COAL.name: "/comtrade",
    IMF_OUTLOOK.name: "/imf/api/v1",
}
Reply = tuple[int, dict[str, str], bytes]


def json_reply(document: Any, status: int = 200, **headers: str) -> Reply:
    """A reply with a JSON body."""
    return status, {"Content-Type": "application/json", **headers}, json.dumps(document).encode()


class PublisherApis(ThreadingHTTPServer):
    """The publishers' data, which tests change, and what was asked. `troubles` (by path) are answered first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.mines: list[dict[str, Any]] = [
            mine(2013, "0100347", "56004"),
            mine(2013, "4801353", "111005549"),
            mine(2013, "0103381", None),
            mine(2014, "0100347", "900"),
        ]
        self.prices: list[dict[str, Any]] = [price(2013, "WY", "13.96"), price(2013, "AK", "w")]
        self.updated = "2025-07-01"
        self.indicators: dict[str, list[dict[str, Any]]] = {
            GDP: [indicator(GDP, "POL", "Poland", year, value) for year, value in ((2019, 15699.9), (2018, 15504.5))],
            RENTS: [indicator(RENTS, "POL", "Poland", 2019, 0.41), indicator(RENTS, "POL", "Poland", 2018, None)],
            COAL_POWER: [indicator(COAL_POWER, "WLD", "World", 2015, 39.1)],
        }
        self.trade: dict[str, list[dict[str, Any]]] = {"2019": [trade(2019, "M", 1.5e9), trade(2019, "X", 2.5e8)]}
        self.outlook: dict[str, dict[str, dict[str, Any]]] = {
            "NGDP_RPCH": {"POL": {"2019": 4.5, "2020": -2, "2031": 2.7}, "WEOWORLD": {"2019": 2.9}},
            "PCPIPCH": {"POL": {"2019": 2.2}},
        }
        self.validator: str | None = None
        """`ETag` or `Last-Modified`, if the server is to recognise its answers by it."""
        self.troubles: dict[str, list[Reply]] = {}
        self.asked: list[str] = []
        self.unchanged_answers = 0

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.server_port}"

    def feed(self, feed: Feed, paging: Paging | None = None) -> Feed:
        """The feed with this server for its publisher, unhurried, and with smaller pages if a test wants them."""
        assert feed.api is not None
        api = replace(
            feed.api,
            address=self.url + _PLACES[feed.name],
            calls_per_second=10_000,
            paging=paging or feed.api.paging,
        )
        return replace(feed, api=api, downloads=(), manual_download=None)

    def reply(self, target: str, key: str | None) -> Reply:
        """What is answered to a request."""
        parsed = urlsplit(target)
        trouble = self.troubles.get(parsed.path)
        if trouble:
            return trouble.pop(0)
        query = {name: values[-1] for name, values in parse_qs(parsed.query).items()}
        if parsed.path.startswith("/eia/v2/"):
            return self._eia(parsed.path.removeprefix("/eia"), query)
        if parsed.path.startswith("/world-bank/v2/"):
            return self._world_bank(parsed.path.rsplit("/", 1)[1], query)
        if parsed.path == "/comtrade/data/v1/get/C/A/HS":
            return self._comtrade(query, key)
        if parsed.path.startswith("/imf/api/v1/"):
            code = parsed.path.rsplit("/", 1)[1]
            about = {"version": "1", "output-method": "json"}
            held = {"values": {code: self.outlook[code]}} if code in self.outlook else {}
            return json_reply({**held, "api": about})
        return 404, {"Content-Type": "text/html"}, b"<html>no such page</html>"

    def _eia(self, command: str, query: dict[str, str]) -> Reply:
        if "api_key" not in query:
            text = "No api_key was supplied.  Please register for one at https://www.eia.gov/opendata/register.php"
            return json_reply({"error": {"code": "API_KEY_MISSING", "message": text}}, 403)
        if query["api_key"] != EIA_KEY:
            text = f"The API key {query['api_key']} is not known."
            return json_reply({"error": {"code": "API_KEY_INVALID", "message": text}}, 403)
        tables = {"/v2/coal/mine-production/data/": self.mines, "/v2/coal/price-by-rank/data/": self.prices}
        if command not in tables:
            return json_reply({"error": "Not found.", "code": 404}, 404)
        if query["frequency"] != "annual":
            text = f"Invalid frequency '{query['frequency']}' provided. The only valid frequency is 'annual'."
            return json_reply({"error": text, "code": 400}, 400)
        wanted = {column for name, column in query.items() if name.startswith("data[")}
        measures = {"production", "average-employees", "labor-hours", "price"}
        dropped = {name for measure in measures - wanted for name in (measure, f"{measure}-units")}
        rows = [
            {name: value for name, value in row.items() if name not in dropped}
            for row in sorted(tables[command], key=lambda row: str(row["period"]))
            if query.get("start", "0") <= row["period"] <= query.get("end", "9999")
        ]
        first, length = int(query["offset"]), min(int(query["length"]), 5_000)
        response = {"total": str(len(rows)), "dateFormat": "YYYY", "frequency": "annual"}
        # the publisher repeats the request, the key included
        request = {"command": command, "params": query}
        page = {**response, "data": rows[first : first + length]}
        return json_reply({"response": page, "request": request, "apiVersion": "2.1.12"})

    def _world_bank(self, code: str, query: dict[str, str]) -> Reply:
        if code not in self.indicators:
            said = {"id": "120", "key": "Invalid value", "value": "The provided parameter value is not valid"}
            return json_reply([{"message": [said]}])
        rows, size, number = self.indicators[code], int(query["per_page"]), int(query["page"])
        if not rows:
            return json_reply([{"page": 0, "pages": 0, "per_page": 0, "total": 0, "lastupdated": None}, None])
        pages = -(-len(rows) // size)
        about = {"page": number, "pages": pages, "per_page": str(size), "total": len(rows), "sourceid": "2"}
        return json_reply([{**about, "lastupdated": self.updated}, rows[(number - 1) * size : number * size]])

    def _comtrade(self, query: dict[str, str], key: str | None) -> Reply:
        if key != COMTRADE_KEY:
            text = f"Access denied due to {'invalid' if key else 'missing'} subscription key."
            return json_reply({"statusCode": 401, "message": text}, 401)
        if "," in query["period"]:
            return json_reply({"elapsedTime": "0.01 secs", "count": 0, "data": [], "error": "One period at a time."})
        rows = self.trade.get(query["period"], [])
        return json_reply({"elapsedTime": "0.07 secs", "count": len(rows), "data": rows, "error": ""})


class _Handler(BaseHTTPRequestHandler):
    server: PublisherApis

    def do_HEAD(self) -> None:
        self._send(404, {}, b"")

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        status, headers, body = self.server.reply(self.path, self.headers.get("Ocp-Apim-Subscription-Key"))
        if status == 200 and self.server.validator:
            digest = hashlib.sha256(body)
            day = formatdate(int(digest.hexdigest()[:7], 16), usegmt=True)
            value, asks = {
                "ETag": (f'"{digest.hexdigest()[:16]}"', "If-None-Match"),
                "Last-Modified": (day, "If-Modified-Since"),
            }[self.server.validator]
            headers = {**headers, self.server.validator: value}
            if self.headers.get(asks) == value:
                self.server.unchanged_answers += 1
                status, body = 304, b""
        self._send(status, headers, body)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def publisher_apis() -> Iterator[PublisherApis]:
    """The server, for the time of a test."""
    with PublisherApis() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def loopback_client() -> httpx.Client:
    """A client without the environment's proxies, which have no part in a server on loopback."""
    return httpx.Client(trust_env=False, timeout=5, follow_redirects=True)


def mine(year: int, msha_id: str, production: str | None, **other: Any) -> dict[str, Any]:
    """A row of EIA's route coal/mine-production."""
    return {
        "period": str(year),
        "mineMSHAId": msha_id,
        "mineName": "Oak",
        "stateRegionId": "AL",
        "stateRegionDescription": "Alabama",
        "mineStatusId": "ACT",
        "mineStatusDescription": "Active",
        "mineTypeId": "U",
        "mineTypeDescription": "Underground",
        "coalRankId": "BIT",
        "coalRankDescription": "Bituminous",
        "operating-company": "Jesse Creek Mining, Llc",
        "latitude": "33.4",
        "longitude": "-87.1",
        "refuse-flag": None,
        "production": production,
        "average-employees": "10",
        "labor-hours": "22392",
        "production-units": "short tons",
        "average-employees-units": "number of employees",
        "labor-hours-units": "hours",
        **other,
    }


def price(year: int, region: str, usd: str) -> dict[str, Any]:
    """A row of EIA's route coal/price-by-rank."""
    return {
        "period": str(year),
        "stateRegionId": region,
        "stateRegionDescription": {"WY": "Wyoming", "AK": "Alaska"}[region],
        "coalRankId": "TOT",
        "coalRankDescription": "Total",
        "price": usd,
        "price-units": "dollars per short ton",
    }


def indicator(code: str, iso3: str, country: str, year: int, value: float | None) -> dict[str, Any]:
    """A row of the World Bank's answer."""
    return {
        "indicator": {"id": code, "value": f"{code} in words"},
        "country": {"id": iso3[:2], "value": country},
        "countryiso3code": iso3,
        "date": str(year),
        "value": value,
        "unit": "",
        "obs_status": "",
        "decimal": 1,
    }


def trade(year: int, flow: str, usd: float, **other: Any) -> dict[str, Any]:
    """A row of UN Comtrade's answer."""
    return {
        "typeCode": "C",
        "freqCode": "A",
        "refPeriodId": year * 10_000 + 101,
        "refYear": year,
        "refMonth": 52,
        "period": str(year),
        "reporterCode": 616,
        "reporterISO": "POL",
        "reporterDesc": "Poland",
        "flowCode": flow,
        "flowDesc": {"M": "Import", "X": "Export"}.get(flow, "Re-export"),
        "partnerCode": 0,
        "partnerISO": "W00",
        "partnerDesc": "World",
        "cmdCode": "2701",
        "cmdDesc": "Coal; briquettes, ovoids and similar solid fuels manufactured from coal",
        "customsCode": "C00",
        "motCode": 0,
        "netWgt": 16_700_000_000.0,
        "isNetWgtEstimated": False,
        "cifvalue": usd if flow == "M" else None,
        "fobvalue": usd if flow == "X" else None,
        "primaryValue": usd,
        "isReported": False,
        "isAggregate": True,
        **other,
    }
