"""Standard input, `-` on the command line: JSON lines, or one array of objects, from another program."""

from __future__ import annotations

import sys

from tacit.data.raw import RawTable
from tacit.data.readers.array import read_json_bytes
from tacit.data.readers.magic import magic_of
from tacit.errors import DataError

NAME = "standard input"


def read_standard_input() -> RawTable:
    """Read all of standard input; it can be read only once.

    Raises:
        DataError: what comes is compressed, or not one line of it is a JSON object.
    """
    data = sys.stdin.buffer.read().removeprefix(b"\xef\xbb\xbf")
    found = magic_of(data[:4096])
    if found:
        raise DataError(
            f"{NAME}: holds {found}, expected one JSON object per line; unpack it on the way: zcat FILE | …"
        )
    return read_json_bytes(data, NAME)
