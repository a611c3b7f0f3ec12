/* SPDX-License-Identifier: Apache-2.0 */
/* The whole of it over the real swtpm. */
#include "tests/unit/unit.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"
#include "tests/unit/scratch.h"
#include "vmm/tpm.h"

#define WAIT_MS 60000 /* far beyond what a busy machine takes */

static struct eventlog make_log(void)
{
	struct error err = ERROR_INIT;
	struct eventlog log;
	struct digests digests;

	eventlog_init(&log);
	for (uint32_t pcr = 0; pcr < 16; pcr += 5) {
		digests_of(&pcr, sizeof(pcr), &digests);
		assert_int_equal(eventlog_add(&log, pcr, EV_IPL, &digests, "x", 1, &err), 0);
	}
	return log;
}

static enum tpm_event wait_event(struct tpm *tpm, struct tpm_answer *answer)
{
	struct pollfd pfd = {.fd = tpm_event_fd(tpm), .events = POLLIN};
	enum tpm_event event;

	while ((event = tpm_take_event(tpm, answer)) == TPM_EVENT_NONE)
		assert_int_equal(poll(&pfd, 1, WAIT_MS), 1);
	return event;
}

/* In a directory like a pod's. */
static void enter(const struct scratch *scratch)
{
	assert_int_equal(chdir(scratch->path), 0);
	assert_int_equal(mkdir("stage1", 0700), 0);
}

static void a_launch_is_extended_and_quoted(void **state)
{
	static struct tpm_answer answer;
	struct tpm_request request = {
		.client = 3, .serial = 7, .quote = true, .nonce = "nonce", .nonce_len = 5};
	struct error err = ERROR_INIT;
	struct eventlog log = make_log();
	struct tpm *tpm = NULL;
	uint8_t access = 0;
	struct pcrs want;

	enter(*state);
	assert_int_equal(tpm_new(&tpm, &err), 0);
	tpm_bus_read(tpm, 0, &access, 1);
	assert_int_equal(access, 0xff); /* not there before the launch is measured */
	tpm_measure(tpm, &log);
	assert_int_equal(wait_event(tpm, &answer), TPM_EVENT_STATE);
	if (tpm_get_state(tpm, &err) != TPM_READY)
		fail_msg("%s", err.msg);
	tpm_bus_read(tpm, 0, &access, 1);
	assert_int_equal(access, 0x81);

	request.pcrs = 0xffffff;
	assert_true(tpm_ask(tpm, &request));
	assert_int_equal(wait_event(tpm, &answer), TPM_EVENT_ANSWER);
	if (answer.error.code < 0)
		fail_msg("%s", answer.error.msg);
	assert_int_equal(answer.request.client, 3);
	assert_int_equal(answer.request.serial, 7);
	assert_int_equal(eventlog_replay(log.data, log.len, &want, &err), 0);
	for (unsigned pcr = 0; pcr < 17; pcr++)
		assert_memory_equal(&answer.quote.pcrs.pcr[pcr], &want.pcr[pcr],
				    sizeof(struct digests));
	/* TPMS_ATTEST: the TPM's own magic, a quote; the nonce is in it */
	assert_memory_equal(answer.quote.quoted, "\xffTCG\x80\x18", 6);
	assert_non_null(memmem(answer.quote.quoted, answer.quote.quoted_len, "nonce", 5));
	assert_memory_equal(answer.quote.signature, "\x00\x18\x00\x0b", 4);
	assert_memory_equal(answer.quote.public, "\x00\x23\x00\x0b", 4);

	request.quote = false;
	request.pcrs = 1 << 5;
	assert_true(tpm_ask(tpm, &request));
	assert_int_equal(wait_event(tpm, &answer), TPM_EVENT_ANSWER);
	assert_int_equal(answer.error.code, 0);
	assert_int_equal(answer.quote.mask, 1 << 5);
	assert_int_equal(answer.quote.quoted_len, 0);
	tpm_free(tpm);
	eventlog_free(&log);
}

/* A command the guest sends through the registers; the response's result code. */
static uint32_t guest_command(struct tpm *tpm, const uint8_t *command, size_t len,
			      uint8_t *response, size_t max)
{
	uint8_t byte = 2, sts = 0;
	size_t n = 0;

	tpm_bus_write(tpm, 0, &byte, 1); /* request the locality */
	byte = 0x40;
	tpm_bus_write(tpm, 0x18, &byte, 1);
	for (size_t i = 0; i < len; i++)
		tpm_bus_write(tpm, 0x24, &command[i], 1);
	byte = 0x20;
	tpm_bus_write(tpm, 0x18, &byte, 1);
	for (int i = 0; i < WAIT_MS && !(sts & 0x10); i++) {
		tpm_bus_read(tpm, 0x18, &sts, 1);
		if (!(sts & 0x10))
			poll(NULL, 0, 1);
	}
	while (sts & 0x10 && n < max) {
		tpm_bus_read(tpm, 0x24, &response[n++], 1);
		tpm_bus_read(tpm, 0x18, &sts, 1);
	}
	assert_true(n >= 10);
	return (uint32_t)response[6] << 24 | (uint32_t)response[7] << 16 |
	       (uint32_t)response[8] << 8 | response[9];
}

/* TPM2_CreatePrimary of an ECC storage key in the null hierarchy. */
static const uint8_t create[] = {0x80, 0x02, 0, 0, 0,	 67, 0,	   0, 1,    0x31, 0x40, 0, 0, 0x07,
				 0,    0,    0, 9, 0x40, 0,  0,	   9, 0,    0,	  0,	0, 0, 0,
				 4,    0,    0, 0, 0,	 0,  26,   0, 0x23, 0,	  0x0b, 0, 3, 0,
				 0x72, 0,    0, 0, 6,	 0,  0x80, 0, 0x43, 0,	  0x10, 0, 3, 0,
				 0x10, 0,    0, 0, 0,	 0,  0,	   0, 0,    0,	  0};

static struct tpm *launched(struct eventlog *log)
{
	static struct tpm_answer answer;
	struct error err = ERROR_INIT;
	struct tpm *tpm = NULL;

	*log = make_log();
	assert_int_equal(tpm_new(&tpm, &err), 0);
	tpm_measure(tpm, log);
	assert_int_equal(wait_event(tpm, &answer), TPM_EVENT_STATE);
	if (tpm_get_state(tpm, &err) != TPM_READY)
		fail_msg("%s", err.msg);
	return tpm;
}

static void a_guest_that_fills_the_tpm_can_not_prevent_a_quote(void **state)
{
	static const uint8_t handles[] = {0x80, 0x01, 0, 0,    0, 22, 0, 0, 1, 0x7a, 0,
					  0,	0,    1, 0x80, 0, 0,  0, 0, 0, 0,    16};
	static struct tpm_answer answer;
	struct tpm_request request = {.quote = true, .nonce = "n", .nonce_len = 1, .pcrs = 0x8001};
	uint8_t response[TIS_BUFFER] = {0}, before[TIS_BUFFER] = {0}, after[TIS_BUFFER] = {0};
	struct eventlog log;
	struct tpm *tpm;
	unsigned made = 0;

	enter(*state);
	tpm = launched(&log);
	while (made < 16 &&
	       guest_command(tpm, create, sizeof(create), response, sizeof(response)) == 0)
		made++;
	assert_true(made >= 3 && made < 16);
	assert_int_equal(guest_command(tpm, handles, sizeof(handles), before, sizeof(before)), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(tpm_ask(tpm, &request));
		assert_int_equal(wait_event(tpm, &answer), TPM_EVENT_ANSWER);
		if (answer.error.code < 0)
			fail_msg("%s", answer.error.msg);
	}
	assert_int_equal(guest_command(tpm, handles, sizeof(handles), after, sizeof(after)), 0);
	assert_memory_equal(before, after, sizeof(before));
	tpm_free(tpm);
	eventlog_free(&log);
}

static void the_platform_hierarchy_is_not_the_guests(void **state)
{
	uint8_t platform[sizeof(create)], response[TIS_BUFFER] = {0};
	struct eventlog log;
	struct tpm *tpm;

	enter(*state);
	tpm = launched(&log);
	memcpy(platform, create, sizeof(create));
	platform[13] = 0x0c;
	assert_int_equal(
		guest_command(tpm, platform, sizeof(platform), response, sizeof(response)) & 0xff,
		0xa2); /* TPM_RC_BAD_AUTH */
	tpm_free(tpm);
	eventlog_free(&log);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		T(a_launch_is_extended_and_quoted),
		T(a_guest_that_fills_the_tpm_can_not_prevent_a_quote),
		T(the_platform_hierarchy_is_not_the_guests),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
