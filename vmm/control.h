/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "vmm/loop.h"

/*
 * control.sock in the pod directory: how the host talks to a running pod. A client sends one verb a
 * line and gets one line of compact JSON back; it may send more on the same connection. The pod's
 * loop does what the verb says and replies; nothing is done here.
 *
 *   status   {"state":...,"apps":[{"name":...,"state":...,"exit":N},...]}
 *   stats    {"instructions":N,"instructions-to-init":N,"instructions-to-apps":N,"memory":N,
 *             "vcpus":N,"nics":[{"rx-frames":N,"rx-bytes":N,"rx-dropped":N,"rx-segmented":N,
 *             "tx-frames":N,...,"tx-refused":N,"tx-unsummed":N},...]}; instructions only where the
 *             host's KVM counts them; NICs in the order of their interfaces, counters as in
 *             struct net_stats
 *   stop     ask the apps to end (SIGTERM):  {"ok":true}
 *   kill     end the VM now, and the VMM as SIGKILL would: {"ok":true}
 *   pcrs     {"sha256":{"0":HEX,...,"23":HEX},"sha384":{...}}: what the pod's TPM says now
 *   quote NONCE PCRS
 *            NONCE: 1 to 64 bytes in hexadecimal; PCRS: a bit mask in hexadecimal, bit n is PCR n,
 *            in both banks (SHA-256 selected first). One step to the guest: PCR values, key and
 *            quote belong together, and nothing of it stays in the TPM.
 *            {"quoted":B64 of the TPMS_ATTEST, "signature":B64 of the TPMT_SIGNATURE,
 *             "public":B64 of the key's TPMT_PUBLIC, "pcrs":{as above, those selected}}
 *            The key is a restricted ECDSA P-256 SHA-256 signing key, a primary object of the
 *            platform hierarchy, which is the host's own: the guest can neither use nor block it.
 *   session  begin a session (vmm/agent_proto.h): {"session":N}. From the next byte on the connection
 *            is its control stream, raw.
 *   stream N KIND
 *            a stream of session N, KIND as in enum agent_stream_kind: {"ok":true}, then raw.
 *   endpoints APP
 *            {"endpoints":["stdin",...]}: the streams of the app that are for clients (vmm/attach.h)
 *   attach KIND APP
 *            become a client of one: {"ok":true}, then raw
 *   winsize ROWS COLUMNS APP
 *            of the app's terminal: {"ok":true}
 *   memory [BYTES]
 *            {"total":N,"target":N,"current":N,"minimum":N,"resident":N,"returned":N}: bytes the guest
 *            has, is to keep, keeps as it says, can be asked to keep at least; of the host's, that are
 *            in use for it, and that it gave back since it booted. With BYTES the target is set before.
 *   of a mutable pod (vmm/podmut.h), answered when it is done:
 *   app-facts
 *            {"no-caps":B,"no-paths":B,"no-seccomp":B,"tpm":B,"memory":BYTES,"mds-token":TOKEN}: what
 *            apps are told of; the last of a pod with a metadata service
 *   app-add APP
 *            with descriptors: a description and the files of the app's disk: {"ok":true}
 *   app-metadata APP
 *            of an app that was added, with a descriptor: what the metadata service is to say of it
 *            (struct metadata_change): {"ok":true}
 *   app-start APP, app-stop APP, app-rm APP
 *            {"ok":true}; app-stop: when the app has ended, within POD_STOP_DEADLINE_MS and some.
 *            Refusals have "errno", too: ENOENT: there is no such app; EALREADY: it is being changed
 *   other    {"error":"..."}
 */

#define CONTROL_PATH	    "control.sock"
#define CONTROL_CLIENTS_MAX 16	/* at once; more wait in the listen queue */
#define CONTROL_LINE_MAX    256 /* bytes of a request */
#define CONTROL_FDS_MAX	    253 /* descriptors that come with one: SCM_MAX_FD */

enum control_verb {
	CONTROL_NONE, /* nothing to do */
	CONTROL_STATUS,
	CONTROL_STATS,
	CONTROL_STOP,
	CONTROL_KILL,
	CONTROL_PCRS,
	CONTROL_QUOTE, /* control_args() has the rest of the line */
	CONTROL_SESSION,
	CONTROL_STREAM,
	CONTROL_ATTACH,
	CONTROL_ENDPOINTS,
	CONTROL_WINSIZE,
	CONTROL_MEMORY,
	CONTROL_APP_FACTS,
	CONTROL_APP_ADD,
	CONTROL_APP_METADATA,
	CONTROL_APP_START,
	CONTROL_APP_STOP,
	CONTROL_APP_RM,
};

struct control_client {
	int fd; /* owned, -1: free */
	unsigned len;
	char line[CONTROL_LINE_MAX];
	char args[CONTROL_LINE_MAX]; /* of the verb returned last */
	uint64_t serial;	     /* of the connection */
	bool waiting;		     /* for control_answer() */
	int *fds;		     /* that came last, owned; NULL: none */
	unsigned nfds;
};

struct control {
	struct loop *loop;
	int fd;		 /* owned, listening; -1: none */
	uint64_t serial; /* of the connection made last */
	bool takes_fds;	 /* those that come with requests are kept for control_take_fds() */
	struct control_client client[CONTROL_CLIENTS_MAX];
};

/* Listen at CONTROL_PATH in the working directory, for its owner and root only. */
int control_open(struct control *control, struct loop *loop, struct error *err)
	__attribute__((nonnull));
/* Close everything and remove the socket. */
void control_close(struct control *control) __attribute__((nonnull));

/*
 * A LOOP_CONTROL event. Returns the verb a client asked for; answer it with control_reply() to the
 * same index, then call again until CONTROL_NONE: a client may have sent several.
 */
enum control_verb control_event(struct control *control, uint32_t index) __attribute__((nonnull));
/*
 * Take a client's socket out of the control socket's hands, which is the caller's then. -1: the client
 * has gone, or has sent more before it was answered.
 */
int control_take(struct control *control, uint32_t index) __attribute__((nonnull));
/* Send one line of JSON (without its newline). A client that does not take it is dropped. */
void control_reply(struct control *control, uint32_t index, const char *json)
	__attribute__((nonnull));

/* What followed the verb control_event() returned last for that client, without the blank between. */
const char *control_args(const struct control *control, uint32_t index) __attribute__((nonnull));

/*
 * The descriptors that came with what the client sent last, which are the caller's then; *ret is
 * malloc()ed. Those nobody takes are closed when others come, or with the connection.
 */
unsigned control_take_fds(struct control *control, uint32_t index, int **ret)
	__attribute__((nonnull));

/*
 * For a verb whose answer takes time: nothing more is read of the client until control_answer().
 * Returns the connection's serial number, since the index may be another client's by then.
 */
uint64_t control_wait(struct control *control, uint32_t index) __attribute__((nonnull));
/*
 * Answer it, if it still is there. What it has sent meanwhile is an event of its own: a loop with
 * level-triggered events comes to it by itself, but for lines that are in our buffer: true when
 * control_event() is to be called for the client.
 */
bool control_answer(struct control *control, uint32_t index, uint64_t serial, const char *json)
	__attribute__((nonnull));

#endif
