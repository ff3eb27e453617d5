"""Files that `statphys-flows new` writes."""

from pathlib import Path

from statphys_flows.errors import StudyError

_TEMPLATE = Path(__file__).with_name("my_system.py.txt")


def write_template(path: Path) -> None:
    """Writes the template to `path`, which must not exist yet."""
    if path.suffix != ".py":
        raise StudyError(f"A system is a Python file: write {path.with_suffix('.py')} instead of {path}.")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_TEMPLATE.read_text(encoding="utf-8").replace("my_system.py", path.name))
    except FileExistsError:
        raise StudyError(f"{path} exists already, and was not changed: give another name.") from None
    except OSError as error:
        raise StudyError(f"Cannot write {path}: {error.strerror}.") from None
