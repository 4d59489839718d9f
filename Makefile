# pacgan-appliance. `make lab` shows the whole thing on this machine; `make test` proves it.
# Everything that is needed beside Go, gcc and git is installed by `deps` (apt-get, as root).

GO       ?= go
VERSION  := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
BINARY   := build/pacgan-appliance
LDFLAGS  := -s -w -bindnow -X main.version=$(VERSION)
PACKAGES := ./...

# What the lab needs, what its system servers and the tests need, what boots an old kernel, what looks at the page and the metrics, what compiles bpf/,
# what the benchmarks are run against, what looks at the traffic as an IDS does (Suricata 7), what the packages are checked by.
DEPS_LAB  := tcpdump
DEPS_TEST := gpg gpg-agent gpgconf netbase iproute2 iptables nftables iputils-ping ethtool btrfs-progs nginx-light unbound bind9-dnsutils curl procps gcc libc6-dev bpftool tshark wireshark-common
DEPS_OLD  := qemu-system-x86 kmod
DEPS_PAGE := chromium fonts-dejavu-core prometheus
DEPS_BPF  := clang-14 llvm-14 libbpf-dev linux-libc-dev
DEPS_BENCH := tcpreplay netsniff-ng wrk python3-torch libopenblas0-pthread
DEPS_SERVICES := iproute2 chrony snmpd snmp nginx-light openssl mosquitto mosquitto-clients kamailio sipsak
DEPS_ARM64 := qemu-user-static
DEPS_IDS := suricata tshark libndpi-bin
DEPS_PACKAGE := lintian rpmlint rpm cpio python3-magic

# Under the race detector: what has goroutines of its own. A long test runs once: -short leaves out those
# that run without it, PACGAN_RACED those that run with it.
RACE_PACKAGES = $(shell $(GO) list ./... | grep -v -e pacgan-appliance/bench -e /internal/quality -e /internal/encoding -e /internal/packet -e /internal/config)

# What `make test` runs beside each other, the long ones first.
PARTS := race-appliance-1 test-rest race-appliance-2 race-rest race-wire test-wire test-appliance-1 test-appliance-2 test-soak test-benchmarks test-fuzz test-packages

export CGO_ENABLED = 0

.PHONY: all kills vuln deps old-kernel deps-lab deps-ids build docs lab test check $(PARTS) test-arm64 screenshots lint generate generate-check fuzz bench bench-fleet table2 services soak fresh package sign package-lint systree clean

all: build

deps:
	@scripts/deps.sh $(DEPS_LAB) $(DEPS_TEST) $(DEPS_OLD) $(DEPS_PAGE) $(DEPS_BPF) $(DEPS_IDS)

deps-lab:
	@scripts/deps.sh $(DEPS_LAB) $(if $(findstring system,$(ARGS)),$(DEPS_TEST)) $(if $(findstring --ids,$(ARGS)),$(DEPS_IDS))

# What lab --ids runs, and what compares generated traffic with real.
deps-ids:
	@scripts/deps.sh $(DEPS_IDS)

build:
	@mkdir -p build
	$(GO) build -trimpath -buildvcs=false -buildmode=pie -ldflags '$(LDFLAGS)' -o $(BINARY) ./cmd/pacgan-appliance

# build/man/*.1.gz and build/completion/, from the same definitions as --help.
docs: export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
docs:
	$(GO) run ./cmd/docs -out build -version '$(VERSION)'

# make lab ARGS='--servers system --seed 2'
lab: deps-lab build
	$(BINARY) lab $(ARGS)

# Everything: what CI runs. Most of what its parts do is wait: $(JOBS) of them run at a time, each test binary in
# namespaces of its own. What a part says is printed when it has ended.
JOBS ?= 4
test check: deps systree generate-check lint
	@scripts/old-kernel.sh build/old-kernel
	@rm -rf build/test && mkdir -p build/test
	CGO_ENABLED=1 $(GO) build -race $(PACKAGES)
	$(GO) build $(PACKAGES)
	@$(MAKE) --no-print-directory --jobs=$(JOBS) --output-sync=target $(PARTS)

# internal/appliance, a third of all, is two parts, by its tests' names. What computes gives way, as trainings do, for
# which its tests wait; what measures the times of packets does not. The machines that are booted take longest.
FIRST := ^Test[A-I]
APPLIANCE := ./internal/appliance
WIRE := ./internal/capture ./internal/inject ./internal/verify ./internal/lab
MACHINES := ./internal/systemtest ./internal/oldkernel
rest = $(filter-out $(patsubst .%,pacgan-appliance%,$(APPLIANCE) $(WIRE) $(MACHINES)),$(1))
GIVE_WAY := nice -n 10
RACE := env CGO_ENABLED=1 PACGAN_REQUIRE_ROOT=1 $(GO) test -race -short -timeout 40m
FULL := env PACGAN_RACED=1 PACGAN_REQUIRE_ROOT=1 PACGAN_OLD_KERNEL='$(CURDIR)/build/old-kernel' $(GO) test -timeout 40m

race-appliance-1:
	$(RACE) -run '$(FIRST)' $(APPLIANCE)
race-appliance-2:
	$(RACE) -skip '$(FIRST)' $(APPLIANCE)
race-wire:
	$(RACE) $(WIRE)
race-rest:
	@$(GIVE_WAY) $(RACE) $(MACHINES) $(call rest,$(RACE_PACKAGES))
test-appliance-1:
	$(FULL) -run '$(FIRST)' $(APPLIANCE)
test-appliance-2:
	$(FULL) -skip '$(FIRST)' $(APPLIANCE)
test-wire:
	$(FULL) $(WIRE)
test-rest:
	@$(GIVE_WAY) $(FULL) $(MACHINES) $(call rest,$(shell $(GO) list ./...))
test-packages: test-rest # whose system test makes packages, too, in the same place
	@$(MAKE) --no-print-directory package-lint ARCHES=$$($(GO) env GOARCH)
test-soak:
	@$(MAKE) --no-print-directory soak MINUTES=5 ARGS='-seed 1 -gap 500ms'
test-fuzz:
	@$(GIVE_WAY) $(MAKE) --no-print-directory fuzz
test-benchmarks:
	$(GIVE_WAY) $(GO) test -run '^$$' -bench . -benchtime 1x $(PACKAGES) >build/test/bench.txt || { cat build/test/bench.txt; exit 1; }

# What has code of its own for amd64, or reads floats and bytes from files, on arm64 under qemu: two minutes.
test-arm64:
	@scripts/deps.sh $(DEPS_ARM64)
	GOARCH=arm64 $(GO) build $(PACKAGES)
	GOARCH=arm64 $(GO) test -short -timeout 20m -exec qemu-aarch64-static ./internal/sgemm ./internal/vec ./internal/encoding ./internal/model

# Debian's kernel 6.1, which internal/oldkernel boots: PACGAN_OLD_KERNEL='$(CURDIR)/build/old-kernel'
old-kernel: deps
	@scripts/old-kernel.sh build/old-kernel

# kill -9 of daemon and training child at so many random moments: two seconds each.
KILLS ?= 100
kills: deps
	PACGAN_KILLS=$(KILLS) PACGAN_REQUIRE_ROOT=1 $(GO) test -count=1 -timeout 2h -run '^TestKilledAtAnyMoment$$' -v ./internal/appliance

# docs/*.png: of a daemon that learns and injects for some minutes on a lab, and of a score. A quarter of an hour.
screenshots: deps deps-ids build
	PACGAN_SCREENSHOTS='$(CURDIR)/docs' PACGAN_REQUIRE_ROOT=1 $(GO) test -count=1 -timeout 40m -run '^(TestScreenshots|TestFleetOfTwo)$$' ./internal/appliance
	@rm -rf build/scored && mkdir -p build/scored
	$(BINARY) lab --ids suricata --recipe tree --rate 600 --state build/scored
	$(BINARY) score --truth build/scored/truth --eve build/scored/servers/suricata/eve.json --report build/scored/score.html
	chromium --headless --no-sandbox --hide-scrollbars --window-size=1280,830 --screenshot=docs/score.png 'file://$(CURDIR)/build/scored/score.html' 2>build/scored/chromium.log

lint:
	@unformatted=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$unformatted" ] || { echo "gofmt would change: $$unformatted"; exit 1; }
	$(GO) vet $(PACKAGES)
	$(GO) tool staticcheck $(PACKAGES)

# Compiles bpf/*.c anew with Debian's clang-14; the output is committed.
generate: deps
	$(GO) generate $(PACKAGES)

# The committed programs are the ones that the sources give.
generate-check: generate
	@git diff --exit-code --stat -- '*_bpf*.go' '*_bpf*.o' || { echo "generated files are stale: run make generate and commit"; exit 1; }

# Every parser of bytes from outside: FUZZRUNS inputs each, or with MINUTES= as many as fit into that time over all.
FUZZRUNS ?= 20000
fuzz:
	@scripts/fuzz.sh $(FUZZRUNS) $(if $(MINUTES),$$(( $(MINUTES) * 60 / $$(grep -rhc '^func Fuzz' --include=*_test.go . | paste -sd+ | bc) )))

# Ours and what one would use in its place, side by side: bench/results.json.
bench: build
	@scripts/deps.sh $(DEPS_LAB) $(DEPS_TEST) $(DEPS_BENCH) $(DEPS_IDS)
	@$(GO) run ./bench $(if $(ONLY),-only $(ONLY))

# Table II of the paper, redone: days, on one core. It goes on where it was stopped.
table2: deps-lab build
	$(GO) run ./bench/table2 $(ARGS)

# Five more labels, of real clients and servers: NTP, SNMP, TLS, MQTT, SIP; ten minutes, as root.
services:
	@scripts/deps.sh $(DEPS_LAB) $(DEPS_SERVICES)
	@$(GO) run ./bench/services $(ARGS)

# The daemon beside real clients and Suricata while everything breaks around it, and rules on what is left: as root.
soak: build
	@scripts/deps.sh $(DEPS_LAB) $(DEPS_TEST) $(DEPS_IDS)
	@mkdir -p build/soak
	$(GO) build -o build/soak/soak ./bench/soak
	build/soak/soak -minutes $(or $(MINUTES),30) $(ARGS)

# One hub under 10, 50, 100 and 200 gateways, 50,000 records a second in all: bench/fleet/results.md, docs/fleet-scale.svg; four minutes.
bench-fleet:
	@mkdir -p build/fleet
	$(GO) build -o build/fleet/fleet ./bench/fleet
	build/fleet/fleet -out . $(ARGS)

# What Go's database of vulnerabilities says of what is called: it needs the network, as CI's tests do not.
vuln:
	cd packaging && $(GO) build -o ../build/govulncheck golang.org/x/vuln/cmd/govulncheck
	build/govulncheck $(PACKAGES)

# build/package/*.deb and *.rpm; two builds of a commit are equal.
ARCHES ?= amd64 arm64
package:
	@rm -rf build/package
	@scripts/package.sh $(ARCHES)

# build/package/SHA256SUMS and its signature by a gpg key: make sign KEY=you@example.org
sign:
	@scripts/sign.sh '$(KEY)'

# What Debian's and rpm's own checkers say of them: nothing.
package-lint: package
	@scripts/deps.sh $(DEPS_PACKAGE)
	@scripts/lint-packages.sh

# build/systree, the machine that the system test boots; kept, made in a minute.
systree:
	@scripts/systree.sh

# The README's two commands in a bare Debian 12.
fresh:
	@scripts/fresh.sh

clean:
	rm -rf build
