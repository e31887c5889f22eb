SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
MAKEFLAGS += --warn-undefined-variables --no-builtin-rules --no-print-directory

PROGRAMS := jobmanager taskmanager submitter
# How long `make fuzz` gives each target.
FUZZTIME ?= 30s
# How many values `make jdk` compares.
VALUES ?= 10000000
# What `make bench` runs, and where.
BENCH ?= .
PACKAGES ?= ./...
# Flags of `make bench-e2e`: --records, --runs, --jobs (JOB@INTERVAL too), --latency TIME --rate N, --rescales N --groups N, --kafka host:port, --profile DIR, --json.
BENCHFLAGS ?=
# What `make breaking` compares the schemas with.
AGAINST ?= .git\#ref=HEAD~1
# How many clusters `make chaos` makes suffer, for 30 s each, and the first one's seed, if it is not to be random; how many faults `make chaos-ha` has.
RUNS ?= 50
SEED ?=

.PHONY: help
help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: build
build: ## Build the three programs as static binaries into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o bin/ $(addprefix ./,$(PROGRAMS))

.PHONY: test
test: ## Run all Go tests: unit tests with the race detector, then end to end on a real Kafka and a MongoDB of Maven's (needs a JDK 17 and Maven)
	go test -race -timeout 20m ./...
	go test -count=1 ./pkg/layers
	$(MAKE) failpoints
	.ci/e2e

.PHONY: failpoints
failpoints: ## Kill a process at each point of the checkpoint protocol and compare every row
	go test -tags failpoint -count=1 -parallel 12 -run TestFailpoints ./submitter/internal/localcluster

.PHONY: e2e
e2e: ## Run the end-to-end tests on a real Kafka, and a server of MongoDB's protocol
	.ci/e2e -v

.PHONY: chaos
chaos: ## Kill and stop the programs and Kafka at random during RUNS runs and compare every row (SEED=n deals the same blows)
	PENCERE_CHAOS_RUNS=$(RUNS) PENCERE_CHAOS_SEED=$(SEED) go test -tags e2e,chaos -count=1 -timeout 0 -v -run TestChaosCampaign ./submitter/e2e

.PHONY: chaos-ha
chaos-ha: ## Kill, pause and cut off the leading jobmanager of three, RUNS times under one job: no task restarts, every row once (Linux; root)
	@[[ $$(id -u) == 0 ]] && command -v ip >/dev/null && command -v iptables >/dev/null || \
		{ echo "make chaos-ha makes network namespaces: it needs Linux, root, iproute2 and iptables" >&2; exit 1; }
	PENCERE_HA_FAULTS=$(RUNS) go test -tags e2e,chaos -count=1 -timeout 0 -v -run 'TestLeaderPartitions|TestTwoOfFive|TestTaskManagerCutOff' ./submitter/e2e

.PHONY: chaos-rescale
chaos-rescale: ## Let taskmanagers join, leave and die 20 times under a job, in each of RUNS runs, and compare every row (SEED=n deals the same)
	PENCERE_RESCALE_RUNS=$(RUNS) PENCERE_CHAOS_SEED=$(SEED) go test -tags e2e,chaos -count=1 -timeout 0 -v -run TestRescaleCampaign ./submitter/e2e

.PHONY: lint
lint: ## Check format, vet, lint Go and schemas, and the import rules
	.ci/run format vet lint proto
	go test -count=1 ./pkg/layers

.PHONY: format
format: ## Format the Go code
	.ci/tool golangci-lint fmt ./...

.PHONY: generate
generate: ## Generate Go code from proto/ into pkg/gen
	.ci/tool buf generate

.PHONY: breaking
breaking: ## Show changes of proto/ that break what AGAINST reads or writes
	.ci/tool buf breaking --against '$(AGAINST)'

.PHONY: web
web: ## Build the web UI into web/dist
	npm --prefix web ci
	npm --prefix web run build

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME
	.ci/fuzz $(FUZZTIME)

.PHONY: jdk
jdk: ## Compare VALUES random doubles and floats with the machine's JDK 17
	go test -count=1 -tags jdk -run JDK -v ./pkg/javafmt -count-values $(VALUES)

.PHONY: bench
bench: ## Run the benchmarks that match BENCH in PACKAGES
	go test -run '^$$' -bench '$(BENCH)' -benchmem $(PACKAGES)

.PHONY: bench-e2e
bench-e2e: ## Measure whole jobs beside a bare read of the same topic (Linux; flags in BENCHFLAGS)
	go run ./submitter/e2e/bench $(BENCHFLAGS)

.PHONY: bench-rescale
bench-rescale: ## Measure for how long a job of a million groups publishes nothing while it rescales (Linux)
	go run ./submitter/e2e/bench --rescales 20 $(BENCHFLAGS)

.PHONY: bench-scale
bench-scale: ## Measure a jobmanager beside 1,000 taskmanagers of 10 slots and 500 jobs (Linux)
	go run ./submitter/e2e/bench --taskmanagers 1000 $(BENCHFLAGS)

.PHONY: demo
demo: ## Run a whole cluster with sample data in one process; the UI is on port 8081
	go run ./submitter demo
