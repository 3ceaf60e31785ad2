# syntax=docker/dockerfile:1
# Builds Figway from the sources and the lock file, and runs it as nobody in particular.

# The image has cargo and a C compiler; nothing else is needed.
FROM rust:1.89-slim-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
# What the build tells SQLite about this system.
COPY .cargo ./.cargo
COPY src ./src
# The demo carries the sample configuration inside the binary.
COPY config ./config
COPY flags ./flags
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked && cp target/release/figway /figway \
    && install -d -o 65532 -g 65532 /state

# C library, root certificates and time zones; no shell, no package manager. User 65532 is `nonroot`.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /figway /usr/local/bin/figway
# Last good snapshot, flag history and payment ledger: mount a volume here, and point `state.dir` at it.
COPY --from=build --chown=65532:65532 /state /var/lib/figway
VOLUME /var/lib/figway
EXPOSE 8080 9901
# Asks the control plane inside the container, so it works with `admin.listen: "127.0.0.1:9901"` too.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/figway", "health"]
# On SIGTERM the gateway drains: give it longer than server.drain.delay and server.drain.timeout together.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/figway"]
CMD ["serve", "--config", "/etc/figway/config/gateway.yaml"]
