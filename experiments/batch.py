"""The manifest of many runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from stressbook.experiments.plugins import plugin_sources
from stressbook.experiments.run import versions
from stressbook.experiments.scenario import Scenario
from stressbook.experiments.store import keep_plugins, write_json
from stressbook.experiments.sweeps.cell import Replicate

__all__ = ["batch_digest", "batch_folder_name", "batch_mark", "save_batch"]


def batch_digest(runs: Mapping[str, Sequence[Replicate]]) -> str:
    """Return one SHA-256 for all runs, by arm and seed."""
    lines = [f"{arm} {run.seed} {run.digest}" for arm, several in runs.items() for run in several]
    return sha256("\n".join(lines).encode()).hexdigest()


def batch_folder_name(scenarios: Mapping[str, Scenario], *, seed: int, reps: int) -> str:
    """Return the name of the folder of many runs: scenarios, seeds, digits that tell variants."""
    names = dict.fromkeys(scenario.name for scenario in scenarios.values())
    joined = sha256(" ".join(scenario.digest() for scenario in scenarios.values()).encode())
    return f"{'-versus-'.join(names)}-{seed}x{reps}-{joined.hexdigest()[:8]}"


def batch_mark(scenarios: Mapping[str, Scenario], *, seed: int) -> str:
    """Return what `claim_folder` knows many runs by; more of them go on in the same folder."""
    digests = " ".join(f"{arm} {scenario.digest()}" for arm, scenario in scenarios.items())
    return f"runs of {digests} from seed {seed}"


def save_batch(
    folder: Path,
    scenarios: Mapping[str, Scenario],
    runs: Mapping[str, Sequence[Replicate]],
    *,
    engine: str,
    placebo_of: str | None = None,
) -> Path:
    """Write the manifest of many runs.

    Parameters
    ----------
    folder : Path
        Made if it is missing.
    scenarios : mapping of str to Scenario
        By arm.
    runs : mapping of str to sequence of Replicate
        By arm.
    engine : str
        Of all runs.
    placebo_of : str, optional
        Arm with whose scenario the placebo was run; the last one if it is left out.

    Returns
    -------
    Path
        The folder.
    """
    sources = dict.fromkeys(s for one in scenarios.values() for s in plugin_sources(one))
    about = {
        "schema": 1,
        "kind": "batch",
        "scenarios": {arm: scenario.to_toml() for arm, scenario in scenarios.items()},
        "engine": engine,
        "placebo_of": placebo_of or list(scenarios)[-1],
        "digest": batch_digest(runs),
        "runs": [
            {"arm": arm, "seed": run.seed, "digest": run.digest, "error": run.error}
            for arm, several in runs.items()
            for run in several
        ],
        "versions": versions(),
        "plugins": keep_plugins(folder, tuple(sources)),
    }
    write_json(folder / "manifest.json", about)
    return folder
