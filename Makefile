# Memory Spine: every command a developer needs. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup setup-root tools demo check test test-quick sim mutants bench bench-quick bench-plot bench-races images kube-up kube-down clean

PY := .venv/bin/python
LAB ?= $(CURDIR)/build/lab
ZONES ?= us-east-1a,us-east-1b,us-east-1c,us-east-1d
LOCALKUBE := PYTHONPATH=tests/support $(PY) -m localkube

help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1|/' | column -t -s '|'

setup: .venv/.done ## Install what the checks and tests need into .venv, and the hook for commit messages
	@if [ "$$(git rev-parse --show-toplevel 2>/dev/null)" = "$(CURDIR)" ] && ! git config core.hooksPath >/dev/null; then \
		git config core.hooksPath .githooks && echo "setup: commit messages are checked by .githooks/commit-msg"; fi

.venv/.done: requirements.lock pyproject.toml
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Memory Spine needs Python 3.11 or newer; python3 is $$(python3 --version)" >&2; exit 2; }
	@python3 -m venv .venv || { echo "python3 has no venv module. On Debian: apt-get install python3-venv" >&2; exit 2; }
	@echo "setup: installing the locked packages into .venv"
	@.venv/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@.venv/bin/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@

setup-root: ## Install the Debian packages that real nodes need (prints the command; runs it when root)
	@bash tests/support/localkube/build.sh packages

tools: ## Build Kubernetes and its node tools from pinned Go modules (about 9 minutes once, then nothing)
	@bash tests/support/localkube/build.sh all

demo: setup ## Real Kubernetes, the operator, a cluster, real memories, a scale-up and a lost node
	@PYTHONPATH=tests/support $(PY) -m demo

check: setup ## Format, lint, types, layers, and the messages of the newest commits
	@$(PY) -m ruff format --check -q . && $(PY) -m ruff check -q . && echo "check: ruff is content"
	@$(PY) -m mypy && .venv/bin/lint-imports --no-cache | tail -n 3
	@PYTHONPATH=tests/support $(PY) -m commit_rule newest

test: setup ## Install what it needs and run everything, fast layers first
	@PYTHONPATH=tests:tests/support $(PY) -m suite

test-quick: setup ## The pure layers only: a developer's loop
	@PYTHONPATH=tests:tests/support $(PY) -m suite quick

sim: setup ## Let random worlds live and check them: SEEDS=100 worlds from seed FROM=1, WORDS=--shrink makes failing ones smaller
	@PYTHONPATH=tests:tests/support nice $(PY) -m simulation.worlds --count $(or $(SEEDS),20) --first $(or $(FROM),1) $(WORDS)

mutants: setup ## Remove every safety rule in turn; each time its test must fail
	@SPINE_MUTANTS=all $(PY) -m pytest -q tests/mutants

bench: setup ## Measure all gates, beside etcd, PostgreSQL and Redis where they are installed (25 minutes, quiet machine)
	@$(PY) -m bench all

bench-quick: setup ## The same gates in short, compared with the committed baseline (5 minutes)
	@$(PY) -m bench all --mode quick

bench-plot: build/bench-venv/.done ## Draw the newest report: build/bench.png and .svg
	@PYTHONPATH=$(CURDIR) build/bench-venv/bin/python -m bench.report.plot && echo "bench-plot: build/bench.png, build/bench.svg"

build/bench-venv/.done: bench/requirements.lock
	@python3 -m venv build/bench-venv
	@build/bench-venv/bin/pip install -q --disable-pip-version-check --require-hashes -r bench/requirements.lock
	@touch $@

bench-races: setup build/races-venv/.done ## Races of agents, here and in LangGraph, Chroma and mem0
	@$(PY) -m bench races

build/races-venv/.done: bench/races/requirements.txt
	@python3 -m venv build/races-venv
	@build/races-venv/bin/pip install -q --disable-pip-version-check -r $<
	@touch $@

images: setup ## Build both images, without Docker, into build/images
	@$(LOCALKUBE) images $(CURDIR)/build/images

kube-up: setup tools images ## Start real Kubernetes with four zones on this machine
	@$(LOCALKUBE) up $(LAB) --zones $(ZONES) --image build/images/node.tar --image build/images/operator.tar --detach
	@$(LOCALKUBE) status $(LAB)

kube-down: ## End what kube-up started; nothing is left
	@$(LOCALKUBE) down $(LAB)

clean: ## Remove what builds have left here
	@rm -rf build dist .mypy_cache .ruff_cache .hypothesis
