/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/rate.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/quantity.h"
#include "common/str.h"
#include "common/util.h"

#define RATE_MAX (INT64_C(1) << 40) /* a second: what a token bucket holds (vmm/ratelimit.h) */

static const struct rate_word net_words[] = {
	{"bytes", 1 << 0 | 1 << 2}, {"packets", 1 << 1 | 1 << 3}, {"in-bytes", 1 << 0},
	{"in-packets", 1 << 1},	    {"out-bytes", 1 << 2},	  {"out-packets", 1 << 3},
};

const struct rate_grammar net_rate = {
	.option = "--net-rate",
	.file = "net-rate",
	.n = 4,
	.words = net_words,
	.nwords = ARRAY_SIZE(net_words),
};

static const struct rate_word disk_words[] = {{"bytes", 1 << 0}, {"ops", 1 << 1}};

const struct rate_grammar disk_rate = {
	.option = "--disk-rate",
	.file = "disk-rate",
	.n = 2,
	.words = disk_words,
	.nwords = ARRAY_SIZE(disk_words),
};

static unsigned find_word(const struct rate_grammar *grammar, const char *name, size_t len)
{
	for (size_t i = 0; i < grammar->nwords; i++)
		if (strlen(grammar->words[i].name) == len &&
		    memcmp(grammar->words[i].name, name, len) == 0)
			return grammar->words[i].mask;
	return 0;
}

/* "WORD=QUANTITY" or "QUANTITY" */
static int parse_item(const struct rate_grammar *grammar, const char *item, uint64_t *values,
		      struct error *err)
{
	const char *eq = strchr(item, '='), *number = eq ? eq + 1 : item;
	unsigned mask = eq ? find_word(grammar, item, (size_t)(eq - item)) : grammar->words[0].mask;
	int64_t rate;
	int r;

	if (!mask)
		return error_set(err, -EINVAL, "%s: \"%.*s\" is not one of its words",
				 grammar->option, (int)MIN(eq - item, 64), item);
	r = quantity_parse(number, QUANTITY_ONE, &rate, err);
	if (r < 0)
		return error_wrap(err, "%s", grammar->option);
	if (rate == 0 || rate > RATE_MAX)
		return error_set(err, -ERANGE, "%s: \"%s\" a second is not between 1 and 1Ti",
				 grammar->option, number);
	for (unsigned i = 0; i < grammar->n; i++) {
		if (!(mask & 1U << i))
			continue;
		if (values[i])
			return error_set(err, -EEXIST, "%s: \"%s\" says again what was said",
					 grammar->option, item);
		values[i] = (uint64_t)rate;
	}
	return 0;
}

int rate_parse(const struct rate_grammar *grammar, const char *text, uint64_t *ret,
	       struct error *err)
{
	cleanup_strv struct strv items = STRV_INIT;
	uint64_t values[RATES_MAX] = {0};
	int r = 0;

	strv_split(&items, text, ',');
	for (size_t i = 0; r == 0 && i < items.n; i++)
		r = parse_item(grammar, items.v[i], values, err);
	if (r == 0)
		memcpy(ret, values, grammar->n * sizeof(*values));
	return r;
}

int rate_write(const struct rate_grammar *grammar, const char *text, const struct pod *pod,
	       struct error *err)
{
	cleanup_str struct str line = STR_INIT;
	uint64_t values[RATES_MAX];
	int r;

	unlinkat(pod->fd, grammar->file, 0);
	if (!text)
		return 0;
	r = rate_parse(grammar, text, values, err);
	if (r < 0)
		return r;
	for (unsigned i = 0; i < grammar->n; i++)
		str_addf(&line, "%s%llu", i ? " " : "", (unsigned long long)values[i]);
	str_add(&line, "\n");
	return pod_write(pod, grammar->file, str_get(&line), err);
}
