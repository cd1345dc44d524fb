# Needs make and one of these versions of Python with venv; everything else goes into .venv. `make help` lists what there
# is. All versions in requirements.txt have wheels for these (tools/wheels.py asks).
PYTHONS := 3.14 3.13 3.12 3.11
SERVED := Python $(lastword $(PYTHONS)) to $(firstword $(PYTHONS))
is_served = -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in "$(PYTHONS)".split())' >/dev/null 2>&1

# python3 where it is one of them, else the newest on the path.
PYTHON ?= $(shell for python in python3 $(addprefix python,$(PYTHONS)); do \
	$$python $(is_served) && echo $$python && exit; done; echo python3)
NB ?= $(sort $(wildcard chapters/*.ipynb))
PORT ?= 8000
TESTS ?=

BIN := .venv/bin
HTML := _build/html
BUILT := $(HTML)/index.html
TESTED := .venv/.test
# How long the tests take on two cores, as measured; the README says the same.
TIME := 30 minutes on two cores
QUICK_TIME := 2 minutes
INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.txt
# What the pages are made from, listed here alone: chapters and pages, what reads them, and the helpers' docstrings.
SOURCES := _config.yml _toc.yml references.bib \
	$(wildcard *.md helpers/*.md chapters/*.ipynb _static/* _templates/*/* book/*.py book/*.js book/*.css book/search/* book/moving/* book/lectures/* book/claims/*.py lowrank_helpers/*.py lowrank_helpers/*/*.py lowrank_helpers/*/*.html lowrank_helpers/*/*.js)

# Empty where $(PYTHON) will do, else one sentence that says what is wrong.
python_problem = $(shell \
	if ! command -v $(PYTHON) >/dev/null 2>&1; then \
		echo "This book needs $(SERVED), and there is no $(PYTHON) here"; \
	elif ! $(PYTHON) $(is_served); then \
		echo "This book needs $(SERVED), and $(PYTHON) is $$($(PYTHON) --version 2>&1)"; \
	elif ! $(PYTHON) -c 'import ensurepip, venv' >/dev/null 2>&1; then \
		echo "This book needs Python's venv module with pip: on Debian and Ubuntu, apt install python3-venv"; \
	fi)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help book notebooks text test quick browser execute lint bench publish serve zip pdf linkcheck test-portable test-colab test-spark clean

help:  ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

book: $(BUILT)  ## build the HTML into _build/html and say where to open it
	@echo "The book is built: open file://$(CURDIR)/$(HTML)/index.html"

notebooks: $(BUILT)  ## make the chapters' notebooks for Colab and Jupyter, full/ and student/, into _build/notebooks
	rm -rf _build/notebooks
	cp -R $(HTML)/notebooks _build/notebooks

text: $(TESTED)  ## write chapters as text, with a list of what they compare, into _build/text (NB=…)
	mkdir -p _build/text
	$(foreach nb,$(NB),$(BIN)/jupytext --quiet --to md:myst --output _build/text/$(notdir $(nb:.ipynb=.md)) $(nb) &&) true
	$(BIN)/python -m tools.comparatives $(NB) > _build/text/comparatives.txt

test: $(TESTED) browser $(BUILT)  ## run all tests: helpers, claims, notebooks, pages (TESTS=tests/package/svd: those alone)
	$(if $(TESTS),,@echo "All tests take about $(TIME).")
	$(BIN)/python -m pytest $(TESTS)

quick: $(TESTED)  ## run the fast tests of helpers and claims: no notebooks, no pages, no long training
	@echo "These tests take about $(QUICK_TIME) on two cores."
	$(BIN)/python -m pytest -m "not slow" lowrank_helpers tests/package tests/book/test_ledger.py

browser: $(TESTED)  ## name the browser that the pages are tested in; get one where there is none
	@$(BIN)/python -m tools.browser

execute: $(TESTED)  ## run chapters in fresh kernels and store their outputs (NB=chapters/01_norms.ipynb; all without)
	$(BIN)/python -m tools.execute $(NB)

lint: $(TESTED)  ## ruff (rules and format) and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: export OMP_NUM_THREADS ?= 2
bench: $(TESTED)  ## run benchmarks/, put their figures into measured.md, print each chapter's time, memory and size
	$(foreach study,svd nmf lsa completion lora,$(BIN)/python -m benchmarks.peers.$(study) && ) true
	$(BIN)/python -m tools.measured
	$(BIN)/python -m tools.time_chapters $(NB)

publish: .venv/.book  ## write address and version where readers meet them (REPO=owner/name; else as in _config.yml)
	$(BIN)/python -m tools.publish $(REPO)

serve: $(BUILT)  ## show the built book at http://localhost:8000 (PORT=8000)
	$(BIN)/python -m http.server --bind 127.0.0.1 --directory $(HTML) $(PORT)

zip: $(BUILT)  ## pack the HTML into _build/lowrank-book-html.zip
	$(BIN)/python -c 'import shutil; print(shutil.make_archive("_build/lowrank-book-html", "zip", "$(HTML)"))'

pdf: $(TESTED) browser $(BUILT)  ## print the whole book into _build/low-rank.pdf: contents, numbers, links, solutions at the end
	$(BIN)/python -m tools.pdf

linkcheck: .venv/.book  ## ask every link of the book whether it still answers (needs the network)
	$(BIN)/jupyter-book build . --all --builder linkcheck

test-portable: $(TESTED)  ## run the tests and notebooks as other processors (OPTIONS=--quick; all: OPTIONS=--help)
	$(BIN)/python -m tools.portable $(OPTIONS)

test-colab: $(TESTED) $(BUILT)  ## run every chapter as Colab does: alone, helpers installed by its first cell
	BOOK_COLAB=all $(BIN)/python -m pytest tests/book/test_colab.py

test-spark: .venv/.spark  ## hold Spark's ALS against ours (needs Java; Debian, Ubuntu: apt install default-jre-headless)
	$(BIN)/python -m pytest -n 0 tests/spark

clean:  ## remove the built book, the virtual environments and all caches
	rm -rf _build .venv .venv-oldest .venv-newest .pytest_cache .ruff_cache .mypy_cache .hypothesis lowrank_helpers.egg-info

# Warnings are errors. All pages are written anew, because pages show what other pages hold, and because a page
# that is not read again does not repeat its warnings. If it fails, make deletes index.html, so that it is made again.
$(BUILT): .venv/.book $(SOURCES)
	$(BIN)/jupyter-book build . --all --quiet -W -n --keep-going
	@touch $@

.venv/.book: requirements.txt pyproject.toml
	$(if $(python_problem),$(error $(python_problem)))
	@echo "Installing what requirements.txt pins into .venv: a minute or two."
	@$(PYTHON) -m venv .venv
	@$(INSTALL) setuptools wheel
	@$(INSTALL) --no-build-isolation --editable ".[book]"
	@touch $@

$(TESTED): .venv/.book
	@echo "Installing what the tests need into .venv, torch and PEFT among it: some minutes."
	@$(INSTALL) --no-build-isolation --editable ".[book,test,torch,peft,finetune,scale]"
	@touch $@

.venv/.spark: $(TESTED)
	@echo "Installing Spark into .venv: half a gigabyte."
	@$(INSTALL) --no-build-isolation --editable ".[spark]"
	@touch $@
