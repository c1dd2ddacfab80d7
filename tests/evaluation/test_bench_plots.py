"""Pictures of a run: written, not blank, every highlighted method named, no text on top of another."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tacit import methods
from tacit.errors import ConfigError
from tacit.evaluation.bench.contenders import BASELINES, Contender, stopped_by_clean_labels
from tacit.evaluation.bench.plots import alpha_figure, dots_figure, draw, figures, style
from tacit.evaluation.bench.plots.reliability import reliability, reliability_figures
from tacit.evaluation.bench.results import Line, lines
from tacit.evaluation.bench.run import BenchResult, Judged, Score
from tacit.evaluation.bench.suites import SUITES

S, PROMPTS, ANSWERS = 2, 20, 4
KEYS = {
    "implicit": ("naive", "implicit_rm", "nnpu", "sar_ipw", "recrec_f", "bpr", "upu", "wmf"),
    "causal": (
        "naive_observed",
        "causal_ips",
        "causal_dr",
        "causal_fwd",
        "ips",
        "dr",
        "robust_divide_mix",
        "snips",
    ),
    "worlds": tuple(
        key for key, kind in methods.available().items() if kind.setting in ("implicit", "pairwise")
    ),
}


def _contenders(suite: str) -> Iterator[Contender]:
    kinds = methods.available()
    yield Contender("oracle", kinds["oracle"](), protocol="oracle")
    for key in ("constant", "length"):
        yield Contender(key, kinds[key]())
    for key in KEYS[suite]:
        yield Contender(key, kinds[key]())
    if suite == "worlds":
        for i in range(14):
            yield Contender(
                f"a_reference_with_a_long_name_{i}", kinds["naive"](), given=("e",), protocol="oracle"
            )
    else:
        for key in KEYS[suite][:4]:
            yield Contender(key, stopped_by_clean_labels(kinds[key]()), protocol="oracle")


def _result(suite: str) -> BenchResult:
    rng = np.random.default_rng(0)
    prompts_n = np.repeat(np.arange(PROMPTS), ANSWERS)
    logit_n = rng.normal(size=len(prompts_n))
    scores, judged = [], {}
    for case in SUITES[suite]:
        liked_Sn = (rng.random((S, len(prompts_n))) < 1 / (1 + np.exp(-2 * logit_n))).astype(np.float32)
        judged[case.name] = Judged(liked_Sn, prompts_n)
        for one in _contenders(suite):
            noise = 0.0 if one.name == "constant" else 1.0
            scores_Sn = noise * (logit_n + rng.normal(size=liked_Sn.shape)).astype(np.float32)
            scores.append(Score(case, one, scores_Sn.astype(np.float32), 1.0, "hash"))
    return BenchResult(suite, "a_log", S, tuple(scores), judged, ())


@pytest.fixture(scope="module")
def results() -> dict[str, tuple[BenchResult, dict[str, list[Line]]]]:
    made = {suite: _result(suite) for suite in KEYS}
    return {suite: (result, lines(result, draws=40)) for suite, result in made.items()}


@pytest.fixture(scope="module")
def drawn(results: dict[str, Any]) -> dict[str, dict[str, Any]]:
    with style.house_style():
        found = {suite: dict(figures(*results[suite])) for suite in results}
        for by_name in found.values():
            for figure in by_name.values():
                figure.canvas.draw()
    return found


def _named(figure: Any) -> list[str]:
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def test_files_are_written_are_not_blank_and_are_the_same_bytes_again(
    results: dict[str, Any], tmp_path: Path
) -> None:
    from matplotlib.image import imread

    result, table = results["implicit"]
    two_cases = dict(list(table.items())[:2])
    once = draw(result, two_cases, tmp_path / "once")
    again = draw(result, two_cases, tmp_path / "again")
    assert [path.name for path in once] == [
        "implicit-alpha.png",
        "implicit-reliability-honest-1.png",
        "implicit-reliability-oracle-1.png",
    ]
    assert sorted(path.name for path in (tmp_path / "once").iterdir()) == sorted(path.name for path in once)
    for first, second in zip(once, again, strict=True):
        assert first.read_bytes() == second.read_bytes()
        pixels = imread(first)
        assert pixels.shape[0] > 600 and pixels.shape[1] > 900
        assert 0.01 < (pixels[..., :3].min(axis=2) < 0.9).mean() < 0.6


def test_each_suite_has_its_pictures(drawn: dict[str, dict[str, Any]]) -> None:
    assert set(drawn["worlds"]) == {"cases", "reliability-honest-1"}
    assert set(drawn["causal"]) == {
        "alpha",
        "cases",  # selection by style has no alpha
        *(f"reliability-{run}-{page}" for run in ("honest", "oracle") for page in (1,)),
    }


@pytest.mark.parametrize("suite", ["implicit", "causal"])
def test_every_highlighted_method_is_in_the_legend_and_all_others_are_named_once(
    suite: str, drawn: dict[str, dict[str, Any]]
) -> None:
    named = _named(drawn[suite]["alpha"])
    heads = {"oracle", *KEYS[suite]} & style.HEADS.keys()
    assert heads and set(named) == heads | {"other estimators", "content-blind baselines"}
    assert len(named) == len(set(named)) and len(heads) <= 8


def test_no_two_highlighted_methods_of_a_suite_look_alike() -> None:
    for kind in ("implicit", "explicit"):
        available = methods.available()
        looks = [
            (look.colour, look.marker)
            for name, look in style.HEADS.items()
            if available[name].setting in (kind, "any")
        ]
        assert len(looks) == len(set(looks)) == 8
        assert len({marker for _, marker in looks}) == 8


def test_a_rank_without_level_has_no_brier_curve_and_no_reliability(drawn: dict[str, dict[str, Any]]) -> None:
    purple = style.HEADS["bpr"].colour

    def curves(figure: Any, panel: int) -> int:
        return sum(line.get_color() == purple for line in figure.axes[panel].get_lines())

    alpha = drawn["implicit"]["alpha"]
    honest_and_oracle = 2
    assert curves(alpha, 0) == 1
    assert curves(alpha, 2 * honest_and_oracle) == 0
    assert "bpr" not in _named(drawn["implicit"]["reliability-honest-1"])
    assert "nnpu" in _named(drawn["implicit"]["reliability-honest-1"])


def test_bands_and_curves_are_the_intervals_of_the_table(
    results: dict[str, Any], drawn: dict[str, dict[str, Any]]
) -> None:
    _, table = results["implicit"]
    at = {case: {line.score.contender.name: line for line in rows} for case, rows in table.items()}
    oracle = [at[case.name]["oracle"].intervals["auroc"] for case in SUITES["implicit"]]
    panel = drawn["implicit"]["alpha"].axes[2]
    curve = next(line for line in panel.get_lines() if line.get_marker() == "*")
    np.testing.assert_allclose(curve.get_ydata(), [i.value for i in oracle])
    bars = next(
        c
        for c in panel.collections
        if hasattr(c, "get_segments")
        and np.allclose([s[:, 1] for s in c.get_segments()], [[i.low, i.high] for i in oracle])
    )
    assert len(bars.get_segments()) == 5


def test_dots_are_hollow_under_the_oracle_protocol_and_grey_for_baselines(
    results: dict[str, Any], drawn: dict[str, dict[str, Any]]
) -> None:
    panel = drawn["worlds"]["cases"].axes[0]
    names = [label.get_text() for label in panel.get_yticklabels()]
    _, table = results["worlds"]
    rows = next(iter(table.values()))
    assert sorted(names) == sorted(line.score.contender.name for line in rows) and len(names) >= 40
    dots = {
        names[round(float(line.get_ydata()[0]))]: line
        for line in panel.get_lines()
        if line.get_marker() == "o"
    }
    for line in rows:
        one, dot = line.score.contender, dots[line.score.contender.name]
        assert float(dot.get_xdata()[0]) == line.intervals["within_prompt_accuracy"].value
        assert (dot.get_markerfacecolor() == "white") == (one.protocol == "oracle")
        assert (dot.get_color() == style.GREY) == (one.name in BASELINES)
    references = sorted(
        line.get_xdata()[0]
        for line in panel.get_lines()
        if len(set(line.get_xdata())) == 1 and line.get_marker() == "None"
    )
    by_name = {line.score.contender.name: line.intervals["within_prompt_accuracy"].value for line in rows}
    assert references == sorted([by_name["naive"], by_name["oracle"]])


def references(panel: Any) -> list[float]:
    """Where the upright lines stand."""
    return sorted(
        float(line.get_xdata()[0])
        for line in panel.get_lines()
        if len(set(line.get_xdata())) == 1 and line.get_marker() == "None"
    )


def test_naive_is_marked_under_the_oracle_protocol_too(results: dict[str, Any]) -> None:
    result, _ = results["worlds"]
    kinds = methods.available()
    stopped = Contender("naive", stopped_by_clean_labels(kinds["naive"]()), protocol="oracle")
    scores = [score for score in result.scores if score.case.name == "context"]
    scores = [replace(s, contender=stopped) if s.contender.name == "naive" else s for s in scores]
    only = replace(result, scores=tuple(scores), judged={"context": result.judged["context"]})
    table = lines(only, draws=20)
    by_name = {
        line.score.contender.name: line.intervals["within_prompt_accuracy"].value for line in table["context"]
    }
    with style.house_style():
        figure = dots_figure(only, table)
    assert references(figure.axes[0]) == sorted([by_name["naive"], by_name["oracle"]])
    assert "naive" in _named(figure)


def test_the_naive_of_one_signal_is_the_reference_and_the_legend_says_so(results: dict[str, Any]) -> None:
    result, _ = results["worlds"]
    scores = [score for score in result.scores if score.case.name == "several"]
    first = next(score for score in scores if score.contender.name == "bpr")
    one = Contender("naive_one_signal", methods.Naive(), signals="first")
    only = replace(
        result,
        scores=(*scores, replace(first, contender=one)),
        judged={"several": result.judged["several"]},
    )
    table = lines(only, draws=20)
    by_name = {
        line.score.contender.name: line.intervals["within_prompt_accuracy"].value for line in table["several"]
    }
    with style.house_style():
        figure = dots_figure(only, table)
    assert references(figure.axes[0]) == sorted([by_name["naive_one_signal"], by_name["oracle"]])
    assert "naive (on the first signal,\nwhere there are several)" in _named(figure)


def test_text_does_not_overlap_and_stays_inside(drawn: dict[str, dict[str, Any]]) -> None:
    from matplotlib.text import Text

    for suite, by_name in drawn.items():
        for name, figure in by_name.items():
            renderer = figure.canvas.get_renderer()
            texts = [
                t
                for t in figure.findobj(Text)
                if t.get_visible() and t.get_text().strip() and _shown(t, figure)
            ]
            assert len(texts) > 10
            boxes = [(t.get_text(), t.get_window_extent(renderer)) for t in texts]
            for text, box in boxes:
                inside = (
                    box.x0 >= -1
                    and box.y0 >= -1
                    and box.x1 <= figure.bbox.x1 + 1
                    and box.y1 <= figure.bbox.y1 + 1
                )
                assert inside, (suite, name, text)
            for (text, box), (other, second) in itertools.combinations(boxes, 2):
                width = min(box.x1, second.x1) - max(box.x0, second.x0)
                height = min(box.y1, second.y1) - max(box.y0, second.y0)
                assert width < 1 or height < 1, (suite, name, text, other)
            assert min(t.get_fontsize() for t in texts) >= 8


def _shown(text: Any, figure: Any) -> bool:
    """Ticks outside the limits, and labels that shared axes hide, are objects but are not drawn."""
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            for tick in axis.get_major_ticks():
                if text in (tick.label1, tick.label2):
                    low, high = sorted(axis.get_view_interval())
                    return bool(ax.axison and low <= tick.get_loc() <= high)
            if text is axis.label or text is axis.offsetText:
                return bool(ax.axison)
    return True


def test_bins_hold_equal_mass_and_count_every_row_of_every_seed(results: dict[str, Any]) -> None:
    result, table = results["implicit"]
    case, rows = next(iter(table.items()))
    by_name = {line.score.contender.name: line for line in rows}
    found = reliability(by_name["oracle"], result.judged[case], draws=20)
    assert found.count_b.tolist() == [S * PROMPTS * ANSWERS // 10] * 10
    assert (np.diff(found.mean_b) > 0).all()
    p_N = 1 / (1 + np.exp(-by_name["oracle"].score.scores_Sn.astype(np.float64).ravel()))
    lowest = np.argsort(p_N)[: found.count_b[0]]
    assert found.mean_b[0] == pytest.approx(p_N[lowest].mean(), abs=1e-12)
    assert found.label_b[0].value == pytest.approx(
        result.judged[case].liked_Sn.ravel()[lowest].mean(), abs=1e-12
    )
    assert all(i.low <= i.value <= i.high for i in found.label_b)


def test_tied_probabilities_stay_in_one_bin(results: dict[str, Any]) -> None:
    result, table = results["implicit"]
    case, rows = next(iter(table.items()))
    constant = next(line for line in rows if line.score.contender.name == "constant")
    found = reliability(constant, result.judged[case], draws=20)
    assert found.count_b.tolist() == [S * PROMPTS * ANSWERS]
    assert found.mean_b.tolist() == [0.5]


def test_a_reader_without_matplotlib_is_told_what_to_install(
    results: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ConfigError, match=r'pip install "tacit\[report\]"'):
        draw(*results["worlds"], tmp_path)
    with pytest.raises(ConfigError, match="a picture needs matplotlib"):
        dots_figure(*results["worlds"])
    assert not list(tmp_path.iterdir())


def test_a_curve_far_below_every_constant_does_not_flatten_the_others(results: dict[str, Any]) -> None:
    result = results["implicit"][0]
    worst = "nnpu"
    scores = tuple(
        replace(
            s, scores_Sn=np.where(result.judged[s.case.name].liked_Sn > 0, -30.0, 30.0).astype(np.float32)
        )
        if s.contender.name == worst
        else s
        for s in result.scores
    )
    bad = replace(result, scores=scores)
    with style.house_style():
        figure = alpha_figure(bad, lines(bad, draws=20))
    low, high = figure.axes[-1].get_ylim()
    assert -1.2 < low < high < 1.1
    assert "fall below -1" in figure.get_supxlabel()


def test_one_panel_is_enough(results: dict[str, Any]) -> None:
    result, table = results["worlds"]
    case = next(iter(table))
    with style.house_style():
        assert len(dots_figure(result, {case: table[case]}).axes) == 1
        pages = list(reliability_figures(result, {case: table[case]}))
    assert len(pages) == 1 and len(pages[0][1].axes) == 2
