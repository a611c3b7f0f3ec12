# SPDX-License-Identifier: Apache-2.0
#
# The guest kernel: build/guest-kernel/{vmlinux,version,config}. build.sh decides by the hash of its
# inputs whether there is anything to do, so it is asked each time.

KERNEL := build/guest-kernel

all: kernel
kernel: $(KERNEL)/vmlinux

$(KERNEL)/vmlinux: kernel-up-to-date ;

kernel-up-to-date:
	$(Q)guest-kernel/build.sh $(KERNEL)

# Two builds from nothing, compared.
check-kernel-reproducible:
	$(Q)guest-kernel/check-reproducible

.PHONY: kernel kernel-up-to-date check-kernel-reproducible
