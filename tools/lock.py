"""Write constraints.txt: one exact version of everything that `pip install -e .[dev]` brings.

    python tools/lock.py python3.11 python3.13

Each interpreter named resolves pyproject.toml by itself, in a throwaway environment and without installing anything.
The oldest Python cannot have the newest JAX, so the answers are merged: a package on whose version all agree gets one
line, any other a line for each answer with an environment marker. A constraint binds only what is installed anyway, so
a package that one platform lacks does no harm there.
"""

import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Exact versions for `pip install -c constraints.txt -e .[dev]`. Written by `make lock`; edit pyproject.toml instead.
"""


def requirements(pyproject: Path) -> list[str]:
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    return project["dependencies"] + [r for extra in project["optional-dependencies"].values() for r in extra]


def python_version(python: str) -> tuple[int, int]:
    answer = subprocess.check_output([python, "-c", "import sys; print(*sys.version_info[:2])"], text=True)
    major, minor = answer.split()
    return int(major), int(minor)


def resolve(python: str, wanted: list[str]) -> dict[str, str]:
    """Returns name -> version of all that `wanted` needs under this interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        report = Path(folder) / "report.json"
        pip = [str(Path(folder) / "bin" / "python"), "-m", "pip", "install", "--quiet", "--dry-run"]
        subprocess.run([*pip, "--ignore-installed", "--report", str(report), *wanted], check=True)
        installs = json.loads(report.read_text(encoding="utf-8"))["install"]
    found = {normalised(item["metadata"]["name"]): item["metadata"]["version"] for item in installs}
    # A local label such as +cpu names one machine's build.
    return {name: version.split("+")[0] for name, version in found.items()}


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def merge(answers: dict[tuple[int, int], dict[str, str]]) -> list[str]:
    """Returns the lines of the lock.

    An answer counts for the Pythons above the previous interpreter and up to its own, the last one for newer ones too
    (so 3.12 follows 3.13: both have the newest JAX).
    """
    pythons = sorted(answers)
    lines = []
    for name in sorted(set().union(*answers.values())):
        versions = [answers[p].get(name) for p in pythons]
        if len({v for v in versions if v}) == 1:
            lines.append(f"{name}=={next(v for v in versions if v)}")
            continue
        lines += [f"{name}=={v} ; {marker(pythons, i)}" for i, v in enumerate(versions) if v]
    return lines


def marker(pythons: list[tuple[int, int]], i: int) -> str:
    bounds = []
    if i > 0:
        bounds.append(f'python_version >= "{just_above(pythons[i - 1])}"')
    if i < len(pythons) - 1:
        bounds.append(f'python_version < "{just_above(pythons[i])}"')
    return " and ".join(bounds)


def just_above(python: tuple[int, int]) -> str:
    return f"{python[0]}.{python[1] + 1}"


def main(pythons: list[str]) -> None:
    if not pythons:
        raise SystemExit("name the interpreters to resolve with, e.g.: python tools/lock.py python3.11 python3.13")
    wanted = requirements(ROOT / "pyproject.toml")
    answers = {python_version(p): resolve(p, wanted) for p in pythons}
    lines = merge(answers)
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    names = ", ".join(f"{major}.{minor}" for major, minor in sorted(answers))
    print(f"constraints.txt: {len(lines)} lines, from Python {names}")


if __name__ == "__main__":
    main(sys.argv[1:])
