"""The shell and the declaration file. The study itself is a stand-in here: no JAX is started."""

import dataclasses
import importlib
import subprocess
import sys
from enum import Enum
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

import statphys_flows
from statphys_flows.cli import app
from statphys_flows.errors import StudyError, StudyInterrupted
from statphys_flows.study.shell.declaration import load_study, with_changes
from statphys_flows.study.shell.settings import parse_kT, parse_scan, replace_fields
from tests.report.fake import fake_tree

DECLARATION = """
import dataclasses
import statphys_flows as sf

@dataclasses.dataclass(frozen=True)
class Well(sf.System):
    tilt: float = 0.1
    sites: int = 8

study = sf.Study(Well(), kT=(1.0,), seed=0)
"""


class System:
    pass


@dataclasses.dataclass(frozen=True)
class Study:
    """Writes its own settings where a result would go."""

    system: System
    kT: tuple = (1.0,)
    seed: int = 0
    sampler: object = None
    scan: dict = dataclasses.field(default_factory=dict)

    def run(self, out=None, *, resume=False, overwrite=False, progress=True, stop_after=None, executor=None):
        assert executor is None
        tree = fake_tree(kT=self.kT)
        tree.attrs["seed"] = self.seed
        tree.attrs["asked"] = str((resume, overwrite, progress, stop_after))
        tree.to_netcdf(out)
        return tree


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    names = {"System": System, "Study": Study, "Euclidean": lambda n: n, "FlowMCMC": SimpleNamespace}
    for module in ("statphys_flows", "statphys_flows.study", "statphys_flows.systems"):
        for name, value in names.items():
            monkeypatch.setattr(importlib.import_module(module), name, value, raising=False)


@pytest.fixture
def declaration(tmp_path) -> Path:
    path = tmp_path / "well.py"
    path.write_text(DECLARATION)
    return path


def shell(*words: str):
    return CliRunner().invoke(app, list(words))


def refusal(*words: str) -> str:
    """What the shell says when it refuses: on stderr, with status 2 and no traceback."""
    result = shell(*words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("error: ")
    return result.stderr


# The shell


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["new", "--help"], ["show", "--help"]])
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys\n"
        "from statphys_flows.cli import main\n"
        f"sys.argv[1:] = {words!r}\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code\n"
        "heavy = {'jax', 'numpy', 'scipy', 'xarray', 'matplotlib', 'equinox'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    root = Path(statphys_flows.__path__[0]).parent
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert result.returncode == 0, result.stderr
    assert "Usage: statphys-flows" in result.stdout


def test_run_writes_beside_and_says_what_to_type_next(declaration):
    result = shell("run", "well.py")
    assert result.exit_code == 0, result.output
    assert Path("well.nc").exists()
    assert result.stdout.splitlines()[-1].endswith("statphys-flows show well.nc")


def test_a_warning_of_the_result_is_printed(declaration):
    result = shell("run", "well.py", "--quiet")
    assert result.stdout == ""
    assert result.stderr == "warning: kT = 1: forward ESS 0.11 is below 0.2: errors of log Z may be too small\n"


def test_run_passes_on_what_it_is_told(declaration):
    result = shell(
        "run",
        "well.py",
        "--kT",
        "0.5:1:2",
        "--seed",
        "7",
        "--out",
        "a b.nc",
        "--overwrite",
        "--quiet",
        "--stop-after=2h",
    )
    assert result.exit_code == 0, result.output
    from statphys_flows.report.load import load

    tree = load("a b.nc")
    np.testing.assert_array_equal(tree["thermodynamics"]["kT"], [0.5, 1.0])
    assert tree.attrs["seed"] == 7
    assert tree.attrs["asked"] == "(False, True, False, '2h')"


def test_an_earlier_result_is_kept_unless_told_otherwise(declaration):
    Path("well.nc").write_text("precious")
    message = refusal("run", "well.py")
    assert "--resume" in message
    assert "--overwrite" in message
    assert Path("well.nc").read_text() == "precious"
    assert shell("run", "well.py", "--overwrite").exit_code == 0


def test_resume_and_overwrite_contradict_each_other(declaration):
    assert "give one of them" in refusal("run", "well.py", "--resume", "--overwrite")


def test_a_refusal_of_the_study_is_one_sentence(declaration, monkeypatch):
    def refuse(self, out, **options):
        raise StudyError("kT[1] is -1, and must be positive.")

    monkeypatch.setattr(Study, "run", refuse)
    assert refusal("run", "well.py") == "error: kT[1] is -1, and must be positive.\n"


def test_what_is_finished_is_said_to_be(declaration):
    assert "The result is in well.nc." in shell("run", "well.py").output
    assert "well.nc was finished: there was nothing to run." in shell("run", "well.py", "--resume").output


def test_interruption_says_how_to_resume(declaration, monkeypatch):
    def stop(self, out, **options):
        raise StudyInterrupted("3 of 9 temperatures are saved; go on with --resume.")

    monkeypatch.setattr(Study, "run", stop)
    result = shell("run", "well.py")
    assert result.exit_code == 130
    assert "go on with --resume" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interruption_before_there_is_anything_to_resume(declaration, monkeypatch):
    def stop(self, out, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(Study, "run", stop)
    result = shell("run", "well.py")
    assert result.exit_code == 130
    assert result.stderr == "\ninterrupted\n"


def test_a_fault_of_ours_keeps_its_traceback(declaration, monkeypatch):
    monkeypatch.setattr(Study, "run", lambda self, out, **options: 1 / 0)
    assert isinstance(shell("run", "well.py").exception, ZeroDivisionError)


def test_new_writes_a_file_that_runs():
    result = shell("new", "mine.py")
    assert result.exit_code == 0, result.output
    assert "statphys-flows run mine.py" in result.stdout
    study = load_study("mine.py")
    assert study.system.energy([1.0, 0.0]) == pytest.approx(0.1)
    assert study.system.order_parameter([1.0, 0.0]) == 1.0
    assert "my_system" not in Path("mine.py").read_text()


def test_new_overwrites_nothing():
    Path("mine.py").write_text("precious")
    assert "exists already" in refusal("new", "mine.py")
    assert Path("mine.py").read_text() == "precious"


@pytest.mark.parametrize(("name", "reason"), [("mine", "write mine.py"), ("nowhere/mine.py", "No such file")])
def test_new_refuses_a_name(name, reason):
    assert reason in refusal("new", name)


def test_show_prints_and_draws():
    fake_tree(kT=[1.0]).to_netcdf("phi4.nc")
    result = shell("show", "phi4.nc")
    assert result.exit_code == 0, result.output
    assert "log Z" in result.stdout
    assert len(list(Path("phi4_figures").glob("*.png"))) == 5  # of one temperature nothing shows a transition
    assert "phi4_figures" in result.stdout.splitlines()[-1]


def test_show_names_the_figures_of_each_size(monkeypatch):
    each = {f"size_{n}": fake_tree(kT=[1.0, 2.0]) for n in (8, 16)}
    whole = xr.DataTree.from_dict(each)
    for name, tree in each.items():
        whole[name].attrs = tree.attrs | {"size": int(name.removeprefix("size_"))}
    whole.to_netcdf("sizes.nc")
    result = shell("show", "sizes.nc")
    assert result.exit_code == 0, result.output
    said = result.stdout.splitlines()[-3:]
    assert said[0] == "Figures in sizes_figures/: transitions.png"
    assert [line.partition(":")[0] for line in said[1:]] == [f"Figures in sizes_figures/size_{n}/" for n in (8, 16)]
    assert len(list(Path("sizes_figures/size_8").glob("*.png"))) == 6


def test_show_without_figures():
    fake_tree(kT=[1.0]).to_netcdf("phi4.nc")
    assert shell("show", "phi4.nc", "--no-figures").exit_code == 0
    assert not Path("phi4_figures").exists()


def test_show_puts_figures_where_told():
    fake_tree(kT=[1.0]).to_netcdf("phi4.nc")
    assert shell("show", "phi4.nc", "--out-dir", "here").exit_code == 0
    assert Path("here/free_energy.png").exists()


def test_show_refuses_what_is_no_result():
    assert "does not exist" in refusal("show", "phi4.nc")


# The declaration file


def test_load_study(declaration):
    study = load_study(declaration)
    assert study.system.tilt == 0.1
    assert type(study.system).__module__ in sys.modules
    assert str(declaration.parent) not in sys.path


def test_a_module_beside_the_file_can_be_imported(declaration):
    Path("helper_of_well.py").write_text("tilt = 0.3\n")
    declaration.write_text(DECLARATION + "from helper_of_well import tilt\n")
    assert load_study(declaration).system.tilt == 0.1


def test_a_name_of_the_standard_library_is_not_shadowed(declaration):
    path = declaration.rename("random.py")
    before = importlib.import_module("random")
    load_study(path)
    assert sys.modules["random"] is before


def test_two_files_of_one_name_live_side_by_side(declaration):
    Path("other").mkdir()
    Path("other/well.py").write_text(DECLARATION.replace("0.1", "0.2"))
    first, second = load_study(declaration), load_study("other/well.py")
    assert (first.system.tilt, second.system.tilt) == (0.1, 0.2)
    assert type(first.system).__module__ != type(second.system).__module__
    assert type(load_study(declaration).system).__module__ == type(first.system).__module__


def test_missing_file():
    assert "statphys-flows new none.py" in refusal("run", "none.py")


def test_folder():
    assert "is a folder" in refusal("run", ".")


def test_a_file_that_fails_shows_its_own_line_and_none_of_ours(declaration):
    Path("broken.py").write_text("import statphys_flows as sf\n\ndef f():\n    return 1 / 0\n\nf()\n")
    message = refusal("run", "broken.py")
    assert message == (
        "error: broken.py fails to import:\n"
        "  broken.py, line 6: f()\n"
        "  broken.py, line 4: return 1 / 0\n"
        "ZeroDivisionError: division by zero\n"
    )


def test_the_users_line_is_shown_when_a_library_raises():
    Path("broken.py").write_text("import json\njson.loads('{')\n")
    message = refusal("run", "broken.py")
    assert "broken.py, line 2: json.loads('{')" in message
    assert "decoder.py" not in message


def test_a_syntax_error_is_located():
    Path("broken.py").write_text("x = 1\ny = (\n")
    message = refusal("run", "broken.py")
    assert "line 2" in message
    assert "SyntaxError" in message


@pytest.mark.parametrize("code", ["raise SystemExit(3)", "import no_such_module"])
def test_other_ways_to_fail(code):
    Path("broken.py").write_text(code)
    assert f"broken.py, line 1: {code}" in refusal("run", "broken.py")


def test_a_refusal_while_importing_is_located(declaration):
    Path("refused.py").write_text(
        "from statphys_flows.errors import StudyError\nraise StudyError('kT is -1, and must be positive.')\n"
    )
    message = refusal("run", "refused.py")
    assert "refused.py, line 2" in message
    assert message.endswith("kT is -1, and must be positive.\n")


def test_a_failed_file_leaves_nothing_behind(declaration):
    Path("broken.py").write_text("1 / 0")
    refusal("run", "broken.py")
    assert not [name for name in sys.modules if "broken" in name]


def test_no_study_but_a_system(declaration):
    declaration.write_text(DECLARATION.replace("study = sf.Study(Well(), kT=(1.0,), seed=0)", "well = Well()"))
    message = refusal("run", "well.py")
    assert "declares no `study`" in message
    assert "study = sf.Study(well, kT=1.0)" in message


def test_no_study_but_a_class(declaration):
    declaration.write_text(DECLARATION.replace("study = sf.Study(Well(), kT=(1.0,), seed=0)", ""))
    assert "study = sf.Study(Well(), kT=1.0)" in refusal("run", "well.py")


def test_no_study_at_all():
    Path("other.py").write_text("import math\nfrom json import loads\nx = 1\ndef f(): pass\n_hidden = 2\n")
    assert "It declares x, f." in refusal("run", "other.py")
    Path("empty.py").write_text("")
    assert "It declares nothing." in refusal("run", "empty.py")


def test_a_study_of_another_type():
    Path("other.py").write_text("study = {'kT': 1}\n")
    assert "is of type dict" in refusal("run", "other.py")


# --kT


@pytest.mark.parametrize(
    ("text", "kT"),
    [
        ("0.05", (0.05,)),
        ("0.5,1,2", (0.5, 1.0, 2.0)),
        ("2:1:3", (2.0, 1.5, 1.0)),
        ("0.5:2:16", tuple(np.linspace(0.5, 2, 16))),
        ("1e-2:1e-1:2", (0.01, 0.1)),
    ],
)
def test_parse_kT(text, kT):
    assert parse_kT(text) == pytest.approx(kT, abs=1e-15)


def test_both_ends_are_exact():
    for n in range(2, 60):
        kT = parse_kT(f"0.1:0.7:{n}")
        assert (kT[0], kT[-1], len(kT)) == (0.1, 0.7, n)


@pytest.mark.parametrize("text", ["", "warm", "1,,2", "1:2", "1:2:3:4", "1:2:1", "1:2:2.5", "1:2:-3"])
def test_kT_that_is_not_understood(text):
    with pytest.raises(StudyError, match=r"0\.5:2:16"):
        parse_kT(text)


# --scan


def test_parse_scan():
    found = parse_scan(["coupling=0.5:1.5:5", "field=-0.1,0,0.1"])
    assert found == {"coupling": (0.5, 0.75, 1.0, 1.25, 1.5), "field": (-0.1, 0.0, 0.1)}
    assert parse_scan(["field=-1e-2"]) == {"field": (-0.01,)}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (["field"], "write --scan field=values"),
        (["=1,2"], "write --scan field=values"),
        (["field="], r"'' is not understood: .*0\.5:2:16"),
        (["field=1:2"], r"'1:2' is not understood: .*0\.5:2:16"),
        (["field=up,down"], r"'up,down' is not understood"),
        (["kT=0.5:1:3"], r"temperatures are given as --kT 0\.5:1:3"),
        (["field=1", "field=2"], "field is given twice"),
    ],
)
def test_scan_that_is_not_understood(settings, reason):
    with pytest.raises(StudyError, match=reason):
        parse_scan(settings)


def test_scan_replaces_that_of_the_file(declaration, monkeypatch):
    declaration.write_text(DECLARATION.replace("seed=0)", "seed=0, scan={'sites': (1, 2)})"))
    seen = []
    monkeypatch.setattr(Study, "run", lambda self, out, **options: seen.append(self.scan))
    for words in ([], ["--scan", "tilt=-0.1,0,0.1", "--scan", "barrier=1:2:3"]):
        result = shell("run", "well.py", *words)
        assert result.exit_code == 0, result.output
    assert seen == [{"sites": (1, 2)}, {"tilt": (-0.1, 0.0, 0.1), "barrier": (1.0, 1.5, 2.0)}]


def test_scan_is_refused_in_a_sentence(declaration):
    assert "temperatures are given as --kT" in refusal("run", "well.py", "--scan", "kT=1,2")


# --set


class Rule(Enum):
    LEFT = 1


@dataclasses.dataclass(frozen=True)
class Parameters:
    sites: int = 8
    field: float = 0.5
    barrier: float = 8  # a float written as an integer
    periodic: bool = False
    rule: str = "trapezoid"
    couplings: tuple = (1.0, 2.0)
    weights: object = dataclasses.field(default_factory=lambda: np.array([1.0, 2.0]))
    mass: object = None
    inner: object = Rule.LEFT

    def __post_init__(self):
        if self.sites < 1:
            raise ValueError("sites must be at least 1")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("sites=32", 32),
        ("field=0.02", 0.02),
        ("field=-1", -1.0),
        ("barrier=8.5", 8.5),
        ("periodic=true", True),
        ("periodic=no", False),
        ("rule=midpoint=x", "midpoint=x"),
        ("couplings=3,4.5", (3, 4.5)),
        ("mass=2.5", 2.5),
    ],
)
def test_set(setting, value):
    found = getattr(replace_fields(Parameters(), [setting]), setting.split("=")[0])
    assert found == value
    assert type(found) is type(value)


def test_set_an_array():
    weights = replace_fields(Parameters(), ["weights=3,4"]).weights
    np.testing.assert_array_equal(weights, [3.0, 4.0])


def test_set_several():
    changed = replace_fields(Parameters(), ["sites=3", "field=1"])
    assert (changed.sites, changed.field, changed.barrier) == (3, 1.0, 8)


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ("sites", "write (--set )?field=value"),
        ("colour=red", "has no field 'colour' to set; it has sites, field"),
        ("sites=3.5", "a whole number is expected"),
        ("field=large", "a number is expected"),
        ("periodic=maybe", "true or false is expected"),
        ("weights=1,2,3", r"of shape \(2,\)"),
        ("couplings=1,x", "numbers with commas"),
        ("inner=2", "cannot be set from the shell"),
        ("sites=0", "refuses sites=0: sites must be at least 1"),
    ],
)
def test_set_refuses(setting, reason):
    with pytest.raises(StudyError, match=reason):
        replace_fields(Parameters(), [setting])


def test_set_refuses_what_is_scanned(declaration):
    declared = load_study(declaration)
    with pytest.raises(StudyError, match=r"tilt is scanned, at 0.1, 0.2; .* write --scan tilt=0.3"):
        with_changes(declared, kT=None, seed=None, settings=["tilt=0.3"], scan=["tilt=0.1,0.2"])


def test_set_reaches_the_study(declaration, monkeypatch):
    seen = []
    monkeypatch.setattr(Study, "run", lambda self, out, **options: seen.append(self.system))
    result = shell("run", "well.py", "--set", "tilt=0.3", "--set", "sites=4")
    assert result.exit_code == 0, result.output
    assert (seen[0].tilt, seen[0].sites) == (0.3, 4)
