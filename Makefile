# make demo   everything once: environment, installation, training, quantization, conversion, proof, report
# make test   the same, then the whole test suite
# make android   the Android demo's APK, from Maven Central and Debian's packages
# Another Python: make demo PYTHON=python3.12. Running either again is fine; an interrupted demo goes on.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# The tests' folders, the longest first.
SUITES := tests/tflite tests/training tests tests/weights tests/backbones tests/detection tests/analysis
# Of TensorFlow's own messages only the errors.
export TF_CPP_MIN_LOG_LEVEL := 3

.PHONY: demo android test clean $(SUITES)

$(VENV)/installed: pyproject.toml
	@echo "== Installing cspkeras into $(VENV): about 2 GB on disk, some minutes of downloads"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $@

demo: $(VENV)/installed
	@echo "== Running the demo: train, quantize, convert, check, detect; under 10 minutes on 2 cores"
	$(BIN)/cspkeras demo
	@echo "== Open runs/demo/report.html"

test: demo
	@echo "== Running all tests, fast and slow, a folder at a time in two processes: about 40 minutes on 2 cores."
	@echo "== A folder's results are shown when it is through."
	@$(MAKE) --no-print-directory --keep-going --jobs 2 --output-sync=target $(SUITES)

# A process for each gives its memory back.
$(SUITES):
	@echo "== $@"
	@CSPKERAS_DEMO_RUN=runs/demo $(BIN)/python -m pytest -m "slow or not slow" $(wildcard $@/test_*.py)

android: $(VENV)/installed
	$(BIN)/python android_demo/build.py

clean:
	rm -rf $(VENV) runs/demo build android_demo/build
