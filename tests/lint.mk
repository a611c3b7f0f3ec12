# SPDX-License-Identifier: Apache-2.0
#
# make lint: format, both compilers, clang-tidy, cppcheck, shellcheck. Each source file has its own
# stamp in build/lint, so a second run looks at what changed only.

LINT	:= build/lint
LINT_C	:= $(sort $(wildcard $(foreach r,$(ROOMS),$(r)/*.c $(r)/*/*.c)))
LINT_H	:= $(sort $(wildcard $(foreach r,$(ROOMS),$(r)/*.h $(r)/*/*.h)))
LINT_SH	:= $(sort $(wildcard deps.sh .ci/run $(foreach r,$(ROOMS),$(r)/*.sh $(r)/*.t $(r)/*/*.sh \
	$(r)/*/*.t)) $(shell grep -lrsE -m1 '^\#!/bin/(ba)?sh' $(wildcard $(ROOMS))))

lint: lint-format lint-shell lint-clang lint-tidy lint-cppcheck

lint-format:
	@echo "  FORMAT"
	$(Q)clang-format --dry-run -Werror $(LINT_C) $(LINT_H)

lint-shell:
	@echo "  SHELLCHECK"
	$(Q)shellcheck -x $(LINT_SH)

# Everything once more with clang: its warnings are not gcc's.
lint-clang:
	$(Q)$(MAKE) B=build/clang CC=clang libs progs tests fuzz-objects

# But for what redefines functions of libc's: it can not be compiled as the rest is.
lint-tidy: $(patsubst %.c,$(LINT)/%.tidy,$(filter-out tests/faults/%,$(LINT_C)))

# The object stands for the headers: when one of them changes, so does the object.
$(LINT)/%.tidy: %.c $(O)/%.o .clang-tidy tests/.clang-tidy
	@mkdir -p $(@D)
	@echo "  TIDY    $<"
	$(Q)clang-tidy --quiet $< -- $(CPPFLAGS) $(CFLAGS) 2>$@.err >$@.out || \
		{ cat $@.out $@.err; exit 1; }
	$(Q)touch $@

lint-cppcheck:
	@echo "  CPPCHECK"
	$(Q)mkdir -p $(LINT)/cppcheck
	$(Q)cppcheck --quiet --error-exitcode=1 --std=c11 --language=c -I. -D_GNU_SOURCE \
		--enable=warning,performance,portability --inline-suppr \
		--suppressions-list=tests/cppcheck.suppress --cppcheck-build-dir=$(LINT)/cppcheck \
		--library=posix --library=gnu --platform=unix64 $(LINT_C)

.PHONY: lint lint-format lint-shell lint-clang lint-tidy lint-cppcheck
