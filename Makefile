# Every target sets up the environment first, unless nothing has changed.
PYTHON_BIN := .venv/bin
READY := $(PYTHON_BIN)/.ready

# The tests start hundreds of Python processes, which should share compiled bytecode.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run demo test slow oracle faults fuzz check bench simulate model sdk-ts clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(READY) ## Create .venv with all dependencies

run: $(READY) ## Start the whole service on http://127.0.0.1:8000; Ctrl-C stops it
	@exec $(PYTHON_BIN)/latentry serve

demo: $(READY) ## Start the service, generate six images into demo.png, stop
	@exec $(PYTHON_BIN)/latentry demo

test: $(READY) ## Run the tests; a quarter of an hour on two cores
	@$(PYTHON_BIN)/python -m pytest -n auto

slow: $(READY) ## Run the slow tests, which rarely find more; CI runs them too
	@$(PYTHON_BIN)/python -m pytest -n auto -m slow

oracle: $(READY) ## Compare every sampler with diffusers, on every kind of model; 10 minutes
	@$(PYTHON_BIN)/python -m pytest -m oracle -q -s tests/worker/engine

faults: $(READY) ## Kill, freeze, fill and flood the service; writes docs/faults.md; 45 minutes
	@rm -f docs/faults.json; status=0; \
	$(PYTHON_BIN)/python -m pytest -m 'faults or not faults' -s --figures docs/faults.json tests/faults || status=$$?; \
	$(PYTHON_BIN)/python -m tests.faults.figures; \
	$(PYTHON_BIN)/python -m pytest -m faults -s tests/hostile || status=$$?; \
	exit $$status

fuzz: $(READY) ## Send tens of thousands of hostile inputs, and search for more by coverage; 40 minutes
	@$(PYTHON_BIN)/python -m pytest -m fuzz -q -s tests/hostile

check: $(READY) ## Check lint, formatting, types, import rules, sizes
	$(PYTHON_BIN)/ruff check
	$(PYTHON_BIN)/ruff format --check
	$(PYTHON_BIN)/mypy
	$(PYTHON_BIN)/lint-imports
	$(PYTHON_BIN)/python -m tools.rules
	$(PYTHON_BIN)/python -m tools.sizes

bench: $(READY) ## Compare engine and service with the stock pipeline; twenty minutes
	@$(PYTHON_BIN)/python -m benchmarks
	@$(PYTHON_BIN)/python -m benchmarks.modes
	@$(PYTHON_BIN)/python -m benchmarks.loras

simulate: $(READY) ## Run the benchmark's traces on a virtual clock, with tables of call costs
	@$(PYTHON_BIN)/python -m benchmarks.simulate

model: $(READY) ## Train models/shapes again; resumes where it was stopped
	@$(PYTHON_BIN)/python -m tools.train

sdk-ts: $(READY) ## Generate sdk/typescript from the API document again; needs Node and npm
	@$(PYTHON_BIN)/python -m tools.pages.typescript

clean: ## Remove the environment and the caches; keeps images and jobs in .latentry
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist demo.png

$(READY): pyproject.toml constraints.txt deploy/setup.sh
	@sh deploy/setup.sh
	@touch $@
