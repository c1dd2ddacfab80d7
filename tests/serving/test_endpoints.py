"""Every endpoint gives the model's own score in the shape its callers read, and says what is wrong in one shape."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
from small_server import Paced, running, small_model, text

from tacit import RewardModel
from tacit.errors import ConfigError
from tacit.methods import BPR
from tacit.model import Scorer
from tacit.serving import Settings
from tacit.serving.marks import prompt_end, without_ending
from tacit.serving.run import bind

PAIRS = [(f"question {i}", text(1000 + i)) for i in range(8)]


@pytest.fixture(scope="module")
def rm() -> RewardModel:
    return small_model()


@pytest.fixture(scope="module")
def client(rm: RewardModel) -> Iterator[httpx.Client]:
    with running(rm) as client:
        yield client


@pytest.fixture(scope="module")
def whole() -> Iterator[httpx.Client]:
    """A model that reads a rendered chat."""
    with running(Paced()) as client:
        yield client


def chat(prompt: str, response: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": response}]


def post(client: httpx.Client, path: str, body: Any) -> Any:
    reply = client.post(path, json=body)
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply.json()


def message(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    body = reply.json()["error"]
    assert body["code"] == status and "\n" not in body["message"]
    return str(body["message"])


def test_v1_score_gives_reward_probability_and_uncertainty_of_every_form_of_pair(
    rm: RewardModel, client: httpx.Client
) -> None:
    forms: list[Any] = [{"prompt": p, "response": r} for p, r in PAIRS]
    forms += [{"prompt": chat(p, "")[:1], "response": r} for p, r in PAIRS]
    forms += [{"messages": chat(p, r)} for p, r in PAIRS]
    told = post(client, "/v1/score", {"pairs": forms})
    assert told["model"] == "small"
    for key, expected in (
        ("reward", rm.score(PAIRS)),
        ("probability", rm.probability(PAIRS)),
        ("uncertainty", rm.uncertainty(PAIRS)),
    ):
        np.testing.assert_allclose([s[key] for s in told["scores"]], np.tile(expected, 3), atol=1e-6)


def test_get_reward_takes_the_response_out_of_the_query_and_answers_what_openrlhf_reads(
    rm: RewardModel, client: httpx.Client
) -> None:
    prompts = [p for p, _ in PAIRS]
    for wrap in (
        "{}",
        "<s>{}</s>",
        "<|begin_of_text|>{}<|eot_id|>\n",
        "<bos>{}<end_of_turn>\n<eos><pad><pad>",
    ):
        query = [wrap.format(p + r) for p, r in PAIRS]
        told = post(
            client, "/get_reward", {"query": query, "prompts": prompts, "labels": [None] * len(PAIRS)}
        )
        np.testing.assert_allclose(told["rewards"], rm.score(PAIRS), atol=1e-6)
        np.testing.assert_allclose(told["scores"], rm.probability(PAIRS), atol=1e-6)
        np.testing.assert_allclose(told["extra_logs"]["uncertainty"], rm.uncertainty(PAIRS), atol=1e-6)


def test_get_reward_refuses_what_does_not_tell_where_the_response_begins(client: httpx.Client) -> None:
    ask = {"query": ["one two"], "prompts": ["two"]}
    assert "does not begin with prompts[0]" in message(client.post("/get_reward", json=ask), 400)
    assert "one prompt per query" in message(client.post("/get_reward", json={"query": ["one two"]}), 400)
    ask = {"query": ["</s>"], "prompts": [""]}
    assert "prompt is empty" in message(client.post("/get_reward", json=ask), 400)


class Terse(Scorer):
    """Reads prompt and response apart, and likes none long."""

    def member_scores(self, pairs: Any, *, store: Any = None, quiet: bool = True) -> Any:
        return -np.array([[len(response) for _, response in pairs]] * 2, dtype=np.float32)


def test_an_empty_answer_earns_the_lowest_reward_given_so_far_and_ends_no_run() -> None:
    """OpenRLHF sends what its policy wrote, and stops where the server refuses."""
    with running(Terse()) as client:

        def paid(*responses: str) -> Any:
            query = [f"one{response}</s>" for response in responses]
            return post(client, "/get_reward", {"query": query, "prompts": ["one"] * len(query)})

        first = {"rewards": [0.0], "scores": [0.5], "extra_logs": {"uncertainty": [0.0]}}
        assert paid("") == first
        assert paid("ab", " \n", "abcd")["rewards"] == [-2, -4, -4]
        assert paid("", "a")["rewards"] == [-4, -1]


def test_one_member_has_no_spread() -> None:
    with running(Paced(members=1)) as client:
        told = post(client, "/v1/score", {"pairs": [{"prompt": "a", "response": "b"}]})
        assert told["scores"][0]["uncertainty"] is None
        assert post(client, "/get_reward", {"query": ["a b"]})["extra_logs"] == {}


def test_what_a_turn_calls_is_scored_with_what_it_says(rm: RewardModel, client: httpx.Client) -> None:
    def asked(name: str) -> list[dict[str, Any]]:
        call = {"id": f"call_{name}", "type": "function", "function": {"name": name, "arguments": "{}"}}
        turn = {"role": "assistant", "content": None, "tool_calls": [call]}
        return [{"role": "user", "content": "question 1"}, turn]

    pairs = [{"messages": asked("clear")}, {"messages": asked("vague")}]
    told = [score["reward"] for score in post(client, "/v1/score", {"pairs": pairs})["scores"]]
    expected = rm.score([(asked(name)[:1], asked(name)[1:]) for name in ("clear", "vague")])
    np.testing.assert_allclose(told, expected, atol=1e-6)
    assert told[0] != told[1]
    assert post(client, "/classify", {"messages": asked("clear")})["data"][0]["probs"] == told[:1]


def test_text_in_parts_is_scored_as_its_lines(rm: RewardModel, client: httpx.Client) -> None:
    def asked(answer: Any) -> list[dict[str, Any]]:
        return [
            {
                "role": "user",
                "content": [{"type": "text", "text": "question"}, {"type": "text", "text": "1"}],
            },
            {"role": "assistant", "content": answer},
        ]

    parts = [{"type": "output_text", "text": "clear"}]
    told = post(client, "/v1/score", {"pairs": [{"messages": asked(parts)}]})["scores"][0]["reward"]
    assert told == pytest.approx(float(rm.score([("question\n1", "clear")])[0]), abs=1e-6)
    assert post(client, "/classify", {"messages": asked(parts)})["data"][0]["probs"] == [told]
    image = asked([{"type": "image_url", "image_url": {"url": "x"}}])
    for path, body in (("/v1/score", {"pairs": [{"messages": image}]}), ("/classify", {"messages": image})):
        assert "'text', 'input_text' or 'output_text'" in message(client.post(path, json=body), 422)


@pytest.mark.parametrize(
    "response",
    [
        "Use <b>bold</b>",
        "std::vector<int>",
        "<think>6 × 7</think><answer>42</answer>",
        "<a@b.cd>",
        "<div></div>",
    ],
)
def test_get_reward_keeps_what_the_user_read_whatever_it_ends_with(
    response: str, rm: RewardModel, client: httpx.Client
) -> None:
    ask = {"query": [f"<s>ask {response}<|im_end|>\n</s>"], "prompts": ["ask "]}
    assert post(client, "/get_reward", ask)["rewards"] == pytest.approx(
        rm.score([("ask ", response)]), abs=1e-6
    )


def test_a_prompt_may_begin_with_tags_or_special_tokens_of_its_own(
    rm: RewardModel, client: httpx.Client
) -> None:
    for prompt in ("<b>why</b>?", "<|user|>why?", " why?"):
        ask = {"query": [f"<pad><s>{prompt}it is so.</s>"], "prompts": [prompt]}
        expected = rm.score([(prompt, "it is so.")])
        assert post(client, "/get_reward", ask)["rewards"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("piece", ["<p>", "<s>", "<|", "<", " "])
def test_a_text_is_split_in_linear_time_whatever_its_tags(piece: str) -> None:
    start = time.perf_counter()
    for query in ("ask " + piece * 100_000 + "x", piece * 100_000 + "ask x", "ask x" + piece * 100_000):
        assert prompt_end(query, "ask ") in (4, None, len(piece) * 100_000 + 4)
        assert "x" in without_ending(query)
    assert time.perf_counter() - start < 3  # the square of it took minutes


def test_classify_has_vllms_shape_and_gives_logits_unless_asked_for_probabilities(
    rm: RewardModel, client: httpx.Client
) -> None:
    p, r = PAIRS[0]
    told = post(client, "/classify", {"model": "any", "messages": chat(p, r), "use_activation": False})
    assert told["object"] == "list" and told["id"].startswith("classify-") and told["model"] == "small"
    assert told["usage"]["total_tokens"] > 0
    (one,) = told["data"]
    assert (one["index"], one["label"], one["num_classes"]) == (0, "LABEL_0", 1)
    np.testing.assert_allclose(told["data"][-1]["probs"][-1], rm.score([PAIRS[0]])[0], atol=1e-6)
    told = post(client, "/classify", {"messages": chat(p, r), "use_activation": True})
    np.testing.assert_allclose(told["data"][0]["probs"], rm.probability([PAIRS[0]]), atol=1e-6)


def test_a_model_that_reads_chats_takes_rendered_texts_one_or_many(whole: httpx.Client) -> None:
    told = post(whole, "/classify", {"input": "twelve chars"})
    assert told["data"][0]["probs"] == [12.0]
    told = post(whole, "/classify", {"input": ["a", "bb", "ccc"]})
    assert [item["probs"] for item in told["data"]] == [[1.0], [2.0], [3.0]]
    told = post(whole, "/get_reward", {"query": ["a", "bb"], "prompts": ["", ""], "labels": [1, {}]})
    assert told["rewards"] == [1.0, 2.0]


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/v1/score", b"{", 400, "not JSON"),
        ("/v1/score", b"", 400, "not JSON"),
        ("/v1/score", b"[]", 422, "body"),
        ("/v1/score", b'{"pairs": []}', 422, "pairs: "),
        (
            "/v1/score",
            b'{"pairs": [{"prompt": "a", "respons": "b"}]}',
            422,
            "pairs.0.response: Field required",
        ),
        ("/v1/score", b'{"pairs": [{"prompt": "a", "response": " "}]}', 422, "pairs.0.response"),
        ("/v1/score", b'{"pairs": [{"prompt": "a", "response": 1}]}', 422, "valid string"),
        (
            "/v1/score",
            b'{"pairs": [{"prompt": [{"role": "user", "content": ""}], "response": "b"}]}',
            422,
            "empty",
        ),
        (
            "/v1/score",
            b'{"pairs": [{"messages": [{"role": "a", "content": "b"}, {"role": "user", "content": "c"}]}]}',
            422,
            "pairs.0: the last message is the user's",
        ),
        ("/classify", b"{}", 400, "neither"),
        ("/classify", b'{"input": "rendered"}', 400, "/v1/score"),
        ("/classify", b'{"input": [[1, 2]]}', 400, "no token ids"),
    ],
)
def test_a_wrong_request_is_told_what_was_found_in_one_line(
    client: httpx.Client, path: str, body: bytes, status: int, says: str
) -> None:
    assert says in message(client.post(path, content=body), status)


def test_unknown_paths_and_methods_have_the_same_body(client: httpx.Client) -> None:
    message(client.get("/nothing"), 404)
    reply = client.get("/v1/score")
    message(reply, 405)
    assert reply.headers["allow"] == "POST"


def test_the_health_check_names_the_model_and_metrics_count_requests_and_rows(client: httpx.Client) -> None:
    assert client.get("/healthz").json() == {"status": "ok", "model": "small"}
    asked = client.head("/healthz")  # as some load balancers do
    assert (asked.status_code, asked.content) == (200, b"")
    post(client, "/v1/score", {"pairs": [{"prompt": "new", "response": "unseen words"}] * 3})
    told = client.get("/metrics").text
    for line in (
        'tacit_requests_total{endpoint="/healthz",status="200"}',
        'tacit_request_seconds_bucket{endpoint="/v1/score",le="1.0"}',
        "tacit_queue_rows 0.0",
        "tacit_batch_rows_count",
        "tacit_rows_scored_total",
    ):
        assert line in told


def test_a_host_that_is_no_name_is_one_line() -> None:
    with pytest.raises(ConfigError, match="cannot listen at"):
        bind("a" * 70, 0)


def test_without_the_token_only_the_health_check_answers(rm: RewardModel) -> None:
    body = {"pairs": [{"prompt": "a", "response": "b"}]}
    with running(rm, Settings(token="s3cret")) as client:
        assert client.get("/healthz").status_code == 200
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "s3cret"},
            {"Authorization": "Basic s3cret"},
        ):
            reply = client.post("/v1/score", json=body, headers=headers)
            assert "token" in message(reply, 401) and reply.headers["www-authenticate"] == "Bearer"
        assert client.get("/metrics").status_code == client.get("/openapi.json").status_code == 401
        right = {"Authorization": "Bearer s3cret"}
        assert client.post("/v1/score", json=body, headers=right).status_code == 200
        right = {"Authorization": "bearer s3cret"}  # the name of a scheme has no case
        assert client.post("/v1/score", json=body, headers=right).status_code == 200
        document = client.get("/openapi.json", headers=right).json()
    assert document["paths"]["/v1/score"]["post"]["security"] == [{"token": []}]


def test_openapi_declares_every_body_and_every_error(client: httpx.Client) -> None:
    document = client.get("/openapi.json").json()
    for path, name in (("/v1/score", "Score"), ("/get_reward", "Reward"), ("/classify", "Classify")):
        post_ = document["paths"][path]["post"]
        asked = post_["requestBody"]["content"]["application/json"]["schema"]["$ref"]
        assert asked.endswith(f"/{name}Request") and f"{name}Request" in document["components"]["schemas"]
        assert {"200", "400", "413", "422", "429", "503", "504"} <= set(post_["responses"])
        refs = post_["responses"]["429"]["content"]["application/json"]["schema"]["$ref"]
        assert refs.endswith("/Problem")


def test_a_model_that_only_orders_answers_null_for_a_probability(rm: RewardModel) -> None:
    with running(replace(rm, method=BPR())) as client:
        told = post(client, "/v1/score", {"pairs": [{"prompt": "a", "response": "b"}]})["scores"]
    assert told[0]["probability"] is None and isinstance(told[0]["reward"], float)


@pytest.mark.parametrize("only_orders", [False, True])
def test_probabilities_are_the_calibrated_ones_and_rewards_those_of_the_fit(
    rm: RewardModel, only_orders: bool
) -> None:
    model = replace(rm, method=BPR()) if only_orders else rm
    done = model.with_calibration({"slope": 1.7, "shift": -0.9})
    prompts = [prompt for prompt, _ in PAIRS]
    with running(done) as client:
        scored = post(client, "/v1/score", {"pairs": [{"prompt": p, "response": r} for p, r in PAIRS]})
        queries = [f"{prompt} {response}" for prompt, response in PAIRS]
        paid = post(client, "/get_reward", {"query": queries, "prompts": prompts, "labels": prompts})
        classed = post(client, "/classify", {"messages": chat(*PAIRS[0]), "use_activation": True})
    expected = 1 / (1 + np.exp(0.9 - 1.7 * rm.score(PAIRS).astype(np.float64)))
    assert [one["probability"] for one in scored["scores"]] == pytest.approx(expected, abs=1e-6)
    assert [one["reward"] for one in scored["scores"]] == pytest.approx(rm.score(PAIRS).tolist(), abs=1e-6)
    assert paid["scores"] == pytest.approx(expected, abs=1e-6)
    assert paid["rewards"] == pytest.approx(rm.score(PAIRS).tolist(), abs=1e-6)
    assert classed["data"][0]["probs"] == pytest.approx([expected[0]], abs=1e-6)
