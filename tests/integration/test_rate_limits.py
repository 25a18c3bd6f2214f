"""Limits of calls on a real Valkey that two workers share and that goes away."""

import asyncio
import time
from urllib.parse import urlsplit

import pytest
import redis

from fvi_pipeline.serving.rate_limits import RateLimiter, burst_of
from fvi_pipeline.serving.redis_link import RedisLink
from tests.integration.serving_process import Relay


@pytest.fixture
def relay(redis_url):
    parts = urlsplit(redis_url)
    relay = Relay(parts.hostname, parts.port)
    yield relay
    relay.cut()


async def linked(url):
    link = RedisLink(url)
    await link.start()
    return link


async def permitted(limiter, calls, limit, client="lender"):
    return sum([await limiter.take(client, "/predict", limit) == 0 for _ in range(calls)])


def test_all_workers_together_give_what_the_limit_gives(redis_url):
    async def run():
        links = [await linked(redis_url) for _ in range(2)]
        workers = [RateLimiter(link) for link in links]
        started = time.monotonic()
        limit = 600
        given = sum([await permitted(worker, 1, limit) for _ in range(300) for worker in workers])
        elapsed = time.monotonic() - started
        other = await permitted(workers[0], 5, limit, client="insurer")
        for link in links:
            await link.close()
        return given, elapsed, other

    given, elapsed, other = asyncio.run(run())
    # ten seconds' worth at once, and what comes in meanwhile
    assert 100 - 20 <= given <= 100 + 10 * elapsed + 1
    assert other == 5


def test_a_client_that_waits_as_told_is_let_in(redis_url):
    async def run():
        link = await linked(redis_url)
        limiter = RateLimiter(link)
        assert await permitted(limiter, 200, 600) == pytest.approx(100, abs=2)
        wait = await limiter.take("lender", "/predict", 600)
        assert 0 < wait <= 0.11
        await asyncio.sleep(wait + 0.01)
        assert await limiter.take("lender", "/predict", 600) == 0
        await link.close()

    asyncio.run(run())


def test_redis_is_asked_once_for_many_calls_and_buckets_expire(redis_url):
    async def run():
        link = await linked(redis_url)
        assert await permitted(RateLimiter(link), 1_000, 60_000) == 1_000
        await link.close()

    with redis.Redis.from_url(redis_url) as client:
        client.config_resetstat()
        asyncio.run(run())
        calls = client.info("commandstats")["cmdstat_eval"]["calls"]
        (key,) = client.keys("fvi:limit:*")
        assert calls <= 6
        assert 0 < client.pttl(key) <= 12_000


def test_without_redis_each_worker_goes_by_itself_and_comes_back(redis_url, relay):
    parts = urlsplit(redis_url)

    async def run():
        link = await linked(redis_url.replace(f":{parts.port}", f":{relay.port}"))
        limiter = RateLimiter(link)
        assert await permitted(limiter, 5, 60) == 5
        relay.cut()
        await asyncio.sleep(0.05)
        started = time.monotonic()
        assert await permitted(limiter, 100, 60, "other") == burst_of(60)
        assert time.monotonic() - started < 1
        relay.mend()
        await asyncio.sleep(1.5)
        assert await permitted(limiter, 1, 60, "third") == 1
        await link.close()

    asyncio.run(run())
    with redis.Redis.from_url(redis_url) as client:
        assert client.exists("fvi:limit:/predict:third")
        assert not client.exists("fvi:limit:/predict:other")


def test_a_held_permit_costs_next_to_nothing(redis_url):
    async def run():
        link = await linked(redis_url)
        limiter = RateLimiter(link)
        moments = []
        for _ in range(2_000):
            started = time.perf_counter()
            if not limiter.held("lender", "/predict"):
                await limiter.take("lender", "/predict", 60_000)
            moments.append(time.perf_counter() - started)
        await link.close()
        return sorted(moments)

    moments = asyncio.run(run())
    assert moments[len(moments) * 95 // 100] < 0.0001
