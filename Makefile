# `make train` and `make test` do all the set-up they need, in .venv; nothing else is touched.
PYTHON ?= python3
RUN ?= runs/beta_vae
# Further arguments of the training: make train RUN=runs/seed1 ARGS="--gin_bindings=train.seed=1"
ARGS ?=
VENV := .venv
INSTALLED := $(VENV)/.installed

.PHONY: train test lint benchmark faults kernels clean

train: $(INSTALLED)
	$(VENV)/bin/python -m zoo.train --gin_file=gin/beta_vae.gin --run_dir=$(RUN) $(ARGS)

test: $(INSTALLED)
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m pytest

benchmark: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --editable '.[benchmark,portable]'
	for name in train_throughput metrics jacobian slots datasets scale portable; do \
		$(VENV)/bin/python -m benchmarks.$$name; done

faults: $(INSTALLED)
	$(VENV)/bin/python -m tests.faults

# What the explorer computes with; needs clang, lld and llvm (Debian's packages of these names).
kernels: zoo/explorer/kernels.wasm

zoo/explorer/kernels.wasm: zoo/explorer/kernels.c
	clang --target=wasm32 -O3 -msimd128 -nostdlib -ffreestanding -Wall -Werror -Wl,--no-entry \
		-Wl,--export=__heap_base -Wl,--strip-all -o $@ $<
	sha256sum $< | head -c 64 > $@.source
	llvm-objcopy --add-section=source=$@.source $@
	rm $@.source

$(INSTALLED): setup.py pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --upgrade pip
	$(VENV)/bin/python -m pip install --quiet --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
