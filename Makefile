# Two commands do all the set-up: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO ?= runs/demo

.PHONY: help setup demo test lint docs bench lock clean

help:
	@echo "make demo   set up, fit a small corpus, print its topics"
	@echo "make test   set up, run the default test suite"
	@echo "make setup  the environment alone     make lint  ruff, mypy, voice    make bench  measured figures"
	@echo "make docs   build the documentation: docs/_build/html/index.html"

setup: $(STAMP)

# The lock file names exact versions; the package itself goes in without resolving anything again.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "topicnet needs Python 3.11 or later; name one with: make PYTHON=python3.11"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "python3 cannot make virtual environments here: apt-get install python3-venv"; exit 2; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	@# Before 0.2.0 the distribution was named like the package.
	@$(BIN)/python -m pip uninstall -qq --yes topicnet
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: $(STAMP)
	$(BIN)/topicnet fit lee --topics 10 --out $(DEMO) --overwrite

test: $(STAMP)
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python tools/voice_lint.py

# Builds without network. Warnings are errors, and links inside the site are checked.
docs: $(STAMP)
	rm -rf docs/_build/html
	$(BIN)/python tools/generate_docs.py
	$(BIN)/python -m sphinx -W --keep-going -E -q -b html docs docs/_build/html
	$(BIN)/python tools/check_links.py docs/_build/html

bench: $(STAMP)
	$(BIN)/python benchmarks/models.py --corpora 20ng

# Rewrites the lock file from a fresh resolution; torch stays at the version that has a CPU build.
lock:
	rm -rf .venv-lock && $(PYTHON) -m venv .venv-lock
	.venv-lock/bin/python -m pip install --quiet torch==2.13.0
	.venv-lock/bin/python -m pip install --quiet --upgrade hatchling editables
	.venv-lock/bin/python -m pip install --quiet --no-build-isolation '.[dev]'
	.venv-lock/bin/python -m pip freeze --exclude topicnet-neural | grep -v ' @ ' | sed 's/+cpu$$//' > requirements.lock
	rm -rf .venv-lock

clean:
	rm -rf $(VENV) dist build docs/_build .mypy_cache .ruff_cache .pytest_cache .hypothesis
