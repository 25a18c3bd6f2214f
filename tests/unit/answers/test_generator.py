"""A model's server that stops, floods, hangs or lies: the answer fails in time, in bounded memory, without its
words."""

import asyncio
import resource
import time

import pytest

from fvi_pipeline.answers.generator import ModelFailedError, OpenAiGenerator, SentenceCutter, Usage, Written
from fvi_pipeline.answers.prompts import prompt, versions
from tests.language_model import language_model


@pytest.fixture(scope="module")
def server():
    with language_model() as running:
        yield running


def written(server, behaviour, seconds=5.0, tool_answer='[{"id": "F2"}]'):
    usage = Usage()
    called = []

    async def call(name, arguments):
        called.append((name, arguments))
        return tool_answer

    async def run():
        generator = OpenAiGenerator(behaviour, "sk-test", server.url, seconds=seconds)
        try:
            pieces = generator.write(
                prompt("v1"), "What is the score of msha:3607230?", "[F1] nothing", (), call, usage
            )
            return [piece async for piece in pieces]
        finally:
            await generator.close()

    return asyncio.run(run()), usage, called


def test_tools_are_called_and_sentences_come_with_their_references(server):
    server.said = ["The score is 95.8 [{fact}]. It", "still produces in 2029. [{fact}, P1] I do not know more."]
    pieces, usage, called = written(server, "says")
    assert called == [("scores", '{"mine_id": "msha:3607230", "horizon_years": 10}')]
    assert [piece for piece in pieces if isinstance(piece, Written)] == [
        Written("The score is 95.8.", ("F2",)),
        Written("It still produces in 2029.", ("F2", "P1")),
        Written("I do not know more.", ()),
    ]
    assert (usage.rounds, usage.tool_calls, usage.prompt_tokens, usage.completion_tokens) == (2, 1, 200, 40)
    assert server.asked[-1]["messages"][0]["content"] == prompt("v1").text


def test_a_server_that_repeats_a_tool_s_name_with_each_piece_calls_that_tool(server):
    server.said = ["The score is 95.8 [{fact}]."]
    _, _, called = written(server, "repeats")
    assert called == [("scores", '{"mine_id": "msha:3607230", "horizon_years": 10}')]


def test_a_model_that_wants_other_limits_is_asked_with_them(server):
    server.said = ["The score is 95.8 [{fact}]."]
    pieces, _, _ = written(server, "newer")
    assert [piece.text for piece in pieces if isinstance(piece, Written)] == ["The score is 95.8."]


@pytest.mark.parametrize("behaviour", ["fails", "nonsense", "stops", "ends_early", "only_tools"])
def test_a_server_that_fails_is_a_failure_that_tells_nothing_of_its_own(server, behaviour):
    with pytest.raises(ModelFailedError) as failure:
        written(server, behaviour)
    assert "secret" not in str(failure.value)


def test_a_server_that_hangs_is_not_waited_for_any_longer(server):
    started = time.monotonic()
    with pytest.raises(ModelFailedError, match="in time"):
        written(server, "hangs", seconds=1.0)
    assert time.monotonic() - started < 3


@pytest.mark.parametrize("behaviour", ["floods", "endless_line"])
def test_a_flood_ends_in_bounded_memory(server, behaviour):
    before, sent = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, server.sent_bytes
    with pytest.raises(ModelFailedError):
        written(server, behaviour, seconds=20.0)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # the server runs in this process too: what it has in flight counts with it
    assert grown < 100_000, f"{grown} kB"
    assert server.sent_bytes - sent < 60_000_000


def test_a_reader_who_leaves_ends_the_model_s_work(server):
    async def leave():
        generator = OpenAiGenerator("floods", "sk-test", server.url)
        pieces = generator.write(prompt("v1"), "?", "", (), None, Usage())
        await anext(pieces)
        await pieces.aclose()
        await asyncio.sleep(0.3)
        sent = server.sent_bytes
        await asyncio.sleep(0.5)
        assert server.sent_bytes == sent
        await generator.close()

    asyncio.run(leave())


def test_sentences_are_cut_where_they_end():
    cutter = SentenceCutter()
    text = "U.S. mines produced 12.2 million tons [F1]. It fell by 4.1% [F2][P1]. Is it all?\n- A line [F3]\nand half a"
    found = [sentence for letter in text for sentence in cutter.add(letter)]
    found += cutter.rest(is_whole=False)
    joined = " ".join(one.text for one in found)
    assert "12.2 million tons" in joined
    assert "4.1%" in joined
    assert "half" not in joined
    assert {reference for one in found for reference in one.references} == {"F1", "F2", "F3", "P1"}


def test_prompts_have_versions():
    assert versions() == ("v1", "v2")
    assert len({prompt(version).sha256 for version in versions()}) == 2
