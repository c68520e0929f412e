# syntax=docker/dockerfile:1
# One image for every service; the first word of the command says which. See compose.yaml.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /threads .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /threads /threads
ENTRYPOINT ["/threads"]
