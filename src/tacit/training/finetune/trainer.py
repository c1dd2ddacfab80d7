"""`FeedbackRewardTrainer`: a reward model fine-tuned on feedback, with the habits of TRL's `RewardTrainer`.

The losses are those of `tacit.methods`; what is new here is where logits come from. Shapes: B rows, M members, N rows
of training and held-out log together.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import safetensors.torch
import torch
from torch import Tensor
from transformers import EarlyStoppingCallback, EvalPrediction, Trainer, TrainerCallback

from tacit.data import FeedbackLog
from tacit.errors import ConfigError
from tacit.features import context_varies
from tacit.features.transformer import refused_in_one_line
from tacit.methods import Method, Observations
from tacit.training.finetune.checkpoints import last_complete
from tacit.training.finetune.config import FeedbackRewardConfig
from tacit.training.finetune.fitted import FineTuned, HeldOut, copied_to_cpu, fine_tuned, rebuilt
from tacit.training.finetune.heldout import criterion, heads_to_scale, told
from tacit.training.finetune.module import FeedbackModule
from tacit.training.finetune.order import EpochOrder
from tacit.training.finetune.preparation import prepare
from tacit.training.finetune.rows import FeedbackCollator

if TYPE_CHECKING:
    from datasets import Dataset
    from peft import PeftConfig
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from tacit.features.links import Links


class FeedbackRewardTrainer(Trainer):  # type: ignore[misc]  # transformers is untyped here
    """Fine-tune a reward model on what users did.

    The backbone with a linear head is the reward model; small heads on context and style carry the propensities and are
    trained with it. Held-out prompts judge it by the likelihood of the observed data, after a temperature per head.

    Args:
        model: hub id, folder, or an `AutoModelForSequenceClassification`.
        args: knobs; by default, those of `FeedbackRewardConfig("tmp_trainer")`.
        data_collator: instead of `FeedbackCollator`.
        train_dataset: a `FeedbackLog`, or rows of {prompt, completion, label}, plain or conversational, with whatever
            columns the configuration names. `label` False means *nothing seen* here, not *disliked* as in KTO.
        eval_dataset: the same for held-out rows; None holds out a share of the prompts (`args.holdout`).
        processing_class: tokenizer; by default that of the model.
        compute_metrics: further metrics of an evaluation.
        callbacks: further callbacks.
        optimizers: optimiser and schedule instead of AdamW.
        peft_config: adapter; its task is SEQ_CLS, and the head is always trained and saved.
        method: a `Method` instead of `args.method`.

    Raises:
        ConfigError: a model, a method or columns that do not fit.
        DegenerateDataError: a log from which nothing can be learned.

    Metrics: `loss`, `num_tokens`, `mean_reward`, `min_reward`, `max_reward`, `base_rate` (mean probability of liking),
    `propensity`, and for ImplicitRM the shares `stratum/PA`, `NA`, `PP`, `NP`; evaluations add `eval_criterion`.
    """

    loss_is_scaled_for_ga = True  # `compute_loss` divides by the rows of the whole accumulated batch
    _tokens_here: Tensor | int = 0  # on this process, since the last time they were summed
    _tokens_seen = 0  # on all processes, those before a resume included
    links: Links | None = None  # parts of the texts that no context links, where somebody has looked
    unlinked: tuple[str, ...] = ()  # what was said of them
    _placed: tuple[Observations, Tensor, Tensor | None] | None = None  # see `_on_device`

    def __init__(
        self,
        model: str | PreTrainedModel,
        args: FeedbackRewardConfig | None = None,
        data_collator: Callable[..., dict[str, Any]] | None = None,
        train_dataset: FeedbackLog | Dataset | None = None,
        eval_dataset: FeedbackLog | Dataset | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        compute_metrics: Callable[[EvalPrediction], dict[str, float]] | None = None,
        callbacks: list[TrainerCallback] | None = None,
        optimizers: tuple[Any, Any] = (None, None),
        peft_config: PeftConfig | None = None,
        method: Method | None = None,
    ) -> None:
        args = FeedbackRewardConfig("tmp_trainer") if args is None else args
        if train_dataset is None:
            raise ConfigError(
                "FeedbackRewardTrainer needs a train_dataset: a FeedbackLog, or rows with a label"
            )
        ready = prepare(
            model,
            args,
            train_dataset,
            eval_dataset,
            tokenizer_given=processing_class,
            lora=peft_config,
            method=method,
        )
        rows = ready.rows
        if ready.held_out is None:
            args.eval_strategy, args.load_best_model_at_end = "no", False

        self.method, self.heads = ready.method, ready.heads
        self.model_name, self.adapter = ready.model_name, ready.adapter
        self.side_features = ready.side
        self.train_log, self.eval_log = ready.log, ready.held_out
        self.train_rows, self.rows_cut = len(ready.log), rows.cut
        self.observations = rows.obs
        self.counts_N = ready.method.counts(rows.obs)  # labels are shared by all members: [N]
        self.bootstrap_MN, self._half_n = ready.bootstrap_MN, ready.half_n
        self._further_metrics = compute_metrics
        # kept where the loss is taken, and read when it is logged: reading a number waits for the GPU
        self._told: dict[str, list[Tensor]] = defaultdict(list)
        with refused_in_one_line("args"):  # a tracker, say, that is not installed
            super().__init__(
                model=ready.module,
                args=args,
                data_collator=data_collator
                or FeedbackCollator(
                    int(ready.tokenizer.pad_token_id or 0), rows.side, args.pad_to_multiple_of
                ),
                train_dataset=rows.data,
                eval_dataset=rows.held_data,
                processing_class=ready.tokenizer,
                compute_metrics=self._judged,
                callbacks=callbacks,
                optimizers=optimizers,
            )
        # transformers before 5.19 ask this, not `loss_is_scaled_for_ga`
        self.model_accepts_loss_kwargs = True
        if ready.held_out is not None and args.load_best_model_at_end:
            self.add_callback(EarlyStoppingCallback(args.patience))
        if ready.method.by_group and self.args.world_size > 1:
            raise ConfigError(
                f"{ready.method.key} compares the answers to one prompt and is trained on one process; "
                "start it without a launcher"
            )
        if args.fsdp and not self.is_fsdp_enabled and self.is_world_process_zero():
            self.log_line(
                "fsdp: accelerate shards on accelerators alone; here each process holds the whole model"
            )
        if rows.cut and self.is_world_process_zero():
            self.log_line(
                f"{rows.cut} of {rows.obs.n_rows} chats have more than {ready.chat.longest} tokens; their first "
                "token and their end were kept"
            )

    # ---- running

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Train; `resume_from_checkpoint=True` goes on from the last whole checkpoint; without one, it begins."""
        if resume_from_checkpoint is True:
            found = last_complete(self.args.output_dir)
            if found is None and self.is_world_process_zero():
                self.log_line(
                    f"{self.args.output_dir} holds no whole checkpoint; training starts from the beginning"
                )
            resume_from_checkpoint = None if found is None else str(found)
        self._tokens_here = self._tokens_seen = 0
        with refused_in_one_line("args", (ImportError,)):  # packages that knobs want are looked for here
            return super().train(resume_from_checkpoint, *args, **kwargs)

    def create_accelerator_and_postprocess(self) -> None:
        """Leave dividing to `compute_loss`, as newer transformers do; in older ones accelerate divides again."""
        super().create_accelerator_and_postprocess()
        self.accelerator.gradient_accumulation_steps = 1

    def _init_training_state(self, *args: Any, **kwargs: Any) -> Any:
        """The state of the checkpoint, and the tokens that were counted until then.

        A run that was killed after it had stopped early has no epoch left: transformers would train one more.
        """
        epochs, steps = super()._init_training_state(*args, **kwargs)
        self._tokens_seen = int(self.state.num_input_tokens_seen)
        if self._stopped_early():
            epochs, steps = max(epochs, self.state.num_train_epochs), 0
        return epochs, steps

    def _stopped_early(self) -> bool:
        """Whether the checkpoint that was loaded is the one after which patience had run out."""
        return any(
            callback.early_stopping_patience_counter >= self.args.patience
            for callback in self.callback_handler.callbacks
            if isinstance(callback, EarlyStoppingCallback)
        )

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        """Write a checkpoint; the number of tokens is part of it."""
        self.state.num_input_tokens_seen = self._count_tokens()
        super()._save_checkpoint(*args, **kwargs)

    def _count_tokens(self) -> int:
        """Tokens trained on, over all processes; every process has to call it."""
        here = torch.as_tensor(self._tokens_here, device=self.args.device)
        self._tokens_seen += int(self.accelerator.reduce(here, "sum"))
        self._tokens_here = 0
        return self._tokens_seen

    # ---- batches

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        """An order that depends on the seed and the epoch alone: transformers' own draws it from the global generator,
        which differs between processes once dropout has drawn from it, and after a resume."""
        data = self.train_dataset if train_dataset is None else train_dataset
        strategy = self.args.train_sampling_strategy
        if strategy not in ("group_by_length", "random"):
            return super()._get_train_sampler(train_dataset)
        return EpochOrder(
            len(data),
            self._train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size,
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
            epoch=lambda: int(self.state.epoch or 0),
            lengths=data["length"] if strategy == "group_by_length" else None,
        )

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> Any:
        """Batches of one optimiser step, and how many of their rows count, over all processes."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        _, counts_N, _ = self._on_device(samples[0]["row"].device)
        for batch in samples:
            batch["counts"] = counts_N[batch["row"]]
        if self.args.world_size > 1 and self.accelerator.gradient_state.end_of_dataloader:
            samples[-1]["counts"] *= self._own_rows(samples[-1]["counts"])
        counted = torch.stack([batch["counts"].sum() for batch in samples]).sum().to(device)
        if self.args.world_size > 1:
            counted = self.accelerator.reduce(counted, "sum")
        return samples, counted

    def _own_rows(self, counts_B: Tensor) -> Tensor:
        """0 for rows that only fill up the last batch of an epoch, which is of one size on all processes; else 1."""
        size = self._train_batch_size
        rest = len(self.train_dataset) % (size * self.args.world_size)
        if rest == 0 or self.args.dataloader_drop_last:
            return torch.ones_like(counts_B)
        own = rest - size * self.args.process_index
        mine_B: Tensor = torch.arange(len(counts_B), device=counts_B.device) < own
        return mine_B.to(counts_B.dtype)

    # ---- loss

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Mean of the method's loss over the rows that count, and over members."""
        inputs = dict(inputs)
        row_B = inputs.pop("row")
        training = self.model.training
        obs, counts = self._seen(row_B, training=training)
        counts = inputs.pop("counts", counts)  # as `get_batch_samples` found them
        if training:
            self._tokens_here = self._tokens_here + inputs["attention_mask"].sum()
        outputs = model(**inputs)
        # FSDP2 in bfloat16 rounds what leaves the module
        logits = {name: value.transpose(0, 1).float() for name, value in outputs.items()}
        weight = counts if obs.weight_B is None else counts * obs.weight_B
        rows_MB = self.method.loss(logits, replace(obs, weight_B=weight))
        total = counts.sum() if num_items_in_batch is None else torch.as_tensor(num_items_in_batch)
        loss = ((rows_MB * weight).sum(-1) / total.to(rows_MB.device).clamp(min=1)).mean()
        if num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # gradients are averaged over processes
        if training:  # of all held-out rows at once in `_judged`
            for name, value in told(self.method, {n: v.detach() for n, v in logits.items()}, obs).items():
                self._told[name].append(value)
        return (loss, outputs) if return_outputs else loss

    def _seen(self, row_B: Tensor, *, training: bool) -> tuple[Observations, Tensor]:
        """What the log shows of some rows, and how much each counts, on their device."""
        table, counts_N, bootstrap_MN = self._on_device(row_B.device)
        weight = bootstrap_MN[:, row_B] if training and bootstrap_MN is not None else None
        epoch = int(self.state.epoch or 0) if training else -1
        return replace(table.rows(row_B), weight_B=weight, epoch=epoch), counts_N[row_B]

    def _on_device(self, device: torch.device) -> tuple[Observations, Tensor, Tensor | None]:
        """The log, the rows that count, and how often each member draws them, moved once."""
        if self._placed is None or self._placed[1].device != device:
            drawn = None if self.bootstrap_MN is None else self.bootstrap_MN.to(device)
            self._placed = self.observations.to(device), self.counts_N.float().to(device), drawn
        return self._placed

    # ---- optimiser

    def create_optimizer(self, model: Any = None) -> Any:
        """The backbone at the learning rate of the configuration, the small heads at their own, without decay."""
        module = self.model if model is None else model
        if getattr(self, "optimizer", None) is None:  # none was handed over
            decayed = set(self.get_decay_parameter_names(module))
            small: list[Tensor] = []
            large: list[Tensor] = []
            plain: list[Tensor] = []
            for name, parameter in module.named_parameters():
                if not parameter.requires_grad:
                    continue
                own = "backbone." not in name
                (small if own else large if name in decayed else plain).append(parameter)
            groups = [
                {"params": large, "weight_decay": self.args.weight_decay},
                {"params": plain, "weight_decay": 0.0},
                {"params": small, "weight_decay": 0.0, "lr": self.args.propensity_learning_rate},
            ]
            with refused_in_one_line("args"):
                kind, keywords = self.get_optimizer_cls_and_kwargs(self.args, module)
                self.optimizer = kind(groups, **keywords)
        return self.optimizer

    def create_scheduler(self, *args: Any, **kwargs: Any) -> Any:
        """As the configuration says; what the schedule refuses is one line."""
        with refused_in_one_line("args: lr_scheduler_type, lr_scheduler_kwargs"):
            return super().create_scheduler(*args, **kwargs)

    def init_hf_repo(self, *args: Any, **kwargs: Any) -> None:
        """The repository that `push_to_hub` names; without a network or the right to write there, one line."""
        with refused_in_one_line("args: push_to_hub", (Exception,)):
            super().init_hf_repo(*args, **kwargs)

    # ---- judging

    def prediction_step(
        self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> Any:
        """Loss, logits by head and row numbers of a held-out batch."""
        inputs = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, outputs = self.compute_loss(model, inputs, return_outputs=True)
        if prediction_loss_only:
            return loss.detach(), None, None
        return (
            loss.detach(),
            {name: value.float().contiguous() for name, value in outputs.items()},
            inputs["row"],
        )

    def _judged(self, prediction: EvalPrediction) -> dict[str, float]:
        logits, obs, half_n = self._pooled(prediction)
        metrics = {name: float(value) for name, value in told(self.method, logits, obs).items()}
        metrics["criterion"] = criterion(
            self.method, logits, obs, heads_to_scale(self.method, self._module()), half_n
        )
        if self._further_metrics is not None:
            metrics |= self._further_metrics(prediction)
        return metrics

    def _pooled(self, prediction: EvalPrediction) -> HeldOut:
        """Logits [M, n], observations and halves of the held-out rows in their order, each row once."""
        row_n, first = np.unique(np.asarray(prediction.label_ids), return_index=True)
        predictions: Mapping[str, Any] = prediction.predictions
        logits = {
            name: torch.from_numpy(np.asarray(value))[first].transpose(0, 1)
            for name, value in predictions.items()
        }
        index = torch.from_numpy(row_n)
        return logits, self.observations.rows(index), self._half_n[index - self.train_rows]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log with the means of what the batches since the last time told."""
        if self._told and any(key.startswith("loss") or key == "train_loss" for key in logs):
            names = sorted(self._told)
            means = torch.stack([torch.stack(self._told[name]).mean() for name in names])
            means = self.accelerator.reduce(means, "mean").cpu()
            logs = {**logs, **{name: round(float(v), 6) for name, v in zip(names, means, strict=True)}}
            logs["num_tokens"] = self._count_tokens()
            self._told.clear()
        super().log(logs, start_time)

    def log_line(self, text: str) -> None:
        """One line for the user."""
        logging.getLogger("tacit").warning(text)

    # ---- what is left

    def fitted(self) -> FineTuned | None:
        """The trained model with its temperature set on the held-out rows; every process has to call it.

        None on processes that hold but a shard: there the first one has the result.
        """
        held = None
        if self.eval_dataset is not None:
            prediction = self.predict(self.eval_dataset)
            held = self._pooled(EvalPrediction(prediction.predictions, prediction.label_ids))
        module = self._whole_module()
        if module is None:
            return None
        return fine_tuned(
            module,
            self.method,
            self.processing_class,
            self.side_features,
            held,
            exclusion=context_varies(self.train_log.context_columns()),
        )

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write a plain sequence classifier that every stack loads; inside checkpoints, the state of the training.

        A checkpoint of an adapter holds what is trained: adapter, reward head and the small heads.
        """
        folder = Path(output_dir or self.args.output_dir or ".")
        if not _internal_call:
            done = self.fitted()
            if done is not None and self.args.should_save:
                done.network.save_pretrained(folder)
                done.tokenizer.save_pretrained(folder)
            return
        if self.adapter is not None and not self.is_fsdp_enabled and not self.is_deepspeed_enabled:
            if self.args.should_save:
                folder.mkdir(parents=True, exist_ok=True)
                trained = {
                    name: value.detach().cpu().contiguous()
                    for name, value in self._module().named_parameters()
                    if value.requires_grad
                }
                safetensors.torch.save_file(trained, folder / "model.safetensors", metadata={"format": "pt"})
                self.processing_class.save_pretrained(folder)
            return
        super().save_model(output_dir, _internal_call=True)

    def _module(self) -> FeedbackModule:
        module = self.accelerator.unwrap_model(self.model)
        assert isinstance(module, FeedbackModule)
        return module

    def _whole_module(self) -> FeedbackModule | None:
        """A copy of the trained module on the CPU, gathered where it is sharded; None where another one has it."""
        if not (self.is_fsdp_enabled or self.is_deepspeed_enabled):
            return copied_to_cpu(self._module())
        state = self.accelerator.get_state_dict(self.model_wrapped)
        return rebuilt(self._module(), state) if state else None  # gathered on the first process alone
