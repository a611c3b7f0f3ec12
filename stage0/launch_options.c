/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of the commands that make or run a pod, in tables by what a command must do to take
 * them (launch.h says which); a command's own table includes those it is made of.
 */
#include <stddef.h>

#include "stage0/launch.h"

#define POD(field) .offset = offsetof(struct launch_options, field)
#define APP(field) .app = true, .offset = offsetof(struct app_request, field)

const struct option launch_app_options[] = {
	{"annotation", OPT_KEYVALS, APP(annotations), .arg = "NAME=VALUE",
	 .help = "add an annotation to the app (repeatable)"},
	{"caps-remove", OPT_STRING, APP(caps_remove), .arg = "LIST",
	 .help = "take these capabilities away from the app's default set"},
	{"caps-retain", OPT_STRING, APP(caps_retain), .arg = "LIST",
	 .help = "leave the app these capabilities only"},
	{"cpu", OPT_STRING, APP(cpu), .arg = "QUANTITY",
	 .help = "CPU limit of the app, such as 2 or 500m"},
	{"cpu-shares", OPT_STRING, APP(cpu_shares), .arg = "N",
	 .help = "weight of the app when CPU time is short; 1024 is what others have"},
	{"environment", OPT_KEYVALS, APP(environment), .arg = "NAME=VALUE",
	 .help = "set a variable in the app's environment (repeatable)"},
	{"exec", OPT_STRING, APP(exec), .arg = "PATH",
	 .help = "run this program in the place of the image's command line"},
	{"group", OPT_STRING, APP(group), .arg = "GROUP",
	 .help = "run the app as this group: a name, a number, or a path whose group counts"},
	{"memory", OPT_STRING, APP(memory), .arg = "QUANTITY",
	 .help = "memory limit of the app, such as 512M or 1Gi"},
	{"name", OPT_STRING, APP(name), .arg = "NAME",
	 .help = "name of the app (default: the last part of the image's name)"},
	{"oom-score-adj", OPT_STRING, APP(oom_score_adj), .arg = "N",
	 .help = "how likely the app is killed when memory runs out: -1000 to 1000"},
	{"readonly-rootfs", OPT_BOOL, APP(readonly_rootfs), .explicit_value = true, .arg = "BOOL",
	 .help = "let the app not write to its root file system"},
	{"seccomp", OPT_STRING, APP(seccomp), .arg = "mode=retain|remove[,errno=E],NAME...",
	 .help = "filter of the app's system calls: those it keeps, or those it does without"},
	{"stderr", OPT_STRING, APP(stdio[2]), .arg = "MODE", .only = experiment_attach,
	 .help = "where the app's stderr goes: log, null, stream or tty"},
	{"stdin", OPT_STRING, APP(stdio[0]), .arg = "MODE", .only = experiment_attach,
	 .help = "where the app's stdin comes from: null, stream or tty"},
	{"stdout", OPT_STRING, APP(stdio[1]), .arg = "MODE", .only = experiment_attach,
	 .help = "where the app's stdout goes: log, null, stream or tty"},
	{"supplementary-gids", OPT_STRING, APP(supplementary_gids), .arg = "LIST",
	 .help = "supplementary groups of the app, numbers"},
	{"sysctl", OPT_KEYVALS, POD(sysctls), .arg = "NAME=VALUE",
	 .help = "set a parameter of the pod's kernel, such as net.core.somaxconn (repeatable)"},
	{"ulimit", OPT_KEYVALS, APP(ulimits), .arg = "NAME=SOFT[:HARD]",
	 .help = "set a limit of the app's processes, such as nofile=1024:4096 or core=unlimited "
		 "(repeatable)"},
	{"user", OPT_STRING, APP(user), .arg = "USER",
	 .help = "run the app as this user: a name, a number, or a path whose owner counts"},
	{"user-annotation", OPT_KEYVALS, APP(user_annotations), .arg = "NAME=VALUE",
	 .help = "add a user annotation to the app (repeatable)"},
	{"user-label", OPT_KEYVALS, APP(user_labels), .arg = "NAME=VALUE",
	 .help = "add a user label to the app (repeatable)"},
	{"working-dir", OPT_STRING, APP(working_dir), .arg = "PATH",
	 .help = "working directory of the app"},
	{.name = NULL},
};

const struct option launch_stage1_options[] = {
	{"stage1-from-dir", OPT_LIST, POD(stage1.from_dir), .arg = "FILE",
	 .help = "stage1 image: this file of the directory where they are"},
	{"stage1-hash", OPT_LIST, POD(stage1.hash), .arg = "ID",
	 .help = "stage1 image: the one in the store with this ID"},
	{"stage1-name", OPT_LIST, POD(stage1.name), .arg = "NAME",
	 .help = "stage1 image: the one of this name"},
	{"stage1-path", OPT_LIST, POD(stage1.path), .arg = "FILE",
	 .help = "stage1 image: this file (default: stage1-kvm.aci beside tripod)"},
	{"stage1-url", OPT_LIST, POD(stage1.url), .arg = "URL",
	 .help = "stage1 image: the one at this URL"},
	{.name = NULL},
};

const struct option launch_image_options[] = {
	{"inherit-env", OPT_BOOL, POD(inherit_env),
	 .help = "give the apps our own environment where they have no value of their own"},
	{"mount", OPT_LIST, APP(mounts), .early = offsetof(struct launch_options, mounts),
	 .arg = "volume=NAME,target=PATH",
	 .help = "mount a volume in the app; before the first image: in all (repeatable)"},
	{"no-overlay", OPT_BOOL, POD(no_overlay),
	 .help = "accepted for rkt's callers: nothing is mounted on the host anyway"},
	FETCHING_NO_STORE(struct launch_options, fetching),
	{"pod-manifest", OPT_STRING, POD(pod_manifest), .arg = "FILE",
	 .help = "make the pod that this file describes, of images in the store, and take no "
		 "images"},
	{"port", OPT_LIST, POD(ports), .arg = "NAME:[HOSTIP:]HOSTPORT",
	 .help = "publish an app's port, by its name in the image or by number, such as 80:8080 or "
		 "53/udp:5353 (repeatable)"},
	FETCHING_PULL_POLICY(struct launch_options, fetching, "new"),
	{"set-env", OPT_ENV, POD(set_env), .arg = "NAME=VALUE",
	 .help = "set a variable for all apps, over any other value (repeatable)"},
	{"set-env-file", OPT_LIST, POD(set_env_file), .arg = "FILE",
	 .help = "set the variables in a file of NAME=VALUE lines for all apps (repeatable)"},
	{"signature", OPT_STRING, APP(signature), .arg = "FILE",
	 .help = "file of the image's signature"},
	FETCHING_STORE_ONLY(struct launch_options, fetching),
	{"volume", OPT_LIST, POD(volumes), .arg = "NAME,kind=host|empty,KEY=VALUE...",
	 .help = "declare a volume: host, with source=PATH and maybe recursive=BOOL; or empty, "
		 "maybe "
		 "with mode=MODE, uid=N, gid=N; both maybe with readOnly=BOOL (repeatable)"},
	{.name = NULL},
};

const struct option launch_pod_options[] = {
	{"dns", OPT_LIST, POD(dns.servers), .arg = "IP",
	 .help = "name server of the apps; or host: the host's resolv.conf, none: the image's "
		 "(repeatable)"},
	{"dns-domain", OPT_STRING, POD(dns.domain), .arg = "NAME",
	 .help = "local domain of the apps' resolv.conf"},
	{"dns-opt", OPT_LIST, POD(dns.opt), .arg = "OPTION",
	 .help = "option of the apps' resolv.conf (repeatable)"},
	{"dns-search", OPT_LIST, POD(dns.search), .arg = "NAME",
	 .help = "search domain of the apps' resolv.conf (repeatable)"},
	{"host-tcti", OPT_STRING, POD(tpm.host_tcti), .arg = "CONF",
	 .help = "how tpm2-tss gets to the host's TPM (default: device:/dev/tpmrm0)"},
	{"host-tpm", OPT_STRING, POD(tpm.host), .dflt = "auto", .arg = "auto|on|off",
	 .help = "record the launch in PCR 15 of the host's TPM; auto: when there is one"},
	{"hostname", OPT_STRING, POD(hostname), .arg = "NAME",
	 .help = "host name of the pod (default: rkt- and the pod's UUID)"},
	{"hosts-entry", OPT_LIST, POD(dns.hosts), .arg = "IP=NAME",
	 .help = "line of the apps' hosts file; or host: the host's (repeatable)"},
	{"net", OPT_STRING, POD(net), .noopt = "default", .arg = "NETWORKS",
	 .help = "networks of the pod: none; user: all that the user who runs it can reach, "
		 "through "
		 "passt; for root CNI networks by name: default, default-restricted, those of "
		 "net.d "
		 "(default: user; for root: default)"},
	{"net-rate", OPT_STRING, POD(net_rate), .arg = "RATE",
	 .help = "most a second through each NIC, each way: bytes as 10M, or words as "
		 "bytes=10M,packets=5k,in-bytes=1Mi; in is to the pod (words: bytes, packets, "
		 "in-bytes, in-packets, out-bytes, out-packets)"},
	{"require-measured", OPT_STRING, POD(tpm.required), .arg = "FILE",
	 .help = "start only what measures as this file of \"attest expected\" says"},
	{"tpm", OPT_STRING, POD(tpm.tpm), .dflt = "auto", .arg = "auto|on|off",
	 .help = "the pod's TPM: for apps that ask for it, for all apps, or none"},
	{"tpm-ca", OPT_STRING, POD(tpm.ca), .arg = "DIR",
	 .help = "have the certificate authority in this directory, made when empty, certify the "
		 "pod's TPM"},
	{.name = NULL},
};

const struct option launch_run_options[] = {
	{"disk", OPT_STRING, POD(disk.size), .arg = "SIZE",
	 .help = "size of the disk for what the apps write (default: " DISK_SIZE_DEFAULT ")"},
	{"disk-rate", OPT_STRING, POD(disk.rate), .arg = "RATE",
	 .help = "most a second of all the pod's disks together: bytes as 10M, or words as "
		 "bytes=10M,ops=500"},
	{"interactive", OPT_BOOL, POD(interactive),
	 .help = "connect the app to this terminal; for a single app"},
	{"mds-register", OPT_BOOL, POD(mds_register),
	 .help = "serve the apps the pod's metadata at $AC_METADATA_URL"},
	{"rw", OPT_STRING, POD(disk.rw), .dflt = "disk", .arg = "disk|tmpfs",
	 .help = "where what the apps write is kept: a disk in the pod's directory, or their "
		 "memory"},
	{.name = NULL},
};
