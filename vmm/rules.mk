# SPDX-License-Identifier: Apache-2.0
#
# tripod-vmm goes into the stage1 image, whose host may have no libraries of ours: everything in it
# is static, but for a sanitizer build, which can not be.
$(eval $(call room_library,vmm))

VMM	:= $(B)/libexec/tripod-vmm
VMM_LIBS := -l:libfdt.a -l:libjson-c.a -l:libcrypto.a -l:libseccomp.a
ifeq ($(SAN),1)
VMM_LDFLAGS := $(LDFLAGS)
else
VMM_LDFLAGS := $(filter-out -pie,$(LDFLAGS)) -static-pie
endif

$(VMM): $(O)/vmm/main.o $(B)/lib/libvmm.a $(B)/lib/libfirmware.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) $(CFLAGS) $(VMM_LDFLAGS) -o $@ $^ $(VMM_LIBS)

progs: $(VMM)
