# Every target sets up what it needs. `make run` and `make test` are the two that matter.
GO      ?= go
TOOLS   := bin/tools
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TEST_TIMEOUT ?= 12m
FAULTS ?= twins,split,split:shuffled
# Where the end-to-end suite runs, besides one process embedded: one on PostgreSQL, Kafka and Redis, two on PostgreSQL and
# Redis, and two of each role. Some of its tests choose their topologies themselves.
TOPOLOGIES ?= kafka twins split

.PHONY: run build test check generate fmt fuzz bench faults figures deps services clean

run: build ## build the server and start it on :8080 with the data in ./data
	./bin/gochat serve

build: ## leave the binary at bin/gochat
	$(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/gochat .

test: services ## run every test with the race detector, what it distorts without, and the end-to-end suite in every topology
	$(GO) test -race -timeout $(TEST_TIMEOUT) ./...
	$(GO) test -run '^(TestChurn|TestIdleConnectionIsSmall)$$' ./gateway
	@for t in $(TOPOLOGIES); do \
	  echo "the end-to-end suite in the topology $$t:"; \
	  GOCHAT_E2E_TOPOLOGY=$$t $(GO) test -timeout $(TEST_TIMEOUT) -skip '^(TestFaults|TestAcrossGateways|TestEverySubsetOfRoles|TestGatewayCutOffFromRedis|TestStartRefusalsBesideOthers)$$' ./e2e || exit 1; done

check: $(TOOLS)/golangci-lint generate ## formatting, lint and generated code
	$(TOOLS)/golangci-lint fmt --diff
	$(TOOLS)/golangci-lint run
	$(GO) mod tidy -diff
	git diff --exit-code -- '*.pb.go'

generate: $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc ## regenerate the contracts' code
	$(TOOLS)/buf lint
	$(TOOLS)/buf generate

fmt: $(TOOLS)/golangci-lint ## format the code
	$(TOOLS)/golangci-lint fmt

fuzz: ## run every fuzz target for FUZZTIME (default 30s)
	@for t in $$(grep -rhoE --include='*_test.go' 'func (Fuzz[A-Za-z0-9]+)' . | awk '{print $$2}' | sort -u); do \
	  pkg=$$(grep -rlE --include='*_test.go' "func $$t\(" . | head -1 | xargs dirname); \
	  echo "$$pkg $$t"; $(GO) test -run '^$$' -fuzz "^$$t$$" -fuzztime $(or $(FUZZTIME),30s) $$pkg || exit 1; done

bench: build ## the figures of docs/benchmarks.md
	./bin/gochat bench idle --floor
	./bin/gochat bench send --floor
	./bin/gochat bench fanout --floor
	./bin/gochat bench history --floor

figures: services ## the figures of deployments on PostgreSQL, Kafka and Redis in docs/benchmarks.md
	$(GO) test -run '^$$' -bench BenchmarkDeployment -benchtime 1x -timeout 20m ./e2e

faults: services ## the faults of docs/reliability.md, all or those of FAULTS
	GOCHAT_E2E_FAULTS='$(FAULTS)' $(GO) test -race -timeout 20m -v -run '^TestFaults$$' ./e2e

deps: services $(TOOLS)/golangci-lint $(TOOLS)/buf $(TOOLS)/protoc-gen-go $(TOOLS)/protoc-gen-go-grpc ## install what the tests start, build what check and generate need

services: bin/kafka/.fetched ## PostgreSQL, Redis, Java, Kafka and a C compiler for the tests; they start their own servers
	@tools/services.sh --without-maven

bin/kafka/.fetched: tools/kafka/pom.xml
	@tools/services.sh
	rm -rf bin/kafka
	mvn -B -q -f tools/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/bin/kafka || \
	  { echo "make deps: Maven could not fetch Kafka (tools/kafka/pom.xml): what it says is above" >&2; exit 1; }
	@touch $@

$(TOOLS)/golangci-lint: PKG = github.com/golangci/golangci-lint/v2/cmd/golangci-lint
$(TOOLS)/buf: PKG = github.com/bufbuild/buf/cmd/buf
$(TOOLS)/protoc-gen-go: PKG = google.golang.org/protobuf/cmd/protoc-gen-go
$(TOOLS)/protoc-gen-go-grpc: PKG = google.golang.org/grpc/cmd/protoc-gen-go-grpc
$(TOOLS)/%: tools/go.mod tools/go.sum
	cd tools && $(GO) build -o ../$@ $(PKG)

clean: ## remove what was built; ./data stays
	rm -rf bin
