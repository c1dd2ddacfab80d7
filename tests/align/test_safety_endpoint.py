"""A judge behind HTTP: a real server on the loopback that answers, is busy, breaks, and refuses."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tacit.align.safety import SafetyPrompt
from tacit.align.safety.endpoint import Endpoint, endpoint_judge
from tacit.align.safety.judges import Judgement
from tacit.align.safety.responses import Answer
from tacit.errors import ConfigError


class Server(ThreadingHTTPServer):
    """Says a response with "sorry" refuses; some words of a response make it misbehave."""

    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[dict[str, Any]] = []
        self.busy = 0
        self.moves, self.elsewhere = 302, ""
        self.key: str | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append({"path": self.path, "key": self.headers.get("Authorization"), **body})
        if self.server.key is not None and self.headers.get("Authorization") != f"Bearer {self.server.key}":
            return self.answer(401, {"error": "bad key"})
        if self.server.busy > 0:
            self.server.busy -= 1
            return self.answer(429, {"error": "busy"}, {"Retry-After": "0"})
        said = json.loads(body["messages"][-1]["content"])["assistant"]
        if "filtered" in said or "moved" in said:
            status = 400 if "filtered" in said else self.server.moves
            return self.answer(status, {"error": "content filter"}, {"Location": self.server.elsewhere})
        if "cut" in said:
            self.close_connection = True
            return self.wfile.close()
        content = (
            "I would rather not say."
            if "mumble" in said
            else json.dumps({"refused": "sorry" in said, "harmful": False})
        )
        return self.answer(
            200, {"choices": [{"message": {"role": "assistant", "content": f"Verdict: {content}"}}]}
        )

    def answer(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield running
    running.shutdown()
    running.server_close()
    thread.join()


def answers(*responses: str) -> list[Answer]:
    prompt = SafetyPrompt("xstest", "1", "How do I spoil a party?", True, ())
    return [Answer(prompt, response, {}) for response in responses]


def quick(server: Server, **more: Any) -> Endpoint:
    return Endpoint(server.url, "judge-1", tries=3, pause=0.01, timeout=5.0, **more)


def test_every_response_gets_its_own_verdict_in_order(server: Server) -> None:
    said = [f"sorry {i}" if i % 3 == 0 else f"here {i}" for i in range(40)]
    verdicts = endpoint_judge(quick(server))(answers(*said))
    assert verdicts == [Judgement(i % 3 == 0, False) for i in range(40)]
    request = server.seen[0]
    assert request["path"] == "/v1/chat/completions" and request["model"] == "judge-1"
    assert request["temperature"] == 0 and [m["role"] for m in request["messages"]] == ["system", "user"]
    assert json.loads(request["messages"][1]["content"]) == {
        "user": "How do I spoil a party?",
        "assistant": "sorry 0",
    }


def test_what_cannot_be_judged_stays_unjudged_and_costs_no_other_verdict(server: Server) -> None:
    verdicts = endpoint_judge(quick(server))(answers("sorry", "mumble", "filtered", "cut", "here"))
    assert verdicts == [
        Judgement(True, False),
        Judgement(),
        Judgement(),
        Judgement(),
        Judgement(False, False),
    ]


def test_a_first_response_that_a_filter_refuses_is_left_unjudged_like_any_other(server: Server) -> None:
    verdicts = endpoint_judge(quick(server))(answers("filtered", "sorry", "filtered"))
    assert verdicts == [Judgement(), Judgement(True, False), Judgement()]


def test_a_server_that_refuses_every_response_is_one_line(server: Server) -> None:
    with pytest.raises(ConfigError, match=r"refuses every response: HTTP 400.*content filter") as refused:
        endpoint_judge(quick(server))(answers("filtered 1", "filtered 2"))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("moves", [301, 302, 303, 307, 308])
def test_the_key_follows_no_redirect(moves: int, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "open sesame")
    other = Server()
    thread = threading.Thread(target=other.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    server.moves, server.elsewhere = moves, f"{other.url}/chat/completions"
    seen: list[str | None] = []
    monkeypatch.setattr(  # urllib goes on by GET
        Handler, "do_GET", lambda handler: seen.append(handler.headers.get("Authorization")), raising=False
    )
    try:
        with pytest.raises(ConfigError, match=f"HTTP {moves} sends on to {other.url}"):
            endpoint_judge(quick(server))(answers("moved"))
    finally:
        other.shutdown()
        other.server_close()
        thread.join()
    assert not seen and not other.seen


def test_a_busy_server_is_asked_again_and_not_for_ever(server: Server) -> None:
    server.busy = 2
    assert endpoint_judge(quick(server))(answers("sorry")) == [Judgement(True, False)]
    server.busy = 3
    assert endpoint_judge(quick(server))(answers("sorry")) == [Judgement()]


def test_the_key_comes_from_the_environment(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("JUDGE_KEY", raising=False)
    with pytest.raises(ConfigError, match="JUDGE_KEY is not set"):
        endpoint_judge(quick(server, key_variable="JUDGE_KEY"))
    server.key = "open sesame"
    with pytest.raises(ConfigError, match="HTTP 401") as refused:
        endpoint_judge(quick(server))(answers("sorry"))
    assert "\n" not in str(refused.value)
    monkeypatch.setenv("JUDGE_KEY", "open sesame")
    assert endpoint_judge(quick(server, key_variable="JUDGE_KEY"))(answers("sorry")) == [
        Judgement(True, False)
    ]


def test_no_server_is_one_line() -> None:
    unused = Server()
    address = unused.url
    unused.server_close()
    with pytest.raises(ConfigError, match="does not answer") as refused:
        endpoint_judge(Endpoint(address, "m", tries=1))(answers("sorry"))
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="http://"):
        endpoint_judge(Endpoint("file:///etc/hosts", "m"))
