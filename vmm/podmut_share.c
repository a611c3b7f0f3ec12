/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's volumes of apps that are added. A mutable pod boots with windows that have no device; one
 * is there when an app brings a server for it, and init binds its driver then. When the app goes init
 * unbinds it, which resets the device, and the window is empty again.
 *
 * The servers are no children of ours, as we start nothing any more: who brings them leaves a process
 * with them (vmm/appshare.h). It ends them when the app's life line is cut, by us or by our end, and
 * says on it why one has ended by itself.
 */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/str.h"
#include "common/util.h"
#include "vmm/appshare.h"
#include "vmm/podmut_priv.h"
#include "vmm/podrun_priv.h"

#define RECORD_HEADER 8 /* of a plan's records */

/* The words a server's end is explained with come after that, at most; the servers' end as well. */
#define END_TIMEOUT_MS (2 * APPSHARE_END_TIMEOUT_MS)

static bool is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

static int free_share(const struct podrun *run, struct error *err)
{
	for (unsigned k = 0; k < PODMUT_SHARES; k++)
		if (run->mut->share[k].fd < 0 && !run->mut->share[k].dead)
			return (int)k;
	return error_set(err, -ENOSPC, "the pod's apps have %d volumes of the host at most",
			 PODMUT_SHARES);
}

/* The server at fd becomes a slot's, whose number is returned; the descriptor is the slot's. */
static int fill(struct podrun *run, unsigned i, int *fd, uint64_t features, struct error *err)
{
	int k = is_socket(*fd) ? free_share(run, err)
			       : error_set(err, -EINVAL, "a volume's server is no socket"),
	    r;

	if (k < 0)
		return k;
	r = fs_fill(run->guest->fs[k], *fd, features, err);
	if (r < 0)
		return r;
	/* not when it can be read: what it says is an answer, for whoever asked */
	r = loop_add(&run->loop, *fd, EPOLLRDHUP, LOOP_SHARE, (uint32_t)k, err);
	if (r < 0) {
		fs_empty(run->guest->fs[k]);
		return r;
	}
	run->mut->share[k].app = i;
	run->mut->share[k].fd = take_fd(fd);
	return k;
}

/* The PLAN_VOLUME record: the host's volumes by their slots. */
static int rename_shares(const struct podrun *run, const int *slot, unsigned n, struct str *volumes,
			 struct error *err)
{
	for (size_t at = RECORD_HEADER; at < volumes->len; at += sizeof(struct plan_volume)) {
		struct plan_volume volume;

		if (volumes->len - at < sizeof(volume))
			return error_set(err, -EINVAL, "the app's volumes make no sense");
		memcpy(&volume, volumes->s + at, sizeof(volume));
		volume.flags &= (uint8_t)~PLAN_VOLUME_SLOT;
		if (volume.flags & PLAN_VOLUME_HOST) {
			if (volume.share >= n)
				return error_set(err, -EINVAL,
						 "a volume of the host has no server");
			volume.flags |= PLAN_VOLUME_SLOT;
			volume.share = (uint16_t)slot[volume.share];
			volume.window = (uint8_t)(run->guest->fs_window + volume.share);
		}
		memcpy(volumes->s + at, &volume, sizeof(volume));
	}
	return 0;
}

int podmut_share_take(struct podrun *run, unsigned i, int *fds, const uint64_t *features,
		      unsigned n, struct str *volumes, struct error *err)
{
	int slot[PODMUT_SHARES], r = 0;

	if (n) {
		if (!is_socket(fds[0]))
			return error_set(err, -EINVAL, "the servers' life line is no socket");
		run->mut->slot[i].life = take_fd(&fds[0]);
		r = machine_fill_memfd(run->guest->machine, err);
	}
	for (unsigned k = 0; k < n && r >= 0; k++)
		r = slot[k] = fill(run, i, &fds[1 + k], features[k], err);
	return r < 0 ? r : rename_shares(run, slot, n, volumes, err);
}

void podmut_share_release(struct podrun *run, unsigned i)
{
	for (unsigned k = 0; k < PODMUT_SHARES; k++) {
		struct share *share = &run->mut->share[k];

		if (share->fd < 0 || share->app != i)
			continue;
		share->dead = !fs_empty(run->guest->fs[k]);
		loop_del(&run->loop, share->fd);
		close_fd(&share->fd);
	}
	close_fd(&run->mut->slot[i].life);
}

/* What is said on a life line, escaped; false: nothing. Whoever says it is the pod's owner's. */
static bool last_words(int life, struct str *ret)
{
	struct pollfd pfd = {.fd = life, .events = POLLIN};
	char text[APPSHARE_TEXT_MAX];
	ssize_t n;

	if (poll(&pfd, 1, END_TIMEOUT_MS) != 1)
		return false;
	n = recv(life, text, sizeof(text), MSG_DONTWAIT);
	if (n <= 0)
		return false;
	str_add_escaped(ret, text, (size_t)n);
	return true;
}

int podmut_share_event(struct podrun *run, uint32_t index, struct error *err)
{
	struct share *share = &run->mut->share[index];
	cleanup_str struct str words = STR_INIT;
	const char *app;

	if (share->fd < 0)
		return 0;
	app = run->pod.apps[share->app].name;
	loop_del(&run->loop, share->fd);
	fs_lost(run->guest->fs[index]);
	if (last_words(run->mut->slot[share->app].life, &words))
		return error_set(err, -EPIPE, "app %s: %s", app, words.s);
	return error_set(err, -EPIPE, "app %s: a volume's server hung up", app);
}

void podmut_share_end(struct podrun *run)
{
	for (unsigned k = 0; k < PODMUT_SHARES; k++)
		if (run->mut->share[k].fd >= 0)
			shutdown(run->mut->share[k].fd, SHUT_RDWR);
	for (unsigned i = 0; i < PODMUT_SLOTS; i++)
		if (run->mut->slot[i].life >= 0)
			shutdown(run->mut->slot[i].life, SHUT_WR);
	for (unsigned i = 0; i < PODMUT_SLOTS; i++) {
		struct pollfd pfd = {.fd = run->mut->slot[i].life};

		/* what its end is: the other side is closed */
		if (pfd.fd >= 0)
			(void)poll(&pfd, 1, END_TIMEOUT_MS);
	}
}
