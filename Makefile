# Two commands do everything on a fresh Debian machine: `make demo` and `make test`.
# Each builds its own environment in .venv and installs the software Vulkan driver when no adapter is found.

PYTHON ?= python3
BIN := .venv/bin

.PHONY: help demo test lint format bench bench-compare bench-kan bench-pytest parity wheel clean setup-demo setup-dev

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: setup-demo  ## a LeNet learns real handwritten digits on the best adapter, each step verified against NumPy
	$(BIN)/gpucore demo

test: setup-dev  ## the whole test suite with the parity matrix; fails when there is no adapter to test
	$(BIN)/python -m pytest $(PYTEST)

lint: setup-dev  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup-dev  ## ruff's formatter
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

parity: setup-demo  ## the parity matrix of every adapter as a page under bench/reports/
	$(BIN)/gpucore parity

bench: setup-demo  ## the benchmark report of the best adapter under bench/reports/
	$(BIN)/gpucore bench

bench-compare: setup-demo  ## gpucore beside PyTorch and NumPy in one run: ratios and targets under bench/reports/
	$(BIN)/python bench/compare.py

bench-kan: setup-demo  ## KAN networks beside efficient-kan's and pykan's way in PyTorch: times, memory, ratios under bench/reports/
	$(BIN)/python bench/kan.py

bench-pytest: setup-dev  ## the same cases under pytest-benchmark
	$(BIN)/python -m pytest bench --benchmark-enable

wheel: setup-dev  ## a wheel in dist/
	$(BIN)/python -m build --wheel

setup-demo:
	@PYTHON=$(PYTHON) .ci/setup demo

setup-dev:
	@PYTHON=$(PYTHON) .ci/setup dev

clean:  ## removes the environment and what was built
	rm -rf .venv dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
