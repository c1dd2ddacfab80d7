"""HelpSteer, UltraFeedback, PKU-SafeRLHF and TruthfulQA, on small tables of their schema made here."""

from __future__ import annotations

import json
import string
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tacit.data import FeedbackLog
from tacit.data.published import SOURCES
from tacit.errors import DataError

Row = dict[str, Any]


def helpsteer(prompt: str, response: str, helpfulness: int | None) -> Row:
    rest = {"correctness": 3, "coherence": 4, "complexity": 1, "verbosity": 2}
    return {"prompt": prompt, "response": response, "helpfulness": helpfulness, **rest}


def completion(model: str, response: str | None, score: float | None, fine: float = 3.5) -> Row:
    aspect = {"Rating": "4", "Rationale": "Close."}
    typed = {**aspect, "Rationale For Rating": "Fine.", "Type": ["1"]}
    return {
        "annotations": {
            "helpfulness": typed,
            "honesty": aspect,
            "instruction_following": aspect,
            "truthfulness": typed,
        },
        "critique": "Could be shorter.",
        "custom_system_prompt": "Be honest.",
        "fine-grained_score": fine,
        "model": model,
        "overall_score": score,
        "principle": "honesty",
        "response": response,
    }


def ultrafeedback(instruction: str, completions: list[Row]) -> Row:
    return {
        "source": "sharegpt",
        "instruction": instruction,
        "models": [made["model"] for made in completions],
        "completions": completions,
        "correct_answers": ["None"],
        "incorrect_answers": ["None"],
    }


def talk(asked: str, answer: str) -> list[dict[str, str]]:
    return [{"content": asked, "role": "user"}, {"content": answer, "role": "assistant"}]


def binarised(name: str, chosen: float | None, rejected: float | None) -> Row:
    return {
        "prompt": f"{name}?",
        "prompt_id": f"id of {name}",
        "chosen": talk(f"{name}?", f"{name} well"),
        "rejected": talk(f"{name}?", f"{name} badly"),
        "messages": talk(f"{name}?", f"{name} well"),
        "score_chosen": chosen,
        "score_rejected": rejected,
    }


def saferlhf(prompt: str, severities: tuple[int | None, int | None], better: int, safer: int) -> Row:
    harms = {"Violence": False, "Privacy Violation": False}
    row: Row = {
        "prompt": prompt,
        "response_0": f"{prompt} zero",
        "response_1": f"{prompt} one",
        "prompt_source": "Alpaca3-8B",
        "response_0_source": "Alpaca-7B",
        "response_1_source": "Alpaca2-7B",
    }
    for i, severity in enumerate(severities):
        row[f"is_response_{i}_safe"] = severity == 0
        row[f"response_{i}_harm_category"] = harms
        row[f"response_{i}_severity_level"] = severity
        row[f"response_{i}_sha256"] = "00ff"
    return row | {"better_response_id": better, "safer_response_id": safer}


def judged(question: str, answer: str, verdict: str | None) -> Row:
    return {"prompt": f"Q: {question}\nA: {answer}\nTrue:", "completion": verdict}


TABLES = {
    "helpsteer": [helpsteer("Why?", f"Because {i}.", i) for i in range(5)],
    "ultrafeedback": [
        ultrafeedback("Sum?", [completion("alpaca-7b", "4", 6.5), completion("gpt-4", "Four.", 7.0)]),
        ultrafeedback("Name?", [completion("gpt-4", "Ada", 9.0)]),
    ],
    "ultrafeedback_binarised": [binarised("first", 8.5, 7.0), binarised("second", 6.0, 1.0)],
    "saferlhf": [saferlhf("Pick a lock", (3, 0), 0, 1), saferlhf("Bake", (1, 2), 0, 0)],
    "truthfulqa": [judged("Why?", "So.", " yes"), judged("Why?", "Not so.", " no")],
}


def written(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def read(path: Path, rows: list[Row], **options: Any) -> FeedbackLog:
    return FeedbackLog.read(written(path / "set.jsonl", rows), **options)


@pytest.mark.parametrize("name", TABLES)
def test_each_set_is_recognised_as_itself_and_has_no_signals(
    name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", logger="tacit"):
        log = read(tmp_path, TABLES[name])
    assert f"read as {SOURCES[name].title}" in caplog.text
    assert log.roles.signals == () and log.roles.gold is not None and log.quarantine.total == 0
    assert log.fingerprint() == read(tmp_path, TABLES[name], source=name).fingerprint()


@pytest.mark.parametrize("name", TABLES)
def test_no_other_source_takes_a_set_for_its_own(name: str) -> None:
    columns = list(TABLES[name][0])
    takers = {source for source, known in SOURCES.items() if known.detect(columns)}
    assert takers == {name} | ({"saferlhf_published"} if name == "saferlhf" else set())


@pytest.mark.parametrize("name", TABLES)
def test_parquet_and_dataset_folders_read_as_json_lines_do(name: str, tmp_path: Path) -> None:
    from datasets import Dataset

    expected = read(tmp_path, TABLES[name]).fingerprint()
    pq.write_table(pa.Table.from_pylist(TABLES[name]), tmp_path / "set.parquet")
    assert FeedbackLog.read(tmp_path / "set.parquet").fingerprint() == expected
    Dataset.from_list(TABLES[name]).save_to_disk(str(tmp_path / "set"))
    assert FeedbackLog.read(tmp_path / "set").fingerprint() == expected


@pytest.mark.parametrize("name", TABLES)
def test_a_forced_graded_source_is_checked(name: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"not .*: columns are q, a"):
        read(tmp_path, [{"q": "Why?", "a": "So."}], source=name)


def test_helpsteer_is_helpful_above_two_and_keeps_all_columns(tmp_path: Path) -> None:
    log = read(tmp_path, [row | {"copied": 1} for row in TABLES["helpsteer"]], signals=["copied"])
    assert log.gold_values()[0].tolist() == [0, 0, 0, 1, 1] and log.roles.gold == "helpful"
    assert log.column("rating") == [0, 1, 2, 3, 4] and log.column("verbosity") == [2] * 5
    assert log.prompt_codes().tolist() == [0] * 5 and log.signal_matrix()[0].all()


def test_helpsteer_ratings_that_are_null_or_off_the_scale_are_quarantined(tmp_path: Path) -> None:
    rows = [helpsteer("Why?", "So.", value) for value in (None, 5, 4)]
    log = read(tmp_path, rows)
    assert log.column("rating") == [4]
    assert [(bad.row, bad.reason) for bad in log.quarantine.examples] == [
        (1, "helpfulness is null"),
        (2, "helpfulness is not a number from 0 to 4"),
    ]
    with pytest.raises(DataError, match="2 of 3 rows cannot be used, more than max_bad=1"):
        read(tmp_path, rows, max_bad=1)


def test_a_rating_that_pandas_made_nan_is_null() -> None:
    import pandas as pd

    log = FeedbackLog.read(pd.DataFrame([helpsteer("Why?", "So.", value) for value in (3, None)]))
    assert len(log) == 1 and log.quarantine.counts == {"helpfulness is null": 1}


def test_ultrafeedback_gives_a_row_to_each_completion_with_its_model(tmp_path: Path) -> None:
    log = read(tmp_path, TABLES["ultrafeedback"])
    assert log.prompts() == ["Sum?", "Sum?", "Name?"] and log.responses() == ["4", "Four.", "Ada"]
    assert log.column("rating") == [6.5, 7, 9] and log.gold_values()[0].tolist() == [0, 1, 1]
    assert log.codes("policy").tolist() == [0, 1, 1] and log.prompt_codes().tolist() == [0, 0, 1]
    assert log.column("fine_grained_score") == [3.5] * 3 and log.column("principle") == ["honesty"] * 3


def test_ultrafeedback_quarantines_unscored_and_missing_completions_and_the_faulty_tens(
    tmp_path: Path,
) -> None:
    made = [
        completion("a", "unscored", None),
        completion("b", "a ten for nothing", 10.0, fine=1.0),
        completion("c", "a true ten", 10.0, fine=5.0),
        completion("d", None, 8.0),
    ]
    log = read(tmp_path, [ultrafeedback("Sum?", []), ultrafeedback("Sum?", made)])
    assert log.responses() == ["a true ten"]
    assert log.quarantine.counts == {
        "completions is not a list with at least one completion": 1,
        "overall_score 10 beside a fine-grained_score of 2 or less, a fault of the first release": 1,
        "overall_score is null": 1,
        "response is missing": 1,
    }


def test_a_binarised_pair_becomes_two_rows_of_one_prompt_id(tmp_path: Path) -> None:
    log = read(tmp_path, TABLES["ultrafeedback_binarised"])
    assert log.responses() == ["first well", "first badly", "second well", "second badly"]
    assert log.messages()[1] == [
        {"role": "user", "content": "first?"},
        {"role": "assistant", "content": "first badly"},
    ]
    assert log.roles.prompt_id == "prompt_id" and log.prompt_codes().tolist() == [0, 0, 1, 1]
    assert log.gold_values()[0].tolist() == [1, 1, 0, 0] and log.column("chosen") == [1, 0, 1, 0]
    assert log.column("rating") == [8.5, 7, 6, 1] and log.roles.policy is None


def test_half_a_binarised_pair_can_be_quarantined(tmp_path: Path) -> None:
    rows = [binarised("first", None, 3.0), binarised("second", 8.0, 2.0)]
    rows[1]["rejected"] = talk("second?", "badly")[:1]
    log = read(tmp_path, rows)
    assert log.responses() == ["first badly", "second well"]
    assert log.quarantine.counts == {
        "rejected is not a list of messages that ends with the assistant's": 1,
        "score_chosen or score_rejected is null": 1,
    }


def test_a_binarised_set_without_prompt_ids_groups_equal_prompts(tmp_path: Path) -> None:
    rows = [{k: v for k, v in row.items() if k != "prompt_id"} for row in TABLES["ultrafeedback_binarised"]]
    assert read(tmp_path, rows).prompt_codes().tolist() == [0, 0, 1, 1]


def test_saferlhf_gold_is_harmless_and_rating_the_negated_severity(tmp_path: Path) -> None:
    log = read(tmp_path, TABLES["saferlhf"])
    assert log.responses() == ["Pick a lock zero", "Pick a lock one", "Bake zero", "Bake one"]
    assert log.column("severity") == [3, 0, 1, 2] and log.column("rating") == [0, 3, 2, 1]
    assert log.roles.gold == "harmless" and log.gold_values()[0].tolist() == [0, 1, 1, 0]
    assert log.column("is_safe") == [False, True, False, False]
    assert log.column("is_better") == [True, False, True, False]
    assert log.column("is_safer") == [False, True, True, False]
    assert log.codes("policy").tolist() == [0, 1, 0, 1] and log.prompt_codes().tolist() == [0, 0, 1, 1]


def test_the_published_orientation_of_saferlhf_is_labelled_harmful(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = read(tmp_path, TABLES["saferlhf"])
    with caplog.at_level("INFO", logger="tacit"):
        log = read(tmp_path, TABLES["saferlhf"], source="saferlhf_published")
    assert "as published (gold 1 = HARMFUL)" in caplog.text
    assert log.roles.gold == "harmful" and "harmless" not in log.table.column_names
    assert log.column("rating") == log.column("severity") == [3, 0, 1, 2]
    assert (log.gold_values()[0] + ours.gold_values()[0]).tolist() == [1, 1, 1, 1]


def test_saferlhf_quarantines_the_one_of_a_pair_without_severity(tmp_path: Path) -> None:
    log = read(tmp_path, [saferlhf("Bake", (None, 0), 1, 1)])
    assert log.responses() == ["Bake one"] and log.quarantine.counts == {"severity level is null": 1}


def test_truthfulqa_reads_questions_answers_and_verdicts(tmp_path: Path) -> None:
    rows = [
        judged("Why?", "So.\nA: Or so.\nQ: Is it?", " yes"),
        judged("Why?", "Not so.", " no"),
        judged("When?", "", " no"),
        judged("When?", "Now.", None),
        judged("When?", "Then.", " perhaps"),
        {"prompt": "Q: When?\nA: Soon.\nHelpful:", "completion": " yes"},
    ]
    log = read(tmp_path, rows)
    assert log.prompts() == ["Why?", "Why?"] and log.responses() == ["So.\nA: Or so.\nQ: Is it?", "Not so."]
    assert log.gold_values()[0].tolist() == [1, 0] and log.column("rating") == [1, 0]
    assert log.roles.gold == "truthful" and log.prompt_codes().tolist() == [0, 0]
    assert log.quarantine.counts == {
        "prompt is not 'Q: …\\nA: …\\nTrue:' as published": 1,
        "completion is neither ' yes' nor ' no'": 1,
        "completion is null": 1,
        "response is empty": 1,
    }


@pytest.mark.parametrize("cue", ["Helpful:", ""])
def test_prompts_and_completions_of_another_kind_stay_a_plain_log(cue: str, tmp_path: Path) -> None:
    log = read(tmp_path, [{"prompt": f"Q: Why?\nA: So.\n{cue}", "completion": " yes"}])
    assert log.roles.response == "completion" and log.roles.gold is None
    chat = read(tmp_path, [{"prompt": talk("Why?", "So.")[:1], "completion": talk("Why?", "So.")[1:]}])
    assert chat.roles.response == "completion" and chat.is_chat


WORDS = st.text(alphabet=string.ascii_letters + " ?.:\n", min_size=1).map(str.strip).filter(bool)


@given(question=WORDS.filter(lambda text: "\nA:" not in text), answer=WORDS, verdict=st.booleans())
def test_truthfulqa_gives_back_any_question_and_answer(question: str, answer: str, verdict: bool) -> None:
    table = pa.Table.from_pylist([judged(question, answer, " yes" if verdict else " no")])
    log = FeedbackLog.read(table)
    assert log.prompts() == [question] and log.responses() == [answer]
    assert log.gold_values()[0].tolist() == [float(verdict)]
