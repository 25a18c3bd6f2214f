"""Requests that schemathesis makes up from the OpenAPI document: no failure of the service, no undocumented answer."""

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import checks


def no_failure(context, response, case):
    """No 5xx, but where the application here has no store behind it; a served one is fuzzed in tests/e2e."""
    if response.status_code >= 500:
        assert response.json()["error"]["code"] == "store_unavailable", response.text


_CHECKS = [
    no_failure,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture
def fuzzed(guarded):
    async def called_from_here(scope, receive, send):
        if scope["type"] == "http":
            headers = [pair for pair in scope["headers"] if pair[0] != b"host"] + [(b"host", b"localhost")]
            scope = {**scope, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2), "headers": headers}
        await guarded(scope, receive, send)

    return schemathesis.openapi.from_asgi("/openapi.json", called_from_here)


schema = schemathesis.pytest.from_fixture("fuzzed")


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_made_up_requests_get_documented_answers(case):
    case.call_and_validate(checks=_CHECKS)
