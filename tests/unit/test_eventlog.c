/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <string.h>

#include "common/hash.h"
#include "common/util.h"
#include "common/eventlog.h"

static struct eventlog log_with(unsigned records)
{
	struct error err = ERROR_INIT;
	struct eventlog log;
	struct digests digests;

	eventlog_init(&log);
	for (unsigned i = 0; i < records; i++) {
		digests_of(&i, sizeof(i), &digests);
		assert_int_equal(
			eventlog_add(&log, i % EVENTLOG_PCRS, EV_IPL, &digests, "event", 5, &err),
			0);
	}
	return log;
}

static void what_is_written_is_read(void **state)
{
	struct eventlog log = log_with(3);
	struct error err = ERROR_INIT;
	struct eventlog_reader reader;
	struct eventlog_record record;
	unsigned i = 0;

	(void)state;
	assert_int_equal(eventlog_open(&reader, log.data, log.len, &err), 0);
	while (eventlog_next(&reader, &record, &err) > 0) {
		struct digests digests;

		digests_of(&i, sizeof(i), &digests);
		assert_int_equal(record.pcr, i);
		assert_int_equal(record.type, EV_IPL);
		assert_memory_equal(&record.digests, &digests, sizeof(digests));
		assert_int_equal(record.event_len, 5);
		assert_memory_equal(record.event, "event", 5);
		i++;
	}
	assert_int_equal(i, 3);
	assert_int_equal(err.code, 0);
	eventlog_free(&log);
}

static void replay_extends_each_record_into_its_pcr(void **state)
{
	struct eventlog log = log_with(EVENTLOG_PCRS + 1);
	struct error err = ERROR_INIT;
	struct digests first, second;
	unsigned last = EVENTLOG_PCRS;
	uint8_t bytes[2 * SHA256_SIZE] = {0}, want[SHA256_SIZE];
	struct pcrs pcrs;
	struct hash *hash;

	(void)state;
	assert_int_equal(eventlog_replay(log.data, log.len, &pcrs, &err), 0);
	/* PCR 0 by hand: the first record and the one after a whole round */
	digests_of(&(unsigned){0}, sizeof(unsigned), &first);
	digests_of(&last, sizeof(last), &second);
	for (int i = 0; i < 2; i++) {
		memcpy(bytes + SHA256_SIZE, i ? second.sha256 : first.sha256, SHA256_SIZE);
		hash = hash_new(HASH_SHA256);
		hash_update(hash, bytes, sizeof(bytes));
		hash_final(hash, want);
		hash_free(hash);
		memcpy(bytes, want, SHA256_SIZE);
	}
	assert_memory_equal(pcrs.pcr[0].sha256, want, SHA256_SIZE);
	eventlog_free(&log);
}

static void a_record_without_extend_changes_no_pcr(void **state)
{
	struct eventlog log = log_with(0);
	struct pcrs pcrs, fresh = {.pcr = {{{0}, {0}}}};
	struct error err = ERROR_INIT;
	struct digests digests = {.sha256 = {1}};

	(void)state;
	assert_int_equal(eventlog_add(&log, 0, EV_NO_ACTION, &digests, "", 0, &err), 0);
	assert_int_equal(eventlog_replay(log.data, log.len, &pcrs, &err), 0);
	assert_memory_equal(&pcrs, &fresh, sizeof(pcrs));
	eventlog_free(&log);
}

static void a_full_log_is_an_error_and_stays_readable(void **state)
{
	struct eventlog log = log_with(0);
	struct error err = ERROR_INIT;
	struct digests digests = {.sha256 = {0}};
	uint8_t event[EVENTLOG_EVENT_MAX] = {0};
	struct pcrs pcrs;
	int r;

	(void)state;
	do
		r = eventlog_add(&log, 1, EV_IPL, &digests, event, sizeof(event), &err);
	while (r == 0);
	assert_int_equal(r, -ENOSPC);
	assert_in_range(log.len, EVENTLOG_MAX / 2, EVENTLOG_MAX);
	assert_int_equal(eventlog_replay(log.data, log.len, &pcrs, &err), 0);
	eventlog_free(&log);
}

/* Every cut but those between two records is an error, and none reads past the end. */
static void a_cut_log_is_refused(void **state)
{
	struct eventlog log = log_with(2), header = log_with(0);
	size_t record = (log.len - header.len) / 2;

	(void)state;
	for (size_t len = 0; len < log.len; len++) {
		uint8_t *exact = malloc(len ? len : 1);
		struct error err = ERROR_INIT;
		struct pcrs pcrs;
		bool whole = len >= header.len && (len - header.len) % record == 0;

		assert_non_null(exact);
		memcpy(exact, log.data, len);
		assert_int_equal(eventlog_replay(exact, len, &pcrs, &err) == 0, whole);
		free(exact);
	}
	eventlog_free(&log);
	eventlog_free(&header);
}

static void hostile_records_are_refused(void **state)
{
	static const struct {
		size_t offset; /* in the first record */
		uint32_t value;
	} cases[] = {
		{0, EVENTLOG_PCRS},	    /* no such PCR */
		{0, UINT32_MAX},	    /* no such PCR */
		{8, 1},			    /* digest count */
		{8, UINT32_MAX},	    /* digest count */
		{12, 0x0004},		    /* another algorithm first */
		{12 + 34, 0x000d},	    /* another algorithm second */
		{12 + 34 + 50, UINT32_MAX}, /* event size */
		{12 + 34 + 50, 6},	    /* event size past the end */
	};
	struct eventlog header = log_with(0);

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct eventlog log = log_with(1);
		struct error err = ERROR_INIT;
		struct pcrs pcrs;

		memcpy(log.data + header.len + cases[i].offset, &cases[i].value,
		       cases[i].offset == 12 || cases[i].offset == 46 ? 2 : 4);
		assert_true(eventlog_replay(log.data, log.len, &pcrs, &err) < 0);
		assert_non_null(strstr(err.msg, "record 0"));
		eventlog_free(&log);
	}
	eventlog_free(&header);
}

static void a_log_of_other_banks_is_refused(void **state)
{
	struct eventlog log = log_with(1);
	struct error err = ERROR_INIT;
	struct pcrs pcrs;

	(void)state;
	log.data[32 + 24 + 4] = 0x04; /* SHA-1 instead of SHA-256 */
	assert_true(eventlog_replay(log.data, log.len, &pcrs, &err) < 0);
	eventlog_free(&log);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(replay_extends_each_record_into_its_pcr),
		cmocka_unit_test(a_record_without_extend_changes_no_pcr),
		cmocka_unit_test(a_full_log_is_an_error_and_stays_readable),
		cmocka_unit_test(a_cut_log_is_refused),
		cmocka_unit_test(hostile_records_are_refused),
		cmocka_unit_test(a_log_of_other_banks_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
