# `make run` and `make test` need Python 3.10 or newer and nothing else; dev.py does the work, also without make.

PYTHON ?= python3
PORT ?= 8000

.DEFAULT_GOAL := help
.PHONY: help run test clean

help:
	@echo "make run     serve Flasky at http://127.0.0.1:8000/; another port: make run PORT=8001"
	@echo "make test    run the linter, the type checker and the tests; needs no server"
	@echo "make clean   remove .venv, caches and reports; .env and the database stay"
	@echo "Another Python than python3: make clean run PYTHON=python3.12"

run test:
	@"$(PYTHON)" -c "" 2>/dev/null || { echo "Flasky needs Python 3.10 or newer, and $(PYTHON) does not run here: install it, or name another: PYTHON=python3.12" >&2; exit 1; }
	@exec "$(PYTHON)" dev.py $@ "$(PORT)"

clean:
	@rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* htmlcov staticfiles
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
