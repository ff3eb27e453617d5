"""The package as a whole: what importing costs, which way imports point, and the shell from end to end."""

import ast
import shlex
import statistics
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
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
    "compiled",
    "spaces",
    "bases",
    "systems",
    "theory",
    "flows",
    "treatments",
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
    assert len(sf._MODULE_OF) == sum(len(names.split()) for names in sf._HOME.values())


def test_a_name_that_is_none():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = sf.Nothing


# The arrows


def part_of(path):
    """The package (or module) directly below statphys_flows that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_names(path):
    """What a file imports anywhere in it but under `if TYPE_CHECKING`: module, name (or "") and line."""
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
        if isinstance(node, ast.Import):
            yield from ((alias.name, "", node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                above = path.relative_to(ROOT).parts[: -node.level]
                module = ".".join([*above, module]).rstrip(".")
            yield from ((module, alias.name, node.lineno) for alias in node.names)


def imports(path):
    """Parts of the library that a file imports."""
    for module, name, line in imported_names(path):
        parts = f"{module}.{name}".split(".")
        if parts[0] == "statphys_flows" and len(parts) > 1 and (parts[1] in ORDER or parts[1] in ASIDE):
            yield parts[1], line


FILES = sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def test_results_know_nothing_but_numerics():
    for path in (p for p in FILES if part_of(p) == "results"):
        for other, line in imports(path):
            assert other in ("results", "analysis", "errors", "numbers", "thresholds"), (
                f"{path.name} line {line}: {other}"
            )


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


# Switches on types


def classes_in(*folders):
    """Names of the classes that are defined in folders of the package."""
    paths = [path for folder in folders for path in (PACKAGE / folder).rglob("*.py")]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in paths]
    return {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def switches(path, kinds):
    """Where a file asks for the type of something that is one of these."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("isinstance", "issubclass")
        ):
            asked = node.args[1:]
        elif isinstance(node, ast.MatchClass):
            asked = [node.cls]
        else:
            continue
        names = {n.id for a in asked for n in ast.walk(a) if isinstance(n, ast.Name)}
        names |= {n.attr for a in asked for n in ast.walk(a) if isinstance(n, ast.Attribute)}
        for name in sorted(names & kinds):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno} {name}"


def test_no_switch_on_the_type_of_a_space_or_a_flow():
    """Outside their own folders and the treatments: what differs is asked of the treatment, or of the proposal. `Space`
    itself is asked for where a system is declared."""
    home = {"spaces", "flows", "treatments"}
    kinds = classes_in("spaces", "flows") - {"Space"}
    assert {"Euclidean", "ContinuousFlow", "DefensiveMixture", "LatentField", "Untransformed"} <= kinds
    assert list(switches(PACKAGE / "treatments" / "lattice.py", {"Mixture", "FreeField"}))  # the test finds some
    found = [s for path in FILES if part_of(path) not in home for s in switches(path, kinds)]
    assert not found, found


def import_graph():
    """Each file of the library, by its dotted name, with those that it imports. To import a file from a folder is not
    to import the folder's `__init__.py`, which Python runs anyway."""
    modules = {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in FILES}
    graph = {}
    for own, path in modules.items():
        meant = {
            inner if (inner := f"{module}.{name}") in modules else module for module, name, _ in imported_names(path)
        }
        graph[own] = meant & set(modules) - {own}
    return graph


def circles_in(graph):
    """Groups of two files and more each of which leads to every other (strongly connected components)."""
    names = sorted(graph)
    index = {name: i for i, name in enumerate(names)}
    edges = [(index[a], index[b]) for a in names for b in graph[a]]
    matrix = coo_array((np.ones(len(edges)), np.transpose(edges)), (len(names), len(names)))
    _, label = connected_components(matrix, connection="strong")
    groups = [{name for name, own in zip(names, label, strict=True) if own == g} for g in set(label)]
    return [group for group in groups if len(group) > 1]


def test_a_circle_is_found():
    graph = {"a": {"b"}, "b": {"c"}, "c": {"a", "d"}, "d": {"e"}, "e": set()}
    assert circles_in(graph) == [{"a", "b", "c"}]


def test_files_do_not_import_each_other_in_circles():
    assert circles_in(import_graph()) == []


# Sizes


def lines_of(path):
    return len(path.read_text(encoding="utf-8").splitlines())


def test_files_are_short():
    files = [*FILES, PACKAGE / "__init__.py"]
    long = {str(p.relative_to(PACKAGE)): lines_of(p) for p in files if lines_of(p) > 300}
    assert long == {}
    assert statistics.median(map(lines_of, FILES)) <= 100


def test_functions_are_short():
    """No more than 60 lines, signature and docstring included."""
    long = {
        f"{path.relative_to(PACKAGE)} {node.name}": lines
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno is not None
        and (lines := node.end_lineno - node.lineno + 1) > 60
    }
    assert long == {}


def test_folders_are_small():
    """No more than 12 files, `__init__.py` not counted."""
    count = Counter(str(p.parent.relative_to(PACKAGE)) for p in FILES if p.name != "__init__.py")
    assert {folder: n for folder, n in count.items() if n > 12} == {}


def test_thresholds_have_names_of_their_own():
    """A name says what is judged, so that no two files mean different things by it."""
    own = {
        node.id for node in ast.walk(ast.parse((PACKAGE / "thresholds.py").read_text())) if isinstance(node, ast.Name)
    }
    for path in FILES:
        if path.name == "thresholds.py":
            continue
        defined = {
            name.id
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for name in ast.walk(node)
            if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store)
        }
        assert not own & defined, f"{path.relative_to(ROOT)} defines {own & defined}, which stands in thresholds.py"


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
    chains=16,
    draws=20,
    moves=sf.Moves(local=2, flow=1),
    start=sf.Start(warm_up=20),
    rounds=sf.Rounds(most=1, train_steps=5, buffer=64),
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


def test_who_runs_points_is_not_known_to_what_runs_them():
    """Executors and plans use jobs; jobs use neither."""
    for path in sorted((PACKAGE / "study" / "execution").glob("*.py")):
        used = [module for module, _, _ in imported_names(path)]
        assert not [
            m for m in used if m.startswith(("statphys_flows.study.executors", "statphys_flows.study.planning"))
        ]
