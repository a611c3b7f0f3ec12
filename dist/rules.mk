# SPDX-License-Identifier: Apache-2.0
#
# make install: tripod, its stage1 image where tripod looks for it, and completion for bash.

bindir	?= $(PREFIX)/bin
libdir	?= $(PREFIX)/lib
datadir	?= $(PREFIX)/share

install: all
	$(Q)install -D -m 755 $(B)/bin/tripod $(DESTDIR)$(bindir)/tripod
	$(Q)install -D -m 644 $(STAGE1) $(DESTDIR)$(libdir)/tripod/stage1-kvm.aci
	$(Q)mkdir -p $(DESTDIR)$(datadir)/bash-completion/completions
	$(Q)$(B)/bin/tripod completion bash >$(DESTDIR)$(datadir)/bash-completion/completions/tripod

.PHONY: install

demo-built: all
	$(Q)dist/demo.sh

.PHONY: demo-built
