# make run     executes the seven notebooks and prints what they measured
# make test    checks the library and the notebooks, on the sample, without a network
# Both build the environment in .venv first if it is missing or out of date.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# Exact versions that the tests passed with; CONSTRAINTS= installs the newest instead.
CONSTRAINTS ?= constraints.txt
# CPU_ONLY=1 takes PyTorch's CPU wheels from PyTorch's own index: 1 GB on disk, not 6.7 GB.
CPU_ONLY ?=
STAMP := $(VENV)/.installed$(if $(CPU_ONLY),-cpu)$(if $(CONSTRAINTS),,-newest)
TORCH_INDEX := $(if $(CPU_ONLY),--no-deps --index-url https://download.pytorch.org/whl/cpu)
WITH        := $(if $(CONSTRAINTS),-c $(CONSTRAINTS))
SIZE        := $(if $(CPU_ONLY),about 0.4 GB to download and 1 GB on disk,about 2.5 GB to download and 6.7 GB on disk on Linux; CPU_ONLY=1 takes a fifth)

# nbval and the tests run with these digits and weights, which need no network. Two of them run
# at a time, so none starts further processes unless that is what it tests.
OFFLINE := MNISTKIT_SOURCE=sample MNISTKIT_MOBILENET=random TQDM_DISABLE=1 OMP_NUM_THREADS=1 \
           LOKY_MAX_CPU_COUNT=1
NBVAL   := --nbval-lax --nbval-current-env --nbval-kernel-startup-timeout 120 \
           --nbval-sanitize-with tests/notebooks/sample.cfg -p no:cacheprovider

.PHONY: setup run test test-full lab book bench figures notebooks lint clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt Makefile
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, and $(PYTHON) is older: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || \
	  { echo "Python's venv is missing; on Debian or Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "Building $(VENV): $(SIZE). That takes minutes, and prints little."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(TORCH_INDEX) $(WITH) torch torchvision
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(WITH) -e '.[test]'
	@touch $@

run: $(STAMP)
	$(BIN)/mnistkit run

test: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(OFFLINE) $(BIN)/python -m pytest -n 2 --dist worksteal -m 'not full and not browser'
	$(OFFLINE) $(BIN)/python -m pytest -rs -n 2 --dist loadfile -m browser tests/test_browser.py tests/test_book.py
	$(OFFLINE) $(BIN)/python -m pytest $(NBVAL) -n 2 --dist loadscope notebooks
	@echo "All checks passed."

# With the full data in MNISTKIT_DATA: every number within its bounds.
test-full: $(STAMP)
	@test -d "$${MNISTKIT_DATA:-data}/MNIST/raw" || \
	  { echo "Full MNIST is not in $${MNISTKIT_DATA:-data}/MNIST/raw; set MNISTKIT_DATA."; exit 1; }
	TQDM_DISABLE=1 $(BIN)/python -m pytest -m full --durations=10

# Answers belong into copies: delete one in work/, and it is made anew.
lab: $(STAMP)
	@mkdir -p work
	@for file in notebooks/*.ipynb notebooks/GLOSSARY.md; do \
	  [ -e "work/$${file##*/}" ] || cp "$$file" work/; done
	$(BIN)/jupyter lab work

# The series as web pages that need no network, in build/book.
book: $(STAMP)
	$(BIN)/mnistkit book

# PUBLISH=1 puts the results into the README; MNISTKIT_BFLOAT16=0 measures without bfloat16.
bench: $(STAMP)
	TQDM_DISABLE=1 $(BIN)/python -m tests.benchmarks $(if $(PUBLISH),--publish)

# Executes the notebooks on full data and puts them and their figures into the project.
notebooks figures: $(STAMP)
	$(BIN)/mnistkit run -p save_figures True
	$(BIN)/mnistkit normalize --into notebooks runs/*.ipynb

lint: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) runs build *.egg-info
