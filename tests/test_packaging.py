"""The wheel that users install is whole."""

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import onetrip

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Build the wheel; hatchling is here already, so no network is needed."""
    target = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", target]
    subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
    (built,) = target.glob("*.whl")
    with zipfile.ZipFile(built) as archive:
        return archive


def test_the_version_is_stated_once() -> None:
    """The package says what pyproject.toml says."""
    assert onetrip.__version__ == PROJECT["version"]


def test_the_wheel_holds_the_package_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    """Every file of src/onetrip is in the wheel, py.typed included; no test, no example."""
    package = ROOT / "src"
    files = {path.relative_to(package).as_posix() for path in (package / "onetrip").rglob("*") if path.is_file()}
    files = {file for file in files if "__pycache__" not in file}
    packed = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert "onetrip/py.typed" in files
    assert packed == files


def test_the_wheel_carries_its_licence_and_command(wheel: zipfile.ZipFile) -> None:
    """The licence travels along, and `onetrip` is a command."""
    names = {name.partition(".dist-info/")[2] for name in wheel.namelist()}
    assert {"licenses/LICENSE", "entry_points.txt"} <= names
