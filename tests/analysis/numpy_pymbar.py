"""pymbar without JAX: with it, it switches 64 bits on for every test after it, and compiles for seconds."""

import os
import sys

os.environ["PYMBAR_DISABLE_JAX"] = "TRUE"
# Versions that do not know the variable take JAX where they find it.
_jax = sys.modules.get("jax")
sys.modules["jax"] = None  # type: ignore[assignment]
try:
    import pymbar
finally:
    if _jax is None:
        del sys.modules["jax"]
    else:
        sys.modules["jax"] = _jax

__all__ = ["pymbar"]
