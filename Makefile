# Two commands: `make demo` and `make test`. Everything they need lands in .venv.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo test test-all lint bench clean FORCE

help: ## what can be done here
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/^([a-z-]+):[^#]*## (.*)/  make \1\t\2/' | expand -t 18

demo: $(STAMP) ## serve the tasks application on http://127.0.0.1:8000, with 100,000 tasks
	@$(BIN)/python examples/tasks/backend/demo.py

test: $(STAMP) ## run the tests, in under ten minutes; ARGS="-k pool -x" goes to pytest
	@$(BIN)/python -m pytest $(ARGS)

test-all: $(STAMP) ## run the tests and the slow ones
	@$(BIN)/python -m pytest --all $(ARGS)

lint: $(STAMP) ## check style, types and the direction of imports
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-bench ## measure the drivers, in a quarter of an hour; ARGS=tasks measures the application
	@$(BIN)/python -m bench $(ARGS)

clean: ## remove what these commands made, the demo's data included
	@$(BIN)/onetrip local stop >/dev/null 2>&1 || true
	rm -rf $(VENV) .venv.lock .onetrip .onetrip-bench bench/results/quick dist build .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Naming a Python, on the command line or in the environment, asks again whether .venv is made of it.
$(STAMP): pyproject.toml $(if $(filter-out file,$(origin PYTHON)),FORCE)
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "onetrip needs Python 3.11 or later and $(PYTHON) is none: name another, make PYTHON=python3.12 …"; exit 1; }
	@"$(PYTHON)" tools/install.py $(VENV)

$(VENV)/.installed-bench: $(STAMP)
	@$(BIN)/python -m pip --disable-pip-version-check --quiet install --group bench
	@touch $@

FORCE:
