"""Who gets through the guard, with which limits, and what the others are told."""

import asyncio
import time

import jwt
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.testclient import TestClient

from fvi_pipeline.serving.access import Rule, rule_of
from fvi_pipeline.serving.gate import Gate
from fvi_pipeline.serving.guard import Guard, GuardState, new_request_id
from fvi_pipeline.serving.tokens import TokenVerifier

SECRET = "a-shared-secret-of-more-than-32-bytes"
SCOPES = ("predict", "explain", "chat", "admin")


async def echo(scope, receive, send):
    """Answers what it was given, after as long as the path says."""
    request = Request(scope, receive)
    body = await request.body()
    if b"slow" in body:
        await asyncio.sleep(5)
    answer = {"client": scope.get("fvi.client"), "id": scope["fvi.request_id"], "bytes": len(body)}
    await JSONResponse(answer, headers={"x-request-id": "of the application"})(scope, receive, send)


class Audit:
    def __init__(self):
        self.events = []

    def note_often(self, event, who, **facts):
        self.events.append((event, who, facts))


@pytest.fixture
def audit():
    return Audit()


@pytest.fixture
def guarded(audit):
    """Make a client of a guarded application; `caller` is its address, `host` what it calls the service."""

    def make(tokens=True, caller="127.0.0.1", host="127.0.0.1:3000", server="127.0.0.1", **gate):
        verifier = TokenVerifier([SECRET], "HS256", "fvi") if tokens else None
        state = GuardState()
        state.open(Gate(verifier=verifier, audit=audit, **gate))

        async def of_server(scope, receive, send):
            await guard({**scope, "server": (server, 3000)}, receive, send)

        guard = Guard(echo, state)
        return TestClient(of_server, base_url=f"http://{host}", client=(caller, 50_000))

    return make


def bearer(scope="predict", **changes):
    claims = {"sub": "lender", "aud": "fvi", "exp": time.time() + 60, "scope": scope, **changes}
    return {"authorization": f"Bearer {jwt.encode(claims, SECRET, algorithm='HS256')}"}


def assert_error(response, status, code):
    assert response.status_code == status, response.text
    assert set(response.json()) == {"error"}
    assert response.json()["error"]["code"] == code
    assert len(response.headers["x-request-id"]) == 32
    assert response.headers["x-content-type-options"] == "nosniff"


def test_a_token_with_the_scope_gets_through(guarded):
    response = guarded().post("/predict", headers=bearer(), content=b"body")
    assert response.json() == {"client": "lender", "id": response.headers["x-request-id"], "bytes": 4}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": ""},
        {"authorization": "Bearer"},
        {"authorization": "Basic bGVuZGVyOmEtc2hhcmVk"},
        {"authorization": "Bearer not.a.token"},
        bearer(exp=time.time() - 60),
        bearer(aud="another"),
    ],
)
def test_without_a_valid_token_nothing_answers(guarded, audit, headers):
    client = guarded()
    for path in ("/predict", "/explain", "/metrics", "/models", "/no_such_page", "/schema.json"):
        response = client.post(path, headers=headers, content=b"body")
        assert_error(response, 401, "unauthorized")
        assert response.headers["www-authenticate"].startswith("Bearer")
    event, who, facts = audit.events[0]
    assert (event, who, facts["client"], facts["path"]) == ("refused_token", "127.0.0.1", None, "/predict")
    assert not any(token in str(audit.events) for token in headers.values() if len(token) > 10)


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/docs", "/openapi.json"])
def test_some_paths_are_open(guarded, path):
    assert guarded().get(path).json()["client"] is None


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("/predict", "predict"), ("/predict_batch", "predict"), ("/feedback", "predict"), ("/weights", "predict"),
        ("/explain", "explain"), ("/chat", "chat"), ("/retrieve", "chat"), ("/models", "predict"),
        ("/models/fvi_viability/health", "predict"), ("/metrics", "admin"), ("/no_such_page", "admin"),
    ],
)  # fmt: skip
def test_every_endpoint_asks_for_its_scope_and_no_other_opens_it(guarded, audit, path, scope):
    client = guarded()
    assert client.post(path, headers=bearer(scope)).status_code == 200
    others = " ".join(set(SCOPES) - {scope})
    assert_error(client.post(path, headers=bearer(others)), 403, "forbidden")
    assert_error(client.post(path, headers=bearer("")), 403, "forbidden")
    assert ("refused_scope", "lender") in [event[:2] for event in audit.events]


def test_what_only_administrators_may_do_is_noted(guarded, audit):
    client = guarded()
    assert client.get("/schema.json", headers=bearer("admin")).status_code == 200
    assert client.get("/metrics", headers=bearer("admin")).status_code == 200
    assert [(event, facts["path"]) for event, _, facts in audit.events] == [("admin", "/schema.json")]


def test_every_route_has_a_rule(application):
    """One without would be open to administrators only, which nobody may have meant."""
    for path in application.openapi()["paths"]:
        assert rule_of(path.replace("{name}", "fvi_viability")).name != "unknown", path


def test_without_tokens_only_this_machine_is_answered(guarded):
    assert guarded(tokens=False).post("/predict").json()["client"] == "local"
    assert guarded(tokens=False, host="localhost:3000").post("/predict").status_code == 200
    assert guarded(tokens=False, caller="::1", server="::1", host="[::1]:3000").post("/predict").status_code == 200
    far = [
        guarded(tokens=False, caller="10.0.0.7"),
        guarded(tokens=False, caller="testclient"),
        guarded(tokens=False, server="10.0.0.1"),
        # a page whose name was made to lead here
        guarded(tokens=False, host="evil.example.org"),
    ]
    for client in far:
        assert_error(client.post("/predict"), 401, "unauthorized")
    near = guarded(tokens=False)
    for headers in (
        {"x-forwarded-for": "10.0.0.7"},
        {"forwarded": "for=10.0.0.7"},
        {"x-real-ip": "127.0.0.1"},
        {"origin": "https://evil.example.org"},
        {"origin": "null"},
    ):
        assert_error(near.post("/predict", headers=headers), 401, "unauthorized")
    assert near.post("/predict", headers={"origin": "http://127.0.0.1:3000"}).status_code == 200


def test_a_shut_guard_answers_open_paths_only(audit):
    client = TestClient(Guard(echo, GuardState()), base_url="http://127.0.0.1", client=("127.0.0.1", 1))
    assert_error(client.post("/predict", headers=bearer()), 503, "store_unavailable")
    assert client.get("/livez").status_code == 200


@pytest.mark.parametrize("path", ["/models/a%0Ab/health", "/predict%00", "/docs/assets/%0D%0A"])
def test_a_path_with_signs_that_no_path_has_is_404(guarded, path):
    assert_error(guarded().get(path, headers=bearer()), 404, "not_found")


def test_a_body_beyond_the_endpoints_limit_is_413(guarded):
    client = guarded()
    limit = rule_of("/predict").maximum_bytes
    assert client.post("/predict", headers=bearer(), content=b" " * limit).json()["bytes"] == limit
    assert_error(client.post("/predict", headers=bearer(), content=b" " * (limit + 1)), 413, "too_large")
    assert_error(
        client.post("/predict", headers=bearer(), content=(b" " * 100_000 for _ in range(4))), 413, "too_large"
    )
    assert client.post("/predict_batch", headers=bearer(), content=b" " * (limit + 1)).status_code == 200
    # a caller without a right is told that, and its body is not read
    assert_error(client.post("/predict", content=b" " * (limit + 1)), 401, "unauthorized")
    huge = {**bearer(), "content-length": "9" * 30}
    assert_error(client.post("/predict", headers=huge, content=b"x"), 413, "too_large")


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr("fvi_pipeline.serving.guard.rule_of", lambda path: Rule("predict", "/predict", seconds=0.05))


def test_an_answer_that_takes_too_long_is_given_up(guarded, hasty):
    started = time.monotonic()
    assert_error(guarded().post("/predict", headers=bearer(), content=b"slow"), 503, "time_limit")
    assert time.monotonic() - started < 2


def test_a_body_that_does_not_come_is_given_up(guarded, hasty):
    async def drip():
        sent = []
        waiting = asyncio.Event()
        messages = [{"type": "http.request", "body": b"a", "more_body": True}]

        async def receive():
            if messages:
                return messages.pop()
            await waiting.wait()

        async def send(message):
            sent.append(message)

        state = GuardState()
        state.open(Gate(verifier=None))
        scope = {
            "type": "http", "method": "POST", "path": "/predict", "headers": [(b"host", b"127.0.0.1")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
        }  # fmt: skip
        await Guard(echo, state)(scope, receive, send)
        return sent[0]["status"], dict(sent[0]["headers"]), state.in_flight

    status, headers, in_flight = asyncio.run(drip())
    assert (status, headers[b"connection"], in_flight) == (408, b"close", 0)


def test_more_requests_at_once_than_the_service_takes_on_are_503(guarded):
    assert_error(guarded(maximum_in_flight=0).post("/predict", headers=bearer()), 503, "overloaded")


def test_calls_beyond_the_limit_are_429_for_that_client_and_endpoint(guarded, audit):
    client = guarded(limits={"/predict": 30})
    statuses = [client.post("/predict", headers=bearer()).status_code for _ in range(8)]
    assert statuses == [200] * 5 + [429] * 3  # ten seconds' worth at once
    refused = client.post("/predict", headers=bearer())
    assert_error(refused, 429, "too_many_calls")
    assert 1 <= int(refused.headers["retry-after"]) <= 2
    assert client.post("/predict", headers=bearer(sub="insurer")).status_code == 200
    assert client.post("/weights", headers=bearer()).status_code == 200
    assert ("rate_limited", "lender") in [event[:2] for event in audit.events]


def test_wrong_tokens_are_limited_by_address_and_good_ones_are_not(guarded, monkeypatch):
    monkeypatch.setattr("fvi_pipeline.serving.guard._FAILURES_PER_MINUTE", 60)
    client = guarded()
    statuses = {client.post("/predict").status_code for _ in range(40)}
    assert statuses == {401, 429}
    assert client.post("/predict", headers=bearer()).status_code == 200


def test_pages_of_other_origins_are_told_nothing_unless_named(guarded):
    origin = {"origin": "https://app.example.org"}
    preflight = {**origin, "access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    closed = guarded().post("/predict", headers={**bearer(), **origin})
    assert not [name for name in closed.headers if name.startswith("access-control")]
    assert guarded().options("/predict", headers=preflight).status_code == 401
    client = guarded(cors_origins=("https://app.example.org",))
    assert client.options("/predict", headers=preflight).headers["access-control-allow-origin"] == origin["origin"]
    answer = client.post("/predict", headers={**bearer(), **origin})
    assert answer.headers["access-control-allow-origin"] == origin["origin"]
    assert "access-control-allow-credentials" not in answer.headers
    other = client.post("/predict", headers={**bearer(), "origin": "https://evil.example.org"})
    assert "access-control-allow-origin" not in other.headers


def test_request_ids_are_ordered_and_unlike():
    made = [new_request_id() for _ in range(200)]
    assert len(set(made)) == 200
    assert all(value[12] == "7" and value[16] in "89ab" for value in made)
    time.sleep(0.002)
    assert new_request_id() > made[0]


def test_web_sockets_are_closed(guarded):
    async def closed():
        sent = []

        async def send(message):
            sent.append(message)

        await Guard(echo, GuardState())({"type": "websocket", "path": "/predict"}, None, send)
        return sent

    assert asyncio.run(closed()) == [{"type": "websocket.close", "code": 1008}]
