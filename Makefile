# make run     executes the seven notebooks and prints what they measured
# make test    checks the library and the notebooks, on the sample, without a network
# Both build the environment in .venv first if it is missing or out of date.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin

# CPU_ONLY=1 takes the small PyTorch and CUDA=1 the big one; without either, install.py looks
# whether there is a GPU. CONSTRAINTS= takes the newest versions of everything.
CPU_ONLY    ?=
CUDA        ?=
CONSTRAINTS ?= constraints.txt
INSTALL := $(PYTHON) install.py --venv $(VENV) $(if $(CPU_ONLY),--cpu) $(if $(CUDA),--cuda) \
           $(if $(CONSTRAINTS),--constraints $(CONSTRAINTS),--newest)

.PHONY: setup run test test-full lab book slides reader bench figures notebooks mutants lint clean

setup:
	@$(INSTALL)

run: setup
	@$(BIN)/mnistkit doctor --quiet
	$(BIN)/mnistkit run

test: setup
	@MNISTKIT_SOURCE=sample MNISTKIT_MOBILENET=random $(BIN)/mnistkit doctor --quiet
	$(BIN)/mnistkit test

# With the full data in MNISTKIT_DATA: every number within its bounds.
test-full: setup
	$(BIN)/mnistkit test --full

# Copies of the notebooks in work/; answers in them stay.
lab: setup
	$(BIN)/mnistkit lab

# The series as web pages that need no network, in build/book.
book: setup
	$(BIN)/mnistkit book

# The series as slides for a lecture hall, in build/slides; npm fetches reveal.js the first time.
slides: setup
	$(BIN)/mnistkit slides

# Trains the reader that comes with the library anew, measures it, and puts it into the package.
reader: setup
	$(BIN)/mnistkit reader --publish

# PUBLISH=1 puts the results into tests/benchmarks/README.md; MNISTKIT_BFLOAT16=0 measures without bfloat16.
bench: setup
	TQDM_DISABLE=1 $(BIN)/python -m tests.benchmarks $(if $(PUBLISH),--publish)

# Executes the notebooks on full data and puts them and their figures into the project.
notebooks figures: setup
	$(BIN)/mnistkit run -p save_figures True
	$(BIN)/mnistkit normalize --into notebooks runs/*.ipynb
	cp runs/figures/*.png figures/

# Tries 600 mutants of the library and lists those that no test notices: half an hour.
mutants: setup
	$(BIN)/python -m tests.mutants

lint: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) runs build *.egg-info
