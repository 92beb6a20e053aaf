# The command `topicnet` with the versions of requirements.lock, as a user without root.
#
#   docker build --tag topicnet .
#   docker run --rm --volume "$PWD:/work" --user "$(id -u):$(id -g)" topicnet fit corpus.txt
#
# EXTRAS chooses what is installed: "all", a list such as "excel,languages", or nothing for the core alone. The default
# build of torch for Linux holds the libraries of CUDA; give the page of PyTorch's CPU wheels as PIP_FIND_LINKS, which pip
# reads, for an image without them.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements.lock ./
RUN python -m pip install --constraint requirements.lock build hatchling \
    && python -m venv /opt/topicnet
ARG PIP_FIND_LINKS=""
COPY pyproject.toml README.md LICENSE ./
COPY corpora corpora
COPY configs configs
COPY topicnet topicnet
ARG EXTRAS=all
# The lock file is a constraint here: of what it names, only what the extras need is installed, no tools of developers.
RUN python -m build --wheel --no-isolation --outdir /dist \
    && wheel="$(ls /dist/*.whl)" \
    && /opt/topicnet/bin/pip install --constraint requirements.lock "${wheel}${EXTRAS:+[$EXTRAS]}"

FROM python:3.11-slim
RUN useradd --create-home --uid 1000 topicnet \
    && mkdir /work \
    && chown topicnet /work
COPY --from=build /opt/topicnet /opt/topicnet
ENV PATH="/opt/topicnet/bin:$PATH" TOPICNET_CACHE=/tmp/topicnet-cache
USER 1000
WORKDIR /work
ENTRYPOINT ["topicnet"]
CMD ["--help"]
