# make run      the whole way on an embedded etcd: manifests → syncer → etcd → dnsserver on 127.0.0.1:1053
# make test     lint, types, import contracts and the whole test suite
# make fuzz     octets to responses under a coverage-guided fuzzer, a minute long (SECONDS=3600: an hour)
# make bench    CPU time per query beside Knot, NSD and BIND, a its table and plot go to docs/
# make install  the environment alone (.venv/)
#
# On a new machine: Python 3.11 or later with its venv module, and make (Debian: python3-venv, make).

PYTHON ?= python3
PORT ?= 1053
SECONDS := 60
JOBS ?= 2
MANIFESTS ?= config/examples
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: run test check fuzz bench install clean

run: $(STAMP)
	@PORT=$(PORT) MANIFESTS=$(MANIFESTS) $(BIN)/python -m tools.run

# What measures time or CPU runs after the others, by itself.
test: check
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile -m 'not slow and not alone' $(PYTEST)
	$(BIN)/python -m pytest -m 'alone and not slow' $(PYTEST) || [ $$? = 5 ]

check: $(STAMP)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

fuzz: $(STAMP)
	UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --inexact --all-extras --group fuzz --quiet
	$(BIN)/python -m tests.fuzz.respond -max_total_time=$(SECONDS) -print_final_stats=1 -verbosity=0

bench: $(STAMP)
	UV_PROJECT_ENVIRONMENT=.venv $(BIN)/uv sync --frozen --inexact --all-extras --group bench --quiet
	$(BIN)/python -m tests.bench --write $(BENCH)

install: $(STAMP)

$(STAMP): pyproject.toml uv.lock
	@$(PYTHON) -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo 'Python 3.11 or later with its venv module is needed (Debian: apt-get install python3-venv);' >&2; \
	  echo 'name another interpreter with: make PYTHON=python3.12' >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m ensurepip -q
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9,<0.14'
	UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never $(BIN)/uv sync --frozen --inexact --all-extras --quiet
	@touch $(STAMP)

clean:
	rm -rf .venv .fuzz .mypy_cache .ruff_cache .hypothesis .import_linter_cache
