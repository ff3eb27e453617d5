"""Files of an unfinished run that cannot be trusted."""

import os
import warnings
from pathlib import Path


def set_aside(path: Path, reason: str) -> None:
    """Give a file another name, under which nobody looks for it, and warn: what was in it is computed again. One that
    is not there is named all the same."""
    aside = path.with_name(f"{path.name}.set_aside")
    if path.exists():
        os.replace(path, aside)
    warnings.warn(f"{path} {reason}: it is set aside as {aside.name}, and computed again.", stacklevel=4)
