/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/text.h"

#include <string.h>

void init_text_addn(struct init_text *text, const char *s, size_t len)
{
	if (len > INIT_TEXT_MAX - text->len)
		len = INIT_TEXT_MAX - text->len;
	memcpy(text->s + text->len, s, len);
	text->len += len;
}

void init_text_add(struct init_text *text, const char *s)
{
	init_text_addn(text, s, strlen(s));
}

void init_text_add_num(struct init_text *text, uint64_t n)
{
	char digits[20];
	size_t i = sizeof(digits);

	do
		digits[--i] = (char)('0' + n % 10);
	while (n /= 10);
	init_text_addn(text, digits + i, sizeof(digits) - i);
}

void init_text_add_errno(struct init_text *text, int code)
{
	init_text_add(text, ": ");
	init_text_add(text, strerror(code < 0 ? -code : code));
}

int init_text_set(struct init_text *text, int code, const char *what)
{
	text->len = 0;
	init_text_add(text, what);
	return code;
}

int init_text_fail(struct init_text *text, int code, const char *what, const char *object)
{
	init_text_set(text, code, what);
	init_text_add(text, " \"");
	init_text_add(text, object);
	init_text_add(text, "\"");
	init_text_add_errno(text, code);
	return code;
}

const char *init_text_str(struct init_text *text)
{
	text->s[text->len] = '\0';
	return text->s;
}
