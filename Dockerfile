# syntax=docker/dockerfile:1
FROM rust:1.95.0-slim-bookworm AS build
WORKDIR /src

# The dependencies are a layer of their own: it is built again only when the manifest or the lock file changes.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src bench \
    && touch src/lib.rs bench/embedded.rs bench/redis.rs \
    && echo 'fn main() {}' > src/main.rs \
    && cargo build --release --locked

COPY ARCHITECTURE.md ./
COPY src src
# Cargo goes by file times, and the sources may be older than the empty ones above.
RUN touch src/lib.rs src/main.rs \
    && cargo build --release --locked

FROM debian:bookworm-slim
RUN install --directory --owner=65532 --group=65532 --mode=0700 /data
# Whom an https loader of profiles, a collector of traces or a Redis with TLS must be signed by.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/target/release/session-gateway /usr/local/bin/session-gateway

# The store is in ./data, unless something else is set.
WORKDIR /
ENV SGW_LISTEN=0.0.0.0:8080
USER 65532:65532
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
    CMD ["session-gateway", "healthcheck"]
ENTRYPOINT ["session-gateway"]
CMD ["serve"]
