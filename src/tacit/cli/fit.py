"""`tacit fit`: from a feedback log to a model folder."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import (
    LARGEST_SEED,
    Cache,
    Context,
    Encoder,
    Json,
    MaxBad,
    Nuisances,
    Policy,
    Prompt,
    PromptId,
    Quiet,
    Response,
    SessionId,
    Signals,
    Source,
    UserId,
)

if TYPE_CHECKING:
    from tacit.data import FeedbackLog
    from tacit.model import RewardModel


_MANY_COPIES = 0.01
"""Share of rows beyond which copies are worth a note."""


def fit(
    ctx: typer.Context,
    path: Annotated[
        str | None,
        typer.Argument(
            metavar="LOG", help="The feedback log, as tacit log takes it; may stand in --config as `log`."
        ),
    ] = None,
    signal: Signals = None,
    context: Context = None,
    gold: Annotated[
        str | None, typer.Option(metavar="NAME", help="Column of trusted labels to learn from as well.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the model.")] = None,
    nuisance: Nuisances = None,
    method: Annotated[str, typer.Option(metavar="NAME", help="auto, or an estimator's key.")] = "auto",
    encoder: Encoder = "minilm",
    propensity_features: Annotated[
        str, typer.Option(metavar="NAME", help="context (and style), or text, as published.")
    ] = "context",
    reward_features: Annotated[
        str, typer.Option(metavar="NAME", help="text+style, or text: what tacit export can write exactly.")
    ] = "text+style",
    linear: Annotated[
        bool, typer.Option("--linear", help="A linear reward head, whatever capacity the log allows.")
    ] = False,
    prompt: Prompt = None,
    response: Response = None,
    prompt_id: PromptId = None,
    user_id: UserId = None,
    session_id: SessionId = None,
    policy: Policy = None,
    source: Source = "auto",
    max_bad: MaxBad = None,
    members: Annotated[int, typer.Option(min=1, help="Ensemble size.")] = 5,
    epochs: Annotated[int, typer.Option(min=1, help="At most this many passes.")] = 100,
    seed: Annotated[int, typer.Option(min=0, max=LARGEST_SEED, help="Same seed, same bytes.")] = 0,
    config: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="YAML with these options by name; the command line wins."),
    ] = None,
    cache: Cache = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fit a reward model to a feedback log. An interrupted fit goes on when the same command is run again."""
    from tacit.cli.run_config import merged

    given = merged(ctx, config)
    model, folder = fit_folder(given, quiet=quiet or json)
    _report(model, folder, as_json=json, quiet=quiet)


def fit_folder(given: dict[str, Any], *, quiet: bool) -> tuple[RewardModel, Path]:
    """Fit and save; say so and load where the same fit was already saved.

    Raises:
        ConfigError: a missing option, or a folder that holds something else.
    """
    from tacit.cli import notes
    from tacit.cli.options import known_nuisances, open_store, read_log
    from tacit.errors import ConfigError, DegenerateDataError
    from tacit.features import resolve_encoder
    from tacit.fitting import fit as fit_model
    from tacit.fitting import fit_fingerprint, prepare_log
    from tacit.methods.columns import nuisance_columns
    from tacit.model import RewardModel
    from tacit.model.folder import MANIFEST, read_manifest, refuse_occupied
    from tacit.training.choose import resolve_method
    from tacit.training.config import TrainingConfig
    from tacit.training.log_rows import observe, resolved

    folder = _folder_of(given)
    roles = ("context", "gold", "prompt", "response", "prompt_id", "user_id", "session_id", "policy")
    log = read_log(
        given["log"],
        signals=given["signal"],
        **{name: given[name] for name in roles},
        source=given["source"],
        max_bad=given["max_bad"],
    )
    if not log.roles.signals and log.roles.gold is None:
        raise ConfigError(f"{log.name}: no signal is named; expected --signal COLUMN, one of {_columns(log)}")
    known = known_nuisances(given["nuisance"] or ())
    method = resolve_method(given["method"], log, known=known)
    use_gold = given["gold"] is not None
    encoder = resolve_encoder(given["encoder"])
    settings = TrainingConfig(
        members=given["members"],
        max_epochs=given["epochs"],
        seed=given["seed"],
        hidden=() if given["linear"] else None,
    )
    form, seen = given["propensity_features"], given["reward_features"]
    used = prepare_log(log, method, use_gold=use_gold)
    observed = observe(used)
    columns = nuisance_columns(resolved(used, known), method, observed)
    if (folder / MANIFEST).is_file():
        manifest = read_manifest(folder)
        asked = fit_fingerprint(used, method, encoder, form, settings, columns, reward_features=seen)
        if manifest.get("fingerprint") == asked and "calibration" not in manifest:
            notes.say(f"{folder} already holds this very fit; nothing to do")
            notes.release()
            _tidy(folder)
            return RewardModel.load(folder), folder
        refuse_occupied(folder)
    try:
        method.check(observed.with_columns(**columns))
    except DegenerateDataError as error:
        names = ", ".join(signal.name for signal in log.roles.signals)
        raise DegenerateDataError(f"{log.name}, signal {names or 'none'}: {error}") from None
    _note_copies(log)
    notes.release()
    model = fit_model(
        used,
        method=method,
        encoder=encoder,
        propensity_features=form,
        reward_features=seen,
        use_gold=use_gold,
        nuisances=known,
        config=settings,
        store=open_store(given["cache"]),
        checkpoint=_partial(folder),
        quiet=quiet,
    )
    model.save(folder)
    _tidy(folder)
    return model, folder


def _folder_of(given: dict[str, Any]) -> Path:
    """Where the model is to lie, once it is sure that it can be written there; what else is amiss is told first.

    Raises:
        ConfigError: something is missing or misspelt, or the folder holds something else.
    """
    from tacit.cli.options import refuse_unwritable, refuse_where_read
    from tacit.errors import ConfigError
    from tacit.model.folder import MANIFEST, refuse_occupied

    for name, what in (("log", "the feedback log"), ("out", "the folder of the model (--out DIR)")):
        if given[name] is None:
            raise ConfigError(f"{what} is missing; see tacit fit --help")
    for name, allowed in (
        ("propensity_features", ("context", "text")),
        ("reward_features", ("text+style", "text")),
    ):
        if given[name] not in allowed:
            option = name.replace("_", "-")
            raise ConfigError(f"--{option}: found {given[name]!r}, expected {' or '.join(allowed)}")
    folder = Path(given["out"])
    refuse_unwritable(folder)
    if not (folder / MANIFEST).is_file():
        refuse_occupied(folder)
    refuse_where_read(folder, given["log"], within=MANIFEST)
    return folder


def _note_copies(log: FeedbackLog) -> None:
    """Each copy of a row counts as evidence: say so when they are more than can pass for chance."""
    from tacit.cli import notes
    from tacit.cli.describe import told_copies
    from tacit.data.copies import count_copies

    copies = count_copies(log.table)
    if copies > _MANY_COPIES * len(log):
        notes.say(f"{log.name}: {told_copies(copies)}; each counts as evidence")


def _partial(folder: Path) -> Path:
    """Where the states of an unfinished fit lie: beside the model, so that a look at the disk explains them."""
    return folder.with_name(f"{folder.name}.partial")


def _tidy(folder: Path) -> None:
    """Remove what is of no use once the model stands: states, and folders that a killed save left half written.

    Only what a fit of this very folder can have made: a model called `rm.partial`, or the half-written folder of a
    fit of `rm.v2` that runs at the same time, is not ours to remove.
    """
    import contextlib
    import re
    import shutil

    partial = _partial(folder)
    states = [path for path in partial.glob("*") if re.fullmatch("[0-9a-f]{16}", path.name)]
    place = folder.resolve()  # a symlink is followed
    half = re.compile(rf"\.{re.escape(place.name)}\.[0-9]+\.[0-9a-f]+\.tmp")
    for stale in [*states, *(path for path in place.parent.glob(".*.tmp") if half.fullmatch(path.name))]:
        shutil.rmtree(stale, ignore_errors=True)
    with contextlib.suppress(OSError):
        partial.rmdir()  # empty, or not only ours


def _columns(log: FeedbackLog) -> str:
    taken = {name for name, _ in log.roles.columns()}
    free = [name for name in log.table.column_names if name not in taken]
    return ", ".join(free[:20]) + (", …" if len(free) > 20 else "") if free else "none left"


def _report(model: RewardModel, folder: Path, *, as_json: bool, quiet: bool) -> None:
    from tacit.cli.render import number, print_json, printable
    from tacit.model.card import estimated_on_the_way

    info = model.info
    if as_json:
        print_json(
            {
                "model": str(folder),
                "method": model.method.key,
                "metrics": info["metrics"],
                "identification": info["identification"],
                "log": info["log"],
                "training": info["training"],
            }
        )
        return
    if quiet:
        return
    agreement = info["metrics"]["member_spearman"]
    print(
        f"{folder}: {model.method.key} on {info['log']['rows']:,} responses to {info['log']['prompts']:,} prompts"
    )
    for signal in info["log"]["signals"]:
        sign = "positive" if signal["polarity"] > 0 else "negative"
        print(
            f"  {printable(signal['name'])} ({sign}) fired on {number(signal['rate'])} of the rows where it could"
        )
    if model.has_probability:
        metrics = info["metrics"]
        told = f"  estimated share of responses that users like: {number(metrics['base_rate'])}"
        if interval := metrics.get("base_rate_interval"):  # a folder written before may lack it
            told += f"; not ruled out: {number(interval[0])} to {number(interval[1])} (95 %)"
        print(told)
        if bounds := metrics.get("base_rate_bounds"):
            low, high = map(number, bounds)
            due = "liking" if info["log"]["signals"][0]["polarity"] > 0 else "disliking"
            print(
                f"  from {low} to {high} stays open however long the log: one signal shows {due} times acting"
            )
    print(
        f"  agreement of the {info['training']['members']} members on the order: {number(agreement)} (1 is perfect)"
    )
    for told in estimated_on_the_way(info):
        print(f"  estimated on the way: {told}")
    gold_rows = info["log"]["gold_rows"]
    read = f"{gold_rows:,} trusted labels were read, as asked" if gold_rows else "no clean label was read"
    print(f"  {_head(model)}; {read}")
    print(f"  not told by this log: {info['identification']['not_identified']}")
    name = quote(str(folder))
    print(
        f"Next: tacit score {name} PAIRS.jsonl; tacit report {name} LOG; read {quote(str(folder / 'README.md'))}"
    )


def _head(model: RewardModel) -> str:
    """The reward head, and who chose it where there was a choice."""
    training = model.info["training"]
    if not any(model.ensemble.layouts[name].inputs for name in model.method.reward_heads):
        return "reward: one number for all responses"
    head = "reward head: " + ("×".join(map(str, training["hidden"])) or "linear")
    if training["config"]["hidden"] is not None:
        return f"{head}, as asked"
    if len(training["tried"]) == 1:
        return head
    by = "likelihood" if model.info["identification"].get("models_signals") else "criterion"
    return f"{head}, chosen by held-out {by}"
