"""Many callers at once: nobody gets another's score, a full queue says so, and who leaves leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from small_server import Paced, gauge, running, small_model, text, until

from tacit.serving import Settings
from tacit.serving.batcher import Batcher
from tacit.serving.metrics import Metrics
from tacit.serving.refusals import Refusal
from tacit.serving.rows import text_row
from tacit.serving.service import score_rows


def pairs(*responses: str) -> dict[str, Any]:
    return {"pairs": [{"prompt": "p", "response": response} for response in responses]}


def test_each_of_many_callers_gets_its_own_scores_whatever_batches_they_shared() -> None:
    rm = small_model()
    draw = np.random.default_rng(0)
    sizes = draw.integers(1, 6, 150)
    asked, start = [], 0
    for size in sizes:
        asked.append([(f"question {i}", text(5000 + i)) for i in range(start, start + size)])
        start += size
    expected = [rm.score(one) for one in asked]
    with running(rm, Settings(max_batch_tokens=300)) as client, ThreadPoolExecutor(24) as pool:

        def ask(one: list[tuple[str, str]]) -> list[float]:
            body = {"pairs": [{"prompt": p, "response": r} for p, r in one]}
            return [s["reward"] for s in client.post("/v1/score", json=body).json()["scores"]]

        found = list(pool.map(ask, asked))
        again = list(pool.map(ask, asked))  # from the cache
        assert gauge(client, "tacit_rows_scored_total") == sizes.sum()
        assert gauge(client, "tacit_rows_cached_total") == sizes.sum()
        assert gauge(client, "tacit_queue_rows") == gauge(client, "tacit_queue_tokens") == 0
    for one, more, right in zip(found, again, expected, strict=True):
        np.testing.assert_allclose(one, right, atol=1e-5)
        assert more == one
    assert len(np.unique(np.concatenate(expected).round(5))) > 0.9 * sizes.sum()  # so a mix-up would show


def test_waiting_rows_are_scored_together_within_the_budget_and_in_order() -> None:
    scorer = Paced()
    with running(scorer, Settings(max_batch_tokens=40)) as client, ThreadPoolExecutor(8) as pool:
        scorer.go.clear()
        first = pool.submit(client.post, "/v1/score", json=pairs("first"))
        until(client, "tacit_batch_rows_count", 1)  # at the model; what follows has to wait
        rest = pool.submit(client.post, "/v1/score", json=pairs(*(f"row {i}" for i in range(10))))
        assert until(client, "tacit_queue_rows", 10) == 10
        scorer.batches.clear()
        scorer.go.set()
        assert [s["reward"] for s in rest.result().json()["scores"]] == [5.0] * 10
        assert first.result().json()["scores"][0]["reward"] == 5.0
    # 9 estimated tokens a row: four of them fit into 40
    assert [len(batch) for batch in scorer.batches] == [1, 4, 4, 2]
    assert scorer.rows[1:] == [f"row {i}" for i in range(10)]


def test_one_bad_row_hurts_its_own_request_only() -> None:
    scorer = Paced()
    with running(scorer) as client, ThreadPoolExecutor(8) as pool:
        scorer.go.clear()
        hold = pool.submit(client.post, "/v1/score", json=pairs("hold"))
        until(client, "tacit_batch_rows_count", 1)
        words = ("fine", "refuse", "break", "nan", "well")
        replies = [pool.submit(client.post, "/v1/score", json=pairs(word)) for word in words]
        until(client, "tacit_queue_rows", 5)
        scorer.go.set()
        statuses = [reply.result().status_code for reply in replies]
        assert hold.result().status_code == 200
    assert statuses == [200, 422, 503, 503, 200]
    assert "a text says refuse" in replies[1].result().json()["error"]["message"]
    assert "secret" not in replies[2].result().text
    assert sorted(words) in [sorted(batch) for batch in scorer.batches]  # they did share one


def test_a_full_queue_answers_429_with_retry_after_and_serves_who_waited() -> None:
    scorer = Paced()
    with running(scorer, Settings(max_queue=30)) as client, ThreadPoolExecutor(16) as pool:
        scorer.go.clear()
        replies = [pool.submit(client.post, "/v1/score", json=pairs("at the model"))]
        until(client, "tacit_batch_rows_count", 1)
        replies += [pool.submit(client.post, "/v1/score", json=pairs(f"row {i}")) for i in range(3)]
        assert until(client, "tacit_queue_rows", 3) == 3  # 27 estimated tokens
        refused = client.post("/v1/score", json=pairs("one more"))
        assert refused.status_code == 429 and 1 <= int(refused.headers["retry-after"]) <= 60
        assert "--max-queue 30" in refused.json()["error"]["message"]
        scorer.go.set()
        assert [reply.result().status_code for reply in replies] == [200] * 4
        assert client.post("/v1/score", json=pairs("one more")).status_code == 200


def test_a_request_out_of_time_answers_504_and_leaves_the_queue() -> None:
    scorer = Paced()
    with running(scorer, Settings(timeout=0.3)) as client, ThreadPoolExecutor(4) as pool:
        scorer.go.clear()
        first = pool.submit(client.post, "/v1/score", json=pairs("first"))
        until(client, "tacit_batch_rows_count", 1)
        second = client.post("/v1/score", json=pairs("second", "third"))
        assert (first.result().status_code, second.status_code) == (504, 504)
        assert gauge(client, "tacit_queue_rows") == gauge(client, "tacit_queue_tokens") == 0
        scorer.go.set()
        assert client.post("/v1/score", json=pairs("fourth")).status_code == 200
    assert "second" not in scorer.rows


def test_the_rows_of_a_caller_that_hangs_up_are_never_scored() -> None:
    scorer = Paced()
    with running(scorer) as client, ThreadPoolExecutor(4) as pool:
        scorer.go.clear()
        first = pool.submit(client.post, "/v1/score", json=pairs("first"))
        until(client, "tacit_batch_rows_count", 1)
        body = json.dumps(pairs(*(f"gone {i}" for i in range(20)))).encode()
        with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as link:
            link.sendall(
                b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body
            )
            assert until(client, "tacit_queue_rows", 20) == 20
        assert until(client, "tacit_queue_rows", 0) == 0
        assert gauge(client, "tacit_queue_tokens") == 0 and gauge(client, "tacit_rows_dropped_total") == 20
        scorer.go.set()
        assert first.result().status_code == 200
        assert client.post("/v1/score", json=pairs("after")).status_code == 200
    assert not any("gone" in row for row in scorer.rows)


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_beyond_the_limit_answers_413(chunked: bool) -> None:
    with running(Paced(), Settings(max_body=2000)) as client:
        body = json.dumps(pairs("x" * 5000)).encode()
        sent: Any = (body[i : i + 500] for i in range(0, len(body), 500)) if chunked else body
        reply = client.post("/v1/score", content=sent)
        assert reply.status_code == 413 and "--max-body 2000" in reply.json()["error"]["message"]
        assert client.post("/v1/score", json=pairs("small")).status_code == 200


def test_a_body_that_never_comes_answers_408() -> None:
    with (
        running(Paced(), Settings(timeout=0.3)) as client,
        socket.create_connection((client.base_url.host, client.base_url.port or 0)) as link,
    ):
        link.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        link.settimeout(10)
        assert link.recv(4096).startswith(b"HTTP/1.1 408")


def test_the_time_that_a_body_takes_is_gone_for_the_score() -> None:
    scorer = Paced()
    with (
        running(scorer, Settings(timeout=1.0)) as client,
        socket.create_connection((client.base_url.host, client.base_url.port or 0)) as link,
    ):
        scorer.go.clear()
        body = json.dumps(pairs("slow")).encode()
        start = time.monotonic()
        link.sendall(b"POST /v1/score HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        link.sendall(body[:5])
        time.sleep(0.7)
        link.sendall(body[5:])
        link.settimeout(10)
        assert link.recv(4096).startswith(b"HTTP/1.1 504")
        assert time.monotonic() - start < 1.5  # 1.7 where each half has the whole limit
        scorer.go.set()


def test_a_server_that_goes_down_finishes_what_it_scores_and_answers_503_to_who_waits() -> None:
    scorer = Paced()

    async def trial() -> list[Any]:
        batcher = Batcher(
            lambda rows: score_rows(scorer, rows), Metrics(), max_batch_tokens=10, max_queue=1000
        )
        scorer.go.clear()
        jobs = [batcher.submit([text_row("at the model")])]
        while batcher.waiting[0]:
            await asyncio.sleep(0.01)
        jobs.append(batcher.submit([text_row("waits")]))
        scorer.go.set()
        batcher.close()
        with pytest.raises(Refusal) as late:
            batcher.submit([text_row("too late")])
        return [late.value, *await asyncio.gather(*(job.answer for job in jobs), return_exceptions=True)]

    late, first, second = asyncio.run(trial())
    assert late.status == 503
    assert first == [(12.0, 0.0)]
    assert second.status == 503
