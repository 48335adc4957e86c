# Two images from one file: docker build --target dnsserver . and docker build --target syncer .
# BASE is any image with python3 >= 3.11 and venv. The build stages need PyPI; nothing is compiled.
ARG BASE=python:3.13-slim

# Dependencies are layers of their own: a change of our code does not fetch them again.
FROM ${BASE} AS dependencies
ARG UV_VERSION=0.13.9
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/app \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir "uv==${UV_VERSION}"
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-install-project

FROM dependencies AS dependencies-syncer
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-install-project --extra syncer

FROM dependencies AS build-dnsserver
COPY LICENSE README.md ./
COPY dnsserver dnsserver
COPY syncer syncer
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-editable && mkdir -p state/dnsserver

FROM dependencies-syncer AS build-syncer
COPY LICENSE README.md ./
COPY dnsserver dnsserver
COPY syncer syncer
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-editable --extra syncer

FROM ${BASE} AS run
ENV PATH=/opt/app/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number, so that runAsNonRoot can tell it is not root.
USER 10001:10001
WORKDIR /

FROM run AS syncer
LABEL org.opencontainers.image.title=syncer \
      org.opencontainers.image.description="Writes DNS records of Kubernetes objects into etcd" \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build-syncer /opt/app /opt/app
EXPOSE 7979/tcp
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:7979/readyz', timeout=4)"]
ENTRYPOINT ["syncer"]

FROM run AS dnsserver
LABEL org.opencontainers.image.title=dnsserver \
      org.opencontainers.image.description="Authoritative DNS server that answers from etcd" \
      org.opencontainers.image.licenses=Apache-2.0
COPY --from=build-dnsserver /opt/app /opt/app
COPY config/zone.yaml /etc/dnsserver/zone.yaml
# For DNSSERVER_STATE_DIR, if it is set: a volume that is new takes this directory's owner.
COPY --from=build-dnsserver --chown=10001:10001 /src/state /var/lib
# 1053, not 53: without root and capabilities a port below 1024 is not ours. Map 53 to it from outside.
# As variables they stand above the file, so one written for a host does for the container too.
ENV DNSSERVER_LISTEN="0.0.0.0:1053,[::]:1053" \
    DNSSERVER_HEALTH_LISTEN="0.0.0.0:8080" \
    DNSSERVER_READY_LISTEN="0.0.0.0:8181" \
    DNSSERVER_METRICS_LISTEN="0.0.0.0:9153"
EXPOSE 1053/udp 1053/tcp 8080/tcp 8181/tcp 9153/tcp
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["python3", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8181/ready', timeout=4)"]
ENTRYPOINT ["dnsserver"]
CMD ["--config", "/etc/dnsserver/zone.yaml"]
