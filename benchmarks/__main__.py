"""Run all benchmarks, or those named: `python -m benchmarks [NAME ...]`.

Each runs in a process of its own, one after the other, so that none warms or disturbs the next.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parent


def known() -> list[str]:
    """Return the names of all benchmarks, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; return 1 if any failed, 2 for an unknown name."""
    unknown = sorted(set(names) - set(known()))
    if unknown:
        sys.stderr.write(f"unknown: {', '.join(unknown)}\n  allowed: {', '.join(known())}\n")
        return 2
    failed = False
    for name in names or known():
        print(f"== {name}", flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}"]
        failed |= subprocess.run(command, cwd=FOLDER.parent, check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
