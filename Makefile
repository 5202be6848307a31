# make demo   everything once: environment, installation, training, quantization, conversion, proof, report
# make test   the same, then the whole test suite
# make android   the Android demo's APK, from Maven Central and Debian's packages
# make docs   the documentation site, in build/docs
# Another Python: make demo PYTHON=python3.12. Running either again is fine; an interrupted demo resumes.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Processes that share the tests; each needs up to 6 GB of memory.
JOBS ?= 2
# Show only TensorFlow's errors.
export TF_CPP_MIN_LOG_LEVEL := 3

.PHONY: demo android docs test clean

$(VENV)/installed: pyproject.toml setup.py constraints.txt
	@echo "== Installing cspkeras into $(VENV): about 2 GB on disk, some minutes of downloads"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[dev]' --constraint constraints.txt
	@touch $@

demo: $(VENV)/installed
	@echo "== Running the demo: train, quantize, convert, check, detect; about 10 minutes on 2 cores"
	$(BIN)/cspkeras demo
	@echo "== Open runs/demo/report.html"

test: demo
	@echo "== Running all tests, a file at a time in $(JOBS) processes: about 40 minutes on 2 cores"
	CSPKERAS_DEMO_RUN=runs/demo $(BIN)/python -m pytest -m "" -n $(JOBS) --durations=20

android: $(VENV)/installed
	$(BIN)/python android_demo/build.py

docs: $(VENV)/installed
	$(BIN)/python -m sphinx --fail-on-warning --quiet docs build/docs
	@echo "== Open build/docs/index.html"

clean:
	rm -rf $(VENV) runs/demo build android_demo/build
