/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams between apps and the VMM's descriptors.
 *
 * Output: each stream's bytes go to one of two sinks, our stdout and stderr. A single app's bytes
 * are written straight out of guest memory. With several apps a stream gathers a line, then the
 * line is put behind the app's name into the sink's buffer, so that lines of different apps never
 * mix. A sink that takes no more makes data() take no more; the bytes stay in the vsock's buffer,
 * the guest runs out of credit, and the app blocks in write(2): a slow reader slows its own pod and
 * nothing else. When the sink can be written again, kept bytes are offered again.
 *
 * A sink nobody reads any more (EPIPE) or that fails (a full disk) is dead: the guest is told that
 * nobody receives, so that the app gets EPIPE as it would without a VM, and what is on its way is
 * dropped.
 *
 * Input: descriptor 0 is read only when the guest has taken what was read before.
 */
#include "vmm/stream_priv.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/util.h"

/* Emit "NAME: ", the gathered part of the line, its end, a newline. False when there is no room. */
static bool emit_line(struct streams *st, struct output *out, const void *end, size_t len)
{
	size_t name_len = strlen(out->name);

	if (!sink_room(st, out->sink, name_len + 2 + out->line_len + len + 1))
		return false;
	sink_put(out->sink, out->name, name_len);
	sink_put(out->sink, ": ", 2);
	sink_put(out->sink, out->line, out->line_len);
	sink_put(out->sink, end, len);
	sink_put(out->sink, "\n", 1);
	out->line_len = 0;
	return true;
}

/* Take bytes of one run line by line; how many. Fewer than len: the sink is full. */
static size_t take_lines(struct streams *st, struct output *out, const char *p, size_t len)
{
	size_t took = 0;

	while (took < len && !out->sink->dead) {
		const char *nl = memchr(p + took, '\n', len - took);
		size_t n = nl ? (size_t)(nl - p) - took : len - took;

		if (out->line_len + n > STREAM_LINE_MAX) { /* cut it */
			n = STREAM_LINE_MAX - out->line_len;
			nl = NULL;
		}
		if (nl || out->line_len + n == STREAM_LINE_MAX) {
			if (!emit_line(st, out, p + took, n))
				break;
			took += n + (nl != NULL);
		} else {
			memcpy(out->line + out->line_len, p + took, n);
			out->line_len += n;
			took += n;
		}
	}
	return out->sink->dead ? len : took;
}

/* Output bytes of the guest, as many as the sink takes. */
static size_t take_output(struct streams *st, struct output *out, const struct iovec *iov,
			  unsigned n, size_t len)
{
	size_t took = 0;

	if (!out->sink || out->sink->dead)
		return len;
	if (!out->line) {
		while (took < len) { /* a pipe may take a part and have room again for the next */
			struct iovec rest[VQ_CHAIN_MAX];
			size_t skip = took, wrote;
			unsigned m = 0;

			for (unsigned i = 0; i < n; i++) {
				size_t part = MIN(skip, iov[i].iov_len);

				skip -= part;
				if (part < iov[i].iov_len)
					rest[m++] =
						(struct iovec){(uint8_t *)iov[i].iov_base + part,
							       iov[i].iov_len - part};
			}
			wrote = sink_writev(st, out->sink, rest, m);
			if (!wrote)
				break;
			took += wrote;
		}
		return out->sink->dead ? len : took;
	}
	for (unsigned i = 0; i < n; i++) {
		size_t part = take_lines(st, out, iov[i].iov_base, iov[i].iov_len);

		took += part;
		if (part < iov[i].iov_len)
			break;
	}
	sink_flush(st, out->sink);
	return out->sink->dead ? len : took;
}

/* The unfinished last line of a stream that has ended. */
static void finish_line(struct streams *st, struct output *out)
{
	if (!out->eof || !out->line_len || !out->sink || out->sink->dead)
		return;
	if (emit_line(st, out, "", 0))
		sink_flush(st, out->sink);
}

static void in_watch(struct streams *st, bool on)
{
	struct error ignored;

	if (st->in.watched == on || st->in.kind == FD_PLAIN)
		return;
	/* not parked but removed: a parked descriptor still reports a hang-up, again and again */
	if (on)
		on = loop_add(st->loop, st->in.fd, EPOLLIN, LOOP_STREAM_IN, 0, &ignored) == 0;
	else
		loop_del(st->loop, st->in.fd);
	st->in.watched = on;
}

/* Read more of descriptor 0. False when there is nothing now. */
static bool in_read(struct streams *st)
{
	struct pollfd poll_in = {.fd = st->in.fd, .events = POLLIN};
	ssize_t n = -1;

	do {
		errno = EAGAIN;
		if (st->in.kind == FD_SOCKET)
			n = recv(st->in.fd, st->in.buf, sizeof(st->in.buf), MSG_DONTWAIT);
		else if (st->in.kind != FD_POLLED || poll(&poll_in, 1, 0) > 0)
			n = read(st->in.fd, st->in.buf, sizeof(st->in.buf));
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return false;
	st->in.start = 0;
	st->in.len = n > 0 ? (size_t)n : 0;
	st->in.eof = n <= 0; /* EIO: the terminal has hung up */
	return true;
}

static void in_pump(struct streams *st)
{
	while (st->in.conn >= 0 && !st->in.eof_sent) {
		size_t n;

		if (!st->in.len && !st->in.eof && !in_read(st)) {
			in_watch(st, true);
			return;
		}
		if (st->in.eof) {
			st->in.eof_sent = true;
			vsock_shutdown(st->vs, (unsigned)st->in.conn, VSOCK_SHUTDOWN_SEND);
			break;
		}
		n = vsock_send(st->vs, (unsigned)st->in.conn, st->in.buf + st->in.start,
			       st->in.len);
		st->in.start += n;
		st->in.len -= n;
		if (st->in.len)
			break;
	}
	in_watch(st, false);
}

bool streams_accept(struct streams *st, unsigned conn)
{
	struct slot *slot = &st->slot[conn];

	assert(!slot->used);
	*slot = (struct slot){.used = true};
	return true;
}

static void bind_input(struct streams *st, unsigned app, unsigned conn)
{
	const struct app *a = &st->apps[app];

	if (a->offered & (ATTACH_BIT(AGENT_STDIN) | ATTACH_BIT(AGENT_TTY))) {
		st->slot[conn].attach_in = true;
		attach_input(a->attach, app, conn);
		return;
	}
	if (st->in.fd >= 0 && st->in.app == app) {
		st->in.conn = (int)conn;
		in_pump(st);
	} else {
		vsock_shutdown(st->vs, conn, VSOCK_SHUTDOWN_SEND); /* end of file at once */
	}
}

/* The stream has said what it is. False when it may not be that. */
static bool bind_stream(struct streams *st, struct slot *slot, unsigned conn)
{
	struct agent_stream hello;
	struct output *out;
	struct app *app;

	memcpy(&hello, slot->header, sizeof(hello));
	if (hello.magic != AGENT_STREAM_MAGIC || hello.zero || hello.app >= st->napps ||
	    hello.kind > AGENT_TTY)
		return false;
	app = &st->apps[hello.app];
	slot->app = hello.app;
	slot->kind = hello.kind;
	if ((hello.kind == AGENT_TTY) != !!(app->flags & PLAN_TTY))
		return false;
	if (hello.kind == AGENT_STDIN) {
		if (app->in_dialled || !(app->flags & PLAN_STDIN))
			return false;
		slot->bound = app->in_dialled = true;
		bind_input(st, hello.app, conn);
		return true;
	}
	out = &app->out[hello.kind == AGENT_STDERR];
	if (out->dialled)
		return false;
	slot->bound = out->dialled = true;
	slot->out = out;
	if (out->sink && out->sink->dead)
		vsock_shutdown(st->vs, conn, VSOCK_SHUTDOWN_RCV);
	if (hello.kind == AGENT_TTY)
		bind_input(st, hello.app, conn);
	return true;
}

static bool is_for_clients(const struct streams *st, const struct slot *slot)
{
	return slot->bound && st->apps[slot->app].offered & ATTACH_BIT(slot->kind);
}

size_t streams_data(struct streams *st, unsigned conn, const struct iovec *iov, unsigned n,
		    size_t len)
{
	struct slot *slot = &st->slot[conn];
	struct iovec rest[VQ_CHAIN_MAX];
	size_t head = 0, took;
	unsigned m = 0;

	assert(slot->used && n <= VQ_CHAIN_MAX);
	for (unsigned i = 0; i < n; i++) {
		size_t want = sizeof(slot->header) - slot->header_len;
		size_t part = MIN(want, iov[i].iov_len);

		memcpy(slot->header + slot->header_len, iov[i].iov_base, part);
		slot->header_len += (unsigned)part;
		head += part;
		if (part < iov[i].iov_len)
			rest[m++] = (struct iovec){(uint8_t *)iov[i].iov_base + part,
						   iov[i].iov_len - part};
	}
	if (slot->header_len < sizeof(slot->header))
		return len;
	if (!slot->bound && !bind_stream(st, slot, conn)) {
		slot->used = false;
		vsock_reset(st->vs, conn);
		return len;
	}
	if (!m || !slot->out)
		return len;
	st->current = (int)conn;
	took = take_output(st, slot->out, rest, m, len - head);
	st->current = -1;
	if (is_for_clients(st, slot))
		attach_output(st->apps[slot->app].attach, slot->app, slot->kind, rest, m, took);
	if (slot->out->log)
		applog_write(slot->out->log, slot->out->is_stderr, rest, m, took);
	return head + took;
}

void streams_eof(struct streams *st, unsigned conn)
{
	struct output *out = st->slot[conn].out;

	if (!out)
		return;
	if (is_for_clients(st, &st->slot[conn]))
		attach_output_end(st->apps[st->slot[conn].app].attach, st->slot[conn].app,
				  st->slot[conn].kind);
	out->eof = true;
	finish_line(st, out);
}

void streams_writable(struct streams *st, unsigned conn)
{
	if (st->in.conn == (int)conn)
		in_pump(st);
	else if (st->slot[conn].attach_in)
		attach_input_writable(st->apps[st->slot[conn].app].attach, st->slot[conn].app);
}

void streams_closed(struct streams *st, unsigned conn)
{
	if (st->in.conn == (int)conn) {
		st->in.conn = -1;
		in_watch(st, false);
	}
	if (st->slot[conn].attach_in)
		attach_input_closed(st->apps[st->slot[conn].app].attach, st->slot[conn].app);
	st->slot[conn].used = false;
}

void streams_out_ready(struct streams *st, unsigned index, uint32_t events)
{
	struct sink *sink = &st->sink[index];

	assert(index < ARRAY_SIZE(st->sink));
	if (sink->dead)
		return;
	if (events & (EPOLLERR | EPOLLHUP)) {
		sink_die(st, sink, EPIPE);
		return;
	}
	sink_watch(st, sink, false);
	sink_flush(st, sink);
	for (unsigned i = 0; i < 2 * st->napps; i++) {
		struct output *out = &st->apps[i / 2].out[i % 2];

		if (out->sink == sink)
			finish_line(st, out);
	}
	/* begin where the last round ended, so that no app starves behind a slow reader */
	for (unsigned i = 0; i < VSOCK_CONNS_MAX && !sink->blocked; i++) {
		unsigned conn = (st->next + i) % VSOCK_CONNS_MAX;
		struct slot *slot = &st->slot[conn];

		if (slot->used && slot->out && slot->out->sink == sink)
			vsock_flush(st->vs, conn);
		if (sink->blocked)
			st->next = conn + 1;
	}
}

void streams_in_ready(struct streams *st)
{
	in_pump(st);
}

/* Whether an output that was dialled has ended, and its last bytes are with its sink. */
static bool output_ended(const struct output *out)
{
	return !out->dialled || (out->eof && (!out->line_len || !out->sink || out->sink->dead));
}

static bool outputs_ended(const struct streams *st)
{
	for (unsigned i = 0; i < st->napps; i++)
		if (!streams_app_idle(st, i))
			return false;
	return true;
}

bool streams_app_idle(const struct streams *st, unsigned number)
{
	assert(number < st->napps);
	return output_ended(&st->apps[number].out[0]) && output_ended(&st->apps[number].out[1]);
}

bool streams_idle(const struct streams *st)
{
	return outputs_ended(st) && !st->sink[0].len && !st->sink[1].len;
}

bool streams_ended(const struct streams *st)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++) {
		const struct vsock_conn *c = &st->vs->conn[i];

		if (st->slot[i].used && st->slot[i].out && c->state == VSOCK_OPEN &&
		    !(c->peer_shut & VSOCK_SHUTDOWN_SEND))
			return false;
	}
	return true;
}

void streams_finish(struct streams *st)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		if (st->slot[i].used && st->slot[i].out)
			vsock_flush(st->vs, i);
	for (unsigned i = 0; i < 2 * st->napps; i++) {
		st->apps[i / 2].out[i % 2].eof = true;
		finish_line(st, &st->apps[i / 2].out[i % 2]);
	}
}

int streams_error(const struct streams *st)
{
	for (unsigned i = 0; i < ARRAY_SIZE(st->sink); i++)
		if (st->sink[i].error && st->sink[i].error != EPIPE)
			return -st->sink[i].error;
	return 0;
}

static void in_open(struct streams *st, int fd)
{
	st->in.fd = st->in.own_fd = -1;
	st->in.conn = -1;
	for (unsigned i = 0; i < st->napps && st->in.fd < 0; i++) {
		if (fd < 0 || !(st->apps[i].flags & (PLAN_TTY | PLAN_STDIN)) ||
		    st->apps[i].offered & (ATTACH_BIT(AGENT_STDIN) | ATTACH_BIT(AGENT_TTY)))
			continue;
		st->in.app = i;
		st->in.kind = sink_fd_kind(fd, O_RDONLY, &st->in.own_fd);
		st->in.fd = st->in.own_fd >= 0 ? st->in.own_fd : fd;
	}
}

/* A connection of an earlier run of the app, whose end was not seen yet, is nothing to the next. */
static void forget_connections(struct streams *st, unsigned number)
{
	for (unsigned i = 0; i < VSOCK_CONNS_MAX; i++)
		if (st->slot[i].used && st->slot[i].bound && st->slot[i].app == number) {
			st->slot[i].out = NULL;
			if (st->slot[i].attach_in)
				attach_input_closed(st->apps[number].attach, number);
			st->slot[i].attach_in = false;
		}
}

void streams_join(struct streams *st, unsigned number, const struct stream_app *app)
{
	unsigned offered = app->attach ? attach_offered(app->attach, number) : 0;
	struct app *to = &st->apps[number];

	forget_connections(st, number);
	to->flags = app->flags;
	to->in_dialled = false;
	to->attach = app->attach;
	to->offered = offered;
	for (unsigned i = 0; i < 2; i++) {
		bool discard = i ? app->discard_err : app->discard_out;
		unsigned kind = offered & ATTACH_BIT(AGENT_TTY) ? AGENT_TTY : AGENT_STDOUT + i;
		struct output *o = &to->out[i];

		o->name = app->name;
		o->dialled = o->eof = false;
		o->line_len = 0;
		o->sink = discard || offered & ATTACH_BIT(kind) ? NULL : &st->sink[i];
		o->log = discard ? NULL : app->log;
		o->is_stderr = i;
	}
}

void streams_leave(struct streams *st, unsigned number)
{
	const struct stream_app nobody = {.name = ""};

	streams_join(st, number, &nobody);
}

void streams_new(struct vsock *vs, struct loop *loop, const struct stream_app *apps, unsigned napps,
		 int in, int out, int err_fd, struct streams **ret)
{
	struct streams *st = xcalloc(1, sizeof(*st));

	st->vs = vs;
	st->loop = loop;
	st->current = -1;
	st->napps = napps;
	st->apps = xcalloc(napps ? napps : 1, sizeof(st->apps[0]));
	sink_open(st, 0, out);
	sink_open(st, 1, err_fd);
	for (unsigned i = 0; i < napps; i++) {
		streams_join(st, i, &apps[i]);
		for (unsigned k = 0; napps > 1 && k < 2; k++)
			st->apps[i].out[k].line = xcalloc(1, STREAM_LINE_MAX);
	}
	for (unsigned i = 0; i < ARRAY_SIZE(st->sink) && napps > 1; i++)
		st->sink[i].buf = xcalloc(1, STREAM_SINK_BUF);
	in_open(st, in);
	*ret = st;
}

void streams_free(struct streams *st)
{
	if (!st)
		return;
	in_watch(st, false);
	for (unsigned i = 0; i < ARRAY_SIZE(st->sink); i++) {
		if (st->sink[i].kind != FD_PLAIN && !st->sink[i].dead)
			loop_del(st->loop, st->sink[i].fd);
		close_fd(&st->sink[i].own_fd);
		free(st->sink[i].buf);
	}
	close_fd(&st->in.own_fd);
	for (unsigned i = 0; i < 2 * st->napps; i++)
		free(st->apps[i / 2].out[i % 2].line);
	free(st->apps);
	free(st);
}
