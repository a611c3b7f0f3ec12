# SPDX-License-Identifier: Apache-2.0
#
# What makes calls fail, for tests/e2e/faults.t. It defines functions of libc's, whose headers promise
# of their arguments what nothing here relies on.

FAULTS	:= build/tests/faults.so

$(FAULTS): tests/faults/fault.c
	@mkdir -p $(@D)
	@echo "  LD      $@"
	$(Q)$(CC) -std=gnu17 -O2 -fPIC -shared -fvisibility=hidden -D_GNU_SOURCE -Wall -Wextra \
		-Werror -o $@ $< -ldl

check-e2e check-built: $(FAULTS)
