# SPDX-License-Identifier: Apache-2.0
#
# build/initrd/initrd: an uncompressed cpio of init and the directories it mounts on. Init is linked
# statically with musl, whose wrapper finds the kernel's headers behind its own. The same sources make
# a library for the host, for the unit tests.
$(eval $(call room_library,initrd))

INITRD	:= $(B)/initrd/initrd
INIT_CC	:= musl-gcc
INIT_OBJS := $(patsubst initrd/%.c,$(O)/initrd-guest/%.o,$(wildcard initrd/*.c))
INIT_CFLAGS := -std=gnu17 -Os -fno-strict-aliasing -fno-pie -fno-stack-protector \
	-fno-asynchronous-unwind-tables -ffunction-sections -fdata-sections \
	-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
	-Wpointer-arith -idirafter /usr/include -idirafter /usr/include/x86_64-linux-gnu
INIT_LDFLAGS := -static -no-pie -s -Wl,--gc-sections -Wl,--build-id=none -Wl,-z,noseparate-code \
	-Wl,-z,norelro

progs: $(INITRD)

$(INITRD): $(B)/initrd/init initrd/mkcpio.sh initrd/mount.h
	@echo "  CPIO    $@"
	$(Q)initrd/mkcpio.sh $< $$(sed -n 's/^#define INIT_DIRS "\(.*\)"/\1/p' initrd/mount.h) >$@

$(B)/initrd/init: $(INIT_OBJS)
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(INIT_CC) $(INIT_LDFLAGS) -o $@ $^

$(O)/initrd-guest/%.o: initrd/%.c
	@mkdir -p $(@D)
	@echo "  CC      $< (guest)"
	$(Q)$(INIT_CC) -I. -D_GNU_SOURCE $(INIT_CFLAGS) -MMD -MP -c -o $@ $<
