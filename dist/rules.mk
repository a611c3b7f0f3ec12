# SPDX-License-Identifier: Apache-2.0
#
# make install: tripod, its stage1 image where tripod looks for it, completion for bash, units.

bindir	?= $(PREFIX)/bin
libdir	?= $(PREFIX)/lib
datadir	?= $(PREFIX)/share
unitdir	?= $(PREFIX)/lib/systemd/system
UNITS	:= $(wildcard dist/systemd/*)

install: all
	$(Q)install -D -m 755 $(B)/bin/tripod $(DESTDIR)$(bindir)/tripod
	$(Q)install -D -m 644 $(STAGE1) $(DESTDIR)$(libdir)/tripod/stage1-kvm.aci
	$(Q)mkdir -p $(DESTDIR)$(datadir)/bash-completion/completions
	$(Q)$(B)/bin/tripod completion bash >$(DESTDIR)$(datadir)/bash-completion/completions/tripod
	$(Q)mkdir -p $(DESTDIR)$(unitdir)
	$(Q)for unit in $(UNITS); do \
		sed 's|/usr/local/bin/|$(bindir)/|' $$unit >$(DESTDIR)$(unitdir)/$${unit##*/} || \
			exit 1; done

.PHONY: install

demo-built: all
	$(Q)dist/demo.sh

.PHONY: demo-built
