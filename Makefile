# make train: everything from nothing to a trained model. make test: the proofs. PYTHON= names another Python.
.PHONY: setup train test bench check core shaders clean
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

check: .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/pyright

# While working on native/ or shaders/: rebuilds what changed, in place. `shaders` goes on after one that fails.
core: .venv/.setup
	$(CMAKE) --build build/editable

shaders: .venv/.setup
	$(CMAKE) --build build/editable --target shaders -- -k $(if $(wildcard build/editable/build.ninja),0)

clean:
	rm -rf build nyx/_core*.so nyx/spirv/*.spv .venv/.built .venv/.setup .venv/.tests

.venv/.setup: pyproject.toml scripts/setup.sh
	scripts/setup.sh
	@touch $@

.venv/.tests: pyproject.toml scripts/setup.sh
	scripts/setup.sh test
	@touch $@ .venv/.setup

.venv/.built: .venv/.setup $(SOURCES)
	$(CMAKE) --build build/editable
	@touch $@
