"""The model folder: whole or not at all, checked when read, never over another one."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from toy_log import QUICK, columns, log_of

import tacit
from tacit import RewardModel, Signal, fit
from tacit.errors import ConfigError, IdentificationWarning, ModelError
from tacit.features.hashing import HashingEncoder
from tacit.methods import Naive, get
from tacit.model.description import identification_warnings
from tacit.training.log_rows import observe

TABLE = columns(prompts=40)
PAIRS = list(zip(TABLE["prompt"], TABLE["response"], strict=True))
FILES = ("README.md", "heads.safetensors", "tacit.json")


@pytest.fixture(scope="module")
def rm() -> RewardModel:
    return fit(log_of(TABLE), encoder="hashing:32", config=QUICK)


@pytest.fixture
def folder(rm: RewardModel, tmp_path: Path) -> Path:
    rm.save(tmp_path / "rm")
    return tmp_path / "rm"


def refusal(folder: Path) -> str:
    with pytest.raises(ModelError) as refused:
        RewardModel.load(folder)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize("method", ["implicit_rm", "naive", "constant", "length", "latent_ml"])
def test_a_loaded_model_scores_bit_for_bit_the_same(tmp_path: Path, method: str) -> None:
    signals = (
        (Signal("copied"), Signal("down", polarity=-1)) if method == "latent_ml" else (Signal("copied"),)
    )
    down = [int(t < 0.3 and y == 0) for t, y in zip(TABLE["truth"], TABLE["copied"], strict=True)]
    log = log_of(dict(TABLE, down=down), signals=signals)
    made = fit(log, method=method, encoder="hashing:32", config=QUICK)
    made.save(tmp_path / "rm")
    read = RewardModel.load(tmp_path / "rm")
    np.testing.assert_array_equal(read.score(PAIRS), made.score(PAIRS))
    np.testing.assert_array_equal(read.uncertainty(PAIRS), made.uncertainty(PAIRS))
    if method == "implicit_rm":
        np.testing.assert_array_equal(read.strata(log), made.strata(log))
    assert read.method == made.method and read.info["log"] == json.loads(json.dumps(made.info["log"]))


def test_a_loaded_model_saves_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    RewardModel.load(folder).save(tmp_path / "copy")
    for name in FILES:
        assert (tmp_path / "copy" / name).read_bytes() == (folder / name).read_bytes()


def test_a_folder_holds_three_files_and_nothing_temporary(folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted(FILES)
    assert [path.name for path in folder.parent.iterdir()] == ["rm"]


@pytest.mark.parametrize("where", [0.0, 0.3, 0.6, 0.99])
@pytest.mark.parametrize("name", ["heads.safetensors", "tacit.json"])
def test_one_damaged_byte_is_noticed(folder: Path, name: str, where: float) -> None:
    content = bytearray((folder / name).read_bytes())
    content[int(where * len(content))] ^= 0x10
    (folder / name).write_bytes(content)
    assert name in refusal(folder) and "damaged" in refusal(folder)


@pytest.mark.parametrize("name", ["heads.safetensors", "tacit.json"])
def test_a_cut_or_empty_file_is_noticed(folder: Path, name: str) -> None:
    content = (folder / name).read_bytes()
    for kept in (content[: len(content) // 2], b"", b"[]", b"null"):
        (folder / name).write_bytes(kept)
        assert name in refusal(folder)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert name in refusal(folder)


@pytest.mark.parametrize(("said", "instead"), [('"seed": 0', '"seed": 1'), ('"slot"', '"slit"')])
def test_a_manifest_that_is_still_json_but_says_something_else_is_noticed(
    folder: Path, said: str, instead: str
) -> None:
    text = (folder / "tacit.json").read_text()
    assert said in text
    (folder / "tacit.json").write_text(text.replace(said, instead))
    assert "checksum" in refusal(folder)


def test_a_manifest_nested_too_deep_is_damaged(folder: Path) -> None:
    (folder / "tacit.json").write_text("[" * 100_000)
    assert "tacit.json is damaged" in refusal(folder)
    with pytest.raises(ModelError, match=r"tacit\.json is damaged"):
        tacit.load(folder)


def test_a_card_may_be_edited_by_its_owner(folder: Path) -> None:
    (folder / "README.md").write_text("My own words.")
    RewardModel.load(folder)


def test_a_newer_format_is_named_with_what_to_do(folder: Path) -> None:
    from tacit.files import sha256_json

    manifest = json.loads((folder / "tacit.json").read_text())
    manifest.pop("checksum")
    manifest["format"] = 99
    (folder / "tacit.json").write_text(json.dumps(dict(manifest, checksum=sha256_json(manifest))))
    assert "upgrade tacit" in refusal(folder)


def test_what_is_no_model_folder_is_refused(tmp_path: Path) -> None:
    assert "not a folder" in refusal(tmp_path / "nowhere")
    assert "tacit.json" in refusal(tmp_path)
    (tmp_path / "file").write_text("x")
    assert "not a folder" in refusal(tmp_path / "file")


def test_a_folder_that_holds_a_model_is_left_as_it_is(rm: RewardModel, folder: Path) -> None:
    before = {name: (folder / name).read_bytes() for name in FILES}
    with pytest.raises(ConfigError, match="already holds another model") as refused:
        rm.save(folder)
    assert "\n" not in str(refused.value)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_other_files_and_a_file_of_that_name_are_left_too(rm: RewardModel, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("mine")
    with pytest.raises(ConfigError, match="other files"):
        rm.save(tmp_path / "notes")
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match="is a file"):
        rm.save(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    rm.save(tmp_path / "empty")
    RewardModel.load(tmp_path / "empty")


@pytest.mark.parametrize("there", [True, False])
def test_a_symlink_is_followed(rm: RewardModel, tmp_path: Path, there: bool) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "rm")
    if there:
        (tmp_path / "disk" / "rm").mkdir(parents=True)
    rm.save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["rm"]
    RewardModel.load(tmp_path / "link")


def test_a_mount_point_is_refused_with_a_folder_inside_it(
    rm: RewardModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = tmp_path / "disk"
    mounted.mkdir()
    (tmp_path / "link").symlink_to(mounted)
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path) == mounted)
    for out in (mounted, tmp_path / "link"):
        with pytest.raises(ConfigError, match=f"{out} is a mount point.*--out {out}/model") as refused:
            rm.save(out)
        assert "\n" not in str(refused.value)
    (mounted / "lost+found").mkdir()
    with pytest.raises(ConfigError, match="mount point"):
        rm.save(mounted)
    rm.save(mounted / "model")


def test_a_save_that_fails_leaves_nothing(
    rm: RewardModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tacit.model.folder.write_json", full_disk)
    with pytest.raises(OSError, match="No space"):
        rm.save(tmp_path / "rm")
    assert list(tmp_path.iterdir()) == []


def test_a_model_may_be_moved(rm: RewardModel, folder: Path, tmp_path: Path) -> None:
    shutil.move(folder, tmp_path / "elsewhere")
    np.testing.assert_array_equal(RewardModel.load(tmp_path / "elsewhere").score(PAIRS), rm.score(PAIRS))


def test_the_card_tells_signals_context_method_and_limits(folder: Path, rm: RewardModel) -> None:
    card = (folder / "README.md").read_text()
    for words in (
        "`copied`",
        "positive",
        "`slot`",
        "`implicit_rm`",
        "hashing:32",
        "cannot",
        "160",
        "2603.23184",
    ):
        assert words in card
    assert "Warning" not in card
    assert f"{100 * rm.info['metrics']['base_rate']:.1f} %" in card
    told = " ".join(card.split())
    low, high = (f"{100 * bound:.1f} %" for bound in rm.info["metrics"]["base_rate_interval"])
    assert f"does not rule out any share from **{low} to {high}** (95 %)" in told
    low, high = (f"{100 * bound:.1f} %" for bound in rm.info["metrics"]["base_rate_bounds"])
    assert f"from {low} to {high} it stays open however long the log" in told
    assert f"a Cohen's kappa of **{rm.info['metrics']['strata_kappa']:.3f}**" in " ".join(card.split())


@pytest.mark.filterwarnings("ignore::tacit.errors.IdentificationWarning")
def test_the_card_repeats_the_warnings_of_the_fit(tmp_path: Path) -> None:
    blind = fit(log_of(TABLE, context=()), encoder="hashing:32", config=QUICK)
    blind.save(tmp_path / "rm")
    card = (tmp_path / "rm" / "README.md").read_text()
    assert (
        "> **Warning.** one signal and no context" in card
        and "Context, never seen by the reward: none" in card
    )


def test_the_card_says_where_gold_took_part(tmp_path: Path) -> None:
    fit(log_of(TABLE, gold="truth"), encoder="hashing:32", config=QUICK, use_gold=True).save(tmp_path / "rm")
    card = (tmp_path / "rm" / "README.md").read_text()
    assert "beyond the gold labels that were passed on purpose" in card and "used in training: 160" in card


@pytest.mark.parametrize("prompts", [40, 60, 61])
def test_members_that_rank_nothing_have_no_agreement_and_still_a_card(tmp_path: Path, prompts: int) -> None:
    log = log_of(columns(prompts))
    fit(log, method="constant", encoder="hashing:32", config=QUICK).save(tmp_path / "rm")
    assert "One member, or equal scores" in (tmp_path / "rm" / "README.md").read_text()


class Mine(HashingEncoder):
    """An encoder that no name finds."""

    def __init__(self, dimension: int = 32) -> None:
        super().__init__(dimension)
        self.name = "mine"


def test_a_model_of_an_encoder_of_ones_own_is_loaded_with_it(tmp_path: Path) -> None:
    made = fit(log_of(TABLE), encoder=Mine(), config=QUICK)
    made.save(tmp_path / "rm")
    said = refusal(tmp_path / "rm")
    assert "'mine'" in said and "RewardModel.load(folder, encoder=…)" in said
    read = RewardModel.load(tmp_path / "rm", encoder=Mine())
    np.testing.assert_array_equal(read.score(PAIRS), made.score(PAIRS))
    with pytest.raises(ModelError, match=r"encoder mine is not the one of the fit \(content hash [^\n]*$"):
        RewardModel.load(tmp_path / "rm", encoder=Mine(64))
    with pytest.raises(ModelError, match="is not the one of the fit"):
        RewardModel.load(tmp_path / "rm", encoder=object())  # type: ignore[arg-type]


@dataclass(frozen=True)
class Own(Naive):
    """Silence is a little less than a no."""

    key = "own_naive"
    share: float = 0.5


def test_a_model_of_a_method_of_ones_own_is_loaded_with_it(tmp_path: Path) -> None:
    made = fit(log_of(TABLE), method=Own(0.25), encoder="hashing:32", config=QUICK)
    made.save(tmp_path / "rm")
    assert "'own_naive'" in (said := refusal(tmp_path / "rm")) and "method=YourMethod()" in said
    read = RewardModel.load(tmp_path / "rm", method=Own(0.25))
    np.testing.assert_array_equal(read.score(PAIRS), made.score(PAIRS))
    for other in (Own(), Naive()):
        with pytest.raises(ModelError, match=r"was made by 'own_naive' with {'share': 0.25}, got [^\n]*$"):
            RewardModel.load(tmp_path / "rm", method=other)


def test_a_method_under_the_key_of_another_is_refused_before_it_is_fitted() -> None:
    class Borrowed(Naive):
        """Forgot its key."""

    with pytest.raises(ConfigError, match="Borrowed has the key 'naive', which is that of tacit's Naive"):
        fit(log_of(TABLE), method=Borrowed(), encoder="hashing:32", config=QUICK)


def test_a_log_of_a_few_clicks_is_told() -> None:
    few = {name: values[:12] for name, values in TABLE.items()} | {"copied": [1] * 3 + [0] * 9}
    with pytest.warns(IdentificationWarning, match="users acted on 3 of 12 rows only"):
        rm = fit(log_of(few), encoder="hashing:32", config=QUICK)
    assert rm.info["identification"]["warnings"][0].startswith("users acted on 3 of 12 rows")


def test_a_label_that_says_no_is_an_act_too() -> None:
    few = {name: values[:12] for name, values in TABLE.items()} | {"copied": [1] + [0] * 10 + [None]}
    told = log_of(few, signals=(Signal("copied", kind="explicit"),))
    assert not identification_warnings(get("causal_fwd"), told, "context", observe(told))


def test_models_are_equal_to_themselves_alone(folder: Path) -> None:
    first, second = RewardModel.load(folder), RewardModel.load(folder)
    assert first != second and len({first, second, first}) == 2


@pytest.mark.skipif(os.name == "nt", reason="files have no such modes there")
def test_files_of_a_model_are_as_readable_as_others(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "any").touch()
    modes = {path.stat().st_mode for path in folder.rglob("*") if path.is_file()}
    assert modes == {(tmp_path / "any").stat().st_mode}


def test_a_name_that_finds_another_encoder_is_refused(folder: Path) -> None:
    with pytest.raises(ModelError, match="encoder hashing:64 is not the one of the fit"):
        RewardModel.load(folder, encoder="hashing:64")
    RewardModel.load(folder, encoder="hashing:32")
