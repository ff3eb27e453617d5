"""The package as a whole: what importing costs, which way imports point, and the shell from end to end."""

import ast
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
from typer.testing import CliRunner

import statphys_flows as sf
from statphys_flows.cli import app
from statphys_flows.study.shell.declaration import load_study

PACKAGE = Path(sf.__path__[0])
ROOT = PACKAGE.parent

# From left to right, as in the path of the data; each imports only from what stands to its left.
ORDER = [
    "errors",
    "numbers",
    "thresholds",
    "files",
    "pickling",
    "precision",
    "spaces",
    "bases",
    "systems",
    "theory",
    "flows",
    "training",
    "results",
    "sampling",
    "study",
    "report",
    "cli",
]
# Beside the path: these import nothing of the library but errors and thresholds.
ASIDE = ["analysis", "templates"]


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)


def test_importing_starts_nothing_heavy():
    code = (
        "import sys, statphys_flows as sf; sf.StudyError; dir(sf)\n"
        "assert not {'jax', 'equinox', 'numpy', 'xarray', 'matplotlib'} & set(sys.modules), sys.modules.keys()"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


def test_importing_does_not_switch_on_64_bit():
    code = (
        "import statphys_flows as sf\n"
        "[getattr(sf, name) for name in sf.__all__]\n"
        "import jax; assert not jax.config.jax_enable_x64"
    )
    result = python(code)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", sf.__all__)
def test_every_public_name_resolves(name):
    assert getattr(sf, name).__name__ == name
    assert name in dir(sf)


def test_public_names_are_listed_once_and_in_order():
    constants_then_classes_then_functions = sorted(sf.__all__, key=lambda n: (not n.isupper(), not n[0].isupper(), n))
    assert list(sf.__all__) == constants_then_classes_then_functions
    assert set(sf.__all__) == set(sf._MODULE_OF)
    assert len(sf._MODULE_OF) == sum(map(len, sf._HOME.values()))


def test_a_name_that_is_none():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = sf.Nothing


# The arrows


def part_of(path):
    """The package (or module) directly below statphys_flows that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """Parts of the library that a file imports, anywhere in it but under `if TYPE_CHECKING`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    hidden = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                above = path.relative_to(ROOT).parts[: -node.level]
                module = ".".join([*above, module]).rstrip(".")
            names = [module, *(f"{module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[0] == "statphys_flows" and len(parts) > 1 and (parts[1] in ORDER or parts[1] in ASIDE):
                yield parts[1], node.lineno


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_point_to_the_left(path):
    own = part_of(path)
    assert own in ORDER or own in ASIDE, f"{own} has no place in the order: give it one"
    for other, line in imports(path):
        where = f"{path.relative_to(ROOT)} line {line}"
        if own in ASIDE:
            assert other in (own, "errors", "thresholds"), f"{where}: {own} knows nothing of {other}"
        elif other in ASIDE:
            assert ORDER.index(own) >= ORDER.index("results"), f"{where}: {own} does not use {other}"
        else:
            assert ORDER.index(other) <= ORDER.index(own), f"{where}: {own} stands to the left of {other}"


def test_every_folder_is_in_the_order():
    found = {part_of(p) for p in FILES}
    assert found == {*ORDER, *ASIDE}


# Declarations and the shell


@pytest.mark.parametrize("path", sorted((ROOT / "systems").glob("*.py")), ids=lambda p: p.name)
def test_the_declarations_load(path):
    study = load_study(path)
    assert isinstance(study, sf.Study)
    source = path.read_text()
    assert "statphys_flows." not in source, "a declaration is written with the public names only"
    assert source.startswith('"""')


def test_there_are_two_declarations():
    assert {"continuum_phi4.py", "double_well.py"} <= {p.name for p in (ROOT / "systems").glob("*.py")}


DECLARATION = """
import jax.numpy as jnp
import statphys_flows as sf


class Spring(sf.System):
    stiffness: float = 2.0
    space = sf.Euclidean(1, extent=1.0)

    def energy(self, x):
        return 0.5 * self.stiffness * jnp.sum(x**2)


sampler = sf.FlowMCMC(
    chains=16, draws=20, local_moves=2, global_moves=1, warm_up=20, rounds=1, train_steps=5, buffer=64
)
study = sf.Study(Spring(), kT=[1.0, 0.5], seed=0, sampler=sampler)
"""


def shell(line):
    return CliRunner().invoke(app, shlex.split(line))


@pytest.mark.slow
def test_the_shell_from_end_to_end(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("spring.py").write_text(DECLARATION)
    run = "run spring.py --kT 0.5,1 --set stiffness=4 --seed 3"
    done = shell(run)
    assert done.exit_code == 0, done.output
    tree = xr.open_datatree("spring.nc").load()
    assert '"stiffness": 4.0' in tree.attrs["configuration"]
    assert tree.attrs["seed"] == 3
    assert tree["thermodynamics"]["kT"].values.tolist() == [0.5, 1.0]
    tree.close()

    assert shell(run).exit_code == 2
    refused = shell("run spring.py --kT 0.5,1 --set stiffness=5 --seed 3 --resume")
    assert refused.exit_code == 2
    assert "system.stiffness: 4.0 there, 5.0 here" in refused.stderr
    accepted = shell(f"{run} --resume --quiet")
    assert accepted.exit_code == 0, accepted.output

    shown = shell("show spring.nc --no-figures")
    assert shown.exit_code == 0, shown.output
    assert "log Z" in shown.stdout
    drawn = shell("show spring.nc")
    assert drawn.exit_code == 0, drawn.output
    assert list(Path("spring_figures").glob("*.png"))
