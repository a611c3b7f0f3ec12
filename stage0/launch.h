/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_LAUNCH_H
#define STAGE0_LAUNCH_H

#include <stdbool.h>

#include "common/error.h"
#include "common/str.h"
#include "stage0/attest/pod_tpm.h"
#include "stage0/command.h"
#include "stage0/disk.h"
#include "stage0/dns.h"
#include "stage0/fetching.h"
#include "stage0/grammar.h"
#include "stage0/image/store.h"
#include "stage0/mds.h"
#include "stage0/pod.h"
#include "stage0/pod_manifest.h"
#include "stage0/prepare.h"
#include "stage0/stage1.h"
#include "stage0/stage1_choice.h"

/* The steps run, prepare and run-prepared are made of (rkt-behaviour 2.3 to 2.5). */

/* What their options are parsed into, those of the images apart. */
struct launch_options {
	struct disk_options disk;
	struct dns_options dns;
	char *hostname;
	char *net;
	char *net_rate;
	struct strv ports;
	struct strv whole_ports, annotations, user_annotations, user_labels; /* of a sandbox */
	struct strv sysctls;
	bool inherit_env;
	bool interactive;
	bool mds_register;
	struct strv mounts; /* of all images */
	bool no_overlay;
	char *pod_manifest;
	bool quiet;
	struct strv set_env;
	struct strv set_env_file;
	struct strv volumes;
	struct stage1_choice stage1;
	struct fetching_options fetching;
	struct tpm_options tpm;
	char *uuid_file_save;
};

extern const struct option launch_app_options[];    /* of an app (struct app_request) */
extern const struct option launch_stage1_options[]; /* of commands that make a pod */
extern const struct option launch_image_options[];  /* of those that take images, too */
extern const struct option launch_pod_options[];    /* of commands that run a pod */
extern const struct option launch_run_options[];    /* of those whose apps are there, too */

struct launch {
	struct globals *globals;
	bool sandbox;  /* the pod is mutable and begins without apps */
	bool prepared; /* it was there before, and so was its manifest */
	struct launch_options *opts;
	struct image_list images;
	struct pod_request request;
	struct pods pods;
	struct pod pod;
	struct store *store;
	struct fetching fetching;
	struct stage1_image stage1;
	struct pod_app *apps; /* as many as images, or as in --pod-manifest */
	size_t napps;
	struct json_object *manifest;
	struct dns dns;
	char mds_token[MDS_TOKEN_LEN + 1];
};

#define LAUNCH_INIT(g, o)                                                                          \
	{                                                                                          \
		.globals = (g), .opts = (o), .images = IMAGE_LIST_INIT, .pods = {.fd = -1},        \
		.pod = POD_INIT                                                                    \
	}

/*
 * A command that makes a pod: read the words behind it, check all that can be checked before anything
 * is done, and go on with its steps; or show its usage, if that is asked for. What went wrong is said.
 * launch is freed. Returns the exit status: failed, or 0.
 */
int launch_command(struct launch *launch, const struct command *command, const struct strv *words,
		   int (*steps)(struct launch *launch, struct error *err), int failed)
	__attribute__((nonnull));

/* Open the pods and the store. */
int launch_open(struct launch *launch, struct error *err) __attribute__((nonnull));

/* Bring stage1 and the images into the store, make the manifest and a new pod in prepare, locked. */
int launch_create(struct launch *launch, struct error *err) __attribute__((nonnull));

/* Save the new pod's UUID if that was asked for, and fill the pod. */
int launch_prepare(struct launch *launch, struct error *err) __attribute__((nonnull));

/* Whether the options that are about running fit a pod of so many apps. */
int launch_check_run(const struct launch *launch, size_t napps, struct error *err)
	__attribute__((nonnull));

/*
 * What the prepared pod's launch would measure on that host, as an event log. The caller frees *ret.
 */
int launch_measure(struct launch *launch, const struct stage1_host *host, char **ret,
		   size_t *ret_len, struct error *err) __attribute__((nonnull));

/*
 * Move the locked pod to run and become its stage1; both their manifests are in launch. Returns only
 * to fail.
 */
int launch_exec(struct launch *launch, struct error *err) __attribute__((nonnull));

/*
 * From launch_open() on: make a pod, do something with it while it is prepared, and take it away again,
 * whatever came of that.
 */
int launch_passing(struct launch *launch, int (*with)(struct launch *launch, struct error *err),
		   struct error *err) __attribute__((nonnull));

/* Likewise, and become its stage1. Returns only to fail. */
int launch_run(struct launch *launch, struct error *err) __attribute__((nonnull));

void launch_free(struct launch *launch) __attribute__((nonnull));

#endif
