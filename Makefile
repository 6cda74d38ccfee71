# These need Python 3.10 or newer and nothing else; dev.py and supply.py do the work, also without make.

PYTHON ?= python3
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help run test test-long bench requirements audit clean

help:
	@echo "make run     serve Flasky at http://127.0.0.1:8000/; another port: make run PORT=8001"
	@echo "make test    run the linter, the type checker and the tests that take no long time; needs no server"
	@echo "make test-long   run the tests that make test leaves out; so do both before a change is sent in"
	@echo "make bench   measure Flasky beside its peers; some figures only: make bench BENCH='--quick --only drain'"
	@echo "make audit   ask whether a vulnerability is known of any package in the requirements files"
	@echo "make requirements   write these files anew from pyproject.toml; newer versions: OPTIONS=--upgrade"
	@echo "make clean   remove .venv, caches and reports; .env and the database stay"
	@echo "Another Python than python3: make clean run PYTHON=python3.12"

run test test-long: ARGUMENTS = dev.py $@ "$(PORT)"
requirements audit: ARGUMENTS = supply.py $@ $(OPTIONS)
run test test-long requirements audit:
	@"$(PYTHON)" -c "" 2>/dev/null || { echo "Flasky needs Python 3.10 or newer, and $(PYTHON) does not run here: install it, or name another: PYTHON=python3.12" >&2; exit 1; }
	@exec "$(PYTHON)" $(ARGUMENTS)

bench: benchmarks/.venv/installed.txt
	@exec benchmarks/.venv/bin/python -m benchmarks $(BENCH)

# Touched last: an interrupted installation starts anew.
benchmarks/.venv/installed.txt: requirements.txt benchmarks/requirements.txt requirements-databases.txt
	@echo "Installing the peers into benchmarks/.venv; this can take a minute."
	@"$(PYTHON)" -m venv benchmarks/.venv
	@benchmarks/.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check -r requirements.txt -r benchmarks/requirements.txt
	@benchmarks/.venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check -r requirements-databases.txt || echo "mysqlclient cannot be built here (Debian: gcc pkg-config libmariadb-dev): MariaDB will not be measured."
	@touch $@

clean:
	@rm -rf .venv .venv-supply benchmarks/.venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov staticfiles dist
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
