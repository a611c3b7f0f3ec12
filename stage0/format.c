/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/format.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/util.h"

#define NS_PER_SECOND INT64_C(1000000000)
#define TAB_WIDTH     8

static size_t column_width(const struct table *table, size_t column, size_t first)
{
	size_t width = 0;

	for (size_t i = first * table->columns + column; i < table->cells.n; i += table->columns)
		width = MAX(width, strlen(table->cells.v[i]));
	return (width / TAB_WIDTH + 1) * TAB_WIDTH;
}

void table_print(FILE *out, const struct table *table, bool legend)
{
	size_t first = legend ? 0 : 1;

	for (size_t row = first; row < table->cells.n / table->columns; row++) {
		for (size_t column = 0; column < table->columns; column++) {
			const char *cell = table->cells.v[row * table->columns + column];
			size_t width = column_width(table, column, first);

			fputs(cell, out);
			if (column + 1 == table->columns)
				break;
			for (size_t at = strlen(cell); at < width; at += TAB_WIDTH - at % TAB_WIDTH)
				fputc('\t', out);
		}
		fputc('\n', out);
	}
}

char *size_text(uint64_t bytes)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	uint64_t unit = 1;
	size_t i = 0;

	for (; bytes / unit >= 1024; i++)
		unit *= 1024;
	if (i == 0)
		return xasprintf("%lluB", (unsigned long long)bytes);
	/* one decimal below ten; rounded, in tenths of a unit */
	if (bytes / unit < 10) {
		uint64_t tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;

		if (tenths < 100)
			return xasprintf("%llu.%llu%s", (unsigned long long)(tenths / 10),
					 (unsigned long long)(tenths % 10), units[i]);
	}
	bytes = bytes / unit + (bytes % unit >= unit / 2);
	return xasprintf("%llu%s", (unsigned long long)bytes, units[i]);
}

int64_t time_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ts.tv_sec * NS_PER_SECOND + ts.tv_nsec;
}

char *time_ago(int64_t then, int64_t now)
{
	enum {
		MINUTE = 60,
		HOUR = 3600,
		DAY = 86400,
		WEEK = 7 * DAY,
		MONTH = 30 * DAY,
		YEAR = 12 * MONTH
	};
	static const struct {
		int64_t below; /* seconds */
		int64_t unit;
		const char *name; /* NULL: nothing but now */
	} steps[] = {
		{1, 1, NULL},
		{MINUTE, 1, "second"},
		{HOUR, MINUTE, "minute"},
		{DAY, HOUR, "hour"},
		{WEEK, DAY, "day"},
		{MONTH, WEEK, "week"},
		{YEAR, MONTH, "month"},
		{INT64_C(37) * YEAR, YEAR, "year"},
	};
	int64_t age = (now - then) / NS_PER_SECOND;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		int64_t n = age / steps[i].unit;

		if (age >= steps[i].below)
			continue;
		if (!steps[i].name)
			return xstrdup("now");
		return xasprintf("%lld %s%s ago", (long long)n, steps[i].name, n == 1 ? "" : "s");
	}
	return xstrdup("a long while ago");
}

char *time_full(int64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_SECOND);
	int ms = (int)(ns % NS_PER_SECOND / 1000000);
	char date[64], zone[64], fraction[8];
	struct tm tm;

	localtime_r(&seconds, &tm);
	strftime(date, sizeof(date), "%Y-%m-%d %H:%M:%S", &tm);
	strftime(zone, sizeof(zone), "%z %Z", &tm);
	snprintf(fraction, sizeof(fraction), ".%03d", ms);
	for (size_t len = strlen(fraction); len > 0 && strchr(".0", fraction[len - 1]); len--)
		fraction[len - 1] = '\0';
	return xasprintf("%s%s %s", date, fraction, zone);
}

static const struct {
	const char *suffix;
	int64_t ns;
} duration_units[] = {
	{"ns", 1},
	{"us", 1000},
	{"\u00b5s", 1000},
	{"ms", 1000000},
	{"s", NS_PER_SECOND},
	{"m", 60 * NS_PER_SECOND},
	{"h", 3600 * NS_PER_SECOND},
};

/* Add one "1.5h" to total. */
static const char *duration_part(const char *p, int64_t *total)
{
	int64_t whole = 0, scale = 1, fraction = 0, ns, unit = 0;
	size_t len, digits = strspn(p, "0123456789"), decimals = 0;

	for (size_t i = 0; i < digits; i++)
		if (__builtin_mul_overflow(whole, 10, &whole) ||
		    __builtin_add_overflow(whole, p[i] - '0', &whole))
			return NULL;
	p += digits;
	if (*p == '.') {
		decimals = strspn(p + 1, "0123456789");
		for (size_t i = 0; i < MIN(decimals, 9); i++) {
			fraction = fraction * 10 + (p[1 + i] - '0');
			scale *= 10;
		}
		p += 1 + decimals;
	}
	len = strcspn(p, "0123456789.");
	for (size_t i = 0; i < ARRAY_SIZE(duration_units); i++)
		if (strlen(duration_units[i].suffix) == len &&
		    memcmp(p, duration_units[i].suffix, len) == 0)
			unit = duration_units[i].ns;
	if (digits + decimals == 0 || unit == 0 || __builtin_mul_overflow(whole, unit, &ns) ||
	    __builtin_add_overflow(*total, ns, total))
		return NULL;
	ns = (int64_t)((__int128)fraction * unit / scale);
	return __builtin_add_overflow(*total, ns, total) ? NULL : p + len;
}

int duration_parse(const char *text, int64_t *ret, struct error *err)
{
	const char *p = text + (*text == '-' || *text == '+');
	int64_t total = 0;

	if (strcmp(p, "0") == 0) {
		*ret = 0;
		return 0;
	}
	do
		p = duration_part(p, &total);
	while (p && *p);
	if (!p)
		return error_set(err, -EINVAL, "\"%s\" is not a duration, such as 30m or 1h30m",
				 text);
	*ret = *text == '-' ? -total : total;
	return 0;
}

char *duration_text(int64_t ns)
{
	long long s = ns / NS_PER_SECOND;

	if (s >= 3600)
		return xasprintf("%lldh%lldm%llds", s / 3600, s / 60 % 60, s % 60);
	if (s >= 60)
		return xasprintf("%lldm%llds", s / 60, s % 60);
	return xasprintf("%llds", s);
}

int format_parse(const char *text, enum format *ret, struct error *err)
{
	if (!text || !*text)
		*ret = FORMAT_TEXT;
	else if (strcmp(text, "json") == 0)
		*ret = FORMAT_JSON;
	else if (strcmp(text, "json-pretty") == 0)
		*ret = FORMAT_JSON_PRETTY;
	else
		return error_set(err, -EINVAL, "--format: \"%s\" is neither json nor json-pretty",
				 text);
	return 0;
}

void format_json(FILE *out, struct json_object *doc, enum format format)
{
	int flags = JSON_C_TO_STRING_NOSLASHESCAPE;

	if (format == FORMAT_JSON_PRETTY)
		flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_PRETTY_TAB |
			 JSON_C_TO_STRING_SPACED;
	fprintf(out, "%s\n", json_object_to_json_string_ext(doc, flags));
}
