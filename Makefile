# Figway: run it, test it, measure it. `make help` lists what there is.

CARGO ?= cargo
# Arguments for the demo: make demo ARGS="--no-traffic --port 9000"
ARGS ?=
# Cases per property test in `make fuzz`; `make test` uses each test's own small bound.
CASES ?= 20000
# Debian packages that `make bench` compares against and loads with.
BENCH_PACKAGES := nginx haproxy wrk nghttp2-client python3 openssl

.DEFAULT_GOAL := help
.PHONY: help demo test check fuzz build bench tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## gateway, sample services, payment providers and a little traffic in one process
	@$(CARGO) run --locked -- demo $(ARGS)

test: ## every test
	$(CARGO) test --locked

check: ## formatting, lints and the sample configuration
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) run --locked -- check --config config/gateway.yaml

fuzz: ## the property tests at length, from new seeds: make fuzz CASES=1000000
	FIGWAY_FUZZ_CASES=$(CASES) CARGO_PROFILE_TEST_OPT_LEVEL=2 $(CARGO) test --locked --lib property

build: ## the release binary, target/release/figway
	$(CARGO) build --release --locked

bench: tools ## throughput, latency, CPU and memory beside nginx and HAProxy; writes docs/benchmarks.md
	python3 bench/run.py --write

tools: ## what bench needs beyond cargo (Debian packages; installs only what is missing)
	@missing=; for package in $(BENCH_PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	done; \
	[ -z "$$missing" ] || { \
	  sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y --no-install-recommends $$missing; }
