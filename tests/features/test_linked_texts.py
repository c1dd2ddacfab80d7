"""Which parts of the texts a context links, on tables whose answer is known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tacit.features.links import LOOSE, Links, find_links

ROWS = 400
TOPIC = np.arange(ROWS) // (ROWS // 2)  # 0 in the first half, 1 in the second
INNER = np.arange(ROWS) % 2  # varies within each topic


def hot(level_N: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.eye(int(level_N.max()) + 1)[level_N]


def links(text_N: NDArray[np.int64], *context: NDArray[np.float64], seen: object = True) -> Links | None:
    seen_N = np.broadcast_to(np.asarray(seen, dtype=bool), len(text_N))
    return find_links(hot(text_N), np.concatenate(context, axis=1), np.arange(len(text_N)), seen_N)


def shares(text_N: NDArray[np.int64], *context: NDArray[np.float64], seen: object = True) -> list[float]:
    found = links(text_N, *context, seen=seen)
    assert found is not None
    return found.shares


def test_texts_on_surfaces_of_their_own_are_parts_and_texts_on_the_same_surfaces_are_not() -> None:
    own = links(TOPIC, hot(2 * TOPIC + INNER))
    assert own is not None and own.shares == [0.5, 0.5] and own.crossing == 0 and own.left == 0
    assert own.part_N.tolist() == own.part_N[[0, -1]].repeat(ROWS // 2).tolist()
    same = links(TOPIC, hot(INNER))
    assert same is not None and same.shares == [1.0] and same.crossing is None and same.left == 1


def test_there_are_as_many_parts_as_components_the_largest_first() -> None:
    topic = np.repeat([0, 1, 2, 3], [60, 200, 40, 100])
    assert shares(topic, hot(2 * topic + INNER)) == [0.5, 0.25, 0.15, 0.1]
    joined = np.where(topic == 3, 2, topic)  # 2 and 3 on the same surfaces
    assert shares(topic, hot(2 * joined + INNER)) == [0.5, 0.35, 0.15]


def test_a_column_that_both_share_does_not_link_what_another_column_keeps_apart() -> None:
    assert shares(TOPIC, hot(2 * TOPIC + INNER), hot(np.arange(ROWS) % 3)) == [0.5, 0.5]


def test_a_surface_that_both_share_links_them() -> None:
    surface = np.where(np.arange(ROWS) % 4 < 2, 2, TOPIC)  # half of each topic on surface 2
    assert shares(TOPIC, hot(surface)) == [1.0]


def test_what_only_a_product_of_columns_tells_is_linked_by_their_sum() -> None:
    first, second = np.arange(ROWS) // 2 % 2, INNER
    found = links(first ^ second, hot(first), hot(second))
    assert found is not None and found.shares == [1.0] and found.left == 1


def test_a_number_ties_its_values_by_the_slope() -> None:
    surface = 3 * TOPIC + np.arange(ROWS) % 3  # 0, 1, 2 against 3, 4, 5
    assert shares(TOPIC, hot(surface)) == [0.5, 0.5]
    assert shares(TOPIC, surface[:, None].astype(float)) == [1.0]


@pytest.mark.parametrize(("crossing", "parts"), [(0.02, 2), (0.05, 2), (0.08, 1)])
def test_two_equal_parts_are_left_with_4q_times_1_less_q_where_a_share_q_crosses(
    crossing: float, parts: int
) -> None:
    side = TOPIC.copy()
    for topic in (0, 1):
        side[np.flatnonzero(topic == TOPIC)[: round(crossing * ROWS / 2)]] = 1 - topic
    found = links(TOPIC, hot(side))
    assert found is not None and found.left == pytest.approx(4 * crossing * (1 - crossing), abs=1e-4)
    assert (found.left < LOOSE, len(found.shares)) == (parts == 2, parts)
    assert found.crossing == (pytest.approx(crossing) if parts == 2 else None)


def test_rows_whose_signal_could_not_be_recorded_link_nothing_and_belong_to_the_part_of_their_text() -> None:
    side, crosses = TOPIC.copy(), np.arange(ROWS) % 4 == 0
    side[crosses] = 1 - TOPIC[crosses]
    assert shares(TOPIC, hot(side)) == [1.0]
    assert shares(TOPIC, hot(side), seen=~crosses) == [0.5, 0.5]


def test_of_few_prompts_nothing_is_said() -> None:
    text, context = hot(TOPIC), hot(2 * TOPIC + INNER)
    for prompts, known in ((15, False), (40, True)):
        found = find_links(text, context, np.arange(ROWS) % prompts, np.ones(ROWS, dtype=bool))
        assert (found is not None) == known


def test_context_drawn_apart_from_texts_is_never_taken_for_parts() -> None:
    for seed in range(40):
        chance = np.random.default_rng(seed)
        prompts = int(chance.integers(40, 400))
        text = chance.normal(size=(prompts, 64)).repeat(4, axis=0)  # texts that vary with the prompt alone
        context = np.concatenate(
            [hot(chance.integers(levels, size=prompts)).repeat(4, axis=0) for levels in (2, 3, 12)], axis=1
        )
        found = find_links(text, context, np.arange(prompts).repeat(4), np.ones(len(text), dtype=bool))
        assert found is None or found.shares == [1.0]
