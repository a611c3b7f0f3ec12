# SPDX-License-Identifier: Apache-2.0
#
# The tripod command.
$(eval $(call room_library,stage0))

STAGE0_LIBS := -larchive -lcurl -ljson-c -lcrypto -lseccomp -lz -lbz2 -llzma -lzstd \
	-ltss2-mu -ltss2-esys -ltss2-tctildr -l:libext2fs.a -l:libcom_err.a

progs: $(B)/bin/tripod
$(B)/bin/tripod: $(O)/stage0/main.o $(B)/lib/libstage0.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(STAGE0_LIBS)
