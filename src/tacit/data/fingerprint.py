"""A log's identity: the same roles and the same content give the same hash, whatever file they came from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tacit.data.roles import Roles
from tacit.data.texts import TEXT


def fingerprint(table: Any, roles: Roles) -> str:
    """SHA-256 over the roles and every role column, as hex."""
    digest = hashlib.sha256(json.dumps(roles.to_json(), sort_keys=True).encode())
    for name in dict.fromkeys(column for column, _ in roles.columns()):
        digest.update(json.dumps(name).encode())
        _add_column(digest, table.column(name))
    return digest.hexdigest()


def _add_column(digest: Any, column: Any) -> None:
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):  # what combine_chunks gives for no rows
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if pa.types.is_nested(array.type):
        array = pa.array(
            [json.dumps(value, sort_keys=True, default=str) for value in array.to_pylist()], TEXT
        )
    # As text, so that an id is the same from a CSV and from a Parquet file; lengths first, so that "a","bc"
    # and "ab","c" differ, and -1 for null.
    text = array.cast(TEXT)
    lengths = pc.fill_null(pc.binary_length(text).cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    digest.update(np.ascontiguousarray(lengths, dtype="<i8").tobytes())
    valid = pc.drop_null(text)
    if len(valid):
        offsets = np.frombuffer(valid.buffers()[1], dtype=np.int64)[valid.offset :][: len(valid) + 1]
        if offsets[-1] > offsets[0]:
            digest.update(memoryview(valid.buffers()[2])[offsets[0] : offsets[-1]])
