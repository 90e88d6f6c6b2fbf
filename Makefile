# `make train` and `make test` do all the set-up they need, in .venv; nothing else is touched.
PYTHON ?= python3
RUN ?= runs/beta_vae
# Further arguments of the training: make train RUN=runs/seed1 ARGS="--gin_bindings=train.seed=1"
ARGS ?=
VENV := .venv
INSTALLED := $(VENV)/.installed

.PHONY: train test lint benchmark faults docs kernels notebooks pictures clean

train: $(INSTALLED)
	$(VENV)/bin/python -m zoo.train --gin_file=gin/beta_vae.gin --run_dir=$(RUN) $(ARGS)

test: $(INSTALLED)
	$(VENV)/bin/python -m ruff check .
	$(VENV)/bin/python -m ruff format --check .
	$(VENV)/bin/python -m pytest

benchmark: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --editable '.[benchmark,portable]'
	for name in train_throughput metrics jacobian slots datasets scale portable intervals; do \
		$(VENV)/bin/python -m benchmarks.$$name || exit 1; done

# The site, in build/site; a warning is an error.
docs: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --editable '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(VENV)/bin/python -m mkdocs build --quiet --strict

# The tutorials, run and kept with their outputs.
notebooks: $(INSTALLED)
	$(VENV)/bin/python -m pip install --quiet --editable '.[test,benchmark]'
	$(VENV)/bin/python docs/notebooks.py

# The pictures of the site that are made of data and models; kept in the repository.
pictures: $(INSTALLED)
	$(VENV)/bin/python docs/pictures.py

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
