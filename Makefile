# The words of this project: the developer, the hooks, the workflow and .ci/run all use them.
.PHONY: help install demo lint format test unit docs clean
VENV := .venv
PY := $(VENV)/bin/python

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

$(VENV)/.installed: pyproject.toml
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --upgrade 'pip>=25.1'
	$(VENV)/bin/pip install --quiet --editable . --group test --group lint
	touch $@

install: $(VENV)/.installed ## the command and what it needs, into .venv

lint: $(VENV)/.installed ## ruff, mypy --strict, import arrows
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy
	PYTHONPATH=. $(VENV)/bin/lint-imports

format: $(VENV)/.installed ## put the code into the one format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

unit: $(VENV)/.installed ## the tests that open no socket
	$(PY) -m pytest tests/unit

docs: $(VENV)/.installed ## write docs/reference/ anew from the code
	$(VENV)/bin/gatepost config reference > docs/reference/configuration.md
	$(PY) scripts/metrics.py
	$(PY) scripts/rfcs.py
