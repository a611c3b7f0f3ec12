# SPDX-License-Identifier: Apache-2.0
#
# tripod. One non-recursive Makefile; every room adds its part in rules.mk.
#
#   make            build everything
#   sudo make demo  install what is missing, build, run real images in microVMs
#   sudo make check install what is missing, build, run all tests
#   make lint       clang-format, clang-tidy, cppcheck, both compilers
#   make bench      measure, beside peers
#   make install    PREFIX, DESTDIR
#
# SAN=1 builds with ASan and UBSan into build/san. V=1 shows the commands.

VERSION	:= 0.1.0

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

SAN	?= 0
V	?= 0
PREFIX	?= /usr/local
Q	:= $(if $(filter 1,$(V)),,@)

ifeq ($(origin CC),default)
CC	:= gcc
endif
AR	:= ar

B	:= $(if $(filter 1,$(SAN)),build/san,build)
O	:= $(B)/obj

CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DTRIPOD_VERSION='"$(VERSION)"'
CFLAGS	?= -O2 -g
CFLAGS	+= -std=gnu17 -fPIE -pthread -fno-strict-aliasing
CFLAGS	+= -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla
CFLAGS	+= -Wformat=2 -Wundef -Wpointer-arith
LDFLAGS	+= -pie -pthread

ifeq ($(SAN),1)
CFLAGS	+= -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS	+= -fsanitize=address,undefined
else
CFLAGS	+= -D_FORTIFY_SOURCE=2 -fstack-protector-strong
LDFLAGS	+= -Wl,-z,relro,-z,now
endif

# The objects of a room: every .c below it but programs (main.c).
room_objs = $(patsubst %.c,$(O)/%.o,$(filter-out %/main.c,$(wildcard $(1)/*.c $(1)/*/*.c)))

# A room's library. $(call room_library,common)
define room_library
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

$(O)/%.o: %.c
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

-include $(shell find $(O) -name '*.d' 2>/dev/null)

# The only place that installs anything. Fast when nothing is missing.
deps:
	$(Q)./deps.sh

clean:
	$(Q)rm -rf build

.PHONY: all libs progs deps clean demo check lint bench install
