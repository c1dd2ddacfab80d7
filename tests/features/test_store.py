"""The embedding store: each text once, whole shards or none, two writers at a time."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from tacit.features import EmbeddingStore, resolve_encoder
from tacit.features.hashing import HashingEncoder


class Counting(HashingEncoder):
    """A hashing encoder that remembers what it was asked."""

    def __init__(self, dimension: int = 16) -> None:
        super().__init__(dimension)
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
        self.asked += texts
        return super().encode(texts, quiet=quiet)


TEXTS = [f"text number {i} says {i * i}" for i in range(40)]


def shards(root: Path) -> list[Path]:
    return sorted(root.rglob("*.safetensors"))


def test_each_distinct_text_is_encoded_once_ever(tmp_path: Path) -> None:
    encoder = Counting()
    EmbeddingStore(tmp_path).encode(encoder, ["a", "b", "a"])
    EmbeddingStore(tmp_path).encode(encoder, ["b", "c", "a"])
    assert sorted(encoder.asked) == ["a", "b", "c"]


@pytest.mark.skipif(os.name == "nt", reason="files have no such modes there")
def test_shards_are_as_readable_as_other_files(tmp_path: Path) -> None:
    EmbeddingStore(tmp_path / "cache").encode(Counting(), TEXTS)
    (tmp_path / "any").touch()
    assert {path.stat().st_mode for path in shards(tmp_path)} == {(tmp_path / "any").stat().st_mode}


def test_vectors_are_bitwise_the_same_cached_or_not_in_any_order(tmp_path: Path) -> None:
    encoder = resolve_encoder("hashing:32")
    direct = encoder.encode(TEXTS)
    store = EmbeddingStore(tmp_path)
    np.testing.assert_array_equal(store.encode(encoder, TEXTS), direct)
    np.testing.assert_array_equal(store.encode(encoder, TEXTS[::-1]), direct[::-1])
    np.testing.assert_array_equal(EmbeddingStore(tmp_path).encode(encoder, TEXTS), direct)


def test_encoders_do_not_see_each_others_vectors(tmp_path: Path) -> None:
    store = EmbeddingStore(tmp_path)
    assert store.encode(Counting(16), TEXTS).shape == (40, 16)
    assert store.encode(Counting(24), TEXTS).shape == (40, 24)
    other = Counting(16)
    other.precision = "bf16"
    store.encode(other, TEXTS)
    assert len(other.asked) == len(TEXTS)


def test_the_root_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TACIT_CACHE", str(tmp_path))
    assert EmbeddingStore().root == tmp_path


def test_no_texts_are_no_vectors_and_no_file(tmp_path: Path) -> None:
    assert EmbeddingStore(tmp_path).encode(Counting(), []).shape == (0, 16)
    assert not shards(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "header", "flipped bit", "empty"])
def test_a_damaged_shard_is_ignored_with_a_warning_and_encoded_again(
    damage: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    encoder = Counting()
    direct = EmbeddingStore(tmp_path).encode(encoder, TEXTS)
    (shard,) = shards(tmp_path)
    content = bytearray(shard.read_bytes())
    if damage == "truncated":
        content = content[:-100]
    elif damage == "header":
        content[:8] = b"\xff" * 8
    elif damage == "flipped bit":
        content[-5] ^= 4
    else:
        content.clear()
    shard.write_bytes(content)
    encoder.asked.clear()
    with caplog.at_level(logging.WARNING, "tacit"):
        again = EmbeddingStore(tmp_path).encode(encoder, TEXTS)
    np.testing.assert_array_equal(again, direct)
    assert len(encoder.asked) == len(TEXTS) and shard.name in caplog.text
    encoder.asked.clear()
    EmbeddingStore(tmp_path).encode(encoder, TEXTS)
    assert not encoder.asked, "the damaged shard was not replaced"


def test_a_cache_that_cannot_be_written_costs_a_warning_not_the_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("in the way")
    with caplog.at_level(logging.WARNING, "tacit"):
        vectors = EmbeddingStore(tmp_path / "file").encode(Counting(), TEXTS)
    np.testing.assert_array_equal(vectors, Counting().encode(TEXTS))
    assert "going on without the cache" in caplog.text


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts the descriptors that Linux lists")
def test_a_store_that_meets_many_shards_keeps_none_of_them_open(tmp_path: Path) -> None:
    store, encoder, before = EmbeddingStore(tmp_path), Counting(), open_files()
    for text in TEXTS:
        store.encode(encoder, [text])
    np.testing.assert_array_equal(store.encode(encoder, TEXTS), HashingEncoder(16).encode(TEXTS))
    assert len(shards(tmp_path)) == len(encoder.asked) == len(TEXTS)
    assert open_files() - before < 5


def test_the_vectors_are_held_once_while_they_are_encoded_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tacit.features.store._FLUSH_TEXTS", 512)

    class Wide(HashingEncoder):
        def encode(self, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
            return np.ones((len(texts), self.dimension), np.float16)

    store, texts = EmbeddingStore(tmp_path), [f"text {i}" for i in range(8192)]
    store.encode(Wide(2048), texts[:1])  # what is imported on the way is not counted
    for _ in range(2):  # encoded, then read
        tracemalloc.start()
        vectors = store.encode(Wide(2048), texts)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 1.6 * vectors.nbytes


@pytest.mark.parametrize("change", ["gone", "cut short", "another"])
def test_a_shard_that_changes_under_an_open_store_is_encoded_again_and_stored(
    change: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store, encoder = EmbeddingStore(tmp_path), Counting()
    direct = store.encode(encoder, TEXTS)
    (shard,) = shards(tmp_path)
    if change == "gone":
        shard.unlink()
    elif change == "cut short":
        shard.write_bytes(shard.read_bytes()[:-100])
    else:
        EmbeddingStore(tmp_path / "other").encode(encoder, TEXTS[::-1])
        shards(tmp_path / "other")[0].replace(shard)
    encoder.asked.clear()
    np.testing.assert_array_equal(store.encode(encoder, TEXTS), direct)
    assert len(encoder.asked) == len(TEXTS) and shard.name in caplog.text
    encoder.asked.clear()
    store.encode(encoder, TEXTS)
    assert not encoder.asked


WRITER = """
import sys
from pathlib import Path
from tacit.features import EmbeddingStore, resolve_encoder
import tacit.features.store as store
store._FLUSH_TEXTS, store._CHUNK = 20, 10
start = int(sys.argv[2])
texts = [f"text {i}" for i in range(start, start + 600)]
EmbeddingStore(Path(sys.argv[1])).encode(resolve_encoder("hashing:16"), texts)
"""


def test_two_processes_write_at_once_and_every_vector_is_right(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(start)]) for start in (0, 300, 0)
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    encoder = Counting()
    texts = [f"text {i}" for i in range(900)]
    cached = EmbeddingStore(tmp_path).encode(encoder, texts)
    assert not encoder.asked
    np.testing.assert_array_equal(cached, encoder.encode(texts))
    assert not [name for _, _, names in os.walk(tmp_path) for name in names if name.endswith(".tmp")]


def test_an_interrupted_run_keeps_what_it_had_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tacit.features.store._CHUNK", 10)
    monkeypatch.setattr("tacit.features.store._FLUSH_TEXTS", 10)

    class Dying(Counting):
        def encode(self, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
            if len(self.asked) >= 20:
                raise KeyboardInterrupt
            return super().encode(texts, quiet=quiet)

    with pytest.raises(KeyboardInterrupt):
        EmbeddingStore(tmp_path).encode(Dying(), TEXTS)
    encoder = Counting()
    EmbeddingStore(tmp_path).encode(encoder, TEXTS)
    assert len(encoder.asked) == len(TEXTS) - 20
