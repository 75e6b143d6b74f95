# The command line in a container:
#
#   docker build --tag model_maker .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/data" --volume model_maker:/cache \
#     model_maker train --data flowers
#
# The base, without extras; `--build-arg EXTRAS='[heif]'` adds some. `make runtime` before the build, and `demo --export`
# works inside, too.
FROM python:3.13-slim-trixie AS build
ARG EXTRAS=""
WORKDIR /source
COPY setup.py setup.cfg pyproject.toml MANIFEST.in README.md LICENSE ./
COPY model_maker model_maker
COPY android_assets android_assets
COPY ios_assets ios_assets
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
 && python -m venv --without-pip /opt/model_maker \
 && pip --python /opt/model_maker/bin/python install --no-cache-dir "$(echo /wheels/*.whl)$EXTRAS"

FROM python:3.13-slim-trixie
COPY --from=build /opt/model_maker /opt/model_maker
# Photos and models lie in /data, prepared backbones in /cache; both are writable for whoever --user names.
RUN useradd --uid 1000 --home-dir /cache --no-create-home model_maker \
 && install --directory --mode=1777 /data /cache
ENV PATH=/opt/model_maker/bin:$PATH \
    HOME=/cache \
    MODEL_MAKER_CACHE=/cache
USER 1000
WORKDIR /data
VOLUME ["/data", "/cache"]
ENTRYPOINT ["model_maker"]
CMD ["--help"]
