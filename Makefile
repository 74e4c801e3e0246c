# `make demo` and `make test` do all their own set-up in this folder; `make help` lists the rest.
.DEFAULT_GOAL := help
.PHONY: help setup demo serve test check core adapters edges points orders prove-full lint mutants mutate soak package bench bench-cli bench-start lock audit clean

VENV := .venv/bin
STAMP := .venv/.ready
EMULATOR := node_modules/.ready

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 24

setup: $(STAMP) $(EMULATOR) ## make .venv and node_modules with everything that is locked

$(STAMP): requirements.txt tests/requirements.txt .ci/python
	@python="$$(sh .ci/python)"; \
	if [ -z "$$python" ]; then echo "setup: no Python 3.11 to 3.14 found; install Python 3.13" >&2; exit 1; fi; \
	echo "setup: making .venv with $$("$$python" --version) and the locked packages (about a minute)"; \
	rm -rf .venv; "$$python" -m venv .venv
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement tests/requirements.txt
	@touch $@
	@echo "setup: ready"

$(EMULATOR): package.json package-lock.json
	@if ! command -v npm >/dev/null; then \
		echo "setup: no Node.js found; going on without Azurite, so the tests of leases on blobs, crashes and answers are skipped"; \
	elif echo "setup: installing the storage emulator Azurite (about 15 seconds)"; rm -rf node_modules; \
		npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --update-notifier=false >/dev/null; then \
		touch $@; \
	else \
		echo "setup: npm could not install Azurite; going on without it, so the tests of leases on blobs, crashes and answers are skipped"; \
	fi

demo: setup ## rotate the keys of a simulated estate while applications read along
	@$(VENV)/python -m examples.demo

serve: setup ## run the Functions app on this machine, over a simulated Azure; PORT=7071
	@$(VENV)/python -m tests.functions.serve $(PORT)

# Some tests keep a processor busy and others mostly wait for answers, so they run at the same time. What runs aside is
# told at its end. Each part looks for keys in all that it has printed.
PROOF := tests/proof
ORDERS := $(PROOF)/orders $(PROOF)/test_availability.py
ADAPTERS := tests/integration
EDGES := tests/functions tests/security tests/surface
OF_NONE := not (storage or batch or webpubsub)
CORE := $(filter-out %/__pycache__ $(PROOF) $(ADAPTERS) $(EDGES),$(patsubst %/,%,$(wildcard tests/*/)))
LEAKS := tests/surface/test_no_key_is_printed.py
ASIDE = @mkdir -p build; status=0; \
	$(VENV)/python -m pytest $(1) > build/$@.txt 2>&1 || status=$$?; \
	echo; cat build/$@.txt; exit $$status

test: setup ## every test that CI runs
	@echo "test: five parts run side by side, and all but the first are told at their end (about a quarter of an hour)"
	@$(MAKE) --no-print-directory --jobs 5 core adapters edges points orders
	@if [ -e $(EMULATOR) ]; then echo "test: everything passed"; \
	else echo "test: what was run has passed; what needs Azurite was skipped, the proof of crashes and answers included"; fi

check: core adapters edges

core:
	@$(VENV)/python -m pytest $(CORE) $(LEAKS)

adapters:
	$(call ASIDE,$(ADAPTERS) $(LEAKS))

edges:
	$(call ASIDE,$(EDGES))

points:
	$(call ASIDE,$(PROOF) $(LEAKS) $(addprefix --ignore ,$(ORDERS)))

orders:
	$(call ASIDE,$(ORDERS) $(LEAKS))

ifneq ($(and $(filter prove-full,$(MAKECMDGOALS)),$(filter-out undefined,$(origin SERVICE))),)
ifneq ($(words $(SERVICE)) $(words $(filter storage batch webpubsub,$(SERVICE))),1 1)
$(error SERVICE=$(SERVICE): it is storage, batch or webpubsub)
endif
endif

prove-full: setup ## every crash and every answer at every request, and 60 rotations under load; SERVICE=batch for one (hours)
	$(VENV)/python -m pytest $(PROOF) tests/integration/test_crashes.py $(LEAKS) --full $(if $(SERVICE),-k "$(SERVICE) or $(OF_NONE)")

lint: setup ## ruff and mypy, as strict as they go
	$(VENV)/ruff check .
	$(VENV)/ruff format --check .
	$(VENV)/mypy

mutants: setup ## break every guard, one at a time, and say which test noticed (an hour or two); WORD=lease for some
	@$(VENV)/python -m tests.mutants '$(WORD)'

mutate: setup ## change every expression of what decides, one at a time, and say which changes no test noticed (ten minutes)
	@$(VENV)/python -m tests.mutation

MINUTES ?= 5

soak: setup ## try ever new orders of events, then bad weather under applications, and print what was reached; MINUTES=5
	@$(VENV)/python -m tests.proof.orders.soak '$(MINUTES)' --share 0.67
	@$(VENV)/python -m tests.proof.soak '$(MINUTES)' --share 0.33

package: setup ## build dist/functions.zip, which is what is deployed
	@sh .ci/package $(VENV)/python dist/functions.zip
	@echo "package: dist/functions.zip"

bench: setup ## measure fleets, quotas, sweeps and rivals against the simulator (ten minutes)
	@$(VENV)/python -m bench

bench-cli: setup ## install the Azure CLI in .venv/az (1 GB, not locked) for `make bench` to measure beside
	@$(VENV)/python -m venv .venv/az
	@.venv/az/bin/python -m pip install --quiet --disable-pip-version-check azure-cli

bench-start: setup ## measure a cold start against an app with empty functions
	@$(VENV)/python -m tests.functions.bench_start

lock: setup ## compile the lock files from pyproject.toml anew
	sh .ci/lock

audit: setup ## ask the package index for known vulnerabilities of what is deployed; needs a network that tells
	@sh .ci/audit

clean: ## remove what the other targets made
	rm -rf .venv node_modules build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
