# Everything goes through here, for people and for .ci/run alike. Each target sets up .venv by
# itself when pyproject.toml or constraints.txt changed. GNU make.

SYSTEM_PYTHON ?= python3
MINUTES ?= 4
BENCH_ARGS ?=
RUN := runs/demo
BIN := .venv/bin
STAMP := .venv/.sparsepath-ready
EXTRAS := train,demo,molecules,oidc,fast,dev,docs
APT := apt-get install -y python3 python3-venv make

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export NO_MKDOCS_2_WARNING := 1
# Progress lines reach a log at once instead of when the process ends.
export PYTHONUNBUFFERED := 1

.PHONY: help setup demo web e2e test test-fast test-triton check bench docs reference release lock clean
.DEFAULT_GOAL := help

help:
	@echo "make demo       find the pathways of a model on built-in data (MINUTES=$(MINUTES)); writes $(RUN)/report.html"
	@echo "make test       every test            make test-fast  without the slow ones"
	@echo "make test-triton  the GPU kernels in Triton's interpreter (installs Triton, 0.9 GB)"
	@echo "make e2e        the web page in Chromium; make web builds it (needs Node.js 20)"
	@echo "make check      ruff, mypy, import-linter, docs build"
	@echo "make bench      every benchmark, the shortest first, and one table"
	@echo "make docs       the documentation, in site/"
	@echo "make reference  write docs/reference/ again from the code"
	@echo "make release    wheel and sdist, in dist/"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt setup.py $(wildcard src/sparsepath/kernels/native/*.[ch])
	@command -v $(SYSTEM_PYTHON) >/dev/null || { \
	  echo "error: $(SYSTEM_PYTHON) is not installed"; echo "  fix: $(APT)"; exit 1; } >&2
	@$(SYSTEM_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: Python 3.11 or newer is needed, $$($(SYSTEM_PYTHON) --version) was found"; \
	  echo "  fix: $(APT)    (Debian 12 or newer; elsewhere: make setup SYSTEM_PYTHON=python3.11)"; \
	  exit 1; } >&2
	@$(SYSTEM_PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: Python has no venv module"; echo "  fix: $(APT)"; exit 1; } >&2
	@test -x $(BIN)/pip || $(SYSTEM_PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt pip setuptools
	$(BIN)/pip install --quiet --constraint constraints.txt --no-build-isolation --editable '.[$(EXTRAS)]'
	@touch $@

demo: $(STAMP)
	$(BIN)/sparsepath poc demo --minutes $(MINUTES) --out $(RUN)
	@echo "report: $(CURDIR)/$(RUN)/report.html"

test: $(STAMP)
	$(BIN)/pytest -n 2 -m 'not e2e'

test-fast: $(STAMP)
	$(BIN)/pytest -n 2 -m 'not slow and not e2e'

# The page is committed as it is built, so that only who changes web/ needs Node.js.
web: $(STAMP)
	$(BIN)/python web/_write_openapi.py
	npm --prefix web ci --no-audit --no-fund
	npm --prefix web run types
	npm --prefix web run build
	$(BIN)/python web/_manifest.py

e2e: $(STAMP)
	$(BIN)/pytest -m e2e tests/e2e

test-triton: $(STAMP)
	$(BIN)/python -c 'import triton' 2>/dev/null || \
	  $(BIN)/pip install --quiet -c constraints.txt triton
	$(BIN)/pytest -n 2 tests/kernels/test_triton.py tests/kernels/test_triton_largest.py

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/mkdocs build --strict

bench: $(STAMP)
	$(BIN)/python benchmarks/_run_all.py $(BENCH_ARGS)

docs: $(STAMP)
	$(BIN)/mkdocs build --strict
	@echo "documentation: $(CURDIR)/site/index.html"

reference: $(STAMP)
	$(BIN)/python docs/_write_reference.py

release: $(STAMP)
	rm -rf dist
	$(BIN)/python -m build --no-isolation --outdir dist

lock: $(STAMP)
	{ echo "# Every package of the development environment, pinned. Written by: make lock"; \
	  $(BIN)/pip list --format=freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints.new
	mv constraints.new constraints.txt

clean:
	rm -rf build dist site .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
