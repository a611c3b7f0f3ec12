/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/notice.h"

#include <string.h>

#include "common/str.h"
#include "common/util.h"

/* A service manager ignores a text that is no UTF-8 and shows one with control characters. */
static void take_status(struct notice *notice, const uint8_t *p, size_t len)
{
	size_t at = 0;

	while (len) {
		size_t n = str_utf8_length((const char *)p, len);
		bool plain = n > 0 && !str_is_control((const char *)p, n);

		if (at + MAX(n, (size_t)1) > NOTICE_STATUS_MAX)
			break;
		if (plain)
			memcpy(notice->status + at, p, n);
		else
			notice->status[at] = '?';
		n = plain ? n : 1;
		at += n;
		p += n;
		len -= n;
	}
	notice->status[at] = '\0';
	notice->has_status = true;
}

/* What follows name= in the line, or NULL. */
static const uint8_t *value(const uint8_t *line, size_t len, const char *name, size_t *ret_len)
{
	size_t n = strlen(name);

	if (len < n || memcmp(line, name, n) != 0)
		return NULL;
	*ret_len = len - n;
	return line + n;
}

static bool is(const uint8_t *p, size_t len, const char *word)
{
	return len == strlen(word) && memcmp(p, word, len) == 0;
}

static void take_line(struct notice *notice, const uint8_t *line, size_t len)
{
	unsigned long long usec;
	const uint8_t *p;
	char digits[24];

	if (is(line, len, "READY=1")) {
		notice->ready = true;
	} else if (is(line, len, "STOPPING=1")) {
		notice->stopping = true;
	} else if (is(line, len, "WATCHDOG=1")) {
		notice->alive = true;
	} else if (is(line, len, "WATCHDOG=trigger")) {
		notice->hung = true;
	} else if ((p = value(line, len, "STATUS=", &len))) {
		take_status(notice, p, len);
	} else if ((p = value(line, len, "EXTEND_TIMEOUT_USEC=", &len)) && len < sizeof(digits)) {
		memcpy(digits, p, len);
		digits[len] = '\0';
		if (strlen(digits) == len && str_to_u64(digits, UINT64_MAX - 1, &usec))
			notice->extend = usec;
	}
}

void notice_take(struct notice *notice, const uint8_t *text, size_t len)
{
	while (len) {
		const uint8_t *end = memchr(text, '\n', len);
		size_t n = end ? (size_t)(end - text) : len;

		take_line(notice, text, n);
		n += end != NULL;
		text += n;
		len -= n;
	}
}
