"""A checkpoint on disk: the table of docs/export.md, written out, loaded again and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from tacit.errors import ConfigError, ModelError, one_line
from tacit.features.chat import checked_tokenizer, give_padding
from tacit.features.transformer import TransformerEncoder, quiet_transformers
from tacit.model.classifier import Classifier
from tacit.model.doctor import Finding, examine
from tacit.model.export.head import Row
from tacit.model.legible import edit_json, make_legible
from tacit.training.finetune.backbone import head_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Dtype = Literal["auto", "float32", "bfloat16", "float16"]

INHERITED = ("bos", "end-token", "chat-template")
"""Checks of the doctor that judge the tokenizer as its authors made it: told, not refused."""


@dataclass(frozen=True)
class Compared:
    """Scores of the written folder, loaded again, beside those of the model.

    Attributes:
        texts: how many were scored.
        largest: largest difference, in logits.
        size: what differences are relative to: 1, the largest score, or, where the score sums products w·e that cancel,
            the root of their sum of squares; whichever is largest.
        tolerance: what `largest / size` may be.
    """

    texts: int
    largest: float
    size: float
    tolerance: float

    @property
    def relative(self) -> float:
        """Largest difference relative to the size of the scores."""
        return self.largest / self.size

    def to_json(self) -> dict[str, float]:
        """As it stands in the side file."""
        return asdict(self)


def classifier_on(encoder: TransformerEncoder, row: Row, dtype: Dtype) -> tuple[PreTrainedModel, Any]:
    """The encoder's backbone as a sequence classifier with this head, and its tokenizer.

    Raises:
        ConfigError: transformers has no sequence classifier of this family.
    """
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with quiet_transformers():
        try:
            tokenizer = checked_tokenizer(
                AutoTokenizer.from_pretrained(encoder.folder, trust_remote_code=False, local_files_only=True)
            )
            network = AutoModelForSequenceClassification.from_pretrained(
                encoder.folder,
                num_labels=1,
                dtype="auto" if dtype == "auto" else getattr(torch, dtype),
                use_safetensors=True,
                trust_remote_code=False,
                local_files_only=True,
                ignore_mismatched_sizes=True,
            )
        except (OSError, ValueError, KeyError, ImportError, RuntimeError, TypeError) as error:
            raise ConfigError(
                f"encoder {encoder.name!r} is no sequence classifier for transformers ({one_line(error)}); serve the "
                "model as it is: tacit serve"
            ) from None
    head, _ = head_of(network)
    # The head stays float32 in the file whatever the backbone is: bfloat16 would move scores by some thousandths.
    head.weight = torch.nn.Parameter(
        torch.from_numpy(row.weight_D[None].astype(np.float32)), requires_grad=False
    )
    if not tokenizer.chat_template:
        tokenizer.chat_template = _plain_template(tokenizer)
    give_padding(tokenizer, network)
    return network, tokenizer


def _plain_template(tokenizer: Any) -> str:
    """The way a decoder without a template was read in the fit: contents joined by blank lines, special tokens once."""
    probe = tokenizer("a", add_special_tokens=False)["input_ids"]
    whole = tokenizer("a")["input_ids"]
    at = next((i for i in range(len(whole)) if whole[i : i + len(probe)] == probe), 0)
    before, after = tokenizer.decode(whole[:at]), tokenizer.decode(whole[at + len(probe) :])
    return (
        f"{before}{{% for message in messages %}}{{{{ message['content'] }}}}"
        f"{{% if not loop.last %}}{{{{ '\\n\\n' }}}}{{% endif %}}{{% endfor %}}{after}"
    )


def write(
    network: Any, tokenizer: Any, folder: Path, dtype: Dtype, scores: tuple[float, float] | None
) -> None:
    """Write weights, configuration and tokenizer; the network itself is not changed.

    Args:
        network: a sequence classifier with one label.
        tokenizer: saved with its chat template.
        folder: exists and is empty.
        dtype: of all weights but the head's, which stays as it is.
        scores: mean and standard deviation of scores, for OpenRLHF; None keeps what the configuration says.
    """
    weights = network.state_dict()
    _, head = head_of(network)
    if dtype != "auto":
        kind = getattr(torch, dtype)
        weights = {
            name: value.to(kind) if value.is_floating_point() and not name.startswith(f"{head}.") else value
            for name, value in weights.items()
        }
    with quiet_transformers():
        network.save_pretrained(folder, state_dict=weights)
        tokenizer.save_pretrained(folder)
    changes: dict[str, Any] = {
        "problem_type": "regression",
        "id2label": {"0": "LABEL_0"},
        "label2id": {"LABEL_0": 0},
        "_name_or_path": None,  # a path of the machine of the fit
    }
    if dtype != "auto":
        changes["dtype"] = dtype
    if scores is not None:
        changes |= {"mean": scores[0], "std": max(scores[1], 1e-6)}
    edit_json(folder / "config.json", changes)
    make_legible(folder, tokenizer.model_input_names)


def compare(
    folder: Path,
    chats: Sequence[list[dict[str, str]]],
    expected_N: NDArray[np.floating],
    tolerance: float,
    size: float = 1.0,
) -> Compared:
    """Load the folder as any stack would and score these chats; `size` and `tolerance` as in `Compared`.

    Raises:
        ModelError: it does not load, or scores otherwise.
    """
    classifier = Classifier.open(folder)
    found_N = classifier.text_scores([classifier.chat.render(chat) for chat in chats])[:, 0]
    size = max(1.0, size, float(np.abs(expected_N).max()))
    compared = Compared(len(chats), float(np.abs(found_N - expected_N).max()), size, tolerance)
    if not compared.relative <= tolerance:  # NaN fails as well
        raise ModelError(
            f"the export scores {compared.largest:.2g} from the model on {len(chats)} texts (relative "
            f"{compared.relative:.1e}, allowed {tolerance:.0e}) and was not kept; report it with the model's family"
        )
    return compared


def judge(folder: Path) -> list[Finding]:
    """What the doctor finds in the files, of the tokenizer's own making.

    Raises:
        ModelError: it finds something that an export must not have.
    """
    failed = [finding for finding in examine(folder, measure=False) if finding.status == "fails"]
    ours = [finding for finding in failed if finding.check not in INHERITED]
    if ours:
        raise ModelError(
            f"the export was not kept, it fails {', '.join(f'{f.check} ({f.found})' for f in ours)}; report this with "
            "the family of the model"
        )
    return failed
