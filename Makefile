# Everything that a person types here. `make demo` and `make test` need python3 (3.11+) and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --no-input
.DEFAULT_GOAL := help
KILLS ?= 500
.PHONY: help demo docs test test-model check sbom audit soak soak-scale bench eval bakeoff train llm lock clean

help:  ## say what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 13

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Aegis needs Python 3.11 or newer; try: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@echo "== making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)

# The locks are whole, so pip resolves nothing, and checked by hash; the package itself is installed from here, without its dependencies.
define install
	@echo "== installing $(1) (hash-checked; some minutes the first time)"
	@$(PIP) install -q --require-hashes --no-deps -r requirements/$(1)
	@$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@
endef

$(VENV)/.core: requirements/core.txt pyproject.toml | $(BIN)/python
	$(call install,core.txt)

$(VENV)/.dev: requirements/dev.txt pyproject.toml | $(BIN)/python
	$(call install,dev.txt)
	@touch $(VENV)/.core

# torch first and apart: its CPU and CUDA builds have one version and different files.
$(VENV)/.train: requirements/train.txt requirements/torch.txt pyproject.toml | $(BIN)/python
	@$(PIP) install -q -r requirements/torch.txt
	$(call install,train.txt)
	@touch $(VENV)/.core $(VENV)/.dev $(VENV)/.llm

$(VENV)/.llm: requirements/llm.txt requirements/torch.txt pyproject.toml | $(BIN)/python
	@$(PIP) install -q -r requirements/torch.txt
	$(call install,llm.txt)
	@touch $(VENV)/.core

demo: $(VENV)/.core  ## investigate five example alerts, approve an action, verify the ledger
	@$(BIN)/aegis demo

test: $(VENV)/.dev  ## run the tests
	@$(BIN)/python -m pytest -n auto --dist loadfile

test-model: $(VENV)/.train  ## run the tests that train, quantise or load a language model (installs torch)
	@$(BIN)/python -m pytest tests/training tests/model tests/evaluation tests/cli/test_cli_model.py tests/graph/test_endpoint.py tests/evals/test_retrieval.py tests/hardening/test_secrets_leak.py tests/hardening/test_no_pickle.py

check: $(VENV)/.dev  ## lint, format, types, import layers, LangGraph configuration
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/langgraph validate

sbom: $(VENV)/.dev  ## write the bill of materials (CycloneDX) into build/sbom
	@$(BIN)/python requirements/sbom.py build/sbom

audit: $(VENV)/.dev  ## ask the vulnerability services about every pinned package
	@$(BIN)/python requirements/audit.py core.txt dev.txt llm.txt

docs: $(VENV)/.dev  ## build the documentation site into build/site
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

soak: $(VENV)/.dev  ## kill processes at work KILLS (500) times, over SQLite and PostgreSQL, and count what breaks
	@$(BIN)/python -m tests.crash.soak --kills $(KILLS)

soak-scale: $(VENV)/.dev  ## the same with workers, Ray nodes and a database on PostgreSQL (docs/capacity.md)
	@$(BIN)/python -m tests.scale.soak --incidents 1000 --kills 40

bench: $(VENV)/.dev  ## measure speed and memory (evals/reports/bench.md)
	@$(BIN)/python -m evals.bench

eval: $(VENV)/.train  ## measure the model on all of AEGIS_DEV_DATA (evals/reports)
	@test -n "$(AEGIS_DEV_DATA)" || { echo "make eval needs AEGIS_DEV_DATA, the folder with the development data"; exit 2; }
	@$(BIN)/aegis eval --data "$(AEGIS_DEV_DATA)" --out evals/reports
	@$(BIN)/python -m evals.real_input --split all
	@$(BIN)/python -m evals.retrieval
	@$(BIN)/python -m evals.intel_poisoning
	@$(BIN)/python -m evals.rails
	@$(BIN)/python -m evals.counterfactual

bakeoff: $(VENV)/.train  ## train and measure other ways to judge beside what ships (evals/reports/bakeoff.md)
	@$(BIN)/python -m evals.bakeoff --data runs/latest/data $(if $(AEGIS_DEV_DATA),--dev "$(AEGIS_DEV_DATA)")

train: $(VENV)/.train  ## prepare data and train the encoder and its head, some two hours on two cores; resumes
	@$(BIN)/aegis train --run runs/latest $(if $(AEGIS_DEV_DATA),--sources "$(AEGIS_DEV_DATA)")

llm: $(VENV)/.llm  ## install the language model for unclear cases: torch, transformers, and its base (540 MB)
	@$(BIN)/aegis model setup

lock: $(VENV)/.dev  ## write requirements/*.txt anew (needs uv)
	@PATH="$(CURDIR)/$(BIN):$$PATH" requirements/lock.sh

clean:  ## remove the virtual environment and caches
	@rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
