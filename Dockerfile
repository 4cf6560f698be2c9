# syntax=docker/dockerfile:1
# One static-enough binary on a small base: gateway, command line and probes.

FROM rust:1.95-slim-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends gcc libc6-dev make && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies change seldom: build them in a layer of their own.
COPY Cargo.toml Cargo.lock ./
COPY proto ./proto
RUN mkdir -p src tests/benches && echo '' > src/lib.rs && echo 'fn main() {}' > src/main.rs \
 && for bench in $(sed -n 's/^path = "\(tests\/benches\/.*\)"$/\1/p' Cargo.toml); do echo 'fn main() {}' > "$bench"; done \
 && for suite in $(sed -n 's/^path = "\(tests\/[a-z]*\/main.rs\)"$/\1/p' Cargo.toml); do mkdir -p "$(dirname "$suite")"; echo '' > "$suite"; done \
 && cargo build --release --locked --bin openclaw
COPY src ./src
RUN touch src/lib.rs src/main.rs && cargo build --release --locked --bin openclaw

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
 && mkdir -p /config /state && chown 65532:0 /state && chmod 0775 /state
COPY --from=build /src/target/release/openclaw /usr/local/bin/openclaw
USER 65532:0
ENV HOME=/state OPENCLAW_STATE_DIR=/state OPENCLAW_CONFIG_PATH=/config/openclaw.json OPENCLAW_MANAGEMENT_PORT=9464
VOLUME /state
EXPOSE 18789 9464
HEALTHCHECK --interval=30s --timeout=5s --start-period=5s CMD ["openclaw", "gateway", "probe"]
ENTRYPOINT ["openclaw"]
CMD ["gateway"]
