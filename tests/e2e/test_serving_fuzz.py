"""Ten thousand requests that schemathesis makes up from the OpenAPI document, against a served Bento."""

import re
import subprocess

import pytest

from fvi_pipeline.platform.database import connect
from tests.commands import BIN
from tests.integration.serving_process import served

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.slow]
_REQUESTS = 10_000
_CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
# Made-up identifiers are of no mine: two of three requests that name one get one that there is.
_HOOKS = """
import itertools
import schemathesis

MINES = itertools.cycle({mines!r} + [None] * {half})

@schemathesis.hook
def before_call(context, case, kwargs):
    body = case.body
    requests = body.get("requests") if isinstance(body, dict) else None
    for request in requests if isinstance(requests, list) else [body]:
        mine_id = next(MINES)
        if mine_id is not None and isinstance(request, dict) and isinstance(request.get("mine_id"), str):
            request["mine_id"] = mine_id
"""


def test_no_made_up_request_fails_the_service_or_gets_an_undocumented_answer(demo, tmp_path):
    with connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        mines = [
            row[0] for row in connection.execute("SELECT mine_id FROM mart.fvi_index ORDER BY md5(mine_id) LIMIT 60")
        ]
    hooks = tmp_path / "hooks.py"
    hooks.write_text(_HOOKS.format(mines=mines, half=len(mines) // 2))
    environment = {**demo.environment, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(tmp_path)}
    with served(demo.environment, tmp_path) as client:
        paths = client.get("/openapi.json").json()["paths"]
        # those without a body have few different requests
        bodies = sum("requestBody" in operation for methods in paths.values() for operation in methods.values())
        command = [
            str(BIN / "schemathesis"), "run", f"{client.base_url}/openapi.json".replace("//openapi", "/openapi"),
            "--checks", _CHECKS, "--phases", "examples,coverage,fuzzing", "--seed", "1", "--no-color",
            "--max-examples", str(_REQUESTS // bodies), "--generation-database", "none",
            "--suppress-health-check", "all", "--warnings", "off", "--request-timeout", "60",
        ]  # fmt: skip
        result = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout[-6_000:] + result.stderr[-2_000:]
        generated = re.search(r"([\d,]+) generated", result.stdout)
        assert generated is not None
        assert int(generated[1].replace(",", "")) >= _REQUESTS, result.stdout[-2_000:]
        assert client.get("/readyz").status_code == 200
    log = "".join(path.read_text() for path in tmp_path.glob("serve-*.log"))
    # (that the RAG runner says of a query that it is none, BentoML writes down as an error of the runner)
    assert not re.findall(r"^.*\[ERROR\] \[entry_service.*$", log, re.MULTILINE)
