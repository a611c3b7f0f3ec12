# SPDX-License-Identifier: Apache-2.0
#
# Images: build/images/NAME.aci, one for each recipe images/NAME.sh with its packages in
# images/NAME.packages, and the default stage1, which carries the VMM of this variant.

DEBS	:= build/debs
IMAGES	:= $(patsubst images/%.packages,build/images/%.aci,$(wildcard images/*.packages))

STAGE1	:= $(B)/bin/stage1-kvm.aci

all: images $(STAGE1)
images: $(IMAGES)

$(IMAGES): build/images/%.aci: images/%.sh images/lib.sh images/build-aci.sh $(DEBS)/%.list
	@mkdir -p $(@D)
	@echo "  ACI     $@"
	$(Q)images/$*.sh $(DEBS) $@

$(DEBS)/%.list: images/%.packages
	$(Q)echo "images: $@ is missing or older than $<: run 'make deps'" >&2; exit 1

# For a sanitizer build the VMM differs; the kernel and init are the same.
$(STAGE1): images/stage1.sh images/lib.sh images/build-aci.sh $(VMM) $(KERNEL)/vmlinux $(INITRD)
	@mkdir -p $(@D)
	@echo "  ACI     $@"
	$(Q)images/stage1.sh $(VERSION) $(VMM) $(KERNEL)/vmlinux $(INITRD) $@

.PHONY: images
