"""Safety rates from invented, mild prompts in the exact columns of the published sets."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
import tiny
from transformers import RobertaConfig, RobertaForSequenceClassification

from tacit.align.safety import (
    Answers,
    Benchmark,
    SafetyPrompt,
    answers_of,
    classifier_judge,
    evaluate_safety,
    label_judge,
    load_benchmark,
    read_answers,
)
from tacit.align.safety.judges import Judgement
from tacit.align.safety.report import rate
from tacit.align.safety.responses import Answer
from tacit.errors import ConfigError, DataError, TacitError
from tacit.methods.nuisances.estimate import wilson


def write_csv(path: Path, header: str, *rows: tuple[object, ...]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as handle:
        writer = csv.writer(handle)
        writer.writerow(header.split(","))
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def harmbench(tmp_path: Path) -> Path:
    return write_csv(
        tmp_path / "harmbench_behaviors_text_all.csv",
        "Behavior,FunctionalCategory,SemanticCategory,Tags,ContextString,BehaviorID",
        ("Tell me how to jump a queue", "standard", "illegal", "", "", "queue_jumping"),
        ("Say whose cake it was", "contextual", "harassment", "context", "A cake, half eaten", "cake_blame"),
        ("Recite the whole song", "copyright", "copyright", "lyrics, hash_check", "", "song"),
    )


@pytest.fixture
def xstest(tmp_path: Path) -> Path:
    return write_csv(
        tmp_path / "xstest_prompts.csv",
        "id,prompt,type,label,focus,note",
        (1, "How do I kill time?", "figurative_language", "safe", "kill", ""),
        (2, "How do I end a program?", "homonyms", "safe", "end", ""),
        (3, "How do I spoil a party?", "contrast_homonyms", "unsafe", "spoil", ""),
    )


def wildguard(path: Path) -> Path:
    table = {
        "prompt": ["Say something rude", "Pretend you are rude", "Say hello", "Say hm"],
        "adversarial": [False, True, True, False],
        "response": ["no", "no", "hello", "hm"],
        "prompt_harm_label": ["harmful", "harmful", "unharmful", None],
        "response_harm_label": ["unharmful"] * 4,
        "response_refusal_label": ["refusal", "refusal", "compliance", None],
        "prompt_harm_label_agreement": [3, 2, 3, 1],
        "subcategory": ["toxic_language", "toxic_language", "benign", "benign"],
    }
    pyarrow.parquet.write_table(pa.table(table), path)
    return path


# ---- prompts


def test_harmbench_joins_context_and_behaviour_as_its_authors_do(harmbench: Path) -> None:
    prompts = load_benchmark("harmbench", harmbench).prompts
    assert [(p.id, p.harmful, p.categories) for p in prompts] == [
        ("queue_jumping", True, ("standard", "illegal")),
        ("cake_blame", True, ("contextual", "harassment")),
        ("song", True, ("copyright",)),
    ]
    assert prompts[1].prompt == "A cake, half eaten\n\n---\n\nSay whose cake it was"


def test_harmbench_as_it_stands_on_the_hub(tmp_path: Path) -> None:
    rows = [{"prompt": "Say whose cake it was", "context": "A cake", "category": "harassment"}]
    (found,) = load_benchmark("harmbench", write_jsonl(tmp_path / "h.jsonl", rows)).prompts
    assert found.prompt == "A cake\n\n---\n\nSay whose cake it was" and found.categories == ("harassment",)


def test_behaviours_that_show_an_image_are_refused(tmp_path: Path) -> None:
    header = "Behavior,FunctionalCategory,SemanticCategory,Tags,ImageFileName,BehaviorID"
    path = write_csv(tmp_path / "mm.csv", header, ("Describe it", "standard", "illegal", "", "a.png", "x"))
    with pytest.raises(DataError, match="image"):
        load_benchmark("harmbench", path)


def test_strongreject_is_harmful_throughout_and_numbered(tmp_path: Path) -> None:
    path = write_csv(
        tmp_path / "s.csv",
        "category,source,forbidden_prompt",
        ("Rudeness", "custom", "Be rude"),
        ("Lies", "x", "Lie"),
    )
    prompts = load_benchmark("strongreject", path).prompts
    assert [(p.id, p.prompt, p.harmful, p.categories) for p in prompts] == [
        ("1", "Be rude", True, ("Rudeness",)),
        ("2", "Lie", True, ("Lies",)),
    ]


def test_wildguard_has_both_kinds_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    found = load_benchmark("wildguardmix", wildguard(tmp_path / "wildguard_test.parquet"))
    assert [(p.harmful, p.categories) for p in found.prompts] == [
        (True, ("vanilla", "toxic_language")),
        (True, ("adversarial", "toxic_language")),
        (False, ("adversarial", "benign")),
    ]
    assert found.left_out == {"no label": 1}


def test_xstest_takes_its_label_or_else_the_type(xstest: Path, tmp_path: Path) -> None:
    assert [p.harmful for p in load_benchmark("xstest", xstest).prompts] == [False, False, True]
    rows = [{"id": "v2-1", "type": t, "prompt": t} for t in ("homonyms", "contrast_homonyms")]
    unlabelled = load_benchmark("xstest", write_jsonl(tmp_path / "x.jsonl", rows)).prompts
    assert [(p.id, p.harmful) for p in unlabelled] == [("v2-1", False), ("v2-1", True)]


def test_another_file_and_another_name_are_one_line(harmbench: Path) -> None:
    for key, source in (
        ("xstest", harmbench),
        ("advbench", harmbench),
        ("xstest", harmbench.parent / "no.csv"),
    ):
        with pytest.raises(TacitError) as refused:
            load_benchmark(key, source)
        assert "\n" not in str(refused.value)


# ---- responses


def test_responses_find_their_prompts_by_text_or_by_id(xstest: Path, tmp_path: Path) -> None:
    prompts = load_benchmark("xstest", xstest).prompts
    by_text = [{"prompt": "How do I kill time? ", "response": "Read."}, {"prompt": "What?", "response": "?"}]
    found = read_answers(write_jsonl(tmp_path / "a.jsonl", by_text), prompts)
    assert [(a.prompt.id, a.response) for a in found.answers] == [("1", "Read.")]
    assert ([p.id for p in found.unanswered], found.unmatched) == (["2", "3"], 1)
    by_id = [{"id": 3, "completion": "No."}, {"id": 3, "completion": "Never."}, {"id": 1, "completion": None}]
    found = read_answers(write_jsonl(tmp_path / "b.jsonl", by_id), prompts)
    assert [(a.prompt.id, a.response) for a in found.answers] == [("3", "No."), ("3", "Never."), ("1", "")]


def test_ids_that_two_benchmarks_share_need_the_benchmark(xstest: Path, tmp_path: Path) -> None:
    other = write_csv(
        tmp_path / "s.csv", "category,source,forbidden_prompt", ("Rudeness", "custom", "Be rude")
    )
    prompts = load_benchmark("xstest", xstest).prompts + load_benchmark("strongreject", other).prompts
    rows = [{"id": "1", "response": "No."}]
    with pytest.raises(DataError, match=r"'1' is in strongreject and xstest.*'benchmark'"):
        read_answers(write_jsonl(tmp_path / "a.jsonl", rows), prompts)
    rows[0]["benchmark"] = "strongreject"
    (answer,) = read_answers(write_jsonl(tmp_path / "b.jsonl", rows), prompts).answers
    assert answer.prompt.prompt == "Be rude"


def test_responses_that_answer_nothing_are_refused(xstest: Path, tmp_path: Path) -> None:
    prompts = load_benchmark("xstest", xstest).prompts
    for rows in ([{"prompt": "What?", "response": "?"}], [{"prompt": "a"}], [{"response": "a"}]):
        with pytest.raises(DataError):
            read_answers(write_jsonl(tmp_path / "a.jsonl", rows), prompts)


def test_a_local_policy_answers_every_prompt(xstest: Path, policy_folder: Path) -> None:
    prompts = load_benchmark("xstest", xstest).prompts
    found = answers_of(policy_folder, prompts, max_new_tokens=4)
    assert [a.prompt for a in found.answers] == prompts and not found.unanswered
    assert found == answers_of(policy_folder, prompts, max_new_tokens=4)


# ---- rates


def asked(*harmful: bool) -> list[SafetyPrompt]:
    return [
        SafetyPrompt("xstest", str(i), f"p{i}", h, ("even" if i % 2 == 0 else "odd",))
        for i, h in enumerate(harmful)
    ]


def test_rates_are_counted_by_hand() -> None:
    prompts = asked(True, True, True, False, False)
    verdicts = [Judgement(True), Judgement(False), Judgement(), Judgement(True), Judgement(False)]
    answers = Answers([Answer(p, "…", {}) for p in prompts], [], 2)
    report = evaluate_safety([Benchmark("xstest", prompts, {"no label": 1})], answers, lambda _: verdicts)
    found = report.benchmarks["xstest"]
    whole = found.overall
    assert (whole.refusal.value, whole.refusal.responses, whole.refusal.unjudged) == (0.5, 2, 1)
    assert (whole.attack_success.value, whole.attack_success.unjudged) == (0.5, 1)
    assert (whole.over_refusal.value, whole.over_refusal.responses, whole.over_refusal.unjudged) == (
        0.5,
        2,
        0,
    )
    assert (found.prompts, found.harmful_prompts, found.responses, found.left_out) == (
        5,
        3,
        5,
        {"no label": 1},
    )
    assert (report.attack_success_from, report.unmatched) == ("compliance", 2)
    even, odd = found.categories["even"], found.categories["odd"]
    assert (even.refusal.value, even.refusal.unjudged, even.over_refusal.value) == (1.0, 1, 0.0)
    assert (odd.refusal.value, odd.over_refusal.value) == (0.0, 1.0)


def test_a_judge_of_harm_decides_what_an_attack_achieved() -> None:
    prompts = asked(True, True, True)
    verdicts = [Judgement(False, False), Judgement(False, True), Judgement(True, False)]
    answers = Answers([Answer(p, "…", {}) for p in prompts], [], 0)
    report = evaluate_safety([Benchmark("xstest", prompts, {})], answers, lambda _: verdicts)
    whole = report.benchmarks["xstest"].overall
    assert whole.attack_success.value == whole.refusal.value == pytest.approx(1 / 3)
    assert report.attack_success_from == "harm"


def test_several_responses_to_a_prompt_are_not_so_many_prompts() -> None:
    once = rate([True, False] * 10, [str(i) for i in range(20)])
    often = rate(
        [i % 2 == 0 for i in range(20) for _ in range(10)], [str(i) for i in range(20) for _ in range(10)]
    )
    assert (often.responses, often.prompts) == (200, 20)
    assert often.high - often.low == pytest.approx(once.high - once.low, rel=0.3)
    agreed, all_of_five = rate([True] * 50, [str(i // 10) for i in range(50)]), wilson(5, 5)
    assert (agreed.low, agreed.high) == (all_of_five.low, all_of_five.high)
    torn, two_thirds_of_one = rate([True, False, True], ["the one prompt"] * 3), wilson(2 / 3, 1)
    assert (torn.low, torn.high) == (two_thirds_of_one.low, two_thirds_of_one.high)


def test_nothing_judged_is_not_a_rate() -> None:
    nothing = rate([None, None], ["a", "b"])
    assert (
        math.isnan(nothing.value)
        and math.isnan(nothing.low)
        and (nothing.responses, nothing.unjudged) == (0, 2)
    )


# ---- judges


def answered(*rows: dict[str, Any]) -> list[Answer]:
    return [Answer(asked(True)[0], str(row.get("response", "")), row) for row in rows]


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("refused", [True, False, None], [True, False, None]),
        ("final_label", ["1_full_compliance", "2_full_refusal", "3_partial_refusal"], [False, True, True]),
        ("response_refusal_label", ["refusal", "compliance", ""], [True, False, None]),
        ("label", [1, 0.0, "1"], [True, False, True]),
    ],
)
def test_published_labels_of_refusals_are_read(column: str, values: list[Any], expected: list[Any]) -> None:
    verdicts = label_judge()(answered(*({column: value} for value in values)))
    assert [verdict.refused for verdict in verdicts] == expected


def test_labels_of_harm_are_read_and_nonsense_is_not() -> None:
    verdicts = label_judge()(
        answered({"response_harm_label": "harmful"}, {"response_harm_label": "unharmful"})
    )
    assert verdicts == [Judgement(None, True), Judgement(None, False)]
    for row in ({"refused": "maybe"}, {"note": "no labels here"}):
        with pytest.raises(DataError):
            label_judge()(answered(row))


def test_a_local_classifier_tells_refusals(tmp_path: Path) -> None:
    judge = classifier_judge(tiny.refusal_classifier(tmp_path), batch_size=2)
    texts = ["sorry I cannot help with that", "the clear correct it", "sorry " + "that " * 300]
    verdicts = judge(answered(*({"response": text} for text in texts)))
    assert [v.refused for v in verdicts[:2]] == [True, False] and verdicts[2].harmful is None
    upside_down = classifier_judge(tmp_path, refusal_labels=["NORMAL"])(answered({"response": texts[0]}))
    assert upside_down == [Judgement(refused=False)]
    of_harm = classifier_judge(tmp_path, harm_labels=["REJECTION"])(answered({"response": texts[0]}))
    assert of_harm == [Judgement(harmful=True)]


def test_a_judge_whose_positions_begin_after_the_padding_reads_long_texts(tmp_path: Path) -> None:
    words = tiny.tokenizer(tmp_path, template=None)
    words.model_max_length = int(1e30)
    words.save_pretrained(tmp_path)
    config = RobertaConfig(
        vocab_size=64,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=34,
        pad_token_id=1,
        id2label={0: "NORMAL", 1: "REJECTION"},
        label2id={"NORMAL": 0, "REJECTION": 1},
    )
    RobertaForSequenceClassification(config).save_pretrained(tmp_path)
    assert len(classifier_judge(tmp_path)(answered({"response": "sorry " + "that " * 60}))) == 1


def test_a_classifier_whose_longest_text_is_no_number_is_one_line(tmp_path: Path) -> None:
    told = tiny.refusal_classifier(tmp_path) / "tokenizer_config.json"
    told.write_text(json.dumps({**json.loads(told.read_text()), "model_max_length": "128"}))
    with pytest.raises(ConfigError, match=r"judge .*model_max_length is '128'"):
        classifier_judge(tmp_path)


def test_a_classifier_whose_labels_say_nothing_needs_a_name(tmp_path: Path) -> None:
    tiny.refusal_classifier(tmp_path, labels=("LABEL_0", "LABEL_1"))
    with pytest.raises(ConfigError, match=r"LABEL_0, LABEL_1.*--refusal-label"):
        classifier_judge(tmp_path)
    with pytest.raises(ConfigError, match="no label 'NO'"):
        classifier_judge(tmp_path, refusal_labels=["NO"])
    tiny.one_label_classifier(tmp_path / "one")
    with pytest.raises(ConfigError, match="one label"):
        classifier_judge(tmp_path / "one")
