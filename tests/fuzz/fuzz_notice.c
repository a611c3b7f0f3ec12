/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "vmm/notice.h"

/* What an app says of itself, in two messages. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct notice notice = {.ready = false};

	notice_take(&notice, data, size / 2);
	notice_take(&notice, data + size / 2, size - size / 2);
	if (strlen(notice.status) > NOTICE_STATUS_MAX || strchr(notice.status, '\n'))
		abort();
	return 0;
}
