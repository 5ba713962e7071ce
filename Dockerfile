# The program in an image of its own. Needs BuildKit, Docker's usual builder since 23.0.
#
#   docker build -t storefront:0.1.0 .
#   docker run --init -p 80:8080 -v storefront:/var/lib/storefront/data storefront:0.1.0

# Both images are of the same Debian, so that the program finds the C library that it was built for.
# The slim one has the C compiler and nothing more: ring contains its assembly for Linux on x86-64
# and arm64, so neither CMake nor Perl nor Clang is needed.
FROM rust:1.95-slim-trixie AS build
WORKDIR /build
COPY . .
# The caches are kept between builds: crates are fetched once, and only what changed is compiled. They are not part of
# the layer, so the program is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/build/target,sharing=locked \
    cargo build --release --locked --bin storefront \
    && install -D target/release/storefront /out/storefront

FROM debian:13.2-slim
# A fixed number, so that volumes keep their owner and Kubernetes can tell that it is not root.
RUN useradd --uid 10001 --user-group --no-create-home --home-dir /var/lib/storefront \
        --shell /usr/sbin/nologin storefront \
    && install -d -o storefront -g storefront /var/lib/storefront/data
# For sslmode=verify-full and image and review services under https; this saves an apt-get in this image.
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/storefront /usr/local/bin/storefront
COPY --chmod=755 deploy/docker/healthy deploy/docker/seed-when-empty /usr/local/bin/
USER 10001:10001
# The default database is ./data/storefront.db. No database is set here: STOREFRONT_DATABASE_URL in the image would
# take precedence over the user's DATABASE_URL.
WORKDIR /var/lib/storefront
VOLUME /var/lib/storefront/data
# Not port 80: outside of Docker an ordinary user may not open that in a container. Map it to 80. `healthy` uses the
# port of this variable: set it, rather than --listen, to change the port. There is no authentication: do not publish
# the port to a network without a proxy that authenticates in front.
ENV STOREFRONT_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["healthy"]
ENTRYPOINT ["storefront"]
CMD ["serve"]
