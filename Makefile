# Two commands do everything: `make demo` and `make test`. Each makes .venv if it is missing. `make runtime` fetches what
# `model_maker demo` runs models with in the browser. `make docs` builds the documentation site.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
RUNTIME := model_maker/deploy/page/runtime
LITERTJS := node_modules/@litertjs
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.PHONY: demo test check parity docs notebooks runtime dist clean

demo: $(VENV)/.installed
	@test -d demo/flowers || $(BIN)/model_maker sample-data demo/flowers
	$(BIN)/model_maker train --data demo/flowers --output demo/flowers_model --overwrite
	$(BIN)/model_maker evaluate demo/flowers_model
	$(BIN)/model_maker predict demo/flowers_model demo/flowers/rose/rose_000.jpg demo/flowers/tulip/tulip_001.jpg
	@echo "The model is demo/flowers_model/model.tflite"

test: $(VENV)/.installed-test
	$(BIN)/pytest

# Our networks against timm's; timm asks for torchvision, which none of its models needs.
parity: $(VENV)/.installed-parity
	$(BIN)/pytest tests/parity

check: $(VENV)/.installed-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy --platform darwin --cache-dir .mypy_cache/darwin
	$(BIN)/mypy --platform win32 --cache-dir .mypy_cache/win32
	$(BIN)/python -m pip check

# Any warning is an error: a link or an anchor that leads nowhere, a page that the navigation forgets.
docs: $(VENV)/.installed-test
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "The site is build/site/index.html"

# The outputs that the notebooks in colab/ keep; best on a machine that does nothing else, for one of them tells times.
notebooks: $(VENV)/.installed-test
	$(BIN)/python tests/notebooks.py

# What is released, and used as its users have it, on SMOKE_PYTHON if that is given; LiteRT.js goes into it.
dist: $(VENV)/.installed-release $(RUNTIME)/package.json
	rm -rf build dist *.egg-info
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	PYTHON=$(or $(SMOKE_PYTHON),$(abspath $(BIN))/python) MYPY=$(abspath $(BIN))/mypy tests/smoke.sh dist/*.whl

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
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13) and "Python 3.11 or 3.12 is needed, found " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: setup.cfg | $(VENV)/bin/python
	@echo "Installing into $(VENV); the first time takes a minute or two ..."
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-test: setup.cfg | $(VENV)/bin/python
	@echo "Installing into $(VENV) with the test tools; the first time takes a minute or two ..."
	$(PIP) --editable '.[test]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-release: $(VENV)/.installed-test
	$(PIP) --editable '.[test,release]'
	@touch $@

$(VENV)/.installed-parity: $(VENV)/.installed-test
	@echo "Installing torch and timm into $(VENV) ..."
	$(PIP) --editable '.[test,parity]'
	$(PIP) --no-deps 'timm>=1.0.20,<2'
	@touch $@
