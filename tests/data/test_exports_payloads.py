"""What tracing tools keep as the input and output of a step, read to a prompt and a response."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tacit.data.exports.payloads import parsed, read_exchange, read_prompt, read_response
from tacit.data.messages import Fault
from tacit.data.raw import NotUtf8

ASKED = [{"role": "user", "content": "Hi"}]
ANSWERED = {"role": "assistant", "content": "Hello!"}
SERIALISED = {
    "lc": 1,
    "type": "constructor",
    "id": ["langchain", "schema", "messages", "AIMessage"],
    "kwargs": {"content": "Hello!", "type": "ai", "tool_calls": []},
}


@pytest.mark.parametrize(
    "value",
    [
        ASKED,
        ASKED[0],
        {"messages": ASKED, "model": "m"},
        {"messages": [ASKED]},
        {"input": {"messages": ASKED}},
        {"messages": [["human", "Hi"]]},
        {"messages": [["user", "Hi"]]},
        {"messages": [{"type": "human", "content": "Hi", "id": None}]},
        {"messages": [{"type": "human", "data": {"content": "Hi"}}]},
        {
            "messages": [
                {
                    "lc": 1,
                    "id": ["langchain", "schema", "messages", "HumanMessage"],
                    "kwargs": {"content": "Hi"},
                }
            ]
        },
        {"args": [ASKED], "kwargs": {}},
        {"args": None, "kwargs": {"messages": ASKED}},
        {"role": None, "messages": ASKED, "prompt": None},  # as Arrow makes objects of one column alike
        [{"role": "user", "content": [{"type": "text", "text": "Hi"}]}],
    ],
)
def test_messages_are_found_in_each_shape_and_as_json_and_as_python_writes_it(value: Any) -> None:
    assert read_prompt(value) == ASKED
    assert read_prompt(json.dumps(value)) == ASKED
    assert read_prompt(str(value)) == ASKED


@pytest.mark.parametrize(
    "value",
    [
        "Hi",
        '"Hi"',
        {"question": "Hi", "context": "long", "k": 3},
        {"input": "Hi", "other": "x"},
        {"args": ["Hi"], "kwargs": {}},
        {"prompts": ["Hi"]},
        {"topic": "Hi", "k": 3, "on": True},
        [{"type": "text", "text": "Hi"}],
    ],
)
def test_text_is_found_under_a_usual_name_or_as_the_only_text(value: Any) -> None:
    assert read_prompt(value) == "Hi"


@pytest.mark.parametrize(
    "name", ["input", "inputs", "question", "query", "prompt", "prompts", "message", "text", "content"]
)
def test_usual_names_of_what_was_asked_come_before_other_texts(name: str) -> None:
    assert read_prompt({"a": "x", name: "Hi", "b": "y"}) == "Hi"


@pytest.mark.parametrize(
    "name", ["output", "outputs", "answer", "response", "result", "completion", "message", "text", "content"]
)
def test_usual_names_of_what_was_answered_come_before_other_texts(name: str) -> None:
    assert read_response({"a": "x", name: "Hello!", "b": "y"}) == "Hello!"


def test_the_parts_of_one_message_are_lines_of_one_text() -> None:
    parts = [{"type": "text", "text": "Hello"}, {"type": "text", "text": "there"}]
    assert read_response(parts) == "Hello\nthere" and read_prompt({"content": parts}) == "Hello\nthere"


@pytest.mark.parametrize(
    ("spoken", "role"),
    [
        ("human", "user"),
        ("ai", "assistant"),
        ("HumanMessage", "user"),
        ("AIMessage", "assistant"),
        ("AIMessageChunk", "assistant"),
        ("SystemMessage", "system"),
        ("ToolMessage", "tool"),
        ("user", "user"),
        ("assistant", "assistant"),
        ("system", "system"),
        ("developer", "developer"),
        ("tool", "tool"),
        ("function", "function"),
    ],
)
def test_speakers_have_one_name_each_whatever_the_tool_calls_them(spoken: str, role: str) -> None:
    said = [{"role": role, "content": "Hi"}]
    assert read_prompt([{"type": spoken, "content": "Hi"}]) == said
    assert read_prompt([{"role": spoken, "content": "Hi"}]) == said
    assert read_prompt([[spoken, "Hi"]]) == said


@pytest.mark.parametrize(
    "value",
    [
        "Hello!",
        ANSWERED,
        [ANSWERED],
        {"choices": [{"index": 0, "message": ANSWERED, "finish_reason": "stop"}], "model": "m"},
        {"choices": [{"text": "Hello!", "index": 0}]},
        {"generations": [[{"text": "Hello!", "message": SERIALISED}]], "llm_output": {}},
        {"generations": [[{"text": "Hello!", "type": "Generation"}]]},
        {"output": SERIALISED},
        {"output": "Hello!"},
        {"answer": "Hello!", "sources": ["a", "b"]},
        {"messages": [*ASKED, {"type": "ai", "content": "Hello!"}]},
        {"messages": [{"role": "assistant", "content": "earlier"}, *ASKED, ANSWERED]},
    ],
)
def test_a_response_is_the_text_of_the_last_answer(value: Any) -> None:
    assert read_response(value) == "Hello!"
    assert read_response(json.dumps(value)) == "Hello!"


def test_steps_of_an_agent_before_its_answer_are_no_response() -> None:
    call = {"type": "ai", "content": "", "tool_calls": [{"name": "sum", "args": {"of": [1, 2]}, "id": "c1"}]}
    steps = [*ASKED, call, {"type": "tool", "content": "3"}, {"type": "ai", "content": "It is 3."}]
    assert read_response({"messages": steps}) == "It is 3."
    assert read_response({"messages": steps[:3]}) == '{"name": "sum", "arguments": {"of": [1, 2]}}'
    kept = {"type": "ai", "data": {"content": "", "tool_calls": call["tool_calls"]}}
    assert read_response({"messages": [kept]}) == '{"name": "sum", "arguments": {"of": [1, 2]}}'
    assert read_response({"messages": steps[:2]}) == '{"name": "sum", "arguments": {"of": [1, 2]}}'


def test_a_conversation_kept_beside_the_question_comes_before_it() -> None:
    value = {
        "question": "How?",
        "chat_history": [{"type": "human", "content": "Hi"}, {"type": "ai", "content": "Yo"}],
    }
    assert read_prompt(value) == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yo"},
        {"role": "user", "content": "How?"},
    ]
    assert read_prompt(value | {"history": value["chat_history"], "chat_history": None}) == read_prompt(value)
    assert read_prompt({"question": "How?", "chat_history": []}) == "How?"
    assert read_prompt({"input": ASKED, "history": [ANSWERED]}) == [ANSWERED, *ASKED]
    assert read_prompt({"a": 1, "history": ASKED}) == Fault(
        "is neither text nor messages but an object with a, history"
    )
    assert read_response({"answer": "So.", "chat_history": value["chat_history"]}) == "So."


def test_a_program_that_keeps_the_conversation_itself_answers_with_all_of_it() -> None:
    earlier = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]
    kept = {"messages": [*earlier, *ASKED, ANSWERED]}
    for given in ({"messages": ASKED}, "Hi", None, {"a": 1, "b": 2}):
        assert read_exchange(given, kept) == ([*earlier, *ASKED], "Hello!")
    whole = [{"role": "system", "content": "Be brief."}, *earlier, *ASKED]
    assert read_exchange(whole, kept) == (whole, "Hello!")
    assert read_exchange("Hi", {"messages": [*ASKED, ANSWERED]}) == ("Hi", "Hello!")
    assert read_exchange(ASKED, [ANSWERED]) == (ASKED, "Hello!")
    assert read_exchange("Hi", "Hello!") == ("Hi", "Hello!")
    assert read_exchange("Hi", [ANSWERED, ANSWERED, ANSWERED]) == ("Hi", "Hello!")


def test_a_system_prompt_beside_messages_comes_before_them() -> None:
    assert read_prompt({"system": "Be brief.", "messages": 7}) == Fault(
        "is neither text nor messages but a number"
    )
    assert read_prompt({"system": "Be brief.", "messages": ASKED}) == [
        {"role": "system", "content": "Be brief."},
        *ASKED,
    ]


@pytest.mark.parametrize("value", [None, "", [], {}, "{}", "[]", {"messages": None}, {"choices": []}])
def test_nothing_is_no_fault(value: Any) -> None:
    assert not read_prompt(value) and not isinstance(read_prompt(value), Fault)
    assert not read_response(value) and not isinstance(read_response(value), Fault)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"a": 1, "b": "x", "c": "y"}, "an object with a, b, c"),
        ('{"a": 1, "b": "x", "c": "y"}', "an object with a, b, c"),
        (dict.fromkeys("abcdefg", 1), "an object with a, b, c, d, e, …"),
        ([1, 2], "a list"),
        (["x", "y"], "a list"),
        (7, "a number"),
        (2.5, "a number"),
        (b"x", "a bytes"),
        ({"question": 7, "a": "x", "b": "y"}, "an object with question, a, b"),
        ([["a", "x"], ["user", "Hi"]], "a list"),
        ([[["a"], "x"], 1], "a list"),
        (True, "true or false"),
        (NotUtf8(), "text that is not UTF-8"),
    ],
)
def test_what_is_neither_text_nor_messages_is_told_with_its_keys(value: Any, reason: str) -> None:
    assert read_prompt(value) == Fault(f"is neither text nor messages but {reason}")
    assert read_response(value) == Fault(f"is neither text nor messages but {reason}")


def test_an_answer_that_looks_like_a_list_stays_text() -> None:
    assert read_response("[1, 2]") == "[1, 2]"
    assert read_response("[see](https://example.org)") == "[see](https://example.org)"
    assert read_response("{'") == "{'"


def test_what_only_looks_like_a_message_is_none() -> None:
    assert read_prompt({"role": "editor", "question": "Hi"}) == "Hi"
    assert read_prompt({"type": "essay", "content": "Hi"}) == "Hi"
    assert read_prompt({"type": {"a": 1}, "content": "Hi"}) == "Hi"
    assert read_prompt({"question": 7, "query": "Hi", "b": "x"}) == "Hi"
    assert read_prompt([["user"]]) == "user"
    assert read_prompt({"data": {"content": "Hi"}, "text": "Hi"}) == "Hi"
    assert read_prompt([{"role": "user", "content": "Hi", "id": ["a"]}]) == ASKED
    assert read_prompt([{"role": "user", "content": "Hi", "id": [], "kwargs": {}}]) == ASKED


def test_a_call_is_read_in_either_shape_and_one_that_is_none_is_a_fault() -> None:
    def called(*calls: Any) -> str | Fault | None:
        return read_response({"role": "assistant", "content": None, "tool_calls": list(calls)})

    assert (
        called({"name": "other", "function": {"name": "sum", "arguments": "{}"}})
        == '{"name": "sum", "arguments": {}}'
    )
    assert called({"name": "sum", "args": {"a": 1}}) == '{"name": "sum", "arguments": {"a": 1}}'
    for none in (7, {"name": 7}, {}):
        assert called(none) == Fault("has a tool call without a function and its name")


def test_messages_without_an_answer_after_the_last_question_are_no_response() -> None:
    assert read_response({"messages": [ANSWERED, *ASKED]}) == Fault("holds no message of an assistant")
    assert read_response([{"role": "assistant", "content": 7}]) == Fault(
        "has a message without role or content"
    )


def test_of_several_answers_none_is_guessed() -> None:
    two = {"choices": [{"message": ANSWERED}, {"message": ANSWERED}]}
    assert read_response(two) == Fault("holds 2 answers")
    assert read_response({"generations": [[{"text": "a"}, {"text": "b"}]]}) == Fault("holds 2 answers")


def test_objects_without_end_and_text_that_cannot_be_written_are_faults() -> None:
    deep: Any = "Hi"
    for _ in range(2000):
        deep = {"input": deep}
    assert isinstance(read_prompt(deep), Fault)
    assert read_prompt("[" * 100_000) == "[" * 100_000
    half = json.loads('"\\ud800"')
    assert read_prompt(half) == Fault("is text that is not UTF-8")
    assert read_prompt([{"role": "user", "content": half}]) == Fault("is text that is not UTF-8")
    assert read_prompt([{"role": half, "content": "Hi"}]) == Fault("is text that is not UTF-8")
    assert read_response({"role": "assistant", "content": half}) == Fault("is text that is not UTF-8")


def test_text_is_parsed_only_where_it_spells_an_object_a_list_or_a_quoted_text() -> None:
    assert parsed("7") == "7" and parsed("true") == "true" and parsed(' {"a": 1}') == {"a": 1}
    assert parsed('"a" "b"') == '"a" "b"' and parsed("('a', 'b')") == "('a', 'b')"
