"""`tacit finetune config.yaml`: a whole run, checked before the log is read or a model opened."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tacit.data import Signal
from tacit.settings import LoraSettings, Settings

_SET_ABOVE = {
    *("output_dir", "seed", "use_cpu", "method", "method_parameters", "nuisances"),
    *("signals", "context", "gold", "prompt_id"),
}
_Count = Annotated[int, Field(ge=1)]


class AdapterSettings(LoraSettings):
    """An adapter that is merged into the checkpoint at the end.

    Attributes:
        target_modules: "all-linear", or names of the layers.
    """

    target_modules: str | list[str] = "all-linear"


class FinetuneSettings(Settings):
    """A run of `tacit finetune`. Roles are named as for `tacit fit`.

    Attributes:
        log: a file, a `save_to_disk` folder or a hub id.
        model: hub id or folder of the backbone.
        out: new folder of the reward model; checkpoints lie beside it, in `out.partial`, until it stands.
        signal: columns of what users did: NAME, NAME:negative, NAME:explicit, or a mapping of the fields of `Signal`.
        context: columns that move clicks but not preference.
        gold: column of trusted labels, which are trained on.
        prompt, response, prompt_id, user_id, session_id, policy, source, max_bad: as for `tacit fit`.
        method: key of the estimator, or auto.
        method_parameters: its parameters.
        nuisances: what is known, by name, such as `rho01: 0.1`; or a column of the log, `e: seen`.
        encoder: of the frozen features on which nuisances are estimated, where the method needs any.
        lora: see `AdapterSettings`; without it all weights are trained.
        device: "auto" takes the GPU where there is one; "cpu".
        seed: of everything that is drawn.
        training: knobs of `FeedbackRewardConfig`, by name.
    """

    log: str
    model: str
    out: Path
    signal: list[str | dict[str, Any]] = Field(default_factory=list)
    context: list[str] = Field(default_factory=list)
    gold: str | None = None
    prompt: str | None = None
    response: str | None = None
    prompt_id: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    policy: str | None = None
    source: str = "auto"
    max_bad: Annotated[int, Field(ge=0)] | None = None
    method: str = "auto"
    method_parameters: dict[str, Any] = Field(default_factory=dict)
    nuisances: dict[str, float | str] = Field(default_factory=dict)
    encoder: str = "minilm"
    lora: AdapterSettings | None = None
    device: Literal["auto", "cpu"] = "auto"
    seed: int = Field(0, ge=0, lt=2**32)
    training: dict[str, Any] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> FinetuneSettings:
        mine = sorted(_SET_ABOVE & self.training.keys())
        if mine:
            raise ValueError(f"training.{mine[0]} is set by tacit from the options above; take it out")
        _ = self.signals  # which have to be readable
        return self

    @property
    def signals(self) -> list[str | Signal]:
        """The signals, those of a mapping as `Signal`."""
        return [item if isinstance(item, str) else Signal.from_mapping(item) for item in self.signal]
