/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_LAUNCH_H
#define VMM_LAUNCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/digestcache.h"
#include "common/error.h"
#include "common/eventlog.h"
#include "firmware/firmware.h"
#include "firmware/measure.h"
#include "vmm/agent_proto.h"
#include "vmm/plan.h"
#include "vmm/pod.h"
#include "vmm/stage1.h"

/*
 * A pod's launch as what is measured of it (docs/measurement.md). launch_log() is the one way to the
 * event log: a launch calls it with what it is about to start, launch_measure() with the same things
 * and no machine.
 */

#define LAUNCH_LOG_FILE	     "measurements"
#define LAUNCH_REQUIRED_FILE "require-measured"
#define LAUNCH_TOKEN	     "TOKEN" /* what is measured in the place of the metadata service's */

/* Parts that are digests of files, gathered as the files are opened. */
struct launch_parts {
	struct digestcache cache;
	struct digests vmm, kernel, initrd, manifest;
	uint64_t vmm_size;
	struct measure_app apps[PLAN_APPS_MAX];
	unsigned napps;
};

/* Open the cache the environment names (TRIPOD_DIGESTS); without one, files are read. */
void launch_begin(struct launch_parts *parts) __attribute__((nonnull));
void launch_end(struct launch_parts *parts) __attribute__((nonnull));

/* The next app: its disk's files and its manifest. */
int launch_add_app(struct launch_parts *parts, int pod_dir, const struct pod_app *app,
		   const int *disk, unsigned ndisk, struct error *err) __attribute__((nonnull));
/* This program, the pod's manifest, the open kernel and initrd. */
int launch_add_files(struct launch_parts *parts, int pod_dir, int kernel, int initrd,
		     struct error *err) __attribute__((nonnull));

/* All parts and the machine they are put in. machine.cmdline is set, its descriptors are not used. */
struct launch {
	const struct launch_parts *parts;
	const struct firmware_params *machine;
	uint64_t memory, hotplug; /* bytes */
	const struct pod_spec *pod;
	const struct stage1_args *args;
	const struct plan_args *plan;
};

/* Make the log; *ret is the caller's to eventlog_free(). */
int launch_log(const struct launch *launch, struct eventlog *ret, struct error *err)
	__attribute__((nonnull));

/*
 * Write the log to LAUNCH_LOG_FILE of the pod's directory and hold it against LAUNCH_REQUIRED_FILE,
 * if that is there: -EPERM with the first event that differs.
 */
int launch_record(int pod_dir, const struct eventlog *log, struct error *err)
	__attribute__((nonnull));

/*
 * "tripod-vmm --measure [--host=KIND] [--host-cpus=N] ARGUMENTS UUID", without the first: write the
 * log of the pod in the working directory to standard output.
 */
int launch_measure(int argc, char **argv, struct error *err) __attribute__((nonnull));

#endif
