# `make` lists the targets. Everything they need is installed on first use, and only then.
.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c

PYTHON ?= python3
UV_VERSION := 0.13.8
BIN := .venv/bin
STAMP := .venv/.stamp

# No tool of this project calls home (pipeline/env.py has the same list, for the rest).
export DO_NOT_TRACK := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export MLFLOW_DISABLE_TELEMETRY := true
export DVC_NO_ANALYTICS := 1
export GX_ANALYTICS_ENABLED := false
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Containers often set this. Then each of the hundred processes of a run compiles torch, Lightning
# and MLflow anew, which takes longer than what it is there for.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup repro test test-fast lint pytest bench ui crohme study summary docs lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## create .venv with what requirements.lock says

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11"; exit 1; }
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	$(BIN)/uv pip sync --python $(BIN)/python requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python -m pipeline.env
	@touch $@

repro: $(STAMP) ## run the pipeline: every stage whose inputs have changed
	@$(BIN)/python -m pipeline run --no-prefect

test-fast: $(STAMP) ## lint, types and the tests that take no time: before every commit
	@$(MAKE) --no-print-directory --jobs=2 lint pytest TESTS='-m "not medium and not slow"'

test: $(STAMP) ## all that CI runs: ruff, mypy, pytest; HMER_SLOW=1 adds servers and whole pipelines
	@$(MAKE) --no-print-directory --jobs=2 lint pytest TESTS='--durations=20 --durations-min=5'

# At the same time: mypy keeps one core busy, and starting the tests is mostly imports.
lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# By file, because the tests of a file share what is made once; in the order of tests/conftest.py.
pytest:
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(TESTS)

bench: $(STAMP) ## measure ratios on this machine
	$(BIN)/python -m benchmarks

ui: $(STAMP) ## MLflow at http://127.0.0.1:5000
	@$(BIN)/python -m pipeline relocate
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow ui --host 127.0.0.1 --port 5000 \
	  --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///$(CURDIR)/mlflow.db}"

CONFIG ?= crohme-smoke
crohme: $(STAMP) ## the pipeline on CROHME: make crohme DATA=folder [CONFIG=crohme-cpu]
	@[ -n "$(DATA)" ] || { echo "say where the packages are: make crohme DATA=folder"; exit 2; }
	@data=$$(cd "$(DATA)" && pwd); \
	dev="$$data/test2013.tar.xz"; more=(); \
	[ ! -f "$$dev" ] || more=(--set ingest.crohme.development.2013="$$dev"); \
	$(BIN)/python -m pipeline run --no-prefect --config $(CONFIG) --set raw="$$data" \
	  --set ingest.crohme.train="$$data/train.tar.xz" \
	  --set ingest.crohme.tests.2014="$$data/test2014.tar.xz" \
	  $${more[@]+"$${more[@]}"}

study: $(STAMP) ## an ablation as DVC experiments: make study NAME=mask-match
	@$(BIN)/python -m pipeline study $(NAME)

summary: $(STAMP) ## what came out of the last run
	@$(BIN)/python -m pipeline summary

docs: ## the pages as a site, in build/site, after make setup; nothing in it is loaded from the web
	rm -rf build/docs build/site
	mkdir -p build/docs
	git ls-files '*.md' '*.png' '*.svg' 'LICENSE*' configs | tar -c -T - | tar -x -C build/docs
	$(BIN)/python -m mkdocs build --quiet --strict

lock: $(STAMP) ## compute requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --no-header --no-annotate --no-emit-index-url -o requirements.lock

clean: ## remove caches and half-done work (not data, models, reports or runs)
	rm -rf .resume .pytest_cache .mypy_cache .ruff_cache .hypothesis build *.egg-info
	find hmer pipeline tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
