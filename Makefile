# Each line is one a person could type. PYTHON picks the interpreter.
PYTHON ?= python3
WORD ?= hey jarvis
# Folder of a wake word, one for each.
RUN ?= runs/wakeword
BIN = .venv/bin
WORKERS = --numprocesses=auto --maxprocesses=4 --max-worker-restart=1 \
	--dist=loadfile --no-loadscope-reorder

vae: .venv/installed
	$(BIN)/python -m distill_jax.main --config=configs/vae.py --workdir=runs/vae

wakeword: .venv/wakeword
	$(BIN)/distill-jax wakeword "$(WORD)" --workdir="$(RUN)" \
		$(if $(DATA),--data="$(DATA)") $(if $(NOISE),--noise="$(NOISE)")

# As many workers as there are cores, each test file in one of them, in order.
test: .venv/tested
	$(BIN)/python -m pytest $(WORKERS) -m "not long"

# What takes minutes: every command of the guides, the notebooks, jobs in processes.
long: .venv/tested
	$(BIN)/python -m pytest $(WORKERS) -m long

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: .venv/docs
	$(BIN)/python -m sphinx -W --keep-going docs docs/_build/html

bench: .venv/parity
	$(BIN)/python -m benchmarks.roundtrip
	$(BIN)/python -m benchmarks.features
	$(BIN)/python -m benchmarks.vae_step
	$(BIN)/python -m benchmarks.update
	$(BIN)/python -m benchmarks.kaldi
	$(BIN)/python -m benchmarks.encoder
	$(BIN)/python -m benchmarks.hf_load
	$(BIN)/python -m benchmarks.speak
	$(BIN)/python -m benchmarks.augment
	$(BIN)/python -m benchmarks.tiny_conv_step
	$(BIN)/python -m benchmarks.distill_step --rounds 3
	$(BIN)/python -m benchmarks.vae_quality
	$(BIN)/python -m benchmarks.streaming
	$(BIN)/python -m benchmarks.int8_inference

.venv/installed: setup.py
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --editable .
	touch $@

.venv/wakeword: .venv/installed
	$(BIN)/pip install --quiet --editable ".[export,tts]"
	touch $@

.venv/tested: .venv/installed
	$(BIN)/pip install --quiet --editable ".[test]"
	touch $@

.venv/docs: .venv/installed
	$(BIN)/pip install --quiet --editable ".[docs]"
	touch $@

.venv/parity: .venv/tested
	$(BIN)/pip install --quiet --editable ".[parity]"
	touch $@

.PHONY: vae wakeword test long lint docs bench
