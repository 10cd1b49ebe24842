# Two commands matter: `make demo` and `make test`. Every target that needs the environment
# depends on .venv/.installed, which is instant when pyproject.toml and constraints.txt are older.
PY ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check

.PHONY: help install demo test chaos check bench clean

help:
	@echo "make demo     install, synthesise an episode, render it, show what to try next"
	@echo "make install  the environment in .venv"
	@echo "make test     check, then the whole suite (S3 on a real server it starts by itself)"
	@echo "make chaos    the nightly suite: seeded kills, faults and bad input by the hundred"
	@echo "make check    ruff, types, import rules"
	@echo "make bench    frames per second beside the bare loop, pictures beside the references"

install: .venv/.installed

# The CPU build of torch is plenty; whoever has CUDA installs that build into .venv first.
.venv/.installed: pyproject.toml constraints.txt
	$(PY) -m venv .venv
	$(PIP) -c constraints.txt -e '.[dev,jxl,onnx]'
	@touch $@

# OpenStack Swift, the real S3 server of the tests, has dependencies of its own.
.venv-swift/.installed: tests/servers/swift-requirements.txt
	$(PY) -m venv .venv-swift
	.venv-swift/bin/python -m pip install -q --disable-pip-version-check -r $<
	@touch $@

# Everything the demo makes lies under demo/: remove that folder to see it rendered again.
demo: install
	@$(BIN)/douga sample demo/short --size 320x180 --seconds 8 --no-truth
	@$(BIN)/douga render demo/short/episode.yaml

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check .venv-swift/.installed
	$(BIN)/python -m pytest -q

chaos: install .venv-swift/.installed
	$(BIN)/python -m pytest -q -m chaos

bench: install
	$(BIN)/douga bench speed
	$(BIN)/douga bench pictures

clean:
	rm -rf demo build .mypy_cache .ruff_cache .pytest_cache
