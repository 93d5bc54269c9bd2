# Two commands for a newcomer: `make run` and `make test`. They need Rust and a C compiler, nothing else.

.DEFAULT_GOAL := help
.PHONY: help build run release test crash loom check lint fmt proto doc bench deny breaking

# Arguments for `titan up`: make run ARGS="--replicas projects=3"
ARGS ?=
# make bench BENCH=mesh/unary QUICK=1
BENCH ?=
QUICK ?=
# The release that contracts are compared with.
AGAINST ?= $(shell git describe --tags --abbrev=0 2>/dev/null || echo main)

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-9s %s\n", $$1, $$2}'

build: ## Build every program of the system
	cargo build

run: build ## Build, then run the whole system with embedded defaults
	target/debug/titan up $(ARGS)

release: ## Build every program of the system, optimised
	cargo build --release

test: build ## Run all tests; with servers and clients on the PATH, also against those
	cargo test --workspace

crash: ## End a program at each of its crash points, at each disk write, and with its disk failing
	cargo test -p durable --features crash-points --test crash

loom: ## Try every order of the accesses in the lock-free parts of a call
	cargo test -p mesh --features loom --lib --no-run
	LOOM_MAX_PREEMPTIONS=3 timeout 300 cargo test -p mesh --features loom --lib interleavings

check: fmt lint doc deny test crash loom ## Everything that CI checks

fmt: ## Check the formatting (write it: cargo fmt)
	cargo fmt --all --check

lint: proto ## clippy, with warnings denied, and the contracts' rules
	cargo clippy --workspace --all-targets -- -D warnings

proto: ## Check the contracts: style, formatting, and nothing broken since the last release
	@if command -v buf >/dev/null; then \
	  buf lint && buf format --diff --exit-code --path proto/titan && $(MAKE) --no-print-directory breaking; \
	else echo "buf is not on the PATH: the contracts are checked by the tests alone"; fi

breaking:
	@if git rev-parse --verify --quiet $(AGAINST) >/dev/null && git cat-file -e $(AGAINST):buf.yaml 2>/dev/null; then \
	  buf breaking --against '.git#ref='$$(git rev-parse $(AGAINST)); \
	else echo "no release to compare the contracts with yet"; fi

doc: ## Build the documentation, with broken links denied
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

deny: ## Check licences and sources of the dependencies
	@if command -v cargo-deny >/dev/null; then cargo deny check licenses bans sources; \
	else echo "cargo-deny is not on the PATH: licences are not checked"; fi

bench: ## Measure hot paths beside their baselines and print ratios
	cargo build --release -p bench
	cargo run --release -p bench -- run $(BENCH) $(if $(QUICK),--quick)
