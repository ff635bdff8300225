# Each target does all its own set-up on a fresh clone, and none of it the second time.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
LOCALSTACK := build/localstack/.ready
TOOLS  := build/tools
SITE   := web/dist/index.html
# Node.js comes with the virtual environment; scripts of packages look for it on the path.
NPM    := cd web && PATH="$(CURDIR)/$(BIN):$$PATH" npm --loglevel=error

# A demo that nobody watches checks its results, prints them and ends.
DEMO_FLAGS := $(shell test -t 1 || echo --once)

# Where `deploy` and `destroy` go: make deploy STACK=maquette REGION=us-east-1 PROFILE=mine YES=1
TARGET := $(if $(STACK),--stack '$(STACK)') $(if $(REGION),--region '$(REGION)') $(if $(PROFILE),--profile '$(PROFILE)') $(if $(YES),--yes)

# Several processes share the cores: a thread that waits for others of its kind must not keep one busy.
TESTING := OMP_WAIT_POLICY=passive MAQUETTE_THREADS=1

.DEFAULT_GOAL := help
.PHONY: help setup web demo up test chaos load browser test-localstack test-hostile test-deployment template lambda deploy destroy bandit audit check format bench lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make the virtual environment with every pinned dependency

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Maquette needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV): about 2 GB of pinned packages, a minute or two; later runs skip this."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --constraint constraints.txt --editable '.[pipeline,rembg,openvino,cli,local,web,dev]'
	@touch $@

web: $(SITE) ## Build the site into web/dist

web/node_modules/.ready: web/package-lock.json | $(READY)
	@echo "Setting up web/node_modules: what the site is built from, some seconds."
	@$(NPM) ci --no-audit --no-fund
	@touch $@

# Folders are looked at, too: a file that went away is a change.
$(SITE): web/node_modules/.ready web/index.html web/vite.config.js \
  $(shell find web/src web/public) $(wildcard infra/local/samples/*.jpg)
	@echo "Building the site into web/dist."
	@$(NPM) run --silent build -- --logLevel warn
	@touch $@

demo: setup web ## The sample photos through the whole local cloud; shows where the models lie
	@$(BIN)/maquette demo $(DEMO_FLAGS)

up: setup web ## Run the whole cloud on this machine (Ctrl-C ends it)
	@$(BIN)/maquette up

test: setup web ## Every test but those of make deploy, against real local servers
	@timeout 240 $(MAKE) --no-print-directory $(LOCALSTACK) || \
	  echo "LocalStack could not be installed: the tests that need it are skipped."
	@$(BIN)/python -m tests.browser.chromium
	@$(if $(TESTS),,$(NPM) test --silent)
	@echo "Testing: geometry, pictures, protocol, the local cloud with real workers, the site in a browser."
	@$(TESTING) $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(or $(TESTS),--ignore tests/deployment)

test-deployment: setup ## make deploy and make destroy, against servers and programs in the place of AWS and its tools
	@$(TESTING) $(BIN)/python -m pytest -n 2 --dist loadfile tests/deployment

chaos: setup ## Rounds of faults against the local cloud: make chaos SEED=1 MINUTES=10
	@$(BIN)/python -m tests.chaos --seed $(or $(SEED),1) --minutes $(or $(MINUTES),10)

load: setup ## Five hundred jobs and a thousand sockets on this machine; writes build/load.json
	@$(BIN)/python -m tests.load

browser: setup ## Find a Chromium for the tests of the site, or install one
	@$(BIN)/python -m tests.browser.chromium --install

test-localstack: setup $(LOCALSTACK) ## Uploads, links and notifications against LocalStack
	@$(BIN)/python -m pytest tests/localstack

test-hostile: setup ## Hostile files: all of them through the whole cloud, and ten minutes of made-up ones
	@HOSTILE=all $(TESTING) $(BIN)/python -m pytest tests/hostile --timeout 1800

$(LOCALSTACK): tests/localstack/requirements.txt
	@echo "Setting up LocalStack in build/localstack: about 200 MB, half a minute."
	@$(PYTHON) -m venv build/localstack
	@build/localstack/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

# Neither tool asks anybody anything: SAM would report its use, checkov would fetch what its maker's customers have.
template: setup $(TOOLS)/sam/.ready $(TOOLS)/checkov/.ready ## The template before cfn-lint, SAM and checkov
	@$(BIN)/cfn-lint template.yaml
	@SAM_CLI_TELEMETRY=0 $(TOOLS)/sam/bin/sam validate --lint --region us-east-1 --template template.yaml
	@$(TOOLS)/checkov/bin/checkov --file template.yaml --framework cloudformation --skip-download --compact --quiet

bandit: setup $(TOOLS)/bandit/.ready ## The code before bandit; every finding has its reason
	@$(BIN)/python -m tests.tools.bandit $(TOOLS)/bandit/bin/bandit

# Both ask the registries what they know of each version: without a network this fails, and says so.
audit: bandit $(TOOLS)/pip-audit/.ready ## Known weaknesses of what is built upon, as PyPI and npm have them
	@$(TOOLS)/pip-audit/bin/pip-audit --strict --disable-pip --no-deps --progress-spinner off --requirement constraints.txt
	@$(NPM) audit --audit-level low

$(TOOLS)/%/.ready: tests/tools/%.txt
	@echo "Setting up $* in $(@D): up to 300 MB, half a minute."
	@$(PYTHON) -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@touch $@

lambda: setup ## The bundle of the Lambda functions, in build/lambda
	@$(BIN)/python -m infra.deployment.bundle build/lambda

deploy: setup ## Put all of it into an AWS account (STACK=maquette REGION= PROFILE= CONFIG=deployment.toml YES=1)
	@$(BIN)/python -m infra.deployment.deploy $(TARGET) $(if $(CONFIG),--config '$(CONFIG)')

destroy: setup ## Take it out again; photos and models stay (STACK= REGION= PROFILE= YES=1 WITH_DATA=1)
	@$(BIN)/python -m infra.deployment.destroy $(TARGET) $(if $(WITH_DATA),--with-data)

check: setup web ## Style, types and the template
	@$(NPM) run --silent check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/cfn-lint template.yaml

format: setup ## Rewrite the code in the project's style
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup web ## Seconds per stage, ratios against the plain reference, delays of the site; writes build/bench.json
	@$(BIN)/python -m tests.bench $(BENCH_FLAGS)

lock: setup ## Record the versions of the virtual environment in constraints.txt
	@{ echo "# Every package of the virtual environment, direct or not, at the version it was tested with."; \
	   echo "# Remade by 'make lock'."; \
	   $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//' | grep -vE '^(pip|setuptools|wheel)=='; } > constraints.txt.new
	@mv constraints.txt.new constraints.txt

clean: ## Remove everything that a target made
	rm -rf $(VENV) build web/dist web/node_modules *.egg-info .mypy_cache .ruff_cache .pytest_cache
