# make             build the programs          make check    every test, under sanitizers
# make demo        the main job, on loopback   make sim SEED=7  one deterministic world
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
LDLIBS  := -lfyaml -luv -lcares -lssl -lcrypto -lidn2 -lxxhash
Q       := $(if $(V),,@)
SHELL   := /bin/bash -o pipefail

BUILD_PACKAGES := gcc make pkg-config libc6-dev libuv1-dev libc-ares-dev libssl-dev libidn2-dev \
                  libfyaml-dev libxxhash-dev
CHECK_PACKAGES := $(BUILD_PACKAGES) libcmocka-dev clang-format-14 python3 mandoc openssl

mains   := mta/main.c mta/mailrace.c
sources := $(wildcard mta/*.[ch] mta/*/*.[ch] dns/*.[ch] lists/*.[ch])
benches := $(wildcard bench/*.[ch])
tests   := $(wildcard tests/*/*.[ch])
core    := $(filter-out $(mains),$(filter %.c,$(sources)))
obj      = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
link     = @echo "  LD    $@"; $(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

programs := $(BUILD)/mailraced $(BUILD)/mailrace $(BUILD)/mailrace-bench

all: $(programs)
$(BUILD)/mailraced: $(call obj,mta/main.c) $(BUILD)/libmta.a
	$(Q)$(link)
$(BUILD)/mailrace: $(call obj,mta/mailrace.c) $(BUILD)/libmta.a
	$(Q)$(link)
$(BUILD)/mailrace-bench: $(call obj,$(filter %.c,$(benches))) $(BUILD)/libmta.a
	$(Q)$(link)
# The doors open at link time: sim_net.o stands first, so net_uv.o is never taken from the archive.
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

layers: ; $(Q)awk -f tests/tool/layers.awk docs/layers.txt $(sources) $(benches)
fmt: ; $(Q)clang-format-14 -i $(sources) $(benches) $(tests)
fmt-check: ; $(Q)clang-format-14 --dry-run -Werror $(sources) $(benches) $(tests)
# One process a file: clang-tidy 14 reports a va_list that is none when it is given several.
lint:
	$(Q)printf '%s\n' $(filter %.c,$(sources) $(benches)) | \
	  xargs -I{} -P2 clang-tidy-14 --quiet {} -- -std=c11 -D_GNU_SOURCE -DMAILRACE_VERSION='"$(VERSION)"' -I.
clean: ; rm -rf build

.PHONY: all layers fmt fmt-check lint clean
.SECONDARY:
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
