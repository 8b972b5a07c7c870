# What a person types. `make` alone lists it.
.DEFAULT_GOAL := help
SHELL := bash
TIPHYS := .venv/bin/tiphys
PYTEST := .venv/bin/python -m pytest
TRAIN := .venvs/ultralytics
# Whole files to two processes: what a file's tests share is made once.
PARALLEL := -n 2 --dist loadfile

.PHONY: help demo test test-fast test-cluster test-argo lint format types floors golden record-traces catalogue lock environments bench bench-data fuzz images clean

help: ## List what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

demo: announce environments ## Train a detector of handwritten digits from nothing, and watch it
	@$(TIPHYS) demo

test: announce environments ## Set up and run the whole default suite (under 15 minutes on 2 cores)
	@$(PYTEST) $(PARALLEL)

test-fast: environments ## The suite without real trainings
	@$(PYTEST) $(PARALLEL) -m "not trains and not e2e"

# What a person asks for by name fails where its cluster is not there; in the whole suite it is skipped.
CLUSTER := TIPHYS_TEST_NO_SKIP=1 TIPHYS_TEST_KUBECONFIG="$${TIPHYS_TEST_KUBECONFIG:-$${KUBECONFIG:-$$HOME/.cluster/kubeconfig}}"

test-cluster: .venv/.ready ## The tests on a real Kubernetes API server (of KUBECONFIG; see tests/cluster/README.md)
	@$(CLUSTER) $(PYTEST) -m "cluster and not argo"

test-argo: environments ## The tests on a real Argo controller (of KUBECONFIG; see tests/cluster/README.md)
	@$(CLUSTER) $(PYTEST) -m argo

lint: .venv/.ready ## Ruff, types and floors
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .
	@$(MAKE) --no-print-directory types floors

format: .venv/.ready ## Let ruff format and mend what it can
	@.venv/bin/ruff check --fix .
	@.venv/bin/ruff format .

types: .venv/.ready ## Strict types on api/ and workflows/
	@.venv/bin/mypy

floors: .venv/.ready ## The import contracts
	@.venv/bin/lint-imports --no-cache

golden: .venv/.ready ## Write the examples' YAML anew
	@UPDATE_GOLDEN=1 $(PYTEST) tests/workflows -k golden

record-traces: .venv/.ready ## Record what a real Argo controller writes about our workflows anew (an hour; see tests/cluster)
	@TIPHYS_RECORD_TRACES=tests/api/reconciler/own $(PYTEST) -v tests/conformance/test_records.py tests/conformance/test_limits.py -m argo

catalogue: environments ## Write the trainers' own settings into the catalogue anew
	@$(TRAIN)/bin/python -m steps.train.ultralytics --advanced-keys >workflows/frameworks/ultralytics_advanced.json
	@.venvs/steps/bin/python -m steps.train.toy --advanced-keys >workflows/frameworks/toy_advanced.json

bench: environments ## Print the benchmarks, each with its peer in the same run
	@set -e; for script in tests/bench/*.py; do echo "== $$script"; .venv/bin/python "$$script"; done

bench-data: environments ## Print the data benchmarks, each with its peer in the same run (QUICK=1 for a tenth of the size)
	@set -e; for name in conversion fetching headers; do echo "== $$name"; .venv/bin/python -m tests.bench.data.$$name $(if $(QUICK),--quick); done

fuzz: environments ## Check 10,000 mutated datasets, the same each time (minutes; EXAMPLES=…, RANDOM=1 for others)
	@FUZZ_EXAMPLES=$(or $(EXAMPLES),10000) FUZZ_RANDOM='$(RANDOM)' $(PYTEST) -q -n 2 --timeout 1800 tests/steps/convert/fuzz tests/steps/convert/corpus/test_large.py

images: ## Build the images with docker, podman or buildah (IMAGE_PREFIX, IMAGE_TAG, PUSH=1; IMAGES="api steps" for some)
	@PUSH='$(PUSH)' IMAGE_PREFIX='$(IMAGE_PREFIX)' IMAGE_TAG='$(IMAGE_TAG)' PYTHON_IMAGE='$(PYTHON_IMAGE)' BUILD_ARGS='$(BUILD_ARGS)' requirements/images.sh $(IMAGES)

environments: .venv/.ready .venvs/steps/.ready $(TRAIN)/.ready ## Make every environment as its lock says

.PHONY: announce
announce:
	@test -e $(TRAIN)/.ready || echo "first start: making three locked environments (PyTorch brings CUDA's libraries: 6 GB in all, a minute on a fast line)"

.venv/.ready: requirements/dev.txt requirements/setup.sh pyproject.toml
	@requirements/setup.sh .venv requirements/dev.txt

.venvs/steps/.ready: requirements/steps.txt requirements/setup.sh
	@requirements/setup.sh .venvs/steps requirements/steps.txt

$(TRAIN)/.ready: steps/train/ultralytics/requirements.txt requirements/setup.sh
	@requirements/setup.sh $(TRAIN) steps/train/ultralytics/requirements.txt

lock: ## Resolve every lock anew from its pyproject.toml
	@requirements/lock.sh

clean: ## Remove the environments and caches; your .tiphys stays
	@rm -rf .venv .venvs .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
