"""The encoder contract on the hashing encoder, pairs, and what names resolve to."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tacit.errors import ConfigError, DataError
from tacit.features import embed_pairs, pair_dimension, resolve_encoder


@pytest.mark.parametrize(
    "spec",
    [
        "minilmm",
        "nope",
        "",
        "hashing:",
        "hashing:x",
        "hashing:-4",
        "hashing:3",
        "./none",
        "/no/such/folder",
        "a/b/c",
    ],
)
def test_unknown_names_are_refused_in_one_line_without_the_network(
    spec: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *a: pytest.fail("reached for the network"))
    with pytest.raises(ConfigError) as refused:
        resolve_encoder(spec)
    assert "\n" not in str(refused.value)


def test_a_near_miss_is_answered_with_the_right_name() -> None:
    with pytest.raises(ConfigError, match="did you mean 'hashing'"):
        resolve_encoder("hasing")


def test_hashing_vectors_are_unit_length_and_know_their_dimension() -> None:
    encoder = resolve_encoder("hashing:512")
    vectors = encoder.encode(["one two three", "four", "日本語 テキスト"])
    assert vectors.dtype == np.float16 and vectors.shape == (3, encoder.dimension) == (3, 512)
    np.testing.assert_allclose(np.linalg.norm(vectors.astype(np.float64), axis=1), 1, atol=2e-3)


def test_a_text_without_words_is_the_zero_vector_not_nan() -> None:
    assert not resolve_encoder("hashing").encode(["", "?!"]).any()


def test_encoders_of_different_size_have_different_hashes() -> None:
    assert resolve_encoder("hashing").content_hash == resolve_encoder("hashing:256").content_hash
    assert resolve_encoder("hashing").content_hash != resolve_encoder("hashing:128").content_hash


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(), min_size=1, max_size=8))
def test_a_hashed_text_has_the_same_vector_alone_and_in_company(texts: list[str]) -> None:
    encoder = resolve_encoder("hashing:64")
    alone = np.concatenate([encoder.encode([text]) for text in texts])
    np.testing.assert_array_equal(encoder.encode(texts), alone)


def test_half_an_emoji_is_encoded_like_its_replacement() -> None:
    encoder = resolve_encoder("hashing:64")
    np.testing.assert_array_equal(encoder.encode(["cut \ud83d here"]), encoder.encode(["cut ? here"]))


@pytest.mark.parametrize(("texts", "found"), [(["a", None], "text 1.*NoneType"), ("a string", "one string")])
def test_what_is_not_a_list_of_strings_is_refused(texts: list[str], found: str) -> None:
    with pytest.raises(DataError, match=found):
        resolve_encoder("hashing").encode(texts)


def test_a_pair_is_response_match_and_prompt() -> None:
    encoder = resolve_encoder("hashing:64")
    prompts, responses = ["why is it so", "why is it so", "when"], ["because it is so", "no idea", "now"]
    pairs = embed_pairs(encoder, prompts, responses, [[]] * 3, None).astype(np.float64)
    assert pairs.shape == (3, pair_dimension(encoder))
    r, match, p = pairs[:, :64], pairs[:, 64:128], pairs[:, 128:]
    np.testing.assert_allclose(r, encoder.encode(responses), atol=1e-3)
    np.testing.assert_allclose(p, encoder.encode(prompts), atol=1e-3)
    np.testing.assert_allclose(match, 8 * p * r, atol=1e-2)


def test_each_distinct_prompt_is_encoded_once() -> None:
    encoder = resolve_encoder("hashing:64")
    seen: list[str] = []
    inner = encoder.encode

    def counting(texts: list[str], *, quiet: bool = True) -> np.ndarray:
        seen.extend(texts)
        return inner(texts, quiet=quiet)

    encoder.encode = counting  # type: ignore[method-assign, assignment]
    embed_pairs(encoder, ["p"] * 50, [f"r{i}" for i in range(50)], [[]] * 50, None)
    assert seen.count("p") == 1 and len(seen) == 51


def test_pairs_of_unequal_length_are_refused() -> None:
    with pytest.raises(DataError, match="2 prompts but 1 responses"):
        embed_pairs(resolve_encoder("hashing"), ["a", "b"], ["c"], [[]], None)


def test_importing_the_room_loads_no_heavy_library() -> None:
    heavy = "{'torch', 'transformers', 'sklearn', 'datasets'}"
    code = f"import sys, tacit.features; print({heavy} & set(sys.modules))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        == "set()\n"
    )
