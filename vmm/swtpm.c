/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/swtpm.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/file.h"
#include "common/spawn.h"
#include "common/util.h"
#include "vmm/tpm_command.h"

#define CTRL_FD 3 /* in the child */
#define DATA_FD 4

/* Control commands (swtpm's tpm_ioctl.h) */
#define CMD_INIT	 0x02
#define CMD_SET_LOCALITY 0x05
#define CMD_CANCEL	 0x09
#define CMD_STOP	 0x0e
#define CMD_BUFFERSIZE	 0x11

#define INIT_KEEP_VOLATILE 0

#define TPM_SU_CLEAR 0x0000

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Read at least one byte before the deadline. 0 when there is none by then, -1 when the peer left. */
static ssize_t read_some(int fd, void *dst, size_t len, int64_t deadline)
{
	for (;;) {
		ssize_t n = recv(fd, dst, len, MSG_DONTWAIT);
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		int64_t left;

		if (n > 0)
			return n;
		if (n == 0 || (errno != EAGAIN && errno != EINTR))
			return -1;
		left = deadline - now_ms();
		if (left <= 0)
			left = 0;
		if (poll(&pfd, 1, (int)left) == 0)
			return 0;
	}
}

/* The data channel: raw commands and responses. */

static bool data_send(void *ctx, unsigned locality, const uint8_t *command, size_t len)
{
	struct swtpm *swtpm = ctx;

	(void)locality; /* all of them are equal to swtpm's TPM but for PCRs 17 to 22 */
	if (swtpm->data < 0 || swtpm->pending)
		return false;
	/* a socket pair takes a whole command at once: it is empty when nothing is pending */
	if (send(swtpm->data, command, len, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)len)
		return false;
	swtpm->pending = true;
	swtpm->got = 0;
	return true;
}

/* How many bytes the response has in all, as far as that is known; 0 when it is impossible. */
static size_t response_size(const struct swtpm *swtpm)
{
	uint32_t size;

	if (swtpm->got < TPM_HEADER_SIZE)
		return TPM_HEADER_SIZE;
	memcpy(&size, swtpm->response + 2, sizeof(size));
	size = be32toh(size);
	return size < TPM_HEADER_SIZE || size > sizeof(swtpm->response) ? 0 : size;
}

static int data_receive(void *ctx, uint8_t *response, size_t max, int timeout_ms)
{
	struct swtpm *swtpm = ctx;
	int64_t deadline = now_ms() + timeout_ms;
	size_t want;

	if (swtpm->data < 0 || !swtpm->pending)
		return -1;
	while ((want = response_size(swtpm)) > swtpm->got) {
		ssize_t n = read_some(swtpm->data, swtpm->response + swtpm->got, want - swtpm->got,
				      deadline);

		if (n == 0)
			return 0;
		if (n < 0)
			break;
		swtpm->got += (size_t)n;
	}
	if (want == 0 || want > swtpm->got || want > max) {
		close_fd(&swtpm->data); /* gone, or talking nonsense */
		return -1;
	}
	memcpy(response, swtpm->response, want);
	swtpm->pending = false;
	return (int)want;
}

/* The control channel: one command, one answer that begins with a result code. */
static int control(struct swtpm *swtpm, uint32_t code, const void *args, size_t len, void *reply,
		   size_t reply_len, struct error *err)
{
	int64_t deadline = now_ms() + SWTPM_TIMEOUT_MS;
	uint8_t message[64], answer[64];
	uint32_t be = htobe32(code);
	size_t got = 0, want = sizeof(be);

	assert(len <= sizeof(message) - sizeof(be) && reply_len <= sizeof(answer) - sizeof(be));
	memcpy(message, &be, sizeof(be));
	if (len > 0)
		memcpy(message + sizeof(be), args, len);
	len += sizeof(be);
	if (send(swtpm->ctrl, message, len, MSG_NOSIGNAL) != (ssize_t)len)
		return error_errno(err, "swtpm: control command %#x", code);
	while (got < want) {
		ssize_t n = read_some(swtpm->ctrl, answer + got, want - got, deadline);

		if (n <= 0)
			return error_set(err, n < 0 ? -EPIPE : -ETIMEDOUT,
					 "swtpm: control command %#x: %s", code,
					 n < 0 ? "the process has ended" : "no answer");
		got += (size_t)n;
		if (got == sizeof(be)) {
			memcpy(&be, answer, sizeof(be));
			if (be != 0)
				return error_set(err, -EIO,
						 "swtpm: control command %#x: result %#x", code,
						 be32toh(be));
			want += reply_len; /* the rest comes only with success */
		}
	}
	if (reply_len > 0)
		memcpy(reply, answer + sizeof(be), reply_len);
	return 0;
}

/*
 * Nobody waits for the answer, since a vCPU would: what has come of those before is dropped here.
 * After the launch the control channel has no other use. A TPM that does not hear of it finishes the
 * command, which is as good.
 */
static void data_cancel(void *ctx)
{
	struct swtpm *swtpm = ctx;
	uint32_t code = htobe32(CMD_CANCEL), answer[16];

	if (swtpm->ctrl < 0)
		return;
	while (recv(swtpm->ctrl, answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	(void)!send(swtpm->ctrl, &code, sizeof(code), MSG_NOSIGNAL | MSG_DONTWAIT);
}

const struct tis_backend swtpm_backend = {data_send, data_receive, data_cancel};

static int make_channel(int *ret_ours, int *ret_theirs, struct error *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_errno(err, "swtpm: socketpair");
	*ret_ours = pair[0];
	*ret_theirs = pair[1];
	return 0;
}

/*
 * It has the data channel from the start: --terminate is about that one, so that it ends with us
 * whenever that is. The control channel's end means nothing to it.
 */
int swtpm_start(struct swtpm *swtpm, int state_dir, struct error *err)
{
	char state[] = "dir=.,mode=0600";
	char ctrl_arg[] = "type=unixio,clientfd=3", data_arg[] = "4";
	char *argv[] = {"swtpm",
			"socket",
			"--tpm2",
			"--tpmstate",
			state,
			"--ctrl",
			ctrl_arg,
			"--fd",
			data_arg,
			"--seccomp",
			"action=kill",
			"--locality",
			"reject-locality-4",
			"--log",
			"file=-",
			"--terminate",
			NULL};
	cleanup_fd int ctrl = -1, data = -1, their_ctrl = -1, their_data = -1;
	struct spawn_fd fds[2];
	struct spawn_args args = {
		.path = "swtpm", .argv = argv, .cwd = state_dir, .fds = fds, .nfds = 2};
	int r = make_channel(&ctrl, &their_ctrl, err);

	if (r == 0)
		r = make_channel(&data, &their_data, err);
	if (r < 0)
		return r;
	fds[0] = (struct spawn_fd){.parent = their_ctrl, .child = CTRL_FD};
	fds[1] = (struct spawn_fd){.parent = their_data, .child = DATA_FD};
	r = spawn(&args, &swtpm->pid, &swtpm->pidfd, err);
	if (r < 0)
		return r;
	swtpm->ctrl = take_fd(&ctrl);
	swtpm->data = take_fd(&data);
	return 0;
}

/* Run one of the launch's own commands; its response carries nothing we want but success. */
static int run(struct swtpm *swtpm, struct tpm_command *c, const char *what, struct error *err)
{
	uint8_t response[TIS_BUFFER];
	struct buf buf;
	uint32_t rc;
	int n;

	tpm_end(c);
	if (!data_send(swtpm, 0, c->bytes, c->len))
		return error_set(err, -EPIPE, "swtpm: %s: the process has ended", what);
	n = data_receive(swtpm, response, sizeof(response), SWTPM_TIMEOUT_MS);
	if (n <= 0)
		return error_set(err, n < 0 ? -EPIPE : -ETIMEDOUT, "swtpm: %s: %s", what,
				 n < 0 ? "the process has ended" : "no answer");
	buf = buf_from(response, (size_t)n);
	buf_bytes(&buf, 6); /* tag and size */
	rc = buf_be32(&buf);
	if (rc != 0)
		return error_set(err, -EIO, "swtpm: %s: TPM error %#x", what, rc);
	return 0;
}

static int power_cycle(struct swtpm *swtpm, struct error *err)
{
	uint32_t flags = htobe32(INIT_KEEP_VOLATILE);
	struct tpm_command c;
	int r = control(swtpm, CMD_INIT, &flags, sizeof(flags), NULL, 0, err);

	if (r < 0)
		return r;
	tpm_begin(&c, TPM_ST_NO_SESSIONS, TPM_CC_STARTUP);
	tpm_put_u16(&c, TPM_SU_CLEAR);
	return run(swtpm, &c, "TPM2_Startup", err);
}

/* All of PCRs 0 to 23 in the two banks, none in the others. Takes effect at the next startup. */
static int allocate_banks(struct swtpm *swtpm, struct error *err)
{
	static const struct {
		uint16_t alg;
		uint8_t mask;
	} banks[] = {
		{TPM_ALG_SHA1, 0x00},
		{TPM_ALG_SHA256, 0xff},
		{TPM_ALG_SHA384, 0xff},
		{TPM_ALG_SHA512, 0x00},
	};
	struct tpm_command c;
	int r;

	tpm_begin(&c, TPM_ST_SESSIONS, TPM_CC_PCR_ALLOCATE);
	tpm_put_u32(&c, TPM_RH_PLATFORM);
	tpm_put_auth(&c, NULL, 0);
	tpm_put_u32(&c, ARRAY_SIZE(banks));
	for (size_t i = 0; i < ARRAY_SIZE(banks); i++) {
		tpm_put_u16(&c, banks[i].alg);
		tpm_put_u8(&c, EVENTLOG_PCRS / 8);
		for (unsigned byte = 0; byte < EVENTLOG_PCRS / 8; byte++)
			tpm_put_u8(&c, banks[i].mask);
	}
	r = run(swtpm, &c, "TPM2_PCR_Allocate", err);
	if (r < 0)
		return r;
	tpm_begin(&c, TPM_ST_NO_SESSIONS, TPM_CC_SHUTDOWN);
	tpm_put_u16(&c, TPM_SU_CLEAR);
	return run(swtpm, &c, "TPM2_Shutdown", err);
}

int swtpm_power_on(struct swtpm *swtpm, struct error *err)
{
	int r = power_cycle(swtpm, err);

	if (r == 0)
		r = allocate_banks(swtpm, err);
	if (r == 0)
		r = control(swtpm, CMD_STOP, NULL, 0, NULL, 0, err);
	return r < 0 ? r : power_cycle(swtpm, err);
}

static int extend(struct swtpm *swtpm, uint32_t pcr, const struct digests *digests,
		  struct error *err)
{
	struct tpm_command c;

	tpm_begin(&c, TPM_ST_SESSIONS, TPM_CC_PCR_EXTEND);
	tpm_put_u32(&c, pcr);
	tpm_put_auth(&c, NULL, 0);
	tpm_put_u32(&c, 2);
	tpm_put_u16(&c, TPM_ALG_SHA256);
	tpm_put(&c, digests->sha256, SHA256_SIZE);
	tpm_put_u16(&c, TPM_ALG_SHA384);
	tpm_put(&c, digests->sha384, SHA384_SIZE);
	return run(swtpm, &c, "TPM2_PCR_Extend", err);
}

int swtpm_extend_log(struct swtpm *swtpm, const void *log, size_t len, struct error *err)
{
	struct eventlog_reader reader;
	struct eventlog_record record;
	int r = eventlog_open(&reader, log, len, err);

	if (r < 0)
		return r;
	while ((r = eventlog_next(&reader, &record, err)) > 0) {
		if (record.type == EV_NO_ACTION)
			continue;
		r = extend(swtpm, record.pcr, &record.digests, err);
		if (r < 0)
			break;
	}
	return r;
}

int swtpm_own_platform(struct swtpm *swtpm, const uint8_t *auth, size_t len, struct error *err)
{
	struct tpm_command c;

	tpm_begin(&c, TPM_ST_SESSIONS, TPM_CC_HIERARCHYCHANGEAUTH);
	tpm_put_u32(&c, TPM_RH_PLATFORM);
	tpm_put_auth(&c, NULL, 0);
	tpm_put_u16(&c, (uint16_t)len);
	tpm_put(&c, auth, len);
	return run(swtpm, &c, "TPM2_HierarchyChangeAuth", err);
}

void swtpm_free(struct swtpm *swtpm)
{
	close_fd(&swtpm->data);
	close_fd(&swtpm->ctrl);
	if (swtpm->pid > 0)
		spawn_kill(swtpm->pid, swtpm->pidfd);
	close_fd(&swtpm->pidfd);
	*swtpm = (struct swtpm)SWTPM_NONE;
}
