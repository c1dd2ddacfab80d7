"""Rows logged twice are counted: alike in every column, whatever its type and however the table is cut."""

from __future__ import annotations

import datetime
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tacit.data import FeedbackLog, copies, summarise
from tacit.data.copies import count_copies

CHAT = [[{"role": "user", "content": "Hi"}], [{"role": "user", "content": ""}], [], None]
VALUES: dict[str, list[Any]] = {
    "text": ["a", "b", "ab", "ba", "", "é", "a\0", None],
    "number": [0, 1, -1, 2**60, None],
    "float": [0.5, -0.5, 1e300, None],
    "flag": [True, False, None],
    "chat": [*CHAT, [*CHAT[0], *CHAT[0]]],
    "object": [{"a": 1, "b": "x"}, {"a": None, "b": "x"}, {"a": 1, "b": None}, None],
    "bytes": [b"a", b"\0", b"", None],
    "day": [datetime.date(2026, 11, 1), datetime.date(2026, 11, 2), None],
    "words": [[["", ""]], [[""]], [[]]],
    "lists": [[[1], [2]], [[1, 2]], [[1], [], [2]], [None, [1]], None],
}


def by_hand(rows: list[dict[str, Any]]) -> int:
    return len(rows) - len({repr(row) for row in rows})


@pytest.mark.parametrize("name", VALUES)
def test_copies_of_every_type_are_counted_as_by_hand(name: str) -> None:
    values = VALUES[name]
    assert count_copies(pa.table({name: values})) == 0
    dice = random.Random(0)
    rows = [{name: dice.choice(values), "slot": dice.choice([0, 1])} for _ in range(2 * len(values))]
    assert 0 < count_copies(pa.Table.from_pylist(rows)) == by_hand(rows)


@pytest.mark.parametrize("seed", range(5))
def test_columns_together_are_counted_as_by_hand_in_any_chunks_and_blocks(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copies, "_PER_TIME", 7)
    dice = random.Random(seed)
    some = [{name: dice.choice(values) for name, values in VALUES.items()} for _ in range(60)]
    rows = [dice.choice(some) | {"text": dice.choice(["word " * 3, "word " * 4, None])} for _ in range(150)]
    schema = pa.Table.from_pylist(rows).schema
    table = pa.concat_tables([pa.Table.from_pylist(rows[i : i + 11], schema) for i in range(0, 150, 11)])
    assert 0 < count_copies(table) == by_hand(rows)
    assert count_copies(table.slice(13, 90)) == by_hand(rows[13:103])
    wide = table.set_column(0, "text", table.column("text").cast(pa.large_string()).dictionary_encode())
    assert count_copies(wide) == by_hand(rows)


def test_texts_of_the_same_letters_in_another_order_are_no_copies() -> None:
    dice = np.random.default_rng(0)
    texts = ["".join(dice.permutation(list("abcdefgh" * 8))) for _ in range(20_000)]
    assert count_copies(pa.table({"text": texts})) == len(texts) - len(set(texts)) == 0


def test_a_row_without_usable_text_is_no_copy_and_one_other_column_makes_two_events() -> None:
    row = {"prompt": "p", "response": "r", "copied": 1, "at": 1}
    log = FeedbackLog.read([row, row, row | {"at": 2}, {**row, "response": ""}, {**row, "response": ""}])
    assert summarise(log).copies == summarise(log).to_json()["copies"] == 1
