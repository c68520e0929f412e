.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

run: ## everything in one process; simulated Threads unless THREADS_APP_ID is set
	go run .

demo: ## the whole story
	go run . demo

test: ## all tests
	go test ./...

race: ## all tests, with the race detector watching, as CI runs them
	GOFLAGS='-race -timeout=20m -p=1' go test ./...

lint: ## vet and linter
	go vet ./...
	go tool -modfile=.ci/tools.mod golangci-lint run ./...

up: ## the services in containers, with simulated Threads
	docker compose --profile simulator up --build

pin: ## write today's digests of the base images into Dockerfile and compose.yaml (needs a registry)
	@for image in $$(grep -hoE '^(FROM| +image:) [a-z][a-z0-9./-]+:[a-z0-9.-]+' Dockerfile compose.yaml | awk '{print $$2}' | sort -u); do \
		digest=$$(docker buildx imagetools inspect "$$image" --format '{{.Manifest.Digest}}') || exit 1; \
		sed -i -E "s|((FROM\|image:) $$image)(@sha256:[0-9a-f]+)?|\1@$$digest|" Dockerfile compose.yaml; \
		echo "$$image $$digest"; \
	done

check: ## what CI does
	.ci/run

.PHONY: help run demo test race lint up pin check
