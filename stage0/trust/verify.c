/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier's near side: start the confined child, feed it, take its word.
 *
 * The bytes go through a socket pair, so that a child that dies is an error of the write and not a
 * signal. Every wait has an end: the child reads or computes all the time, so one that takes
 * nothing for a minute is stuck.
 */
#include "stage0/trust/verify.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "common/util.h"
#include "stage0/image/confine.h"
#include "stage0/trust/keystore_priv.h"
#include "stage0/trust/verify_priv.h"

#define STUCK_MS 60000

struct verify {
	struct confined child;
	int fd;	       /* what the child reads, -1 once all is written */
	size_t nfiles; /* of the keyring */
};

static int start(const struct keyring *keys, const void *signature, size_t len, int fd,
		 struct confined *ret, struct error *err)
{
	struct verify_job job = {.keys = keys, .signature = signature, .len = len, .fd = fd};
	const struct confined_job child = {
		.what = "verifier of signatures",
		.prepare = verify_child_prepare,
		.run = verify_child_run,
		.arg = &job,
		.result_len = sizeof(struct signers),
		.fds = &fd,
		.nfds = fd >= 0,
	};

	return confined_start(&child, ret, err);
}

/* A confined child's word, made fit to be used: every text ended, every number in its range. */
static int check_signers(struct signers *signers, size_t nfiles, struct error *err)
{
	if (signers->n > SIGNATURES_MAX || signers->nfaults > KEY_FAULTS_MAX)
		return error_set(err, -EPROTO, "the verifier of signatures gave no sense");
	for (size_t i = 0; i < signers->n; i++) {
		struct signer *signer = &signers->signer[i];

		signer->fingerprint[FINGERPRINT_HEX] = '\0';
		signer->issuer[FINGERPRINT_HEX] = '\0';
		signer->digest[sizeof(signer->digest) - 1] = '\0';
		for (size_t k = 0; k < USER_IDS_MAX; k++)
			signer->user_ids[k][USER_ID_MAX - 1] = '\0';
		if ((unsigned)signer->verdict > SIGNATURE_UNKNOWN)
			return error_set(err, -EPROTO, "the verifier of signatures gave no sense");
	}
	for (size_t i = 0; i < signers->nfaults; i++) {
		signers->fault[i].why[sizeof(signers->fault[i].why) - 1] = '\0';
		if (signers->fault[i].file >= nfiles)
			return error_set(err, -EPROTO, "the verifier of signatures gave no sense");
	}
	return 0;
}

static int finish(struct confined *child, size_t nfiles, struct signers *ret, struct error *err)
{
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	int r = confined_finish(child, signers, STUCK_MS, err);

	if (r == 0)
		r = check_signers(signers, nfiles, err);
	if (r == 0)
		*ret = *signers;
	return r;
}

int verify_start(const struct keyring *keys, const void *signature, size_t len, struct verify **ret,
		 struct error *err)
{
	cleanup_verify struct verify *verify = xcalloc(1, sizeof(*verify));
	int pair[2], r;

	verify->child = (struct confined)CONFINED_INIT;
	verify->nfiles = keys->n;
	verify->fd = -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "socketpair");
	verify->fd = pair[0];
	r = start(keys, signature, len, pair[1], &verify->child, err);
	close(pair[1]);
	if (r < 0)
		return r;
	*ret = take_ptr(verify);
	return 0;
}

/* The child takes no more: what it said, or how it ended. */
static int died(struct verify *verify, struct error *err)
{
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	int r = finish(&verify->child, verify->nfiles, signers, err);

	return r < 0 ? r : error_set(err, -EPIPE, "the verifier of signatures ended early");
}

int verify_write(struct verify *verify, const void *bytes, size_t len, struct error *err)
{
	const char *p = bytes;

	while (len > 0) {
		struct pollfd writable = {.fd = verify->fd, .events = POLLOUT};
		ssize_t n = send(verify->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno == EAGAIN) {
			n = poll(&writable, 1, STUCK_MS);
			if (n == 0)
				return error_set(err, -ETIMEDOUT,
						 "the verifier of signatures does not get ahead");
			if (n > 0)
				n = 0;
		}
		if (n < 0 && (errno == EPIPE || errno == ECONNRESET))
			return died(verify, err);
		if (n < 0 && errno != EINTR)
			return error_errno(err, "the verifier of signatures");
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

int verify_finish(struct verify *verify, struct signers *ret, struct error *err)
{
	close_fd(&verify->fd);
	return finish(&verify->child, verify->nfiles, ret, err);
}

void verify_free(struct verify *verify)
{
	if (!verify)
		return;
	/* killed first: it must not take what was written for all there is */
	confined_end(&verify->child);
	close_fd(&verify->fd);
	free(verify);
}

int verify_bytes(const struct keyring *keys, const void *signature, size_t signature_len,
		 const void *bytes, size_t len, struct signers *ret, struct error *err)
{
	cleanup_verify struct verify *verify = NULL;
	int r = verify_start(keys, signature, signature_len, &verify, err);

	if (r < 0)
		return r;
	r = verify_write(verify, bytes, len, err);
	return r < 0 ? r : verify_finish(verify, ret, err);
}

int verify_signers(const struct keyring *keys, const void *signature, size_t len,
		   struct signers *ret, struct error *err)
{
	struct confined child = CONFINED_INIT;
	int r = start(keys, signature, len, -1, &child, err);

	if (r == 0)
		r = finish(&child, keys->n, ret, err);
	confined_end(&child);
	return r;
}
