"""Try an installed wheel: `python smoke.py VENV`, from a folder without the sources."""

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import distribution
from importlib.util import find_spec
from pathlib import Path

import stressbook


def main(venv: Path) -> None:
    """Import every module of the wheel, and ask the command line for help."""
    assert Path(stressbook.__file__).is_relative_to(venv), stressbook.__file__
    names = [module.name for module in pkgutil.walk_packages(stressbook.__path__, "stressbook.")]
    for name in names:
        importlib.import_module(name)
    for bare in ("agents", "market", "experiments"):
        assert find_spec(bare) is None, f"{bare} is importable"
    tops = {
        file.parts[0] for file in distribution("stressbook").files or () if ".." not in file.parts
    }
    assert {top for top in tops if not top.endswith(".dist-info")} == {"stressbook"}, tops
    assert (Path(stressbook.__file__).parent / "py.typed").is_file()
    command = venv / "bin" / "stressbook"
    if find_spec("stressbook.cli.main"):
        subprocess.run([command, "--help"], check=True, stdout=subprocess.DEVNULL)
    sys.stdout.write(f"wheel: {len(names)} modules import\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
