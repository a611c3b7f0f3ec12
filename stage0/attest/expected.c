/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/expected.h"

#include <errno.h>
#include <string.h>

#include "common/encode.h"
#include "common/hash.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/attest/bytes.h"

#define KIND "tripod-expected"

/* What is said of an event without its PCR. */
static void describe_data(const struct eventlog_record *record, struct str *text)
{
	size_t len = record->event_len;

	while (len > 0 && record->event[len - 1] == '\0')
		len--;
	if (record->type == EV_SEPARATOR)
		str_add(text, "separator");
	else if (record->type == EV_S_CRTM_CONTENTS)
		str_add(text, "VMM"); /* the data is an address and a size */
	else if (len == 0)
		str_addf(text, "type %#x", record->type);
	else
		str_add_escaped(text, (const char *)record->event, len);
}

static void cut(const struct str *text, char *ret)
{
	size_t len = MIN(text->len, (size_t)EXPECTED_DESCRIPTION_MAX - 1);

	/* between characters */
	while (len < text->len && len > 0 && (str_get(text)[len] & 0xc0) == 0x80)
		len--;
	memcpy(ret, str_get(text), len);
	ret[len] = '\0';
}

void event_describe(const struct eventlog_record *record, char ret[EXPECTED_DESCRIPTION_MAX])
{
	cleanup_str struct str text = STR_INIT;

	str_addf(&text, "PCR %u, ", record->pcr);
	describe_data(record, &text);
	cut(&text, ret);
}

static struct json_object *event_json(const struct eventlog_record *record)
{
	struct json_object *obj = json_object_new_object();
	char description[EXPECTED_DESCRIPTION_MAX];
	cleanup_str struct str text = STR_INIT;

	describe_data(record, &text);
	cut(&text, description);
	json_add_int(obj, "pcr", record->pcr);
	json_add_int(obj, "type", record->type);
	json_add_hex(obj, "sha256", record->digests.sha256, SHA256_SIZE);
	json_add_hex(obj, "sha384", record->digests.sha384, SHA384_SIZE);
	json_add_base64(obj, "event", record->event, record->event_len);
	json_add_string(obj, "description", description);
	return obj;
}

int expected_pcrs(const void *log, size_t len, struct pcr_set *ret, struct error *err)
{
	struct pcr_set set = {.mask = {0}};
	struct eventlog_reader reader;
	struct eventlog_record record;
	int r = eventlog_open(&reader, log, len, err);

	while (r == 0 && (r = eventlog_next(&reader, &record, err)) > 0) {
		if (record.type != EV_NO_ACTION)
			set.mask[BANK_SHA256] |= 1U << record.pcr;
		r = 0;
	}
	set.mask[BANK_SHA384] = set.mask[BANK_SHA256];
	if (r == 0)
		r = eventlog_replay(log, len, &set.values, err);
	if (r == 0)
		*ret = set;
	return r;
}

int expected_from_log(const void *log, size_t len, struct json_object **ret, struct error *err)
{
	cleanup_json struct json_object *doc = json_object_new_object();
	struct json_object *events = json_object_new_array();
	struct eventlog_reader reader;
	struct eventlog_record record;
	struct pcr_set set;
	int r;

	json_add_string(doc, "kind", KIND);
	json_add_int(doc, "version", 1);
	json_add(doc, "events", events);
	r = expected_pcrs(log, len, &set, err);
	if (r == 0)
		r = eventlog_open(&reader, log, len, err);
	if (r < 0)
		return r;
	json_add(doc, "pcrs", pcr_set_json(&set));
	while ((r = eventlog_next(&reader, &record, err)) > 0)
		json_object_array_add(events, event_json(&record));
	if (r == 0)
		*ret = take_ptr(doc);
	return r;
}

static int digest_from_json(struct json_object *event, enum bank bank, struct digests *digests,
			    struct error *err)
{
	const char *text = NULL;
	size_t len = 0;
	int r = json_need_string(event, bank_name(bank), &text, err);

	if (r == 0 && hex_decode(text, bank_digest(digests, bank), bank_size(bank), &len, err) < 0)
		r = error_wrap(err, "%s", bank_name(bank));
	if (r == 0 && len != bank_size(bank))
		r = error_set(err, -EINVAL, "%s: not a digest", bank_name(bank));
	return r;
}

static int add_event(struct json_object *event, struct eventlog *log, struct error *err)
{
	int64_t pcr = -1, type = -1;
	cleanup_free uint8_t *data = NULL;
	struct digests digests;
	const char *text = NULL;
	size_t len = 0;
	int r;

	if (!json_object_is_type(event, json_type_object))
		return error_set(err, -EINVAL, "not an object");
	r = json_get_int(event, "pcr", 0, EVENTLOG_PCRS - 1, &pcr, err);
	if (r == 0)
		r = json_get_int(event, "type", 0, UINT32_MAX, &type, err);
	if (r == 0 && (pcr < 0 || type < 0))
		r = error_set(err, -EINVAL, "pcr or type is missing");
	for (enum bank bank = 0; r == 0 && bank < BANKS; bank++)
		r = digest_from_json(event, bank, &digests, err);
	if (r == 0)
		r = json_need_string(event, "event", &text, err);
	if (r == 0 && base64_decode(text, EVENTLOG_EVENT_MAX, &data, &len, err) < 0)
		r = error_wrap(err, "event");
	if (r == 0)
		r = eventlog_add(log, (uint32_t)pcr, (uint32_t)type, &digests, data, len, err);
	return r;
}

/* The values that are stated, each of which the events must give; all of them must be stated. */
static int check_pcrs(struct json_object *doc, const struct eventlog *log, struct error *err)
{
	struct json_object *obj = NULL;
	struct pcr_set stated, given;
	int r = json_get_object(doc, "pcrs", &obj, err);

	if (r == 0 && pcr_set_from_json(obj, &stated, err) < 0)
		r = error_wrap(err, "pcrs");
	if (r == 0)
		r = expected_pcrs(log->data, log->len, &given, err);
	if (r < 0)
		return r;
	for (enum bank bank = 0; bank < BANKS; bank++) {
		for (unsigned pcr = 0; pcr < EVENTLOG_PCRS; pcr++) {
			uint8_t *a = bank_digest(&stated.values.pcr[pcr], bank);
			uint8_t *b = bank_digest(&given.values.pcr[pcr], bank);

			if (((stated.mask[bank] ^ given.mask[bank]) & (1U << pcr)) ||
			    ((given.mask[bank] & (1U << pcr)) && memcmp(a, b, bank_size(bank))))
				return error_set(err, -EINVAL,
						 "%s PCR %u is not what the events give",
						 bank_name(bank), pcr);
		}
	}
	return 0;
}

int expected_parse(const char *text, size_t len, struct eventlog *ret, struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	cleanup(eventlog_free) struct eventlog log = {.data = NULL};
	struct json_object *events = NULL;
	int r = json_parse(text, len, "expected values", &doc, err);

	if (r < 0)
		return r;
	r = json_need_kind(doc, KIND, err);
	if (r == 0)
		r = json_get_array(doc, "events", &events, err);
	if (r == 0 && (!events || json_object_array_length(events) == 0))
		r = error_set(err, -EINVAL, "no events");
	if (r == 0)
		eventlog_init(&log);
	for (size_t i = 0; r == 0 && i < json_object_array_length(events); i++)
		if (add_event(json_object_array_get_idx(events, i), &log, err) < 0)
			r = error_wrap(err, "event %zu", i);
	if (r == 0)
		r = check_pcrs(doc, &log, err);
	if (r < 0)
		return error_wrap(err, "expected values");
	*ret = log;
	log.data = NULL;
	return 0;
}

/* Whether two events say the same of the same; for an error, say in which way they do not. */
static int compare_events(unsigned i, const struct eventlog_record *is,
			  const struct eventlog_record *should, struct error *err)
{
	char description[EXPECTED_DESCRIPTION_MAX], one[HASH_HEX_MAX], other[HASH_HEX_MAX];

	event_describe(should, description);
	if (is->pcr != should->pcr || is->type != should->type) {
		char instead[EXPECTED_DESCRIPTION_MAX];

		event_describe(is, instead);
		return error_set(err, -EPERM, "event %u differs: %s, expected %s", i, instead,
				 description);
	}
	if (memcmp(&is->digests, &should->digests, sizeof(is->digests)) != 0) {
		hash_hex(is->digests.sha256, SHA256_SIZE, one);
		hash_hex(should->digests.sha256, SHA256_SIZE, other);
		return error_set(err, -EPERM, "event %u differs: %s: SHA-256 %s, expected %s", i,
				 description, one, other);
	}
	if (is->event_len != should->event_len ||
	    (is->event_len && memcmp(is->event, should->event, is->event_len) != 0))
		return error_set(err, -EPERM, "event %u differs: %s: other event data", i,
				 description);
	return 0;
}

int expected_compare(const void *log, size_t len, const struct eventlog *expected,
		     struct error *err)
{
	struct eventlog_reader is_reader, should_reader;
	struct eventlog_record is, should;
	char description[EXPECTED_DESCRIPTION_MAX];
	int r = eventlog_open(&is_reader, log, len, err);

	if (r == 0)
		r = eventlog_open(&should_reader, expected->data, expected->len, err);
	for (unsigned i = 0; r == 0; i++) {
		int more_is = eventlog_next(&is_reader, &is, err);
		int more_should = eventlog_next(&should_reader, &should, err);

		if (more_is < 0 || more_should < 0)
			return err->code;
		if (!more_is && !more_should)
			break;
		if (!more_is || !more_should) {
			event_describe(more_is ? &is : &should, description);
			return error_set(err, -EPERM, "event %u is %s: %s", i,
					 more_is ? "not expected" : "missing", description);
		}
		r = compare_events(i, &is, &should, err);
	}
	return r;
}
