/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs by which clients of control.sock become ends of a session, or of an app's streams. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/json.h"
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

/* The number args begins with, and what follows it. False: there is none up to max. */
static bool take_number(const char **args, unsigned long long max, unsigned *ret)
{
	cleanup_free char *number = xstrndup(*args, strcspn(*args, " "));
	unsigned long long n;

	if (!str_to_u64(number, max, &n))
		return false;
	*args += strlen(number);
	*args += **args == ' ';
	*ret = (unsigned)n;
	return true;
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
	cleanup_fd int fd = -1;
	unsigned session, kind;
	int raw;

	if (!take_number(&args, AGENT_SESSIONS_MAX - 1, &session) ||
	    !take_number(&args, AGENT_CONTROL - 1, &kind) || *args) {
		control_reply(&run->control, client, "{\"error\":\"no such stream\"}");
		return;
	}
	raw = fd = control_take(&run->control, client);
	if (fd < 0)
		return;
	if (relays_add(run->relays, session, kind, &fd) < 0)
		tell(raw, "{\"error\":\"no such session, or it has stream %u\"}\n", kind);
	else
		tell(raw, "{\"ok\":true}\n");
}

static int find_app(const struct podrun *run, const char *name)
{
	/* the places of a mutable pod that are free have no name */
	for (unsigned i = 0; *name && i < run->pod.napps; i++)
		if (!strcmp(run->pod.apps[i].name, name))
			return (int)i;
	return -1;
}

static const char *const kind_names[] = {"stdin", "stdout", "stderr", "tty"};

void podrun_endpoints(struct podrun *run, uint32_t client)
{
	int app = find_app(run, control_args(&run->control, client));
	cleanup_json struct json_object *root = NULL;
	struct json_object *list;

	if (app < 0) {
		control_reply(&run->control, client, "{\"error\":\"no such app\"}");
		return;
	}
	root = json_object_new_object();
	list = json_object_new_array();
	json_add(root, "endpoints", list);
	for (unsigned k = 0; k < ARRAY_SIZE(kind_names); k++)
		if (attach_offered(run->attach, (unsigned)app) & ATTACH_BIT(k))
			json_object_array_add(list, json_object_new_string(kind_names[k]));
	control_reply(&run->control, client, json_text(root));
}

void podrun_attach(struct podrun *run, uint32_t client)
{
	const char *args = control_args(&run->control, client);
	cleanup_fd int fd = -1;
	unsigned kind;
	int app = -1, raw;

	if (take_number(&args, AGENT_TTY, &kind))
		app = find_app(run, args);
	if (app < 0 || !(attach_offered(run->attach, (unsigned)app) & ATTACH_BIT(kind))) {
		control_reply(&run->control, client, "{\"error\":\"no such endpoint\"}");
		return;
	}
	raw = fd = control_take(&run->control, client);
	if (fd < 0)
		return;
	/* the answer first: output may come at once */
	tell(raw, "{\"ok\":true}\n");
	(void)!attach_add(run->attach, (unsigned)app, kind, &fd); /* too many: it is closed */
}

void podrun_winsize(struct podrun *run, uint32_t client)
{
	const char *args = control_args(&run->control, client);
	unsigned rows, columns;
	int app = -1;

	if (take_number(&args, UINT16_MAX, &rows) && take_number(&args, UINT16_MAX, &columns))
		app = find_app(run, args);
	if (app < 0 || !(attach_offered(run->attach, (unsigned)app) & ATTACH_BIT(AGENT_TTY))) {
		control_reply(&run->control, client, "{\"error\":\"no such terminal\"}");
		return;
	}
	agent_winsize(&run->agent, (uint16_t)app, (uint16_t)rows, (uint16_t)columns);
	control_reply(&run->control, client, "{\"ok\":true}");
}
