# The two commands a newcomer needs are `make up` and `make test`; the rest is for everyday work.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export PYTHONSAFEPATH := 1

.PHONY: up down check test bench bench-edge bench-rpc lint format redoc release-archive lock licences sbom lowest

up: $(VENV)/.installed ## Start the whole shop on this machine
	$(BIN)/kirana up $(ARGS)

down: $(VENV)/.installed ## Stop it; no process stays
	$(BIN)/kirana down

check: $(VENV)/.installed-dev lint ## Format, lint, types, layers and unit tests: no servers, two minutes
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest --quiet --numprocesses 2 tests/architecture tests/unit tests/deploy

# Whole files to each worker, in the order that tests/conftest.py gives them. Where they mostly wait for something to
# happen there are more workers than two cores could keep busy.
BY_FILE := --dist loadfile --no-loadscope-reorder

test: check ## Everything, on private servers beside whatever runs; those that need a whole shop share two of them
	$(BIN)/kirana install --tests
	$(MAKE) --no-print-directory lowest OLDEST='$(HANGS_ON_VERSIONS)'
	$(BIN)/pytest $(BY_FILE) --numprocesses 4 tests/contract
	$(BIN)/pytest $(BY_FILE) --numprocesses 4 tests/integration --ignore=tests/integration/stack
	$(BIN)/pytest $(BY_FILE) --numprocesses 2 tests/e2e tests/integration/stack tests/chaos

bench: $(VENV)/.installed-dev ## Requests per second through the edge, beside bare Sanic
	PYTHONPATH=. $(BIN)/python -m benchmarks.first $(ARGS)

bench-edge: $(VENV)/.installed-dev ## What each part of the edge costs, beside bare Sanic
	$(BIN)/kirana install
	PYTHONPATH=. $(BIN)/python -m benchmarks.edge $(ARGS)

bench-rpc: $(VENV)/.installed-dev ## What frames are worth: with and without them, and stock Nameko, in one run
	$(BIN)/kirana install
	PYTHONPATH=. $(BIN)/python -m benchmarks.rpc $(ARGS)

release-archive: ## Keep the code of the newest tag, which tests run on the schema of the next version
	@tag=$$(git describe --tags --abbrev=0) || { echo 'No release is tagged here. Next: git tag v0.1.0' >&2; exit 1; }; \
	cd tests/releases && trap 'rm -f draft.tar draft.tar.xz draft.commit' EXIT \
	&& git -C ../.. archive --format=tar --output="$$PWD/draft.tar" "$$tag" edge rpc_services shared \
	&& xz -9e --force draft.tar && git rev-parse "$$tag^{commit}" > draft.commit \
	&& mv draft.tar.xz last.tar.xz && mv draft.commit last.commit \
	&& echo "tests/releases/last.tar.xz is $$tag, commit $$(cat last.commit)"

REDOC := 2.5.4

redoc: ## Fetch the page of the API that is kept in edge/pages again, without its picture from the internet; needs npm
	place=$$(mktemp -d) && (cd $$place && npm pack --silent redoc@$(REDOC) && tar xzf redoc-$(REDOC).tgz) \
	&& sed -e 's#https://cdn.redoc.ly/redoc/logo-mini.svg#data:,#' -e '/^\/\/# sourceMappingURL=/d' \
		$$place/package/bundles/redoc.standalone.js | gzip -9n > edge/pages/redoc.standalone.js.gz \
	&& { cat $$place/package/LICENSE; printf '\nThe bundle holds more:\n\n'; \
		cat $$place/package/bundles/redoc.standalone.js.LICENSE.txt; } > edge/pages/redoc.LICENSE.txt; rm -r $$place

COMPILE := $(BIN)/uv pip compile --quiet --python-version 3.11 --python-platform linux --no-emit-index-url \
	--custom-compile-command 'make lock'

lock: $(VENV)/.installed-dev ## Choose the images' packages anew, newest first, and the oldest that pyproject.toml allows
	$(COMPILE) --upgrade --generate-hashes pyproject.toml --output-file requirements/image.txt
	$(COMPILE) --upgrade --resolution lowest-direct --no-annotate pyproject.toml --output-file requirements/lowest.txt
	$(MAKE) --no-print-directory licences

licences: $(VENV)/.installed-dev ## List under which licences the images' packages are
	$(BIN)/python requirements/licences.py > docs/licences.draft && mv docs/licences.draft docs/licences.md \
	|| { rm -f docs/licences.draft; exit 1; }

sbom: $(VENV)/.installed-dev ## What the images hold, as CycloneDX: dist/sbom.json
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements/image.txt \
		--output-reproducible --output-format JSON --output-file dist/sbom.json

# What has once been found to hang on a package's version; `make lowest` takes all.
HANGS_ON_VERSIONS := tests/unit/kirana/commands tests/unit/shared/contracts tests/unit/edge/test_openapi.py
OLDEST ?= tests/unit

lowest: $(VENV)/.installed-dev ## Unit tests with the oldest packages that pyproject.toml allows, in an environment of their own
	$(BIN)/python -m venv --clear dist/lowest
	dist/lowest/bin/pip install --quiet --constraint requirements/lowest.txt --editable '.[demo]' \
		'pytest>=9' 'pytest-randomly>=4' 'pytest-timeout>=2.4' 'pytest-xdist>=3.8' 'hypothesis>=6.140' \
		'openapi-spec-validator>=0.7.2'
	dist/lowest/bin/pytest --quiet --numprocesses 2 $(OLDEST)

lint: $(VENV)/.installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/deptry --no-ansi .

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# A stamp per set of dependencies: installed again only when pyproject.toml changes.
$(VENV)/.installed: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/pip install --quiet --editable .
	touch $@

$(VENV)/.installed-dev: pyproject.toml setup.py | $(BIN)/python
	$(BIN)/pip install --quiet --editable '.[dev,demo]'
	touch $@ $(VENV)/.installed

# Debian keeps ensurepip in a package of its own.
$(BIN)/python:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory install-venv
	$(PYTHON) -m venv $(VENV)

.PHONY: install-venv
install-venv:
	@if [ "$$(id -u)" = 0 ]; then root=; elif sudo -n true 2>/dev/null; then root="sudo -n"; \
	else echo "Python cannot make virtual environments here. Next: sudo apt-get install python3-venv" >&2; exit 1; fi; \
	$$root apt-get install --yes --no-install-recommends python3-venv \
	|| { $$root apt-get update && $$root apt-get install --yes --no-install-recommends python3-venv; }
