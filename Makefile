# Everything runs in .venv, which `make` creates with the Python it finds (or PYTHON=...).
PYTHON ?= python3
BIN := .venv/bin
DATABASE ?= demo/prefect.duckdb
PAGE ?= report.html
# How many tests run at a time, each beside a Prefect server of its own.
WORKERS ?= 2

# The tests start hundreds of processes: each would compile the modules anew where Python may not keep what it compiles.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help install demo report test lint unit integration slow browser torture bench bench-models test-pythons test-versions test-cdks builder airbyte-variant test-airbyte image constraints clean

help: ## Lists the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

.venv/.demo: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] <= (3, 13) else "Python 3.11 to 3.13 is needed, and $(PYTHON) is %d.%d. Name another one: make PYTHON=python3.12" % sys.version_info[:2])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --editable . --group demo
	touch $@

.venv/.synced: .venv/.demo
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --editable . --group dev
	touch $@

.venv/dbt/.synced: .venv/.synced dbt/constraints.txt
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv/dbt
	$(BIN)/uv pip install --quiet --python .venv/dbt/bin/python --constraints dbt/constraints.txt --group dbt
	touch $@

install: .venv/.synced .venv/dbt/.synced ## Creates the environments

demo: .venv/.demo ## Prefect into DuckDB, and what it tells; with CLOUD=1 through a stand-in for Prefect Cloud
	@$(BIN)/python -m examples.demo $(if $(CLOUD),--cloud)

report: install ## Builds the models of dbt/ into DATABASE, the DuckDB file of a sync, and writes PAGE from them (CATALOG=address of a job)
	$(BIN)/python -m examples.pipeline_health.report $(DATABASE) $(PAGE) $(if $(CATALOG),--catalog '$(CATALOG)')

test: install ## Runs everything that CI runs
	@$(MAKE) --no-print-directory -j 3 lint unit integration

lint: install ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: install ## Tests without a server
	$(BIN)/python -m pytest unit_tests

integration: install browser ## Tests against real Prefect servers
	$(BIN)/python -m pytest integration_tests -n $(WORKERS) --dist loadfile --no-loadscope-reorder

browser: install ## Installs Chromium, which looks at the report in a test, where there is none
	$(BIN)/python -m devtools.browser

test-pythons: install ## Unit tests, spec and check on every supported Python that is there
	$(BIN)/python -m devtools.pythons

slow: install ## The long forms of other tests
	$(BIN)/python -m pytest integration_tests -m slow

torture: install ## Tries the promises for long: TORTURE=10 times the work of CI, with new seeds
	TORTURE=$(or $(TORTURE),10) $(BIN)/python -m pytest integration_tests/torture

bench: install ## Measures the connector beside its peers, in a minute; with FULL=1 up to 1,000,000 runs, in more than an hour
	$(BIN)/python -m benchmarks $(if $(FULL),--full)

bench-models: install ## Measures the models of dbt/ on RUNS=1000000 runs, in DuckDB and PostgreSQL
	$(BIN)/python -m benchmarks.models $(RUNS)

test-versions: install ## Tests against other versions of Prefect, each in an environment of its own (VERSIONS="3.0.11 3.9.1")
	$(BIN)/python -m devtools.versions $(VERSIONS)

test-cdks: install ## Unit tests and a sync on other versions of Airbyte's CDK (CDKS="7.36.0 7.39.1")
	$(BIN)/python -m devtools.cdks $(CDKS)

builder: install ## Writes builder/manifest.yaml, the edition in pure YAML, from builder/edition.yaml and manifest.yaml
	$(BIN)/python -m devtools.builder

airbyte-variant: install ## Writes to build/ the edition in pure YAML in the layout of Airbyte's monorepo
	$(BIN)/python -m devtools.airbyte_variant

test-airbyte: install ## Runs Airbyte's own checks on that tree, in an environment of their own
	$(BIN)/python -m pytest -m airbyte_checks integration_tests/test_airbyte_checks.py

image: install ## Builds docker/Dockerfile with buildah, and tries the image on a real server (BASE=another base image)
	$(BIN)/python -m devtools.image $(BASE)

constraints: install ## Compiles constraints.txt anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --group dev --no-emit-index-url --no-annotate --no-header \
		--output-file constraints.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --group dbt --no-emit-index-url --no-annotate --no-header \
		--output-file dbt/constraints.txt

clean: ## Removes what the targets made
	rm -rf .venv .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build demo report.html benchmark.md
