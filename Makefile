# The words of this project: the developer, the hooks, the workflow and .ci/run all use them.
.PHONY: help install up down backup restore demo lint format test unit fuzz \
	stack stack-systems stack-parts cluster bench chart manifest docs pictures clean
VENV := .venv
PY := $(VENV)/bin/python
# Unit tests compute: one process for each core. The daemons' tests wait more than they compute: two
# for each core. At most eight, since each one needs some seconds to collect all tests. Each process
# of pytest has a network namespace of its own, so ports never meet.
CORES := $(shell nproc)
JOBS := $(shell n=$$(( 2 * $(CORES) )); echo $$(( n < 8 ? n : 8 )))
UNIT_JOBS := $(shell echo $$(( $(CORES) < 8 ? $(CORES) : 8 )))
PYTEST := $(PY) -m pytest --dist worksteal -n
# the distribution's Python, as the peers are the distribution's: one that was compiled without a
# profile takes a third longer, and would be measured in place of us
BENCH_PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

$(VENV)/.installed: pyproject.toml constraints.txt
	@python3 -m tools.install install
	@touch $@

install: $(VENV)/.installed ## the command and what it needs, into .venv

up: ## a whole mail system in containers, with two users; as root
	@python3 -m tools.install up
	@$(PY) -m tools.up

down: ## end what `make up` started; KEEP=1 keeps its data
	@$(PY) -m tools.up --down $(if $(KEEP),--keep)

backup: ## bring the backup of that system up to date while it runs
	@$(PY) -m tools.up --backup $(if $(DIR),--folder "$(DIR)")

restore: ## start it with its last backup, or with that in DIR=...
	@python3 -m tools.install up
	@$(PY) -m tools.up --restore $(if $(DIR),--folder "$(DIR)")

demo: ## send mail through a private Postfix; KEEP=1 leaves it up
	@python3 -m tools.install demo
	@$(PY) -m tools.demo $(if $(KEEP),--keep)

lint: $(VENV)/.installed ## ruff, mypy --strict, import arrows
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(PY) -m mypy
	PYTHONPATH=. $(VENV)/bin/lint-imports

format: $(VENV)/.installed ## put the code into the one format
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

unit: $(VENV)/.installed ## the tests that open no socket
	$(PYTEST) $(UNIT_JOBS) tests/unit

test: ## all tests: units, daemons, Postfix; the chart with helm
	@python3 -m tools.install test
	$(PYTEST) $(UNIT_JOBS) tests/unit
	$(PYTEST) $(JOBS) tests/daemon tests/postfix
	@if command -v helm > /dev/null; then $(MAKE) --no-print-directory chart; \
	else echo "make test: helm is not here: the chart was not tested, see make chart" >&2; fi

fuzz: ## generated input for all parsers; SEED=1, SECONDS_EACH=1800
	@python3 -m tools.install fuzz
	$(PY) -m tests.fuzz --seed $(or $(SEED),1) --seconds $(or $(SECONDS_EACH),1800) $(TARGETS)

stack: ## the tests of the container images and of `make up`; as root
	@python3 -m tools.install stack
	@$(PY) -m tests.testbed.images
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target stack-systems stack-parts

# Two at once, each in a network namespace of its own. Files that start a whole system stay together:
# they share it, and use the same ports.
SYSTEMS = $(shell grep -lE 'WholeSystem|DebianMachine|tools\.up\.place' tests/stack/test_*.py)
stack-systems:
	$(PY) -m pytest $(SYSTEMS)

stack-parts:
	$(PY) -m pytest tests/browser $(filter-out $(SYSTEMS),$(wildcard tests/stack/test_*.py))

cluster: ## the chart on a real cluster: KUBECONFIG, or kind; ARGS=--dry-run
	@python3 -m tools.install test
	@$(PY) -m tests.cluster $(ARGS)

bench: ## measure beside opendkim and others; BENCH=full takes longer
	@$(BENCH_PYTHON) -m tools.install bench --venv .bench/venv
	.bench/venv/bin/python -m tools.bench

chart: ## lint, render and validate the Helm chart; needs helm
	@python3 -m tools.install chart
	$(PYTEST) $(JOBS) tests/chart

manifest: ## write k8s/*.yaml and compose.yaml anew; needs helm
	PYTHONPATH=. $(PY) tools/scripts/at_start.py
	{ cat k8s/mail.head; helm template mail k8s/chart --skip-tests -f k8s/mail.values.yaml; } > k8s/mail.yaml
	{ cat k8s/mailboxes.head; helm template mail k8s/chart --skip-tests -f k8s/mailboxes.values.yaml; } > k8s/mailboxes.yaml
	$(PY) -m tools.up.compose render > compose.yaml

docs: $(VENV)/.installed ## write docs/reference/ and the README of the chart anew
	$(VENV)/bin/gatepost config reference > docs/reference/configuration.md
	$(PY) tools/scripts/metrics.py
	PYTHONPATH=. $(PY) tools/scripts/replies.py
	PYTHONPATH=. $(PY) tools/scripts/openapi.py
	PYTHONPATH=. $(PY) tools/scripts/library.py
	PYTHONPATH=. $(PY) tools/scripts/chart_readme.py
	$(PY) tools/scripts/rfcs.py

pictures: ## take the pictures of docs/pages.md anew, with Chromium
	@python3 -m tools.install stack
	$(PY) -m tests.browser.pictures docs/pages

clean: ## forget what was installed and built here
	rm -rf $(VENV) .bench .demo build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
