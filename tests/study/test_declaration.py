"""Whose a file in a traceback is."""

from pathlib import Path

import pytest

import statphys_flows
from statphys_flows.study.shell.declaration import _is_users

LIBRARY = Path(statphys_flows.__path__[0]).resolve()
HOME = LIBRARY.parent  # where somebody who works on the library declares systems beside it


@pytest.mark.parametrize(
    ("file", "users"),
    [
        (HOME / "spring.py", True),
        (HOME / "helpers" / "potentials.py", True),
        (HOME.parent / "other.py", False),
        (HOME / "lib" / "site-packages" / "numpy" / "linalg.py", False),
        (LIBRARY / "__init__.py", False),
        (LIBRARY / "systems" / "system.py", False),
        (LIBRARY / "study" / "study.py", False),
    ],
)
def test_a_file_is_the_users_beside_the_declaration_and_outside_packages(file, users):
    assert _is_users(file, HOME) == users
