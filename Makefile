# Every user command is a target here. `make` alone prints help.

# Not from the environment, where it would be forgotten: full takes hours
SUITE := quick
MODELS ?=
TASKS ?=
SEEDS ?=
DIRECTION ?=
DEVICES ?=
PRECISION ?=
JOBS ?=
DATA_DIR ?= data
WANDB_MODE ?=
TEXT ?=
PROMPT ?=
TIMEOUT ?=
LAUNCHER ?= local
EXPERIMENT ?= long-range
TRIALS ?= 4
A ?=
B ?=
TORCH ?=
PYTHON ?= python3
PY := .venv/bin/python

export DATA_DIR
# Without it every process would compile all that it imports again: 10 s of each run.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONIOENCODING := $(if $(PYTHONIOENCODING),$(firstword $(subst :, ,$(PYTHONIOENCODING))):backslashreplace)
# Taken literally: neither make nor the shell interprets a dollar sign or quote in a sentence.
override TEXT := $(value TEXT)
override PROMPT := $(value PROMPT)
export TEXT PROMPT
ifneq ($(WANDB_MODE),)
export WANDB_MODE
endif

COMMON := SUITE MODELS TASKS SEEDS DIRECTION DEVICES PRECISION JOBS DATA_DIR WANDB_MODE
FURTHER := TIMEOUT LAUNCHER EXPERIMENT TRIALS A B TORCH PYTHON PY
HELP_SUITE := smoke | quick | full | gpu
HELP_MODELS := rnn gru lstm bahdanau transformer, or variants; empty: those of the suite
HELP_TASKS := of long-range, language or speed, for example copy recall; empty: those of the suite
HELP_SEEDS := for example 0 1 2; empty: those of the suite
HELP_DIRECTION := source-target, for example de-en; empty: that of the suite
HELP_DEVICES := of one run; empty: in translation all GPUs, else one; of plan: 8
HELP_PRECISION := 32-true | bf16-mixed; empty: that of the suite
HELP_JOBS := runs at once; empty: one per core (8 at most), but bleu in full one
HELP_DATA_DIR := folder of downloaded corpora
HELP_WANDB_MODE := online | offline | disabled; empty: online if logged in
HELP_TIMEOUT := minutes that one run may take; empty: no limit
HELP_LAUNCHER := local | ray: runs on all machines of a Ray cluster
HELP_EXPERIMENT := of tune and sweep: long-range | language | bleu
HELP_TRIALS := of tune and sweep: settings to try for each model on each task
HELP_A := of compare: a results folder, the runs of a suite, or a CSV file of published figures
HELP_B := of compare: the other one
HELP_TORCH := of setup: cpu | cuda; empty: cpu on Linux without an NVIDIA GPU
HELP_PYTHON := of setup: 3.11 or newer
HELP_PY := a Python with everything installed, for example python3: skips setup

INSTALLED := $(if $(filter .venv/bin/python,$(PY)),.venv/installed)
.DEFAULT_GOAL := help
.PHONY: help help-all setup quick full data bleu long-range language speed report translate test contrastive inspect speed-peers benchmark plan tune sweep reproduce-check gpu gpu-check generate compare watch records readme dashboard sync test-slow lint check clean-runs

# An option, where its variable is set.
given = $(if $(2), --$(1) "$(2)")
RUNS = $(call given,jobs,$(JOBS))$(call given,timeout,$(TIMEOUT))$(call given,launcher,$(LAUNCHER))
GRID = $(call given,tasks,$(TASKS))$(call given,models,$(MODELS))
TRAINER = $(call given,devices,$(DEVICES))$(call given,precision,$(PRECISION))
TRAINING = $(GRID)$(call given,seeds,$(SEEDS))$(call given,direction,$(DIRECTION))$(TRAINER)$(RUNS)
STAGES = $(PY) -m experiments.suite
OF_SUITE = --suite "$(SUITE)"
REPORT = $(PY) -m analysis.report $(OF_SUITE)
NEEDS_GPU = $(PY) -c 'import sys, torch; torch.cuda.is_available() or sys.exit(f"make $@ needs an NVIDIA GPU, and torch {torch.__version__} finds none here; for the CPU: SUITE=full")'
EVERYTHING = $(STAGES) bleu language long-range contrastive inspect speed report $(OF_SUITE)$(TRAINING)

# Targets under ##@ are those of `make help`; `make help-all` shows those under ##+ as well.
##@ Start here
setup: $(INSTALLED) ## Install the locked packages into .venv (2 min; skipped when done)

quick: SUITE := quick
quick: $(INSTALLED) ## All three questions on generated data, with a report in results/quick (10 min)
	@$(EVERYTHING)

translate: $(INSTALLED) ## Translate TEXT="The farmers will wake the cow." with the trained models of full, or else quick (10 s)
	@$(PY) -m experiments.translation.translate $(if $(filter file,$(origin SUITE)),,$(OF_SUITE)) -- "$$TEXT"

test: $(INSTALLED) ## The test suite, on every core (5 min on 2)
	@$(PY) -m pytest -q -n auto --maxprocesses 8 --dist worksteal

help-all: ## Show every target and every variable
	@$(call HELP,all=1,$(COMMON) $(FURTHER))

##@ The reference comparison (SUITE=full), one question at a time, and its report
data: $(INSTALLED) ## Download Multi30k, Tatoeba and Shakespeare into DATA_DIR and check them (1 min; skipped when there)
	@$(PY) -m datamodules.download --data_dir "$(DATA_DIR)"

full: SUITE := full
full: $(INSTALLED) ## Every experiment of the reference comparison (18 h on 2 cores)
	@$(EVERYTHING)

bleu: $(INSTALLED) ## Translation quality (smoke 1 min, quick 4 min, full 8 h on 2 cores)
	@$(STAGES) bleu report $(OF_SUITE)$(TRAINING)

long-range: $(INSTALLED) ## How far back and how much each model remembers (smoke 1 min, quick 3 min, full 7 h on 2 cores)
	@$(STAGES) long-range contrastive report $(OF_SUITE)$(TRAINING)

language: $(INSTALLED) ## What language models gain from a long context (smoke 1 min, quick 90 s, full 3 h on 2 cores)
	@$(STAGES) language report $(OF_SUITE)$(TRAINING)

speed: $(INSTALLED) ## Step time by length, memory, decoding, processes, the Trainer's cost (quick 1 min, full 50 min)
	@$(if $(filter gpu,$(SUITE)),$(NEEDS_GPU))
	@$(STAGES) speed $(OF_SUITE)$(call given,tasks,$(TASKS))
	@$(REPORT)

report: $(INSTALLED) ## Write results/SUITE/report.html from the finished runs and the archived ones (10 s)
	@$(REPORT)

##@ On one NVIDIA GPU
gpu: SUITE := gpu
gpu: JOBS := $(or $(JOBS),4)# more at once share its time and no more of it
gpu: $(INSTALLED) ## Speed, Multi30k, recall, Shakespeare on a GPU (20 min, estimated; a part: make speed SUITE=gpu)
	@$(NEEDS_GPU)
	@$(STAGES) speed bleu long-range language inspect report $(OF_SUITE)$(TRAINING)

##+ Further measurements
gpu-check: $(INSTALLED) ## The tests that need a GPU, and its speed bars in one table (4 min)
	@$(NEEDS_GPU)
	@$(PY) -m pytest -q -m gpu tests
	@$(PY) -m experiments.speed.bars.gpu

contrastive: $(INSTALLED) ## Do the trained translation models prefer the right verb number to the wrong one? (1 min)
	@$(STAGES) contrastive $(OF_SUITE)
	@$(REPORT)

inspect: $(INSTALLED) ## Attention heads, and words by training frequency, of the trained translation models (1 min)
	@$(STAGES) inspect $(OF_SUITE)
	@$(REPORT)

speed-peers: SUITE := full
speed-peers: $(INSTALLED) ## Next to JoeyNMT, transformers, torch.nn.Transformer and textbook loops (25 min on 2 cores)
	@$(PY) -m experiments.speed.peers.compare $(OF_SUITE)$(call given,models,$(MODELS))
	@$(PY) -m experiments.speed.peers.compare_language $(OF_SUITE)

benchmark: SUITE := full
benchmark: $(INSTALLED) ## The speed bars as ratios: met or missed, by how much (5 min after speed-peers)
	@$(PY) -m experiments.speed.bars.cpu $(OF_SUITE)

plan: SUITE := paper
plan: $(INSTALLED) ## Hours and memory of WMT14 on DEVICES, from measured speed (1 min)
	@$(PY) -m experiments.speed.cost.estimate $(OF_SUITE)$(call given,models,$(MODELS))$(call given,devices,$(DEVICES))

tune: $(INSTALLED) ## The same TRIALS settings for every model of EXPERIMENT (long-range: quick 10 min, full 2 h on 2 cores)
	@$(PY) -m experiments.tuning.tune --experiment "$(EXPERIMENT)" $(OF_SUITE)$(GRID)$(call given,trials,$(TRIALS))$(TRAINER)$(call given,jobs,$(JOBS))

sweep: $(INSTALLED) ## The space of `make tune` as a W&B sweep: register it and start an agent for TRIALS runs
	@$(PY) -m experiments.tuning.wandb_sweep --experiment "$(EXPERIMENT)" $(OF_SUITE)$(GRID)$(call given,trials,$(TRIALS))$(TRAINER)

reproduce-check: $(INSTALLED) ## Train a small suite again and compare every number with the committed ones (1 min)
	@$(PY) -m experiments.reproduce

##+ Results
generate: $(INSTALLED) ## Continue PROMPT="anna has three red" with every trained language model of SUITE (10 s)
	@$(PY) -m experiments.language.generate $(OF_SUITE) -- "$$PROMPT"

watch: $(INSTALLED) ## Follow SUITE in the terminal while it runs: progress and time left (Ctrl-C ends it)
	@$(PY) -m analysis.watch $(OF_SUITE)

compare: $(INSTALLED) ## Two reports against each other: make compare A=results/full B=results/mine (10 s)
	@$(PY) -m analysis.compare.__main__ --a "$(A)" --b "$(B)"

records: $(INSTALLED) ## Archive what reports read of SUITE's runs in results/SUITE/records, to be committed (full 1 min)
	@$(PY) -m experiments.record.archives $(OF_SUITE)

readme: $(INSTALLED) ## Write README's tables again from results/full/measurements.csv (2 s)
	@$(PY) -m analysis.page.readme

dashboard: $(INSTALLED) ## Make or renew a Weights & Biases workspace and report of SUITE (quick 15 s, full 1 min)
	@$(PY) -m analysis.dashboard.__main__ $(OF_SUITE)

sync: $(INSTALLED) ## Upload to Weights & Biases what is not there yet (2 s a run; a second call does nothing)
	@$(PY) -m experiments.tracking.sync

##+ Develop
help: ## Show the targets and variables that people use most
	@$(call HELP,all=0,$(COMMON))

lint: $(INSTALLED) ## Format and lint rules, types
	@$(PY) -m ruff format --check --quiet . && $(PY) -m ruff check --quiet . && $(PY) -m mypy --no-error-summary

check: lint test ## Everything that must pass before a commit

test-slow: $(INSTALLED) ## The tests that take minutes each
	@$(PY) -m pytest -q -m slow

clean-runs: ## Delete runs/SUITE, after asking
	@case '$(SUITE)' in ''|*/*|.|..) echo 'name one suite: make clean-runs SUITE=quick'; exit 1;; esac; \
	printf 'delete runs/%s? [y/N] ' '$(SUITE)'; read answer; [ "$$answer" = y ] && rm -rf -- 'runs/$(SUITE)' || echo kept

# --- how `setup` and `help` do it

# It holds the lock that was installed: a checkout that was copied, with new times of its files, installs nothing again.
.venv/installed: requirements.lock
	@if ! cmp -s $< $@; then \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make setup PYTHON=python3.12"; exit 1; }; \
	  $(PYTHON) install.py || exit; \
	fi; cp $< $@

define HELP
if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then b=$$(printf '\033[1m'); c=$$(printf '\033[36m'); r=$$(printf '\033[0m'); fi; \
printf 'Usage: make %s<target>%s [NAME=value]\n' "$$c" "$$r"; \
awk -v b="$$b" -v c="$$c" -v r="$$r" -v $(1) \
  '/^##[@+] / { shown = all || /^##@/; if (shown) printf "\n%s%s%s\n", b, substr($$0, 5), r } \
   shown && /^[a-z-]+:.* ## / { name = $$0; sub(/:.*/, "", name); sub(/^.* ## /, ""); printf "  %s%-16s%s %s\n", c, name, r, $$0 }' \
  $(firstword $(MAKEFILE_LIST)); \
printf '\n%sVariables%s\n' "$$b" "$$r"; \
$(foreach v,$(2),printf '  %-12s %-14s %s\n' '$(v)' '$(or $($(v)),-)' '$(HELP_$(v))';)
endef
