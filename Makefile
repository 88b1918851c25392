CONTAINERD_ROOT ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tagger/sid
export CONTAINERD_ROOT PYTHON
# If this is set, every process recompiles everything that it imports.
export PYTHONDONTWRITEBYTECODE :=
MAKEFLAGS += --no-print-directory

.PHONY: help demo bench test test-engines test-long suite docs dist image lock audit lint clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

demo: ## release an image step by step on a real Engine and a real registry, then remove everything
	@tools/setup demo
	@PYTHONPATH=tests/support .venv/bin/python tools/demo.py

bench: ## compare speed with the commands that tagger replaces, and write benchmarks/RESULTS.md
	@tools/setup bench
	@tools/setup engines && tools/containerd-root "$(CONTAINERD_ROOT)" || echo "crane is missing: the comparisons with it are skipped"
	@PYTHONPATH=tests/support .venv/bin/python -m benchmarks $(BENCH)

# This should end within three minutes on two processors. So property tests try 20 examples, a test that talks to services runs
# with one of four variations, and the tests marked "long" are left to `make test-long`, which runs every variation, example,
# fault, race and schedule, every Python, all hosts, the demo, and whatever installs or builds packages. Tests that need other
# Engines and registries are in `make test-engines`. `.ci/run` runs all three.
test: ## check style and types, and run the tests that need one Engine and one registry
	@tools/setup test
	@$(MAKE) --jobs 2 lint suite

# The first line compiles the tests once; otherwise each process of the second line would.
suite:
	@.venv/bin/pytest --collect-only --quiet --quiet >/dev/null 2>&1 || true
	.venv/bin/pytest -n 4 --dist worksteal -m "not containerd and not crane and not sid and not podman and not long and not variation"

test-engines: ## test with Podman, the containerd image store and other registries (installs Debian sid in a folder, 700 MB)
	@tools/setup test
	@tools/setup engines
	@tools/containerd-root "$(CONTAINERD_ROOT)"
	.venv/bin/pytest -n 2 --dist worksteal -m "(containerd or crane or sid or podman) and not long"

test-long: ## run the other tests: every variation, a fault at every request, races, long model and fuzz runs
	@tools/setup test
	.venv/bin/pytest -n 2 --dist worksteal -m "long" --durations=10
	.venv/bin/pytest -n 3 --dist worksteal -m "variation and not containerd and not crane and not sid and not podman and not long"
	TAGGER_EXAMPLES=5000 .venv/bin/pytest tests/unit/test_fuzz.py
	TAGGER_EXAMPLES=150 .venv/bin/pytest -n 2 --dist worksteal --ignore tests/unit/test_fuzz.py -m "hypothesis and not long"

docs: ## write the command pages, the man page and the terminal pictures
	@tools/setup test
	.venv/bin/python tools/pages.py
	PYTHONPATH=tests/support .venv/bin/python tools/picture.py docs/pictures

dist: ## build the wheel, the source distribution and tagger.pyz, and prepare the image's content
	@tools/setup dist
	rm -rf dist
	.venv/bin/python -m build --quiet --no-isolation
	.venv/bin/python tools/pyz.py
	tools/image

image: dist ## build an image of tagger itself
	docker build --tag tagger --build-arg VERSION=$$(.venv/bin/tagger --version | cut -d' ' -f2) --build-arg REVISION=$$(git rev-parse HEAD) .

lock: ## update the lock files
	@tools/setup test
	tools/lock --upgrade

audit: ## check the locked packages for known vulnerabilities
	@tools/setup test
	.venv/bin/python -c 'import pip_audit' 2>/dev/null || .venv/bin/pip install --quiet pip-audit
	.venv/bin/pip-audit --require-hashes --disable-pip --requirement requirements.lock

lint: ## check style and types
	@tools/setup test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

clean: ## remove everything that the other targets created in this folder
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
