"""Style, scaling and context: what becomes of the columns that are not embeddings."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import DataError, ModelError
from tacit.features import STYLE_NAMES, ContextCodec, Standardiser, idle_columns, style_features
from tacit.features.words import count_words


def count(response: str, name: str) -> int:
    return round(float(np.expm1(style_features([response])[0, STYLE_NAMES.index(name)])))


@pytest.mark.parametrize(
    ("response", "name", "expected"),
    [
        ("one two  three\nfour", "log_length", 4),
        ("“naïve” – one… two\x1fthree？four \u3000 é", "log_length", 6),
        ("你好，世界。", "log_length", 4),
        ("请用 “Python 3”（3.11）排序……", "log_length", 7),
        ("東京タワーへ行く々〆", "log_length", 10),
        ("ｶﾀｶﾅ", "log_length", 4),
        ("ภาษาไทย ที่นี่", "log_length", 9),
        ("မြန်မာ", "log_length", 3),
        ("한국어 문장", "log_length", 2),
        ("𠮷野家", "log_length", 3),
        ("a\n```py\nx = 1\n```\nb\n```\ny\n```", "code_blocks", 2),
        ("```py\nbroken off", "code_blocks", 1),
        ("call `f` and `g`", "inline_code", 2),
        ("- a\n* b\n1. c\n 2) d\n-not", "list_items", 4),
        ("```\n- a\n# b\n```", "list_items", 0),
        ("```\n- a\n# b\n```", "headers", 0),
        ("one\nstill one\n\ntwo\n  \nthree", "paragraphs", 3),
        ("# A\n## B\n#C", "headers", 2),
        ("**a** and **b**", "bold", 2),
        ("Really? なぜ？", "questions", 2),
        ("in 1984", "digits", 4),
        ("see https://a.b/c and http://d", "links", 2),
    ],
)
def test_style_counts(response: str, name: str, expected: int) -> None:
    assert count(response, name) == expected


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.characters(max_codepoint=0xDFF) | st.sampled_from(" ？，。、”—…한")))
def test_a_text_with_spaces_between_its_words_is_counted_by_them(response: str) -> None:
    assert count_words(response) == len(response.split())


@pytest.mark.parametrize(
    ("response", "unfinished"),
    [
        ("Done.", 0),
        ("Done. \n", 0),
        ("and then the", 1),
        ("```\ncode\n```", 0),
        ("```\ncode.", 1),
        ("", 1),
        ("良い。", 0),
    ],
)
def test_unfinished_means_broken_off(response: str, unfinished: int) -> None:
    assert style_features([response])[0, STYLE_NAMES.index("unfinished")] == unfinished


@pytest.mark.parametrize("end", ["\r\n", "\r"])
def test_style_does_not_depend_on_the_kind_of_line_end(end: str) -> None:
    text = "# Sum\n\nUse `sum`:\n\n```py\nx = sum(y)\n\nz = 1\n```\n\n- one **bold**\n- two\n  \nDone"
    np.testing.assert_array_equal(style_features([text.replace("\n", end)]), style_features([text]))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters() | st.sampled_from("`~#-*\n 1.?"), max_size=200))
def test_style_is_finite_and_not_negative_on_any_text(response: str) -> None:
    row = style_features([response])
    assert row.dtype == np.float32 and row.shape == (1, len(STYLE_NAMES))
    assert np.isfinite(row).all() and (row >= 0).all()


def test_style_takes_linear_time_on_hostile_text() -> None:
    style_features(
        [
            "`" * 50_000,
            "- " * 50_000,
            " " * 100_000,
            "\n" * 50_000,
            "**" * 50_000,
            "x" * 200_000 + "\ny",
            "```\n" * 9_999,
            "-" * 100_000 + "語",
        ]
    )


def test_standardising_in_chunks_equals_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    x = (np.random.default_rng(0).normal(size=(1000, 5)) * [1, 10, 0.1, 1, 1] + [0, 1000, 0, 5, 0]).astype(
        np.float32
    )
    monkeypatch.setattr("tacit.features.scaling._CELLS", 35)
    scaler = Standardiser.fit(x)
    np.testing.assert_allclose(scaler.mean, x.astype(np.float64).mean(0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(scaler.scale, x.astype(np.float64).std(0), rtol=1e-5)
    assert scaler.apply(x).dtype == np.float32


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_constant_column_becomes_zero(dtype: type) -> None:
    x = np.full((50, 2), 0.1, dtype=dtype)
    np.testing.assert_allclose(Standardiser.fit(x).apply(x), 0, atol=1e-6)


def test_standardiser_survives_the_round_trip_and_names_bad_cells() -> None:
    scaler = Standardiser.fit(np.arange(6.0).reshape(3, 2))
    again = Standardiser.from_tensors(scaler.tensors())
    np.testing.assert_array_equal(again.scale, scaler.scale)
    with pytest.raises(DataError, match="row 1, column 0 is nan"):
        Standardiser.fit(np.array([[1.0, 2.0], [np.nan, 3.0]]))
    with pytest.raises(DataError, match=r"expected \[N, 2\]"):
        scaler.apply(np.zeros((3, 3)))
    with pytest.raises(ModelError, match="'scale' is missing"):
        Standardiser.from_tensors({"mean": scaler.mean})


def test_context_numbers_are_standardised_and_categories_one_hot() -> None:
    codec = ContextCodec.fit(
        {"slot": np.array([0, 1, 2, 3]), "device": np.array(["pc", "phone", "pc", "pc"])}
    )
    assert codec.names == ("slot", "device=pc", "device=phone", "device=(other)")
    out = codec.transform({"slot": np.array([0, 3]), "device": np.array(["pc", "phone"], dtype=object)})
    np.testing.assert_allclose(out[:, 0], [-1.3416408, 1.3416408], rtol=1e-6)
    np.testing.assert_array_equal(out[:, 1:], [[1, 0, 0], [0, 1, 0]])


def test_rare_levels_and_unseen_ones_share_the_other_level() -> None:
    codec = ContextCodec.fit({"lang": np.array(["en"] * 90 + ["de"] * 8 + ["fr", "it"])})
    assert codec.names == ("lang=en", "lang=de", "lang=(other)")
    np.testing.assert_array_equal(codec.transform({"lang": np.array(["fr", "xx"])}), [[0, 0, 1]] * 2)


def test_an_unseen_level_is_the_average_row_where_no_other_was_trained() -> None:
    codec = ContextCodec.fit({"lang": np.array(["en"] * 75 + ["de"] * 25)})
    np.testing.assert_allclose(codec.transform({"lang": np.array(["xx"])}), [[0.75, 0.25, 0]])


def test_none_is_a_level_of_text_and_an_error_among_numbers() -> None:
    codec = ContextCodec.fit({"lang": np.array(["en", None, None, "en"], dtype=object)})
    assert "lang=(missing)" in codec.names
    with pytest.raises(DataError, match="'slot', row 1: found nan"):
        ContextCodec.fit({"slot": np.array([1, None, 2], dtype=object)})


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_and_infinity_are_refused_with_column_and_row(bad: float) -> None:
    codec = ContextCodec.fit({"slot": np.array([1.0, 2.0])})
    with pytest.raises(DataError, match="'slot', row 2"):
        codec.transform({"slot": np.array([1.0, 2.0, bad])})


def test_a_missing_column_and_text_for_numbers_are_refused() -> None:
    codec = ContextCodec.fit({"slot": np.array([1, 2])})
    with pytest.raises(DataError, match=r"'slot' is missing \(found: device\)"):
        codec.transform({"device": np.array(["pc"])})
    with pytest.raises(DataError, match="holds text"):
        codec.transform({"slot": np.array(["one"])})


@pytest.mark.parametrize(
    "values", [np.array([1.0, 2.0]), np.array([True, False]), np.array([1, None], dtype=object)]
)
def test_numbers_for_text_are_refused_instead_of_losing_every_level(values: np.ndarray) -> None:
    codec = ContextCodec.fit({"build": np.array(["1", "2", "True", "False"] * 9, dtype=object)})
    with pytest.raises(
        DataError, match=r"^context column 'build' holds numbers .*fitted on text.*write"
    ) as told:
        codec.transform({"build": values})
    assert "\n" not in str(told.value)
    assert codec.transform({"build": np.array([])}).shape == (0, 5)  # no rows are neither


@pytest.mark.parametrize("large", [1e300, 1e160, -1e300, 1.7e308])
def test_numbers_too_large_to_standardise_are_refused_by_column(large: float) -> None:
    with pytest.raises(
        DataError, match=rf"^context column 'slot': found {re.escape(f'{large:.3g}')}, expected .*rescale"
    ) as told:
        ContextCodec.fit({"slot": np.array([0.0, large, 2.0])})
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("values", [[1e100] * 3, [1e30, 0.0, 2e30], [1.0, 1.0 + 1e-12, 1.0]])
def test_what_a_codec_takes_becomes_finite_numbers(values: list[float]) -> None:
    columns = {"slot": np.array(values)}
    assert np.isfinite(ContextCodec.fit(columns).transform(columns)).all()


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.full(90, 3.0), "is constant"),
        (np.array(["pc"] * 90, dtype=object), "is constant"),
        (
            np.array([f"10:{i % 60}" for i in range(90)], dtype=object),
            "has only levels too rare to use (each on fewer than 5 rows)",
        ),
        (np.arange(90.0), None),
        (np.array(["pc"] * 85 + ["phone"] * 5, dtype=object), None),
        (np.array(["pc"] * 89 + ["phone"], dtype=object), None),  # the rare one is told from the rest
    ],
)
def test_a_column_is_idle_exactly_when_its_numbers_do_not_vary(values: np.ndarray, why: str | None) -> None:
    assert idle_columns({"slot": values}) == ({} if why is None else {"slot": why})
    varies = np.ptp(ContextCodec.fit({"slot": values}).transform({"slot": values}), axis=0).any()
    assert varies == (why is None)


def test_no_context_is_no_columns() -> None:
    codec = ContextCodec.fit({})
    assert codec.names == () and codec.transform({"unused": np.zeros(3)}).shape == (3, 0)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(st.text(max_size=3), st.booleans(), st.none(), st.integers(-5, 5)), min_size=1, max_size=60
    ),
    st.lists(st.floats(-1e9, 1e9), min_size=60, max_size=60),
)
def test_a_codec_read_back_from_json_transforms_the_same(mixed: list[object], numbers: list[float]) -> None:
    columns = {"mixed": np.array([*mixed, "text"], dtype=object), "n": np.array(numbers[: len(mixed) + 1])}
    columns["n"] = np.resize(columns["n"], len(mixed) + 1)
    codec = ContextCodec.fit(columns)
    again = ContextCodec.from_json(json.loads(json.dumps(codec.to_json())))
    out = codec.transform(columns)
    assert out.shape == (len(mixed) + 1, len(codec.names)) and np.isfinite(out).all()
    np.testing.assert_array_equal(again.transform(columns), out)


def test_a_damaged_codec_is_a_model_error() -> None:
    with pytest.raises(ModelError, match="damaged"):
        ContextCodec.from_json(
            {"columns": [{"column": "a", "kind": "categorical", "levels": ["x"], "shares": []}]}
        )
