# `make` alone prints the targets. Nothing here needs root, but `make test` on a machine without redis-server.

SHELL := /usr/bin/env bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup lint audit test test-large demo dashboard-demo leak-measured chaos bench bench-peers erlang findings mutants second-opinion docs reference test-newest wheel-check clean

BIN := .venv/bin
CHECKED := voxpool findings mutation ops reference tests
# What both Pythons run: each part of the scheduler by itself and the public API (asyncio, typing, text of exceptions), what
# reads the interpreter's memory, and the virtual event loop. The rest is the same code in larger compositions, with servers
# that know nothing of a Python version; test_load_* calculates; tests/sim/test_determinism.py compares both Pythons' traces.
BOTH := tests/unit --ignore-glob=*/test_load_*.py tests/fundamentals tests/leakgate/test_inside.py \
    tests/leakgate/test_sizes_and_tracing.py tests/sim/test_loop.py tests/sim/explore/test_schedules.py

help: ## this list
	@echo "make TARGET, where TARGET is one of:"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{ printf "%-14s%s\n", $$1, $$2 }'

setup: .venv/.ready ## .venv with everything, and .venv-other with the other of Python 3.11 and 3.13 if it is here
	@scripts/setup.sh other

.venv/.ready: pyproject.toml requirements.lock scripts/setup.sh
	@scripts/setup.sh main

demo: .venv/.ready ## a scheduler, two nodes, real WAV files, a node killed; then the leak, simulated (no Redis, no root)
	@$(BIN)/python examples/demo.py

dashboard-demo: .venv/.ready ## the dashboard full of life: a scheduler, nodes, traffic, mishaps (DEMO="--port 8080 --open")
	@$(BIN)/python examples/dashboard_demo.py $(DEMO)

leak-measured: .venv/.ready ## a real server under load twice, without and with the clean-up, beside what the simulator says (10 minutes)
	@$(BIN)/python -m voxpool.loadtest leak-measured $(LEAK_MEASURED)

chaos: .venv/.ready ## real schedulers, nodes and clients under drawn faults, five seeds of 10 minutes on one Redis and on a cluster (CHAOS="--seed 3 --duration 60")
	@$(BIN)/python -m voxpool.loadtest chaos $(or $(CHAOS),--seeds 5 --duration 600 --store redis --store cluster)

lint: .venv/.ready ## ruff, mypy --strict, imports one way, bandit, and the rules of tests/tidy with the audit of packages
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy --strict $(CHECKED)
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m bandit -q -c pyproject.toml -r scheduler
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/tidy

audit: .venv/.ready ## are the packages what the lock says, and, with ADVISORIES=FOLDER of OSV records, is one vulnerable?
	@$(BIN)/python -m tests.tidy.dependencies $(ADVISORIES)

test: .venv/.ready ## lint and all tests; those that a Python version can change under both (installs Redis, Chromium, Prometheus, kustomize and Node.js, or says how)
	@scripts/test.sh $(foreach part,$(BOTH),'$(part)')

test-large: .venv/.ready ## the tests that take minutes each: overload, scale, fuzzing (figures: docs/reports/)
	@scripts/test.sh large

bench: .venv/.ready ## speed and memory: simulation, table, sweeps, select, round trips
	@$(BIN)/python -m bench

bench-peers: .venv/.ready ## voxpool beside other queues and bare relays, in turn (a quarter of an hour; only of use on a quiet machine; PEERS="--all --rounds 5")
	@$(BIN)/python -m bench.peers $(PEERS)

erlang: .venv/.ready ## the mean wait of five seeds x 1 million jobs against Erlang C (long)
	@$(BIN)/python -m voxpool.sim.experiments.theory.question --erlang

findings: .venv/.ready ## runs all experiments (long; FINDINGS=--quick is short) and writes docs/findings.md and the pages of docs/findings/
	@$(BIN)/python -m findings $(FINDINGS)

second-opinion: setup ## 20 seeds of the whole stack on simloom, and R1 in simloom and frontrun, under .venv-other (docs/reports/second-opinion.md)
	@.venv-other/bin/python -m pip install -q --upgrade --target out/second-opinion simloom==0.5.0 frontrun==0.7.0
	@PYTHONPATH=out/second-opinion .venv-other/bin/python -m bench.second_opinion.whole_stack 20
	@for tool in frontrun simloom; do PYTHONPATH=out/second-opinion .venv-other/bin/python -m bench.second_opinion.r1 $$tool; done

mutants: .venv/.ready ## plants 600 small bugs, one at a time, in what decides: do the tests notice? (an hour)
	@$(BIN)/python -m mutation.by_hand
	@$(BIN)/python -m mutation

docs: .venv/.ready ## builds the documentation and serves it at http://127.0.0.1:8000 (DOCS="-a 127.0.0.1:8001")
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs serve $(DOCS)

reference: .venv/.ready ## writes the parts of docs/ that are generated from the source
	@$(BIN)/python -m reference

test-newest: ## the tests of what depends on uvicorn, with the newest release of each package (needs a package index)
	@scripts/test_newest.sh

wheel-check: .venv/.ready ## builds the wheel, installs its base, [server] and [sim] alone, and runs them
	@$(BIN)/python -m pytest -q tests/packaging

clean: ## removes the environments and what the commands wrote
	rm -rf .venv .venv-other .venv-newest .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist out
