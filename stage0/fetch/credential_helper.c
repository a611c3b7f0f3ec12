/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that keep credentials: docker-credential-SUFFIX get (spec/images.md 15.2). The name of
 * the server goes in, one JSON document comes out, all within a time and a size.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/json.h"
#include "common/spawn.h"
#include "common/util.h"
#include "stage0/fetch/credentials_priv.h"

#define SUFFIX_MAX 64 /* bytes */
#define NOT_FOUND  "credentials not found in native keychain"
#define TOKEN_USER "<token>" /* the user when the secret is an identity token */

int credential_helper_parse(const char *text, size_t len, const char *what, struct credential *ret,
			    struct error *err)
{
	cleanup_json struct json_object *doc = NULL;
	const char *user = NULL, *secret = NULL;
	int r = json_parse(text, len, what, &doc, err);

	if (r == 0)
		r = json_get_string(doc, "Username", &user, err);
	if (r == 0)
		r = json_get_string(doc, "Secret", &secret, err);
	if (r < 0)
		return error_wrap(err, "%s", what);
	if (!user || !secret || !*secret)
		return error_set(err, -EPROTO, "%s: gave no user or no secret", what);
	if (strcmp(user, TOKEN_USER) == 0) {
		*ret = (struct credential){.identity_token = xstrdup(secret)};
	} else {
		*ret = (struct credential){.user = xstrdup(user), .password = xstrdup(secret)};
	}
	return 1;
}

static bool suffix_valid(const char *suffix)
{
	size_t n = 0;

	while ((suffix[n] >= 'a' && suffix[n] <= 'z') || (suffix[n] >= 'A' && suffix[n] <= 'Z') ||
	       (suffix[n] >= '0' && suffix[n] <= '9') || (suffix[n] && strchr("._-", suffix[n])))
		n++;
	return n > 0 && n <= SUFFIX_MAX && suffix[n] == '\0';
}

/* Everything until the end, the deadline (clock_now_ns()) or the limit. */
static int read_output(int fd, uint64_t deadline, const char *what, struct str *ret,
		       struct error *err)
{
	for (;;) {
		struct pollfd pfd = {.fd = fd, .events = POLLIN};
		uint64_t now = clock_now_ns();
		char piece[4096];
		ssize_t n;

		if (now >= deadline)
			return error_set(err, -ETIMEDOUT, "%s: does not answer", what);
		n = poll(&pfd, 1, (int)((deadline - now) / 1000000) + 1);
		if (n == 0 || (n < 0 && errno == EINTR))
			continue;
		n = read(fd, piece, sizeof(piece));
		if (n < 0)
			return error_errno(err, "%s", what);
		if (n == 0)
			return 0;
		if (ret->len + (size_t)n > CREDENTIAL_HELPER_OUTPUT_MAX)
			return error_set(err, -EFBIG, "%s: says too much", what);
		str_addn(ret, piece, (size_t)n);
		explicit_bzero(piece, (size_t)n);
	}
}

/* Run it with server as its input; what it printed and its status. */
static int run(const char *program, const char *server, int timeout_ms, struct str *ret_output,
	       int *ret_status, struct error *err)
{
	char *const argv[] = {(char *)program, (char *)"get", NULL};
	cleanup_free char *input = xasprintf("%s\n", server);
	cleanup_fd int in = -1, feed = -1, out = -1, take = -1, pidfd = -1;
	struct spawn_args args = {.path = program, .argv = argv, .cwd = -1, .nfds = 2};
	uint64_t deadline = clock_now_ns() + (uint64_t)timeout_ms * 1000000, now;
	int to[2], from[2], r;
	pid_t pid;

	if (pipe2(to, O_CLOEXEC) < 0)
		return error_errno(err, "%s", program);
	in = to[0];
	feed = to[1];
	if (pipe2(from, O_CLOEXEC) < 0)
		return error_errno(err, "%s", program);
	take = from[0];
	out = from[1];
	/* it fits the pipe, whose other end is here: nothing waits, nothing breaks */
	r = write_all(feed, input, strlen(input));
	if (r < 0)
		return error_set(err, r, "%s: %s", program, strerror(-r));
	args.fds = (struct spawn_fd[]){{in, 0}, {out, 1}};
	r = spawn(&args, &pid, &pidfd, err);
	if (r < 0)
		return r;
	close_fd(&in);
	close_fd(&feed);
	close_fd(&out);
	r = read_output(take, deadline, program, ret_output, err);
	now = clock_now_ns();
	if (r == 0)
		r = spawn_wait(pid, pidfd, now < deadline ? (int)((deadline - now) / 1000000) : 0,
			       ret_status, err);
	if (r < 0)
		spawn_kill(pid, pidfd);
	return r;
}

int credential_helper_get(const char *suffix, const char *server, int timeout_ms,
			  struct credential *ret, struct error *err)
{
	cleanup_free char *program = xasprintf(CREDENTIAL_HELPER_PREFIX "%s", suffix);
	struct str output = STR_INIT;
	int status, r;

	if (!suffix_valid(suffix))
		return error_set(err, -EINVAL, "\"%.64s\" is no name of a credential helper",
				 suffix);
	if (strlen(server) >= 2048)
		return error_set(err, -EINVAL, "%s: the server's name is too long", program);
	r = run(program, server, timeout_ms, &output, &status, err);
	if (r == 0 && status == 0)
		r = credential_helper_parse(str_get(&output), output.len, program, ret, err);
	else if (r == 0 && !strstr(str_get(&output), NOT_FOUND))
		r = error_set(err, -EIO, "%s: failed with status %d", program, status);
	if (output.s)
		explicit_bzero(output.s, output.len);
	str_free(&output);
	return r;
}
