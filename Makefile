# make train | serve | test | lint | docs | benchmark: each sets up .venv first if needed, and does nothing twice.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DOCS_READY := $(VENV)/.docs-ready

.PHONY: train serve test lint docs benchmark setup clean
.DELETE_ON_ERROR:

train: setup
	$(BIN)/python scripts/train_ray.py --preset sudoku4-quick --num-workers $$($(BIN)/python -c "import os; print(min(2, len(os.sched_getaffinity(0))))")

# The shipped models behind an API and a page, on http://127.0.0.1:8000, until Ctrl-C.
serve: setup
	$(BIN)/hrm-rl serve --no-ray

# One process more than cores: that of the tests with Ray waits for other processes half of the time.
test: setup
	$(BIN)/python -m pytest --no-loadscope-reorder --numprocesses $$($(BIN)/python -c "import os; print(min(4, 1 + len(os.sched_getaffinity(0))))")

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy hrm_rl envs

# The site, in build/site; a warning is an error. `python docs/render.py` renews the rendered pages first.
docs: $(DOCS_READY)
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs build/site
	@echo "built build/site/index.html"
	@$(BIN)/python docs/demo.py

benchmark: setup
	$(BIN)/python scripts/benchmark.py

setup: $(READY)

# torch comes first and pinned: an open range would fetch another build of several GB.
$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "error: $(PYTHON) is older than 3.10; run make with PYTHON=python3.X" >&2; exit 2; }
	@echo "setting up $(VENV): a few minutes, once"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt "$$(grep '^torch==' constraints.txt)"
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $(READY)

$(DOCS_READY): $(READY)
	@$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[docs]'
	@touch $(DOCS_READY)

clean:
	rm -rf $(VENV)
