/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_STAGE1_H
#define STAGE0_STAGE1_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/error.h"
#include "common/json.h"
#include "stage0/command.h"
#include "stage0/pod.h"

/* The contract with stage1 (rkt-behaviour 6): find its image, call its entry points. */

#define STAGE1_GC_TIMEOUT_MS	  60000 /* rkt waits forever; a stage1 that hangs must not stop gc */
#define STAGE1_MEASURE_TIMEOUT_MS 600000 /* for all disks of a pod: 60 GB at 100 MB/s */

/*
 * The file of the stage1 image: path if not NULL, else stage1-kvm.aci beside our own program or in
 * ../lib/tripod from there. The caller frees *ret.
 */
int stage1_find(const char *path, char **ret, struct error *err) __attribute__((nonnull(2, 3)));

/* Whether the image says that it takes apps as EROFS disks rather than as directories. */
bool stage1_takes_disks(struct json_object *manifest) __attribute__((nonnull));

/*
 * The path, relative to the pod's directory, of entry point "run", "gc", ...; the caller frees
 * *ret. -ENOENT: the image does not have it.
 */
int stage1_entrypoint(struct json_object *manifest, const char *name, char **ret, struct error *err)
	__attribute__((nonnull));

/*
 * The manifest of the stage1 a pod was prepared with; the caller puts *ret. -ENOENT: it is not (or no
 * longer) there.
 */
int stage1_manifest(const struct pod *pod, struct json_object **ret, struct error *err)
	__attribute__((nonnull));

struct stage1_run {
	bool interactive;
	bool mutable_pod;
	const char *hostname;	  /* never NULL */
	bool hostname_given;	  /* by the user */
	const char *net;	  /* NULL: nothing is said */
	const char *mds_token;	  /* NULL: the pod has no metadata service */
	const char *dns_mode;	  /* NULL: the default */
	const char *local_config; /* NULL: nothing is said */
};

/* The run entry point's program and arguments for the pod where it is now. */
int stage1_arguments(const struct pods *pods, const struct pod *pod, struct json_object *manifest,
		     const struct globals *globals, const struct stage1_run *run, struct strv *ret,
		     struct error *err) __attribute__((nonnull));

/*
 * Become the run entry point, with these stage1_arguments(), of the pod, which is in run and locked.
 * Returns only to fail.
 */
int stage1_exec(const struct pods *pods, const struct pod *pod, const struct strv *argv,
		struct error *err) __attribute__((nonnull));

/* The host a pod is measured for; NULL: this one. */
struct stage1_host {
	const char *kind; /* hardware, emulated */
	const char *cpus; /* a number */
};

/*
 * The event log the pod's launch would give, as stage1 says without launching (docs/measurement.md).
 * -ENOTSUP: this stage1 can not. The caller frees *ret.
 */
int stage1_measure(const struct pods *pods, const struct pod *pod, struct json_object *manifest,
		   const struct globals *globals, const struct stage1_run *run,
		   const struct stage1_host *host, char **ret, size_t *ret_len, struct error *err)
	__attribute__((nonnull));

/*
 * Become the enter entry point of the pod's own stage1, for a command of the app called app. Returns
 * only to fail. -ENOENT: there is none.
 */
int stage1_enter(const struct pod *pod, int pid, const char *app, char *const *command,
		 struct error *err) __attribute__((nonnull));

/* Likewise its attach entry point, action being the contract's word. */
int stage1_attach(const struct pod *pod, const char *app, const char *action, struct error *err)
	__attribute__((nonnull));

/*
 * Start the stop entry point of the pod's own stage1, which ends when the pod has ended. -ENOENT:
 * there is none. The process is the caller's to wait for.
 */
int stage1_stop(const struct pod *pod, bool force, pid_t *ret_pid, int *ret_pidfd,
		struct error *err) __attribute__((nonnull));

/* Call the gc entry point of the pod's own stage1. -ENOENT: the pod has none that is whole. */
int stage1_gc(const struct pod *pod, bool debug, struct error *err) __attribute__((nonnull));

/*
 * Call entry point "app/add", "app/start", ... of the pod's own stage1 for an app, and wait for its
 * end, which has its own limits. -ENOENT: there is none.
 */
int stage1_app(const struct pod *pod, int pid, const char *name, const char *app, bool debug,
	       struct error *err) __attribute__((nonnull));

/* Whether the image can have mutable pods: it has all the entry points of their apps. */
bool stage1_is_mutable(struct json_object *manifest) __attribute__((nonnull));

#endif
