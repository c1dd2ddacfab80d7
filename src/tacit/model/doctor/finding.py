"""What one check of `tacit doctor` has to say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "fails", "n/a", "info"]


@dataclass(frozen=True)
class Finding:
    """The outcome of one check.

    Attributes:
        check: its name, such as `pad-token`.
        status: `ok`, `fails`, `n/a` (not judged, `found` says why) or `info` (worth knowing, breaks nothing).
        found: what stands in the folder, or what was measured.
        why: what breaks, and in which tool; empty where nothing does.
        mend: what to do about it; empty where there is nothing to do.
        made: False where the check applies to the folder and could not be made: `n/a` says nothing of it then.
    """

    check: str
    status: Status
    found: str
    why: str = ""
    mend: str = ""
    made: bool = True


def ok(check: str, found: str) -> Finding:
    """Nothing to mend."""
    return Finding(check, "ok", found)


def fails(check: str, found: str, why: str, mend: str) -> Finding:
    """Something breaks."""
    return Finding(check, "fails", found, why, mend)


def skipped(check: str, found: str) -> Finding:
    """Does not apply to this folder, for the reason in `found`."""
    return Finding(check, "n/a", found)


def unmade(check: str, found: str) -> Finding:
    """Applies and could not be made, for the reason in `found`, which tells what to do about it."""
    return Finding(check, "n/a", found, made=False)
