"""The shell: `statphys-flows run | merge | watch | new | show`.

Nothing heavy is imported at the top, so that `--help` is fast: each command imports what it needs when it runs.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from statphys_flows.errors import StudyError, StudyStopped

if TYPE_CHECKING:
    import xarray

    from statphys_flows.study import Study

app = typer.Typer(
    help="Free energies and phase transitions from a declared Hamiltonian.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_Scan = Annotated[
    list[str] | None,
    typer.Option(
        "--scan",
        metavar="FIELD=VALUES",
        help="Values of a field of the system, as for --kT; repeat it for each field. Replaces FILE's scan.",
    ),
]
_Precision = Annotated[
    list[str] | None,
    typer.Option(
        "--precision",
        metavar="NAME=ERROR",
        help="Draw until errors are below: log_z=0.01, heat_capacity=1%; repeat it for each. Replaces FILE's.",
    ),
]
_MostDraws = Annotated[
    int | None,
    typer.Option(metavar="N", help="Most draws of each chain for that. [default: 100 times those of the sampler]"),
]

_Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="FIELD=VALUE", help="Replace a field of the system; may be repeated."),
]
_Processes = Annotated[
    int | None, typer.Option(metavar="N", help="Run points in so many processes. The numbers are the same.")
]
_Part = Annotated[
    str | None,
    typer.Option(
        "--part",
        metavar="K/N",
        help="Run points beside others, as the K-th of N tasks of a job array; then: statphys-flows merge FILE.nc.",
    ),
]


def main() -> None:
    """The entry point of `statphys-flows`."""
    app(prog_name="statphys-flows")


@app.command()
def run(
    file: Annotated[Path, typer.Argument(help="Python file that declares `study = sf.Study(...)`.", metavar="FILE")],
    kT: Annotated[
        str | None,
        typer.Option("--kT", metavar="KT", help="Temperatures: 0.05, or 0.5,1,2, or 0.5:2:16 (16 from 0.5 to 2)."),
    ] = None,
    scan: _Scan = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the random numbers.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE.nc", help="Result file. [default: name of FILE, .nc]")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier result.")] = False,
    precision: _Precision = None,
    most_draws: _MostDraws = None,
    processes: _Processes = None,
    part: _Part = None,
    stop_after: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="End after 3h50m, 90s, ..., to go on with --resume; exit status 75."),
    ] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no compiled programs for the next run.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar and no closing line.")] = False,
    settings: _Settings = None,
) -> None:
    """Run the study that FILE declares and write its result."""
    with _plain_errors():
        out = out or Path(file.stem + ".nc")
        if part is None:
            _check_out(out, resume=resume, overwrite=overwrite)
        if not no_cache:
            _keep_programs(quiet=quiet)
        from statphys_flows.study.shell.declaration import load_study, with_changes

        study = with_changes(
            load_study(file),
            kT=kT,
            seed=seed,
            settings=settings or [],
            scan=scan or [],
            precision=precision or [],
            most_draws=most_draws,
        )
        if part is not None:
            _run_part(study, out, part, quiet, stop_after, alone=resume or overwrite or processes is not None)
            return
        _run_whole(
            study, out, quiet, processes, resume=resume, overwrite=overwrite, progress=not quiet, stop_after=stop_after
        )


def _run_whole(study: Study, out: Path, quiet: bool, processes: int | None, **options) -> None:
    from statphys_flows.study import Processes
    from statphys_flows.study.execution.stopping import stopping_at_signals
    from statphys_flows.study.storage.store import is_finished

    finished = options["resume"] and is_finished(out)
    with stopping_at_signals():
        executor = None if processes is None else Processes(processes)
        result = study.run(out, executor=executor, **options)
    _print_warnings(result)
    if not quiet:
        done = f"{out} was finished: there was nothing to run." if finished else f"The result is in {out}."
        typer.echo(f"{done} To see it: statphys-flows show {_quote(out)}")


def _run_part(study: Study, out: Path, part: str, quiet: bool, stop_after: str | None, *, alone: bool) -> None:
    from statphys_flows.study import run_part
    from statphys_flows.study.execution.stopping import stopping_at_signals
    from statphys_flows.study.shell.settings import parse_part

    if alone:
        raise StudyError(
            "--part goes on from what others have done by itself: leave out --resume, --overwrite and --processes."
        )
    with stopping_at_signals():
        run_part(study, out, parse_part(part), progress=not quiet, stop_after=stop_after)
    if not quiet:
        typer.echo(f"Nothing is left to run. Once: statphys-flows merge {_quote(out)}")


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(help="Python file that declares `study = sf.Study(...)`.", metavar="FILE")],
    kT: Annotated[str | None, typer.Option("--kT", metavar="KT", help="Temperatures, as for run.")] = None,
    scan: _Scan = None,
    settings: _Settings = None,
    memory: Annotated[str | None, typer.Option(metavar="SIZE", help="Refuse what needs more, for example 4GB.")] = None,
) -> None:
    """Say what the study takes: points, evaluations, memory, disk and time, from a short run of its first point."""
    with _plain_errors():
        from statphys_flows.study.shell.declaration import load_study, with_changes

        typer.echo(str(with_changes(load_study(file), kT=kT, scan=scan or [], settings=settings or []).plan(memory)))


@app.command()
def merge(
    out: Annotated[Path, typer.Argument(help="Result that tasks of `run --part` work on.", metavar="FILE.nc")],
) -> None:
    """Write the result whose points were run by `run --part`; says which are missing."""
    with _plain_errors():
        from statphys_flows.study import merge as merge_parts

        _print_warnings(merge_parts(out))
        typer.echo(f"The result is in {out}. To see it: statphys-flows show {_quote(out)}")


@app.command()
def watch(
    out: Annotated[Path, typer.Argument(help="Result that a run is writing, here or elsewhere.", metavar="FILE.nc")],
    every: Annotated[float, typer.Option(metavar="SECONDS", help="Time between two looks.")] = 5.0,
) -> None:
    """Say how far a run is, again and again, until it is finished."""
    with _plain_errors():
        from statphys_flows.report.unfinished import follow

        follow(out, every, typer.echo)
        typer.echo(f"{out} is finished. To see it: statphys-flows show {_quote(out)}")


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="Python file to write, e.g. my_system.py.", metavar="FILE")],
) -> None:
    """Write a commented, working system to start from."""
    with _plain_errors():
        from statphys_flows.templates import write_template

        write_template(file)
        typer.echo(f"{file} declares a double well: put your own energy there.")
        typer.echo(f"To run it: statphys-flows run {_quote(file)}")


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="Result of `run`.", metavar="FILE.nc")],
    out_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the figures. [default: FILE_figures beside FILE.nc]")
    ] = None,
    no_figures: Annotated[bool, typer.Option("--no-figures", help="Write no figures.")] = False,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="PAGE.html", help="Write a page for a browser, with everything in it."),
    ] = None,
) -> None:
    """Print a summary of a result, draw its figures, and write a page with both if asked to; of an unfinished run, how
    far it is."""
    with _plain_errors():
        if not file.exists():
            from statphys_flows.report.unfinished import describe, is_unfinished

            if is_unfinished(file):
                typer.echo(describe(file))
                return
        from statphys_flows.report.load import load
        from statphys_flows.report.summary import summary

        tree = load(file)
        typer.echo(summary(tree))
        if html is not None:
            from statphys_flows.report.page import write_page

            typer.echo(f"\nPage in {write_page(tree, html)}")
        if no_figures:
            return
        from statphys_flows.report.figures import write_figures

        folder = out_dir or file.with_name(file.stem + "_figures")
        written = write_figures(tree, folder)
        folders = dict.fromkeys(path.parent for path in written) or {folder: None}
        typer.echo()
        for each in folders:
            names = ", ".join(path.name for path in written if path.parent == each)
            typer.echo(f"Figures in {each}/: {names}" if names else f"Figures in {each}: none")


@contextmanager
def _plain_errors() -> Iterator[None]:
    try:
        yield
    except StudyError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(2) from None
    except KeyboardInterrupt as interruption:  # a StudyInterrupted says more than the plain one
        typer.echo(f"\n{str(interruption) or 'interrupted'}", err=True)
        raise typer.Exit(75 if isinstance(interruption, StudyStopped) else 130) from None


def _keep_programs(*, quiet: bool) -> None:
    from statphys_flows.compiled import keep_programs

    folder = keep_programs()
    if folder is not None and not quiet:
        typer.echo(f"Compiled programs are kept in {folder} (--no-cache: keep none).", err=True)


def _check_out(out: Path, *, resume: bool, overwrite: bool) -> None:
    if resume and overwrite:
        raise StudyError("--resume continues an earlier run and --overwrite deletes it: give one of them.")
    if out.exists() and not (resume or overwrite):
        raise StudyError(
            f"{out} exists already: add --resume to continue it, --overwrite to replace it, or another --out."
        )


def _print_warnings(result: xarray.DataTree | None) -> None:
    from statphys_flows.report.tables import warnings

    for line in warnings(result):
        typer.echo(f"warning: {line}", err=True)


def _quote(path: Path) -> str:
    return shlex.quote(str(path))


if __name__ == "__main__":
    sys.exit(main())
