# make run [PROFILE=smoke|laptop|gpu] [ONLY=07] [PARAMS="-p name value"]   execute the series
#     a value with spaces stands in quotes: PARAMS='-p sentence "a red flower"'
# make test [PROFILE=smoke|gpu]   style, unit tests, every notebook; a claim that fails, fails it
# make lab [FOLDER=notebooks]    JupyterLab on student/ where it is, else on notebooks/
# make student [ONLY=07]   write student/: the notebooks without solutions; nobody's work is touched
# make refresh [PROFILE=laptop|gpu] [ONLY=07]   re-execute and store outputs
# make study ONLY=04 [PROFILE=laptop|gpu] [SEEDS=0,1]   run other seeds and settings, store the study
# make home      rewrite badges, set-up cells and links after a change of the publishing home
# make kaggle    build the data set with which the notebooks run on Kaggle without internet
#
# Each makes .venv first where it is missing or older than the requirements. PYTHON= chooses the
# Python, CONSTRAINTS= (empty) installs the newest versions in place of the tested ones.

.PHONY: run test lab student refresh study home kaggle clean
.DEFAULT_GOAL := run
SHELL := /bin/bash

PROFILE ?=
ONLY ?=
PARAMS ?=
SEEDS ?=
CONSTRAINTS ?= constraints.txt
FOLDER ?= $(or $(wildcard student),notebooks)

# The first Python that is new enough and can make an environment.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python; do \
  $$p -c 'import ensurepip, sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
  >/dev/null 2>&1 && echo $$p && break; done)

BIN := .venv/bin
READY := .venv/.ready

$(READY): pyproject.toml $(CONSTRAINTS)
	@test -n "$(PYTHON)" || { echo "no Python 3.11 to 3.13 with venv found; say which: make PYTHON=…"; exit 1; }
	@rm -f $@
	@test -x $(BIN)/python || { echo "making .venv with $(PYTHON)"; $(PYTHON) -m venv .venv; }
	@$(BIN)/python tools/install.py .venv/install.log -e '.[dev]' $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
	@touch $@

run: $(READY)
	@$(BIN)/python tools/series.py run --profile "$(PROFILE)" --only "$(ONLY)" $(PARAMS)

refresh: $(READY)
	@$(BIN)/python tools/series.py refresh --profile "$(PROFILE)" --only "$(ONLY)"

# A run that is in build/studies/ already is not run again; mind that `make clean` removes them.
study: $(READY)
	@$(BIN)/python tools/study.py --profile "$(PROFILE)" --only "$(ONLY)" --seeds "$(SEEDS)" $(PARAMS)

home kaggle: $(READY)
	@$(BIN)/python tools/publish.py $@

lab: $(READY)
	@$(BIN)/jupyter lab --notebook-dir="$(FOLDER)"

student: $(READY)
	@$(BIN)/python tools/student.py --only "$(ONLY)"

# nbval runs a notebook from its own folder with the kernel of .venv; neither cells nor claims may
# fail.
test: $(READY)
	@$(BIN)/ruff check --quiet --output-format=concise .
	@$(BIN)/python -m pytest -q tests --ignore=tests/benchmarks --benchmark-disable --timeout=600 \
	  --jaxtyping-packages=t2i_utils,beartype.beartype
	@T2I_PROFILE=$(or $(PROFILE),smoke) $(BIN)/python -m pytest -q -p tools.claims \
	  --nbval-lax --nbval-current-env --nbval-cell-timeout=3600 --durations=0 --durations-min=5 notebooks

# student/ is not removed: it holds answers.
clean:
	@rm -rf build
