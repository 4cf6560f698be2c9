# Two images of one binary, with the same user, paths and ports:
#   slim (default)  the binary and a CA bundle, no shell                docker build .
#   full            Debian with shell, git, curl, ripgrep and Python    docker build --target full .
# Also: `docker build --target sbom --output . .` writes the list of everything in the binary (sbom.cdx.json).
# Needs BuildKit, which Docker before 23.0 uses only with DOCKER_BUILDKIT=1 or through compose. docs/install-docker.md has the rest.

ARG RUST=1.95
ARG DEBIAN=bookworm

FROM rust:${RUST}-slim-${DEBIAN} AS build
# make builds jemalloc.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
# Writes the list of dependencies into the binary, where scanners look for it.
ARG CARGO_AUDITABLE=0.7.7
RUN --mount=type=cache,id=openclaw-registry,target=/usr/local/cargo/registry,sharing=locked \
    CARGO_TARGET_DIR=/tmp/auditable cargo install --locked --debug cargo-auditable --version "$CARGO_AUDITABLE" && rm -rf /tmp/auditable
WORKDIR /src
COPY . .
# The time that every file in the image carries, in seconds since 1970.
ARG SOURCE_DATE_EPOCH=0
# Cargo's profile; `quick` and `trial` are built sooner, into a slower and larger program.
ARG PROFILE=release
# The cache keeps dependencies. Our own sources are always compiled: their times say nothing about what the cache holds.
RUN --mount=type=cache,id=openclaw-registry,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=openclaw-target,target=/target,sharing=locked \
    target="$(rustc -vV | sed -n 's/^host: //p')" \
 # Cargo wants every file that Cargo.toml names, tests included.
 && for file in $(sed -n 's/^path = "\(tests\/.*\)"$/\1/p' Cargo.toml); do mkdir -p "${file%/*}" && : > "$file"; done \
 && find src proto -type f -exec touch {} + \
 # Statically linked, so that it runs without any system around it; paths of this build do not get into it.
 && export CARGO_TARGET_DIR=/target CFLAGS="-ffile-prefix-map=/usr/local/cargo/registry/src=/crates -ffile-prefix-map=/target=/build" \
    RUSTFLAGS="-C target-feature=+crt-static --remap-path-prefix=/src=/openclaw --remap-path-prefix=/usr/local/cargo/registry/src=/crates --remap-path-prefix=/target=/build" \
 # Some arm64 kernels have pages of 64 KiB; jemalloc must be built for the largest.
 && case "$target" in aarch64-*) export JEMALLOC_SYS_WITH_LG_PAGE=16 ;; esac \
 && cargo auditable build --profile "$PROFILE" --locked --target "$target" --bin openclaw \
 && mkdir -p /out/usr/local/bin /out/usr/share/doc/openclaw /out/config /owned/state \
 && cp "/target/$target/$PROFILE/openclaw" /out/usr/local/bin/ \
 && sh .ci/sbom "$target" > /out/usr/share/doc/openclaw/sbom.cdx.json \
 && cp deploy/compose/gateway/openclaw.json /out/config/ \
 && chmod 0777 /owned/state && chmod 0644 /out/config/openclaw.json \
 && find /out /owned -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
# What a system has around its programs, as far as a static one looks for it.
RUN mkdir -p /base/etc/ssl/certs /base/tmp && chmod 1777 /base/tmp \
 && cp /etc/ssl/certs/ca-certificates.crt /base/etc/ssl/certs/ \
 && printf 'root:x:0:0:root:/:/nonexistent\nopenclaw:x:65532:0:openclaw:/state:/nonexistent\n' > /base/etc/passwd \
 && printf 'root:x:0:\n' > /base/etc/group \
 && find /base -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +

FROM scratch AS sbom
COPY --from=build /out/usr/share/doc/openclaw/sbom.cdx.json /

FROM debian:${DEBIAN}-slim AS full
RUN apt-get update \
 && apt-get install -y --no-install-recommends bash ca-certificates curl git jq openssh-client procps python3 ripgrep \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --uid 65532 --gid 0 --home-dir /state --no-create-home --shell /bin/bash openclaw
COPY --from=build /out/ /
# Writable for whatever user the container is given; what the gateway puts there is for that user alone.
COPY --from=build --chown=65532:0 /owned/ /
ENV HOME=/state OPENCLAW_STATE_DIR=/state OPENCLAW_CONFIG_PATH=/config/openclaw.json OPENCLAW_MANAGEMENT_PORT=9464 \
    PATH=/usr/local/bin:/usr/bin:/bin container=oci
USER 65532:0
WORKDIR /
VOLUME /state
EXPOSE 18789 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/usr/local/bin/openclaw", "gateway", "ready"]
ENTRYPOINT ["/usr/local/bin/openclaw"]
CMD ["gateway"]
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="OpenClaw Gateway (full)" \
      org.opencontainers.image.description="Gateway between chat channels, control clients and AI agents, with a shell and tools" \
      org.opencontainers.image.licenses="MIT" org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"

FROM scratch AS slim
COPY --from=build /base/ /
COPY --from=build /out/ /
COPY --from=build --chown=65532:0 /owned/ /
# `container` makes the gateway listen on all addresses and log JSON; it still refuses to serve without a credential.
ENV HOME=/state OPENCLAW_STATE_DIR=/state OPENCLAW_CONFIG_PATH=/config/openclaw.json OPENCLAW_MANAGEMENT_PORT=9464 \
    PATH=/usr/local/bin:/usr/bin:/bin container=oci
USER 65532:0
WORKDIR /
VOLUME /state
EXPOSE 18789 9464
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s CMD ["/usr/local/bin/openclaw", "gateway", "ready"]
ENTRYPOINT ["/usr/local/bin/openclaw"]
CMD ["gateway"]
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="OpenClaw Gateway" \
      org.opencontainers.image.description="Gateway between chat channels, control clients and AI agents" \
      org.opencontainers.image.licenses="MIT" org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" org.opencontainers.image.revision="${REVISION}"
