# On a bare machine: python3 (3.11 or later) with pip and venv, and make.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
COMPILE := $(BIN)/python -m compileall -q -j 0 -x '/tests?/' $(VENV)/lib
INPUTS := pyproject.toml constraints.txt
LINKED := build/linked
# Each compiles kernels and holds a venue or two: a gigabyte of memory.
TEST_WORKERS ?= 2

.PHONY: demo test check format bench verify reproduce constraints install clean linked \
	check-format check-lint check-types check-imports

demo: $(VENV)/installed-run
	$(BIN)/stressbook demo

test: $(VENV)/installed-dev
	$(BIN)/python -m pytest --numprocesses $(TEST_WORKERS) --dist worksteal

# `make -k check` goes on after a failure.
check: check-format check-lint check-types check-imports

check-format: $(VENV)/installed-dev
	$(BIN)/ruff format --check .

check-lint: $(VENV)/installed-dev
	$(BIN)/ruff check .

check-types: $(VENV)/installed-dev linked
	MYPYPATH=$(LINKED) $(BIN)/mypy

check-imports: $(VENV)/installed-dev linked
	PYTHONPATH=$(LINKED) $(BIN)/lint-imports --no-logo

format: $(VENV)/installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/installed-dev
	$(BIN)/python -m benchmarks

# Comparisons with theory and with published ranges, at full size: about an hour on two cores. It
# rebuilds the tables of docs/behaviour.md; a second call goes on where the first was stopped.
verify: $(VENV)/installed-dev
	$(BIN)/python -m stressbook.experiments.validation --workers 2 \
		--page docs/behaviour.md --reference results/reference/behaviour.json
	$(BIN)/python -m pytest -m verify

# The reference studies again, compared with what is kept: about half an hour on two idle cores. A
# second call goes on where the first was stopped; `make reproduce WRITE=--write` keeps new results.
reproduce: $(VENV)/installed-dev
	$(BIN)/python -m stressbook.experiments.studies.reference --workers 2 $(WRITE)

install: $(VENV)/installed-dev

constraints: $(VENV)/installed-dev
	@{ echo "# What \`make\` installs, pinned; made by \`make constraints\`."; \
	   $(BIN)/python -m pip freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+=='; } > constraints.new
	@mv constraints.new constraints.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# The editable install maps folders, so new files are seen at once; only dependencies and the list
# of packages call for another install. Compiling on all cores takes a third of pip's time for it.
$(VENV)/installed-run: $(INPUTS) | $(BIN)/python
	$(PIP) --editable .
	@$(COMPILE)
	@touch $@

$(VENV)/installed-dev: $(INPUTS) | $(BIN)/python
	$(PIP) --editable '.[dev]'
	@$(COMPILE)
	@touch $@ $(VENV)/installed-run

# Type checker and import linter read folders, not import hooks: links show them one package.
linked:
	@mkdir -p $(LINKED)/stressbook
	@ln -sfn $(CURDIR)/src/stressbook/* $(CURDIR)/agents $(CURDIR)/market $(CURDIR)/experiments $(LINKED)/stressbook
	@find $(LINKED) -type l ! -exec test -e {} \; -exec rm -f {} +
