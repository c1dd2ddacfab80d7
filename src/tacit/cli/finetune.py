"""`tacit finetune`: a backbone fine-tuned on a feedback log, from one YAML file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tacit.cli.options import Json, Quiet

if TYPE_CHECKING:
    from tacit.model import FineTunedRewardModel
    from tacit.training.finetune.run_config import FinetuneSettings


def finetune(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="A YAML file; see recipes/finetune.")],
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a backbone on a feedback log: a reward model that TRL, OpenRLHF, verl and vLLM load as it is.

    An interrupted run goes on when the same command is given again. On several devices: accelerate launch -m
    tacit.cli.finetune CONFIG.
    """
    from tacit.extras import require

    require("tacit finetune", "accelerate")  # before transformers' trainer, which it is part of, is imported
    from tacit.training.finetune.run_config import FinetuneSettings

    settings = FinetuneSettings.read(config)
    if settings.lora is not None:
        require("lora", "peft")
    model = run(settings, quiet=quiet or json)
    if model is not None:
        _report(model, settings.out, as_json=json)


def run(settings: FinetuneSettings, *, quiet: bool) -> FineTunedRewardModel | None:
    """Fine-tune and save; None on the processes of a distributed run that do not write.

    Raises:
        ConfigError: `out` is taken, or holds the beginning of another run.
    """
    import shutil

    from tacit.cli import notes
    from tacit.cli.options import open_store, read_log, refuse_unwritable, refuse_where_read
    from tacit.errors import ConfigError, DegenerateDataError
    from tacit.files import sha256_json, sha256_model, write_json
    from tacit.finetuning import describe, feedback_trainer
    from tacit.model import FineTunedRewardModel
    from tacit.model.folder import MANIFEST, refuse_occupied
    from tacit.training.finetune.reporting import train_quietly

    refuse_unwritable(settings.out)
    refuse_occupied(settings.out)
    refuse_where_read(settings.out, settings.log, within=MANIFEST)
    roles = (
        "gold",
        "prompt",
        "response",
        "prompt_id",
        "user_id",
        "session_id",
        "policy",
        "source",
        "max_bad",
    )
    log = read_log(
        settings.log,
        signals=settings.signals,
        context=settings.context,
        **{role: getattr(settings, role) for role in roles},
    )
    if not log.roles.signals and log.roles.gold is None:
        raise ConfigError(f"{log.name}: no signal is named; expected signal: [COLUMN] in the configuration")
    partial = settings.out.with_name(f"{settings.out.name}.partial")
    mark = partial / "run.json"
    asked = sha256_json(
        [settings.model_dump(mode="json"), sha256_model(Path(settings.model)), log.fingerprint()]
    )
    resume = any(partial.glob("checkpoint-*"))
    if partial.exists() and not mark.is_file() and (not partial.is_dir() or any(partial.iterdir())):
        raise ConfigError(
            f"{partial} is in the way, where checkpoints would lie; move it, or choose another out"
        )
    if resume and asked not in mark.read_text():
        raise ConfigError(f"{partial} holds the beginning of another run; remove it, or choose another out")
    notes.release()
    try:
        trainer = feedback_trainer(
            log,
            settings.model,
            method=settings.method,
            args=_knobs(settings, partial),
            peft_config=_adapter(settings),
            use_gold=settings.gold is not None,
            encoder=settings.encoder,
            store=open_store(None),
            nuisances=settings.nuisances,
            quiet=quiet,
        )
    except DegenerateDataError as error:
        raise DegenerateDataError(f"{log.name}: {error}") from None
    first = trainer.is_world_process_zero()
    if first:
        partial.mkdir(parents=True, exist_ok=True)
        write_json(mark, {"run": asked})
    done = train_quietly(trainer, resume=resume, quiet=quiet)
    trainer.accelerator.end_training()  # a process that leaves its group open may be killed on its way out
    if done is None or not first:
        return None
    model = FineTunedRewardModel.of(done, describe(trainer, log, done))
    model.save(settings.out)
    shutil.rmtree(partial, ignore_errors=True)
    return model


def _knobs(settings: FinetuneSettings, partial: Path) -> dict[str, Any]:
    return {
        **settings.training,
        "output_dir": str(partial),
        "method_parameters": settings.method_parameters,
        "seed": settings.seed,
        "use_cpu": settings.device == "cpu",
    }


def _adapter(settings: FinetuneSettings) -> Any:
    if settings.lora is None:
        return None
    return settings.lora.peft(target_modules=settings.lora.target_modules)


def _report(model: FineTunedRewardModel, folder: Path, *, as_json: bool) -> None:
    from tacit.cli.render import number, print_json, print_table

    info = model.info
    if as_json:
        keys = ("metrics", "identification", "log", "training", "level")
        print_json({"model": str(folder), "method": model.method.key, **{key: info[key] for key in keys}})
        return
    training, metrics = info["training"], info["metrics"]
    print_table(
        f"{model.method.key} on {training['model']}, {info['log']['rows']:,} rows of {info['log']['name']} → {folder}",
        ("", ""),
        [
            ("steps", f"{training['steps']:,}"),
            ("held-out rows", f"{training['held_out_rows']:,}"),
            ("held-out criterion", number(metrics["held_out_criterion"])),
            *([("share of liked responses", number(metrics["base_rate"]))] if model.has_probability else []),
            *(
                (told, " to ".join(map(number, metrics[name])))
                for told, name in (
                    ("not ruled out (95 %)", "base_rate_interval"),
                    ("one signal leaves it open", "base_rate_bounds"),
                )
                if metrics.get(name)
            ),
            ("level (score + level → probability)", number(info["level"])),
        ],
        "The folder is a plain sequence classifier: TRL, OpenRLHF, verl and vLLM load it as it is.",
    )


if __name__ == "__main__":  # accelerate launch -m tacit.cli.finetune CONFIG
    import sys

    from tacit.cli.main import main

    sys.argv.insert(1, "finetune")
    main()
