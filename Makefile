# make help lists the targets. Everything but the tests needs Go alone.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unreleased)
FUZZTIME ?= 20s
MINUTES ?= 5
SUITE ?= bookworm
# The version of the analyser is pinned here: it is a tool of the tests, not a part of the daemon.
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

export GOFLAGS ?= -buildvcs=false

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: build ## build the daemon and serve Redis on 6379, memcached on 11211, health and metrics on 8630
	@exec ./bin/holdfast serve

build: ## build bin/holdfast
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-X main.version=$(VERSION)" -o bin/holdfast ./cmd/holdfast

# The version and the commit's time are all that the packages know of when and where they were built.
ARCHS ?= amd64,arm64
packages: ## build deb, rpm and container image for ARCHS (amd64,arm64) into dist/
	$(GO) run ./packaging -version $(VERSION) -date $$(git log -1 --format=%ct 2>/dev/null || echo 0) -arch $(ARCHS) -o dist

demo: build ## show in half a minute what clients see while members of a group of three die, on 127.0.0.1 to 127.0.0.3
	@$(GO) run ./test/demo -holdfast bin/holdfast

test: prepare lint test-go ## install what the tests need (Debian packages, as root) and run them all

prepare: ## install the Debian packages that the tests need, if some are missing
	test/install

lint: ## gofmt, go vet, staticcheck
	@bad=$$(gofmt -l .); test -z "$$bad" || { echo "not formatted, run gofmt -w:"; echo "$$bad"; exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

# With HOLDFAST_TEST_REQUIRE a test whose program is not there fails, and is not skipped. Groups of running members come one package after the other: they
# mean something only on processors that nothing else keeps busy. The simulator and what makes the packages have no goroutines, and much to compute.
ALONE = ./internal/sim ./packaging
APART = ./cluster $(ALONE) ./test/...
test-go: ## the Go tests, with the race detector; the client and crash tests are among them
	HOLDFAST_TEST_REQUIRE=1 $(GO) test -race -timeout 15m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(APART))")
	HOLDFAST_TEST_REQUIRE=1 $(GO) test -timeout 15m $(ALONE)
	HOLDFAST_TEST_REQUIRE=1 $(GO) test -race -timeout 15m -p 1 $$($(GO) list $(APART) | grep -vxF "$$($(GO) list $(ALONE))")

SEEDS ?= 1000

sim: ## whole groups in a simulated world: SEEDS (1000) runs of every schedule
	SEEDS=$(SEEDS) $(GO) test -timeout 24h -run 'Schedules' -v ./internal/sim

test-clients: build ## the real clients alone, in Python, on the built binary
	HOLDFAST_BIN=$(CURDIR)/bin/holdfast /usr/bin/python3 test/clients/run

# The next release's clients are unpacked into /var/tmp/holdfast-clients, and kept there.
test-clients-next: build ## the real clients of this Debian and of the next (60 MB at first, 3 minutes); writes docs/clients.md
	test/clients/next

chaos: build ## disturb a group of three for MINUTES (5) under load (root: links and disks too); writes docs/chaos.md
	$(GO) run ./test/chaos -holdfast bin/holdfast -minutes $(MINUTES) -o docs/chaos.md

openstack: build ## OpenStack's own services on the daemon, in a Debian of their own, bookworm or SUITE=trixie (root; 2.5 GB at first, an hour); writes docs/openstack-results.md
	test/openstack/run --suite $(SUITE)

# The suites are fetched from Debian's archive into CONFORMANCE_CACHE, and kept there.
CONFORMANCE_CACHE ?= /var/tmp/holdfast-conformance
conformance: build ## redis's and memcached's own tests on the daemon and on the originals (half an hour); writes docs/conformance.md
	$(GO) run ./test/conformance -holdfast bin/holdfast -cache $(CONFORMANCE_CACHE) -o docs/conformance.md

pacemaker: ## the package on three controllers under real Corosync, Pacemaker and pcs, in namespaces (root; 700 MB at first, 20 minutes); writes docs/pacemaker-results.md
	$(MAKE) packages ARCHS=amd64
	test/pacemaker/run

fuzz: ## every fuzz target, FUZZTIME (20s) each
	@for p in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz'); do \
			echo "== $$p $$f"; $(GO) test -run '^$$' -fuzz "^$$f\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p || exit 1; \
		done; \
	done

bench: ## measure the daemon beside redis-server, valkey and memcached, and a group of three; writes docs/benchmarks.md
	$(GO) run ./bench -o docs/benchmarks.md

bench-group: ## of that, a group of three beside redis with replicas, Sentinel and etcd (12 minutes)
	$(GO) run ./bench -part group -o docs/benchmarks.md

# Every package with a test that knows -update has documents that are made from it.
docs: ## generate the documents that are made from the source
	$(GO) test $$(grep -rl --include='*_test.go' 'flag.Bool("update"' . | xargs -n1 dirname | sort -u) -run Generated -update

clean: ## remove what the targets above made, but no data
	rm -rf bin dist

.PHONY: help run build packages demo test prepare lint test-go sim test-clients test-clients-next chaos openstack pacemaker conformance fuzz bench bench-group docs clean
