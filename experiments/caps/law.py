"""A scenario law: what differs between episodes, drawn once for each of them.

A cap holds for a law, and the law is printed beside it. Draws are uniform between two bounds;
elements act with a stated probability. Each is keyed by its own name: one more, one less, or an
element that is taken away moves no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from stressbook.market.numbers.draws import PURPOSE_SCENARIO_LAW, key_from_seed, uniform

__all__ = ["SEED_BITS", "Draw", "Element", "ScenarioLaw", "episode_seed"]

SEED_BITS: Final = 48  # of a derived seed: exact in JSON and in float64
_TIME_BITS: Final = 40  # of the counter word that tells names apart


@dataclass(frozen=True)
class Draw:
    """A number that is drawn uniformly for each episode.

    Parameters
    ----------
    name : str
        What texts of the law call it, after a `$`.
    low, high : float
        Bounds.
    unit, source : str
        Of the number; "assumed" where there is no source.
    """

    name: str
    low: float
    high: float
    unit: str
    source: str


@dataclass(frozen=True)
class Element:
    """Stresses that act together, or not at all.

    Parameters
    ----------
    name : str
        As the answer calls it.
    probability : float
        With which it acts in an episode.
    stresses : tuple of mapping
        As in a scenario file; times are those of the run, `at` is the onset if it is left out.
    source : str
        Of the probability.
    """

    name: str
    probability: float
    stresses: tuple[Mapping[str, Any], ...]
    source: str


@dataclass(frozen=True)
class ScenarioLaw:
    """The law of an episode.

    Parameters
    ----------
    summary : str
        In a sentence.
    onset_s, duration_s, run_on_s : float
        Warm-up, length after it, and how long an unsettled episode may run on, s.
    episodes_per_year : float
        Assumed rate that turns P per episode into P per year.
    draws : tuple of Draw
        What differs.
    settings : mapping of str to value
        By place of a scenario; a text "$name" is a draw, "1/$name" its inverse.
    scales : mapping of str to value
        What places are multiplied by, likewise; `*` in a place stands for every asset.
    elements : tuple of Element
        What may act.

    Examples
    --------
    >>> fall = Draw("fall", 0.2, 0.6, "1", "assumed")
    >>> law = ScenarioLaw("HYPE falls.", 600.0, 7200.0, 3600.0, 4.0, (fall,), {}, {}, ())
    >>> law.drawn(7) == law.drawn(7), 0.2 < law.drawn(7)["fall"] < 0.6
    (True, True)
    """

    summary: str
    onset_s: float
    duration_s: float
    run_on_s: float
    episodes_per_year: float
    draws: tuple[Draw, ...]
    settings: Mapping[str, Any]
    scales: Mapping[str, Any]
    elements: tuple[Element, ...]

    def drawn(self, seed: int) -> dict[str, float]:
        """Return the draws of an episode by name."""
        return {
            one.name: one.low + (one.high - one.low) * _uniform(seed, f"draw {one.name}")
            for one in self.draws
        }

    def acting(self, seed: int, probability: Mapping[str, float] | None = None) -> tuple[str, ...]:
        """Return the names of the elements that act in an episode.

        Parameters
        ----------
        seed : int
            Of the episode.
        probability : mapping of str to float, optional
            By name of an element, instead of the law's own.
        """
        instead = probability or {}
        return tuple(
            one.name
            for one in self.elements
            if _uniform(seed, f"element {one.name}") < instead.get(one.name, one.probability)
        )


def episode_seed(study_seed: int, purpose: str, index: int) -> int:
    """Return the seed of an episode: another for each purpose of a study, so that none is reused.

    Parameters
    ----------
    study_seed : int
        Of the study.
    purpose : str
        "proposal", "attempt 1".
    index : int
        0, 1, ...

    Returns
    -------
    int
        Below 2**48.

    Examples
    --------
    >>> episode_seed(7, "proposal", 0) != episode_seed(7, "attempt 1", 0)
    True
    """
    digest = sha256(f"{study_seed} {purpose} {index}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def _uniform(seed: int, name: str) -> float:
    at = int.from_bytes(sha256(name.encode()).digest()[:8], "big") >> (64 - _TIME_BITS)
    return float(uniform(*key_from_seed(seed), PURPOSE_SCENARIO_LAW, 0, at, 0))
