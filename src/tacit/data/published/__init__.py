"""Published sets and formats whose columns say what they are."""

from __future__ import annotations

from tacit.data.published import (
    chat,
    helpsteer,
    kto,
    oasst1,
    preference,
    realhumaneval,
    saferlhf,
    truthfulqa,
    ultrafeedback,
)
from tacit.data.source import Source

# The first that recognises a table reads it.
SOURCES = {
    "oasst1": Source("OASST1", oasst1.detect, oasst1.load, oasst1.SIGNALS),
    "realhumaneval": Source(
        "RealHumanEval chat", realhumaneval.detect, realhumaneval.load, realhumaneval.SIGNALS
    ),
    "kto": Source("KTO (label false = nothing seen, not disliked)", kto.detect, kto.load, kto.SIGNALS),
    "helpsteer": Source("HelpSteer", helpsteer.detect, helpsteer.load),
    "ultrafeedback": Source("UltraFeedback", ultrafeedback.detect, ultrafeedback.load),
    "ultrafeedback_binarised": Source(
        "UltraFeedback binarised", ultrafeedback.detect_binarised, ultrafeedback.load_binarised
    ),
    "preference": Source(
        "pairs of a chosen and a rejected answer", preference.detect, preference.load, preference.SIGNALS
    ),
    "saferlhf": Source("PKU-SafeRLHF (gold 1 = harmless)", saferlhf.detect, saferlhf.load),
    # Never found by itself: it stands after the one that has the same columns.
    "saferlhf_published": Source(
        "PKU-SafeRLHF as published (gold 1 = HARMFUL)", saferlhf.detect, saferlhf.load_as_published
    ),
    "truthfulqa": Source(
        "TruthfulQA judged answers", truthfulqa.detect, truthfulqa.load, confirm=truthfulqa.confirm
    ),
    "messages": Source("messages that end with the answer", chat.detect, chat.load),
}

__all__ = ["SOURCES"]
