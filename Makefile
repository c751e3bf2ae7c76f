# Every user command is a target here. `make` alone prints help.

SUITE ?= quick
TASKS ?=
MODELS ?=
SEEDS ?=
DIRECTION ?=
DEVICES ?=
NODES ?=
PRECISION ?=
JOBS ?=
TIMEOUT ?=
TRIALS ?= 4
EXPERIMENT ?= long-range
DATA_DIR ?= data
WANDB_MODE ?=
PRICE ?=
PEAK ?=
TEXT ?=
RENEW ?=
LAUNCHER ?= local
RAY ?=
MINUTES ?= 10
A ?=
B ?=
PYTHON ?= python3

export DATA_DIR
# Taken literally: neither make nor the shell interprets a dollar sign or quote in a sentence.
override TEXT := $(value TEXT)
export TEXT
ifneq ($(WANDB_MODE),)
export WANDB_MODE
endif

HELP_VARS := SUITE TASKS MODELS SEEDS DIRECTION DEVICES NODES PRECISION JOBS TIMEOUT LAUNCHER RAY EXPERIMENT TRIALS PRICE PEAK RENEW MINUTES A B DATA_DIR WANDB_MODE
HELP_SUITE := smoke | quick | full
HELP_TASKS := of long-range or speed, for example copy recall; empty: those of the suite
HELP_MODELS := rnn gru lstm bahdanau transformer, or variants; empty: those of the suite
HELP_SEEDS := for example 0 1 2; empty: those of the suite
HELP_DIRECTION := source-target, for example de-en; empty: that of the suite
HELP_DEVICES := devices on each node; empty: all GPUs, or the CPU
HELP_NODES := of plan: machines; runs on several are started by torchrun or SLURM (README)
HELP_PRECISION := 32-true | bf16-mixed; empty: bf16 where the hardware has it
HELP_JOBS := runs at once; empty: bleu one, long-range one per core
HELP_TIMEOUT := minutes that one run may take; empty: no limit
HELP_LAUNCHER := local | ray: runs on all machines of a Ray cluster
HELP_RAY := host:port of the cluster; empty: the one of ray start, or this machine
HELP_EXPERIMENT := of tune and sweep: long-range | bleu
HELP_TRIALS := settings to try for each model on each task
HELP_PRICE := of plan: what a device costs an hour; empty: hours alone
HELP_PEAK := of plan: TFLOP/s in the data sheet of a device that was not measured
HELP_RENEW := of reproduce-check: 1 overwrites the reference numbers
HELP_MINUTES := of fuzz: how long
HELP_A := of compare: a results folder, the runs of a suite, or a CSV file of published figures
HELP_B := of compare: the other one
HELP_DATA_DIR := folder of downloaded corpora
HELP_WANDB_MODE := online | offline | disabled; empty: online if logged in

PY := .venv/bin/python
INSTALLED := .venv/installed
.DEFAULT_GOAL := help
.PHONY: help quick full setup data bleu long-range contrastive retry reproduce-check tune speed plan speed-peers benchmark inspect report records compare watch translate dashboard sync sweep test test-slow fuzz lint check clean-runs

# An option, where its variable is set.
given = $(if $(2), --$(1) "$(2)")
RUNS = $(call given,jobs,$(JOBS))$(call given,timeout,$(TIMEOUT))$(call given,launcher,$(LAUNCHER))$(call given,ray,$(RAY))
GRID = $(call given,tasks,$(TASKS))$(call given,models,$(MODELS))
TRAINER = $(call given,devices,$(DEVICES))$(call given,precision,$(PRECISION))
TRAINING = $(GRID)$(call given,seeds,$(SEEDS))$(call given,direction,$(DIRECTION))$(call given,nodes,$(NODES))$(TRAINER)$(RUNS)
STAGES = $(PY) -m experiments.suite
OF_SUITE = --suite "$(SUITE)"
REPORT = $(PY) -m analysis.report $(OF_SUITE)
EVERYTHING = $(STAGES) bleu long-range contrastive inspect speed report $(OF_SUITE)$(TRAINING)

##@ Start here
help: ## Show this help
	@if [ -t 1 ] && [ -z "$$NO_COLOR" ]; then b=$$(printf '\033[1m'); c=$$(printf '\033[36m'); r=$$(printf '\033[0m'); fi; \
	printf 'Usage: make %s<target>%s [NAME=value]\n' "$$c" "$$r"; \
	awk -v b="$$b" -v c="$$c" -v r="$$r" \
	  '/^##@ / { printf "\n%s%s%s\n", b, substr($$0, 5), r } \
	   /^[a-z-]+:.* ## / { name = $$0; sub(/:.*/, "", name); sub(/^.* ## /, ""); printf "  %s%-16s%s %s\n", c, name, r, $$0 }' \
	  $(firstword $(MAKEFILE_LIST)); \
	printf '\n%sVariables%s\n' "$$b" "$$r"
	@$(foreach v,$(HELP_VARS),printf '  %-12s %-14s %s\n' '$(v)' '$(or $($(v)),-)' '$(HELP_$(v))';)

quick: SUITE := quick
quick: $(INSTALLED) ## Install, train on generated data, compare BLEU, long range, speed: report in results/quick (10 min)
	@$(EVERYTHING)

setup: $(INSTALLED) ## Install the locked packages into .venv (2 min; skipped when done)

$(INSTALLED): requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; '$(PYTHON)' is $$($(PYTHON) --version 2>&1). Name another: make setup PYTHON=python3.12"; exit 1; }
	@echo "installing the locked packages into .venv, once"
	@$(PYTHON) -m venv .venv
	@$(PY) -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

##@ Reproduce
data: $(INSTALLED) ## Download Multi30k and Tatoeba into DATA_DIR and check them (1 min; skipped when there)
	@$(PY) -m datamodules.download --data_dir "$(DATA_DIR)"

full: SUITE := full
full: $(INSTALLED) ## Every experiment of the reference comparison (overnight on 2 cores)
	@$(EVERYTHING)

bleu: $(INSTALLED) ## Translation quality: train, decode, score, report (smoke 1 min, quick 4 min, full 2 h on 2 cores)
	@$(STAGES) bleu report $(OF_SUITE)$(TRAINING)

long-range: $(INSTALLED) ## How much each model remembers, and over what gap (smoke 1 min, quick 3 min, full 2 h on 2 cores)
	@$(STAGES) long-range contrastive report $(OF_SUITE)$(TRAINING)

contrastive: $(INSTALLED) ## Score references against wrong verb numbers with the trained translation models (1 min)
	@$(STAGES) contrastive $(OF_SUITE)
	@$(REPORT)

inspect: $(INSTALLED) ## Attention heads, and words by training frequency, of the trained translation models (1 min)
	@$(STAGES) inspect $(OF_SUITE)
	@$(REPORT)

retry: $(INSTALLED) ## Run again what failed in SUITE, and nothing else; each run resumes from its last checkpoint
	@$(STAGES) retry report $(OF_SUITE)$(RUNS)

reproduce-check: $(INSTALLED) ## Train a small suite again and compare every number with the committed ones (1 min)
	@$(PY) -m experiments.reproduce $(if $(filter 1,$(RENEW)),--renew true)

tune: $(INSTALLED) ## The same TRIALS settings for every model of EXPERIMENT (quick 5 min, full 40 min on 2 cores)
	@$(PY) -m experiments.tuning.tune --experiment "$(EXPERIMENT)" $(OF_SUITE)$(GRID)$(call given,trials,$(TRIALS))$(TRAINER)$(call given,jobs,$(JOBS))

speed: $(INSTALLED) ## Step time by length, memory, decoding, processes, the Trainer's cost (quick 1 min, full 1 h)
	@$(STAGES) speed $(OF_SUITE)$(call given,tasks,$(TASKS))
	@$(REPORT)

speed-peers: SUITE := full
speed-peers: $(INSTALLED) ## Train and decode next to JoeyNMT, torch.nn.Transformer and a textbook loop (20 min on 2 cores)
	@$(PY) -m experiments.speed.peers.compare $(OF_SUITE)$(call given,models,$(MODELS))

benchmark: SUITE := full
benchmark: $(INSTALLED) ## The speed bars as ratios: met or missed, by how much (5 min after speed-peers)
	@$(PY) -m experiments.speed.peers.benchmark $(OF_SUITE)

plan: SUITE := paper
plan: $(INSTALLED) ## Hours, memory and cost of WMT14 on DEVICES x NODES, from measured speed (1 min)
	@$(PY) -m experiments.speed.cost.estimate $(OF_SUITE)$(call given,models,$(MODELS))$(call given,devices,$(DEVICES))$(call given,nodes,$(NODES))$(call given,price,$(PRICE))$(call given,peak,$(PEAK))

##@ Look
report: $(INSTALLED) ## Write results/SUITE/report.html from the finished runs and the archived ones (10 s)
	@$(REPORT)

records: $(INSTALLED) ## Archive what reports read of SUITE's runs in results/SUITE/records, to be committed (full 1 min)
	@$(PY) -m experiments.record.archives $(OF_SUITE)

compare: $(INSTALLED) ## Two reports against each other: make compare A=results/full B=results/mine (10 s)
	@$(PY) -m analysis.compare.__main__ --a "$(A)" --b "$(B)"

watch: $(INSTALLED) ## Follow SUITE in the terminal while it runs: progress and time left (Ctrl-C ends it)
	@$(PY) -m analysis.watch $(OF_SUITE)

translate: $(INSTALLED) ## Translate TEXT="A man is riding a bike." with every trained model (10 s)
	@$(PY) -m experiments.translation.translate "$$TEXT"

dashboard: $(INSTALLED) ## Make or renew a Weights & Biases workspace and report of SUITE (quick 15 s, full 1 min)
	@$(PY) -m analysis.dashboard.__main__ $(OF_SUITE)

sync: $(INSTALLED) ## Upload to Weights & Biases what is not there yet (2 s a run; a second call does nothing)
	@$(PY) -m experiments.tracking.sync

sweep: $(INSTALLED) ## Search the space of `make tune` by a W&B sweep instead: register it and start an agent for TRIALS runs
	@$(PY) -m experiments.tuning.wandb_sweep --experiment "$(EXPERIMENT)" $(OF_SUITE)$(GRID)$(call given,trials,$(TRIALS))$(TRAINER)

##@ Develop
test: $(INSTALLED) ## The test suite, on every core (5 min on 2)
	@$(PY) -m pytest -q -n auto --maxprocesses 8 --dist worksteal

test-slow: $(INSTALLED) ## The tests that take minutes each
	@$(PY) -m pytest -q -m slow

fuzz: $(INSTALLED) ## Broken files for every reader, for MINUTES: each is read, or rejected in one sentence
	@$(PY) -m tests.support.fuzz.readers --minutes "$(MINUTES)"

lint: $(INSTALLED) ## Format and lint rules, types
	@$(PY) -m ruff format --check --quiet . && $(PY) -m ruff check --quiet . && $(PY) -m mypy --no-error-summary

check: lint test ## Everything that must pass before a commit

clean-runs: ## Delete runs/SUITE, after asking
	@case '$(SUITE)' in ''|*/*|.|..) echo 'name one suite: make clean-runs SUITE=quick'; exit 1;; esac; \
	printf 'delete runs/%s? [y/N] ' '$(SUITE)'; read answer; [ "$$answer" = y ] && rm -rf -- 'runs/$(SUITE)' || echo kept
