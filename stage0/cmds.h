/* SPDX-License-Identifier: Apache-2.0 */
#ifndef STAGE0_CMDS_H
#define STAGE0_CMDS_H

#include "stage0/command.h"

extern const struct command cmd_app;
extern const struct command cmd_app_add;
extern const struct command cmd_app_exec;
extern const struct command cmd_app_list;
extern const struct command cmd_app_rm;
extern const struct command cmd_app_sandbox;
extern const struct command cmd_app_start;
extern const struct command cmd_app_status;
extern const struct command cmd_app_stop;
extern const struct command cmd_attach;
extern const struct command cmd_attest;
extern const struct command cmd_attest_expected;
extern const struct command cmd_attest_quote;
extern const struct command cmd_attest_verify;
extern const struct command cmd_cat_manifest;
extern const struct command cmd_completion;
extern const struct command cmd_config;
extern const struct command cmd_doctor;
extern const struct command cmd_enter;
extern const struct command cmd_export;
extern const struct command cmd_fetch;
extern const struct command cmd_gc;
extern const struct command cmd_help;
extern const struct command cmd_image;
extern const struct command cmd_image_cat_manifest;
extern const struct command cmd_image_export;
extern const struct command cmd_image_extract;
extern const struct command cmd_image_gc;
extern const struct command cmd_image_list;
extern const struct command cmd_image_render;
extern const struct command cmd_image_rm;
extern const struct command cmd_image_verify;
extern const struct command cmd_list;
extern const struct command cmd_logs;
extern const struct command cmd_memory;
extern const struct command cmd_prepare;
extern const struct command cmd_rm;
extern const struct command cmd_run;
extern const struct command cmd_run_prepared;
extern const struct command cmd_status;
extern const struct command cmd_stop;
extern const struct command cmd_trust;
extern const struct command cmd_version;

/* enter, which is app exec too. */
extern const struct option enter_options[];
#define ENTER_OPTIONS_SIZE sizeof(char *)
int enter_run(struct globals *globals, void *opts, const struct strv *args);

#endif
