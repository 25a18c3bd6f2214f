"""The cache and the link to Redis on a real Valkey: fresh or nothing, in order, and never in anybody's way."""

import asyncio
import socket
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

import numpy as np
import pytest
import redis

from fvi_pipeline.features.online_version import NEWEST_YEAR_KEY, VERSION_KEY, writing
from fvi_pipeline.model.online_answers import record_field
from fvi_pipeline.serving.arms import FixedBoard, MineFields, ServedModel, Standing
from fvi_pipeline.serving.cache import AnswerCache, settle
from fvi_pipeline.serving.contract import PredictRequest
from fvi_pipeline.serving.errors import StoreUnavailableError
from fvi_pipeline.serving.mines import StoredMine
from fvi_pipeline.serving.predictor import Predictor
from fvi_pipeline.serving.redis_link import RedisLink
from fvi_pipeline.serving.scorer import Scorer
from fvi_pipeline.serving.warmer import Warmer
from tests.integration.serving_process import Relay
from tests.unit.serving.small_models import small_model

MINE = "msha:0000001"
FIELDS = MineFields("fvi", "mine_id", ("a",), (), {"a": "DOUBLE"})


class OneMine:
    """A mine whose value a test changes as a materialisation would; records come from Valkey."""

    def __init__(self, link, features):
        self.link, self.features, self.reads = link, features, 0
        self.value = 150.0

    async def read(self, served, mine_ids, *also, version=None):
        self.reads += 1
        row = np.full(self.features, self.value, dtype=np.float32)
        replies = await self.link.call(also) if also else []
        return [StoredMine(row, 2019, True, 50.0) for _ in mine_ids], replies


@pytest.fixture
def client(redis_url):
    with redis.Redis.from_url(redis_url) as client:
        settle(client, 2019)
        yield client


@pytest.fixture(scope="module")
def models():
    return small_model(1).model(), small_model(2).model()


def run(redis_url, test):
    async def all_of_it():
        link = RedisLink(redis_url)
        await link.start()
        try:
            return await test(link)
        finally:
            await link.close()

    return asyncio.run(all_of_it())


async def until_it_fails(link):
    for _ in range(100):
        await link.call([("PING",)])
        await asyncio.sleep(0.01)


def served(model, version="1", arm="champion"):
    return ServedModel(model, version, arm, FIELDS, datetime(2024, 1, 1, tzinfo=UTC))


def asking(mine_id=MINE, horizon=5, **more):
    return PredictRequest(mine_id=mine_id, horizon_years=horizon, **more)


def test_an_answer_is_kept_until_anything_that_it_follows_from_changes(redis_url, client, models):
    async def test(link):
        mine = OneMine(link, len(models[0].features))
        board = FixedBoard(Standing(served(models[0])))
        predictor = Predictor(board, mine, Scorer(link), AnswerCache(link, 60))
        first = await predictor.predict(asking())
        again = await predictor.predict(asking())
        assert (first.is_cached, again.is_cached, mine.reads) == (False, True, 1)
        assert (again.body, again.facts) == (first.body, first.facts)
        # a batch shares what single requests kept
        kept, made = await predictor.predict_batch([asking(), asking(horizon=1)])
        assert (kept.is_cached, made.is_cached) == (True, False)
        # another question, another model under the same version, another arm, another version of the store
        name = models[0].features[0]
        assert not (await predictor.predict(asking(features={name: 1000.0}))).is_cached
        assert (await predictor.predict(asking(features={name: 1000}))).is_cached
        board.standing = Standing(served(models[1]))
        promoted = await predictor.predict(asking())
        assert not promoted.is_cached
        board.standing = Standing(served(models[0], arm="challenger"))
        assert not (await predictor.predict(asking())).is_cached
        board.standing = Standing(served(models[0]))
        assert (await predictor.predict(asking())).body == first.body
        mine.value = 0.0
        with writing(client):
            unsettled = [await predictor.predict(asking()) for _ in range(2)]
        assert not any(answer.is_cached for answer in unsettled)
        after = await predictor.predict(asking())
        assert not after.is_cached
        assert after.facts.fvi_score == 100 * models[0].probabilities(np.zeros((1, mine.features), np.float32), 5)[0]
        assert after.facts.fvi_score != first.facts.fvi_score

    run(redis_url, test)


def test_a_materialisation_between_reading_and_keeping_makes_the_kept_answer_old(redis_url, client, models):
    async def test(link):
        mine = OneMine(link, len(models[0].features))
        predictor = Predictor(FixedBoard(Standing(served(models[0]))), mine, Scorer(link), AnswerCache(link, 60))
        read = mine.read

        async def overtaken(*given, **more):
            found = await read(*given, **more)
            with writing(client):
                mine.value = 0.0
            return found

        mine.read = overtaken
        await predictor.predict(asking())
        mine.read = read
        answer = await predictor.predict(asking())
        assert not answer.is_cached
        assert answer.facts.fvi_score == 100 * models[0].probabilities(np.zeros((1, mine.features), np.float32), 5)[0]

    run(redis_url, test)


def test_answers_are_made_in_advance_once_for_each_materialisation_and_promotion(redis_url, client, models):
    mines = [f"msha:000001{number}" for number in range(6)]

    async def test(link):
        mine = OneMine(link, len(models[0].features))
        board = FixedBoard(Standing(served(models[0])))
        predictor = Predictor(board, mine, Scorer(link), AnswerCache(link, 60))

        def worker(maximum=3):
            return Warmer(predictor, board, link, maximum=maximum, seconds=60)

        async def kept(*numbers):
            return sum([(await predictor.predict(asking(mines[number]))).is_cached for number in numbers])

        def store_records():
            client.hset(board.standing.champion.records, mapping={record_field(each, 5): b"" for each in mines[:4]})

        def materialise():
            with writing(client):
                pass

        store_records()
        first, second = worker(), worker()
        for number in (5, 5, 5, 4):
            first.note(mines[number], 5)
        with writing(client):
            assert await first.look() == 0  # whoever reads now may see half of it
        # what was asked most, then what has stored records, up to the maximum
        assert await first.look() == 3
        assert (await kept(5, 4), await kept(0, 1, 2, 3)) == (2, 1)
        # once for all workers, until something is new
        assert [await first.look(), await second.look()] == [0, 0]
        mine.value = 0.0
        materialise()
        assert await second.look() == 3
        answers = [await predictor.predict(asking(each)) for each in mines[:4]]
        assert sum(answer.is_cached for answer in answers) == 3
        right = 100 * models[0].probabilities(np.zeros((1, mine.features), np.float32), 5)[0]
        assert {answer.facts.fvi_score for answer in answers} == {right}
        board.standing = Standing(served(models[1], version="2"))
        first.note(mines[5], 5)
        assert await first.look() >= 1  # it has no stored records yet
        assert await kept(5) == 1
        # a materialisation in the middle ends it, and the next look begins anew
        store_records()
        whole = predictor.prepare

        async def overtaken(part):
            version = await whole(part)
            materialise()
            return b"another" if version else None

        predictor.prepare = overtaken
        materialise()
        assert await second.look() == 0
        predictor.prepare = whole
        assert await second.look() == 3
        assert await worker(0).run() is None

    run(redis_url, test)


def test_reasons_that_were_computed_are_stored_for_the_next_and_bound_to_their_values(redis_url, client, models):
    async def test(link):
        mine = OneMine(link, len(models[0].features))
        model = served(models[0])
        predictor = Predictor(FixedBoard(Standing(model)), mine, Scorer(link), AnswerCache(link, 0))
        first = await predictor.predict(asking())
        await link.call([("PING",)])
        record = client.hget(model.records, record_field(MINE, 5))
        assert record is not None
        assert (await predictor.predict(asking())).body == first.body
        mine.value = 0.0
        assert (await predictor.predict(asking())).facts.fvi_score != first.facts.fvi_score

    run(redis_url, test)


def test_a_store_without_a_version_keeps_nothing_and_the_newest_year_is_followed(redis_url, client, models):
    async def test(link):
        mine = OneMine(link, len(models[0].features))
        predictor = Predictor(FixedBoard(Standing(served(models[0]))), mine, Scorer(link), AnswerCache(link, 60))
        client.delete(VERSION_KEY)
        assert not any([(await predictor.predict(asking())).is_cached for _ in range(2)])
        client.set(NEWEST_YEAR_KEY, 2020)
        assert b"reported last for 2019" in (await predictor.predict(asking())).body

    run(redis_url, test)


def test_replies_come_to_their_askers(redis_url):
    async def test(link):
        async def ask(number):
            return await link.call([("ECHO", f"{number}a"), ("ECHO", "x" * 50_000), ("ECHO", f"{number}b")])

        answers = await asyncio.gather(*(ask(number) for number in range(200)))
        assert [(a, b) for a, _, b in answers] == [(f"{n}a".encode(), f"{n}b".encode()) for n in range(200)]
        # one asker gives up, one asks nonsense: the others' replies are theirs still
        gone = asyncio.ensure_future(ask(1))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(StoreUnavailableError):
            await link.call([("NO_SUCH_COMMAND",)])
        assert (await ask(7))[0] == b"7a"

    run(redis_url, test)


def test_a_redis_that_hangs_holds_nobody_up_and_one_that_comes_back_is_used():
    async def test(port):
        link = RedisLink(f"redis://127.0.0.1:{port}")
        started = time.monotonic()
        waiting = asyncio.ensure_future(link.start())
        gaps, last = [], time.monotonic()
        while time.monotonic() - started < 0.6:
            await asyncio.sleep(0.005)
            gaps.append(time.monotonic() - last)
            last = time.monotonic()
            with pytest.raises(StoreUnavailableError):
                link.call([("PING",)])
        await waiting
        await link.close()
        return gaps

    with socket.create_server(("127.0.0.1", 0)) as silent:
        gaps = asyncio.run(test(silent.getsockname()[1]))
    # the loop went on: what else would make it late is this machine
    assert sorted(gaps)[len(gaps) // 2] < 0.05


def test_a_connection_that_breaks_is_an_error_at_once_and_is_made_again(redis_url):
    parts = urlsplit(redis_url)
    relay = Relay(parts.hostname, parts.port)

    async def test(link):
        assert await link.call([("PING",)]) == [b"PONG"]
        relay.cut()
        with pytest.raises(StoreUnavailableError):
            await until_it_fails(link)
        assert not link.is_up
        relay.mend()
        deadline = time.monotonic() + 5
        while not link.is_up and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        assert await link.call([("PING",)]) == [b"PONG"]

    try:
        run(redis_url.replace(f"{parts.hostname}:{parts.port}", f"127.0.0.1:{relay.port}"), test)
    finally:
        relay.cut()
