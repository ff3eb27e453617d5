"""Where compiled programs are kept."""

import os
import subprocess
import sys

from statphys_flows.compiled import _prune, keep_programs


def test_the_oldest_programs_go_first(tmp_path):
    for age in range(5):
        path = tmp_path / f"kind_{age % 2}" / f"{age}-cache"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(bytes(100))
        os.utime(path, (1000 - age, 1000 - age))
    _prune(tmp_path, 350)
    assert sorted(path.name for path in tmp_path.rglob("*-cache")) == ["0-cache", "1-cache", "2-cache"]
    _prune(tmp_path / "nothing", 350)


def test_a_folder_of_the_user_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path))
    assert keep_programs() is None
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == str(tmp_path)


def test_programs_are_kept_in_the_cache_folder_of_the_user(tmp_path):
    """In a process of its own: JAX reads its settings when it is imported."""
    code = """
import sys
from statphys_flows.compiled import keep_programs
folder = keep_programs()
assert "jax" not in sys.modules
import jax
assert jax.config.jax_compilation_cache_dir == str(folder)
jax.jit(lambda x: 2 * x + 1)(1.0)
assert list(folder.glob("*-cache"))
print(folder)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("JAX", "XLA"))}
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(str(tmp_path))
