# `make demo` and `make test` need Python 3.11 or newer and make; everything else they install into .venv.
PYTHON ?= python3
BIN := .venv/bin
# What is installed: the tested versions where the index has them for this machine, else the newest that pyproject.toml
# allows, so that a bad release of somebody else's spoils nothing here. `make test LOCK=/dev/null` takes the newest.
LOCK := requirements/tested.txt
PIP := $(BIN)/python -m pip install --quiet
install = $(PIP) --only-binary :all: --constraint $(LOCK) $(WANTED) || \
	{ echo "The versions of $(LOCK) cannot be had here; installing the newest that pyproject.toml allows." >&2; $(PIP) $(WANTED); }
# The stamps depend on what they were installed from, so a second run installs nothing.
BASE := .venv/.base
DEMO := .venv/.demo
DEV := .venv/.dev
ECOSYSTEM := .venv/.ecosystem
DOCS := .venv/.docs
RELEASE := .venv/.release

.PHONY: demo test test-all test-ecosystem test-docs coverage check docs release-check lock clean

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

# What would be published, into dist/: the wheel is built from the source archive, and must be the tree's to the byte.
# pyroma's two tests that are left out ask for an address of the project, which has none yet.
release-check: $(RELEASE)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m build --no-isolation --wheel --outdir dist/tree .
	cmp dist/*.whl dist/tree/*.whl
	rm -r dist/tree
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl
	$(BIN)/pyroma --min 10 --skip-tests Url,AuthorEmail dist/*.tar.gz
	$(BIN)/zizmor --offline --quiet .github

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright
	$(BIN)/lint-imports

$(BASE):
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "smallnets needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv
	$(PIP) --upgrade "pip>=25.1"
	touch $@

$(DEMO): WANTED = --editable ".[plot,data]"
$(DEMO): pyproject.toml $(LOCK) | $(BASE)
	$(install)
	touch $@

$(DEV): WANTED = --editable ".[all]" --group dev
$(DEV): pyproject.toml $(LOCK) | $(BASE)
	$(install)
	touch $@ $(DEMO)

$(ECOSYSTEM): pyproject.toml | $(DEV)
	$(PIP) --group ecosystem
	touch $@

$(DOCS): WANTED = --group docs
$(DOCS): pyproject.toml $(LOCK) | $(DEV)
	$(install)
	touch $@

$(RELEASE): WANTED = --group release
$(RELEASE): pyproject.toml $(LOCK) | $(DEV)
	$(install)
	touch $@

# What is installed here, without what torch brings for its GPUs: after the whole suite has passed with it.
lock: $(DEV) $(DOCS) $(RELEASE)
	sed -n '/^#/p' $(LOCK) > $(LOCK).new
	$(BIN)/python -m pip freeze --exclude-editable | sed -E '/ @ |^(nvidia|cuda|triton)/d; s/\+.*//' >> $(LOCK).new
	mv $(LOCK).new $(LOCK)

clean:
	rm -rf .venv runs dist docs/_build docs/gallery
