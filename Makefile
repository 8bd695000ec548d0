# Everything anybody does with the tree. The first use of a target installs the Debian packages
# it needs (deploy/packages/) and says so; later uses only look.

MAKEFLAGS += --no-print-directory
SHELL := bash
PACKAGES := deploy/packages/install
NINJA := ninja
ARGS ?=

.PHONY: help deps build run test test-long lint format fuzz bench bench-stalls sim property chaos clean

help:
	@echo 'make run        a cluster on this machine, in the foreground (ARGS="--gateways 3")'
	@echo 'make test       everything that must be green, sanitizers included; a quarter of an hour on 2 cores'
	@echo 'make build      the two programs and the unit tests, in build/'
	@echo 'make lint       formatting, clang-tidy, cppcheck, both compilers, layers, docs'
	@echo 'make format     let clang-format put right what it can'
	@echo 'make sim        the simulated cluster over many seeds (ARGS="--seeds 100000", "--seed 42" or "--shrink 42")'
	@echo 'make property   what clients see against a model, over 1,000 seeds (ARGS="--seed 42 -v" replays one)'
	@echo 'make chaos      real processes under faults, and what clients saw against the database (ARGS="--seed 7 --seconds 600")'
	@echo 'make fuzz       every fuzz target for a while (SECONDS_EACH=60)'
	@echo 'make bench      our figures beside the floor, in one run'
	@echo 'make bench-stalls  how long clients wait when something happens to the cluster'
	@echo 'make test-long  the long campaigns: seeds, fuzzing, kill loops'
	@echo 'make deps       all packages that any target needs'
	@echo 'make clean      remove the builds; the data of make run in .data/ stays'

deps:
	@$(PACKAGES) build run node sanitize test lint
	@deploy/tools/node --fetch

build:
	@$(PACKAGES) build
	@deploy/tools/configure build
	@$(NINJA) -C build

# exec: Ctrl-C and SIGTERM reach the tool itself, which then stops what it has started.
run:
	@$(PACKAGES) build run
	@exec deploy/local/cluster run $(ARGS)

test:
	@$(PACKAGES) build run node sanitize test
	@deploy/tools/node --fetch
	@tests/run $(ARGS)

test-long:
	@$(PACKAGES) build run node sanitize test
	@deploy/tools/node --fetch
	@tests/run --long $(ARGS)

lint:
	@$(PACKAGES) build lint
	@tests/lint/run

format:
	@$(PACKAGES) lint
	@tests/lint/check-format --fix

fuzz:
	@$(PACKAGES) build sanitize
	@tests/run --only 'build asan|fuzz' --fuzz-seconds $(or $(SECONDS_EACH),60)

sim:
	@$(PACKAGES) build
	@deploy/tools/configure build
	@$(NINJA) -C build tests/sim/fluxy-sim
	@build/tests/sim/fluxy-sim $(ARGS)

property:
	@$(PACKAGES) build
	@deploy/tools/configure build
	@$(NINJA) -C build tests/sim/fluxy-property
	@build/tests/sim/fluxy-property $(ARGS)

chaos:
	@$(PACKAGES) build run node
	@deploy/tools/node --fetch
	@deploy/tools/configure build
	@$(NINJA) -C build --quiet
	@tests/chaos/run $(ARGS)

bench:
	@$(PACKAGES) build run node
	@deploy/tools/node --fetch
	@tests/bench/run $(ARGS)
	@test -n "$(ARGS)" || FLUXY_BUILD_DIR=build-bench tests/bench/returns

bench-stalls:
	@$(PACKAGES) build run node
	@deploy/tools/node --fetch
	@tests/bench/stalls $(ARGS)

clean:
	rm -rf build build-*
