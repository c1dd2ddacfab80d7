"""Can I trust it? What a model says, what is biased, what it assumes, what would settle it: numbers, and a page."""

from tacit.evaluation.trust.findings import TrustReport, trust_report

__all__ = ["TrustReport", "trust_report"]
