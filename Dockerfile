# Two images from one file: `docker build --target gateway .` without torch, `--target worker` with it.
# The worker installs the torch of constraints.txt from the default index, which on x86-64 is the CUDA
# build; --build-arg TORCH_INDEX=<url> sets another index (CPU, ROCm).
# Versions are pinned in pyproject.toml and constraints.txt; torch has its own layer because of its size.
# hadolint global ignore=DL3013,DL3059

FROM python:3.12-slim-bookworm AS base
ENV PATH=/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    LATENTRY_DATA_DIR=/data \
    LATENTRY_LOG_FORMAT=json
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /tmp latentry \
    && install --directory --owner=latentry --group=latentry --mode=0700 /data
WORKDIR /app

# Requirements first, with only the package's metadata, so that code changes do not reinstall them.
FROM base AS requirements
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_CONSTRAINT=/app/constraints.txt
RUN python -m venv /venv
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY latentry/__init__.py latentry/version.py latentry/

FROM requirements AS gateway-venv
RUN pip install '.[cli,server]'
COPY latentry latentry
RUN pip install --no-deps --force-reinstall .

FROM requirements AS worker-venv
ARG TORCH_INDEX=""
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} torch
RUN pip install '.[server,worker,video,safety]' \
    && pip install --no-deps spandrel einops
COPY latentry latentry
RUN pip install --no-deps --force-reinstall .

FROM base AS gateway
COPY --from=gateway-venv /venv /venv
COPY service service
ENV LATENTRY_HOST=0.0.0.0 LATENTRY_PORT=8000
USER 10001:10001
EXPOSE 8000 9100
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s CMD ["python", "-c", "import os, urllib.request as url; url.urlopen(f'http://127.0.0.1:{os.environ[\"LATENTRY_PORT\"]}/livez', timeout=2)"]
ENTRYPOINT ["python", "-m", "service"]

FROM base AS worker
COPY --from=worker-venv /venv /venv
COPY models/shapes models/shapes
COPY models/adapters models/adapters
COPY worker worker
# A worker downloads no model files. It does not compile UNets either, which needs a C++ compiler:
# see deploy/README.md.
ENV HF_HUB_OFFLINE=1 LATENTRY_COMPILE=off
USER 10001:10001
EXPOSE 9101
ENTRYPOINT ["python", "-m", "worker"]
