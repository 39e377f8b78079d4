# Everything that a user or a developer runs. Long steps say what they do. Nothing but `deploy` needs an AWS account.

SHELL := /bin/bash
# Begins every recipe of several commands, so that the first failure ends it. GNU make 3.81, which macOS ships, ignores .SHELLFLAGS.
strict := set -eu -o pipefail;
.DEFAULT_GOAL := help
.PHONY: help own build demo up down test unit e2e snapshots bench lint deploy package clean

# The first Python that is new enough; PYTHON=... names another.
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$name && break; done)

# Built once for all clones, in a cache that `venv.py --cache` names (EMITE_CACHE=... names another).
CACHE := $(shell $(or $(PYTHON),python3) tests/venv.py --cache)
ifeq ($(CACHE),)
$(error Python 3.11 or later is needed; see above)
endif
CARGO_TARGET_DIR ?= $(CACHE)/target
export CARGO_TARGET_DIR
# As it is, quotes and all: no shell of ours reads it.
export PARAMS PYTHON
export PYTHONDONTWRITEBYTECODE := 1

# The Python of a locked environment, made when first used.
venv = $$($(PYTHON) tests/venv.py $(1))
localaws = $(strict) python="$(call venv,local)"; PYTHONPATH=tests "$$python" -m localaws
package = PYTHONPATH=infra:tests "$$python" -m package
# How all functions are built for Lambda, once the environment with cargo-lambda is in $$sam.
ARCH ?= x86_64
building = echo "Building for Lambda (the first time 14 minutes, then seconds) ..." >&2
release = --cargo-lambda "$$(dirname "$$sam")/cargo-lambda" --architecture "$(ARCH)"
needs_cargo = @command -v cargo >/dev/null || { echo "Rust is needed: https://rustup.rs" >&2; exit 1; }

help: ## this list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## /{printf "  %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@echo
	@echo 'An example:  make up PARAMS="OnExistingStreaming=Replace EmiteServerCidrs=203.0.113.10/32,203.0.113.11/32"'

# Nothing that another clone built is run as this one's.
own:
	$(needs_cargo)
	@$(PYTHON) tests/target.py

build: own ## compile everything (the first time 6 to 11 minutes)
	@echo "Building (the first time 6 to 11 minutes, then seconds) ..." >&2
	@cargo build --locked --workspace --all-targets

demo: build ## deploy into a local AWS, use it, take it away, and check every step
	@$(localaws) demo

up: build ## deploy into a local AWS and leave it running; PARAMS="Key=Value ..." sets stack parameters
	@$(localaws) up

down: ## delete that stack and stop the local AWS
	@$(localaws) down

test: build ## run all tests
	@$(strict) local="$(call venv,local)"; lint="$(call venv,lint)"; EMITE_PYTHON="$$local" LINT_PYTHON="$$lint" $(PYTHON) tests/total.py

unit: own ## run the tests of single functions and modules: no local AWS; T=name picks some
	SEQUENCES=$${SEQUENCES:-100} cargo test --locked --workspace --lib --bins -- $(T)

# The functions first: Cargo would test whatever binaries are there.
e2e: own ## run the end-to-end tests; T=name picks some
	@cargo build --locked --workspace --bins --test e2e
	@$(strict) python="$(call venv,local)"; EMITE_PYTHON="$$python" cargo test --locked --workspace --test e2e -- $(T)

snapshots: own ## write the snapshots of unit tests anew, for you to read in the diff
	@INSTA_UPDATE=always cargo test --quiet --locked --workspace --lib --bins
	@git status --short -- '*.snap'

bench: own ## measure start-up, memory, the health check and the redrive against Python, into docs/benchmarks.md
	@$(strict) sam="$(call venv,sam)"; client="$(call venv,bench)"; python="$(call venv,local)"; $(building); \
		binaries="$$($(package) build $(release) --also emite-connect-bench)"; \
		PYTHONPATH=tests "$$python" -m bench --sam "$$sam" --client "$$client" --binaries "$$binaries"

lint: own ## check format, lints, licences, template and Python
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings -A rustdoc::private-intra-doc-links" cargo doc --locked --workspace --no-deps --document-private-items --quiet
	$(PYTHON) tests/deny.py
	"$(call venv,local)" -m ruff check tests
	"$(call venv,local)" -m ruff check --config tests/ruff.toml infra/package
	tests/template/lint

# ARCH=arm64 is the other one. DEPLOY_OPTIONS= deploys with the answers that are in samconfig.toml.
deploy: DEPLOY_OPTIONS ?= --guided
deploy: own ## build for Lambda and deploy to the AWS account of your credentials, asking for the parameters
	@$(strict) sam="$(call venv,sam)"; python="$(call venv,local)"; export SAM_CLI_TELEMETRY=0; $(building); \
		$(package) deployable $(release); \
		$(package) questions; \
		since=$$(date +%s); trap 'exit 130' INT; \
		"$$sam" -m samcli deploy $(DEPLOY_OPTIONS) || { $(package) failures --since "$$since"; exit 1; }

# BUCKET, BUCKET_REGION and KEY_PREFIX (with a / at its end) set where the release will be published; ICONS is a folder of AWS's icons for the diagram.
package: KEY_PREFIX ?= emite-connect/
package: own ## make infra/marketplace.yaml, and in dist/ all that is published for AWS Marketplace; ARCH=arm64 is the other one
	@$(strict) sam="$(call venv,sam)"; python="$(call venv,local)"; $(building); \
		$(package) bundle $(release) \
		--bucket "$(BUCKET)" --bucket-region "$(BUCKET_REGION)" --prefix "$(KEY_PREFIX)" $(if $(ICONS),--icons "$(ICONS)")

clean: ## remove what was built here (the cache of all clones stays; its place is printed)
	rm -rf target .aws-sam dist
	@echo "The cache stays: $(CACHE)"
