# Every target works on a fresh checkout, given make and Python 3.11 or newer.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c "$(ENOUGH)" 2>/dev/null && echo $$python && break; done)
BIN := .venv/bin
UV := .venv/tool/bin/uv
# The command `setright` and the package's metadata, over the checkout itself; the build tools come from the lock.
IN_PLACE = $(UV) pip install --quiet --python $(BIN)/python --no-deps --build-constraints requirements-dev.lock --editable .
RESOLVE := --universal --python-version 3.11 --generate-hashes --no-header --upgrade --quiet
# uv waits longer than its default for slow mirrors, and uses the mirrors that pip was told about.
export UV_HTTP_TIMEOUT ?= 180
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif

.PHONY: help install run test lint audit fix bench bench-quick docs languages docs-site screenshots lock wheel clean

help:  ## list what can be made
	@sed -nE 's/^([a-z-]+):.*## (.*)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

install: .venv/.run  ## install what running needs into .venv

run: .venv/.run  ## start Setright with its sample dataset, and print the address
	$(BIN)/python -m app.cli serve --sample $(ARGS)

test: .venv/.dev  ## run every test (ARGS="tests/web -k decide" for some)
	@tests/install_browser.sh
	@tests/install_contract_tools.sh
	@# The tests start many processes, each of which would compile the program anew where Python may not keep it:
	@# so it is compiled here, and the tests themselves are kept once one of the processes has compiled them.
	@$(BIN)/python -m compileall -q app migrations
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n 4 --dist loadgroup $(ARGS)

lint: .venv/.dev  ## check style, types, imports and templates
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/djlint templates --check
	$(BIN)/djlint templates --lint --quiet

audit: .venv/.dev  ## ask PyPI for known weaknesses of the locked packages
	@.ci/audit

fix: .venv/.dev  ## repair what can be repaired without thinking
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/djlint templates --reformat --quiet

bench: .venv/.dev  ## measure everything the README promises
	$(BIN)/python -m bench $(ARGS)

bench-quick: .venv/.dev  ## measure it on small sizes, in a few minutes
	$(BIN)/python -m bench --quick $(ARGS)

docs: .venv/.dev  ## write the reference pages and .env.example anew from the code
	$(BIN)/python -m docs.generate

languages: .venv/.dev  ## bring the catalogues of the languages up to date with code and templates
	$(BIN)/python -m docs.translations $(ARGS)

docs-site: .venv/.dev  ## build the documentation as a site into dist/site, its links checked
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

screenshots: .venv/.dev  ## take the pictures of the documentation anew
	@tests/install_browser.sh
	$(BIN)/python -m docs.screenshots

lock: $(UV)  ## resolve the dependencies anew into both lock files
	$(UV) pip compile pyproject.toml --extra otel $(RESOLVE) --output-file requirements.lock
	$(UV) pip compile pyproject.toml --group dev $(RESOLVE) --output-file requirements-dev.lock

wheel: .venv/.dev  ## build the wheel into dist/
	$(BIN)/hatchling build --target wheel

clean:  ## remove everything that was made here, the virtual environment too
	rm -rf .venv dist build test-results .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/.run: requirements.lock $(UV)
	@if [ -e .venv/.dev ]; then how="install -r"; else how=sync; fi; \
		$(UV) pip $$how requirements.lock --quiet --python $(BIN)/python --require-hashes
	@$(IN_PLACE)
	@touch $@

.venv/.dev: requirements-dev.lock $(UV)
	@# Compiled here once: the tests start many processes, on machines that may not keep what Python compiles.
	@# A sync would take the command away from under a `make run` that is going on.
	@if [ -e .venv/.run ]; then how="install -r"; else how=sync; fi; \
		$(UV) pip $$how requirements-dev.lock --quiet --python $(BIN)/python --require-hashes --compile-bytecode
	@$(IN_PLACE)
	@touch .venv/.run $@

# uv lives in an environment of its own, so that no sync of the lock can remove it.
$(UV):
	@if [ -z "$(PYTHON)" ]; then echo "Setright needs Python 3.11 or newer; python3 here is older or missing." \
		"Name one: make PYTHON=/path/to/python3.11" >&2; exit 1; fi
	@$(PYTHON) -c "$(ENOUGH)" || { echo "Setright needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V)." \
		"Name another: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c "import venv, ensurepip" 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments:" \
		"install its venv module (Debian: apt-get install python3-venv)." >&2; exit 1; }
	@echo "Installing into .venv; the first time takes a minute or two."
	@[ -x $(BIN)/python ] || $(PYTHON) -m venv --without-pip .venv
	@rm -rf .venv/tool && $(PYTHON) -m venv .venv/tool
	@awk '/^uv==/ {print; uv = 1; next} uv && /--hash/ {print; next} {uv = 0}' requirements-dev.lock > .venv/uv.txt
	@.venv/tool/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r .venv/uv.txt
