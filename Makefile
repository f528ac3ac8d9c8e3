# A list of names for commands; `make help` prints it.

# Go's own tarball unpacks to /usr/local/go, which a plain root shell does not
# have in its PATH.
export PATH := $(PATH):/usr/local/go/bin:/usr/sbin:/sbin

# A bare environment may name no home, and Go keeps its caches there.
export HOME := $(or $(HOME),$(shell getent passwd "$$(id -u)" | cut -d: -f6))

# The checkout's owner is often not who builds (root in CI), and git then
# refuses to name the commit: say it here, or not at all.
export GOFLAGS := $(strip $(GOFLAGS) -buildvcs=false)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
COMMIT  ?= $(shell cat COMMIT 2>/dev/null || git rev-parse HEAD 2>/dev/null)

TOOL := go tool -modfile=tools/go.mod

# Where `make deb` and `make dist` put what they build.
DIST ?= dist

prefix      ?= /usr/local
bindir      ?= $(prefix)/bin
sbindir     ?= $(prefix)/sbin
mandir      ?= $(prefix)/share/man
unitdir     ?= $(prefix)/lib/systemd/system
catalogdir  ?= $(prefix)/lib/systemd/catalog
sysusersdir ?= $(prefix)/lib/sysusers.d
tmpfilesdir ?= $(prefix)/lib/tmpfiles.d
examplesdir ?= $(prefix)/share/doc/switcheroo/examples
bashdir     ?= $(prefix)/share/bash-completion/completions
zshdir      ?= $(prefix)/share/zsh/site-functions
fishdir     ?= $(prefix)/share/fish/vendor_completions.d

.PHONY: help
help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: go ## compile bin/switcheroo and bin/switcherood
	CGO_ENABLED=0 go build $(BUILDFLAGS) -ldflags '-s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)' -o bin/ ./cmd/switcheroo ./cmd/switcherood

.PHONY: test
test: go ## everything: lint, unit tests with -race, fuzzing, end to end on real systemd
	test/setup
	go build -o bin/suite ./test/suite
	bin/suite

.PHONY: test-trixie
test-trixie: go ## end to end on the systemd of Debian 13, in a root file system that test/trixie makes
	test/setup trixie
	root=$$(test/trixie) && SWITCHEROO_TEST_ROOT=$$root SWITCHEROO_TEST_SYSTEMD=257 go test -count 1 -timeout 20m ./test/cli ./test/deb ./test/e2e

.PHONY: lint
lint: go ## gofmt, vet, go.mod, staticcheck, and who may import whom (depguard)
	@out=$$(gofmt -l .); test -z "$$out" || { echo "gofmt would change:" $$out >&2; exit 1; }
	go vet ./...
	go mod tidy -diff
	$(TOOL) staticcheck ./...
	$(TOOL) depguard ./...
	go test ./test/lint

.PHONY: fuzz
fuzz: go ## every fuzz target, FUZZTIME each (10s)
	go build -o bin/suite ./test/suite
	bin/suite -only fuzz

.PHONY: bench
bench: go ## how long a switch takes, beside one bare `iptables -R`
	test/setup
	go test -run '^$$' -bench . -timeout 30m ./test/bench

.PHONY: loss
loss: go ## what Switcheroo and others lose in a switch, 20 switches a cell (docs/loss.md)
	test/setup
	go run ./bench/loss run

.PHONY: loss-latency
loss-latency: go ## requests around a switch beside those of quiet times, three runs (10 min, on a quiet machine)
	test/setup
	go run ./bench/loss latency -servers warm -switches 14

.PHONY: loss-long
loss-long: go ## Switcheroo alone, until there are 10,000 switches under load (SWITCHES); resumes
	test/setup
	go run ./bench/loss long -total $(or $(SWITCHES),10000)

.PHONY: loss-library
loss-library: go ## the library alone: 200 switches of each kind of server, by either API
	test/setup
	SWITCHEROO_SWITCHES=$(or $(SWITCHES),200) go test -count 1 -v -timeout 1h -run TestLoss ./test/library

.PHONY: loss-docs
loss-docs: go ## put what the loss bench has written into docs/loss.md
	go run ./bench/loss report

.PHONY: chaos
chaos: go ## everything that can happen to a host, at random and under load (CHAOS=10m)
	test/setup
	SWITCHEROO_CHAOS=$(or $(CHAOS),10m) go test -tags chaos -count 1 -v -timeout 2h -run Chaos ./test/e2e

.PHONY: demo
demo: go ## a private host with real systemd, clients, and four deploys to watch
	test/setup demo
	@$(MAKE) --no-print-directory build
	go build -o bin/demo ./test/demo
	@bin/demo

.PHONY: demo-standalone
demo-standalone: go ## the same in one process: `switcheroo run`, three versions, under 20 s
	test/setup demo
	@$(MAKE) --no-print-directory build
	go build -o bin/demo ./test/demo
	@bin/demo --standalone

.PHONY: install
install: ## put what `make build` made where it is looked for (DESTDIR, prefix)
	@test -x bin/switcherood -a -x bin/switcheroo || { echo 'make: run "make build" first' >&2; exit 1; }
	install -D -m 0755 bin/switcheroo $(DESTDIR)$(bindir)/switcheroo
	install -D -m 0755 bin/switcherood $(DESTDIR)$(sbindir)/switcherood
	install -D -m 0644 packaging/systemd/switcherood.socket $(DESTDIR)$(unitdir)/switcherood.socket
	install -D -m 0644 packaging/systemd/switcheroo.catalog $(DESTDIR)$(catalogdir)/switcheroo.catalog
	install -D -m 0644 packaging/sysusers.d/switcheroo.conf $(DESTDIR)$(sysusersdir)/switcheroo.conf
	install -D -m 0644 packaging/tmpfiles.d/switcheroo.conf $(DESTDIR)$(tmpfilesdir)/switcheroo.conf
	install -d $(DESTDIR)$(unitdir) $(DESTDIR)$(examplesdir)
	install -d $(DESTDIR)$(bashdir) $(DESTDIR)$(zshdir) $(DESTDIR)$(fishdir)
	sed 's|/usr/sbin/switcherood|$(sbindir)/switcherood|' packaging/systemd/switcherood.service >$(DESTDIR)$(unitdir)/switcherood.service
	chmod 0644 $(DESTDIR)$(unitdir)/switcherood.service
	bin/switcheroo completion bash >$(DESTDIR)$(bashdir)/switcheroo
	bin/switcheroo completion zsh >$(DESTDIR)$(zshdir)/_switcheroo
	bin/switcheroo completion fish >$(DESTDIR)$(fishdir)/switcheroo.fish
	chmod 0644 $(DESTDIR)$(bashdir)/switcheroo $(DESTDIR)$(zshdir)/_switcheroo $(DESTDIR)$(fishdir)/switcheroo.fish
	for page in docs/man/*; do install -D -m 0644 $$page $(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/} || exit; done
	cp -R examples/. $(DESTDIR)$(examplesdir)
	chmod -R u=rwX,go=rX $(DESTDIR)$(examplesdir)

.PHONY: uninstall
uninstall: ## take it away again; rules stay until `switcherood --cleanup`
	rm -f $(DESTDIR)$(bindir)/switcheroo $(DESTDIR)$(sbindir)/switcherood $(DESTDIR)$(unitdir)/switcherood.service $(DESTDIR)$(unitdir)/switcherood.socket
	rm -f $(DESTDIR)$(catalogdir)/switcheroo.catalog $(DESTDIR)$(sysusersdir)/switcheroo.conf $(DESTDIR)$(tmpfilesdir)/switcheroo.conf
	rm -f $(DESTDIR)$(bashdir)/switcheroo $(DESTDIR)$(zshdir)/_switcheroo $(DESTDIR)$(fishdir)/switcheroo.fish
	for page in docs/man/*; do rm -f $(DESTDIR)$(mandir)/man$${page##*.}/$${page##*/}; done
	rm -rf $(DESTDIR)$(examplesdir)

.PHONY: vendor
vendor: go ## put the modules into vendor/, for a source package; `make clean` before other work
	GOFLAGS= go mod vendor

.PHONY: deb
deb: go ## build the Debian packages, source and binary, into dist/ (needs dpkg-dev, debhelper)
	packaging/deb $(DIST)

.PHONY: dist
dist: go ## static programs as a tarball, with checksums and an SBOM, the same bytes each time, into dist/
	packaging/dist $(DIST)

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist vendor

.PHONY: go
go:
	@command -v go >/dev/null || { echo 'make: go is not in PATH; install Go 1.25 or newer from https://go.dev/dl/ (unpack it to /usr/local)' >&2; exit 1; }
