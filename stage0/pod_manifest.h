/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_POD_MANIFEST_H
#define STAGE0_POD_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "common/json.h"
#include "common/str.h"

/*
 * The pod manifest: what the images say and what the command line says about them, made one
 * document for stage1 (rkt-behaviour 7.1, 7.5; images.md 5).
 */

#define POD_APPS_MAX 64 /* each app is a disk of the VM */

#define APP_NAME_MAX 128 /* bytes: a directory's name, and a prefix of output lines */

/* One image on the command line and what is said about it. */
struct app_request {
	char *image; /* the reference as given */
	char *exec;
	bool has_args; /* a block of arguments was given, maybe an empty one */
	struct strv args;
	char *name;
	char *user;
	char *group;
	char *supplementary_gids;
	char *working_dir;
	char *stdio[3]; /* modes of stdin, stdout and stderr, or NULL */
	bool readonly_rootfs;
	struct strv environment;      /* K=V */
	struct strv annotations;      /* K=V */
	struct strv user_annotations; /* K=V */
	struct strv user_labels;      /* K=V */
	struct strv mnt_volumes;      /* name=NAME,kind=...,target=PATH */
	char *memory;
	char *cpu;
	char *caps_retain;
	char *caps_remove;
	char *seccomp;
	char *cpu_shares;
	char *oom_score_adj;
	struct strv ulimits; /* NAME=SOFT[:HARD] */
	struct strv mounts;  /* volume=V,target=PATH */
	char *signature;     /* the file of its signature */
};

/* What is said about all of them. */
struct pod_request {
	struct strv set_env;	  /* K=V: wins over everything */
	struct strv set_env_file; /* K=V, read from files */
	struct strv inherit_env;  /* K=V: only where nothing else sets K */
	struct strv ports;	  /* NAME:[HOSTIP:]HOSTPORT */
	struct strv sysctls;	  /* NAME=VALUE */
	struct strv volumes;	  /* NAME,kind=... */
	struct strv mounts;	  /* of all apps */
	bool mutable_pod;	  /* apps come and go; there are none at first */
	struct strv whole_ports;  /* NAME:PROTO:PODPORT:HOSTIP:HOSTPORT */
	struct strv annotations, user_annotations, user_labels; /* K=V, of the pod */
	unsigned uid, gid; /* the caller's, for images without an app */
};

/* A resolved app: its request, its checked image manifest, its key in the store. */
struct pod_app {
	const struct app_request *request;
	struct json_object *image;
	const char *key;
	char *name; /* made by pod_manifest_build(), the caller frees it */
};

/*
 * Build the manifest of a pod of n apps. The images' manifests are not changed. *ret is the
 * caller's; apps[].name are set when it succeeds.
 */
int pod_manifest_build(const struct pod_request *pod, struct pod_app *apps, size_t n,
		       struct json_object **ret, struct error *err)
	__attribute__((nonnull(1, 4, 5)));

/*
 * One app of a mutable pod, as an entry of its manifest's apps; app->name is set. The caller puts *ret.
 */
int pod_manifest_app(const struct pod_request *pod, struct pod_app *app, struct json_object **ret,
		     struct error *err) __attribute__((nonnull));

/* Add the K=V lines of an environment file to env (rkt-behaviour 2.3). */
int env_file_parse(const char *text, const char *what, struct strv *env, struct error *err)
	__attribute__((nonnull));

#endif
