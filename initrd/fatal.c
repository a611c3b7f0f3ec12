/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/fatal.h"

#include <fcntl.h>
#include <unistd.h>

static void log_line(const char *prefix, const struct init_text *why)
{
	int kmsg = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	struct init_text line = {.len = 0};
	ssize_t n;

	init_text_add(&line, prefix);
	init_text_addn(&line, why->s, why->len);
	if (kmsg < 0)
		return;
	n = write(kmsg, line.s, line.len);
	(void)n; /* there is nowhere else to say it */
	close(kmsg);
}

void init_warn(const struct init_text *why)
{
	log_line("<4>init: ", why);
}

void init_fatal(struct init_control *control, const struct init_text *why)
{
	log_line("<2>init: ", why);
	if (control->fd >= 0 &&
	    init_control_send(control, AGENT_FATAL, AGENT_ALL_APPS, why->s, why->len) == 0) {
		/* the host ends the VM; an end of the connection says that it does not */
		control->max = 0;
		while (init_control_receive(control, true) >= 0)
			;
	}
	_exit(1);
}

void init_fatal_errno(struct init_control *control, const char *what, int code)
{
	struct init_text why;

	init_text_set(&why, code, what);
	init_text_add_errno(&why, code);
	init_fatal(control, &why);
}

void init_say(struct init_control *control, unsigned type, unsigned app, const void *payload,
	      size_t len)
{
	int r = init_control_send(control, type, app, payload, len);

	if (r < 0)
		init_fatal_errno(control, "talking to the host", r);
}
