# The gateway. Build from the repository's root: docker build -f docker/edge.Dockerfile -t kirana/edge .
ARG PYTHON_IMAGE=python:3.11.15-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
COPY requirements/image.txt requirements/
RUN python3 -m venv /opt/kirana \
    && /opt/kirana/bin/pip install --no-cache-dir --require-hashes -r requirements/image.txt
COPY . .
# What installed things is not needed to run them, and is of use to nobody but an intruder.
RUN /opt/kirana/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/kirana/bin/pip uninstall --yes setuptools pip

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin kirana \
    && install -d -o 10001 /var/lib/kirana /var/spool/kirana
COPY --from=build /opt/kirana /opt/kirana
ENV PATH=/opt/kirana/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1
USER 10001
VOLUME ["/var/lib/kirana"]
# Up to here both images are the same, layer by layer.
ENV KIRANA_EDGE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["python3", "-m", "edge"]
