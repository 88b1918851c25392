# An image of tagger itself. `make dist` fills build/image first, so the build downloads nothing.
# Run it with the Engine's socket, and with the Docker configuration for credentials:
#   docker run --rm -v /var/run/docker.sock:/var/run/docker.sock -v ~/.docker:/root/.docker:ro tagger release ...
ARG PYTHON=python:3.13-slim
FROM ${PYTHON}
ARG VERSION=0.0.0
ARG REVISION=
LABEL org.opencontainers.image.title="tagger" \
      org.opencontainers.image.description="Push a container image under its version and every tag that should follow it" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY build/image /opt/tagger
ENV PYTHONPATH=/opt/tagger PYTHONDONTWRITEBYTECODE=1
ENTRYPOINT ["python", "-m", "tagger"]
