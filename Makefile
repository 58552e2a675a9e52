# make             build the programs          make check    every test, under sanitizers
# make demo        the main job, on loopback   make sim SEED=7  one deterministic world
# make bench       against other mail servers   make bench-quick    the same in two minutes
# make install DESTDIR= PREFIX=                make V=1      show the commands
BUILD   ?= build/plain
PREFIX  ?= /usr/local
OPT     ?= -O2 -g
CC      := $(if $(filter default,$(origin CC)),gcc,$(CC))
WARN    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
           -Werror=format-security -Werror=return-type -Werror=switch -Werror=implicit-function-declaration
HARDEN  ?= -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fPIE
VERSION := 0.1
CFLAGS  := $(OPT) -std=c11 -D_GNU_SOURCE -DMAILRACE_VERSION='"$(VERSION)"' -I. -MMD -MP -pthread $(WARN) $(HARDEN)
LDFLAGS := -pthread -pie -Wl,-z,relro,-z,now
LDLIBS  := -lfyaml -luv -lcares -lssl -lcrypto -lidn2 -lxxhash -lgsasl -lcrypt -lsqlite3
Q       := $(if $(V),,@)
SHELL   := /bin/bash -o pipefail

BUILD_PACKAGES := gcc make pkg-config libc6-dev libuv1-dev libc-ares-dev libssl-dev libidn2-dev \
                  libfyaml-dev libxxhash-dev libgsasl-dev libcrypt-dev libsqlite3-dev
CHECK_PACKAGES := $(BUILD_PACKAGES) libcmocka-dev clang-format-14 git python3 python3-flufl.bounce python3-dkim mandoc openssl swaks libnet-ssleay-perl gsasl

mains   := mta/main.c mta/mailrace.c
# How a loop waits (mta/sys/poll.h): epoll on Linux, libuv elsewhere; POLL=uv chooses.
POLL    ?= $(if $(filter Linux,$(shell uname -s)),epoll_uv,uv)
sources := $(wildcard mta/*.[ch] mta/*/*.[ch] dns/*.[ch] lists/*.[ch])
benches := $(wildcard bench/*.[ch])
tests   := $(wildcard tests/*/*.[ch])
core    := $(filter-out $(mains) $(filter-out mta/sys/poll_$(POLL).c,$(wildcard mta/sys/poll_*.c)),$(filter %.c,$(sources)))
obj      = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
link     = @echo "  LD    $@"; $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)

fuzz_names   := $(patsubst tests/fuzz/%_fuzz.c,%,$(wildcard tests/fuzz/*_fuzz.c))
fuzz_replays := $(patsubst %,$(BUILD)/%_replay,$(fuzz_names))
programs := $(BUILD)/mailraced $(BUILD)/mailrace $(BUILD)/mailrace-bench

all: $(programs)
$(BUILD)/mailraced: $(call obj,mta/main.c) $(BUILD)/libmta.a
	$(Q)$(link)
$(BUILD)/mailrace: $(call obj,mta/mailrace.c) $(BUILD)/libmta.a
	$(Q)$(link)
$(BUILD)/mailrace-bench: $(call obj,$(filter %.c,$(benches))) $(BUILD)/libmta.a
	$(Q)$(link)
# The doors open at link time: sim_net.o stands first, so net_conn.o is never taken from the archive.
$(BUILD)/sim: $(call obj,$(wildcard tests/sim/*.c)) $(BUILD)/libmta.a
	$(Q)$(link)
$(BUILD)/libmta.a: $(call obj,$(core))
	@echo "  AR    $@"; rm -f $@; $(AR) rcs $@ $^
$(BUILD)/obj/%.o: %.c
	@echo "  CC    $<"; mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) -c -o $@ $<

# A test program is tests/unit/NAME_test.c or tests/golden/NAME_test.c, linked with the archive.
unit_tests   := $(patsubst tests/unit/%.c,$(BUILD)/%,$(wildcard tests/unit/*_test.c))
golden_tests := $(patsubst tests/golden/%.c,$(BUILD)/%,$(wildcard tests/golden/*_test.c))
$(unit_tests): $(BUILD)/%_test: $(BUILD)/obj/tests/unit/%_test.o $(BUILD)/libmta.a
	$(Q)$(link) -lcmocka
$(golden_tests): $(BUILD)/%_test: $(BUILD)/obj/tests/golden/%_test.o $(BUILD)/libmta.a
	$(Q)$(link) -lcmocka

# Tools for people: make build/plain/load, and its own text says what it measures.
$(BUILD)/load: $(BUILD)/obj/tests/tool/load.o $(BUILD)/libmta.a
	$(Q)$(link)

# Each test program ends with "N passed, N failed"; the last line of all is the sum of these.
SAN   = -O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=all -fsanitize=
ASAN  = BUILD=build/asan OPT="$(SAN)address,undefined" HARDEN=
TSAN  = BUILD=build/tsan OPT="$(SAN)thread" HARDEN=
SEEDS ?= 50
check: check-packages
	$(Q){ $(MAKE) --no-print-directory style && $(MAKE) --no-print-directory $(ASAN) run-tests && \
	  $(MAKE) --no-print-directory $(TSAN) run-thread-tests || echo "0 passed, 1 failed"; } 2>&1 | awk -f tests/tool/sum.awk
style: fmt-check layers tidy man-check
run = for t in $(1); do "$$t" || { echo "$$t exited with $$?"; echo "0 passed, 1 failed"; }; done
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
build-tests: $(programs) $(unit_tests) $(golden_tests) $(fuzz_replays) $(BUILD)/sim
run-tests:
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD) build-tests
	$(Q)$(call run,$(unit_tests) $(golden_tests) $(fuzz_replays))
	$(Q)$(BUILD)/sim --seeds $(SEEDS) || echo "0 passed, 1 failed"
	$(Q)$(MAKE) --no-print-directory BUILD=$(BUILD) run-e2e
# The threads meet in the mailbox: what goes through it runs under the thread sanitizer too.
thread_tests := $(patsubst %,$(BUILD)/%_test,mailbox thread loop crew)
build-thread-tests: $(programs) $(thread_tests)
run-thread-tests:
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=$(BUILD) build-thread-tests
	$(Q)$(call run,$(thread_tests))
	$(Q)BUILD=$(BUILD) PATIENCE=8 PYTHONPATH=bench $(PYTHON) tests/e2e/thread_test.py || echo "0 passed, 1 failed"
PYTHON   ?= /usr/bin/python3
e2e_tests := $(sort $(wildcard tests/e2e/*_test.py)) tests/e2e/internet_selftest.py
run-e2e: $(programs)
	$(Q)for t in $(filter-out tests/e2e/thread_test.py tests/e2e/cost_test.py,$(e2e_tests)); do echo "$$t:"; \
	  BUILD=$(BUILD) PATIENCE=$(PATIENCE) PYTHONPATH=bench $(PYTHON) $$t || true; done; \
	echo "deliver_test.py, one thread for all:"; THREADS=1 BUILD=$(BUILD) PATIENCE=$(PATIENCE) PYTHONPATH=bench $(PYTHON) tests/e2e/deliver_test.py || true
PATIENCE ?= 3
# What a message costs in instructions: of the plain build, under callgrind.
cost: build-packages
	$(Q)tests/tool/packages.sh "count instructions" valgrind python3
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)PYTHONPATH=bench $(PYTHON) tests/e2e/cost_test.py
check-packages: ; $(Q)tests/tool/packages.sh "run the tests" $(CHECK_PACKAGES)
build-packages: ; $(Q)tests/tool/packages.sh "build" $(BUILD_PACKAGES)

demo: build-packages
	$(Q)tests/tool/packages.sh "run the demo" python3
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)PYTHONPATH=bench $(PYTHON) bench/demo.py

# Measures mailrace and every other mail server that is here; see docs/BENCHMARKS.md.
# WORKS= PEERS= ROUNDS= SCALE= choose, INSTALL=1 fetches the peers into build/bench.
bench bench-quick: build-packages
	$(Q)tests/tool/packages.sh "measure" python3 iproute2 openssl
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)QUICK=$(if $(filter bench-quick,$@),1) WORKS="$(WORKS)" PEERS="$(PEERS)" ROUNDS="$(ROUNDS)" SCALE="$(SCALE)" \
	  BUILD=$(BUILD) PYTHONPATH=bench $(PYTHON) bench/run.py

bench-docs: ; $(Q)PYTHONPATH=bench $(PYTHON) bench/docs.py bench-results.json

sim: $(BUILD)/sim
	$(Q)$(BUILD)/sim $(if $(SEED),$(SEED),--seeds $(SEEDS))

# Fuzz targets: make fuzz-NAME [SECONDS=60] looks for new inputs; make check replays the corpora.
SECONDS_EACH ?= 60
$(fuzz_replays): $(BUILD)/%_replay: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(BUILD)/obj/tests/fuzz/replay.o $(BUILD)/libmta.a
	$(Q)$(link)
fuzz-%:
	$(Q)$(MAKE) --no-print-directory BUILD=build/fuzz CC=clang OPT="-O1 -g -fno-sanitize-recover=all -fsanitize=address,undefined,fuzzer-no-link" HARDEN= build/fuzz/$*_fuzz
	$(Q)mkdir -p tests/fuzz/corpus/$* && build/fuzz/$*_fuzz -max_total_time=$(SECONDS_EACH) tests/fuzz/corpus/$*
$(BUILD)/%_fuzz: $(BUILD)/obj/tests/fuzz/%_fuzz.o $(BUILD)/libmta.a
	$(Q)$(CC) $(CFLAGS) -fsanitize=fuzzer $(LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LDLIBS)

$(BUILD)/bounces: $(BUILD)/obj/tests/tool/bounces.o $(BUILD)/libmta.a
	$(Q)$(link)

# The simulated Internet's parts are tested like the product's.
$(filter $(BUILD)/internet_%,$(unit_tests)): $(call obj,$(filter-out bench/main.c,$(filter %.c,$(benches))))

layers: ; $(Q)awk -f tests/tool/layers.awk docs/layers.txt $(sources) $(benches)
tidy: ; $(Q)tests/tool/tidy.sh
man-check: ; $(Q)for page in docs/man/*; do mandoc -Tlint -Wwarning $$page || exit 1; done
fmt: ; $(Q)clang-format-14 -i $(sources) $(benches) $(tests)
fmt-check: ; $(Q)clang-format-14 --dry-run -Werror $(sources) $(benches) $(tests)
# One process a file: clang-tidy 14 reports a va_list that is none when it is given several.
lint:
	$(Q)printf '%s\n' $(filter %.c,$(sources) $(benches)) | \
	  xargs -I{} -P2 clang-tidy-14 --quiet {} -- -std=c11 -D_GNU_SOURCE -DMAILRACE_VERSION='"$(VERSION)"' -I.

install: all
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 $(BUILD)/mailraced $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(BUILD)/mailrace $(BUILD)/mailrace-bench $(DESTDIR)$(PREFIX)/bin/
	install -m 644 docs/man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1/
	install -m 644 docs/man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5/
	install -m 644 docs/man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8/
clean: ; rm -rf build

.PHONY: all cost check style build-tests build-thread-tests run-tests run-thread-tests run-e2e check-packages build-packages demo bench bench-quick bench-docs sim layers tidy \
        man-check fmt fmt-check lint install clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
