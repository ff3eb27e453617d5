# Needs python3 >= 3.11, git and make. Another interpreter: make study PYTHON=python3.13
PYTHON ?= python3
BIN := .venv/bin
VERSION := $(shell "$(PYTHON)" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || echo missing)
# One stamp per Python version, so that another PYTHON= sets up anew.
STAMP := .venv/set-up-$(VERSION)
# The oldest Python supported, and one that has the newest JAX: what the lock is made from.
LOCK_PYTHONS ?= python3.11 python3.13

.DEFAULT_GOAL := help
.PHONY: help setup study test lint lock clean

help:
	@echo "make setup   make .venv and install the library with its locked dependencies (done by the others when needed)"
	@echo "make study   run the phi^4 field of systems/continuum_phi4.py and show the result (about 4 minutes)"
	@echo "make test    run all tests, the slow ones included (about 20 minutes)"
	@echo "make lint    ruff and pyright"
	@echo "make lock    write constraints.txt anew (needs: $(LOCK_PYTHONS))"
	@echo "make clean   remove .venv, results and caches"
	@echo "Another interpreter than python3: add PYTHON=python3.13"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, and $(PYTHON) is $(VERSION): name one, for example make PYTHON=python3.12" >&2; exit 1; }
	@echo "Setting up .venv with Python $(VERSION): a minute or two, once."
	@rm -f .venv/set-up-*
	@test "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$(VERSION)" \
	  && $(BIN)/python -m pip --version >/dev/null 2>&1 || "$(PYTHON)" -m venv --clear .venv || { \
	  echo "$(PYTHON) could not make a virtual environment: install its venv module" \
	       "(Debian, Ubuntu: apt install python$(VERSION)-venv) and type make again." >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]' || { \
	  echo "The installation failed, for the reason above: is the network there? Type make again to go on." >&2; exit 1; }
	@touch $(STAMP)

study: $(STAMP)
	@mkdir -p results
	$(BIN)/statphys-flows run systems/continuum_phi4.py --out results/continuum_phi4.nc --overwrite
	$(BIN)/statphys-flows show results/continuum_phi4.nc

test: $(STAMP)
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

lock:
	$(PYTHON) tools/lock.py $(LOCK_PYTHONS)

clean:
	rm -rf .venv results .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
