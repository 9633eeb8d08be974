# Needs Python >= 3.11 and make, nothing else. Everything is installed into .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check install --quiet --constraint constraints.txt
export CROWDTRUTH_DATA ?= $(abspath ../shared/data)

.PHONY: demo nucls-demo test test-uncompiled figures lint types docs verify bench clean

demo: $(VENV)/.core
	$(BIN)/crowdtruth demo --out out/demo

nucls-demo: $(VENV)/.dev
	$(BIN)/nucls demo --out out/nucls-demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -q -n 2 --dist worksteal
	$(MAKE) --no-print-directory test-uncompiled

# The kernels once more as plain Python: what the compiler hides (an index out of bounds, an unbound name) fails here.
test-uncompiled: $(VENV)/.dev
	NUMBA_DISABLE_JIT=1 $(BIN)/python -m pytest -q -m kernel tests

# Every figure and table of the paper on a small synthetic study; `python -m analysis all` does it in full.
figures: $(VENV)/.core
	$(BIN)/python -m analysis all --quick --out out/analysis

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

docs: $(VENV)/.dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

verify: $(VENV)/.dev
	$(BIN)/python -m pytest -q tests/verification

bench: $(VENV)/.bench
	$(BIN)/python -m benchmarks

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"Python 3.11 or newer is needed, {sys.executable} is {sys.version.split()[0]}: make PYTHON=...")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	$(PIP) --editable '.[dev,bench]'
	@touch $@

clean:
	rm -rf $(VENV) out site .pytest_cache .mypy_cache .ruff_cache .hypothesis
