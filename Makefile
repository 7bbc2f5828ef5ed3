# Every recipe finds the environment's programs first, whatever the shell that calls it.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help run test slow faults lint format install clean
MAKEFLAGS += --no-print-directory
unexport PYTHONPATH PYTHONHOME VIRTUAL_ENV
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false
export EBM_SCREENSHOTS ?= $(CURDIR)/.work/screenshots

help: ## say what can be made
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/make \1\t\2/p' Makefile | expand -t 16

run: install ## run the default experiment, multigrid-digits, end to end
	@ebm run multigrid-digits

test: install lint ## check style, types, contracts, and run the tests
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 pytest -q -n 2 --dist loadfile

slow: install ## run the tests that take minutes, and those in a browser
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 pytest -q -rs -m "(slow or browser) and not (data or measures)" --timeout 1500
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 pytest -q -rs -m "data or measures" --timeout 1500

faults: install ## kill, fill and tear a small project, once in each way (half an hour)
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 pytest -q -rs -m fault --timeout 1500

lint: install ## check style, types and contracts
	@echo "ruff, mypy, import-linter"
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports

format: install ## put the code in its format
	@ruff check --fix . && ruff format .

install: ## make .venv from requirements.lock, once for each content of it
	@.ci/install

clean: ## remove the environment and what the tools keep; results and data stay
	@rm -rf .venv *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find ebm tasks flows tests -name __pycache__ -type d -prune -exec rm -rf {} +
