# Everything runs in .venv, which is made on first use and again when the pins change.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench clean

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

help:  ## what each target does
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-7s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(INSTALLED): pyproject.toml constraints.txt deploy/bootstrap.sh
	@deploy/bootstrap.sh $(VENV)
	@touch $@

demo: $(INSTALLED)  ## the whole loop through a PACS; SERIES=FOLDER for your own, KEEP=1 leaves it running
	@deploy/system-packages.sh demo || true
	@SERIES='$(SERIES)' KEEP='$(KEEP)' $(BIN)/python -m deploy.demo

test: $(INSTALLED)  ## all tests, with the real peers that can be installed
	@deploy/system-packages.sh test || true
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m pytest -n auto --dist loadfile $(PYTEST)

check: $(INSTALLED)  ## style, types, spelling and import arrows
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/codespell
	@$(BIN)/lint-imports

bench: $(INSTALLED)  ## how fast it is, beside its peers; writes docs/benchmarks.md (about seven minutes)
	@deploy/system-packages.sh test || true
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m benchmarks

clean:  ## remove what the targets above made
	rm -rf $(VENV) demo-output build tests/acceptance/node_modules *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find dicom_node plugin deploy tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
