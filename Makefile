# make demo | test | test-slow | test-all | lint | lock | audit | sbom | bench | bench-compare BASE=revision | clean
# (another Python: make demo PYTHON=python3.12)
PYTHON ?= python3
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check
TOOLS := .venv/tools/bin

.PHONY: demo test test-slow test-all lint lock audit sbom bench bench-compare clean

demo: .venv/installed
	$(BIN)/bowen demo --out runs/demo

test: .venv/installed
	$(BIN)/python -m pytest -m "not slow" $(ARGS)

test-slow: .venv/installed
	$(BIN)/python -m pytest -m slow $(ARGS)

test-all: .venv/installed
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright --warnings --pythonpath $(BIN)/python
	$(BIN)/lint-imports
	$(BIN)/codespell

# Versions and hashes of all that is installed, from pyproject.toml; those in the file stay (newer: UPGRADE=--upgrade).
lock: .venv/tools
	$(TOOLS)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --quiet \
		--no-header --no-annotate --no-emit-index-url --no-emit-find-links $(UPGRADE) -o requirements/constraints.txt

# Known vulnerabilities of the versions installed.
audit: .venv/tools
	$(TOOLS)/pip-audit --disable-pip --require-hashes -r requirements/constraints.txt

# Bill of materials: all that `make` installs, in the format of CycloneDX.
sbom: .venv/tools
	@mkdir -p dist
	$(TOOLS)/cyclonedx-py requirements requirements/constraints.txt --pyproject pyproject.toml -o dist/bowen.cdx.json

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
	@echo "Installing bowen and its development tools into .venv (a minute or two, once) ..."
	@$(INSTALL) --require-hashes -r requirements/constraints.txt
	@$(INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

.venv/tools: .venv/python
	@$(BIN)/python -m venv $@
	@$@/bin/python -m pip install -qq --disable-pip-version-check uv pip-audit cyclonedx-bom
	@touch $@
