# make benchmark   score every method on real photographs and write the tables
# make test        ruff, mypy and pytest
# make demo        open the demo in a browser
# make docs        pages of the package from its docstrings, in docs/site
# make hostile     thousands of broken and malicious files: a result or a clear error for each
# make faults      kill, interrupt and fill the disk of runs, and resume them
# make audit       known vulnerabilities of the packages that are installed, by pip-audit
# make figures     draw the README's picture again; needs FTIM_DATA
#
# Each builds .venv first when it is absent or older than its description. PYTHON=... chooses the interpreter.

VENV := .venv
# See ftim/__init__.py.
ifndef OMP_WAIT_POLICY
export OMP_WAIT_POLICY := passive
export GOMP_SPINCOUNT := 1000
endif
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: docs help benchmark test hostile faults audit figures demo lint browser format environment clean
.DEFAULT_GOAL := help

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

benchmark: $(INSTALLED)
	$(BIN)/python benchmark/run.py --methods all $(ARGS)

# As many processes as there are cores, each on one thread: twice as fast, and no slower beside other work.
test: lint browser
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal $(ARGS)

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy

browser:
	@bash scripts/browser.sh

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

hostile: $(INSTALLED)
	$(BIN)/python -m scripts.measure.hostile $(ARGS)

faults: $(INSTALLED)
	$(BIN)/python -m scripts.measure.faults $(ARGS)

audit: $(INSTALLED)
	@test -x $(VENV)/audit/bin/pip-audit || \
		{ $(BIN)/python -m venv $(VENV)/audit && $(VENV)/audit/bin/pip install --quiet pip-audit; }
	@$(BIN)/pip freeze --exclude-editable > $(VENV)/audit/packages.txt
	@$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --progress-spinner off \
		-r $(VENV)/audit/packages.txt $(ARGS) || { echo "make audit: packages have known vulnerabilities," \
		"or PyPI's list of them cannot be reached from here; see above" >&2; exit 1; }

figures: $(INSTALLED)
	$(BIN)/python -m scripts.figures.hero $(ARGS)

docs: $(INSTALLED)
	$(BIN)/python -m scripts.docs $(ARGS)

demo: $(INSTALLED)
	$(BIN)/python demo/app.py $(ARGS)

environment: $(INSTALLED)

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache

# The stamp is written last, so that an interrupted installation is taken up again.
$(INSTALLED): requirements.txt pyproject.toml scripts/environment.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" bash scripts/environment.sh
	@touch $@
