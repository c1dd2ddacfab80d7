"""The embedding store: vectors on disk under (encoder, text), so that no text is encoded twice.

    <root>/<encoder hash>-<precision>/<hash of keys>.safetensors   keys uint8 [n, 32], vectors float16
    [n, D]

A shard is written under a temporary name and renamed, and its name follows from what it holds: two processes
can write at once, and the worst that happens is that both encode the same text. Shards are read through
memory maps, each for as long as its rows are copied.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from tacit.errors import DataError
from tacit.features.encoder import Encoder
from tacit.files import atomic_path
from tacit.progress import progress

logger = logging.getLogger("tacit")

_CHUNK = 512  # texts between two looks at the clock
_FLUSH_TEXTS = 4096  # a shard holds at least so many texts …
_FLUSH_SECONDS = 30.0  # … or what this long took: what a kill can lose


@dataclass
class _Folder:
    """What is known of one encoder's folder: its sound shards, and in which of them, at which row, each key lies.

    No shard stays open: a process that serves for weeks meets more of them than it may hold file descriptors.
    """

    path: Path
    dimension: int
    seen: set[str] = field(default_factory=set)
    place: dict[bytes, tuple[str, int]] = field(default_factory=dict)

    def refresh(self) -> None:
        """Index the shards that appeared since the last look; a damaged one is left out with a warning."""
        if not self.path.is_dir():
            return
        found = {path.name for path in self.path.glob("*.safetensors")}
        for name in sorted(found - self.seen):
            try:
                keys, vectors, crc = _open_shard(self.path / name, self.dimension)
                if _checksum(keys, vectors) != crc:
                    raise ValueError("checksum differs")
            except (OSError, ValueError) as error:
                self.seen.add(name)
                self._ignored(name, error)
                continue
            self.add(name, [key.tobytes() for key in keys])

    def add(self, name: str, keys: list[bytes]) -> None:
        """Index one shard, which holds these keys in this order."""
        self.seen.add(name)
        self.place.update((key, (name, at)) for at, key in enumerate(keys))

    def read(self, rows: dict[bytes, int], vectors_ND: np.ndarray) -> list[int]:
        """Copy the vector of every key that is stored into its row; the rows of the others are returned.

        A shard that has gone or changed since it was indexed is forgotten, with a warning.
        """
        missing: list[int] = []
        parts: dict[str, list[tuple[bytes, int]]] = {}
        for key, row in rows.items():
            name, at = self.place.get(key, ("", 0))
            if name:
                parts.setdefault(name, []).append((key, at))
            else:
                missing.append(row)
        for name, part in parts.items():
            rows_n, at_n = [rows[key] for key, _ in part], np.array([at for _, at in part])
            try:
                keys, vectors, _ = _open_shard(self.path / name, self.dimension)
                if len(keys) <= at_n.max() or keys[at_n].tobytes() != b"".join(key for key, _ in part):
                    raise ValueError("changed since it was indexed")
                vectors_ND[rows_n] = vectors[at_n]
            except (OSError, ValueError) as error:
                self._ignored(name, error)
                self._forget(name)
                missing += rows_n
        return missing

    def _forget(self, name: str) -> None:
        self.seen.discard(name)
        self.place = {key: place for key, place in self.place.items() if place[0] != name}

    def _ignored(self, name: str, error: Exception) -> None:
        logger.warning(
            "embedding cache: ignoring %s (%s); its texts are encoded again", self.path / name, error
        )


class EmbeddingStore:
    """A content-addressed cache of text vectors.

    Args:
        root: folder of the cache; None takes `$TACIT_CACHE`, else `~/.cache/tacit/embeddings`.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> from tacit.features import EmbeddingStore, resolve_encoder
        >>> encoder = resolve_encoder("hashing:32")
        >>> with TemporaryDirectory() as folder:
        ...     store = EmbeddingStore(Path(folder))
        ...     first = store.encode(encoder, ["yes", "no", "yes"])
        ...     again = EmbeddingStore(Path(folder)).encode(encoder, ["no"])
        >>> first.shape, bool((again[0] == first[1]).all())
        ((3, 32), True)
    """

    def __init__(self, root: Path | None = None) -> None:
        if root is None:
            named = os.environ.get("TACIT_CACHE")
            root = Path(named) if named else Path.home() / ".cache" / "tacit" / "embeddings"
        self.root = root
        self._folders: dict[Path, _Folder] = {}

    def encode(self, encoder: Encoder, texts: Sequence[str], *, quiet: bool = True) -> np.ndarray:
        """Return float16 [N, D], encoding only texts that no earlier call has encoded.

        A folder that cannot be written costs a warning, never the result.
        """
        path = self.root / f"{encoder.content_hash[:16]}-{encoder.precision}"
        folder = self._folders.setdefault(path, _Folder(path, encoder.dimension))
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        wanted: dict[bytes, int] = {}
        for row, key in enumerate(keys):
            wanted.setdefault(key, row)
        if any(key not in folder.place for key in wanted):
            folder.refresh()
        vectors_ND = np.empty((len(keys), encoder.dimension), dtype=np.float16)
        missing = folder.read(wanted, vectors_ND)
        self._compute(encoder, folder, keys, texts, missing, vectors_ND, quiet=quiet)
        for row, key in enumerate(keys):
            if row != wanted[key]:
                vectors_ND[row] = vectors_ND[wanted[key]]
        return vectors_ND

    def _compute(
        self,
        encoder: Encoder,
        folder: _Folder,
        keys: list[bytes],
        texts: Sequence[str],
        missing: list[int],
        vectors_ND: np.ndarray,
        *,
        quiet: bool,
    ) -> None:
        """Encode `missing` rows, longest first (memory runs out early or never), and write them as shards."""
        if not missing:
            return
        missing.sort(key=lambda row: len(texts[row]), reverse=True)
        pending: list[int] = []
        writable, last = True, time.monotonic()
        with progress(f"encoding ({encoder.name})", len(missing), quiet=quiet) as bar:
            for start in range(0, len(missing), _CHUNK):
                rows = missing[start : start + _CHUNK]
                vectors = encoder.encode([texts[row] for row in rows], quiet=True)
                if vectors.shape != (len(rows), encoder.dimension):
                    raise DataError(
                        f"encoder {encoder.name!r} gave shape {vectors.shape} for {len(rows)} texts; "
                        f"expected ({len(rows)}, {encoder.dimension})"
                    )
                vectors_ND[rows] = vectors
                pending += rows
                done = start + _CHUNK >= len(missing)
                if done or len(pending) >= _FLUSH_TEXTS or time.monotonic() - last > _FLUSH_SECONDS:
                    writable = writable and _flush(
                        folder, [keys[row] for row in pending], vectors_ND[pending]
                    )
                    pending, last = [], time.monotonic()
                bar.advance(len(rows))


def _flush(folder: _Folder, keys: list[bytes], vectors_ND: np.ndarray) -> bool:
    """Write one shard and index it; False, with a warning, where the disk does not take it."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    keys_N32 = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(-1, 32)
    tensors = {"keys": keys_N32, "vectors": vectors_ND}
    target = folder.path / f"{hashlib.sha256(keys_N32.tobytes()).hexdigest()[:24]}.safetensors"
    try:
        with atomic_path(target) as temporary:
            save_file(tensors, str(temporary), metadata={"crc32": str(_checksum(keys_N32, vectors_ND))})
    except (OSError, SafetensorError) as error:  # which wraps a full disk
        logger.warning("embedding cache: cannot write %s (%s); going on without the cache", target, error)
        return False
    folder.add(target.name, keys)
    return True


def _checksum(keys: np.ndarray, vectors: np.ndarray) -> int:
    return zlib.crc32(np.ascontiguousarray(vectors).data, zlib.crc32(np.ascontiguousarray(keys).data))


def _open_shard(path: Path, dimension: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Map a shard's keys [n, 32] and vectors [n, D], and the checksum it states; ValueError says what is wrong."""
    with path.open("rb") as handle:
        size = int.from_bytes(handle.read(8), "little")
        if size > path.stat().st_size:
            raise ValueError("header cut short")
        header = json.loads(handle.read(size))  # a JSONDecodeError is a ValueError
    try:
        rows = header["keys"]["shape"][0]
        stated = (header["keys"]["shape"], header["vectors"]["shape"])
        types = (header["keys"]["dtype"], header["vectors"]["dtype"])
        at_keys, at_vectors = (8 + size + header[name]["data_offsets"][0] for name in ("keys", "vectors"))
        crc = int(header["__metadata__"]["crc32"])
    except (KeyError, IndexError, TypeError) as error:
        raise ValueError("not a shard of this cache") from error
    if stated != ([rows, 32], [rows, dimension]) or types != ("U8", "F16") or rows < 1:
        raise ValueError(f"holds {types} {stated}, expected {dimension} numbers per text")
    # numpy refuses, with a ValueError, to map beyond the end of a file that was cut short.
    keys = np.memmap(path, np.uint8, "r", at_keys, (rows, 32))
    vectors = np.memmap(path, np.float16, "r", at_vectors, (rows, dimension))
    return keys, vectors, crc
