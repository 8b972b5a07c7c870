#!/bin/sh
# Makes one environment inside an image as its lock says: image.sh ENVIRONMENT LOCK. Needs a Python with pip, and nothing else.
set -eu
# The interpreter itself, not a link to it: an environment made by way of a link looks for its library beside the link.
python=$(readlink -f "$(command -v python3)")
"$python" -m venv --without-pip "$1"
# A lock is complete; resolving again could bring back what it leaves out.
pip --python "$1/bin/python" install -q --disable-pip-version-check --root-user-action ignore --no-cache-dir \
    --no-compile --no-deps --require-hashes -r "$2"
cd "$1"/lib/python3*/site-packages
# Four hundred services that nobody here speaks to: of AWS's, S3 and the ways to sign in are used.
if [ -d botocore/data ]; then
    find botocore/data -mindepth 1 -maxdepth 1 -type d \
        ! -name s3 ! -name sts ! -name sso ! -name sso-oidc ! -name signin -exec rm -r {} +
fi
find . -path './numpy/*' -type d -name tests -prune -exec rm -r {} +
# By content, not by date: a layer may change dates, and a root that is read-only cannot be compiled into anew.
# Templates that are no Python lie among the packages: what cannot be compiled is found out when it is imported.
"$1/bin/python" -m compileall -q -j 0 --invalidation-mode unchecked-hash . >/dev/null || true
