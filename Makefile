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

.PHONY: demo test venv toolchain lint bench quality quality-held-out pretrained pretrained-samples responses clean
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
FLY_CALM = $(BIN)/px4-tinyml fly --edr 0 --seconds 80 --seed 2026 --out build/quality
HELD_OUT := 550 680h
SHIPPED := build/quality/shipped

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
	$(MAKE) quality-held-out

# How good a bundle that ships, or BUNDLE, is on fresh flights of the airframes held out, and with DATA=DIR on recordings.
BUNDLE ?= pretrained-bands
quality-held-out: venv
	for name in $(HELD_OUT); do \
		$(BIN)/px4-tinyml fly --airframe $$name --out build/quality/held-out/$$name --flights 20 --seconds 100 \
			--seed 9$${name%h} >/dev/null && \
		$(BIN)/python benchmarks/quality/simulated_air.py --data build/quality/held-out/$$name --bundle $(BUNDLE) || exit; \
	done
ifdef DATA
	$(BIN)/python benchmarks/quality/real_air.py --data '$(DATA)' --bundle $(BUNDLE) --rates 25,50
endif

# The bundle pretrained-bands (px4_tinyml/pretrained_bands/), from simulated flights and from the recordings of a folder
# whose licence allows it (docs/model_card.md). Airframes HELD_OUT are in no flight and in no gust response of its training.
ifdef DATA
pretrained: venv
	$(BIN)/python benchmarks/pretrained_backgrounds.py '$(DATA)' build/quality/backgrounds
	rm -rf build/quality/calm build/quality/brisk
	$(FLY_CALM)/calm --flights 54 --mission mixed >/dev/null
	$(FLY_CALM)/brisk --flights 18 --mission brisk >/dev/null
	rm -f $(foreach name,$(HELD_OUT),build/quality/calm/*_$(name)_*.ulg build/quality/brisk/*_$(name)_*.ulg)
	$(BIN)/px4-tinyml dataset build/quality/calm build/quality/brisk build/quality/backgrounds/*.ulg \
		--labels build/quality/backgrounds/labels.csv --preset bands --inject --split-by stretch --out $(SHIPPED)
	$(BIN)/px4-tinyml train $(SHIPPED) --out $(SHIPPED)-bands
	$(BIN)/python benchmarks/quality/real_air.py --data '$(DATA)' --bundle $(SHIPPED)-bands --json > $(SHIPPED).json
	$(BIN)/python benchmarks/pretrained.py pretrained-bands $(SHIPPED)-bands --backgrounds build/quality/backgrounds/backgrounds.csv \
		--real-air $(SHIPPED).json --dataset $(SHIPPED)
	$(BIN)/python benchmarks/model_card.py
else
pretrained:
	@printf '%s\n' \
		'DATA is missing: make pretrained DATA=DIR, with DIR a folder of flight recordings. It is not part of this repository.' \
		'  DIR/manifest.csv      one row a recording, with the columns file,licence,source_repo,commit,vehicle' \
		'  DIR/air/manifest.csv  the same for DIR/air, if there is such a folder' \
		'  DIR/truth.csv         stretches of known air: file,columns,vehicle,start_s,end_s,air (docs/quality.md)' \
		'docs/model_card.md explains which recordings are used. make pretrained-samples needs no recordings.' >&2; exit 2
endif

# The models that ship in px4_tinyml/pretrained/, with px4_module/, and px4_tinyml/pretrained_50hz/, from the same flights:
# about 20 minutes.
pretrained-samples: venv toolchain
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
