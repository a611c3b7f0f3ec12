# SPDX-License-Identifier: Apache-2.0
#
# The options sections of the commands' pages come from the option tables of stage0. docs-options
# writes them anew; tests/e2e/docs.t says when that was forgotten.

progs: $(B)/libexec/tripod-doc-options
$(B)/libexec/tripod-doc-options: $(O)/docs/main.o $(B)/lib/libstage0.a $(B)/lib/libcommon.a
	@mkdir -p $(@D)
	@echo "  LINK    $@"
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(STAGE0_LIBS)

docs-options: $(B)/libexec/tripod-doc-options
	$(Q)export RKT_EXPERIMENT_APP=true RKT_EXPERIMENT_ATTACH=true; for page in docs/tripod.md docs/tripod-*.md; do \
		docs/fill-options $< $$page >$$page.new && mv $$page.new $$page || exit 1; done

.PHONY: docs-options
