/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "common/str.h"
#include "common/util.h"
#include "common/uuid.h"
#include "firmware/firmware.h"
#include "vmm/appchange.h"
#include "vmm/enter.h"
#include "vmm/join.h"
#include "vmm/launch.h"
#include "vmm/metadata_link.h"
#include "vmm/metadata_serve.h"
#include "vmm/probe.h"
#include "vmm/podnet_cni.h"
#include "vmm/podrun.h"
#include "vmm/run.h"
#include "vmm/stage1.h"
#include "vmm/stop.h"

#define EXIT_USAGE 254

static const char usage[] =
	"usage: tripod-vmm --kernel=FILE [--initrd=FILE] [--append=WORDS] [--memory=MIB]\n"
	"                  [--cpus=N] [--debug]\n"
	"       tripod-vmm --probe\n"
	"       tripod-vmm [OPTION...] UUID, in a pod directory\n"
	"       tripod-vmm --measure [--host=hardware|emulated] [--host-cpus=N] [OPTION...] UUID\n";

static int parse(int argc, char **argv, struct run_options *options)
{
	static const struct option table[] = {
		{"kernel", required_argument, NULL, 'k'},
		{"initrd", required_argument, NULL, 'i'},
		{"append", required_argument, NULL, 'a'},
		{"memory", required_argument, NULL, 'm'},
		{"cpus", required_argument, NULL, 'c'},
		{"debug", no_argument, NULL, 'd'},
		{NULL, 0, NULL, 0},
	};
	unsigned long long n;
	int c;

	while ((c = getopt_long(argc, argv, "", table, NULL)) >= 0) {
		switch (c) {
		case 'k':
			options->kernel = optarg;
			break;
		case 'i':
			options->initrd = optarg;
			break;
		case 'a':
			options->words = optarg;
			break;
		case 'm':
			if (!str_to_u64(optarg, UINT64_MAX / MIB, &n))
				return -EINVAL;
			options->memory = n * MIB;
			break;
		case 'c':
			if (!str_to_u64(optarg, FIRMWARE_MAX_CPUS, &n))
				return -EINVAL;
			options->ncpus = (unsigned)n;
			break;
		case 'd':
			options->debug = true;
			break;
		default:
			return -EINVAL;
		}
	}
	return options->kernel && optind == argc ? 0 : -EINVAL;
}

/* What this host's KVM can do, as lines for other programs (tripod doctor). */
static int print_probe(void)
{
	cleanup_str struct str text = STR_INIT;
	struct error err = ERROR_INIT;
	struct probe probe;

	if (probe_host(&probe, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_USAGE;
	}
	probe_text(&probe, &text);
	return fputs(str_get(&text), stdout) < 0 || fflush(stdout) != 0 ? EXIT_USAGE : 0;
}

/*
 * Each device takes two descriptors or more and each layer of an image one, so a large pod needs
 * more than the usual soft limit, which is there for programs that use select().
 */
static void raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

/* What a launch of the pod in the working directory would measure. */
static int print_measurements(int argc, char **argv)
{
	struct error err = ERROR_INIT;

	log_init("stage1", LOG_INFO);
	raise_file_limit();
	if (launch_measure(argc, argv, &err) == 0)
		return 0;
	log_error("%s", err.msg);
	return STAGE1_EXIT_FAILURE;
}

/* rkt's stage1 run entry point. The process ends here: nothing waits for the VM to be torn down. */
static int run_pod(int argc, char **argv, uint64_t start_ns)
{
	struct error err = ERROR_INIT;
	struct stage1_args args;
	int status;

	log_init("stage1", LOG_INFO);
	raise_file_limit();
	if (stage1_parse(argc, argv, &args, &err) == 0) {
		if (args.debug)
			log_init("stage1", LOG_DEBUG);
		if (pod_run(&args, start_ns, &status, &err) == 0)
			_exit(status);
	}
	log_error("%s", err.msg);
	_exit(STAGE1_EXIT_FAILURE);
}

/* A machine without a pod: for tests, measurements and the curious. */
static int run_bare(int argc, char **argv)
{
	struct run_options options = {.words = "", .memory = 128 * MIB, .ncpus = 1};
	struct error err = ERROR_INIT;

	if (parse(argc, argv, &options) < 0) {
		fputs(usage, stderr);
		return EXIT_USAGE;
	}
	log_init("tripod-vmm", options.debug ? LOG_DEBUG : LOG_INFO);
	if (run_machine(&options, &err) < 0) {
		log_error("%s", err.msg);
		return EXIT_USAGE;
	}
	return 0;
}

/* The last part of the name we were called by: stage1's other entry points are links to us. */
static const char *called_as(const char *argv0)
{
	const char *slash = argv0 ? strrchr(argv0, '/') : NULL;

	return slash ? slash + 1 : argv0 ? argv0 : "";
}

/* An entry point that does one thing to the pod in the working directory. */
static int run_entry(const char *what, int (*entry)(int, char *const *, struct error *), int argc,
		     char **argv)
{
	struct error err = ERROR_INIT;

	log_init(what, LOG_INFO);
	if (entry(argc, argv, &err) == 0)
		return 0;
	log_error("%s", err.msg);
	return STAGE1_EXIT_FAILURE;
}

static int run_enter(int argc, char **argv)
{
	struct error err = ERROR_INIT;
	int status;

	log_init("enter", LOG_INFO);
	if (enter_pod(argc, argv, &status, &err) == 0)
		return status;
	log_error("%s", err.msg);
	return STAGE1_EXIT_FAILURE;
}

/* The gc entry point: what the pod in the working directory has left outside of it. */
static int run_gc(int argc, char **argv)
{
	struct error err = ERROR_INIT;

	log_init("gc", LOG_INFO);
	if (argc < 2 || !uuid_is_valid(argv[argc - 1]))
		log_error("usage: gc [OPTION...] UUID, in a pod directory");
	else if (podnet_cni_remove(argv[argc - 1], &err) == 0)
		return 0;
	else
		log_error("%s", err.msg);
	return STAGE1_EXIT_FAILURE;
}

/* A pod's metadata service, started by its VMM. */
static int run_metadata(int argc, char **argv)
{
	struct error err = ERROR_INIT;

	log_init("metadata service", LOG_INFO);
	metadata_main(argc, argv, &err);
	if (err.code != -EPIPE) /* the pod's end is its own */
		log_error("%s", err.msg);
	return STAGE1_EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name, *what;
		int (*entry)(int, char *const *, struct error *);
	} entries[] = {
		{"app-add", "add", appchange_add},    {"app-start", "start", appchange_start},
		{"app-stop", "stop", appchange_stop}, {"app-rm", "rm", appchange_rm},
		{"attach", "attach", join_app},	      {"stop", "stop", stop_pod},
	};
	struct timespec start;

	/* one whose caller ignores it, which is inherited, could wait for nobody */
	signal(SIGCHLD, SIG_DFL);
	for (unsigned i = 0; i < ARRAY_SIZE(entries); i++)
		if (strcmp(called_as(argv[0]), entries[i].name) == 0)
			return run_entry(entries[i].what, entries[i].entry, argc, argv);
	if (strcmp(called_as(argv[0]), "gc") == 0)
		return run_gc(argc, argv);
	if (strcmp(called_as(argv[0]), "enter") == 0)
		return run_enter(argc, argv);
	if (strcmp(called_as(argv[0]), METADATA_NAME) == 0)
		return run_metadata(argc, argv);
	clock_gettime(CLOCK_MONOTONIC, &start);
	log_init("tripod-vmm", LOG_INFO);
	if (argc == 2 && strcmp(argv[1], "--probe") == 0)
		return print_probe();
	if (argc >= 2 && strcmp(argv[1], "--measure") == 0)
		return print_measurements(argc - 1, argv + 1);
	for (int i = 1; i < argc; i++)
		if (str_starts_with(argv[i], "--kernel"))
			return run_bare(argc, argv);
	return run_pod(argc, argv, (uint64_t)start.tv_sec * 1000000000 + (uint64_t)start.tv_nsec);
}
