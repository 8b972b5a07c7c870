#!/usr/bin/env bash
# Builds images with docker, podman or buildah, whichever works here: requirements/images.sh [NAME…]; without a name, all.
# IMAGE_PREFIX (registry.example/team), IMAGE_TAG, PUSH=1, PYTHON_IMAGE (what they stand on), BUILDER, BUILD_ARGS (for it,
# e.g. --network host; what a private package index needs comes as --secret id=pip,src=FILE and stays out of the image).
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf 'error: %s\ncure:  %s\n' "$1" "$2" >&2; exit 1; }

# A client without its daemon is there and builds nothing.
builder() {
    local found
    for found in ${BUILDER:-docker podman buildah}; do
        if command -v "$found" >/dev/null && "$found" info >/dev/null 2>&1; then echo "$found"; return; fi
    done
    fail "no builder of images works here (asked: ${BUILDER:-docker, podman, buildah})" "start docker, or install podman or buildah"
}

file_of() {
    case $1 in
        api) echo api/Dockerfile ;;
        steps) echo steps/Dockerfile ;;
        trainer-*) echo "steps/train/${1#trainer-}/Dockerfile" ;;
    esac
}

prefix=${IMAGE_PREFIX:-tiphys}
tag=${IMAGE_TAG:-$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' workflows/version.py)}
names=("$@")
[ $# -gt 0 ] || names=(api steps trainer-toy trainer-ultralytics)
builder=$(builder)
for name in "${names[@]}"; do
    file=$(file_of "$name")
    [ -n "$file" ] && [ -e "$file" ] || fail "there is no image called $name" "choose of: api steps trainer-toy trainer-ultralytics"
    printf '%s: building %s/%s:%s\n' "$builder" "$prefix" "$name" "$tag" >&2
    # shellcheck disable=SC2086  # several words are meant
    "$builder" build -q -t "$prefix/$name:$tag" -f "$file" --build-arg "PYTHON=${PYTHON_IMAGE:-python:3.11-slim}" \
        ${BUILD_ARGS:-} . >/dev/null
    [ -z "${PUSH:-}" ] || "$builder" push -q "$prefix/$name:$tag" >/dev/null
done
