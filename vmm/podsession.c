/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of a running pod: the verbs by which a client of control.sock becomes one's end. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/str.h"
#include "common/util.h"
#include "vmm/podrun_priv.h"

/* A line to a client whose connection is no longer the control socket's. */
static void __attribute__((format(printf, 2, 3))) tell(int fd, const char *fmt, ...)
{
	char line[CONTROL_LINE_MAX];
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	(void)!send(fd, line, (size_t)len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* A client's connection becomes the control stream of a new session. */
void podrun_session(struct podrun *run, uint32_t client)
{
	cleanup_fd int fd = -1;
	uint64_t cookie = 0;
	int raw, session;

	if (run->phase != PHASE_RUN || run->stopping) {
		control_reply(&run->control, client, "{\"error\":\"its apps are not running\"}");
		return;
	}
	raw = fd = control_take(&run->control, client);
	if (fd < 0)
		return;
	session = relays_open(run->relays, &fd, &cookie);
	if (session < 0)
		tell(raw, "{\"error\":\"%d sessions are open, which is all there can be\"}\n",
		     AGENT_SESSIONS_MAX);
	else if (agent_session(&run->agent, (uint16_t)session, cookie))
		tell(raw, "{\"session\":%d}\n", session);
	else
		shutdown(raw, SHUT_RDWR); /* init is deaf; the relay sees the hang-up */
}

/* ... or another stream of one, "N KIND". */
void podrun_stream(struct podrun *run, uint32_t client)
{
	const char *args = control_args(&run->control, client);
	unsigned long long session, kind;
	cleanup_free char *number = xstrndup(args, strcspn(args, " "));
	const char *rest = args + strlen(number) + (args[strlen(number)] == ' ');
	cleanup_fd int fd = -1;
	int raw;

	if (!str_to_u64(number, AGENT_SESSIONS_MAX - 1, &session) ||
	    !str_to_u64(rest, AGENT_CONTROL - 1, &kind)) {
		control_reply(&run->control, client, "{\"error\":\"no such stream\"}");
		return;
	}
	raw = fd = control_take(&run->control, client);
	if (fd < 0)
		return;
	if (relays_add(run->relays, (unsigned)session, (unsigned)kind, &fd) < 0)
		tell(raw, "{\"error\":\"no such session, or it has stream %llu\"}\n", kind);
	else
		tell(raw, "{\"ok\":true}\n");
}
