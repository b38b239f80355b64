# The few commands of the project. `make help` lists them.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
# npm and cargo use all cores by themselves.
.NOTPARALLEL:
# Tools that scripts/setup.sh installs with cargo.
export PATH := $(PATH):$(HOME)/.cargo/bin

DASHBOARD_SOURCES := $(shell find dashboard -path dashboard/node_modules -prune -o -path dashboard/dist -prune \
	-o -path dashboard/e2e -prune -o -type f -print)

MINUTES ?= 60

.PHONY: build run test soak bench package clean help

build: dashboard/dist/index.html ## Build target/release/watchpost, with the dashboard in it
	@scripts/setup.sh build
	cargo build --release --locked --package watchpost

dashboard/node_modules/.package-lock.json: dashboard/package-lock.json
	@scripts/setup.sh build
	cd dashboard && npm ci --no-audit --no-fund
	@touch $@

dashboard/dist/index.html: dashboard/node_modules/.package-lock.json $(DASHBOARD_SOURCES)
	cd dashboard && npm run build
	@touch $@

run: ## Build, start a few services on loopback, and watch them; WATCHPOST_PORT chooses the port
	@scripts/run.sh

test: ## Everything that must hold before a change lands; installs the test tools that are missing
	@scripts/setup.sh test
	cargo xtask ci

soak: dashboard/dist/index.html ## Everything at once for MINUTES=60, then 100 kills; prints a summary
	@scripts/setup.sh test
	WATCHPOST_SOAK_MINUTES=$(MINUTES) WATCHPOST_KILLS=100 WATCHPOST_STOP_SECONDS=120 cargo nextest run --profile soak --locked \
		--package watchpost --test it --no-capture -E 'test(/^soak::/) or test(/^crash::/) or test(/stopped/)'

bench: dashboard/dist/index.html ## Measure what Watchpost costs beside its peers, and write docs/benchmarks.md
	@scripts/setup.sh bench
	cargo xtask bench --write

package: build ## Make target/package/watchpost_*.deb
	@scripts/setup.sh package
	scripts/package.sh release

clean: ## Remove what was built; ./data stays
	cargo clean
	rm -rf dashboard/dist dashboard/node_modules

help: ## This list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile
