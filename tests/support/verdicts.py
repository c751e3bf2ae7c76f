"""Every claim of the three questions, and its verdict, on the runs of a folder."""

from pathlib import Path

from analysis.claims.verdict import Claim, Verdict, judged
from analysis.long_range import claims as long_range
from analysis.long_range.evidence import Evidence
from analysis.speed import claims as speed
from analysis.speed.quality import qualities
from analysis.speed.runs import measured
from analysis.store import Store, read_store
from analysis.translation import claims as translation


def claims_of(store: Store) -> dict[str, list[Claim]]:
    """By question."""
    return {
        "long range": long_range.all_claims(Evidence(store)),
        "translation": translation.all_claims(store),
        "speed": speed.all_claims([measured(store)], qualities(store)),
    }


def decided(path: Path, question: str) -> dict[str, Verdict]:
    """The verdicts of one question by the claim's text."""
    return {claim.text: verdict for claim, verdict in judged(claims_of(read_store(path, "quick"))[question])}
