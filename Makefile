# make train: everything from nothing to a trained model. make test: the proofs. make wheel: what others install, into dist/.
# PYTHON= names another Python.
.PHONY: setup train test bench figures check core shaders wheel clean
.DELETE_ON_ERROR:

BIN := .venv/bin
CMAKE = $(shell command -v cmake || echo $(BIN)/cmake)
SOURCES := $(shell find native shaders cmake -type f) CMakeLists.txt

# Looks again at what is installed, each time; the others do so once.
setup:
	scripts/setup.sh
	@touch .venv/.setup .venv/.built

train: .venv/.built
	$(BIN)/nyx train --config default.yaml

test: .venv/.tests .venv/.built
	$(BIN)/python -m pytest

bench: .venv/.built
	$(BIN)/nyx bench

# What docs/results.md quotes and CI has no time for, two hours on two cores. TEXT and HLX name texts that are not ours to keep here.
figures: .venv/.tests .venv/.built
	$(BIN)/python -m benchmarks.loss_against_torch $(TEXT)
	$(BIN)/python -m benchmarks.cpu_step
	$(BIN)/python -m benchmarks.published_hlxl $(HLX)
	$(BIN)/python -m benchmarks.hrm_against_transformer $(TEXT)
	$(BIN)/python -m benchmarks.memory
	$(BIN)/python -m benchmarks.corpus_memory
	$(BIN)/nyx corpus hlx --out build/hlx.txt --size 9600000
	$(BIN)/nyx train build/hlx.txt --config hlxl-brain --config seven-stages --device cpu --out build/stages.ckpt
	$(BIN)/nyx eval build/stages.ckpt --hlx

check: .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/pyright

# While working on native/ or shaders/: rebuilds what changed, in place. `shaders` goes on after one that fails.
core: .venv/.setup
	$(CMAKE) --build build/editable

shaders: .venv/.setup
	$(CMAKE) --build build/editable --target shaders -- -k $(if $(wildcard build/editable/build.ninja),0)

# A source distribution, and a wheel for each CPython from 3.11 to 3.14 that is here.
wheel:
	scripts/wheel.sh

clean:
	rm -rf build dist nyx/_core*.so nyx/spirv/*.spv .venv/.built .venv/.setup .venv/.tests

.venv/.setup: pyproject.toml scripts/setup.sh
	scripts/setup.sh
	@touch $@

.venv/.tests: pyproject.toml scripts/setup.sh
	scripts/setup.sh test
	@touch $@ .venv/.setup

.venv/.built: .venv/.setup $(SOURCES)
	$(CMAKE) --build build/editable
	@touch $@
