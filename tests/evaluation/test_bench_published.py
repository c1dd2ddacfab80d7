"""Published numbers: right digits, the right setting, names that exist."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tacit.evaluation.bench.published import CAVEAT, TABLES, published
from tacit.evaluation.bench.suites import SUITES
from tacit.methods import available

ONE = {"alpha": 0.5, "noise": "scenario 1"}
TWO = {"alpha": 0.5, "noise": "scenario 2"}


@pytest.mark.parametrize(
    ("suite", "method", "labels", "data", "cell"),
    [
        ("causal", "ips", TWO, "HelpSteer", "R² .162 / MAE .300 (HelpSteer)"),
        ("causal", "ips", ONE, "helpsteer", "R² .081 / MAE .321 (HelpSteer)"),
        ("causal", "cvib", ONE, "helpsteer", "R² −.020 / MAE .354 (HelpSteer)"),
        ("causal", "causal_ips", TWO, "saferlhf", "R² .774 / MAE .125 (SafeRLHF)"),
        ("causal", "stable_dr", TWO, "ultrafeedback", "R² .453 / MAE .244 (UltraFeedback)"),
        ("implicit", "nnpu", {"alpha": 0.2}, "stdlib", "R² −.068 / MAE .462 (HelpSteer)"),
        ("implicit", "upl", {"alpha": 0.5}, "SafeRLHF", "R² .725 / MAE .118 (SafeRLHF)"),
        ("implicit", "codis", {"alpha": 0.2}, "saferlhf", "R² −.082 / MAE .354 (SafeRLHF)"),
        ("implicit", "cubpr", {"alpha": 0.5}, "saferlhf", "R² .705 / MAE .133 (SafeRLHF)"),
    ],
)
def test_a_cell_gives_r2_and_mae_of_the_case_and_names_the_data(
    suite: str, method: str, labels: dict[str, object], data: str, cell: str
) -> None:
    assert published(suite, method, labels, data=data) == cell


def test_artefacts_are_marked_and_the_later_run_stands_beside_them() -> None:
    cell = published("implicit", "counter_if", {"alpha": 0.2})
    assert cell == "R² −.746 / MAE .580 (!); later R² −.574 / MAE .525 (HelpSteer)"
    cell = published("implicit", "ubpr", {"alpha": 0.2})
    assert cell == "R² −2.132 / MAE .681; tuned R² .093 / MAE .272 (HelpSteer)"
    marked = {
        (key, method, data)
        for key, table in TABLES.items()
        for method, rows in table.items()
        for data, runs in rows.items()
        if runs[0].artefact
    }
    at = ("implicit", None, 0.2)
    assert marked == {
        (at, "multi_ips", "HelpSteer"),
        (at, "multi_dr", "HelpSteer"),
        (at, "counter_if", "HelpSteer"),
        (at, "counter_if", "SafeRLHF"),
    }


@pytest.mark.parametrize(
    ("suite", "method", "labels"),
    [
        ("causal", "nobody", TWO),
        ("causal", "causal_dr", ONE),
        ("causal", "ips", {**TWO, "alpha": 0.1}),
        ("causal", "ips", {"noise": "scenario 1", "selection": "style"}),
        ("implicit", "implicit_rm", {"alpha": 0.5}),
        ("implicit", "nnpu", {"alpha": 0.3}),
        ("worlds", "naive", {}),
    ],
)
def test_what_was_not_published_is_a_dash(suite: str, method: str, labels: dict[str, object]) -> None:
    assert published(suite, method, labels) == "–"


def test_every_method_of_the_tables_is_registered_and_every_table_belongs_to_a_case() -> None:
    cases = {
        (suite, case.labels.get("noise"), case.labels.get("alpha"))
        for suite, found in SUITES.items()
        for case in found
    }
    assert set(TABLES) <= cases
    assert {method for table in TABLES.values() for method in table} <= set(available())


def test_metrics_of_a_row_agree_with_one_another() -> None:
    # On 0/1 labels MAE ≥ MSE, and RMSE² = (1 − R²)·variance ties two columns: a slip of a digit would show.
    for key, table in TABLES.items():
        for method, rows in table.items():
            for data, runs in rows.items():
                for run in runs:
                    if "rmse" in run.metrics:
                        assert run.metrics["mae"] >= run.metrics["rmse"] ** 2 - Decimal("0.0002")
                        variance = run.metrics["rmse"] ** 2 / (1 - run.metrics["r2"])
                        expected = Decimal("0.2161") if data == "HelpSteer" else Decimal("0.2483")
                        assert abs(variance - expected) < Decimal("0.0012"), (key, method, data, variance)


def test_the_caveat_is_one_sentence() -> None:
    assert CAVEAT.endswith(".") and ". " not in CAVEAT
