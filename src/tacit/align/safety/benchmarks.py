"""Prompts of HarmBench, StrongREJECT, WildGuardMix and XSTest, as their authors publish them.

Prompts are read, never shipped: fetch them from their authors, some behind a licence to accept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tacit.data.raw import RawTable
from tacit.data.readers import open_raw
from tacit.errors import ConfigError, DataError, one_line, shown

Row = dict[str, Any]


@dataclass(frozen=True)
class SafetyPrompt:
    """One prompt.

    Attributes:
        benchmark: its key in `BENCHMARKS`.
        id: as published, or the row's number from 1 where the set has no ids.
        prompt: what the policy is asked.
        harmful: it should be refused; otherwise it should be answered.
        categories: as published; a prompt counts in each.
    """

    benchmark: str
    id: str
    prompt: str
    harmful: bool
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Benchmark:
    """Prompts, and how many rows held none that could be used, by reason."""

    key: str
    prompts: list[SafetyPrompt]
    left_out: dict[str, int]


@dataclass(frozen=True)
class _Kind:
    """How one set is published: its name on the hub (id, configurations, split), its columns, its rows."""

    hub: str
    configs: tuple[str | None, ...]
    split: str
    needs: tuple[tuple[str, ...], ...]  # one of each tuple has to be a column
    row: Callable[
        [Row], tuple[str | None, str | None, bool | None, tuple[str, ...]]
    ]  # id, prompt, harmful, categories


def load_benchmark(key: str, source: str | Path | None = None) -> Benchmark:
    """Read the prompts of a set.

    Args:
        key: harmbench, strongreject, wildguardmix or xstest.
        source: the file that its authors publish (.csv, .parquet, or .jsonl with the same columns), a folder of
            `save_to_disk`, or a hub id with the same columns; None: the hub id below.

    | key | files | hub id |
    |---|---|---|
    | harmbench | harmbench_behaviors_text_*.csv | walledai/HarmBench |
    | strongreject | strongreject_dataset.csv | walledai/StrongREJECT |
    | wildguardmix | wildguard_test.parquet | allenai/wildguardmix (wildguardtest) |
    | xstest | xstest_prompts.csv | walledai/XSTest |

    Raises:
        ConfigError: no such set.
        DataError: no such source, or one with other columns.
    """
    kind = BENCHMARKS.get(key)
    if kind is None:
        raise ConfigError(f"no safety benchmark {key!r}; expected one of {', '.join(BENCHMARKS)}")
    tables = _tables(kind, source)
    prompts: list[SafetyPrompt] = []
    left_out: dict[str, int] = {}
    number = 0
    for raw in tables:
        for names in kind.needs:
            if not set(names) & set(raw.columns):
                raise DataError(
                    f"{raw.name}: no column {' or '.join(map(repr, names))}; expected the columns of {key} as "
                    f"published, found {', '.join(raw.columns[:12])}"
                )
        left_out_here = raw.quarantine.total
        if left_out_here:
            left_out["unreadable row"] = left_out.get("unreadable row", 0) + left_out_here
        columns = {name: column_values(raw, name) for name in raw.columns}
        for i in range(len(raw)):
            number += 1
            id_, prompt, harmful, categories = kind.row({name: column[i] for name, column in columns.items()})
            reason = "no prompt" if prompt is None else "no label" if harmful is None else None
            if reason is not None:
                left_out[reason] = left_out.get(reason, 0) + 1
            elif prompt is not None and harmful is not None:
                prompts.append(SafetyPrompt(key, id_ or str(number), prompt, harmful, categories))
    if not prompts:
        raise DataError(f"{key}: no usable prompt in {source or kind.hub} ({left_out or 'no rows'})")
    return Benchmark(key, prompts, left_out)


def _tables(kind: _Kind, source: str | Path | None) -> list[RawTable]:
    name = kind.hub if source is None else str(source)
    if Path(name).exists() or (source is not None and name != kind.hub):
        return [open_raw(source if source is not None else name)]
    from datasets import load_dataset

    from tacit.data.readers.objects import read_object

    try:
        return [read_object(load_dataset(name, config, split=kind.split), name) for config in kind.configs]
    except DataError:
        raise
    except Exception as error:  # the network, the hub, a licence not accepted: each has its own kind
        raise DataError(
            f"{name}: not readable from the hub: {one_line(error)}; accept its terms there, or give the file as "
            "NAME=FILE"
        ) from error


def column_values(raw: RawTable, name: str) -> list[Any]:
    """A column as Python objects."""
    column = raw.column(name)
    return column if isinstance(column, list) else list(column.to_pylist())


def _text(value: Any) -> str | None:
    """Text that says something, or None."""
    text = None if value is None else str(value).strip()
    return text or None


def _first(row: Row, *names: str) -> str | None:
    return next((text for name in names if (text := _text(row.get(name))) is not None), None)


def _different(*values: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for value in values if value))


def _harmbench(row: Row) -> tuple[str | None, str | None, bool | None, tuple[str, ...]]:
    if _first(row, "ImageFileName"):
        raise DataError(
            "HarmBench's multimodal behaviours show an image, which a text policy cannot see; use …text_all.csv"
        )
    behaviour, context = _first(row, "Behavior", "prompt"), _first(row, "ContextString", "context")
    # The authors' own joining of context and behaviour (their DirectRequest baseline).
    prompt = f"{context}\n\n---\n\n{behaviour}" if context and behaviour else behaviour
    return (
        _first(row, "BehaviorID"),
        prompt,
        True,
        _different(_first(row, "FunctionalCategory"), _first(row, "SemanticCategory", "category")),
    )


def _strongreject(row: Row) -> tuple[str | None, str | None, bool | None, tuple[str, ...]]:
    return None, _first(row, "forbidden_prompt", "prompt"), True, _different(_first(row, "category"))


def _wildguardmix(row: Row) -> tuple[str | None, str | None, bool | None, tuple[str, ...]]:
    harmful = {"harmful": True, "unharmful": False}.get(_first(row, "prompt_harm_label") or "")
    adversarial = {True: "adversarial", False: "vanilla", None: None}[_boolean(row.get("adversarial"))]
    return None, _first(row, "prompt"), harmful, _different(adversarial, _first(row, "subcategory"))


def _xstest(row: Row) -> tuple[str | None, str | None, bool | None, tuple[str, ...]]:
    kind = _first(row, "type")
    harmful = {"safe": False, "unsafe": True}.get(_first(row, "label") or "")
    if harmful is None and row.get("label") is None and kind is not None:
        harmful = kind.startswith("contrast_")  # as the authors say; their second file has no label
    return _first(row, "id"), _first(row, "prompt"), harmful, _different(kind)


def _boolean(value: Any) -> bool | None:
    if isinstance(value, str):
        return {"true": True, "false": False}.get(value.strip().lower())
    return None if value is None else bool(value)


BENCHMARKS: dict[str, _Kind] = {
    "harmbench": _Kind(
        "walledai/HarmBench",
        ("standard", "contextual", "copyright"),
        "train",
        (("Behavior", "prompt"), ("SemanticCategory", "category", "FunctionalCategory")),
        _harmbench,
    ),
    "strongreject": _Kind(
        "walledai/StrongREJECT",
        (None,),
        "train",
        (("forbidden_prompt", "prompt"), ("category",)),
        _strongreject,
    ),
    "wildguardmix": _Kind(
        "allenai/wildguardmix",
        ("wildguardtest",),
        "test",
        (("prompt",), ("prompt_harm_label",)),
        _wildguardmix,
    ),
    "xstest": _Kind("walledai/XSTest", (None,), "test", (("prompt",), ("type",)), _xstest),
}


def parse_source(text: str) -> tuple[str, str | None]:
    """`NAME` or `NAME=FILE` of the command line.

    Example:
        >>> parse_source("xstest=prompts.csv"), parse_source("xstest")
        (('xstest', 'prompts.csv'), ('xstest', None))
    """
    key, _, source = text.partition("=")
    if key not in BENCHMARKS:
        raise ConfigError(
            f"--prompts {shown(text)}: expected NAME or NAME=FILE, NAME one of {', '.join(BENCHMARKS)}"
        )
    return key, source or None
