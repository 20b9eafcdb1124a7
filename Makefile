# The two commands of the README are `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
EXTRAS := train,tflm,sim,live,px4,test,dev
STAMP := $(VENV)/.installed
JOBS ?= $(shell nproc)

# Compilers and emulators for Cortex-M and AVR, as Debian and Ubuntu call them.
TOOLCHAIN := gcc-arm-none-eabi libnewlib-arm-none-eabi libstdc++-arm-none-eabi-newlib qemu-system-arm \
	arduino-builder arduino-core-avr arduino-ctags gcc-avr avr-libc simavr

.PHONY: demo test venv toolchain lint bench quality pretrained responses clean
.DEFAULT_GOAL := demo

venv: $(STAMP)

$(STAMP): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[$(EXTRAS)]'
	@touch $@

demo: venv
	$(BIN)/px4-tinyml demo --out demo-out

# Installs what is missing where it may. Where it may not, the tests that need it are skipped.
toolchain:
	@benchmarks/toolchain.sh $(TOOLCHAIN)

test: venv toolchain
	$(BIN)/python -m pytest -n $(JOBS) --dist loadscope

bench: venv toolchain
	$(BIN)/python benchmarks/bench_engine.py

FLY_QUALITY = $(BIN)/px4-tinyml fly --out build/quality/flights --flights 180 --seconds 100 --seed 2026 >/dev/null

# How good the classifier is on simulated flights of airframes never trained on: about 15 minutes. With DATA=DIR, also on
# the real recordings of a folder with a truth.csv (docs/quality.md).
quality: venv
	$(FLY_QUALITY)
	for preset in default imu6; do \
		$(BIN)/px4-tinyml dataset build/quality/flights --preset $$preset --out build/quality/$$preset && \
		$(BIN)/px4-tinyml train build/quality/$$preset --out build/quality/$$preset-conv || exit; \
	done
	$(BIN)/px4-tinyml train build/quality/default --arch dense --out build/quality/default-dense
	$(BIN)/px4-tinyml dataset build/quality/flights --inject --out build/quality/inject
	$(BIN)/px4-tinyml train build/quality/inject --out build/quality/inject-bands
	for name in default-conv inject-bands; do \
		$(BIN)/python benchmarks/quality/simulated_air.py --data build/quality/flights --test-of build/quality/$${name%-*} \
			--bundle build/quality/$$name || exit; \
	done
ifdef DATA
	$(BIN)/python benchmarks/quality/real_air.py --data '$(DATA)' --bundle build/quality/inject-bands --rates 25,50
	$(BIN)/python benchmarks/quality/real_air.py --data '$(DATA)' --bundle build/quality/default-conv --rates 25,50
endif

# The models that ship in px4_tinyml/pretrained/, with px4_module/, and px4_tinyml/pretrained_50hz/, from the same flights:
# about 20 minutes.
pretrained: venv toolchain
	$(FLY_QUALITY)
	$(BIN)/px4-tinyml dataset build/quality/flights --out build/quality/default
	$(BIN)/px4-tinyml train build/quality/default --out build/quality/default-conv
	$(BIN)/python benchmarks/pretrained.py pretrained build/quality/default-conv
	$(BIN)/px4-tinyml dataset build/quality/flights --preset link50 --thinned 50 --out build/quality/50hz
	$(BIN)/px4-tinyml train build/quality/50hz --out build/quality/50hz-conv
	$(BIN)/python benchmarks/pretrained.py pretrained-50hz build/quality/50hz-conv

# The library of gust responses that ships in px4_tinyml/signal/: about 3 minutes.
responses: venv
	$(BIN)/px4-tinyml fly --responses px4_tinyml/signal/responses.npz --seed 2026

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf build dist demo-out *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +
