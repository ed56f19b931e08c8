# Every verb sets the environment up first; that is skipped while nothing changed.
PYTHON_BIN := .venv/bin
READY := $(PYTHON_BIN)/.ready

# The tests start hundreds of Pythons, which are not to compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup run demo test slow oracle faults fuzz check bench simulate model clean

help: ## Say what can be made
	@sed -n 's/^\([a-z]*\):.*## /\1	/p' $(MAKEFILE_LIST) | expand -t 10

setup: $(READY) ## Make .venv with everything in it

run: $(READY) ## Start the whole service on http://127.0.0.1:8000; Ctrl-C stops it
	@exec $(PYTHON_BIN)/latentry serve

demo: $(READY) ## Start it, draw six pictures into demo.png, stop
	@exec $(PYTHON_BIN)/latentry demo

test: $(READY) ## Run the tests; 6 minutes on two cores
	@$(PYTHON_BIN)/python -m pytest -n auto

slow: $(READY) ## Run the tests that take long and seldom tell more; CI runs them too
	@$(PYTHON_BIN)/python -m pytest -n auto -m slow

oracle: $(READY) ## Compare every sampler with diffusers, on every kind of model; 10 minutes
	@$(PYTHON_BIN)/python -m pytest -m oracle -q -s tests/worker/engine

faults: $(READY) ## Kill, freeze, fill and flood the service; writes docs/faults.md; 45 minutes
	@rm -f docs/faults.json; status=0; \
	$(PYTHON_BIN)/python -m pytest -m 'faults or not faults' -s --figures docs/faults.json tests/faults || status=$$?; \
	$(PYTHON_BIN)/python -m tests.faults.figures; \
	$(PYTHON_BIN)/python -m pytest -m faults -s tests/hostile || status=$$?; \
	exit $$status

fuzz: $(READY) ## Send hostile input by the ten thousand, and search for more by coverage; 40 minutes
	@$(PYTHON_BIN)/python -m pytest -m fuzz -q -s tests/hostile

check: $(READY) ## Lint, formatting, types, import rules, sizes
	$(PYTHON_BIN)/ruff check
	$(PYTHON_BIN)/ruff format --check
	$(PYTHON_BIN)/mypy
	$(PYTHON_BIN)/lint-imports
	$(PYTHON_BIN)/python -m tools.rules
	$(PYTHON_BIN)/python -m tools.sizes

bench: $(READY) ## Measure engine and service beside the stock pipeline; ten minutes
	@$(PYTHON_BIN)/python -m benchmarks

simulate: $(READY) ## Replay the benchmark's traces on a virtual clock, by tables of costs
	@$(PYTHON_BIN)/python -m benchmarks.simulate

model: $(READY) ## Train models/shapes again; goes on where it was stopped
	@$(PYTHON_BIN)/python -m tools.train

clean: ## Remove the environment and the caches; pictures and jobs in .latentry stay
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist demo.png

$(READY): pyproject.toml constraints.txt deploy/setup.sh
	@sh deploy/setup.sh
	@touch $@
