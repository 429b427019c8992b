# Builds Setright's wheel, installs it with the locked dependencies, and runs it as nobody in particular.
FROM python:3.13-slim AS build
WORKDIR /src
RUN python -m venv /opt/setright
COPY requirements.lock ./
RUN /opt/setright/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes --requirement requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY templates templates
COPY static static
COPY migrations migrations
RUN pip wheel --no-cache-dir --disable-pip-version-check --no-deps --wheel-dir /wheel . \
    && /opt/setright/bin/pip install --no-cache-dir --disable-pip-version-check --no-deps /wheel/*.whl

FROM python:3.13-slim
# The openai client trusts the operating system's certificates; the fonts write on pictures of charts, Chinese too.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates fonts-dejavu-core fonts-wqy-microhei \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin setright \
    && install --directory --owner setright --group setright /data
COPY --from=build /opt/setright /opt/setright
ENV PATH=/opt/setright/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    SETRIGHT_HOME=/data
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8321
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8321/readyz', timeout=3)"]
ENTRYPOINT ["setright"]
CMD ["serve", "--host", "0.0.0.0"]
