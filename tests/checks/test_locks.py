"""The lock files answer to pyproject.toml, name nothing of the machine they were made on, and agree with each other."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
TOOLS = [
    line for line in (ROOT / "requirements/tools.in").read_text().splitlines() if line and not line.startswith("#")
]
WANTED = {
    "operator": [*PROJECT["dependencies"], *EXTRAS["console"]],
    "demo": [*PROJECT["dependencies"], *EXTRAS["console"], *EXTRAS["demo"]],
    "test": [*PROJECT["dependencies"], *(each for extra in EXTRAS.values() for each in extra), *TOOLS],
}


@dataclass(frozen=True)
class Pin:
    version: str
    hashes: int


def pins(name: str) -> dict[str, Pin]:
    out: dict[str, Pin] = {}
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    for entry in re.split(r"\n(?=\S)", re.sub(r"^\s*#.*\n", "", text, flags=re.M)):
        if found := re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?==([^ ;\\]+)", entry):
            out[canonicalize_name(found[1])] = Pin(found[2], entry.count("--hash=sha256:"))
    return out


@pytest.mark.parametrize("lock", WANTED)
def test_every_dependency_is_pinned_within_its_bounds(lock: str) -> None:
    pinned = pins(lock)
    wrong: list[str] = []
    for text in WANTED[lock]:
        wanted = Requirement(text)
        pin = pinned.get(canonicalize_name(wanted.name))
        if pin is None or not wanted.specifier.contains(pin.version, prereleases=True):
            wrong.append(f"{text}: {pin.version if pin else 'missing'}")
    assert not wrong, f"requirements/{lock}.txt is older than pyproject.toml; run `make lock`"


@pytest.mark.parametrize("lock", WANTED)
def test_every_pin_has_hashes(lock: str) -> None:
    pinned = pins(lock)
    assert len(pinned) > 30
    assert [name for name, pin in pinned.items() if not pin.hashes] == []


@pytest.mark.parametrize("lock", ["operator", "demo"])
def test_what_ships_is_what_was_tested(lock: str) -> None:
    tested = pins("test")
    assert {name: pin.version for name, pin in pins(lock).items()} == {
        name: tested[name].version for name in pins(lock)
    }


def test_the_operator_ships_no_tool_of_the_tests() -> None:
    shipped = set(pins("operator"))
    kept_out = {canonicalize_name(Requirement(text).name) for name in ("test", "demo") for text in EXTRAS[name]}
    own = {canonicalize_name(Requirement(text).name) for text in WANTED["operator"]}
    assert shipped & (kept_out - own) == set()


@pytest.mark.parametrize("lock", WANTED)
def test_no_option_and_no_address_is_in_a_lock(lock: str) -> None:
    lines = (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()
    assert [line for line in lines if line.startswith("-")] == []
    assert [line for line in lines if "://" in line or " @ " in line] == []
