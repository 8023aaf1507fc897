# `hmer serve` as a user without rights. Put it behind what has a password before others may call it.
#
#     docker build -t hmer . && docker run --rm --publish 127.0.0.1:8000:8000 hmer
#
# A recogniser of your own: --volume "$PWD/data/models/champion:/model:ro" --env HMER_MODEL=/model

FROM python:3.12-slim AS build
WORKDIR /source
COPY pyproject.toml README.md LICENSE LICENSE-weights ./
COPY hmer hmer
RUN python -m venv /opt/hmer && /opt/hmer/bin/pip install --no-cache-dir ".[serve]"

FROM python:3.12-slim
COPY --from=build /opt/hmer /opt/hmer
RUN useradd --system --no-create-home hmer
USER hmer
ENV PATH="/opt/hmer/bin:$PATH" OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
ENTRYPOINT ["hmer"]
CMD ["serve", "--host", "0.0.0.0"]
