"""The list of packages, the folders and what is installed say the same."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
FOLDER_OF = SETUPTOOLS["package-dir"]


def packages_in_tree():
    found = set()
    for package, folder in FOLDER_OF.items():
        for init in (ROOT / folder).rglob("__init__.py"):
            below = init.parent.relative_to(ROOT / folder).parts
            found.add(".".join([package, *below]))
    return found


def folder_of(package):
    mapped = max((p for p in FOLDER_OF if f"{package}.".startswith(f"{p}.")), key=len)
    return ROOT.joinpath(FOLDER_OF[mapped], *package.removeprefix(mapped).split("."))


def test_each_folder_with_an_init_is_a_listed_package():
    assert packages_in_tree() == set(SETUPTOOLS["packages"])


def test_each_folder_with_modules_has_an_init():
    bare = {
        path.parent.relative_to(ROOT).as_posix()
        for folder in FOLDER_OF.values()
        for path in (ROOT / folder).rglob("*.py")
        if not (path.parent / "__init__.py").exists()
    }
    assert bare == set()


@pytest.mark.parametrize("package", SETUPTOOLS["packages"])
def test_each_data_file_is_in_the_wheel(package):
    folder = folder_of(package)
    shipped = {
        path for glob in SETUPTOOLS["package-data"].get(package, []) for path in folder.glob(glob)
    }
    below = {folder_of(other) for other in SETUPTOOLS["packages"]} - {folder}
    data = {
        path
        for path in folder.rglob("*")
        if path.is_file()
        and path.suffix not in {".py", ".pyc", ".nbi", ".nbc"}
        and not any(other in path.parents for other in below if folder in other.parents)
    }
    assert data - shipped == set()


def run_elsewhere(code, folder):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("name", ["agents", "market", "experiments"])
def test_bare_names_cannot_be_imported_from_elsewhere(name, tmp_path):
    result = run_elsewhere(f"import {name}", tmp_path)
    assert f"No module named '{name}'" in result.stderr


@pytest.mark.parametrize("package", SETUPTOOLS["packages"])
def test_packages_can_be_imported_from_elsewhere(package, tmp_path):
    result = run_elsewhere(f"import {package}", tmp_path)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("module", ["stressbook", "stressbook.market", "stressbook.errors"])
def test_light_imports_stay_light(module, tmp_path):
    heavy = {"mesa", "pandas", "matplotlib", "pydantic", "rich", "jinja2"}
    code = f"import sys, {module}; print(*sorted({heavy} & set(sys.modules)))"
    assert run_elsewhere(code, tmp_path).stdout.split() == []
