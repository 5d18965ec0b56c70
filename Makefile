# Two commands matter: `make demo` shows the whole on this machine, `make test` checks it.
# Each installs what it lacks and says so. Nothing is installed outside of this folder but Debian packages, and for
# `make fuzz` nightly Rust and cargo-fuzz.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

SAY := @printf '\033[1m==> %s\033[0m\n'
STAMPS := .stamps
VENV := .venv
WEB := portal/web

# A package is asked for by the file that it brings, so that a machine which has it needs no root.
BUILD_FILES := /usr/bin/cc:build-essential /usr/bin/node:nodejs /usr/bin/npm:npm
TEST_FILES := /usr/bin/socat:socat /usr/bin/mbpoll:mbpoll /usr/sbin/mosquitto:mosquitto /usr/bin/mosquitto_pub:mosquitto-clients \
	/usr/bin/chromium:chromium /usr/sbin/sshd:openssh-server /usr/bin/sftp:openssh-client /usr/share/fonts/truetype/noto/NotoSans-Regular.ttf:fonts-noto-core

# QuestDB is a Java program; Maven fetches it.
JAVA_FILES := /usr/bin/java:default-jre-headless /usr/bin/mvn:maven

.PHONY: help demo test check unit peers bench fuzz fuzz-keep web clean-demo fmt

help:
	@printf '%s\n' 'make demo    watch the tide push salt up the river, on this machine alone' \
	  'make test    everything that CI checks: format, lints, tests, real peers, benches run small' \
	  'make bench   the figures of docs/promises.md, measured here beside their peers' \
	  'make fuzz    bytes that nobody would send, against everything that reads bytes (nightly Rust)' \
	  'make check   format, lints and the documents against the code' \
	  'make unit    the tests of the crates alone'

demo: $(STAMPS)/build web
	$(SAY) 'Building Saltline (the first time takes some minutes; cargo says what it is at)'
	cargo build --profile demo --locked --workspace --bin saltline --bin firmware-sim
	$(SAY) 'Starting the demo'
	@exec "$${CARGO_TARGET_DIR:-target}/demo/saltline" demo $(ARGS)

test: check unit peers
	@printf '\nAll of it passed.\n'

check: $(STAMPS)/build web
	$(SAY) 'Format, lints, documents'
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo xtask tidy

# Four at a time: many of them wait for clocks and sockets, and processors are few.
unit: $(STAMPS)/build web
	$(SAY) 'Tests of the crates and stories on real sockets'
	RUST_TEST_THREADS=4 cargo test --workspace --locked

# Three at a time: they mostly wait for tides, timeouts and power cuts, not for the processor.
peers: $(STAMPS)/build $(STAMPS)/test $(STAMPS)/venv $(STAMPS)/npm-peers $(STAMPS)/questdb web
	$(SAY) 'Building what the peers talk to (with the features of the tests, so that nothing is built twice)'
	cargo build --workspace --locked --bins --tests --examples
	$(SAY) 'Real peers: paho, mosquitto, aiosmtpd, an SMSC from npm, Chromium, QuestDB; power cuts; full disk; real records'
	$(VENV)/bin/python -m pytest tests/peers --numprocesses 3 --dist loadfile --no-loadscope-reorder --color=yes

bench: $(STAMPS)/build $(STAMPS)/test $(STAMPS)/venv $(STAMPS)/questdb
	$(SAY) 'Building with optimisation'
	cargo build --release --locked --bins --examples --workspace
	cargo bench --workspace --locked
	$(VENV)/bin/python benches/front_door.py
	$(VENV)/bin/python benches/door.py
	$(VENV)/bin/python benches/whole_path.py
	$(VENV)/bin/python benches/footprint.py
	$(VENV)/bin/python benches/modbus.py
	$(VENV)/bin/python benches/files.py
	$(VENV)/bin/python benches/quality.py
	$(VENV)/bin/python benches/history.py --grow 2,20
	$(VENV)/bin/python benches/chain.py
	SALTLINE_MODBUS_POLLS=1000000 cargo test --release --locked --workspace --test modbus no_answer -- --nocapture

# Seconds for each target of `make fuzz`.
FUZZ_SECONDS ?= 60
# Our code has no `unsafe`, so there is nothing for an address sanitizer to find that it would be slower for.
FUZZ := env -u CARGO_TARGET_DIR cargo +nightly fuzz
# The journal's target writes files: into memory, where there is such a folder.
FUZZ_TMP := $(shell [ -d /dev/shm ] && echo /dev/shm || echo /tmp)

fuzz: $(STAMPS)/build $(STAMPS)/fuzz
	$(SAY) 'Building the targets'
	$(FUZZ) build --sanitizer none
	$(SAY) 'Each target for $(FUZZ_SECONDS) s; what crashes one stays below fuzz/artifacts'
	@crashed=''; \
	for target in $$($(FUZZ) list); do \
	  mkdir -p fuzz/found/$$target; \
	  printf '\033[1m==> %s\033[0m\n' "$$target"; \
	  TMPDIR=$(FUZZ_TMP) $(FUZZ) run --sanitizer none $$target fuzz/found/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -timeout=10 -rss_limit_mb=1024 -print_final_stats=1 -verbosity=0 \
	    || crashed="$$crashed $$target"; \
	done; \
	if [ -n "$$crashed" ]; then printf '\nCrashed:%s\n' "$$crashed"; exit 1; fi; \
	printf '\nNothing crashed.\n'

# What the runs found that reaches code which the corpus does not, as little of it as does: to be committed.
fuzz-keep: $(STAMPS)/fuzz
	@for target in $$($(FUZZ) list); do \
	  mkdir -p fuzz/found/$$target; \
	  TMPDIR=$(FUZZ_TMP) $(FUZZ) run --sanitizer none $$target fuzz/corpus/$$target fuzz/found/$$target -- \
	    -set_cover_merge=1 -use_counters=0 -max_len=$(FUZZ_KEEP_BYTES) -verbosity=0; \
	done

# What is longer than this is not kept.
FUZZ_KEEP_BYTES ?= 512

web: $(STAMPS)/web

fmt:
	cargo fmt --all

clean-demo:
	rm -rf demo-data

# $(call apt,FILES): installs the packages whose file is not there.
define apt
	@missing=''; \
	for pair in $(1); do [ -e "$${pair%%:*}" ] || missing="$$missing $${pair##*:}"; done; \
	if [ -n "$$missing" ]; then \
	  printf '\033[1m==> Installing Debian packages:%s\033[0m\n' "$$missing"; \
	  sudo=''; [ "$$(id -u)" = 0 ] || sudo=sudo; \
	  $$sudo apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive $$sudo apt-get install -y -qq --no-install-recommends $$missing; \
	fi
endef

# node and npm may come from elsewhere than Debian: they are asked for by name.
$(STAMPS)/build:
	@command -v cargo >/dev/null || { echo 'Rust is missing: install it with rustup (https://rustup.rs)'; exit 1; }
	@mkdir -p $(STAMPS)
	$(call apt,$(filter-out $(if $(shell command -v node),/usr/bin/node:nodejs) $(if $(shell command -v npm),/usr/bin/npm:npm),$(BUILD_FILES)))
	@touch $@

$(STAMPS)/test:
	$(call apt,$(TEST_FILES))
	@touch $@

$(STAMPS)/venv: tests/peers/requirements.txt tests/peers/requirements-alone.txt
	$(SAY) 'Python environment for test peers'
	@python3 -c 'import ensurepip' 2>/dev/null || { $(MAKE) --no-print-directory $(STAMPS)/python-venv; }
	python3 -m venv $(VENV)
	$(VENV)/bin/pip install --quiet --disable-pip-version-check -r tests/peers/requirements.txt
	$(VENV)/bin/pip install --quiet --disable-pip-version-check --no-deps -r tests/peers/requirements-alone.txt
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python-venv:
	$(call apt,/nonexistent:python3-venv)
	@touch $@

$(STAMPS)/npm-peers: tests/peers/package.json tests/peers/package-lock.json
	$(SAY) 'npm packages for test peers'
	cd tests/peers && npm ci --silent --no-audit --no-fund
	@mkdir -p $(STAMPS) && touch $@

# The folder is made anew: of two versions beside each other the tests would have to choose.
$(STAMPS)/questdb: tests/peers/questdb/pom.xml
	$(call apt,$(filter-out $(if $(shell command -v java),/usr/bin/java:default-jre-headless) $(if $(shell command -v mvn),/usr/bin/mvn:maven),$(JAVA_FILES)))
	$(SAY) 'QuestDB for test peers'
	rm -rf tests/peers/questdb/lib
	mvn --quiet --batch-mode --file tests/peers/questdb/pom.xml dependency:copy-dependencies -DoutputDirectory=lib
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/fuzz:
	@rustup toolchain list 2>/dev/null | grep -q '^nightly' || { \
	  printf '\033[1m==> %s\033[0m\n' 'Installing nightly Rust: the fuzzer needs its instrumentation'; \
	  rustup toolchain install nightly --profile minimal; }
	@command -v cargo-fuzz >/dev/null || { \
	  printf '\033[1m==> %s\033[0m\n' 'Installing cargo-fuzz'; \
	  env -u CARGO_TARGET_DIR cargo install cargo-fuzz --locked; }
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/web: $(shell find $(WEB) -path '*/node_modules' -prune -o -path '*/dist' -prune -o -type f -print 2>/dev/null) | $(STAMPS)/build
	$(SAY) 'Web front end'
	cd $(WEB) && npm ci --silent --no-audit --no-fund && npm run --silent check && npm run --silent build
	@mkdir -p $(STAMPS) && touch $@
