# SPDX-License-Identifier: Apache-2.0
#
# Three suites, each a wildcard: adding a file is enough.
#
#   tests/unit/test_NAME.c  a cmocka program, linked with every room's library and with the other
#                           .c files of tests/unit
#   tests/e2e/NAME.t        a POSIX sh script that speaks TAP (tap.sh has the words), run by prove
#   tests/guest/NAME.c      a static program for e2e tests to run in a guest, with what is in
#                           tests/guest/NAME/
#   tests/fuzz/fuzz_NAME.c  LLVMFuzzerTestOneInput; seeds in tests/fuzz/corpus/NAME/
#
# tests/run records what a suite printed, tests/sum counts all of it and decides.

RESULTS	:= $(B)/tests/results
# seconds each fuzz target runs
FUZZ_SECONDS ?= 3
T	?=

# what the rooms' libraries need, wherever it is used
TEST_LIBS := -larchive -lcurl -ljson-c -lcrypto -lseccomp -lfdt -lz -lbz2 -llzma -lzstd -ltss2-mu \
	-ltss2-esys -ltss2-tctildr -l:libext2fs.a -l:libcom_err.a

UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/tests/unit/%,$(wildcard tests/unit/test_*.c))
UNIT_HELPERS := $(patsubst %.c,$(O)/%.o,$(filter-out tests/unit/test_%,$(wildcard tests/unit/*.c)))
FUZZERS	:= $(patsubst tests/fuzz/%.c,build/fuzz/bin/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_HELPERS := $(patsubst %.c,$(O)/%.o,$(filter-out tests/fuzz/fuzz_%,$(wildcard tests/fuzz/*.c)))
E2E_TESTS := $(wildcard tests/e2e/*.t)

# Of the tests $(1), those named by T (without test_, fuzz_ and suffix), or all.
picked = $(if $(T),$(foreach t,$(T),$(filter %/$(t) %/$(t).t %/test_$(t) %/fuzz_$(t),$(1))),$(1))

tests: $(UNIT_TESTS)

# for lint: what a compiler says of them
fuzz-objects: $(patsubst %.c,$(O)/%.o,$(wildcard tests/fuzz/*.c))

$(UNIT_TESTS): $(B)/tests/unit/%: $(O)/tests/unit/%.o $(UNIT_HELPERS) $(ROOM_LIBS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) \
		-Wl,--end-group -lcmocka $(TEST_LIBS)

ifeq ($(SAN),fuzz)
fuzzers: $(FUZZERS)

$(FUZZERS): build/fuzz/bin/%: $(O)/tests/fuzz/%.o $(FUZZ_HELPERS) $(ROOM_LIBS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(LDFLAGS) -fsanitize=fuzzer -o $@ $(filter %.o,$^) -Wl,--start-group \
		$(filter %.a,$^) -Wl,--end-group $(TEST_LIBS)
else
# The rooms once more, with clang's coverage for libFuzzer. Without clang each target is skipped.
fuzzers:
	$(Q)if command -v clang >/dev/null; then $(MAKE) SAN=fuzz fuzzers; fi
endif

RUN_UNIT = tests/run unit $(RESULTS)/unit $(call picked,$(UNIT_TESTS))
RUN_E2E	= BUILD=$(B) tests/run e2e $(RESULTS)/e2e $(call picked,$(E2E_TESTS))
RUN_FUZZ = FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run fuzz $(RESULTS)/fuzz $(call picked,$(FUZZERS))

check-unit: $(call picked,$(UNIT_TESTS))
	$(Q)$(RUN_UNIT)
	$(Q)tests/sum $(RESULTS)/unit

GUEST_PROGRAMS := $(patsubst %.c,$(B)/%,$(wildcard tests/guest/*.c))

guest-programs: $(GUEST_PROGRAMS)

# with init's compiler and flags
$(GUEST_PROGRAMS): $(B)/%: $(O)/initrd-guest/%.o
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(INIT_CC) $(INIT_LDFLAGS) -o $@ $^

$(foreach p,$(GUEST_PROGRAMS),$(eval $(p): \
	$(patsubst %.c,$(O)/initrd-guest/%.o,$(wildcard tests/guest/$(notdir $(p))/*.c))))

$(O)/initrd-guest/tests/guest/%.o: tests/guest/%.c
	@mkdir -p $(@D)
	@echo "  CC      $< (guest)"
	$(Q)$(INIT_CC) -I. -D_GNU_SOURCE $(INIT_CFLAGS) -MMD -MP -c -o $@ $<

check-e2e: all guest-programs
	$(Q)$(RUN_E2E)
	$(Q)tests/sum $(RESULTS)/e2e

check-fuzz: fuzzers
	$(Q)$(RUN_FUZZ)
	$(Q)tests/sum $(RESULTS)/fuzz

# All suites. The fuzz targets have sanitizers of their own and run in the plain variant only.
check-built: all guest-programs tests $(if $(filter 0,$(SAN)),fuzzers)
	$(Q)rm -rf $(RESULTS)
	$(Q)$(RUN_UNIT)
ifeq ($(SAN),0)
	$(Q)$(RUN_FUZZ)
endif
	$(Q)$(RUN_E2E)
	$(Q)tests/sum $(RESULTS)/*

include tests/hostile/rules.mk
include tests/faults/rules.mk

# One after the other: a measurement wants the machine for itself.
bench-built: all $(B)/tests/guest/net_load $(KERNEL_BENCH)/kernel_image $(KERNEL_BENCH)/reset.bin
	$(Q)tests/bench/vmm
	$(Q)tests/bench/net
	$(Q)tests/bench/pull
	$(Q)tests/bench/pod
	$(Q)$(if $(KERNEL_BENCH),$(MAKE) bench-kernel)

.PHONY: bench-built guest-programs tests fuzz-objects fuzzers check-unit check-e2e check-fuzz check-built
