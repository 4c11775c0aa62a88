# One image for the five services: docker build -f docker/service.Dockerfile -t kirana/service .
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
ENV KIRANA_HEALTH_FILE=/tmp/kirana-health.json
# The service writes every 3 s how its database and broker are; a report older than 15 s counts as ill.
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 \
    CMD ["python3", "-m", "rpc_services", "healthy"]
ENTRYPOINT ["python3", "-m", "rpc_services"]
CMD ["help"]
