# Everything runs in .venv, which `make` creates with the Python it finds (or PYTHON=...).
PYTHON ?= python3
BIN := .venv/bin
DATABASE ?= demo/prefect.duckdb
PAGE ?= report.html
# How many tests run at a time, each beside a Prefect server of its own.
WORKERS ?= 2

# The tests start hundreds of processes: each would compile the modules again where Python may not keep what it compiles.
export PYTHONDONTWRITEBYTECODE =

# What `make everything` runs; the report is made of the demo's tables.
EVERYTHING := install lint unit mutants integration slow torture bench bench-models test-pythons test-versions test-cdks \
	builder airbyte-variant test-airbyte image demo report

.DEFAULT_GOAL := help
.PHONY: help browser test everything constraints clean $(EVERYTHING)

help:
	@awk -F ':.*## ' '/^##@/ {print "\n" substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-15s  %s\n", $$1, $$2}' Makefile

.venv/.demo: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
		said=$$($(PYTHON) --version 2>&1 | tail -n 1); \
		echo "Python 3.11 to 3.13 is needed, but $(PYTHON) says: $$said. Name another one: make PYTHON=python3.12" >&2; \
		exit 1; \
	}
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --editable '.[openlineage]' --group demo
	touch $@

.venv/.synced: .venv/.demo
	$(BIN)/uv pip install --quiet --python $(BIN)/python --constraints constraints.txt --editable '.[openlineage,health]' --group dev
	touch $@

.venv/dbt/.synced: .venv/.synced dbt/constraints.txt
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python .venv/dbt
	$(BIN)/uv pip install --quiet --python .venv/dbt/bin/python --constraints dbt/constraints.txt --group dbt
	touch $@

demo: .venv/.demo ## Prefect into DuckDB, on this machine alone (CLOUD=1: cloud)
	@$(BIN)/python -m examples.demo $(if $(CLOUD),--cloud)

report: install ## What the tables tell, as a page (DATABASE, PAGE, CATALOG)
	$(BIN)/prefect-health $(DATABASE) $(PAGE) $(if $(CATALOG),--catalog '$(CATALOG)')

install: .venv/.synced .venv/dbt/.synced ## The environments of development

lint: install ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: install ## Tests without a server
	$(BIN)/python -m pytest unit_tests

test: install ## Everything that CI runs: lint, unit and integration
	@$(MAKE) --no-print-directory -j 3 lint unit integration

##@ The others, explained in CONTRIBUTING.md:

integration: install browser ## Tests against real Prefect servers (WORKERS=4 at a time)
	$(BIN)/python -m pytest integration_tests -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Installs Chromium, which looks at the report in a test, where there is none.
browser: install
	$(BIN)/python -m devtools.browser

mutants: install ## Do the unit tests notice wrong code? (MUTANTS='*.paging.*')
	$(BIN)/python -m devtools.mutants $(if $(MUTANTS),'$(MUTANTS)')

slow: install ## The long forms of other tests
	$(BIN)/python -m pytest integration_tests -m slow

torture: install ## Tries the promises for long (TORTURE=10 times the work of CI)
	TORTURE=$(or $(TORTURE),10) $(BIN)/python -m pytest integration_tests/torture integration_tests/health/test_syncs.py

bench: install ## The connector beside its peers (FULL=1: up to 200,000 runs)
	$(BIN)/python -m benchmarks $(if $(FULL),--full)

bench-models: install ## The models of dbt/ on RUNS=1000000 runs, on two databases
	$(BIN)/python -m benchmarks.models $(RUNS)

test-pythons: install ## Unit tests, spec and check on each supported Python found
	$(BIN)/python -m devtools.matrix.pythons

test-versions: install ## Other versions of Prefect (VERSIONS="3.0.11 3.9.1")
	$(BIN)/python -m devtools.matrix.versions $(VERSIONS)

test-cdks: install ## Other versions of Airbyte's CDK (CDKS="7.36.0 7.39.1")
	$(BIN)/python -m devtools.matrix.cdks $(CDKS)

builder: install ## Writes builder/manifest.yaml, the edition in pure YAML
	$(BIN)/python -m devtools.release.builder

airbyte-variant: install ## Writes to build/ what Airbyte's monorepo wants of it
	$(BIN)/python -m devtools.release.airbyte_variant

test-airbyte: install ## Airbyte's own checks on that tree
	$(BIN)/python -m pytest -m airbyte_checks integration_tests/test_airbyte_checks.py

image: install ## Builds the image with buildah and tries it (BASE=another)
	$(BIN)/python -m devtools.release.image $(BASE)

everything: ## All of these in turn; reports at the end which failed
	@failed=; \
	for target in $(EVERYTHING); do \
		$(MAKE) --no-print-directory RUNS=$(or $(RUNS),20000) $$target || failed="$$failed $$target"; \
	done; \
	[ -z "$$failed" ] || { echo "Failed:$$failed" >&2; exit 1; }

constraints: install ## The newest versions of all that development uses
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --extra health --extra openlineage --group dev --no-emit-index-url --no-annotate --no-header \
		--output-file constraints.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --upgrade --group dbt --no-emit-index-url --no-annotate --no-header \
		--output-file dbt/constraints.txt

clean: ## Removes what the targets made
	rm -rf .venv .venvs .mypy_cache .ruff_cache .pytest_cache .hypothesis dist build demo mutants report.html benchmark.md
