# Every target that needs the environment depends on .venv/.installed: instant when nothing changed.
PY ?= python3
BIN := .venv/bin

.PHONY: install demo test check bench clean nightly-test

install: .venv/.installed

.venv/.installed: pyproject.toml constraints.txt
	$(PY) -m venv .venv
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev,jxl]'
	touch $@
