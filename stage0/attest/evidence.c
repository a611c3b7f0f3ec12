/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/evidence.h"

#include <errno.h>
#include <string.h>

#include "common/encode.h"
#include "common/util.h"

#define KIND	  "tripod-quote"
#define KIND_HOST "tripod-host-quote"

void evidence_free(struct evidence *evidence)
{
	quote_free(&evidence->quote);
	bytes_free(&evidence->log);
	free(evidence->certificates);
	free(evidence->endorsement);
	*evidence = (struct evidence){.certificates = NULL};
}

static int get_pem(struct json_object *doc, const char *key, char **ret, struct error *err)
{
	const char *text = NULL;
	int r = json_get_string(doc, key, &text, err);

	if (r < 0 || !text)
		return r;
	if (strlen(text) > EVIDENCE_PEM_MAX)
		return error_set(err, -EFBIG, "%s: more than %d bytes", key, EVIDENCE_PEM_MAX);
	*ret = xstrdup(text);
	return 0;
}

static int read_evidence(struct json_object *doc, struct evidence *evidence, struct error *err)
{
	const char *pod = NULL;
	int r = json_need_kind(doc, KIND, err);

	if (r == 0)
		r = json_need_string(doc, "pod", &pod, err);
	if (r == 0 && !uuid_is_valid(pod))
		r = error_set(err, -EINVAL, "pod is not a UUID");
	if (r == 0)
		r = quote_from_json(doc, &evidence->quote, err);
	if (r == 0)
		r = bytes_from_base64(doc, "eventlog", EVENTLOG_MAX, &evidence->log, err);
	if (r == 0)
		r = get_pem(doc, "certificates", &evidence->certificates, err);
	if (r == 0)
		r = get_pem(doc, "endorsement", &evidence->endorsement, err);
	if (r == 0)
		memcpy(evidence->pod, pod, sizeof(evidence->pod));
	return r;
}

int evidence_parse(const char *text, size_t len, struct evidence *ret, struct error *err)
{
	cleanup(evidence_free) struct evidence evidence = {.certificates = NULL};
	cleanup_json struct json_object *doc = NULL;
	int r = json_parse(text, len, "quote", &doc, err);

	if (r < 0)
		return r;
	r = read_evidence(doc, &evidence, err);
	if (r < 0)
		return error_wrap(err, "quote");
	*ret = evidence;
	evidence = (struct evidence){.certificates = NULL};
	return 0;
}

struct json_object *evidence_json(const struct evidence *evidence)
{
	struct json_object *doc = json_object_new_object();

	json_add_string(doc, "kind", KIND);
	json_add_int(doc, "version", 1);
	json_add_string(doc, "pod", evidence->pod);
	quote_add_json(doc, &evidence->quote);
	json_add_base64(doc, "eventlog", evidence->log.p, evidence->log.len);
	if (evidence->certificates)
		json_add_string(doc, "certificates", evidence->certificates);
	if (evidence->endorsement)
		json_add_string(doc, "endorsement", evidence->endorsement);
	return doc;
}

void host_evidence_free(struct host_evidence *evidence)
{
	quote_free(&evidence->quote);
	strv_free(&evidence->records);
	*evidence = (struct host_evidence){.records = STRV_INIT};
}

static int read_records(struct json_object *doc, struct strv *ret, struct error *err)
{
	struct json_object *records = NULL;
	int r = json_get_array(doc, "records", &records, err);

	if (r < 0)
		return r;
	if (!records || json_object_array_length(records) > EVIDENCE_RECORDS_MAX)
		return error_set(err, -EINVAL, "records: none, or more than %d",
				 EVIDENCE_RECORDS_MAX);
	for (size_t i = 0; i < json_object_array_length(records); i++) {
		struct json_object *record = json_object_array_get_idx(records, i);

		if (!json_object_is_type(record, json_type_string))
			return error_set(err, -EINVAL, "record %zu is not a string", i);
		strv_add(ret, json_object_get_string(record));
	}
	return 0;
}

static int read_host_evidence(struct json_object *doc, struct host_evidence *evidence,
			      struct error *err)
{
	const char *start = NULL;
	size_t len = 0;
	int r = json_need_kind(doc, KIND_HOST, err);

	if (r == 0)
		r = quote_from_json(doc, &evidence->quote, err);
	if (r == 0)
		r = json_need_string(doc, "start", &start, err);
	if (r == 0 &&
	    (hex_decode(start, evidence->start, SHA256_SIZE, &len, err) < 0 || len != SHA256_SIZE))
		r = error_set(err, -EINVAL, "start: not a SHA-256 digest");
	if (r == 0)
		r = read_records(doc, &evidence->records, err);
	return r;
}

int host_evidence_parse(const char *text, size_t len, struct host_evidence *ret, struct error *err)
{
	cleanup(host_evidence_free) struct host_evidence evidence = {.records = STRV_INIT};
	cleanup_json struct json_object *doc = NULL;
	int r = json_parse(text, len, "host quote", &doc, err);

	if (r < 0)
		return r;
	r = read_host_evidence(doc, &evidence, err);
	if (r < 0)
		return error_wrap(err, "host quote");
	*ret = evidence;
	evidence = (struct host_evidence){.records = STRV_INIT};
	return 0;
}

struct json_object *host_evidence_json(const struct host_evidence *evidence)
{
	struct json_object *doc = json_object_new_object(), *records = json_object_new_array();

	json_add_string(doc, "kind", KIND_HOST);
	json_add_int(doc, "version", 1);
	quote_add_json(doc, &evidence->quote);
	json_add_hex(doc, "start", evidence->start, SHA256_SIZE);
	for (size_t i = 0; i < evidence->records.n; i++)
		json_object_array_add(records, json_object_new_string(evidence->records.v[i]));
	json_add(doc, "records", records);
	return doc;
}
