CONTAINERD_ROOT ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tagger/sid
export CONTAINERD_ROOT PYTHON
MAKEFLAGS += --no-print-directory

.PHONY: help demo bench test test-engines test-long docs dist image lock audit lint clean

help: ## list what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' Makefile | expand -t 20

demo: ## release an image step by step on a real Engine and a real registry
	@tools/setup demo
	@PYTHONPATH=tests/support .venv/bin/python tools/demo.py

bench: ## measure against the commands that tagger replaces, and write benchmarks/RESULTS.md
	@tools/setup bench
	@tools/setup engines && tools/containerd-root "$(CONTAINERD_ROOT)" || echo "There is no crane: what it is compared with is left out"
	@PYTHONPATH=tests/support .venv/bin/python -m benchmarks $(BENCH)

test: lint ## check style and types, and run every test that one Engine and one registry allow
	.venv/bin/pytest -n 2 --dist worksteal -m "not containerd and not crane and not sid and not podman and not long"

test-engines: ## run the tests of Podman, and of what a Debian sid in a folder (700 MB, kept) has: containerd, registries, Podman
	@tools/setup test
	@tools/setup engines
	@tools/containerd-root "$(CONTAINERD_ROOT)"
	.venv/bin/pytest -n 2 --dist worksteal -m "(containerd or crane or sid or podman) and not long"

test-long: ## fail at every request of a release, race and model for longer: what takes minutes
	@tools/setup test
	.venv/bin/pytest -n 2 --dist worksteal -m "long" --durations=10
	TAGGER_LONG=1 .venv/bin/pytest tests/unit/test_fuzz.py

docs: ## write the pages of the commands, the man page, and the pictures of a terminal
	@tools/setup test
	.venv/bin/python tools/pages.py
	PYTHONPATH=tests/support .venv/bin/python tools/picture.py docs/pictures

dist: ## build the wheel and the source distribution, and gather what the image holds
	@tools/setup test
	rm -rf dist
	.venv/bin/python -m build --quiet
	tools/image

image: dist ## build the image of tagger itself
	docker build --tag tagger --build-arg VERSION=$$(.venv/bin/tagger --version | cut -d' ' -f2) --build-arg REVISION=$$(git rev-parse HEAD) .

lock: ## write the lock files anew
	@tools/setup test
	tools/lock --upgrade

audit: ## look for known vulnerabilities in what is locked
	@tools/setup test
	.venv/bin/python -c 'import pip_audit' 2>/dev/null || .venv/bin/pip install --quiet pip-audit
	.venv/bin/pip-audit --require-hashes --disable-pip --requirement requirements.lock

lint: ## check style and types
	@tools/setup test
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy

clean: ## remove what the other targets left in this folder
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
