"""The model card: what a person wants to know before trusting the scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tacit.methods import Method
from tacit.model.scoring import states_probability

_REWARD_SEES = {
    "reward": "",
    "all": " on text and context",
    "context": " on context alone",
    "prompt": " on the prompt alone",
    "style": " on the style alone",
    "length": " on the length alone",
}
"""Said of a reward head by its view; the text is what is expected of it."""


def model_card(manifest: Mapping[str, Any], method: Method) -> str:
    """Markdown of a model on a frozen encoder."""
    training = manifest["training"]
    how = f"""\
Encoder `{manifest["encoder"]["name"]}` (content hash `{manifest["encoder"]["content_hash"][:12]}`), frozen;
{_reward_head(manifest, method)}, {training["members"]} members, {_hold_out(training)}; weight decay
{training["weight_decay"]:g}, seed {training["seed"]}{_propensities(manifest, manifest.get("nuisance_views", ()))}."""
    return _card(manifest, method, "RewardModel", how)


def finetuned_card(manifest: Mapping[str, Any], method: Method) -> str:
    """Markdown of a fine-tuned model."""
    training = manifest["training"]
    judged = (
        f"judged by {training['held_out_rows']:,} rows of held-out prompts"
        if training["held_out_rows"]
        else "judged by no rows, for none were held out"
    )
    shared = (
        " (they share the backbone, and agree more than models trained apart)"
        if training["members"] > 1
        else ""
    )
    how = f"""\
Fine-tuned from `{training["model"]}` ({training["adapter"] or "all weights"}), {training["members"]} row(s) of its
head{shared}, {training["steps"]:,} steps, learning rate {training["learning_rate"]:g}, seed {training["seed"]};
{judged}{_propensities(manifest)}.

The folder is a plain sequence classifier with one output: TRL, OpenRLHF, verl and vLLM load it as it is. A score is its
raw logit; the probability is the sigmoid of {_logit(manifest)}."""
    return _card(manifest, method, "FineTunedRewardModel", how)


def _logit(manifest: Mapping[str, Any]) -> str:
    """How a score becomes the logit of a probability; see `Scorer.logit`."""
    level, found = manifest.get("level", 0.0), manifest.get("calibration")
    if found is None:
        return f"score {level:+.4f}"
    slope = "" if found["slope"] == 1 else f"{found['slope']:.4f} · "
    return f"{slope}score {found['slope'] * level + found['shift']:+.4f}"


def _reward_head(manifest: Mapping[str, Any], method: Method) -> str:
    heads = [head for head in manifest["heads"] if head["name"] in method.reward_heads]
    if all(head["view"] == "none" or not head["inputs"] for head in heads):
        return "the reward is one number for all responses"
    hidden = "×".join(map(str, heads[0]["hidden"])) or "linear"
    view = heads[0]["view"]
    if view == "reward" and manifest["reward_features"] == "text":
        return f"reward head {hidden} on the embedding alone"
    return f"reward head {hidden}{_REWARD_SEES[view]}"


def _hold_out(training: Mapping[str, Any]) -> str:
    members, own = training["members"], training.get("judged_by_own_rows", 0)  # older folders do not say
    if not own:
        return "each holding out a fifth of the prompts"
    if own == members:
        return "none of which could hold prompts out: what is stopped and chosen by are the rows of training"
    return f"each holding out a fifth of the prompts but {own}, judged by the rows of training for want of others"


def _propensities(manifest: Mapping[str, Any], of_stages: Iterable[str] = ()) -> str:
    """What propensity heads see, where there are any: beside the reward, or in a stage before it."""
    if "propensity" not in {head["view"] for head in manifest["heads"]}.union(of_stages):
        return ""
    if manifest.get("propensity_features", "context") == "text":
        return "; propensity heads see the text, as published"
    return f"; propensity heads see {'context and ' if manifest['roles']['context'] else ''}surface style"


def _card(manifest: Mapping[str, Any], method: Method, opened_by: str, how: str) -> str:
    log = manifest["log"]
    identification = manifest["identification"]
    roles = manifest["roles"]
    signals = "\n".join(
        f"| `{s['name']}` | {'positive' if s['polarity'] > 0 else 'negative'} | {_percent(s['rate'])} | "
        f"{_percent(s['missing'])} |"
        for s in log["signals"]
    )
    columns = ", ".join(f"`{c}`" for c in roles["context"]) or "none"
    by_context = bool(roles["context"]) and _sees_context(manifest, method)
    context = f"Context, {'which the reward sees' if by_context else 'never seen by the reward'}: {columns}"
    warnings = "".join(f"\n> **Warning.** {text}\n" for text in identification["warnings"])
    return f"""---
library_name: tacit
tags: [reward-model, implicit-feedback]
---

# Reward model from {log["name"]}

Scores how much users *like* a response, learned from what they did with {log["rows"]:,} responses to
{log["prompts"]:,} prompts. It was made by `{method.key}`, which assumes: {identification["assumes"]}.
{warnings}
## Use

```python
{_use(opened_by, states_probability(method, manifest), roles["context"] if by_context else [])}
```

## What the log held

| signal | polarity | fired | not recorded |
|---|---|---|---|
{signals}

{context}. Trusted labels used in training: {log["gold_rows"]:,}.
{log["quarantined"]:,} rows could not be used.

## What it tells and what it cannot

{_level(manifest, method)}
{_calibration(manifest)}\
* The log alone does not tell: {identification["not_identified"]}.
{_estimated(manifest)}{_agreement(manifest["metrics"])}\
{_criterion(manifest)}
  No clean label took part in training, early stopping or the choice of capacity{_gold_note(log)}.

## How it was made

{how}
tacit {manifest["versions"]["tacit"]}. Reference: {identification["citation"]}.
"""


def _sees_context(manifest: Mapping[str, Any], method: Method) -> bool:
    views = {head["view"] for head in manifest["heads"] if head["name"] in method.reward_heads}
    return bool(views & {"context", "all"})


def _use(opened_by: str, probable: bool, context: list[str]) -> str:
    """The calls that a reader may copy; a reward that sees context is shown a log that holds it."""
    chance = "P(the user likes it)" if probable else "the sigmoid of the score: no probability"
    if context:
        asked, what = (
            "log",
            f'log = FeedbackLog.read("log.jsonl", context={context!r})  # it scores context, not text\n',
        )
    else:
        asked, what = '[("How do I sort a list?", "Use sorted(xs).")]', ""
    imported = f"{'FeedbackLog, ' if context else ''}{opened_by}"
    return f"""\
from tacit import {imported}

rm = {opened_by}.load("path/to/this/folder")
{what}rm.score({asked})        # logits: compare, rank, use as a reward
rm.probability({asked})  # {chance}
rm.uncertainty({asked})  # spread between members, in logits"""


def _level(manifest: Mapping[str, Any], method: Method) -> str:
    metrics = manifest["metrics"]
    by = ", by the fit" if "calibration" in manifest else ""
    if method.level == "prob":
        told = f"* Estimated share of responses that users like{by}: **{_percent(metrics['base_rate'])}**."
        bounds, interval = metrics.get("base_rate_bounds"), metrics.get("base_rate_interval")  # newer folders
        if interval is not None:
            low, high = map(_percent, interval)
            told += f" The log does\n  not rule out any share from **{low} to {high}** (95 %)."
        if bounds is not None:
            low, high = map(_percent, bounds)
            due = "like" if manifest["log"]["signals"][0]["polarity"] > 0 else "dislike"
            told += (
                f" One signal shows only how\n  often users {due} *and* act: from {low} to {high} it stays open "
                "however long the log, if the form\n  of the propensity is not trusted. A second signal or audited "
                "rows (gold) would settle it."
            )
        return told
    told = f"* What share of responses users like is not told{by}: scores order responses, and have no level"
    return f"{told} of their own."


def _calibration(manifest: Mapping[str, Any]) -> str:
    """Which trusted rows made the probabilities what they are, and what that was worth on prompts held out."""
    found = manifest.get("calibration")
    if found is None:
        return ""
    told = (
        f"* Calibrated on {found['rows']:,} trusted rows of {found['prompts']:,} prompts (`{found['gold']}` of "
        f"{found['log']}):\n  P(liked) = sigmoid({_logit(manifest)}). It is {_percent(found['mean_gold']['value'])} on "
        "average there, as the\n  labels are. Rewards and their order are those of the fit.\n"
    )
    after = found["after"]
    if after is None:
        return told + "  So few rows do not tell what that is worth on other prompts.\n"
    before = "" if found["before"] is None else f", {_number(found['before']['brier']['value'])} before"
    low, high = (_number(after["brier"][end]) for end in ("low", "high"))
    return told + (
        f"  Brier score there, of rows whose prompts were held out: **{_number(after['brier']['value'])}** [{low}, "
        f"{high}]{before}.\n"
    )


_MEANT = {
    "p": "P(a label is given)",
    "e": "P(the user acts, if they like it)",
    "rho01": "P(label 0, if they like it)",
    "rho10": "P(label 1, if they do not)",
    "prior": "P(liked)",
    "frequency": "P(signal, if they like it)",
}
"""Nuisances that a reader can compare with what they know; what a method makes besides is its own affair."""


def estimated_on_the_way(info: Mapping[str, Any]) -> list[str]:
    """The nuisances that were estimated before the reward, in words: the mean, and where 90 % of the rows lie.

    Example:
        >>> estimated_on_the_way({"estimated": {"rho10": {"mean": 0.1, "low": 0.1, "high": 0.1}}})
        ['rho10 .100, P(label 1, if they do not)']
    """
    told = []
    for name, meant in _MEANT.items():
        found = info.get("estimated", {}).get(name)  # older folders do not say
        if found is not None:
            mean, low, high = (f"{found[part]:.3f}".removeprefix("0") for part in ("mean", "low", "high"))
            told.append(f"{name} {mean}{f' ({low} to {high})' if low != high else ''}, {meant}")
    return told


def _estimated(manifest: Mapping[str, Any]) -> str:
    told = estimated_on_the_way(manifest)
    return (
        f"* Estimated before the reward, and as good as its assumptions: {'; '.join(told)}.\n" if told else ""
    )


def _criterion(manifest: Mapping[str, Any]) -> str:
    """What it was judged by, by which rows; nats only where it is the likelihood of the signals."""
    training = manifest["training"]
    models = manifest["identification"].get("models_signals", False)  # older folders do not say
    what = "loss" if models else "criterion"
    value = _number(manifest["metrics"]["held_out_criterion"])
    unit = " nats per response" if models else ", of this method's own and not to be compared with another's"
    own = training.get("judged_by_own_rows", 0)
    if not own:
        return f"* Held-out {what} on prompts not trained on: {value}{unit}."
    if own == training["members"]:
        return f"* No prompts could be held out. The {what} on the rows of training, which flatters: {value}{unit}."
    return f"* Held-out {what}: {value}{unit}; {own} of the members were judged by rows of training, which flatters."


def _agreement(metrics: Mapping[str, Any]) -> str:
    spearman, kappa = metrics.get("member_spearman"), metrics.get("strata_kappa")  # not in every folder
    if spearman is None:
        return (
            "* One member, or equal scores, or no rows held out to compare them on: how far members disagree, and so "
            "how sure a\n  score is, is not known.\n"
        )
    why = (
        f"* Why a silent response is silent (disliked, nobody acting, or both) they tell alike to a Cohen's kappa of\n"
        f"  **{_number(kappa)}** (1 is perfect, 0 is chance).\n"
    )
    return (
        f"* Members agree on the order of responses to a Spearman correlation of\n  **{_number(spearman)}** "
        f"(1 is perfect; below .8, ask for context, more signals or gold).\n{'' if kappa is None else why}"
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f} %"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _gold_note(log: Mapping[str, Any]) -> str:
    return " beyond the gold labels that were passed on purpose" if log["gold_rows"] else ""
