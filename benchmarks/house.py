"""How the house stands: circles, switches on types, sizes, compilations, seconds of an import.

python -m benchmarks.house circles      groups of files that import each other in circles
python -m benchmarks.house switches     where the type of a space or a flow is asked for, outside its own folder
python -m benchmarks.house sizes        lines of files and functions, files of folders
python -m benchmarks.house compile      compilations of a study, and of further ones with other draws and rounds
python -m benchmarks.house import       milliseconds of `import statphys_flows` and of `--help`, medians of nine
"""

import argparse
import ast
import dataclasses
import statistics
import subprocess
import sys
import time
from collections import Counter

from tests import test_package as house


def circles() -> None:
    found = house.circles_in(house.import_graph())
    print(f"{len(found)} circles between {len(house.FILES)} files {found or ''}")


def switches() -> None:
    home = {"spaces", "flows", "treatments"}
    kinds = house.classes_in("spaces", "flows") - {"Space"}
    found = [s for path in house.FILES if house.part_of(path) not in home for s in house.switches(path, kinds)]
    print(f"{len(found)} switches on the type of a space or a flow outside {', '.join(sorted(home))} {found or ''}")


def sizes() -> None:
    lines = {str(p.relative_to(house.PACKAGE)): house.lines_of(p) for p in house.FILES}
    longest = sorted(lines, key=lines.__getitem__)[-5:][::-1]
    print(f"{len(lines)} files, median {statistics.median(lines.values())} lines; the longest:")
    for name in longest:
        print(f"  {lines[name]:4d} {name}")
    functions = {
        f"{path.relative_to(house.PACKAGE)} {node.name}": node.end_lineno - node.lineno + 1
        for path in house.FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.end_lineno is not None
    }
    worst = max(functions, key=functions.__getitem__)
    print(f"{len(functions)} functions, median {statistics.median(functions.values())} lines, the longest {worst}")
    folders = Counter(str(p.parent.relative_to(house.PACKAGE)) for p in house.FILES if p.name != "__init__.py")
    print("the largest folders:", ", ".join(f"{name} {n}" for name, n in folders.most_common(3)))


def compilations() -> None:
    import jax
    import jax.numpy as jnp

    import statphys_flows as sf

    names: list[str] = []

    def listen(event: str, duration_secs: float, **kwargs) -> None:
        if event == "/jax/core/compile/backend_compile_duration":
            names.append(str(kwargs.get("fun_name", "")))

    jax.monitoring.register_event_duration_secs_listener(listen)
    system = sf.Hamiltonian(lambda x: 0.5 * jnp.sum(x**2) + 0.1 * x[0] ** 4, space=sf.Euclidean(2), states=[[0.0, 0.0]])
    rounds = sf.Rounds(most=2, train_steps=10, buffer=128, good_enough=0.0, target_ess=1.0)
    first = sf.FlowMCMC(chains=16, draws=100, start=sf.Start(warm_up=50), rounds=rounds)
    more = dataclasses.replace(rounds, most=3, target_ess=0.9999)
    cases = {
        "the first study": first,
        "the same": first,
        "draws=95": dataclasses.replace(first, draws=95),
        "draws=300": dataclasses.replace(first, draws=300),
        "rounds=3, target_ess=0.9999": dataclasses.replace(first, rounds=more),
        "train_steps=11, for comparison": dataclasses.replace(
            first, rounds=dataclasses.replace(rounds, train_steps=11)
        ),
    }
    for label, sampler in cases.items():
        names.clear()
        sf.run_study(system, kT=1.0, sampler=sampler, progress=False)
        large = Counter(name for name in names if name.startswith(("jit(_train", "jit(_go_on", "jit(run_piece")))
        print(f"{label}: {len(names)} programs compiled, of these rounds and draws {dict(large) or 0}")


def imports() -> None:
    for label, command in {
        "import statphys_flows": [sys.executable, "-c", "import statphys_flows"],
        "statphys-flows --help": [sys.executable, "-m", "statphys_flows.cli", "--help"],
        "python alone": [sys.executable, "-c", "pass"],
    }.items():
        times = []
        for _ in range(9):
            began = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times.append(1000 * (time.perf_counter() - began))
        print(f"{label}: {statistics.median(times):.0f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = {"circles": circles, "switches": switches, "sizes": sizes, "compile": compilations, "import": imports}
    parser.add_argument("what", choices=commands)
    commands[parser.parse_args().what]()
