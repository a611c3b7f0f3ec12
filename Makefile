# SPDX-License-Identifier: Apache-2.0
#
# tripod. One non-recursive Makefile; every room adds its part in rules.mk.
#
#   make            build everything
#   sudo make demo  install what is missing, build, run real images in microVMs
#   sudo make check install what is missing, build, run all tests
#   make deps       only install what is missing (needs root then)
#   make check-unit, check-e2e, check-fuzz
#                   one suite, nothing installed; T="NAME..." picks tests
#   make lint       clang-format, clang-tidy, cppcheck, shellcheck, both compilers
#   make bench      measure, beside peers
#   make install    PREFIX, DESTDIR
#
# SAN=1 builds with ASan and UBSan into build/san; guest kernel, initrd and images stay in build.
# V=1 shows the commands. Nothing here asks for a compiler or a library before a recipe runs, so
# that "make deps" works on a machine that has neither.

VERSION	:= 0.1.0

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --no-print-directory
SHELL	:= /bin/bash

SAN	?= 0
V	?= 0
PREFIX	?= /usr/local
Q	:= $(if $(filter 1,$(V)),,@)

# B: what a variant builds. build: what all variants share.
B.0	:= build
B.1	:= build/san
B.fuzz	:= build/fuzz
B	:= $(or $(B.$(SAN)),$(error SAN=$(SAN): expected 0 or 1))
O	:= $(B)/obj

ifeq ($(origin CC),default)
CC	:= $(if $(filter fuzz,$(SAN)),clang,gcc)
endif
AR	:= ar

CFLAGS	?= -O2 -g
override CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DTRIPOD_VERSION='"$(VERSION)"'
override CFLAGS += -std=gnu17 -fPIE -pthread -fno-strict-aliasing
override CFLAGS += -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
override CFLAGS += -Wformat=2 -Wundef -Wpointer-arith
override LDFLAGS += -pie -pthread

SAN_FLAGS.0 :=
SAN_FLAGS.1 := -fsanitize=address,undefined -fno-sanitize-recover=all
SAN_FLAGS.fuzz := -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
ifeq ($(SAN),0)
override CFLAGS += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong
override LDFLAGS += -Wl,-z,relro,-z,now
else
override CFLAGS += $(SAN_FLAGS.$(SAN)) -fno-omit-frame-pointer
override LDFLAGS += $(SAN_FLAGS.$(SAN))
endif

# The objects of a room: every .c below it but programs (main.c).
room_objs = $(patsubst %.c,$(O)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c $(1)/*/*.c)))

# A room's library. $(call room_library,common)
define room_library
ROOM_LIBS += $(B)/lib/lib$(1).a
libs: $(B)/lib/lib$(1).a
$(B)/lib/lib$(1).a: $(call room_objs,$(1))
	$(Q)mkdir -p $$(@D) && rm -f $$@
	$(Q)$(AR) rcs $$@ $$^
endef

# libs and progs: everything in C for the host, without guest kernel, initrd and images.
all: libs progs
libs:
progs:

ROOMS := common firmware vmm stage0 initrd guest-kernel images tests docs dist
include $(wildcard $(ROOMS:%=%/rules.mk))
include tests/lint.mk

$(O)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(O) -name '*.d' 2>/dev/null)

# The only place that installs anything. Fast when nothing is missing.
deps:
	$(Q)./deps.sh

# For the commands that do everything: install, build with all processors (unless -j says
# otherwise) and, under sudo, give what was built to the tree's owner.
ALL_CPUS = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))
ifneq ($(SUDO_UID),)
give_back = r=$$?; [ ! -d build ] || chown -hR --reference=Makefile build; exit $$r
else
give_back = exit $$?
endif

demo check bench: deps
	$(Q)$(MAKE) $(ALL_CPUS) $@-built; $(give_back)

clean:
	$(Q)rm -rf build

.PHONY: all libs progs deps clean demo check bench
