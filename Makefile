# Two commands matter: `make demo` and `make test`. Every target that needs the environment
# depends on .venv/.installed, which is instant when pyproject.toml, setup.py and constraints.txt are older.
PY ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check

JOBS ?= 2
# Groups of tests share Ray, Prefect or Swift: tests/conftest.py says which.
PYTEST := $(BIN)/python -m pytest -q
SIDE_BY_SIDE := -n $(JOBS) --no-loadscope-reorder

.PHONY: help install install-dev demo check test test-fast test-desk chaos nightly bench bench-farm docs map schemas clean

help:
	@echo "make demo         install, synthesise an episode, render it, show what to try next"
	@echo "make install      what a render needs, in .venv"
	@echo "make install-dev  and the developers' tools"
	@echo "make check        ruff, types, import rules"
	@echo "make test         check, then every promise (S3 on a real server it starts by itself)"
	@echo "make test-fast    what needs no Ray, Prefect or Swift, in two minutes"
	@echo "make test-desk    the desk's pages in the system's Chromium"
	@echo "make chaos        seeded kills, faults and bad input by the hundred"
	@echo "make nightly      the promises on more values, the laboratories, and make chaos"
	@echo "make docs         the pages of docs/ as a site in build/site"
	@echo "make map          the picture and the page of the rooms, from the code"
	@echo "make schemas      docs/schemas, from the code"
	@echo "make bench        docs/bench/latest.md: speed beside the limit and peers, in ten minutes"
	@echo "make bench-farm   docs/bench/farm.md: a farm that many share beside its limits, in 20 minutes"

install: .venv/.installed

# The CPU build of torch is plenty; whoever has CUDA installs that build into .venv first.
.venv/.installed: pyproject.toml setup.py constraints.txt
	$(PY) -m venv .venv
	$(PIP) -c constraints.txt -e '.[jxl,onnx,fast]'
	@touch $@

install-dev: .venv/.installed-dev

.venv/.installed-dev: .venv/.installed
	$(PIP) -c constraints.txt -e '.[dev,docs,jxl,onnx,fast]'
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

check: install-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check .venv-swift/.installed
	$(PYTEST) $(SIDE_BY_SIDE) --durations 25

test-fast: install-dev
	$(PYTEST) $(SIDE_BY_SIDE) --hypothesis-profile fast -m 'not chaos and not nightly and not servers and not browser'

# In Debian's chromium, installed here where that may be; pictures of every page are left in build/desk.
test-desk: install-dev
	@command -v chromium >/dev/null || [ "$$(id -u)" != 0 ] || \
	  { apt-get update -q && apt-get install -y -q --no-install-recommends chromium; } >/dev/null || true
	$(PYTEST) -m browser tests/browser

# One process: kills come at moments that a neighbour would shift.
chaos: install-dev .venv-swift/.installed
	$(PYTEST) -m chaos

nightly: install-dev .venv-swift/.installed
	$(PYTEST) $(SIDE_BY_SIDE) -m 'nightly and not chaos'
	$(MAKE) chaos

docs: install-dev
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# The JSON Schemas of what is written and printed, from the code.
schemas: install
	$(BIN)/python -m flows.commands.schemas

# The picture and the page of the rooms, from the code.
map: install-dev
	$(BIN)/python docs/map.py

bench: install
	$(BIN)/python -m flows.commands.bench_page docs/bench

bench-farm: install-dev
	$(BIN)/python -m tests.bench_farm docs/bench

clean:
	rm -rf demo build .mypy_cache .ruff_cache .pytest_cache
