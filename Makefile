# make benchmark   score every method on real photographs and write the tables
# make test        ruff, mypy and pytest
# make demo        open the demo in a browser
# make figures     draw the README's picture again; needs FTIM_DATA
#
# Each builds .venv first when it is absent or older than its description. PYTHON=... chooses the interpreter.

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: help benchmark test figures demo lint browser format environment clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

benchmark: $(INSTALLED)
	$(BIN)/python benchmark/run.py --methods all $(ARGS)

test: lint browser
	$(BIN)/python -m pytest $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

browser:
	@bash scripts/browser.sh

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

figures: $(INSTALLED)
	$(BIN)/python scripts/make_figures.py $(ARGS)

demo: $(INSTALLED)
	$(BIN)/python demo/app.py $(ARGS)

environment: $(INSTALLED)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache

# The stamp is written last, so that an interrupted installation is taken up again.
$(INSTALLED): requirements.txt pyproject.toml scripts/environment.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash scripts/environment.sh
	@touch $@
