# SPDX-License-Identifier: Apache-2.0
#
# The guest kernel: build/guest-kernel/{vmlinux,version,config}. build.sh decides by the hash of its
# inputs whether there is anything to do, so it is asked each time.

KERNEL := build/guest-kernel
KERNEL_BENCH := build/bench/kernel

all: kernel
kernel: $(KERNEL)/vmlinux

$(KERNEL)/vmlinux: kernel-up-to-date ;

kernel-up-to-date:
	$(Q)guest-kernel/build.sh $(KERNEL)

# Two builds from nothing, compared.
check-kernel-reproducible:
	$(Q)guest-kernel/check-reproducible

# Instructions to PID 1, counted by QEMU.
bench-kernel: $(KERNEL)/vmlinux $(KERNEL_BENCH)/kernel_image $(KERNEL_BENCH)/insn_count.so \
		$(KERNEL_BENCH)/reset.bin $(KERNEL_BENCH)/initrd
	$(Q)tests/bench/kernel $(KERNEL)/vmlinux $(KERNEL_BENCH)

$(KERNEL_BENCH)/kernel_image: $(O)/tests/bench/kernel_image.o $(B)/lib/libfirmware.a \
		$(B)/lib/libcommon.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(LDFLAGS) -o $@ $^ -lfdt -lcrypto -ljson-c

$(KERNEL_BENCH)/insn_count.so: tests/bench/insn_count.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) -fPIC -shared -o $@ $<

$(KERNEL_BENCH)/reset.bin: tests/bench/reset.S
	@mkdir -p $(@D)
	$(Q)$(CC) -c -o $@.o $<
	$(Q)objcopy -O binary -j .text $@.o $@

# An initrd of one file: the least that can be PID 1.
$(KERNEL_BENCH)/initrd: tests/bench/init.S tests/bench/mkinitrd
	@mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -static -no-pie -Wl,-z,noseparate-code -Wl,-n -s -o $@.init $<
	$(Q)tests/bench/mkinitrd $@.init >$@.new
	$(Q)mv $@.new $@

.PHONY: kernel kernel-up-to-date check-kernel-reproducible bench-kernel
