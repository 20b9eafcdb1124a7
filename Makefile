# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS := train,tflm,sim,live,test,dev
STAMP := $(VENV)/.installed
JOBS ?= $(shell nproc)

.PHONY: demo test venv lint bench quality pretrained clean
.DEFAULT_GOAL := demo

venv: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

demo: venv
	$(BIN)/px4-tinyml demo --out demo-out

test: venv
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python tests/typecheck.py

clean:
	rm -rf build dist demo-out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
