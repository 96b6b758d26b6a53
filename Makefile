# make demo | test | test-slow | test-all | lint | bench | bench-compare BASE=revision | clean
# (another Python: make demo PYTHON=python3.12)
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check -c requirements/constraints.txt

.PHONY: demo test test-slow test-all lint bench bench-compare clean

demo: .venv/installed
	$(BIN)/bowen demo --out runs/demo

test: .venv/installed-dev
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-slow: .venv/installed-dev
	$(BIN)/python -m pytest -m slow $(ARGS)

test-all: .venv/installed-dev
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --warnings --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/codespell

bench: .venv/installed
	$(BIN)/python benchmarks/speed.py

bench-compare: $(if $(BASE),.venv/installed)
	@$(if $(BASE),,echo "name the revision to compare with, as in  make bench-compare BASE=HEAD~1" >&2; exit 2)
	$(BIN)/python benchmarks/compare.py $(BASE)

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "bowen needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>&1)." >&2; \
		echo "  fix: name a newer one, as in  make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { \
		echo "  fix: install the venv module of $(PYTHON) (on Debian: apt install python3-venv)" >&2; exit 1; }
	@touch $@

.venv/installed: .venv/python pyproject.toml requirements/constraints.txt
	@echo "Installing bowen into .venv (a minute or two, once) ..."
	@$(INSTALL) -e .
	@touch $@

.venv/installed-dev: .venv/python pyproject.toml requirements/constraints.txt
	@echo "Installing bowen and its development tools into .venv (a minute or two, once) ..."
	@$(INSTALL) -e '.[dev]'
	@touch .venv/installed $@
