# Everything happens in .venv. It is filled when a lock file in requirements/ has changed, and left alone otherwise.

PYTHON ?= $(or $(shell python3.11 -c 'import sys; print(sys.executable)' 2>/dev/null),python3)
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --quiet --disable-pip-version-check
INSTALLED := $(VENV)/.installed
# More workers than this only wait for the one PostgreSQL and the browsers.
PYTEST := $(PY) -m pytest -n logical --maxprocesses 8 --dist worksteal
# Mail programs drop style sheets, so mails alone carry inline styles (H021).
DJLINT := $(VENV)/bin/djlint --lint --profile jinja --quiet --allow-empty-input --per-file-ignores 'authsvc/messaging/' H021

IMAGE ?= authsvc:0.1.0
BUILDER ?= $(notdir $(firstword $(foreach name,docker podman buildah,$(shell command -v $(name)))))

.DEFAULT_GOAL := help
.PHONY: help run test test-replicas test-fast faults coverage lint bench image image-test migration lock clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(INSTALLED)-server $(INSTALLED)-authsvc ## Start the demonstration: sign-in, sample portal, inbox
	@AUTHSVC_POLICIES_DIR=policies $(VENV)/bin/authsvc demo

test: $(INSTALLED)-test $(INSTALLED)-authsvc ## Run the whole suite on real servers; ARGS="-k name" for a part
	@$(PY) -m tests.support.install
	@$(PYTEST) $(ARGS)

test-replicas: $(INSTALLED)-test $(INSTALLED)-authsvc ## Run protocol, pages and browser against two replicas in turn; REPLICAS=3, ARGS="-k name"
	@$(PY) -m tests.support.install
	@AUTHSVC_TEST_REPLICAS=$(or $(REPLICAS),2) $(PYTEST) tests/protocol tests/pages tests/browser $(ARGS)

test-fast: $(INSTALLED)-test $(INSTALLED)-authsvc ## Run what needs no servers: unit and house
	@$(PY) -m pytest tests/unit tests/house $(ARGS)

faults: $(INSTALLED)-test $(INSTALLED)-authsvc ## Run the races and faults as often as security.md asks; ARGS="-k tn06" for a part
	@$(PY) -m tests.support.install
	@AUTHSVC_TEST_FAULTS=full $(PYTEST) -o faulthandler_timeout=1800 tests/faults tests/serving/test_starting_and_stopping.py $(ARGS)

coverage: $(INSTALLED)-test $(INSTALLED)-authsvc ## Run the whole suite and show which branches no test takes
	@$(PY) -m tests.support.install
	@$(PY) -m coverage erase
	@$(PY) -m coverage run -m pytest -n logical --maxprocesses 8 --dist worksteal $(ARGS)
	@$(PY) -m coverage combine --quiet
	@$(PY) -m coverage report

lint: $(INSTALLED)-dev $(INSTALLED)-authsvc ## Check style, types, import layers, spelling and templates
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --check --quiet .
	@$(VENV)/bin/mypy --no-error-summary
	@$(VENV)/bin/lint-imports --config setup.cfg --no-logo
	@$(VENV)/bin/codespell
	@$(DJLINT) authsvc

bench: $(INSTALLED)-test $(INSTALLED)-authsvc ## Measure against the peers; ARGS goes to the benchmark
	@$(PY) -m bench $(ARGS)

image: ## Build the container image; IMAGE=name:tag, BUILDER=buildah, and ARGS for the builder (--build-arg PYTHON=...@sha256:...)
	@test -n "$(BUILDER)" || { echo "An image needs docker, podman or buildah: install one of them." >&2; exit 1; }
	@$(BUILDER) build $(if $(findstring docker,$(BUILDER)),,--format docker) --tag $(IMAGE) \
		--build-arg REVISION="$$(git rev-parse HEAD 2>/dev/null || echo unknown)" $(ARGS) .

image-test: $(INSTALLED)-test $(INSTALLED)-authsvc ## Build the image on a base of its own, start it read-only and sign in through it
	@$(PY) -m tests.support.install image
	@$(PY) -m pytest tests/image/real_build.py $(ARGS)

migration: $(INSTALLED)-server $(INSTALLED)-authsvc ## Draft a migration from the models: make migration name="add phone"
	@test -n "$(name)" || { echo 'Say what it does: make migration name="add phone"' >&2; exit 2; }
	@$(PY) -m authsvc.db.migrate new "$(name)"

lock: $(INSTALLED)-dev ## Bring the lock files up to what setup.cfg asks for; ARGS=--upgrade for newer versions
	@for extra in server test dev; do \
		$(VENV)/bin/uv pip compile setup.cfg --extra $$extra --generate-hashes --python-version 3.11 \
			--no-header --no-emit-index-url --quiet --output-file requirements/$$extra.txt $(ARGS) || exit; \
	done
	@$(VENV)/bin/uv pip compile setup.cfg --extra server --extra otel --constraint requirements/test.txt --generate-hashes \
		--python-version 3.11 --no-header --no-emit-index-url --quiet --output-file requirements/image.txt
	@sed -n 's/^requires = \["\(.*\)"\]/\1/p' pyproject.toml | $(VENV)/bin/uv pip compile - --generate-hashes \
		--python-version 3.11 --no-header --no-emit-index-url --quiet --output-file requirements/build.txt

clean: ## Delete what tools have made; keys/ and var/ are yours and stay
	@rm -rf $(VENV) build dist htmlcov .coverage* .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find authsvc tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit("authsvc needs Python 3.11 or newer: make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(INSTALLED)-%: requirements/%.txt $(VENV)/.created
	@echo "Installing the packages of $<"
	@$(PIP) install --require-hashes -r $<
	@touch $@

$(INSTALLED)-authsvc: pyproject.toml setup.cfg $(VENV)/.created
	@$(PIP) install --no-deps -e .
	@touch $@
