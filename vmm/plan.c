/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/plan.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"
#include "vmm/agent_proto.h"

static void put(struct str *out, enum plan_tag tag, const void *data, size_t len)
{
	struct {
		uint16_t tag, zero;
		uint32_t len;
	} hdr = {(uint16_t)tag, 0, (uint32_t)len};

	assert(len <= UINT32_MAX);
	str_addn(out, (const char *)&hdr, sizeof(hdr));
	if (len)
		str_addn(out, data, len);
}

static void put_string(struct str *out, enum plan_tag tag, const char *s)
{
	put(out, tag, s, strlen(s));
}

/* The name virtio-blk gives to its nth disk: vda ... vdz, vdaa ... */
static void disk_path(unsigned n, char *ret, size_t size)
{
	if (n < 26)
		snprintf(ret, size, "/dev/vd%c", 'a' + (int)n);
	else
		snprintf(ret, size, "/dev/vd%c%c", 'a' + (int)(n / 26) - 1, 'a' + (int)(n % 26));
}

uint32_t plan_flags(const struct pod_app *app, const struct plan_args *args)
{
	uint32_t flags = app->readonly_root ? PLAN_READONLY_ROOT : 0;

	if (app->tpm)
		flags |= PLAN_TPM_DEVICE;
	if (args->interactive && args->tty)
		return flags | PLAN_TTY;
	if (args->interactive || app->in == POD_STDIO_STREAM)
		flags |= PLAN_STDIN;
	return flags;
}

static void put_app(struct str *out, const struct pod_app *app, unsigned index,
		    const struct plan_args *args)
{
	uint32_t flags = plan_flags(app, args);
	uint16_t size[2] = {args->rows, args->columns};
	char disk[16];

	disk_path(index, disk, sizeof(disk));
	put_string(out, PLAN_APP, app->name);
	put_string(out, PLAN_ROOT, disk);
	for (size_t i = 0; i < app->exec.n; i++)
		put_string(out, PLAN_ARG, app->exec.v[i]);
	for (size_t i = 0; i < app->env.n; i++)
		put_string(out, PLAN_ENV, app->env.v[i]);
	put_string(out, PLAN_USER, app->user);
	put_string(out, PLAN_GROUP, app->group);
	if (app->ngids)
		put(out, PLAN_GROUPS, app->gids, app->ngids * sizeof(app->gids[0]));
	put_string(out, PLAN_WORKDIR, app->workdir);
	put(out, PLAN_FLAGS, &flags, sizeof(flags));
	if (flags & PLAN_TTY)
		put(out, PLAN_WINSIZE, size, sizeof(size));
	put(out, PLAN_CAPS, &app->caps, sizeof(app->caps));
}

int plan_build(const struct pod_spec *pod, const struct plan_args *args, uint8_t **ret,
	       size_t *ret_len, struct error *err)
{
	cleanup_str struct str out = STR_INIT;

	assert(pod->napps <= PLAN_APPS_MAX);
	put_string(&out, PLAN_HOSTNAME, args->hostname);
	if (args->tpm)
		put(&out, PLAN_TPM, NULL, 0);
	if (args->memory)
		put(&out, PLAN_MEMORY, &args->memory, sizeof(args->memory));
	for (unsigned i = 0; i < pod->napps; i++)
		put_app(&out, &pod->apps[i], i, args);
	if (out.len > AGENT_PLAN_MAX)
		return error_set(err, -E2BIG,
				 "arguments and environment of the pod's apps are too long: %zu "
				 "bytes, at most %u",
				 out.len, AGENT_PLAN_MAX);
	*ret_len = out.len;
	*ret = (uint8_t *)str_take(&out);
	return 0;
}
