# SPDX-License-Identifier: Apache-2.0
#
# The hostile guest: code for a machine without anything, so none of the host's flags apply. General
# registers only, and no instruction newer than x86-64's first: KVM may have to emulate each one.

HOSTILE	:= build/tests/hostile/guest.elf
HOSTILE_CFLAGS := -std=gnu17 -O2 -ffreestanding -fno-pie -fno-pic -mcmodel=small -mno-red-zone \
	-mgeneral-regs-only -march=x86-64 -fcf-protection=none -fno-stack-protector \
	-fno-asynchronous-unwind-tables -fno-strict-aliasing -fno-builtin -fno-tree-loop-distribute-patterns \
	-Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -I.
HOSTILE_OBJS := $(patsubst %,build/obj/hostile/%.o,$(basename $(notdir $(wildcard tests/hostile/*.[cS]))))

build/obj/hostile/%.o: tests/hostile/%.c tests/hostile/guest.h
	@mkdir -p $(@D)
	@echo "  CC      $<"
	$(Q)gcc $(HOSTILE_CFLAGS) -c -o $@ $<

build/obj/hostile/%.o: tests/hostile/%.S
	@mkdir -p $(@D)
	@echo "  AS      $<"
	$(Q)gcc $(HOSTILE_CFLAGS) -c -o $@ $<

$(HOSTILE): $(HOSTILE_OBJS) tests/hostile/guest.ld
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)gcc -nostdlib -static -no-pie -Wl,--build-id=none,-z,max-page-size=4096,-z,noexecstack \
		-T tests/hostile/guest.ld -o $@ $(HOSTILE_OBJS)

check-e2e check-built: $(HOSTILE)
