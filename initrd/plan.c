/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoder of the plan (vmm/agent_proto.h).
 *
 * Two walks over the records. The first checks every one and counts what repeats; the second, which
 * can not fail any more, hands out pointers. A record's header is 8 bytes and no longer needed once
 * the record was read, so its string is moved one byte down and gets its terminator where its last
 * byte was: no allocation, and the walk still finds the next header where it was.
 */
#include "initrd/plan.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define RECORD_HEADER 8
#define INSN_SIZE     8 /* struct sock_filter */

/* Of the tag, which is below 64, in a set of tags. */
#define BIT(tag) (UINT64_C(1) << (tag))

struct record {
	unsigned tag;
	uint8_t *data;
	uint32_t len;
};

static uint32_t le32(const uint8_t *p)
{
	return p[0] | p[1] << 8 | p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint64_t le64(const uint8_t *p)
{
	return le32(p) | (uint64_t)le32(p + 4) << 32;
}

static int refuse(struct init_text *why, const char *what, unsigned tag)
{
	init_text_set(why, 0, "plan: ");
	init_text_add(why, what);
	init_text_add(why, ", record ");
	init_text_add_num(why, tag);
	return -EINVAL;
}

/* Take the record at *pos. False when what is left is no record. */
static bool next_record(uint8_t *bytes, size_t len, size_t *pos, struct record *ret)
{
	uint8_t *p = bytes + *pos;
	size_t left = len - *pos;

	if (left < RECORD_HEADER || le16(p + 2) != 0 || le32(p + 4) > left - RECORD_HEADER)
		return false;
	*ret = (struct record){.tag = le16(p), .data = p + RECORD_HEADER, .len = le32(p + 4)};
	*pos += RECORD_HEADER + ret->len;
	return true;
}

static bool is_string(unsigned tag)
{
	switch (tag) {
	case PLAN_HOSTNAME:
	case PLAN_HOSTS:
	case PLAN_HOSTS_SET:
	case PLAN_RESOLV:
	case PLAN_SYSCTL:
	case PLAN_MACHINE_ID:
	case PLAN_APP:
	case PLAN_ROOT:
	case PLAN_ARG:
	case PLAN_ENV:
	case PLAN_PRE_START:
	case PLAN_POST_STOP:
	case PLAN_USER:
	case PLAN_GROUP:
	case PLAN_WORKDIR:
		return true;
	}
	return false;
}

/* An address and a prefix of its family. */
static bool is_network(const uint8_t *data)
{
	return (data[0] == 4 && data[1] <= 32) || (data[0] == 6 && data[1] <= 128);
}

static int32_t oom_of(const struct record *rec)
{
	return (int32_t)le32(rec->data);
}

/* Limits the kernel can be asked for. */
static const char *ulimit_fault(const struct record *rec)
{
	const size_t size = sizeof(struct plan_ulimit);

	if (rec->len % size != 0 || rec->len / size > PLAN_ULIMITS_MAX)
		return "bad length";
	for (const uint8_t *p = rec->data; p < rec->data + rec->len; p += size)
		if (le32(p) >= PLAN_ULIMITS_MAX || le64(p + 8) > le64(p + 16))
			return "out of range";
	return NULL;
}

/* A path that stays below /proc/sys, and a value. */
static const char *sysctl_fault(const struct record *rec)
{
	const uint8_t *data = rec->data, *eq = memchr(data, '=', rec->len);

	if (!eq || eq == data || data[0] == '/')
		return "no setting";
	for (const uint8_t *p = data; p + 1 < eq; p++)
		if (p[0] == '.' && p[1] == '.')
			return "no setting";
	return NULL;
}

static const char *disk_of(const struct record *rec)
{
	return (const char *)rec->data + offsetof(struct plan_disk, device);
}

static const char *volumes_fault(const struct record *rec)
{
	const size_t size = sizeof(struct plan_volume);

	if (rec->len == 0 || rec->len % size != 0 || rec->len / size > PLAN_VOLUMES_MAX)
		return "bad length";
	for (uint32_t at = 0; at < rec->len; at += size)
		if (le32(rec->data + at) > 07777 ||
		    rec->data[at + offsetof(struct plan_volume, flags)] &
			    ~(PLAN_VOLUME_HOST | PLAN_VOLUME_FILE | PLAN_VOLUME_SEEDED |
			      PLAN_VOLUME_SLOT))
			return "out of range";
	return NULL;
}

static const char *mount_fault(const struct record *rec)
{
	const size_t head = sizeof(struct plan_mount);

	if (rec->len <= head + 1 || rec->len - head >= PATH_MAX)
		return "bad length";
	if (rec->data[offsetof(struct plan_mount, flags)] & ~PLAN_MOUNT_READ_ONLY)
		return "unknown flag";
	if (rec->data[head] != '/')
		return "not absolute";
	return memchr(rec->data + head, 0, rec->len - head) ? "NUL in a string" : NULL;
}

/* What is wrong with the record taken alone, or NULL. */
static const char *record_fault(const struct record *rec)
{
	switch (rec->tag) {
	case PLAN_ARG:
	case PLAN_ENV:
	case PLAN_PRE_START:
	case PLAN_POST_STOP:
		break; /* any string, also an empty one */
	case PLAN_WORKDIR:
		if (rec->len == 0 || rec->data[0] != '/')
			return "not absolute";
		break;
	case PLAN_HOSTS:
	case PLAN_HOSTS_SET:
	case PLAN_RESOLV:
		break;
	case PLAN_NIC:
		return rec->len == sizeof(struct plan_nic) ? NULL : "bad length";
	case PLAN_ADDRESS:
		if (rec->len != sizeof(struct plan_address))
			return "bad length";
		return is_network(rec->data) ? NULL : "no address";
	case PLAN_ROUTE:
		if (rec->len != sizeof(struct plan_route))
			return "bad length";
		return is_network(rec->data) ? NULL : "no network";
	case PLAN_SYSCTL:
		if (sysctl_fault(rec))
			return sysctl_fault(rec);
		break;
	case PLAN_ULIMIT:
		return ulimit_fault(rec);
	case PLAN_HOSTNAME:
	case PLAN_MACHINE_ID:
	case PLAN_APP:
	case PLAN_ROOT:
	case PLAN_USER:
	case PLAN_GROUP:
		if (rec->len == 0)
			return "empty string";
		break;
	case PLAN_VOLUME:
		return volumes_fault(rec);
	case PLAN_MOUNT:
		return mount_fault(rec);
	case PLAN_TPM:
	case PLAN_MUTABLE:
	case PLAN_METADATA:
		return rec->len == 0 ? NULL : "bad length";
	case PLAN_DISK:
		if (rec->len != sizeof(struct plan_disk))
			return "bad length";
		return disk_of(rec)[0] == '/' && rec->data[rec->len - 1] == 0 ? NULL : "no device";
	case PLAN_MEMORY:
	case PLAN_CAPS:
		return rec->len == 8 ? NULL : "bad length";
	case PLAN_WINSIZE:
		return rec->len == 4 ? NULL : "bad length";
	case PLAN_GROUPS:
		if (rec->len % 4 != 0 || rec->len / 4 > INIT_GROUPS_MAX)
			return "bad length";
		return NULL;
	case PLAN_OOM:
		if (rec->len != 4)
			return "bad length";
		return oom_of(rec) < -1000 || oom_of(rec) > 1000 ? "out of range" : NULL;
	case PLAN_LIMITS:
		if (rec->len != sizeof(struct plan_limits))
			return "bad length";
		return le32(rec->data + 12) > PLAN_WEIGHT_MAX ? "out of range" : NULL;
	case PLAN_SECCOMP:
		if (rec->len == 0 || rec->len % INSN_SIZE != 0 ||
		    rec->len / INSN_SIZE > PLAN_SECCOMP_MAX)
			return "bad length";
		return NULL;
	case PLAN_FLAGS:
		if (rec->len != 4)
			return "bad length";
		if (le32(rec->data) &
		    ~(uint32_t)(PLAN_TTY | PLAN_STDIN | PLAN_READONLY_ROOT | PLAN_TPM_DEVICE |
				PLAN_NO_NEW_PRIVS | PLAN_MASK_PATHS | PLAN_NUMBERS_FIRST |
				PLAN_PRIMARY_GROUP | PLAN_NOTIFY))
			return "unknown flag";
		return NULL;
	default:
		return "unknown";
	}
	return memchr(rec->data, 0, rec->len) ? "NUL in a string" : NULL;
}

/* What is wrong with one more record of a NIC, or NULL; counts it. */
static const char *nic_fault(unsigned tag, struct init_plan *plan)
{
	struct init_plan_nic *nic = plan->nnics ? &plan->nic[plan->nnics - 1] : NULL;

	if (tag == PLAN_NIC)
		return plan->nnics++ < PLAN_NICS_MAX ? NULL : "too many NICs";
	if (!nic)
		return "without a NIC";
	if (tag == PLAN_ADDRESS)
		return nic->naddresses++ < PLAN_ADDRESSES_MAX ? NULL : "too many addresses";
	return nic->nroutes++ < PLAN_ROUTES_MAX ? NULL : "too many routes";
}

static void count_word(struct init_plan_app *app, unsigned tag)
{
	if (tag == PLAN_ARG)
		app->nargs++;
	else if (tag == PLAN_ENV)
		app->nenv++;
	else if (tag == PLAN_PRE_START)
		app->npre++;
	else if (tag == PLAN_POST_STOP)
		app->npost++;
}

/* Check all records, alone and together. seen is a bit per tag of the app (or the pod) so far. */
static int check(uint8_t *bytes, size_t len, uint64_t needed, struct init_plan *plan,
		 struct init_text *why)
{
	const uint64_t of_nic = BIT(PLAN_NIC) | BIT(PLAN_ADDRESS) | BIT(PLAN_ROUTE);
	const uint64_t repeatable = BIT(PLAN_ARG) | BIT(PLAN_ENV) | BIT(PLAN_PRE_START) |
				    BIT(PLAN_POST_STOP) | BIT(PLAN_SYSCTL) | BIT(PLAN_MOUNT) |
				    of_nic;
	struct init_plan_app *app = NULL;
	struct record rec = {.tag = 0};
	uint64_t seen = 0;
	size_t pos = 0;

	while (pos < len) {
		const char *fault;

		if (!next_record(bytes, len, &pos, &rec))
			return refuse(why, "truncated after", rec.tag);
		fault = record_fault(&rec);
		if (fault)
			return refuse(why, fault, rec.tag);
		if (rec.tag == PLAN_APP) {
			if (app && (seen & needed) != needed)
				return refuse(why, "app without what it needs before", rec.tag);
			if (plan->napps == PLAN_APPS_MAX)
				return refuse(why, "too many apps", rec.tag);
			app = &plan->app[plan->napps++];
			seen = 0;
		} else if ((rec.tag < PLAN_APP) != !app) {
			return refuse(why, "out of place", rec.tag);
		}
		if (seen & BIT(rec.tag) & ~repeatable)
			return refuse(why, "repeated", rec.tag);
		seen |= BIT(rec.tag);
		if (of_nic & BIT(rec.tag) && (fault = nic_fault(rec.tag, plan)))
			return refuse(why, fault, rec.tag);
		count_word(app, rec.tag);
		if (rec.tag == PLAN_VOLUME)
			plan->nvolumes = rec.len / sizeof(struct plan_volume);
		else if (rec.tag == PLAN_MOUNT && le16(rec.data) >= plan->nvolumes)
			return refuse(why, "no such volume", rec.tag);
		else if (rec.tag == PLAN_MOUNT && app->nmounts++ == PLAN_MOUNTS_MAX)
			return refuse(why, "too many", rec.tag);
		else if (rec.tag == PLAN_SYSCTL && plan->nsysctls++ == PLAN_SYSCTLS_MAX)
			return refuse(why, "too many", rec.tag);
	}
	if (!app && seen & BIT(PLAN_MUTABLE))
		return 0;
	if (!app || (seen & needed) != needed)
		return refuse(why, "app without what it needs before the end after", rec.tag);
	return 0;
}

static char *terminate(const struct record *rec)
{
	char *s = (char *)rec->data - 1;

	memmove(s, rec->data, rec->len);
	s[rec->len] = '\0';
	return s;
}

/* The path of a mount; its head stays before it, but for the last byte, which is zero. */
static char *take_path(const struct record *rec)
{
	const struct record path = {.data = rec->data + sizeof(struct plan_mount),
				    .len = rec->len - sizeof(struct plan_mount)};

	return terminate(&path);
}

struct plan_mount init_plan_mount(const struct init_plan_app *app, unsigned mount)
{
	const uint8_t *path = (const uint8_t *)app->mounts[mount];
	const uint8_t *head = path + 1 - sizeof(struct plan_mount);

	return (struct plan_mount){.volume = le16(head), .flags = head[2]};
}

struct plan_volume init_plan_volume(const struct init_plan *plan, unsigned volume)
{
	struct plan_volume ret;

	memcpy(&ret, plan->volumes + volume * sizeof(ret), sizeof(ret));
	return ret;
}

/* Where the next word of each of an app's vectors goes. */
struct words {
	char **arg, **env, **pre, **post;
};

/* Room for the app's vectors in the pool. Returns what is left of it. */
static char **lay_out(struct init_plan_app *app, char **pool, struct words *ret)
{
	ret->arg = app->argv = pool;
	ret->env = app->envp = app->argv + app->nargs + 1;
	ret->pre = app->pre_start = app->envp + app->nenv + 1;
	ret->post = app->post_stop = app->pre_start + app->npre + 1;
	app->argv[app->nargs] = app->envp[app->nenv] = NULL;
	app->pre_start[app->npre] = app->post_stop[app->npost] = NULL;
	app->mounts = app->post_stop + app->npost + 1;
	pool = app->mounts + app->nmounts;
	app->nmounts = 0;
	return pool;
}

static void take(struct init_plan_app *app, const struct record *rec, char *s, struct words *words)
{
	switch (rec->tag) {
	case PLAN_ROOT:
		app->root = s;
		break;
	case PLAN_ARG:
		*words->arg++ = s;
		break;
	case PLAN_ENV:
		*words->env++ = s;
		break;
	case PLAN_PRE_START:
		*words->pre++ = s;
		break;
	case PLAN_POST_STOP:
		*words->post++ = s;
		break;
	case PLAN_USER:
		app->user = s;
		break;
	case PLAN_GROUP:
		app->group = s;
		break;
	case PLAN_WORKDIR:
		app->workdir = s;
		break;
	case PLAN_GROUPS:
		app->groups = rec->data;
		app->ngroups = rec->len / 4;
		break;
	case PLAN_FLAGS:
		app->flags = le32(rec->data);
		break;
	case PLAN_WINSIZE:
		app->rows = le16(rec->data);
		app->columns = le16(rec->data + 2);
		break;
	case PLAN_CAPS:
		app->caps = le64(rec->data);
		break;
	case PLAN_OOM:
		app->has_oom = true;
		app->oom = oom_of(rec);
		break;
	case PLAN_LIMITS:
		memcpy(&app->limits, rec->data, sizeof(app->limits));
		break;
	case PLAN_ULIMIT:
		app->ulimits = rec->data;
		app->nulimits = rec->len / sizeof(struct plan_ulimit);
		break;
	case PLAN_SECCOMP:
		app->filter = rec->data;
		app->nfilter = rec->len / INSN_SIZE;
		break;
	}
}

static void take_nic(struct init_plan *plan, const struct record *rec)
{
	struct init_plan_nic *nic;

	if (rec->tag == PLAN_NIC) {
		nic = &plan->nic[plan->nnics++];
		nic->mtu = le16(rec->data);
		nic->naddresses = nic->nroutes = 0;
		return;
	}
	nic = &plan->nic[plan->nnics - 1];
	if (rec->tag == PLAN_ADDRESS)
		memcpy(&nic->address[nic->naddresses++], rec->data, rec->len);
	else
		memcpy(&nic->route[nic->nroutes++], rec->data, rec->len);
}

static void take_pod(struct init_plan *plan, const struct record *rec, const char *s)
{
	switch (rec->tag) {
	case PLAN_HOSTNAME:
		plan->hostname = s;
		break;
	case PLAN_VOLUME:
		plan->volumes = rec->data;
		break;
	case PLAN_MUTABLE:
		plan->mutable = true;
		break;
	case PLAN_TPM:
		plan->tpm = true;
		break;
	case PLAN_DISK:
		plan->disk = disk_of(rec);
		break;
	case PLAN_METADATA:
		plan->metadata = true;
		break;
	case PLAN_HOSTS:
		plan->hosts = s;
		break;
	case PLAN_HOSTS_SET:
		plan->hosts_set = s;
		break;
	case PLAN_RESOLV:
		plan->resolv = s;
		break;
	case PLAN_MEMORY:
		plan->memory = le64(rec->data);
		break;
	case PLAN_SYSCTL:
		plan->sysctl[plan->nsysctls++] = s;
		break;
	case PLAN_MACHINE_ID:
		plan->machine_id = s;
		break;
	default:
		take_nic(plan, rec);
	}
}

static int decode(uint8_t *bytes, size_t len, uint64_t needed, char **pool, struct init_plan *ret,
		  struct init_text *why)
{
	struct init_plan_app *app = NULL;
	struct words words = {.arg = NULL};
	struct record rec;
	size_t pos = 0;
	int r;

	memset(ret, 0, sizeof(*ret));
	r = check(bytes, len, needed, ret, why);
	if (r < 0)
		return r;

	ret->napps = ret->nnics = ret->nsysctls = 0;
	while (pos < len && next_record(bytes, len, &pos, &rec)) {
		char *s = is_string(rec.tag) ? terminate(&rec) : NULL;

		if (rec.tag < PLAN_APP) {
			take_pod(ret, &rec, s);
		} else if (rec.tag == PLAN_APP) {
			app = &ret->app[ret->napps++];
			app->name = s;
			app->user = app->group = "0";
			app->workdir = "/";
			pool = lay_out(app, pool, &words);
		} else if (rec.tag == PLAN_MOUNT) {
			app->mounts[app->nmounts++] = take_path(&rec);
		} else {
			take(app, &rec, s, &words);
		}
	}
	return 0;
}

int init_plan_decode(uint8_t *bytes, size_t len, char **pool, struct init_plan *ret,
		     struct init_text *why)
{
	return decode(bytes, len, BIT(PLAN_ROOT) | BIT(PLAN_ARG) | BIT(PLAN_CAPS), pool, ret, why);
}

int init_request_decode(uint8_t *bytes, size_t len, char **pool, struct init_plan_app *ret,
			struct init_text *why)
{
	static struct init_plan plan;
	int r;

	if (len < RECORD_HEADER || le16(bytes) != PLAN_APP)
		return refuse(why, "not an app", 0);
	r = decode(bytes, len, BIT(PLAN_ARG), pool, &plan, why);
	if (r == 0 && plan.napps != 1)
		r = refuse(why, "more than one app", PLAN_APP);
	if (r == 0)
		*ret = plan.app[0];
	return r;
}
