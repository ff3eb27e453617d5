"""The documents say what is so: their code runs, their commands parse, their tables are complete.

The blocks of one document share a namespace and run in order, README.md first, all in one temporary folder: docs/ may
read the files that README.md writes. (The pages of docs/extending stand alone, each with a namespace and a folder of
its own.) To be quick, README.md runs with smaller defaults of `FlowMCMC`, put in place here and only while it runs; its
text is executed as it stands.

A block below the line `<!-- needs: MODULE -->` is left out where MODULE is not installed.
"""

import importlib.util
import inspect
import json
import re
import runpy
import shlex
import warnings
from pathlib import Path

import jupytext
import matplotlib
import pytest
import typer
from typer.testing import CliRunner

import statphys_flows as sf
from statphys_flows.cli import app
from statphys_flows.results.schema import TABLE

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
EXTENDING = sorted((ROOT / "docs" / "extending").glob("*.md"))
TUTORIALS = sorted((ROOT / "tutorials").glob("*.py"))
SMALL = {
    "chains": 32,
    "draws": 40,
    "start": sf.Start(warm_up=200),
    "rounds": sf.Rounds(3, train_steps=100, buffer=2048),
}
BLOCK = re.compile(r"^(?:<!-- needs: (?P<needs>\w+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.M)


def name_cases(paths):
    return [pytest.param(path, id=str(path.relative_to(ROOT))) for path in paths]


def blocks(path: Path, *languages: str):
    """(first line, text) of the code blocks that can run here."""
    source = path.read_text()
    for match in BLOCK.finditer(source):
        missing = match["needs"] and importlib.util.find_spec(match["needs"]) is None
        if match["language"] in languages and not missing:
            yield source.count("\n", 0, match.start("text")), match["text"]


def execute(path: Path) -> dict:
    namespace: dict = {"__name__": "document"}
    for line, text in blocks(path, "python"):
        # The line numbers of a traceback are those of the document.
        exec(compile("\n" * line + text, str(path), "exec"), namespace)
    return namespace


def close_figures():
    import matplotlib.pyplot as plt

    plt.close("all")


def with_smaller_defaults(monkeypatch):
    init = inspect.unwrap(sf.FlowMCMC.__init__)  # what checks annotations wraps it
    names = [name for name in sf.FlowMCMC.__annotations__ if name in sf.FlowMCMC.__dataclass_fields__]
    assert len(names) == len(init.__defaults__)
    values = [SMALL.get(name, default) for name, default in zip(names, init.__defaults__, strict=True)]
    monkeypatch.setattr(init, "__defaults__", tuple(values))
    assert sf.FlowMCMC().chains == SMALL["chains"]


@pytest.fixture(scope="module")
def readme(tmp_path_factory):
    """The folder in which README.md has run, and the names it left."""
    folder = tmp_path_factory.mktemp("documents")
    matplotlib.use("Agg")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        with_smaller_defaults(patch)
        namespace = execute(README)
    close_figures()
    return folder, namespace


@pytest.mark.slow
def test_readme_runs(readme):
    folder, namespace = readme
    assert (folder / "double_well.nc").exists()
    assert namespace["result"]["thermodynamics"].sizes == {"kT": 9}
    configuration = json.loads(namespace["result"].attrs["configuration"])
    assert configuration["sampler"]["parameters"]["chains"] == SMALL["chains"]


@pytest.mark.slow
@pytest.mark.parametrize("path", name_cases(DOCS))
def test_docs_run(path, readme, monkeypatch):
    monkeypatch.chdir(readme[0])
    execute(path)
    close_figures()


@pytest.mark.slow
@pytest.mark.parametrize("path", name_cases(EXTENDING))
def test_pages_on_extending_run(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    execute(path)
    assert path.name == "README.md" or list(blocks(path, "python"))


def test_every_contract_has_its_page():
    """Each page is in the index, and each contract that is to be written by others is on a page or in the index."""
    index = (ROOT / "docs" / "extending" / "README.md").read_text()
    assert set(re.findall(r"\((\w+\.md)\)", index)) == {path.name for path in EXTENDING} - {"README.md"}
    contracts = (
        "Base Executor Flow LocalKernel Objective Potential Progress Proposal Reference Sampler Space System Velocity"
    )
    pages = " ".join(path.read_text() for path in EXTENDING)
    assert not [name for name in contracts.split() if not re.search(rf"`(sf\.)?{name}`", pages)]


@pytest.mark.slow
def test_the_page_of_the_result_is_complete(readme):
    """Every variable and attribute of a real result is on the page."""
    page = (ROOT / "docs" / "result.md").read_text()
    sections = dict(re.findall(r"^## (.*?)\n(.*?)(?=^## |\Z)", page, re.DOTALL | re.M))
    result = readme[1]["result"]
    for group, node in result.children.items():
        missing = [name for name in node.to_dataset().data_vars if f"| `{name}`" not in units_first(sections[group])]
        assert not missing, f"docs/result.md, {group}"
        for name in node.to_dataset().coords:
            assert f"`{name}`" in sections["Coordinates"]
    assert all(f"`{name}`" in sections["Root attributes"] for name in result.attrs)


def units_first(section: str) -> str:
    """The table with `a`, `b` in its first column split into rows of their own."""
    return re.sub(r"^\| (`\w+`), (`\w+`) \|", r"| \1 | \2 |\n| \2 |", section, flags=re.M)


@pytest.mark.slow
def test_the_page_of_the_result_names_nothing_else(readme):
    """Nothing is described that results do not have; what only fields have stands in the labels."""
    page = (ROOT / "docs" / "result.md").read_text()
    tables = page.split("## thermodynamics")[1].split("## Coordinates")[0]
    described = set(re.findall(r"^\| `(\w+)`", tables, re.M))
    found = {str(name) for node in readme[1]["result"].children.values() for name in node.to_dataset().variables}
    assert described <= found | {row.name for row in TABLE}


def commands():
    for path in [README, *DOCS, *EXTENDING]:
        for line, text in blocks(path, "sh", "console"):
            for offset, command in enumerate(text.splitlines()):
                words = shlex.split(command.removeprefix("$ "), comments=True)
                while words and re.fullmatch(r"[A-Z_0-9]+=.*", words[0]):
                    words = words[1:]
                if words:
                    yield pytest.param(words, id=f"{path.name}:{line + offset + 1}")


@pytest.mark.parametrize("words", list(commands()))
def test_commands_parse(words):
    program, *rest = words
    if program == "make":
        assert set(rest) <= make_targets()
    elif program == "statphys-flows":
        name, *arguments = rest
        command = typer.main.get_command(app).commands[name]
        assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0
        command.make_context(name, arguments)  # raises for an option or a number of arguments it does not know
    else:
        assert program == "pip"


@pytest.mark.parametrize("path", name_cases([README, *DOCS, *EXTENDING]))
def test_what_is_named_exists(path):
    text = path.read_text()
    code = " ".join(re.findall(r"`[^`\n]+`", text))
    assert set(re.findall(r"`make (\w+)", code)) <= make_targets()
    options = {o for command in typer.main.get_command(app).commands.values() for p in command.params for o in p.opts}
    assert set(re.findall(r"(?<![\w-])--[a-zA-Z][\w-]*", code)) <= options
    for link in re.findall(r"\]\(([^)#:]+)\)", text):
        assert (path.parent / link).exists(), link
    for name in re.findall(r"`((?:docs|systems|tutorials|statphys_flows)/[\w./]*)`", text):
        assert (ROOT / name).exists(), name
    for name in re.findall(r"\bsf\.(\w+)", text):
        assert name in sf.__all__, name


def make_targets() -> set[str]:
    return set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M))


@pytest.mark.slow
@pytest.mark.parametrize("path", name_cases(TUTORIALS))
def test_tutorials_run(path, tmp_path, monkeypatch):
    matplotlib.use("Agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FIGURES", "figures")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        runpy.run_path(str(path), run_name="__main__")
    assert list(Path("figures").glob("*.png"))


@pytest.mark.parametrize("path", name_cases(TUTORIALS))
def test_tutorials_are_notebooks(path):
    notebook = jupytext.read(path)
    kinds = [cell.cell_type for cell in notebook.cells]
    assert kinds.count("markdown") > 3
    assert kinds.count("code") > 3
    assert json.loads(jupytext.writes(notebook, fmt="ipynb"))["nbformat"] == 4
    names = set(re.findall(r"\bsf\.(\w+)", path.read_text()))
    assert names <= set(sf.__all__)
