# syntax=docker/dockerfile:1
# Two stages: the first has pip and may have a compiler, the second has Python and our files. Pin PYTHON by digest in your
# pipeline. `make image` builds it; helm/README.md says how to run it.
ARG PYTHON=docker.io/library/python:3.11-slim-bookworm

FROM ${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
# A venv with pip fills one without: what runs has no installer. The index is whatever pip is configured for: give your
# configuration as the build secret `pip`; it is mounted for these lines and is in no layer.
RUN python3.11 -m venv /opt/build && python3.11 -m venv --without-pip /opt/authsvc
COPY requirements/build.txt requirements/image.txt /src/requirements/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    /opt/build/bin/pip install --quiet --require-hashes -r /src/requirements/build.txt && \
    /opt/build/bin/pip --python /opt/authsvc/bin/python install --quiet --require-hashes -r /src/requirements/image.txt
COPY pyproject.toml setup.cfg README.md /src/
COPY authsvc /src/authsvc
COPY policies /src/policies
RUN /opt/build/bin/pip wheel --quiet --no-deps --no-build-isolation --no-index --wheel-dir /wheel /src && \
    /opt/build/bin/pip --python /opt/authsvc/bin/python install --quiet --no-deps --no-index /wheel/*.whl

FROM ${PYTHON}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="authsvc" \
      org.opencontainers.image.description="Sign-in for IMS: an OAuth 2.0 / OpenID Connect provider with hosted pages" \
      org.opencontainers.image.vendor="IMS" \
      org.opencontainers.image.licenses="LicenseRef-Proprietary" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/authsvc /opt/authsvc
# The root file system may be read-only: what is written goes to /data (SQLite and keys in a folder, if you use them), /tmp
# and /dev/shm (gunicorn's heartbeats).
RUN install -d -o 10001 -g 10001 -m 0700 /data
ENV PATH=/opt/authsvc/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    AUTHSVC_ENV=production \
    AUTHSVC_BIND=0.0.0.0:8000 \
    AUTHSVC_DATABASE_URL=sqlite:////data/authsvc.db \
    AUTHSVC_KEYS_URL=dir:/data/keys
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
ENTRYPOINT ["authsvc"]
CMD ["serve"]
