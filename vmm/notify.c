/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/str.h"
#include "common/util.h"

#define PATIENCE_S 5 /* with a manager whose queue is full */

/* The variable, which is not in the environment any more. */
static char *take_variable(const char *name)
{
	const char *value = getenv(name);
	char *copy = value ? xstrdup(value) : NULL;

	unsetenv(name);
	return copy;
}

static void read_watchdog(struct notify *notify)
{
	cleanup_free char *usec = take_variable("WATCHDOG_USEC");
	cleanup_free char *pid = take_variable("WATCHDOG_PID");
	unsigned long long n;

	if (pid && (!str_to_u64(pid, INT32_MAX, &n) || n != (unsigned long long)getpid()))
		return;
	if (usec && str_to_u64(usec, UINT64_MAX / 1000, &n) && n > 1) {
		notify->period_ns = n * 1000 / 2;
		notify->next_ns = clock_now_ns();
	}
}

int notify_open(struct notify *notify, struct error *err)
{
	cleanup_free char *path = take_variable("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	cleanup_fd int fd = -1;
	size_t len;

	*notify = (struct notify)NOTIFY_INIT;
	read_watchdog(notify);
	if (!path || !*path)
		return 0;
	len = strlen(path);
	if ((path[0] != '/' && path[0] != '@') || len >= sizeof(addr.sun_path))
		return error_set(err, -EINVAL, "NOTIFY_SOCKET: \"%s\" is no address", path);
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@') /* the abstract name space: the address is as long as the name */
		addr.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		return error_errno(err, "NOTIFY_SOCKET=%s", path);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience)) < 0)
		return error_errno(err, "SO_SNDTIMEO");
	notify->fd = take_fd(&fd);
	return 0;
}

void notify_close(struct notify *notify)
{
	close_fd(&notify->fd);
}

static void tell(const struct notify *notify, const char *text, int flags)
{
	if (notify->fd >= 0)
		(void)!send(notify->fd, text, strlen(text), MSG_NOSIGNAL | flags);
}

void notify_state(const struct notify *notify, const char *text)
{
	tell(notify, text, 0);
}

void notify_send(const struct notify *notify, const char *text)
{
	tell(notify, text, MSG_DONTWAIT);
}

void notify_watchdog(struct notify *notify, uint64_t now_ns)
{
	if (!notify->period_ns || now_ns < notify->next_ns)
		return;
	notify->next_ns = now_ns + notify->period_ns;
	notify_send(notify, "WATCHDOG=1");
}
