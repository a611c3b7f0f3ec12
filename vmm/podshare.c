/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/podshare.h"

#include <assert.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "common/util.h"

unsigned podshares_count(const struct pod_spec *pod)
{
	unsigned n = 0;

	for (unsigned i = 0; i < pod->nvolumes; i++)
		n += pod->volumes[i].kind == POD_VOLUME_HOST;
	return n;
}

static int start(struct podshare *share, struct error *err)
{
	const struct pod_volume *volume = share->volume;
	const struct virtiofsd_share served = {
		.path = volume->source,
		.read_only = volume->read_only,
		.recursive = volume->recursive,
		.is_file = volume->is_file,
	};

	return virtiofsd_start(&share->server, &served, &share->fd, err) < 0
		       ? error_wrap(err, "volume %s", volume->name)
		       : 0;
}

int podshares_start(struct podshares *shares, const struct pod_spec *pod, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < pod->nvolumes; i++) {
		struct podshare *share = &shares->v[shares->n];

		if (pod->volumes[i].kind != POD_VOLUME_HOST)
			continue;
		assert(shares->n < POD_SHARES_MAX);
		shares->n++;
		*share = (struct podshare){
			.volume = &pod->volumes[i], .server = VIRTIOFSD_NONE, .fd = -1};
		r = start(share, err);
	}
	return r;
}

/* Why a server can not be used: what we saw of it, unless it has ended and says more. */
static int explain(struct podshare *share, const struct error *seen, struct error *err)
{
	if (seen->code && seen->code != -EPIPE)
		*err = *seen;
	else
		virtiofsd_why(&share->server, err);
	return error_wrap(err, "volume %s", share->volume->name);
}

int podshares_wait(struct podshares *shares, struct loop *loop, struct error *err)
{
	int r = 0;

	for (unsigned i = 0; r == 0 && i < shares->n; i++) {
		struct podshare *share = &shares->v[i];
		struct error why = ERROR_INIT;

		if (fs_meet(share->fs, &why) < 0)
			return explain(share, &why, err);
		/* not when it can be read: what it says is an answer, for whoever asked */
		r = loop_add(loop, share->fd, EPOLLRDHUP, LOOP_SHARE, i, err);
	}
	return r;
}

int podshares_event(struct podshares *shares, struct loop *loop, uint32_t index, struct error *err)
{
	struct podshare *share = &shares->v[index];

	assert(index < shares->n);
	loop_del(loop, share->fd);
	fs_lost(share->fs);
	return explain(share, &share->fs->why, err);
}

void podshares_end(struct podshares *shares)
{
	for (unsigned i = 0; i < shares->n; i++)
		shutdown(shares->v[i].fd, SHUT_RDWR);
	for (unsigned i = 0; i < shares->n; i++)
		virtiofsd_end(&shares->v[i].server);
}

void podshares_free(struct podshares *shares)
{
	for (unsigned i = 0; i < shares->n; i++) {
		virtiofsd_free(&shares->v[i].server);
		close_fd(&shares->v[i].fd);
	}
	shares->n = 0;
}
