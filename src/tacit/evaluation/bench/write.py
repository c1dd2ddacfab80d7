"""What a run leaves in its folder: the tidy Parquet, the Markdown table, the pictures; each whole or not at all."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from tacit.evaluation.bench.markdown import markdown, real_markdown
from tacit.evaluation.bench.published import CAVEAT, published
from tacit.evaluation.bench.real import RealResult, tidy_real
from tacit.evaluation.bench.results import Line, lines, tidy, write_rows
from tacit.evaluation.bench.run import BenchResult
from tacit.extras import lacking, missing
from tacit.files import write_bytes

logger = logging.getLogger("tacit")


def write_run(
    result: BenchResult | Sequence[RealResult],
    folder: str | Path,
    *,
    command: str,
    table: dict[str, list[Line]] | None = None,
) -> dict[str, Path]:
    """Write the results of a run.

    Args:
        result: of `run_bench`, or one or more of `run_real`.
        folder: made if it is not there.
        command: that made the run, for the head of the table.
        table: lines of the result, where they have been computed already.

    Returns:
        Paths by what they hold: "rows", "table", and one per picture; none of these without matplotlib, which is told.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = {"rows": folder / "results.parquet", "table": folder / "table.md"}
    if not isinstance(result, BenchResult):
        text = real_markdown(result, command=command)
        write_rows(tidy_real(result), written["rows"])
        write_bytes(written["table"], text.encode())
        return written
    table = lines(result) if table is None else table
    labels = {score.case.name: score.case.labels for score in result.scores}
    beside = result.suite in ("implicit", "causal")
    text = markdown(
        result,
        table,
        command=command,
        published=(lambda case, method: published(result.suite, method, labels[case])) if beside else None,
        published_note=f"† {CAVEAT}" if beside else "",
    )
    write_rows(tidy(result), written["rows"])
    write_bytes(written["table"], text.encode())
    if absent := missing(["matplotlib"]):  # a run of hours does not end without its tables
        logger.warning("%s; then the same command draws them", lacking("no pictures: drawing them", absent))
        return written
    from tacit.evaluation.bench.plots import draw

    for path in draw(result, table, folder):
        written[f"picture {path.stem}"] = path
    return written
