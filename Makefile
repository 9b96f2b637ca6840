export CARGO_TARGET_DIR ?= target

.PHONY: run test soak packages lint advisories openapi bench

run:
	cargo run --locked --release -- serve

test:
	tests/setup.sh test
	tests/upgrade/build.sh
	cargo test --locked -- --skip endurance::upgrade
	SGW_TEST_UPGRADE_SECONDS=30 cargo test --locked --test it -- --test-threads=1 endurance::upgrade
	$(CARGO_TARGET_DIR)/sdk/venv/bin/python -B tests/sdk/run.py $(CARGO_TARGET_DIR)/debug/session-gateway

# What takes too long for every change: each part has a short form in `make test`.
soak:
	tests/setup.sh test
	tests/upgrade/build.sh
	SGW_TEST_HISTORIES=100000 cargo test --locked --test it -- --nocapture rules::
	SGW_TEST_PAIRS=8000 cargo test --locked --test it -- --nocapture endurance::refusals
	SGW_TEST_LOAD_SECONDS=20 cargo test --locked --test it -- --nocapture --test-threads=1 endurance::goodput
	SGW_TEST_CROWD=100000 SGW_TEST_P99=2 cargo test --locked --test it -- --nocapture --test-threads=1 endurance::crowd
	SGW_TEST_UPGRADE_SECONDS=600 cargo test --locked --test it -- --nocapture --test-threads=1 endurance::upgrade

# What is handed on: a tar, a Debian package, and an image where docker or podman runs, with their sums.
packages:
	cargo build --locked --release
	deploy/package.sh $(CARGO_TARGET_DIR)/release/session-gateway $(CARGO_TARGET_DIR)/packages

lint advisories: export PATH := $(abspath $(CARGO_TARGET_DIR))/tools/bin:$(PATH)
lint:
	tests/setup.sh lint
	cargo fmt --check
	tests/arrows.sh
	cargo deny --locked check bans licenses sources
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS=-Dwarnings cargo doc --locked --no-deps --document-private-items

# Whether something is known against a dependency: it changes with the day, so no change is held to it.
advisories:
	tests/setup.sh lint
	cargo deny --locked check advisories

openapi:
	cargo run --locked -- openapi > $(CARGO_TARGET_DIR)/openapi.json
	cp $(CARGO_TARGET_DIR)/openapi.json openapi/openapi.json

bench:
	bench/peers/setup.sh $(CARGO_TARGET_DIR)/peers/release
	cargo build --locked --release
	cargo build --locked --release --manifest-path bench/peers/Cargo.toml --target-dir $(CARGO_TARGET_DIR)/peers
	BENCH_GATEWAY=$(abspath $(CARGO_TARGET_DIR))/release/session-gateway $(CARGO_TARGET_DIR)/peers/release/peers
