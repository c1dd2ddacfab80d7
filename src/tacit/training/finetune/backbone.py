"""A transformer with a linear head: opening one for training, and turning what was trained into a plain checkpoint.

The head has one row per member while it is trained, and one row, their mean, in the checkpoint.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from tacit.errors import ConfigError, one_line
from tacit.features.chat import checked_tokenizer, give_padding, give_template
from tacit.features.transformer import LOADING_ERRORS, quiet_transformers

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def open_tokenizer(name: str, given: Any = None) -> PreTrainedTokenizerBase:
    """The tokenizer of a model, or the given one.

    Raises:
        ConfigError: transformers cannot load it.
    """
    if given is not None:
        return given
    from transformers import AutoTokenizer

    with quiet_transformers():
        try:
            return checked_tokenizer(AutoTokenizer.from_pretrained(name, trust_remote_code=False))
        except (OSError, ValueError, KeyError, ImportError, TypeError) as error:
            raise ConfigError(
                f"model {name!r}: its tokenizer does not load ({one_line(error)}); pass processing_class=…"
            ) from None


def open_backbone(
    model: str | PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    members: int,
    *,
    init: Mapping[str, Any] | None = None,
    keep_dropout: bool = False,
    lora: Any = None,
) -> Any:
    """A sequence classifier with a head of `members` rows, ready to be trained.

    Args:
        model: hub id or folder, or a sequence classifier (also one wrapped by peft).
        tokenizer: gets a chat template and a padding token of its own where it has none.
        members: rows of the head.
        init: keywords for `from_pretrained`; weights are float32 unless they say otherwise.
        keep_dropout: leave dropout as the configuration has it.
        lora: a peft configuration, or None to train all weights.

    Raises:
        ConfigError: the model does not load, is no sequence classifier, or the adapter is not of the task SEQ_CLS.
    """
    give_template(tokenizer)
    backbone = _load(model, members, dict(init or {})) if isinstance(model, str) else model
    if lora is None and hasattr(backbone, "peft_config"):
        _require_sequence_task(next(iter(backbone.peft_config.values())))
    if not keep_dropout:
        _silence_dropout(backbone)
    give_padding(tokenizer, backbone)
    head, _ = head_of(backbone)
    if head.out_features != members:
        _replace_head(backbone, members)
    if lora is None:
        return backbone
    return _with_adapter(backbone, lora)


def _load(name: str, members: int, init: dict[str, Any]) -> Any:
    from transformers import AutoModelForSequenceClassification

    init.setdefault("dtype", torch.float32)
    with quiet_transformers():
        try:
            return AutoModelForSequenceClassification.from_pretrained(
                name,
                num_labels=members,
                use_safetensors=True,
                trust_remote_code=False,
                ignore_mismatched_sizes=True,
                **init,
            )
        except LOADING_ERRORS as error:
            raise ConfigError(
                f"model {name!r} does not load as a sequence classifier ({one_line(error)}); expected a folder or a "
                "hub id of a model that AutoModelForSequenceClassification knows"
            ) from None


def _require_sequence_task(config: Any) -> None:
    task = getattr(config.task_type, "value", config.task_type)
    if task != "SEQ_CLS":
        raise ConfigError(
            f"the adapter has task_type {task!r}, expected 'SEQ_CLS': otherwise the reward head is frozen, left out of "
            "the adapter, and random after a reload"
        )


def _with_adapter(backbone: Any, lora: Any) -> Any:
    try:
        from peft import get_peft_model
    except ImportError:
        raise ConfigError('adapters need peft: pip install "tacit[train]"') from None
    lora = copy.deepcopy(lora)
    if lora.task_type is None:
        lora.task_type = "SEQ_CLS"  # brings the head along: trained, and saved with the adapter
    _require_sequence_task(lora)
    return get_peft_model(backbone, lora)


def _silence_dropout(backbone: Any) -> None:
    for module in backbone.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0


def head_of(network: Any) -> tuple[nn.Linear, str]:
    """The last linear layer, which is the head of every sequence classifier, and its dotted name.

    Raises:
        ConfigError: the network has none with as many rows as its configuration has labels.
    """
    rows = network.config.num_labels
    found = [
        (module, name)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear) and module.out_features == rows and "base_layer" not in name
    ]
    # peft keeps the untouched head beside the trained one
    found = [pair for pair in found if "original_module" not in pair[1]]
    if not found:
        raise ConfigError(
            f"{type(network).__name__} has no linear head with {rows} rows; expected a *ForSequenceClassification"
        )
    return found[-1]


def _replace_head(backbone: Any, members: int) -> None:
    head, name = head_of(backbone)
    fresh = nn.Linear(
        head.in_features,
        members,
        bias=head.bias is not None,
        device=head.weight.device,
        dtype=head.weight.dtype,
    )
    nn.init.normal_(fresh.weight, std=getattr(backbone.config, "initializer_range", 0.02))
    if fresh.bias is not None:
        nn.init.zeros_(fresh.bias)
    put_head(backbone, name, fresh)


def put_head(network: Any, name: str, head: nn.Linear) -> None:
    """Set the head under its dotted name, and the number of labels with it."""
    parent, _, attribute = name.rpartition(".")
    setattr(network.get_submodule(parent), attribute, head)
    network.config.num_labels = head.out_features
    if hasattr(network, "num_labels"):
        network.num_labels = head.out_features


@torch.no_grad()
def one_row(network: Any, scale: float) -> tuple[Any, Tensor]:
    """The plain checkpoint of a trained backbone, and the rows of its members.

    Args:
        network: a sequence classifier with one row per member and no adapter; it is changed.
        scale: temperature of the reward, multiplied into the head.

    Returns:
        The network with one row, the mean, labelled as every stack expects it, and all rows [M, H + 1], float32; the
        last column is the bias, 0 where the head has none.
    """
    head, name = head_of(network)
    bias_M = torch.zeros(head.out_features) if head.bias is None else head.bias.float()
    rows_MH = scale * torch.cat([head.weight.float(), bias_M[:, None].to(head.weight.device)], dim=1)
    put_head(network, name, linear(rows_MH.mean(0, keepdim=True), head))
    label(network.config)
    return network, rows_MH.contiguous()


class WideLinear(nn.Linear):
    """A head in float32 on a backbone of any type: rounded, the mean of the members' rows would score differently from
    the mean of their scores."""

    def forward(self, hidden: Tensor) -> Tensor:
        """Outputs, in the type of the head."""
        return super().forward(hidden.to(self.weight.dtype))


def linear(rows_RH: Tensor, like: nn.Linear) -> nn.Linear:
    """A float32 head from rows [R, H + 1] whose last column is the bias, with or without bias as another one."""
    head = WideLinear(like.in_features, rows_RH.shape[0], bias=like.bias is not None)
    head.to(device=like.weight.device)
    with torch.no_grad():
        head.weight.copy_(rows_RH[:, :-1])
        if head.bias is not None:
            head.bias.copy_(rows_RH[:, -1])
    return head.requires_grad_(False)


def label(config: Any) -> None:
    """One output, read as a raw logit: without `problem_type`, vLLM would put a sigmoid on it."""
    config.num_labels = 1
    config.id2label, config.label2id = {0: "LABEL_0"}, {"LABEL_0": 0}
    config.problem_type = "regression"
