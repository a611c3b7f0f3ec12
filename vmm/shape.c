/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/shape.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "common/str.h"
#include "common/util.h"
#include "firmware/firmware.h"
#include "vmm/guest.h"
#include "vmm/pod_rate.h"
#include "vmm/probe.h"

/*
 * Memory of a pod nobody set a limit for. Where guest kernel mode is emulated each MiB costs
 * milliseconds before the first app runs, so there it is what the guest boots with.
 */
#define MEMORY_DEFAULT		(UINT64_C(512) << 20)
#define MEMORY_DEFAULT_EMULATED GUEST_BOOT_MEMORY

#define TPM_WORD_MAX 16 /* bytes of SHAPE_TPM_FILE */
#define NUMBER_MAX   32 /* bytes of SHAPE_DISK_FILE */

void shape_probe(struct shape_host *ret)
{
	cpu_set_t set;

	ret->emulated = probe_kernel_is_emulated();
	ret->cpus = sched_getaffinity(0, sizeof(set), &set) < 0 ? 1 : (unsigned)CPU_COUNT(&set);
}

/* A line of the pod's directory; NULL when there is no such file. The caller frees *ret. */
static int read_word(const char *file, size_t max, char **ret, struct error *err)
{
	size_t len;
	int r;

	*ret = NULL;
	if (faccessat(AT_FDCWD, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
		return 0;
	r = file_read(AT_FDCWD, file, max, ret, &len, err);
	if (r == 0)
		(*ret)[strcspn(*ret, "\n")] = '\0';
	return r;
}

static int read_tpm_mode(enum tpm_mode *ret, struct error *err)
{
	static const char *const words[] = {
		[TPM_AUTO] = "auto", [TPM_ON] = "on", [TPM_OFF] = "off"};
	cleanup_free char *text = NULL;
	int r = read_word(SHAPE_TPM_FILE, TPM_WORD_MAX, &text, err);

	*ret = TPM_AUTO;
	if (r < 0 || !text)
		return r;
	for (unsigned i = 0; i < ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i]) == 0) {
			*ret = (enum tpm_mode)i;
			return 0;
		}
	}
	return error_set(err, -EINVAL, SHAPE_TPM_FILE ": neither auto nor on nor off");
}

static int read_disk(uint64_t *ret, struct error *err)
{
	cleanup_free char *text = NULL;
	unsigned long long size = 0;
	int r = read_word(SHAPE_DISK_FILE, NUMBER_MAX, &text, err);

	if (r == 0 && text && (!str_to_u64(text, INT64_MAX, &size) || size == 0))
		r = error_set(err, -EINVAL, SHAPE_DISK_FILE ": not a size");
	*ret = size;
	return r;
}

/* Who has the TPM. */
static int share_tpm(struct shape *shape, struct error *err)
{
	int r = read_tpm_mode(&shape->tpm, err);

	for (unsigned i = 0; r == 0 && i < shape->pod.napps; i++) {
		struct pod_app *app = &shape->pod.apps[i];

		if (app->tpm && shape->tpm == TPM_OFF)
			return error_set(err, -EINVAL,
					 "app %s asks for a TPM, and --tpm=off is given",
					 app->name);
		app->tpm |= shape->tpm == TPM_ON;
		shape->guest_tpm |= app->tpm;
	}
	/* an app of a mutable pod comes when the machine can not change any more */
	if (r == 0 && shape->tpm == TPM_ON)
		shape->guest_tpm = true;
	return r;
}

/* What confines the apps, unless that was not wanted. */
static void confine(const struct stage1_args *args, struct pod_spec *pod)
{
	for (unsigned i = 0; i < pod->napps; i++) {
		struct isolators *iso = &pod->apps[i].iso;

		if (args->no_caps_restriction)
			iso->caps = UINT64_MAX;
		if (args->no_seccomp)
			iso->seccomp.mode = SECCOMP_OFF;
	}
	pod_filters(pod);
}

/* A mutable pod begins without apps, and no other does. */
static int check_apps(const struct stage1_args *args, const struct pod_spec *pod, struct error *err)
{
	if (args->mutable_pod && pod->napps)
		return error_set(err, -ENOTSUP, "a mutable pod begins without apps, not with %u",
				 pod->napps);
	if (!args->mutable_pod && !pod->napps)
		return error_set(err, -EINVAL, "pod manifest: the pod has no apps");
	return 0;
}

int shape_make(const struct stage1_args *args, const struct shape_host *host, struct shape *ret,
	       struct error *err)
{
	struct shape shape = {.emulated = host->emulated};
	const char *words = getenv("RKT_HYPERVISOR_EXTRA_KERNEL_PARAMS");
	int r = pod_load(AT_FDCWD, &shape.pod, err);

	if (r < 0)
		return r;
	r = check_apps(args, &shape.pod, err);
	if (r == 0)
		r = share_tpm(&shape, err);
	if (r == 0)
		r = read_disk(&shape.disk, err);
	if (r == 0)
		r = pod_rate_read(POD_RATE_DISK, shape.disk_rate, ARRAY_SIZE(shape.disk_rate), err);
	confine(args, &shape.pod);
	if (r == 0)
		r = podnet_plan(args, &shape.pod, &shape.net, err);
	if (r < 0) {
		pod_free(&shape.pod);
		return r;
	}
	shape.words = words ? words : "";
	shape.memory = guest_memory(
		pod_memory(&shape.pod, host->emulated ? MEMORY_DEFAULT_EMULATED : MEMORY_DEFAULT));
	shape.ncpus = pod_cpus(&shape.pod, MIN(host->cpus, (unsigned)FIRMWARE_MAX_CPUS));
	shape.plan = (struct plan_args){
		.hostname = args->hostname,
		.uuid = args->uuid,
		.mds_token = args->mds_token,
		.memory = shape.memory > GUEST_BOOT_MEMORY ? shape.memory : 0,
		.interactive = args->interactive,
		.open_paths = args->no_paths,
		.tpm = shape.guest_tpm,
		.mutable_pod = args->mutable_pod,
		.disk = shape.disk,
	};
	*ret = shape;
	ret->plan.net = &ret->net;
	return 0;
}

void shape_free(struct shape *shape)
{
	podnet_free(&shape->net);
	pod_free(&shape->pod);
}
