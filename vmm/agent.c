/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init's messages are short and of fixed maximum length, so one buffer for the message that is
 * coming in is enough and nothing a guest sends is ever refused for want of room: all offered bytes
 * are taken at once. Each message is allowed in one state of the conversation and of its app;
 * anything else means the guest is broken or worse, and ends the pod.
 *
 * Only the first connection to the control port counts. Later ones are refused as long as the pod
 * lives, since any program in the guest can dial.
 */
#include "vmm/agent.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "common/util.h"

void agent_init(struct agent *agent, struct vsock *vs, const uint8_t *plan, size_t plan_len,
		unsigned napps)
{
	assert(plan_len <= AGENT_PLAN_MAX && napps <= PLAN_APPS_MAX);
	*agent = (struct agent){
		.vs = vs,
		.state = AGENT_UNCONNECTED,
		.napps = napps,
		.apps = xcalloc(napps ? napps : 1, sizeof(struct agent_app)),
		.plan = plan,
		.plan_len = plan_len,
		.plan_hdr = {(uint32_t)plan_len, AGENT_PLAN, AGENT_ALL_APPS},
	};
}

void agent_free(struct agent *agent)
{
	free(agent->apps);
	agent->apps = NULL;
}

static void __attribute__((format(printf, 2, 3))) fail(struct agent *agent, const char *fmt, ...)
{
	va_list ap;

	if (agent->state == AGENT_DEAD)
		return;
	va_start(ap, fmt);
	vsnprintf(agent->failure, sizeof(agent->failure), fmt, ap);
	va_end(ap);
	agent->state = AGENT_DEAD;
}

bool agent_accept(struct agent *agent, unsigned conn)
{
	if (agent->state != AGENT_UNCONNECTED)
		return false;
	agent->state = AGENT_CONNECTED;
	agent->conn = conn;
	return true;
}

bool agent_owns(const struct agent *agent, unsigned conn)
{
	return agent->state != AGENT_UNCONNECTED && agent->conn == conn;
}

void agent_gone(struct agent *agent)
{
	fail(agent, "init closed its connection");
}

/* Send what the guest takes: the plan first, then what was said since. */
void agent_writable(struct agent *agent)
{
	const size_t hdr_len = sizeof(agent->plan_hdr);
	size_t n;

	if (agent->state != AGENT_TALKING || agent->held)
		return;
	if (agent->plan_sent < hdr_len) {
		agent->plan_sent += vsock_send(agent->vs, agent->conn,
					       (const uint8_t *)&agent->plan_hdr + agent->plan_sent,
					       hdr_len - agent->plan_sent);
		if (agent->plan_sent < hdr_len)
			return;
	}
	if (agent->plan_sent < hdr_len + agent->plan_len) {
		size_t at = agent->plan_sent - hdr_len;

		agent->plan_sent +=
			vsock_send(agent->vs, agent->conn, agent->plan + at, agent->plan_len - at);
		if (agent->plan_sent < hdr_len + agent->plan_len)
			return;
	}
	if (!agent->out_len)
		return;
	n = vsock_send(agent->vs, agent->conn, agent->out, agent->out_len);
	agent->out_len -= n;
	memmove(agent->out, agent->out + n, agent->out_len);
}

void agent_hold(struct agent *agent)
{
	agent->held = true;
}

void agent_release(struct agent *agent)
{
	agent->held = false;
	agent_writable(agent);
}

static bool say(struct agent *agent, enum agent_type type, uint16_t app, const void *data,
		uint32_t len)
{
	struct agent_hdr hdr = {len, (uint16_t)type, app};

	if (agent->state != AGENT_TALKING ||
	    agent->out_len + sizeof(hdr) + len > sizeof(agent->out))
		return false;
	memcpy(agent->out + agent->out_len, &hdr, sizeof(hdr));
	if (len)
		memcpy(agent->out + agent->out_len + sizeof(hdr), data, len);
	agent->out_len += sizeof(hdr) + len;
	agent_writable(agent);
	return true;
}

/* Init takes what is said of an app that it does not know for nonsense, and ends the pod. */
static bool is_live(const struct agent *agent, uint16_t app)
{
	assert(app == AGENT_ALL_APPS || app < agent->napps);
	return app == AGENT_ALL_APPS || agent->apps[app].state <= AGENT_APP_RUNNING;
}

bool agent_signal(struct agent *agent, uint16_t app, uint32_t signal)
{
	return is_live(agent, app) && say(agent, AGENT_SIGNAL, app, &signal, sizeof(signal));
}

bool agent_winsize(struct agent *agent, uint16_t app, uint16_t rows, uint16_t columns)
{
	uint16_t size[2] = {rows, columns};

	return is_live(agent, app) && say(agent, AGENT_WINSIZE, app, size, sizeof(size));
}

bool agent_session(struct agent *agent, uint16_t session, uint64_t cookie)
{
	return say(agent, AGENT_SESSION, session, &cookie, sizeof(cookie));
}

static uint32_t load32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* Text of the guest's: no NUL inside, the printer escapes the rest. */
static void copy_text(char *dst, const uint8_t *src, size_t len)
{
	for (size_t i = 0; i < len; i++)
		dst[i] = src[i] ? (char)src[i] : '?';
	dst[len] = '\0';
}

static void on_hello(struct agent *agent, const uint8_t *p, uint32_t len)
{
	if (agent->state != AGENT_CONNECTED || len != 8) {
		fail(agent, "init sent an unexpected HELLO");
	} else if (load32(p) != AGENT_VERSION) {
		fail(agent, "init speaks version %u of the protocol, not %u", load32(p),
		     AGENT_VERSION);
	} else {
		agent->state = AGENT_TALKING;
		agent_writable(agent);
	}
}

static void on_fatal(struct agent *agent, const uint8_t *p, uint32_t len)
{
	char text[AGENT_TEXT_MAX + 1];

	copy_text(text, p, len);
	fail(agent, "init: %s", text);
}

static void on_done(struct agent *agent, const struct agent_hdr *hdr, const uint8_t *p)
{
	struct agent_app *app = &agent->apps[hdr->app];
	bool adding = app->state == AGENT_APP_ADDING;
	/* a guest that did what it was not told of yet would have us give up what still goes out */
	bool early = adding && agent->plan_hdr.app == hdr->app && !agent_add_sent(agent);

	if (early || (!adding && app->state != AGENT_APP_REMOVING)) {
		fail(agent, "init sent message %u for app %u out of order", hdr->type, hdr->app);
		return;
	}
	app->code = load32(p);
	copy_text(app->text, p + 4, hdr->len - 4);
	if (app->code == 0)
		app->state = adding ? AGENT_APP_ADDED : AGENT_APP_ABSENT;
	else
		app->state = adding ? AGENT_APP_ABSENT : AGENT_APP_STUCK;
}

static void on_app(struct agent *agent, const struct agent_hdr *hdr, const uint8_t *p)
{
	struct agent_app *app;

	if (agent->state != AGENT_TALKING || hdr->app >= agent->napps) {
		fail(agent, "init sent message %u for app %u at the wrong time", hdr->type,
		     hdr->app);
		return;
	}
	app = &agent->apps[hdr->app];
	if (hdr->type == AGENT_STARTED && app->state == AGENT_APP_PENDING && hdr->len == 0) {
		app->state = AGENT_APP_RUNNING;
	} else if (hdr->type == AGENT_FAILED && app->state == AGENT_APP_PENDING && hdr->len >= 4) {
		app->code = load32(p);
		if (app->code < 1 || app->code > 255)
			app->code = AGENT_EXIT_EXEC;
		copy_text(app->text, p + 4, hdr->len - 4);
		app->state = AGENT_APP_FAILED;
	} else if (hdr->type == AGENT_DONE && hdr->len >= 4) {
		on_done(agent, hdr, p);
	} else if (hdr->type == AGENT_NOTICE && app->state == AGENT_APP_RUNNING) {
		notice_take(&app->notice, p, hdr->len);
	} else if (hdr->type == AGENT_EXITED && app->state == AGENT_APP_RUNNING && hdr->len == 4) {
		app->wait_status = load32(p);
		app->state = AGENT_APP_EXITED;
	} else {
		fail(agent, "init sent message %u for app %u out of order", hdr->type, hdr->app);
	}
}

static void on_message(struct agent *agent, const struct agent_hdr *hdr, const uint8_t *p)
{
	switch (hdr->type) {
	case AGENT_HELLO:
		on_hello(agent, p, hdr->len);
		break;
	case AGENT_STARTED:
	case AGENT_FAILED:
	case AGENT_EXITED:
	case AGENT_NOTICE:
	case AGENT_DONE:
		on_app(agent, hdr, p);
		break;
	case AGENT_FATAL:
		on_fatal(agent, p, hdr->len);
		break;
	default:
		fail(agent, "init sent message %u, which is not its to send", hdr->type);
	}
}

/* Take one byte run into the message buffer, acting on each message that is complete. */
static void feed(struct agent *agent, const uint8_t *p, size_t len)
{
	while (len && agent->state != AGENT_DEAD) {
		struct agent_hdr hdr = {0};
		size_t want = sizeof(hdr), n;

		if (agent->in_len >= sizeof(hdr)) {
			memcpy(&hdr, agent->in, sizeof(hdr));
			want += hdr.len;
		}
		n = MIN(len, want - agent->in_len);
		memcpy(agent->in + agent->in_len, p, n);
		agent->in_len += n;
		p += n;
		len -= n;
		if (agent->in_len < sizeof(hdr))
			continue;
		memcpy(&hdr, agent->in, sizeof(hdr));
		if (hdr.len > AGENT_TEXT_MAX) {
			fail(agent, "init sent a message of %u bytes", hdr.len);
		} else if (agent->in_len == sizeof(hdr) + hdr.len) {
			agent->in_len = 0;
			on_message(agent, &hdr, agent->in + sizeof(hdr));
		}
	}
}

size_t agent_data(struct agent *agent, const struct iovec *iov, unsigned n, size_t len)
{
	for (unsigned i = 0; i < n; i++)
		feed(agent, iov[i].iov_base, iov[i].iov_len);
	return len;
}

void agent_all_absent(struct agent *agent)
{
	for (unsigned i = 0; i < agent->napps; i++)
		agent->apps[i].state = AGENT_APP_ABSENT;
}

bool agent_add_sent(const struct agent *agent)
{
	return agent->plan_sent == sizeof(agent->plan_hdr) + agent->plan_len;
}

bool agent_add(struct agent *agent, uint16_t n, const uint8_t *data, size_t len)
{
	struct agent_app *app = &agent->apps[n];

	assert(n < agent->napps && len <= AGENT_ADD_MAX);
	/* what was said before goes before: it is all for others */
	if (agent->state != AGENT_TALKING || app->state != AGENT_APP_ABSENT ||
	    !agent_add_sent(agent) || agent->out_len)
		return false;
	*app = (struct agent_app){.state = AGENT_APP_ADDING};
	agent->plan = data;
	agent->plan_len = len;
	agent->plan_hdr = (struct agent_hdr){(uint32_t)len, AGENT_ADD, n};
	agent->plan_sent = 0;
	agent_writable(agent);
	return true;
}

static bool is_idle(const struct agent_app *app)
{
	return app->state == AGENT_APP_ADDED || app->state == AGENT_APP_FAILED ||
	       app->state == AGENT_APP_EXITED;
}

bool agent_start(struct agent *agent, uint16_t n)
{
	assert(n < agent->napps);
	if (!is_idle(&agent->apps[n]) || !say(agent, AGENT_START, n, "", 0))
		return false;
	agent->apps[n] = (struct agent_app){.state = AGENT_APP_PENDING};
	return true;
}

bool agent_remove(struct agent *agent, uint16_t n)
{
	assert(n < agent->napps);
	if (!is_idle(&agent->apps[n]) || !say(agent, AGENT_REMOVE, n, "", 0))
		return false;
	agent->apps[n].state = AGENT_APP_REMOVING;
	return true;
}

bool agent_all_started(const struct agent *agent)
{
	for (unsigned i = 0; i < agent->napps; i++)
		if (agent->apps[i].state == AGENT_APP_PENDING)
			return false;
	return true;
}

bool agent_all_ended(const struct agent *agent)
{
	for (unsigned i = 0; i < agent->napps; i++)
		if (agent->apps[i].state == AGENT_APP_PENDING ||
		    agent->apps[i].state == AGENT_APP_RUNNING)
			return false;
	return true;
}
