# Everything a fresh machine with Python 3.11 or newer needs (and Node 20 for `make test` and the tanstack ones): `make verify`,
# `make test`, `make races`, `make browser`, `make lint`, `make selftest` (SELFTEST=--quick takes a sample). Each makes the virtual environment first; nothing is installed by hand.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Processes that share the work.
JOBS ?= 2
# Whoever has nothing to do takes tests from the other: some take a minute, most a millisecond.
SPREAD := -n $(JOBS) --dist worksteal
INSTALLED := $(VENV)/.installed
# What a run writes is thrown away, and a disk takes most of the time for it: it goes to memory that looks like a disk, where
# there is enough. Processes that are killed lose nothing by it.
MEMORY := $(shell df --output=avail,target --block-size=M /dev/shm 2>/dev/null | awk 'NR == 2 && $$1 + 0 > 2000 {print $$2}')
ifneq ($(MEMORY),)
export TMPDIR := $(MEMORY)
endif

.PHONY: verify test races browser lint selftest docs clean tanstack tanstack-test tanstack-reverse

verify: $(INSTALLED)
	$(BIN)/storeproof verify --jobs $(JOBS) $(VERIFY)

MARKS ?= not races and not browser
test: $(INSTALLED)
	$(BIN)/python -m pytest -q $(SPREAD) -m "$(MARKS)"

races: $(INSTALLED)
	$(BIN)/python -m pytest -q $(SPREAD) -m races

# Node 20 with npm: the published TanStack Workflow runtime on the three adapters.
tanstack-reverse: $(INSTALLED)
	$(BIN)/python -m pytest -q examples/tanstack/reverse

# Chromium and its driver are Debian's; axe-core is npm's.
browser: $(INSTALLED) conformance/axe/node_modules/.package-lock.json
	{ command -v chromium && command -v chromedriver; } >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium chromium-driver; }
	$(BIN)/python -m pytest -q -m browser

conformance/axe/node_modules/.package-lock.json: conformance/axe/package-lock.json
	cd conformance/axe && npm ci --silent --no-audit --no-fund

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/python -m storeproof.spec.formatter --check

selftest: $(INSTALLED)
	$(BIN)/storeproof selftest $(SELFTEST)

# The published TanStack stores. LIMIT: on D1 a thousand events are a thousand round trips.
TANSTACK := examples/tanstack
BRIDGE := stdio:node $(TANSTACK)/bridge.mjs
# One of this checkout's own: two side by side must not empty each other's.
D1_OWN := $(if $(MEMORY),$(MEMORY)/storeproof-d1$(subst /,-,$(CURDIR)),.storeproof/tanstack-d1)
D1_FOLDER ?= $(D1_OWN)
tanstack: $(INSTALLED) $(TANSTACK)/node_modules/.package-lock.json
	$(BIN)/python $(TANSTACK)/with_postgres.py $(BIN)/storeproof verify --profile thorough --limit-s 120 $(VERIFY) \
	    '$(BRIDGE) memory' '$(BRIDGE) postgres' '$(BRIDGE) d1 --folder $(D1_FOLDER)'

tanstack-test: $(INSTALLED) $(TANSTACK)/node_modules/.package-lock.json
	$(BIN)/python -m pytest -q $(TANSTACK)

$(TANSTACK)/node_modules/.package-lock.json: $(TANSTACK)/package-lock.json
	cd $(TANSTACK) && npm ci

docs: $(INSTALLED)
	$(BIN)/mkdocs build --strict --quiet

# Debian keeps venv in a package of its own; where it is missing and we may, we fetch it.
$(INSTALLED): pyproject.toml
	$(PYTHON) -m venv --clear $(VENV) || { apt-get update -qq && apt-get install -y -qq python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[all]' --group dev
	touch $@

clean:
	rm -rf $(VENV) site .storeproof $(D1_OWN)
