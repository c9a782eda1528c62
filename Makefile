# `make demo` and `make test` need Python 3.11 or newer and make; everything else they install into .venv.
PYTHON ?= python3
BIN := .venv/bin
# The stamps depend on what they were installed from, so a second run installs nothing.
BASE := .venv/.base
DEMO := .venv/.demo
DEV := .venv/.dev
ECOSYSTEM := .venv/.ecosystem
DOCS := .venv/.docs

.PHONY: demo test test-all test-ecosystem test-docs coverage check docs clean

demo: $(DEMO)
	$(BIN)/smallnets fit lenet5 --data digits --run-dir runs/digits

test: check
	$(BIN)/pytest -n 2 --dist worksteal -q --doctest-modules src tests --ignore=tests/ecosystem -m "not slow"

coverage: check
	$(BIN)/pytest -n 2 --dist worksteal --cov --cov-report=term:skip-covered -q --doctest-modules src tests --ignore=tests/ecosystem -m "not slow"

test-all: check
	$(BIN)/pytest -n 2 --dist worksteal -q --doctest-modules src tests --ignore=tests/ecosystem

# What others' tools make of the nets: counters, quantisers, pruners, explainers, trainers.
test-ecosystem: $(ECOSYSTEM)
	KERAS_BACKEND=torch $(BIN)/pytest -q tests/ecosystem tests/contract/test_taken_apart.py

# The site, into docs/_build/html; needs no network once its packages are there.
docs: $(DOCS)
	$(BIN)/python docs/write_reference.py
	$(BIN)/sphinx-build -n -W --keep-going -q -b html docs docs/_build/html

# Every page in a browser, narrow and wide, light and dark.
test-docs: docs
	SITE=docs/_build/html $(BIN)/pytest -q tests/docs

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

$(BASE):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "smallnets needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade "pip>=25.1"
	touch $@

$(DEMO): pyproject.toml | $(BASE)
	$(BIN)/python -m pip install --quiet --editable ".[plot,data]"
	touch $@

$(DEV): pyproject.toml | $(BASE)
	$(BIN)/python -m pip install --quiet --editable ".[all]" --group dev
	touch $@ $(DEMO)

$(ECOSYSTEM): pyproject.toml | $(DEV)
	$(BIN)/python -m pip install --quiet --group ecosystem
	touch $@

$(DOCS): pyproject.toml | $(DEV)
	$(BIN)/python -m pip install --quiet --group docs
	touch $@

clean:
	rm -rf .venv runs dist docs/_build docs/gallery
