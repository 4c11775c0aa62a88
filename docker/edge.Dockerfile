# The gateway. Build from the repository's root: docker build -f docker/edge.Dockerfile -t kirana/edge .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS wheels
WORKDIR /build
COPY pyproject.toml setup.py README.md LICENSE ./
COPY shared shared
COPY edge edge
COPY rpc_services rpc_services
COPY kirana kirana
RUN python3 -m venv /opt/kirana && /opt/kirana/bin/pip install --no-cache-dir .

FROM ${PYTHON_IMAGE}
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin kirana \
    && install -d -o 10001 /var/lib/kirana
COPY --from=wheels /opt/kirana /opt/kirana
ENV PATH=/opt/kirana/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PYTHONSAFEPATH=1 KIRANA_EDGE_HOST=0.0.0.0
USER 10001
VOLUME ["/var/lib/kirana"]
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python3", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8000/health/live', timeout=2)"]
CMD ["python3", "-m", "edge"]
