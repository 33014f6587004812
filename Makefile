# Two commands: `make run` serves the shipped policies, `make test` checks everything CI checks.
# Everything they need besides Rust, a C toolchain, Python, Node and the package managers is installed into target/tools.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

TOOLS := target/tools
BUF := $(TOOLS)/py/bin/buf
DENY := $(TOOLS)/bin/cargo-deny
DENY_VERSION := 0.20.2
FUZZ := $(TOOLS)/bin/cargo-fuzz
FUZZ_VERSION := 0.13.2
CONFORMANCE := $(or $(MANDATE_CONFORMANCE_DIR),../shared/conformance)
CONFORM := cargo run --release --locked --example conformance --
PREVIOUS ?= baec290
KUBERNETES := $(TOOLS)/py/bin/kubernetes-validate
HELM := $(TOOLS)/helm4
CHECKOV := $(TOOLS)/checkov/.installed
NATS := $(TOOLS)/py/bin/nats-server
ENVOY := $(TOOLS)/py/bin/envoy
ROTEL := $(TOOLS)/py/.rotel
PROMTOOL := $(TOOLS)/prometheus/promtool
OIDC := $(TOOLS)/oidc/node_modules/.package-lock.json
MCP := $(TOOLS)/mcp/node_modules/.package-lock.json $(TOOLS)/mcp/py/bin/mcp-server-git
CLIENTS := $(TOOLS)/clients
CERBOS := $(TOOLS)/cerbos/node_modules/.package-lock.json
CEDAR_AGENT := $(TOOLS)/cedar-agent/bin/cedar-agent
CEDAR_AGENT_VERSION := 0.2.0
PEERS := benches/peers/Cargo.toml
NPM_CLIENT := clients/typescript/node_modules/.package-lock.json

.PHONY: run bench bench-peers test fmt locks clippy lint-proto release-contract deny alerts rotel oidc nats envoy authzen mcp example unit clients clients-python clients-typescript clients-generate release-hostile soak faults previous fuzz cases references docs chart chart-files image sbom help

help: ## Show the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

run: ## Build, and serve the shipped schemas, policies and entities.
	cargo run --release --locked -- serve

bench: $(ENVOY) ## What a decision costs, in process, at scale and over gRPC; figures also in target/bench/*.json.
	cargo bench --locked --bench authorize
	cargo bench --locked --bench cache
	cargo bench --locked --bench search
	cargo bench --locked --bench tokens
	cargo bench --locked --bench rights
	cargo bench --locked --bench audit
	cargo bench --locked --bench entity_log
	cargo bench --locked --bench verify
	cargo bench --locked --bench log_query -- --quick
	cargo bench --locked --bench scale
	cargo bench --locked --bench grpc
	cargo bench --locked --bench envoy

bench-peers: $(CERBOS) $(CEDAR_AGENT) ## Mandate against its peers (docs/benchmarks.md), into benches/results; QUICK=1 shows in seconds that it still runs.
	cargo build --release --locked
	cargo run --release --locked --manifest-path $(PEERS) --target-dir target/peers -- $(if $(QUICK),--quick) $(ARGS)

test: fmt locks clippy lint-proto deny alerts unit release-hostile clients cases docs chart ## Check everything CI checks.
	@echo "all checks passed"

fmt: ## Formatting.
	cargo fmt --check
	cargo fmt --check --manifest-path $(PEERS)

locks: ## The lock files of the packages beside hold what the crate takes.
	cargo update --workspace --locked --quiet --manifest-path $(PEERS)
	cargo update --workspace --locked --quiet --manifest-path fuzz/Cargo.toml

clippy: ## Lints: anything that can panic is an error.
	cargo clippy --locked --all-targets -- -D warnings

lint-proto: $(BUF) ## The public contract: its form, and that it breaks nobody who has that of the last release.
	$(BUF) lint
	$(BUF) breaking --against proto/released.binpb

release-contract: $(BUF) ## At a release: what `buf breaking` compares with from then on.
	$(BUF) build --exclude-source-info -o proto/released.binpb

deny: $(DENY) ## Licences, bans and sources of every dependency.
	$(DENY) --locked check licenses bans sources

alerts: $(PROMTOOL) ## The alert rules, held to their cases.
	$(PROMTOOL) check rules deploy/prometheus/mandate.rules.yaml
	$(PROMTOOL) test rules deploy/prometheus/mandate.rules.test.yaml

rotel: $(ROTEL) ## The OpenTelemetry collector that tests export spans to.

oidc: $(OIDC) ## The OpenID provider that tests rotate keys of.

nats: $(NATS) ## The NATS server that tests deliver decision logs to.

mcp: $(MCP) ## The MCP servers and clients that tests put on both sides of the proxy.

example: $(MCP) ## A scripted agent with real MCP servers behind the proxy.
	cargo build --release --locked
	examples/agent/run.sh target/release/mandate

envoy: $(ENVOY) ## The Envoy that tests ask through.

authzen: $(BUF) ## The clients of AuthZEN that tests run.

unit: $(OIDC) $(NATS) $(ENVOY) $(ROTEL) $(PROMTOOL) $(BUF) $(MCP) ## Unit, law and integration tests, and whether the benchmark of scale still runs.
	cargo test --locked
	cargo test --locked --bench scale -- --quick

clients: clients-python clients-typescript ## The clients, against the server and with the frameworks that they are for.

clients-python: $(CLIENTS)/.installed
	cargo build --release --locked
	PYTHON=$(CLIENTS)/bin/python clients/python/scripts/generate.sh --check
	$(CLIENTS)/bin/pip install --quiet --no-deps --no-build-isolation --force-reinstall clients/python
	cd clients/python && $(CURDIR)/$(CLIENTS)/bin/ruff format --check --quiet . && $(CURDIR)/$(CLIENTS)/bin/ruff check --quiet .
	cd clients/python && $(CURDIR)/$(CLIENTS)/bin/mypy
	cd clients/python && MANDATE_BIN=$(CURDIR)/target/release/mandate $(CURDIR)/$(CLIENTS)/bin/pytest

clients-typescript: $(NPM_CLIENT) $(CLIENTS)/.installed $(BUF)
	cargo build --release --locked
	BUF=$(CURDIR)/$(BUF) clients/typescript/scripts/generate.sh --check
	cd clients/typescript && npm run --silent lint
	cd clients/typescript && MANDATE_BIN=$(CURDIR)/target/release/mandate CLIENTS_PYTHON=$(CURDIR)/$(CLIENTS)/bin/python npm test --silent

clients-generate: $(CLIENTS)/.installed $(NPM_CLIENT) $(BUF) ## Make the clients' code of the contract anew, after proto/ has changed.
	PYTHON=$(CLIENTS)/bin/python clients/python/scripts/generate.sh
	BUF=$(CURDIR)/$(BUF) clients/typescript/scripts/generate.sh

release-hostile: ## Hostile inputs, and the whole conformance corpus, in a release build.
	cargo build --release --locked
	cargo test --release --locked --lib law
	@if [ -d "$(CONFORMANCE)" ]; then $(CONFORM) "$(CONFORMANCE)"; \
	else test -z "$${CI:-}" && echo "SKIPPED: no conformance data at $(CONFORMANCE)"; fi
	MANDATE_BIN=$(CURDIR)/target/release/mandate cargo test --locked --test it hostile

soak: ## The laws of the engine and of the cache, on many fresh cases; `MANDATE_SOAK_SEED`, which a failure prints, has the same ones again.
	MANDATE_SOAK=$(or $(MANDATE_SOAK),20000) cargo test --release --locked --lib -- --show-output law_tests validity_tests swift_tests
	MANDATE_SOAK=1 cargo test --release --locked --lib -- --show-output --skip memory_is_bounded pdp::
	MANDATE_SOAK=1 cargo test --release --locked --lib -- --show-output memory_is_bounded
	MANDATE_SINK_DOWN=$(or $(MANDATE_SINK_DOWN),300) cargo test --release --locked --test it -- log_sinks
	MANDATE_KILLS=$(or $(MANDATE_KILLS),500) cargo test --release --locked --test it -- entity_log::durability
	MANDATE_KILLS=$(or $(MANDATE_KILLS),200) cargo test --release --locked --test it -- log_faults::killed

fuzz: $(FUZZ) ## Every parser of outside bytes on made-up ones, FUZZ_SECONDS (30) each; FUZZ_TARGETS names some. Needs a nightly toolchain.
	PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" scripts/fuzz.sh "$(or $(FUZZ_SECONDS),30)" $(FUZZ_TARGETS)

faults: $(NATS) ## Bad days, in a release build: what each fault was asked to leave alone, and what was seen (docs/testing-faults.md).
	cargo build --release --locked
	rm -rf target/faults
	@failed=0; cargo test --release --locked --test it faults:: -- --ignored --test-threads=1 --nocapture || failed=$$?; \
	printf '\n| fault | asked | seen | |\n|---|---|---|---|\n'; cat target/faults/table.md; exit $$failed

previous: target/previous/mandate ## The version before this one, which upgrades are tested from; PREVIOUS names its commit.

# Dependencies that both versions take alike are built once. What cargo leaves in target/release is made anew afterwards.
target/previous/mandate:
	rm -rf target/previous && mkdir -p target/previous
	git worktree prune && git worktree add --detach target/previous/source $(PREVIOUS)
	cargo build --release --locked --manifest-path target/previous/source/Cargo.toml --target-dir target
	cp target/release/mandate target/previous/mandate.new
	git worktree remove --force target/previous/source
	cargo build --release --locked
	mv target/previous/mandate.new $@

cases: ## The shipped policies: every case passes, and every policy is needed by one.
	target/release/mandate test --mutants

references: ## Write docs/reference anew, after a configuration key, a metric or a flag has changed; a test holds it to the code.
	MANDATE_REFERENCES=write cargo test --locked --lib reference_tests

docs: ## Documentation, without warnings.
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items

chart: $(HELM) $(KUBERNETES) $(CHECKOV) ## The Helm chart, with Helm 3 and Helm 4.
	cargo build --release --locked
	scripts/chart.sh

chart-files: $(KUBERNETES) ## Copy into the chart what it has of the repository, and write its README's table.
	scripts/chart.sh files

image: ## The container image, into target/image; needs buildah.
	scripts/image.sh

sbom: $(TOOLS)/sbom/.installed ## What the release binary is made of, into target/sbom: CycloneDX, held to its schema.
	$(TOOLS)/sbom/bin/python scripts/sbom.py target/sbom/mandate.cdx.json

$(OIDC): tests/oidc/package.json tests/oidc/package-lock.json
	mkdir -p $(TOOLS)/oidc
	cp $^ $(TOOLS)/oidc
	npm ci --prefix $(TOOLS)/oidc --ignore-scripts --no-audit --no-fund
	touch $@

$(CERBOS): benches/peers/cerbos/package.json benches/peers/cerbos/package-lock.json
	mkdir -p $(TOOLS)/cerbos
	cp $^ $(TOOLS)/cerbos
	npm ci --prefix $(TOOLS)/cerbos --ignore-scripts --no-audit --no-fund
	touch $@

$(CEDAR_AGENT):
	cargo install cedar-agent --locked --version $(CEDAR_AGENT_VERSION) --root $(TOOLS)/cedar-agent --target-dir $(TOOLS)/build
	rm -rf $(TOOLS)/build

$(TOOLS)/mcp/node_modules/.package-lock.json: tests/mcp/package.json tests/mcp/package-lock.json
	mkdir -p $(TOOLS)/mcp
	cp $^ $(TOOLS)/mcp
	npm ci --prefix $(TOOLS)/mcp --ignore-scripts --no-audit --no-fund
	touch $@

$(TOOLS)/mcp/py/bin/mcp-server-git: requirements-mcp.txt
	python3 -m venv $(TOOLS)/mcp/py
	$(TOOLS)/mcp/py/bin/pip install --quiet --require-hashes --only-binary :all: -r requirements-mcp.txt
	touch $@

$(NPM_CLIENT): clients/typescript/package.json clients/typescript/package-lock.json
	npm ci --prefix clients/typescript --ignore-scripts --no-audit --no-fund
	touch $@

$(CLIENTS)/.installed: clients/python/requirements-test.txt
	python3 -m venv $(CLIENTS)
	$(CLIENTS)/bin/pip install --quiet --require-hashes --only-binary :all: -r $<
	touch $@

$(HELM): requirements-helm.txt scripts/fetch-helm.py | $(KUBERNETES)
	$(TOOLS)/py/bin/python scripts/fetch-helm.py $(TOOLS)

$(PROMTOOL): scripts/fetch-promtool.sh
	scripts/fetch-promtool.sh $(TOOLS)

$(CHECKOV): requirements-checkov.txt
	python3 -m venv $(TOOLS)/checkov
	$(TOOLS)/checkov/bin/pip install --quiet --require-hashes --only-binary :all: -r $<
	touch $@

$(BUF) $(KUBERNETES) $(NATS) $(ENVOY) $(ROTEL) &: requirements-tools.txt
	python3 -m venv $(TOOLS)/py
	$(TOOLS)/py/bin/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements-tools.txt
	touch $(BUF) $(KUBERNETES) $(NATS) $(ENVOY) $(ROTEL)

$(DENY):
	cargo install cargo-deny --locked --version $(DENY_VERSION) --root $(TOOLS) --target-dir $(TOOLS)/build
	rm -rf $(TOOLS)/build

$(FUZZ):
	cargo install cargo-fuzz --locked --version $(FUZZ_VERSION) --root $(TOOLS) --target-dir $(TOOLS)/build
	rm -rf $(TOOLS)/build

$(TOOLS)/sbom/.installed: requirements-sbom.txt
	python3 -m venv $(TOOLS)/sbom
	$(TOOLS)/sbom/bin/pip install --quiet --require-hashes --only-binary :all: -r $<
	touch $@
