# All that a fresh clone needs is Python 3.11 or later and make. `make help` lists the commands.
# Settings (PORT, HOST, MONGO_URI, ...) come from the environment or from .env.

VENV ?= .venv
BIN := $(VENV)/bin
# One test file stays in one process, since files share a MongoDB. `make test PYTEST_ARGS=tests/unit` runs less.
PYTEST_ARGS ?= --numprocesses 2 --dist loadfile
BENCH ?= $(patsubst bench/%.py,%,$(wildcard bench/[!_]*.py))
# pip's own warnings are not for who only wants to run this; its errors still show.
INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input --only-binary :all: -r

.DEFAULT_GOAL := help
.PHONY: help run demo install test check audit parts bench lock clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

run: $(VENV)/.local  ## Everything on this machine: service, clock and a private MongoDB
	@exec $(BIN)/python -m app

demo: $(VENV)/.local  ## The same with two made-up weeks of traffic, labels, a drift and a retraining
	@exec $(BIN)/python -m app --demo

install: $(VENV)/.dev  ## All that tests and checks need, in .venv

test: $(VENV)/.dev  ## The whole suite
	$(BIN)/python -m pytest $(PYTEST_ARGS)

check: $(VENV)/.dev  ## Linters, types, import contracts, known vulnerabilities, licences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m bandit --quiet --recursive --severity-level medium --configfile pyproject.toml app data mlops model utils
	$(BIN)/python .ci/parts.py
	$(BIN)/python .ci/audit.py

parts: $(VENV)/.dev  ## The list of parts (CycloneDX) and their licences
	$(BIN)/python .ci/parts.py var/parts.json

bench: $(VENV)/.dev  ## The benchmarks, with a table each (BENCH="spool drift" runs some)
	@set -e; for name in $(BENCH); do echo "== $$name"; $(BIN)/python -m "bench.$$name"; done

lock: $(VENV)/.dev  ## Pin the requirements again (UPGRADE=1 takes the newest versions)
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python requirements/lock.py $(if $(UPGRADE),--upgrade)

clean:  ## Remove .venv and caches; var/ with its data stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.local: requirements.txt requirements-local.txt | $(BIN)/python
	@echo "Installing what the service needs (about 240 MB, only when requirements change) ..."
	@$(INSTALL) requirements-local.txt
	@touch $@

$(VENV)/.dev: requirements.txt requirements-local.txt requirements-mlflow.txt requirements-dev.txt | $(BIN)/python
	@echo "Installing what the service, its tests and checks need (about 440 MB, only when requirements change) ..."
	@$(INSTALL) requirements-dev.txt --no-binary antlr4-python3-runtime  # DVC's parser; it has no wheel
	@touch $@ $(VENV)/.local

# Each candidate is tried, not only looked for: version managers leave names behind that do not run. The last
# places are versions that pyenv has but does not offer in this folder.
$(BIN)/python:
	@for python in "$(PYTHON)" python3.13 python3.12 python3.11 python3 python \
	    "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.1[1-9]*/bin/python; do \
	  if "$$python" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
	    echo "Making $(VENV) with $$("$$python" --version) ..."; \
	    exec "$$python" -m venv --clear $(VENV); \
	  fi; \
	done; \
	echo 'No Python 3.11 or later with its venv module was found. Install one, for example:' >&2; \
	echo '  Debian, Ubuntu: apt install python3 python3-venv      macOS: brew install python@3.13' >&2; \
	echo 'or say where it is: make PYTHON=/path/to/python3' >&2; \
	exit 1
