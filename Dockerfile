# Two images from one file: docker build --target dnsserver . and docker build --target syncer .
# BASE is any image with python3 >= 3.11 and venv. The build stage needs PyPI; nothing is compiled.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ARG UV_VERSION=0.13.9
ENV UV_COMPILE_BYTECODE=1 \
    UV_LINK_MODE=copy \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/app \
    UV_PYTHON=python3 \
    UV_PYTHON_DOWNLOADS=never
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir "uv==${UV_VERSION}"
WORKDIR /src
# The dependencies are a layer of their own: a change of our code does not fetch them again.
COPY pyproject.toml uv.lock ./
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-install-project
COPY LICENSE README.md ./
COPY dnsserver dnsserver
COPY syncer syncer

FROM build AS build-dnsserver
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-editable

FROM build AS build-syncer
RUN /opt/uv/bin/uv sync --frozen --no-dev --no-editable --extra syncer

FROM ${BASE} AS run
ENV PATH=/opt/app/bin:${PATH} \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
# By number, so that runAsNonRoot can tell it is not root.
USER 10001:10001
WORKDIR /

FROM run AS syncer
COPY --from=build-syncer /opt/app /opt/app
EXPOSE 7979/tcp
ENTRYPOINT ["syncer"]

FROM run AS dnsserver
COPY --from=build-dnsserver /opt/app /opt/app
COPY config/zone.yaml /etc/dnsserver/zone.yaml
# 1053, not 53: without root and capabilities a port below 1024 is not ours. Map 53 to it from outside.
# As variables they stand above the file, so one written for a host does for the container too.
ENV DNSSERVER_LISTEN="0.0.0.0:1053,[::]:1053" \
    DNSSERVER_HEALTH_LISTEN="0.0.0.0:8080" \
    DNSSERVER_READY_LISTEN="0.0.0.0:8181" \
    DNSSERVER_METRICS_LISTEN="0.0.0.0:9153"
EXPOSE 1053/udp 1053/tcp 8080/tcp 8181/tcp 9153/tcp
ENTRYPOINT ["dnsserver"]
CMD ["--config", "/etc/dnsserver/zone.yaml"]
