/* SPDX-License-Identifier: Apache-2.0 */
#include "common/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "common/util.h"

#define LOG_TEXT_MAX (ERROR_MSG_MAX + 256)

static struct {
	const char *prefix;
	enum log_level level;
} logger = {"tripod", LOG_INFO};

void log_init(const char *prefix, enum log_level level)
{
	logger.prefix = prefix;
	logger.level = level;
}

void log_set_level(enum log_level level)
{
	logger.level = level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	cleanup_str struct str line = STR_INIT;
	char text[LOG_TEXT_MAX];
	va_list ap;

	if (level > logger.level)
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);

	str_addf(&line, "%s: ", logger.prefix);
	str_add_escaped(&line, text, strlen(text));
	str_add(&line, "\n");
	/* nothing can be done about a stderr that does not take it */
	(void)!write(STDERR_FILENO, line.s, line.len);
}
