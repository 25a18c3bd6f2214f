# The one vocabulary of people, hooks and CI. `make help` lists it. Nothing has to be installed or started first
# but Python 3.11, pip and make.
SHELL := /bin/bash
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
SOURCE ?= auto
ROWS ?= 5000000
LOCK := requirements.lock
READY := $(VENV)/.ready
# half a gigabyte that only FVI_ENGINE=spark, its tests and its benchmark need
SPARK_LOCK := requirements-spark.lock
SPARK_READY := $(VENV)/.spark

.PHONY: help spark demo dev serve test test-slow lint format bench generate lock clean-state setup

help: ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

setup: $(READY) ## make .venv with the pinned lock (done by every target that needs it)

$(READY): $(LOCK) pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Python 3.11 is needed: make PYTHON=/path/to/python3.11 …"; exit 1; }
	@echo "Installing the pinned packages into $(VENV) (about two minutes, once) …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r $(LOCK)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --editable .
	@touch $(READY)

spark: $(SPARK_READY) ## PySpark beside the rest, for FVI_ENGINE=spark (done by test and bench)

$(SPARK_READY): $(SPARK_LOCK) $(READY)
	@echo "Installing PySpark into $(VENV) (about a minute, once) …"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -r $(SPARK_LOCK)
	@touch $(SPARK_READY)

demo: setup ## from publishers' files to served scores: SOURCE=auto|sample|DIR
	@$(BIN)/fvi run --source "$(SOURCE)"

dev: setup ## the Dagster UI on http://127.0.0.1:3001
	@$(BIN)/fvi dev

serve: setup ## the HTTP endpoint on http://127.0.0.1:3000
	@$(BIN)/fvi serve

test: setup spark ## unit and integration tests against real embedded servers
	@$(BIN)/python -m pytest -m "not slow" -n 2 --dist loadgroup --no-loadscope-reorder $(ARGS)

test-slow: setup spark ## the long and chaotic tests too
	@$(BIN)/python -m pytest -m slow $(ARGS)

lint: setup ## ruff, formatting, strict types, SQL, generated files, compose.yaml against its specification
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python -m fvi_pipeline.feeds.generate --check
	@$(BIN)/python -m fvi_pipeline.monitoring --check
	@$(BIN)/python -m fvi_pipeline.weights --check
	@$(BIN)/sqlfluff lint --disable-progress-bar dbt_project
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

format: setup ## rewrite the code in the house format
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup spark ## the run, the ingest, a night, the features, the trials, the weights, the answers and the searches, each beside its rival: SOURCE=DIR ROWS=N
	@$(BIN)/python benchmarks/pipeline_overhead.py --source "$(SOURCE)"
	@$(BIN)/python benchmarks/ingest_speed.py --source "$(SOURCE)" --rows $(ROWS)
	@$(BIN)/python benchmarks/night_cost.py --source "$(SOURCE)"
	@$(BIN)/python benchmarks/feature_speed.py --source "$(SOURCE)"
	@$(BIN)/python benchmarks/tuning_speed.py --source "$(SOURCE)"
	@$(BIN)/python benchmarks/gain_speed.py --source "$(SOURCE)"
	@$(BIN)/python benchmarks/serving_latency.py --source "$(SOURCE)"
	@$(BIN)/python benchmarks/retrieval_speed.py --source "$(SOURCE)"

generate: setup ## write what follows from descriptions: of feeds, landing tables, bronze models, docs/feeds.md; of features and metrics, docs/feature_catalogue.md and docs/index.md
	@$(BIN)/python -m fvi_pipeline.feeds.generate
	@$(BIN)/python -m fvi_pipeline.monitoring
	@$(BIN)/python -m fvi_pipeline.weights

lock: ## write requirements.lock anew from pyproject.toml in a virtual environment of its own
	@rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip install -qq --disable-pip-version-check ".[pipeline,serve,evidence,embedded,dev,bayes]"
	@.venv-lock/bin/python -m pip freeze --exclude fvi | sed 's/+cpu$$//' | grep -vE '^(nvidia-(cu|nccl|nv)|cuda|triton)' > $(LOCK)
	@rm -rf .venv-lock

clean-state: ## stop the servers and delete FVI_HOME (default .fvi/)
	@if [ -x $(BIN)/fvi ]; then $(BIN)/fvi down --force; fi
	@rm -rf "$${FVI_HOME:-.fvi}"
