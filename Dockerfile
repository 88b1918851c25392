# An image of tagger itself. `make dist` fills build/image first, so the build downloads no Python package.
# Run it as the user who owns the mounted files, with the group that may use the Engine's socket.
#   docker run --rm --user "$(id -u):$(id -g)" --group-add "$(stat -c %g /var/run/docker.sock)" \
#       -v /var/run/docker.sock:/var/run/docker.sock -v ~/.docker:/home/tagger/.docker:ro -v "$PWD:/checkout" \
#       tagger release image-gallery git --registry registry.example
ARG PYTHON=python:3.13-slim
FROM ${PYTHON}
# git finds the version `git`. If the base image has it, the build needs no network.
RUN command -v git >/dev/null || { \
        apt-get update && apt-get install --yes --no-install-recommends git && rm -rf /var/lib/apt/lists/*; }
COPY build/image /opt/tagger
RUN python -m compileall -q /opt/tagger \
    && mv /opt/tagger/tagger.sh /usr/local/bin/tagger && chmod 755 /usr/local/bin/tagger \
    && mkdir -p /home/tagger /checkout
ENV HOME=/home/tagger
WORKDIR /checkout
USER 65532:65532
ENTRYPOINT ["tagger"]
# What changes with every commit comes last, so that the other layers are built only once.
ARG VERSION=0.0.0
ARG REVISION=
LABEL org.opencontainers.image.title="tagger" \
      org.opencontainers.image.description="Push a container image under its version and every tag that should follow it" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
