/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_TPM_H
#define VMM_TPM_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/eventlog.h"
#include "vmm/swtpm.h"
#include "vmm/tis.h"
#include "vmm/tpm_quote.h"

/*
 * A pod's TPM: the swtpm process, the launch measured into it, the guest's registers, the host's
 * quotes.
 *
 * Everything that waits for swtpm is done by a thread of its own: confine itself; start it and bring
 * it up; extend the launch's log; take the platform hierarchy for the host; then quotes, one after the
 * other. What came of it is told to the loop through an eventfd and taken with tpm_take_event(). The
 * thread ends with the process.
 *
 * Until the launch is measured the registers are not there (all ones), so nothing can be extended
 * before it. If that can not be done, the pod must not run.
 */

#define TPM_STATE_DIR	"tpm-state" /* in the pod's directory: the TPM's state, made by stage0 */
#define TPM_CLIENTS_MAX 16	    /* quotes asked for and not answered: one a control client */

enum tpm_state {
	TPM_STARTING,
	TPM_READY,  /* the launch is measured */
	TPM_ABSENT, /* swtpm is not installed: error has its name */
	TPM_FAILED, /* error says why */
};

/* Something for the loop. */
enum tpm_event {
	TPM_EVENT_NONE,
	TPM_EVENT_STATE,  /* it is known whether there is a TPM: see state */
	TPM_EVENT_ANSWER, /* a quote is done, or can not be had */
};

struct tpm_request {
	uint32_t client;
	uint64_t serial; /* of the connection: the client's number may be another's by now */
	bool quote;	 /* else the PCRs' values only */
	uint8_t nonce[TPM_NONCE_MAX];
	size_t nonce_len;
	uint32_t pcrs; /* bit n: PCR n */
	/* not NULL: extend what it says, and answer nothing else; borrowed until the answer */
	const struct eventlog *extend;
};

struct tpm_answer {
	struct tpm_request request;
	struct tpm_quote quote;
	struct error error; /* code < 0: there is no quote */
};

struct tpm;

/*
 * Start the thread. event_fd becomes readable when tpm_take_event() has something; it is the tpm's.
 */
int tpm_new(struct tpm **ret, struct error *err) __attribute__((nonnull));
int tpm_event_fd(const struct tpm *tpm) __attribute__((nonnull));

/* Start swtpm and extend the launch's log, which must live as long. To be called once. */
void tpm_measure(struct tpm *tpm, const struct eventlog *log) __attribute__((nonnull));

/* What has happened; call until TPM_EVENT_NONE. *ret is written with TPM_EVENT_ANSWER. */
enum tpm_event tpm_take_event(struct tpm *tpm, struct tpm_answer *ret) __attribute__((nonnull));
/* The state now; with TPM_FAILED and TPM_ABSENT *err is why. */
enum tpm_state tpm_get_state(struct tpm *tpm, struct error *err) __attribute__((nonnull));

/* Queue a request, which is answered by an event. False when too many are waiting. */
bool tpm_ask(struct tpm *tpm, const struct tpm_request *request) __attribute__((nonnull));

/* The registers (struct bus_ops; opaque is the tpm), for vCPU threads. */
void tpm_bus_read(void *opaque, uint64_t offset, void *data, uint32_t len) __attribute__((nonnull));
void tpm_bus_write(void *opaque, uint64_t offset, const void *data, uint32_t len)
	__attribute__((nonnull));

/*
 * Before the process ends: let a start of swtpm that is under way come to its end, and no other
 * begin. A child that is made while its parent goes may miss the signal that ends it with us.
 */
void tpm_leave(struct tpm *tpm);

/* End swtpm and the thread, if it stands before the launch or between requests; NULL is fine. */
void tpm_free(struct tpm *tpm);

#endif
