/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/plan.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "common/str.h"
#include "common/util.h"
#include "vmm/agent_proto.h"
#include "vmm/podmut.h"

#define CPU_MAX	  UINT64_C(10000000) /* thousandths: more than any machine has, and no overflow */
#define QUOTA_MIN UINT64_C(1000)     /* microseconds: the kernel takes no less */

void plan_put(struct str *out, enum plan_tag tag, const void *data, size_t len)
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
	plan_put(out, tag, s, strlen(s));
}

/* The name virtio-blk gives to its nth disk: vda ... vdz, vdaa ... */
void plan_disk_path(unsigned n, char *ret, size_t size)
{
	if (n < 26)
		snprintf(ret, size, "/dev/vd%c", 'a' + (int)n);
	else
		snprintf(ret, size, "/dev/vd%c%c", 'a' + (int)(n / 26) - 1, 'a' + (int)(n % 26));
}

static void put_disk(struct str *out, uint64_t size, unsigned n)
{
	struct plan_disk disk = {.size = size};

	plan_disk_path(n, disk.device, sizeof(disk.device));
	plan_put(out, PLAN_DISK, &disk, sizeof(disk));
}

uint32_t plan_flags(const struct pod_app *app, const struct plan_args *args)
{
	uint32_t flags = app->readonly_root ? PLAN_READONLY_ROOT : 0;

	if (app->tpm)
		flags |= PLAN_TPM_DEVICE;
	if (app->oci_user)
		flags |= PLAN_NUMBERS_FIRST | (app->primary_group ? PLAN_PRIMARY_GROUP : 0);
	if (app->iso.no_new_privs)
		flags |= PLAN_NO_NEW_PRIVS;
	if (!args->open_paths)
		flags |= PLAN_MASK_PATHS;
	if (app->notify)
		flags |= PLAN_NOTIFY;
	if ((args->interactive && args->tty) || pod_app_has_tty(app))
		return flags | PLAN_TTY;
	if (args->interactive || app->in == POD_STDIO_STREAM)
		flags |= PLAN_STDIN;
	return flags;
}

/* Of processor time: a quota in thousandths of a processor, a weight where 1024 is everybody's. */
static void put_limits(struct str *out, const struct isolators *iso)
{
	const struct plan_limits limits = {
		.memory = iso->memory,
		.cpu = iso->cpu ? (uint32_t)MAX(MIN(iso->cpu, CPU_MAX) * 100, QUOTA_MIN) : 0,
		.weight = iso->shares ? MIN(MAX(iso->shares * 100 / 1024, 1U), PLAN_WEIGHT_MAX) : 0,
	};

	if (limits.memory || limits.cpu || limits.weight)
		plan_put(out, PLAN_LIMITS, &limits, sizeof(limits));
}

#define METADATA_VARIABLE "AC_METADATA_URL="

/* The metadata service's URL is ours to say where there is one, whatever the image says. */
static void put_environment(struct str *out, const struct pod_app *app,
			    const struct plan_args *args)
{
	cleanup_free char *url = NULL;

	for (size_t i = 0; i < app->env.n; i++)
		if (!args->mds_token || !str_starts_with(app->env.v[i], METADATA_VARIABLE))
			put_string(out, PLAN_ENV, app->env.v[i]);
	if (!args->mds_token)
		return;
	url = xasprintf(METADATA_VARIABLE "http://%u.%u.%u.%u:%u/%s", AGENT_METADATA_ADDRESS >> 24,
			AGENT_METADATA_ADDRESS >> 16 & 0xff, AGENT_METADATA_ADDRESS >> 8 & 0xff,
			AGENT_METADATA_ADDRESS & 0xff, AGENT_METADATA_TCP_PORT, args->mds_token);
	put_string(out, PLAN_ENV, url);
}

void plan_volumes(struct str *out, const struct pod_spec *pod)
{
	struct plan_volume volumes[PLAN_VOLUMES_MAX];
	uint16_t nshares = 0;

	for (unsigned i = 0; i < pod->nvolumes; i++) {
		const struct pod_volume *from = &pod->volumes[i];
		struct plan_volume *to = &volumes[i];

		*to = (struct plan_volume){.mode = from->mode, .uid = from->uid, .gid = from->gid};
		if (from->kind == POD_VOLUME_HOST) {
			to->share = nshares++;
			to->flags = PLAN_VOLUME_HOST | (from->is_file ? PLAN_VOLUME_FILE : 0);
		} else if (from->seeded) {
			to->flags = PLAN_VOLUME_SEEDED;
		}
	}
	if (pod->nvolumes)
		plan_put(out, PLAN_VOLUME, volumes, pod->nvolumes * sizeof(volumes[0]));
}

static void put_mounts(struct str *out, const struct pod_app *app)
{
	for (unsigned i = 0; i < app->nmounts; i++) {
		const struct pod_mount *mount = &app->mounts[i];
		const struct plan_mount head = {
			.volume = (uint16_t)mount->volume,
			.flags = mount->read_only ? PLAN_MOUNT_READ_ONLY : 0,
		};
		cleanup_str struct str record = STR_INIT;

		str_addn(&record, (const char *)&head, sizeof(head));
		str_add(&record, mount->path);
		plan_put(out, PLAN_MOUNT, record.s, record.len);
	}
}

static void put_words(struct str *out, enum plan_tag tag, const struct strv *words)
{
	for (size_t i = 0; i < words->n; i++)
		put_string(out, tag, words->v[i]);
}

/* What a program finds that tells of its readiness. */
static void put_notify(struct str *out, const struct plan_args *args)
{
	char text[48];

	put_string(out, PLAN_ENV, "NOTIFY_SOCKET=" AGENT_NOTIFY_SOCKET);
	if (!args->watchdog_usec)
		return;
	snprintf(text, sizeof(text), "WATCHDOG_USEC=%llu", (unsigned long long)args->watchdog_usec);
	put_string(out, PLAN_ENV, text);
}

static void put_ulimits(struct str *out, const struct isolators *iso)
{
	struct plan_ulimit limits[ISOLATORS_ULIMITS_MAX];

	_Static_assert(ISOLATORS_ULIMITS_MAX <= PLAN_ULIMITS_MAX, "they fit into the plan");
	_Static_assert(ULIMIT_UNLIMITED == PLAN_UNLIMITED, "both are the kernel's");
	for (unsigned i = 0; i < iso->nulimits; i++)
		limits[i] = (struct plan_ulimit){.resource = iso->ulimits[i].resource,
						 .soft = iso->ulimits[i].soft,
						 .hard = iso->ulimits[i].hard};
	if (iso->nulimits)
		plan_put(out, PLAN_ULIMIT, limits, iso->nulimits * sizeof(limits[0]));
}

/* The pod's UUID without its dashes, as systemd-nspawn makes it. */
static void put_machine_id(struct str *out, const char *uuid)
{
	cleanup_str struct str id = STR_INIT;

	for (; *uuid; uuid++)
		if (*uuid != '-')
			str_addn(&id, uuid, 1);
	plan_put(out, PLAN_MACHINE_ID, id.s, id.len);
}

void plan_app_records(struct str *out, const struct pod_app *app, const struct plan_args *args)
{
	uint32_t flags = plan_flags(app, args);
	uint16_t size[2] = {args->rows, args->columns};

	put_words(out, PLAN_ARG, &app->exec);
	put_environment(out, app, args);
	if (app->notify)
		put_notify(out, args);
	put_words(out, PLAN_PRE_START, &app->pre_start);
	put_words(out, PLAN_POST_STOP, &app->post_stop);
	put_string(out, PLAN_USER, app->user);
	put_string(out, PLAN_GROUP, app->group);
	if (app->ngids)
		plan_put(out, PLAN_GROUPS, app->gids, app->ngids * sizeof(app->gids[0]));
	put_string(out, PLAN_WORKDIR, app->workdir);
	plan_put(out, PLAN_FLAGS, &flags, sizeof(flags));
	if (flags & PLAN_TTY)
		plan_put(out, PLAN_WINSIZE, size, sizeof(size));
	plan_put(out, PLAN_CAPS, &app->iso.caps, sizeof(app->iso.caps));
	if (app->iso.has_oom)
		plan_put(out, PLAN_OOM, &app->iso.oom, sizeof(app->iso.oom));
	put_limits(out, &app->iso);
	put_ulimits(out, &app->iso);
	put_mounts(out, app);
	if (app->filter)
		plan_put(out, PLAN_SECCOMP, app->filter, app->filter_len);
}

static void put_app(struct str *out, const struct pod_app *app, unsigned index,
		    const struct plan_args *args)
{
	char disk[16];

	plan_disk_path(index, disk, sizeof(disk));
	put_string(out, PLAN_APP, app->name);
	put_string(out, PLAN_ROOT, disk);
	plan_app_records(out, app, args);
}

/* What an app finds in /etc/hosts when its image has none (rkt-behaviour.md section 8.8). */
static void put_hosts(struct str *out, const char *hostname)
{
	cleanup_str struct str text = STR_INIT;

	str_addf(&text,
		 "# Generated by rkt run\n\n"
		 "127.0.0.1\tlocalhost localhost.domain localhost4 localhost4.localdomain4 "
		 "%s\n"
		 "::1\tlocalhost localhost.domain localhost6 localhost6.localdomain6\n",
		 hostname);
	put_string(out, PLAN_HOSTS, str_get(&text));
}

static void put_net(struct str *out, const struct podnet *net, const char *hostname)
{
	for (unsigned i = 0; i < net->nnics; i++) {
		const struct podnet_nic *nic = &net->nic[i];
		const struct plan_nic head = {.mtu = nic->mtu};

		plan_put(out, PLAN_NIC, &head, sizeof(head));
		for (unsigned k = 0; k < nic->naddresses; k++)
			plan_put(out, PLAN_ADDRESS, &nic->address[k], sizeof(nic->address[k]));
		for (unsigned k = 0; k < nic->nroutes; k++)
			plan_put(out, PLAN_ROUTE, &nic->route[k], sizeof(nic->route[k]));
	}
	if (net->hosts)
		put_string(out, PLAN_HOSTS_SET, net->hosts);
	else
		put_hosts(out, hostname);
	if (net->resolv)
		put_string(out, PLAN_RESOLV, net->resolv);
}

int plan_build(const struct pod_spec *pod, const struct plan_args *args, uint8_t **ret,
	       size_t *ret_len, struct error *err)
{
	cleanup_str struct str out = STR_INIT;

	assert(pod->napps <= PLAN_APPS_MAX);
	put_string(&out, PLAN_HOSTNAME, args->hostname);
	if (args->tpm)
		plan_put(&out, PLAN_TPM, NULL, 0);
	if (args->mutable_pod)
		plan_put(&out, PLAN_MUTABLE, NULL, 0);
	if (args->mds_token)
		plan_put(&out, PLAN_METADATA, NULL, 0);
	if (args->memory)
		plan_put(&out, PLAN_MEMORY, &args->memory, sizeof(args->memory));
	if (args->uuid)
		put_machine_id(&out, args->uuid);
	for (size_t i = 0; i < pod->sysctls.n; i++)
		put_string(&out, PLAN_SYSCTL, pod->sysctls.v[i]);
	put_net(&out, args->net, args->hostname);
	if (args->disk)
		put_disk(&out, args->disk, args->mutable_pod ? PODMUT_SLOTS : pod->napps);
	plan_volumes(&out, pod);
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
