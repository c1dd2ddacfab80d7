"""`tacit safety`: refusal, attack success and over-refusal on published prompts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import Json, Quiet
from tacit.errors import ConfigError

if TYPE_CHECKING:
    from tacit.align.safety import Judge, SafetyReport


def safety(
    responses: Annotated[
        str | None,
        typer.Argument(metavar="RESPONSES", help="A file with response, and prompt or id; or give --policy."),
    ] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[=FILE]",
            help="harmbench, strongreject, wildguardmix or xstest, from a file or its hub id. Repeatable.",
        ),
    ] = None,
    policy: Annotated[
        str | None,
        typer.Option(metavar="MODEL", help="Generate the responses with this local language model."),
    ] = None,
    max_new_tokens: Annotated[int, typer.Option(min=1, help="Length of a generated response.")] = 256,
    judge: Annotated[
        str,
        typer.Option(
            "--judge",
            metavar="JUDGE",
            help="labels (in RESPONSES), a classifier's folder or id, or an http URL.",
        ),
    ] = "labels",
    refusal_label: Annotated[
        list[str] | None,
        typer.Option(metavar="LABEL", help="The classifier's label of a refusal. Repeatable."),
    ] = None,
    harm_label: Annotated[
        list[str] | None, typer.Option(metavar="LABEL", help="The classifier's label of harm. Repeatable.")
    ] = None,
    pair: Annotated[bool, typer.Option("--pair", help="The classifier reads prompt and response.")] = False,
    judge_model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Model to ask for at the judge's URL.")
    ] = None,
    judge_key: Annotated[
        str | None, typer.Option(metavar="VARIABLE", help="Environment variable of the judge's key.")
    ] = None,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep responses and judgements, as JSON lines.")
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Measure refusals: of harmful prompts (wanted), of benign ones (not wanted), and attacks that succeed."""
    from tacit.align import safety as room
    from tacit.align.safety.benchmarks import parse_source
    from tacit.cli import notes
    from tacit.cli.render import print_json

    if (responses is None) == (policy is None):
        raise ConfigError("found both RESPONSES and --policy, or neither; expected one of them")
    if not prompts:
        raise ConfigError(
            f"no --prompts; expected at least one of {', '.join(room.BENCHMARKS)}, or NAME=FILE"
        )
    quiet = quiet or json
    sources = [parse_source(text) for text in prompts]
    twice = next((key for key, _ in sources if [k for k, _ in sources].count(key) > 1), None)
    if twice:
        raise ConfigError(f"--prompts names {twice} twice; expected each benchmark once")
    asked = _judge(judge, refusal_label or [], harm_label or [], pair, judge_model, judge_key, quiet)
    benchmarks = [room.load_benchmark(key, source) for key, source in sources]
    everything = [prompt for benchmark in benchmarks for prompt in benchmark.prompts]
    if responses is not None:
        answers = room.read_answers(responses, everything)
    else:
        answers = room.answers_of(str(policy), everything, max_new_tokens=max_new_tokens, quiet=quiet)
    notes.release()
    kept: list[Any] = []

    def keeping(rows: Any) -> Any:
        verdicts = asked(rows)
        kept.extend(zip(rows, verdicts, strict=True))
        return verdicts

    report = room.evaluate_safety(benchmarks, answers, keeping)
    if save is not None:
        _write(save, kept)
    if json:
        print_json(report.to_json())
    else:
        _print(report)


def _judge(
    name: str,
    refusal_labels: list[str],
    harm_labels: list[str],
    pair: bool,
    model: str | None,
    key: str | None,
    quiet: bool,
) -> Judge:
    from tacit.align.safety import classifier_judge, label_judge
    from tacit.align.safety.endpoint import Endpoint, endpoint_judge

    remote = name.startswith(("http://", "https://"))
    if not remote and (model or key):
        raise ConfigError(
            f"--judge-model and --judge-key belong to a judge behind a URL, this one is {name!r}"
        )
    if (remote or name == "labels") and (refusal_labels or harm_labels or pair):
        raise ConfigError(
            f"--refusal-label, --harm-label and --pair belong to a classifier, this judge is {name!r}"
        )
    if remote:
        if not model:
            raise ConfigError("a judge behind a URL needs --judge-model, the model to ask for there")
        return endpoint_judge(Endpoint(name, model, key), quiet=quiet)
    if name == "labels":
        return label_judge()
    reads: Any = "pair" if pair else "response"
    return classifier_judge(
        name, refusal_labels=refusal_labels, harm_labels=harm_labels, reads=reads, quiet=quiet
    )


def _write(path: Path, judged: list[Any]) -> None:
    from json import dumps

    from tacit.files import write_bytes

    lines = [
        dumps(
            {
                "benchmark": answer.prompt.benchmark,
                "id": answer.prompt.id,
                "prompt": answer.prompt.prompt,
                "response": answer.response,
                "refused": verdict.refused,
                "harmful": verdict.harmful,
            },
            ensure_ascii=False,
        )
        for answer, verdict in judged
    ]
    write_bytes(path, "".join(line + "\n" for line in lines).encode())


def _print(report: SafetyReport) -> None:
    from tacit.cli.render import number, print_table

    def cell(rate: Any) -> str:
        if not rate.responses:
            return "–"
        return f"{number(rate.value)} [{number(rate.low)}, {number(rate.high)}]"

    for key, found in report.benchmarks.items():
        parts = [("all", found.overall), *found.categories.items()]
        rows = [
            (
                name,
                str(part.refusal.responses + part.refusal.unjudged),
                cell(part.refusal),
                cell(part.attack_success),
                str(part.over_refusal.responses + part.over_refusal.unjudged),
                cell(part.over_refusal),
            )
            for name, part in parts
        ]
        whole = found.overall
        unjudged = max(whole.refusal.unjudged, whole.attack_success.unjudged) + whole.over_refusal.unjudged
        left = "".join(f"; rows left out, {reason}: {count}" for reason, count in found.left_out.items())
        print_table(
            f"{key}: {found.responses} responses to {found.prompts} prompts ({found.harmful_prompts} harmful)",
            ("", "harmful", "refused", "attack success", "benign", "refused"),
            rows,
            f"prompts without a response: {found.unanswered}; responses unjudged: {unjudged}{left}",
        )
    words = {
        "harm": "attack success: the judge calls the response harmful",
        "compliance": "attack success: not refused; this judge does not say whether the answer was of any use",
    }
    unmatched = f"; {report.unmatched} responses belong to no prompt" if report.unmatched else ""
    print(words[report.attack_success_from] + unmatched)
