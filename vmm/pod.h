/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_POD_H
#define VMM_POD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/str.h"
#include "vmm/isolator.h"
#include "vmm/pod_port.h"
#include "vmm/pod_volume.h"

/*
 * The pod manifest (appc PodManifest, as a stage0 writes it to the file "pod") as what a machine
 * and its plan need. The manifest is hostile: it may come from --pod-manifest, and its app sections
 * from images.
 */

#define POD_NAME_MAX   128  /* bytes of an app name: it becomes a file name and an output prefix */
#define POD_WORDS_MAX  4096 /* words of one exec, environment variables of one app */
#define POD_GIDS_MAX   1024 /* supplementary groups of one app */
#define POD_NOTES_MAX  32   /* lines about what is not done */
#define POD_MEMORY_MIN (UINT64_C(128) << 20) /* every guest boots with it */
/* What the guest's kernel, init and the description of each page take: measured 21 MiB and a 64th. */
#define POD_MEMORY_RESERVE(bytes) ((UINT64_C(32) << 20) + (bytes) / 64)
#define POD_MEMORY_MAX		  (UINT64_C(1) << 42) /* 4 TiB: more than any host this runs on */
#define POD_DISK_FILES_MAX	  1024 /* files one app disk is made of: a layered image has about 130 */

/* An app that has this annotation, "on", is given the pod's TPM. */
#define POD_ANNOTATION_TPM "tripod/tpm"

/* An app whose image was made for Docker has annotations that begin with it. */
#define POD_ANNOTATION_DOCKER "appc.io/docker/"

/* An app that says when it is ready, as systemd's services do, has this, "true". */
#define POD_ANNOTATION_NOTIFY "appc.io/executor/supports-systemd-notify"

/* Apps of a pod with this, "true", come and go. */
#define POD_ANNOTATION_MUTABLE "coreos.com/rkt/stage1/mutable"

/* How one of an app's standard streams is connected (rkt-behaviour.md section 7.9). */
enum pod_stdio {
	POD_STDIO_LOG = 0, /* output: to ours. Input: /dev/null */
	POD_STDIO_NULL,
	POD_STDIO_STREAM,
	POD_STDIO_TTY,
};

struct pod_app {
	char *name;
	struct strv exec;
	struct strv env;		  /* NAME=value, with the defaults of section 7.5 */
	struct strv pre_start, post_stop; /* argv of event handlers; empty: none */
	char *user, *group, *workdir;
	uint32_t *gids;
	size_t ngids;
	struct isolators iso;
	uint8_t *filter; /* of its system calls, struct sock_filter each; made by pod_filters() */
	size_t filter_len;
	bool readonly_root;
	bool tpm;    /* it asks for the TPM: annotation tripod/tpm */
	bool notify; /* it says when it is ready */
	enum pod_stdio in, out, errout;
	struct pod_mount *mounts;
	unsigned nmounts;
	bool docker;	    /* its image was made for Docker */
	bool oci_user;	    /* user and group by OCI's rule (images.md 17.2) */
	bool primary_group; /* ... and the group is the user's own */
	int stop_signal;    /* what asks it to end */
};

struct pod_spec {
	struct pod_app *apps;
	unsigned napps;
	bool mutable_pod;	/* POD_ANNOTATION_MUTABLE */
	struct pod_port *ports; /* published */
	unsigned nports;
	struct pod_volume *volumes; /* those that are mounted */
	unsigned nvolumes;
	struct strv sysctls; /* NAME=VALUE, NAME below /proc/sys */
	struct strv notes;   /* what the manifest asks for and does not get, a line each */
};

/* Parse a manifest. *ret is the caller's to pod_free(). */
int pod_parse(const char *text, size_t len, struct pod_spec *ret, struct error *err)
	__attribute__((nonnull));
/* Read and parse the file "pod" in a pod directory. */
int pod_load(int dirfd, struct pod_spec *ret, struct error *err) __attribute__((nonnull));
void pod_free(struct pod_spec *pod) __attribute__((nonnull));

/* Whether an app's streams are a terminal for clients: one of them says so, so all are. */
static inline bool pod_app_has_tty(const struct pod_app *app)
{
	return app->in == POD_STDIO_TTY || app->out == POD_STDIO_TTY ||
	       app->errout == POD_STDIO_TTY;
}

/*
 * An AC name of at most max bytes: lower-case letters and digits, with hyphens inside, as actool takes
 * it.
 */
bool pod_name_valid(const char *s, size_t max) __attribute__((nonnull));

/* Add a line to the notes. */
void pod_note(struct pod_spec *pod, const char *fmt, ...)
	__attribute__((format(printf, 2, 3), nonnull));

/* Make the filters of the apps' system calls; once. */
void pod_filters(struct pod_spec *pod) __attribute__((nonnull));

/*
 * Guest memory in bytes: the sum of the apps' limits and POD_MEMORY_RESERVE() of it, so that apps can
 * have what they may; or dflt when no app has a limit.
 */
uint64_t pod_memory(const struct pod_spec *pod, uint64_t dflt) __attribute__((nonnull));
/* vCPUs: the sum of the apps' limits rounded up, 1 when no app has one, at most host_cpus. */
unsigned pod_cpus(const struct pod_spec *pod, unsigned host_cpus) __attribute__((nonnull));

/*
 * Open the files of an app's disk, stage1/rootfs/opt/stage2/APP/disk/{0,1,...}, read-only.
 * Together, each padded to 4 KiB, they are the app's EROFS image. At most max descriptors, the
 * caller's.
 */
int pod_open_disk(int dirfd, const struct pod_app *app, int *fds, unsigned max, unsigned *ret_n,
		  struct error *err) __attribute__((nonnull));

#endif
