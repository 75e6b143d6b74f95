# Two commands do everything: `make demo` installs the base, `make test` all extras; `make test-all` takes longer. Both make .venv if it is missing.
# `make runtime` fetches what `model_maker demo` runs models with in the browser. `make docs` builds the documentation site.
#
# Python 3.11 first: there tests can compare with most other engines. tflite-support ends with 3.11, TensorFlow with 3.13.
# Each is started once, because pyenv puts commands on the path for Pythons that it does not run.
PYTHONS := python3.11 python3.13 python3.12 python3.14 python3
PYTHON ?= $(shell for python in $(PYTHONS); do \
  $$python -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := model_maker/demo/page/runtime
LITERTJS := node_modules/@litertjs
# Compiling every module of SciPy takes longer than downloading it, and Python compiles what it imports.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile

# A fresh environment is not compiled, see PIP; each process that a test starts would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test test-all check types parity docs notebooks runtime dist clean

demo: $(VENV)/.installed
	@test -d demo/flowers || $(BIN)/model_maker sample-data demo/flowers
	$(BIN)/model_maker train --data demo/flowers --output demo/flowers_model --overwrite
	$(BIN)/model_maker evaluate demo/flowers_model
	$(BIN)/model_maker predict demo/flowers_model demo/flowers/rose/rose_000.jpg demo/flowers/tulip/tulip_001.jpg
	@echo "The model is demo/flowers_model/model.tflite"

# On every core, see tests/helpers/scheduling.py.
WORKERS := auto
# A core for each worker: threads of BLAS and OpenMP would wait for each other, and keep the others from working.
PYTEST = OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 $(BIN)/pytest --numprocesses $(WORKERS) --no-loadscope-reorder --durations 30

test: $(VENV)/.installed-test
	$(PYTEST) $(or $(TESTS),-m "not slow")

test-all: $(VENV)/.installed-test
	$(PYTEST)

# Our networks against timm's and transformers'; timm asks for torchvision, which none of its models needs.
parity: $(VENV)/.installed-parity
	$(PYTEST) tests/parity

# With `--jobs 2`, mypy sees two platforms at a time.
check: types types-darwin types-win32 $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/python tests/helpers/wording.py
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pip check

types: $(VENV)/.installed-test
	$(BIN)/mypy

types-%: $(VENV)/.installed-test
	$(BIN)/mypy --platform $* --cache-dir .mypy_cache/$*

# Any warning is an error: a link or an anchor that leads nowhere, a page that the navigation forgets.
docs: $(VENV)/.installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is build/site/index.html"

# The outputs that the notebooks in colab/ keep; best on a machine that does nothing else, for one of them tells times.
notebooks: $(VENV)/.installed-test
	$(BIN)/python tests/helpers/notebooks.py

# What is released, and used as its users have it, on each of SMOKE_PYTHONS; on the first, types are checked, and the
# README and all pages that need no extra are followed, too. LiteRT.js goes into it.
SMOKED = $(or $(SMOKE_PYTHONS),$(abspath $(BIN))/python)
MYPY = $(abspath $(BIN))/mypy
dist: $(VENV)/.installed-release $(RUNTIME)/package.json
	rm -rf build dist *.egg-info
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	PYTHON=$(firstword $(SMOKED)) MYPY=$(MYPY) PYTEST=$(abspath $(BIN))/pytest tests/helpers/smoke.sh dist/*.whl
	printf '%s\n' $(wordlist 2,9,$(SMOKED)) | xargs -r -P 2 -I {} env PYTHON={} tests/helpers/smoke.sh dist/*.whl

# LiteRT.js: npm checks the packages against package-lock.json. The page has no bundler, so one import gets its path.
runtime: $(RUNTIME)/package.json

$(RUNTIME)/package.json: package-lock.json
	npm ci --omit=dev --loglevel=error
	mkdir -p $(RUNTIME)
	set -e; for build in internal compat_internal threaded_internal; do \
	  install -m 644 $(LITERTJS)/core/wasm/litert_wasm_$$build.js $(LITERTJS)/core/wasm/litert_wasm_$$build.wasm $(RUNTIME); \
	done
	sed 's|"@litertjs/wasm-utils"|"./wasm-utils.js"|' $(LITERTJS)/core/dist/index.js >$(RUNTIME)/core.js
	install -m 644 $(LITERTJS)/wasm-utils/dist/index.js $(RUNTIME)/wasm-utils.js
	install -m 644 LICENSE $(LITERTJS)/core/package.json $(RUNTIME)
	@touch $@

clean:
	rm -rf $(VENV) demo build dist *.egg-info node_modules $(RUNTIME)

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed; none of these works: $(PYTHONS)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg | $(VENV)/bin/python
	@echo "Installing into $(VENV) ..."
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: setup.cfg | $(VENV)/bin/python
	@echo "Installing into $(VENV) with all extras and the test tools; the first time takes some minutes ..."
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-release: setup.cfg | $(VENV)/bin/python
	@echo "Installing into $(VENV) with all extras, the test tools and twine ..."
	$(PIP) --editable '.[test,release]'
	@touch $@ $(VENV)/.installed-test $(VENV)/.installed

# The networks need no extra; where all extras are installed, they stay as they are.
$(VENV)/.installed-parity: setup.cfg | $(VENV)/bin/python
	@echo "Installing torch, transformers and timm into $(VENV) ..."
	$(PIP) --editable '.[$(if $(wildcard $(VENV)/.installed-test),test,test-base),parity]'
	$(PIP) --no-deps 'timm>=1.0.20,<2'
	@touch $@
