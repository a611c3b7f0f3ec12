/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FIRMWARE_MEASURE_H
#define FIRMWARE_MEASURE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/eventlog.h"
#include "common/str.h"

/*
 * The launch measurement: what a pod is made of, as the event log that is extended into its TPM.
 * docs/measurement.md says which PCR, which event, and which bytes are hashed. The same log comes
 * out wherever the same things are launched: the caller has taken out what differs by launch (the
 * pod's UUID, the host name made of it, the size of a terminal).
 */

/* One app, in manifest order. */
struct measure_app {
	const char *name;
	struct digests rootfs;	 /* of its disk: measure_disk() */
	struct digests manifest; /* of its image's manifest, appsinfo/NAME/manifest */
};

/* Everything that is launched. Nothing is kept. */
struct measure_launch {
	const char *version; /* "tripod-vmm " and the version */
	struct digests vmm;  /* of the VMM's file */
	uint64_t vmm_size;   /* bytes of it */
	const void *tree;    /* the device tree, without where the log is */
	size_t tree_len;
	unsigned ncpus;
	uint64_t memory;  /* bytes to boot with */
	uint64_t hotplug; /* bytes that may be plugged */
	struct digests kernel;
	struct digests initrd;
	const char *cmdline;
	const struct measure_app *apps;
	unsigned napps;
	struct digests manifest; /* of the pod's manifest, the file "pod" */
	const char *const *args; /* stage1's arguments, the program's name left out */
	unsigned nargs;
	const void *plan; /* what init is told */
	size_t plan_len;
};

/*
 * Make the log. *ret is begun here and the caller's to eventlog_free(). -ENOSPC when it does not
 * fit, and then nothing is to be launched.
 */
int measure_launch(const struct measure_launch *launch, struct eventlog *ret, struct error *err)
	__attribute__((nonnull));

#define MEASURE_PCR_APPS 15 /* where apps are measured */

/*
 * The log of an app that is added to a pod that runs: what it has of the launch's, where its volumes of
 * the host come from, and the records init is told, as they are.
 */
int measure_added(const struct measure_app *app, const struct strv *sources, const void *plan,
		  size_t plan_len, struct eventlog *ret, struct error *err)
	__attribute__((nonnull));

/* The digests of a disk of n files: of the files' own digests, one after the other, in each bank. */
void measure_disk(const struct digests *files, unsigned n, struct digests *ret)
	__attribute__((nonnull));

/* What a record is about, in words for messages: "kernel", "rootfs of app web". */
void measure_describe(const struct eventlog_record *record, char *ret, size_t size)
	__attribute__((nonnull));

/*
 * Compare a log with the one that is required. 0 when they say the same; -EPERM with the first event
 * that differs, in the words of measure_describe(); -EINVAL when required is no log.
 */
int measure_compare(const void *log, size_t len, const void *required, size_t required_len,
		    struct error *err) __attribute__((nonnull));

#endif
