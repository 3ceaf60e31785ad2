# Figway: run it, test it, measure it. `make help` lists what there is.

CARGO ?= cargo
# Arguments for the demo: make demo ARGS="--no-traffic --port 9000"
ARGS ?=
# Cases per property test in `make fuzz`; `make test` uses each test's own small bound.
CASES ?= 20000
# Schedules per climate in `make soak`.
RUNS ?= 100000
# What Debian calls PostgreSQL, against which `make test` runs the shared ledger.
TEST_PACKAGES := postgresql
# Debian packages that `make bench` compares against and loads with.
BENCH_PACKAGES := nginx haproxy wrk nghttp2-client python3 openssl

.DEFAULT_GOAL := help
.PHONY: help demo test independent check fuzz soak build bench bench-payments tools test-tools

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: ## gateway, sample services, payment providers and a little traffic in one process
	@$(CARGO) run --locked -- demo $(ARGS)

test: test-tools ## every test
	@$(MAKE) --no-print-directory independent || echo "they can't be installed, so their tests will say SKIPPED"
	$(CARGO) test --locked

independent: ## payment simulators that others wrote, for the tests; installs them below target/ when they are missing
	@tests/independent/install.sh target/independent

soak: ## simulated payments, any number: make soak RUNS=1000000; FIGWAY_SEED=n plays one again
	FIGWAY_SOAK=$(RUNS) CARGO_PROFILE_TEST_OPT_LEVEL=2 $(CARGO) test --locked --lib payments::simulation -- --nocapture

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

# Installs those of the named Debian packages that are missing.
install = missing=; for package in $(1); do \
	    dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'ok installed' || missing="$$missing $$package"; \
	  done; \
	  [ -z "$$missing" ] || { \
	    sudo=; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	    $$sudo apt-get update && DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y --no-install-recommends $$missing; }

bench-payments: ## what the distributor adds to a payment, and what a silent provider costs; its part of docs/benchmarks.md
	python3 bench/payments.py --write

tools: ## what bench needs beyond cargo (Debian packages; installs only what is missing)
	@$(call install,$(BENCH_PACKAGES))

test-tools: ## what test needs beyond cargo: PostgreSQL's server, found in PATH or where Debian keeps it
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { $(call install,$(TEST_PACKAGES)); }
