"""Run all benchmarks, or those named: `python -m benchmarks [NAME ...] [--page FILE]`.

Each runs in a process of its own, one after the other, so that none warms or disturbs the next. At
the end every promise stands in one table; with `--page` it replaces the table of that page.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Final

from benchmarks.goals import Goal, as_table, machine

FOLDER: Final = Path(__file__).parent
TABLE_BEGINS: Final = "<!-- table: make bench -->"
TABLE_ENDS: Final = "<!-- end of table -->"


def known() -> list[str]:
    """Return the names of all benchmarks, sorted."""
    return sorted(path.stem for path in FOLDER.glob("bench_*.py"))


def run(name: str) -> tuple[bool, list[Goal]]:
    """Run one benchmark; return whether its exact parts were right, and its goals."""
    print(f"== {name}: {machine()}", flush=True)
    command = [sys.executable, "-m", f"benchmarks.{name}"]
    goals = []
    with subprocess.Popen(command, cwd=FOLDER.parent, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout or ():
            print(line, end="", flush=True)
            goals.append(Goal.parse(line))
    return child.returncode == 0, [goal for goal in goals if goal]


def with_table(page: str, rows: list[str]) -> str:
    """Return a page with its table replaced."""
    before, _, rest = page.partition(TABLE_BEGINS)
    _, _, after = rest.partition(TABLE_ENDS)
    return "\n".join([f"{before}{TABLE_BEGINS}", *rows, f"{TABLE_ENDS}{after}"])


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all; return 1 if any failed, 2 for an unknown name."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known())}")
    parser.add_argument("--page", type=Path, help="page whose table is replaced")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - set(known()))
    if unknown:
        sys.stderr.write(f"unknown: {', '.join(unknown)}\n  allowed: {', '.join(known())}\n")
        return 2
    about = f"{machine().capitalize()}."
    results = [run(name) for name in given.names or known()]
    rows = [about, "", *as_table(goal for _, goals in results for goal in goals)]
    print("== all promises", *rows, sep="\n")
    if given.page:
        text = given.page.read_text(encoding="utf-8")
        given.page.write_text(with_table(text, rows), encoding="utf-8")
    return not all(is_right for is_right, _ in results)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
