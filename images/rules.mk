# SPDX-License-Identifier: Apache-2.0
#
# Images: build/images/NAME.aci, one for each recipe images/NAME.sh with its packages in
# images/NAME.packages, and the default stage1, which carries the VMM of this variant.

DEBS	:= build/debs
IMAGES	:= $(patsubst images/%.packages,build/images/%.aci,$(wildcard images/*.packages))

all: images
images: $(IMAGES)

$(IMAGES): build/images/%.aci: images/%.sh images/lib.sh images/build-aci.sh $(DEBS)/%.list
	@mkdir -p $(@D)
	@echo "  ACI     $@"
	$(Q)images/$*.sh $(DEBS) $@

$(DEBS)/%.list: images/%.packages
	$(Q)echo "images: $@ is missing or older than $<: run 'make deps'" >&2; exit 1

.PHONY: images
