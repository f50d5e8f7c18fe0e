# The service as one image: the web process by default; the clock and the command line are other commands of it.
#   docker build -t vigia .
#   docker build -t vigia --build-arg REQUIREMENTS=requirements-mlflow.txt .      with the MLflow tracker

FROM python:3.13-slim AS packages
# For the command strip; it stays behind in this stage.
# hadolint ignore=DL3008
RUN apt-get update -qq && apt-get install -qq -y --no-install-recommends binutils && rm -rf /var/lib/apt/lists/*
ARG REQUIREMENTS=requirements.txt
WORKDIR /build
COPY requirements.txt requirements-mlflow.txt ./
RUN --mount=type=cache,target=/root/.cache/pip \
    python -m venv --without-pip /opt/venv && \
    pip --python /opt/venv/bin/python install --no-compile --only-binary :all: --require-hashes -r "$REQUIREMENTS"
# Much of what wheels hold is never loaded: tests, headers, symbols, a second copy of ONNX Runtime for C programs,
# codecs of pictures, SciPy's reader of Matrix Market files, and descriptions of some 400 cloud services of which
# Neptune may use one.
RUN find /opt/venv -type d \( -name tests -o -path '*/joblib/test' -o -path '*/onnx/backend/test' \) \
      -prune -exec rm -rf {} + && \
    find /opt/venv -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.pyx' -o -name '*.h' -o -name '*.hpp' \
      -o -name '*.c' -o -name '*.cc' -o -name '*.cpp' -o -name '*.a' -o -name 'libonnxruntime.so*' \
      -o -path '*/PIL/_avif*' -o -path '*/PIL/_imagingft*' -o -path '*/PIL/_webp*' \
      -o -path '*/pillow.libs/libavif*' -o -path '*/pillow.libs/libharfbuzz*' -o -path '*/pillow.libs/libfreetype*' \
      -o -path '*/pillow.libs/libwebp*' -o -name '_fmm_core*.so' \) -delete && \
    find /opt/venv -path '*/botocore/data/*' -type d ! -name s3 -prune -exec rm -rf {} + && \
    find /opt/venv -name '*.so' -not -path '*.libs/*' -exec strip --strip-unneeded {} +

FROM packages AS source
WORKDIR /app
COPY . .
RUN /opt/venv/bin/python -B -m data make --all

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HOME=/tmp \
    HOST=0.0.0.0 \
    PORT=8000 \
    STATE_DIR=/var/lib/vigia
RUN groupadd --gid 10001 vigia && useradd --no-create-home --uid 10001 --gid 10001 vigia && \
    install -d -o vigia -g vigia "$STATE_DIR"
COPY --from=packages /opt/venv /opt/venv
COPY --from=source /app /app
WORKDIR /app
# Byte code of what web and the drift checks load, since nobody can write it later. Training compiles what it needs
# each time: three seconds of its minute, against 20 MB.
RUN python -m compileall -q app data mlops model utils && \
    python -c "import app, app.server.worker, gunicorn.app.wsgiapp, mlops.clock, model.monitoring"
USER 10001:10001
VOLUME /var/lib/vigia
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=300s --retries=3 CMD ["python", "-I", "-S", "-c", \
    "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
CMD ["gunicorn", "-c", "gunicorn.conf.py", "app.wsgi:app"]
