#!/usr/bin/env bash
# Resolves every lock anew: universal (Linux and macOS, Python 3.11 to 3.13), with hashes, without naming any host.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$(command -v uv || echo .tools/uv/bin/uv)
lock() { local out=$1; shift; "$uv" pip compile -q --universal --generate-hashes --python-version 3.11 --no-header --upgrade "$@" -o "$out"; echo "$out"; }

lock requirements/platform.txt pyproject.toml --extra s3 --extra postgres
lock requirements/dev.txt pyproject.toml --extra s3 --extra postgres --group dev
lock requirements/steps.txt steps/{download,convert,upload,report}/pyproject.toml
for step in download convert upload report; do
    lock "steps/$step/requirements.txt" "steps/$step/pyproject.toml" -c requirements/steps.txt
done
lock steps/train/ultralytics/requirements.txt steps/train/ultralytics/pyproject.toml --overrides requirements/overrides.txt
echo 'uv>=0.9' | lock requirements/uv.txt -
