# syntax=docker/dockerfile:1
# One image for every service; the first word of the command says which. See compose.yaml.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
# What `threads --version` says; the repository's history is not in the build.
ARG COMMIT=""
ARG DATE=""
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath \
    -ldflags "-s -w -X github.com/omni-write/threads/cmd.commit=$COMMIT -X github.com/omni-write/threads/cmd.date=$DATE" -o /threads .

# The simulator's journal and the issuer's keys are in volumes, which begin as these: writable without being root.
RUN install -d -m 0700 /volumes/data && install -d -m 0755 /volumes/keys

# NATS, with a directory for its streams that it may write without being root.
FROM nats:2.15-alpine AS nats
RUN install -d -o 1000 -g 1000 -m 0700 /data
USER 1000:1000

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /threads /threads
COPY LICENSE NOTICE /
COPY --from=build --chown=65532:65532 /volumes/data /data
COPY --from=build --chown=65532:65532 /volumes/keys /keys
USER 65532:65532
ENTRYPOINT ["/threads"]
