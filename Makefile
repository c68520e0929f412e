.DEFAULT_GOAL := help

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

run: ## everything in one process; simulated Threads unless THREADS_APP_ID is set
	go run .

demo: ## the whole story
	go run . demo

test: ## all tests
	go test ./...

race: ## all tests, with the race detector watching, as CI runs them
	GOFLAGS='-race -timeout=20m -vet=off -ldflags=-w' go test ./...

lint: ## vet and linter
	go vet ./...
	go tool -modfile=.ci/tools.mod golangci-lint run ./...

up: ## the services in containers, with simulated Threads
	docker compose --profile simulator up --build

vendor-assets: ## fetch the libraries of the console's pages again, as services/gateway/console/vendored/README.md names them (needs npm)
	@cd services/gateway/console/vendored && dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && \
	fetch() { npm pack --silent --pack-destination "$$dir" "$$1" >/dev/null && mkdir -p "$$dir/$$1" && tar xzf "$$dir"/$${1%@*}-$${1#*@}.tgz -C "$$dir/$$1" --strip-components 1; } && \
	fetch idiomorph@0.8.0 && cp "$$dir/idiomorph@0.8.0/dist/idiomorph.min.js" . && cp "$$dir/idiomorph@0.8.0/LICENSE" idiomorph.LICENSE && \
	fetch axe-core@4.14.1 && gzip -9nc "$$dir/axe-core@4.14.1/axe.min.js" > ../testdata/axe.min.js.gz && \
	go test .. -run TestVendored -count=1

shots: ## take the README's pictures of the console again (needs chromium)
	@dir=$$(mktemp -d) && trap 'rm -rf "$$dir"' EXIT && CONSOLE_SHOTS=$$dir NEED_CHROMIUM=1 go test ./services/gateway/console -run 'TestFirstMinute$$' -count=1 && \
	cp "$$dir/09-today.png" docs/images/console-today.png && cp "$$dir/06-compose.png" docs/images/console-write.png

pin: ## write today's digests of the base images into Dockerfile and compose.yaml (needs a registry)
	@for image in $$(grep -hoE '^(FROM| +image:) [a-z][a-z0-9./-]+:[a-z0-9.-]+' Dockerfile compose.yaml | awk '{print $$2}' | sort -u); do \
		digest=$$(docker buildx imagetools inspect "$$image" --format '{{.Manifest.Digest}}') || exit 1; \
		sed -i -E "s|((FROM\|image:) $$image)(@sha256:[0-9a-f]+)?|\1@$$digest|" Dockerfile compose.yaml; \
		echo "$$image $$digest"; \
	done

check: ## what CI does
	.ci/run

.PHONY: help run demo test race lint up vendor-assets shots pin check
