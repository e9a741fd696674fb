# make sample: set up, draw 64 faces from the trained model and explain one of them.
# make studio: set up and open the trained model in the browser, to take apart by hand.
# make train: set up and train the quickstart. make test: set up and run the tests.
# make test-long: what takes too long to be run each time.
PYTHON ?= python3
BIN := .venv/bin

sample: .venv/train
	$(BIN)/python -m hcm_tf.sample --run_dir=pretrained/avatars64 --out=samples
	$(BIN)/python -m hcm_tf.explain --run_dir=pretrained/avatars64 --out=samples/explained

studio: .venv/train
	$(BIN)/python -m hcm_tf.studio --run_dir=pretrained/avatars64

train: .venv/train
	$(BIN)/python train_main.py --flagfile=configs/quickstart.flags

test: .venv/test
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist=loadfile

# Hours: kills, memory, every guard taken out, and many more odd flags, files, run
# directories, seeds and states of the studio.
test-long: .venv/test
	$(BIN)/python -m pytest -s -m long
	FUZZ_EXAMPLES=2000 $(BIN)/python -m pytest -s tests/fuzz tests/studio

lint: .venv/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

.venv/train: requirements.txt
	$(PYTHON) -c "import sys; sys.exit(None if (3, 11) <= sys.version_info[:2] <= (3, 13) \
	  else 'make: needs Python 3.11 to 3.13, and $(PYTHON) is ' + sys.version.split()[0] \
	  + '. Name another: make $(MAKECMDGOALS) PYTHON=python3.12')"
	$(PYTHON) -m venv .venv
	@echo 'Installing TensorFlow and what else requirements.txt names: a minute or two.'
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements.txt
	touch $@

.venv/test: .venv/train requirements-test.txt requirements-export.txt
	$(BIN)/python -m pip install -q --disable-pip-version-check -r requirements-test.txt
	touch $@

.PHONY: sample studio train test test-long lint
