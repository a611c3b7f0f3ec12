/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "common/file.h"
#include "common/hash.h"
#include "common/json.h"
#include "common/spawn.h"
#include "common/str.h"
#include "common/util.h"
#include "stage0/image/store.h"
#include "stage0/image/store_priv.h"
#include "tests/unit/scratch.h"
#include "tests/unit/storemake.h"
#include "tests/unit/tarmake.h"
#include "tests/unit/treelist.h"

/* An ACI of every kind of entry; big adds a file of so many bytes that do not compress. */
static struct tarmake make_aci(size_t big)
{
	static const uint8_t cap[20] = {1, 0, 0, 2, 0, 4};
	struct tarmake tar = {.p = NULL}, pax = {.p = NULL};
	uint8_t *noise = xcalloc(1, big + 1);
	uint32_t x = 7;

	for (size_t i = 0; i < big; i++) {
		x = x * 1664525 + 1013904223;
		noise[i] = (uint8_t)(x >> 24);
	}
	tar_add(&tar, &(struct tarent){.name = "rootfs", .type = '5', .mtime = 1000});
	tar_add(&tar, &(struct tarent){.name = "rootfs/bin", .type = '5', .mode = 0750, .gid = 5});
	pax_add(&pax, "SCHILY.xattr.user.note", "kept", 4);
	pax_add(&pax, "SCHILY.xattr.security.capability", cap, 20);
	pax_add(&pax, "mtime", "1600000000.987654321", 20);
	tar_add(&tar, &(struct tarent){.name = "rootfs/bin/sh",
				       .mode = 0755,
				       .data = "#!",
				       .size = 2,
				       .pax = (char *)pax.p,
				       .pax_len = pax.len});
	tar_add(&tar,
		&(struct tarent){.name = "rootfs/bin/sh2", .type = '1', .link = "rootfs/bin/sh"});
	tar_add(&tar, &(struct tarent){.name = "rootfs/etc/link",
				       .type = '2',
				       .link = "../../../etc",
				       .mode = 0777});
	tar_add(&tar, &(struct tarent){.name = "rootfs/big",
				       .data = noise,
				       .size = big,
				       .uid = 1000,
				       .mtime = 1234567890});
	tar_add(&tar, &(struct tarent){.name = "rootfs/fifo", .type = '6', .mode = 0600});
	tar_add(&tar, &(struct tarent){.name = "rootfs/empty", .mode = 04711});
	tar_add_manifest(&tar);
	tar_end(&tar);
	tar_free(&pax);
	free(noise);
	return tar;
}

static int import(struct store *store, const struct tarmake *tar, char key[IMAGE_KEY_LEN + 1],
		  struct error *err)
{
	cleanup_fd int fd = tar_fd(tar);

	return store_import_aci(store, fd, "test.aci", key, err);
}

static void must_import(struct store *store, const struct tarmake *tar, char key[IMAGE_KEY_LEN + 1])
{
	struct error err = ERROR_INIT;

	if (import(store, tar, key, &err) < 0)
		fail_msg("%s", err.msg);
}

static void key_of(const struct tarmake *tar, char key[IMAGE_KEY_LEN + 1])
{
	struct hash *hash = hash_new(HASH_SHA512);
	uint8_t digest[HASH_MAX_SIZE];

	hash_update(hash, tar->p, tar->len);
	hash_final(hash, digest);
	hash_free(hash);
	store_key(HASH_SHA512, digest, key);
}

static void assert_nothing_visible(struct store *store)
{
	assert_int_equal(storemake_count(store, "layer"), 0);
	assert_int_equal(storemake_count(store, "imageManifest/sha512"), 0);
	assert_int_equal(storemake_count(store, "files"), 0);
}

static void an_image_has_the_id_of_its_uncompressed_bytes(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = make_aci(300000), packed = {.p = NULL};
	char key[IMAGE_KEY_LEN + 1], expect[IMAGE_KEY_LEN + 1];
	struct json_object *manifest;
	struct error err = ERROR_INIT;
	const char *name = NULL;

	key_of(&tar, expect);
	must_import(store, &tar, key);
	assert_string_equal(key, expect);
	assert_int_equal(store_manifest(store, key, &manifest, &err), 0);
	assert_int_equal(json_get_string(manifest, "name", &name, &err), 0);
	assert_string_equal(name, "example.com/test");
	json_object_put(manifest);

	packed.p = xcalloc(1, ZSTD_compressBound(tar.len));
	packed.len = ZSTD_compress(packed.p, ZSTD_compressBound(tar.len), tar.p, tar.len, 1);
	must_import(store, &packed, key);
	assert_string_equal(key, expect);
	assert_int_equal(storemake_count(store, "layer"), 1);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	assert_int_equal(storemake_count(store, "filelocks"), 0);
	tar_free(&packed);

	/* what follows the archive's end belongs to the ID */
	tar_raw(&tar, "trailer", 7);
	key_of(&tar, expect);
	must_import(store, &tar, key);
	assert_string_equal(key, expect);
	assert_int_equal(storemake_count(store, "layer"), 2);
	tar_free(&tar);
	store_close(store);
}

static void an_exported_image_is_the_archive_byte_for_byte(void **state)
{
	static const size_t sizes[] = {0, 1, 512, 5000, 9000000};
	struct store *store = storemake_open(*state);

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct tarmake tar = make_aci(sizes[i]);
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;
		struct stat st, skeleton;
		char path[STORE_PATH_MAX];
		uint8_t *back;
		int fd;

		tar_raw(&tar, "after the end", 13);
		must_import(store, &tar, key);
		fd = memfd_create("export", MFD_CLOEXEC);
		if (store_export_aci(store, key, fd, &err) < 0)
			fail_msg("%s", err.msg);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, tar.len);
		back = mmap(NULL, tar.len, PROT_READ, MAP_PRIVATE, fd, 0);
		assert_memory_equal(back, tar.p, tar.len);
		munmap(back, tar.len);
		close(fd);
		/* and the content is kept once */
		snprintf(path, sizeof(path), "layer/%s/skeleton", key);
		assert_int_equal(fstatat(store->cas, path, &skeleton, 0), 0);
		assert_true(skeleton.st_size < 2000);
		tar_free(&tar);
	}
	store_close(store);
}

static void a_damaged_layer_is_not_exported(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = make_aci(5000);
	char key[IMAGE_KEY_LEN + 1], path[STORE_PATH_MAX];
	struct error err = ERROR_INIT;
	int fd;

	must_import(store, &tar, key);
	snprintf(path, sizeof(path), "layer/%s/data", key);
	assert_int_equal(fchmodat(store->cas, path, 0600, 0), 0);
	fd = openat(store->cas, path, O_WRONLY | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "!", 1, 4096), 1);
	close(fd);
	fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	assert_int_equal(store_export_aci(store, key, fd, &err), -EBADMSG);
	close(fd);
	tar_free(&tar);
	store_close(store);
}

struct aci_case {
	const char *what;
	bool good;
	struct tarent entry[5]; /* in this order; a NULL name ends */
};

#define DIR_(n)                                                                                    \
	{                                                                                          \
		.name = (n), .type = '5'                                                           \
	}
#define FILE_(n)                                                                                   \
	{                                                                                          \
		.name = (n)                                                                        \
	}
#define MANIFEST_                                                                                  \
	{                                                                                          \
		.name = "manifest", .data = TAR_MANIFEST, .size = sizeof(TAR_MANIFEST) - 1         \
	}

static const struct aci_case aci_cases[] = {
	{"manifest first", true, {MANIFEST_, DIR_("rootfs")}},
	{"manifest last", true, {DIR_("rootfs"), FILE_("rootfs/a"), MANIFEST_}},
	{"./ spellings",
	 true,
	 {{.name = "./", .type = '5'},
	  {.name = "./manifest", .data = TAR_MANIFEST, .size = sizeof(TAR_MANIFEST) - 1},
	  DIR_("./rootfs/"),
	  FILE_("./rootfs/a")}},
	{"rootfs after its content", true, {FILE_("rootfs/a"), DIR_("rootfs"), MANIFEST_}},
	{"no rootfs entry", false, {FILE_("rootfs/a"), MANIFEST_}},
	{"no manifest", false, {DIR_("rootfs")}},
	{"two manifests", false, {MANIFEST_, MANIFEST_, DIR_("rootfs")}},
	{"two spellings of the manifest",
	 false,
	 {MANIFEST_, {.name = "./manifest", .data = "{}", .size = 2}, DIR_("rootfs")}},
	{"a manifest that is a link",
	 false,
	 {{.name = "manifest", .type = '2', .link = "rootfs/x"}, DIR_("rootfs")}},
	{"a rootfs that is a file", false, {FILE_("rootfs"), MANIFEST_}},
	{"a rootfs that is a link",
	 false,
	 {{.name = "rootfs", .type = '2', .link = "/"}, MANIFEST_}},
	{"something else", false, {MANIFEST_, DIR_("rootfs"), FILE_("extra")}},
	{"a name that begins like rootfs", false, {MANIFEST_, DIR_("rootfs"), FILE_("rootfsX/a")}},
	{"a file twice", false, {MANIFEST_, DIR_("rootfs"), FILE_("rootfs/a"), FILE_("rootfs//a")}},
	{"a hard link to the manifest",
	 false,
	 {MANIFEST_, DIR_("rootfs"), {.name = "rootfs/m", .type = '1', .link = "manifest"}}},
	{"a hard link to nothing",
	 false,
	 {MANIFEST_, DIR_("rootfs"), {.name = "rootfs/m", .type = '1', .link = "rootfs/x"}}},
	{"a file as /dev", false, {MANIFEST_, DIR_("rootfs"), FILE_("rootfs/dev")}},
	{"a manifest of bad JSON",
	 false,
	 {{.name = "manifest", .data = "{\"acKind\":", .size = 10}, DIR_("rootfs")}},
	{"a manifest of another kind",
	 false,
	 {{.name = "manifest", .data = "{\"acKind\":\"PodManifest\"}", .size = 24},
	  DIR_("rootfs")}},
	{"an empty archive", false, {{.name = NULL}}},
};

static void only_an_aci_gets_in(void **state)
{
	struct store *store = storemake_open(*state);

	for (size_t i = 0; i < ARRAY_SIZE(aci_cases); i++) {
		struct tarmake tar = {.p = NULL};
		char key[IMAGE_KEY_LEN + 1];
		struct error err = ERROR_INIT;
		int r;

		for (size_t e = 0; e < 5 && aci_cases[i].entry[e].name; e++)
			tar_add(&tar, &aci_cases[i].entry[e]);
		tar_end(&tar);
		r = import(store, &tar, key, &err);
		if ((r == 0) != aci_cases[i].good)
			fail_msg("%s: %s", aci_cases[i].what, r ? err.msg : "taken");
		if (r < 0)
			assert_ptr_equal(strstr(err.msg, "test.aci: "), err.msg);
		tar_free(&tar);
	}
	assert_int_equal(storemake_count(store, "layer"), 4);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	store_close(store);
}

static void an_image_cut_anywhere_leaves_nothing(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = make_aci(3000), part = tar;
	char key[IMAGE_KEY_LEN + 1];

	for (part.len = 0; part.len < tar.len - 1024; part.len += 333) {
		struct error err = ERROR_INIT;

		assert_true(import(store, &part, key, &err) < 0);
	}
	assert_nothing_visible(store);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	tar_free(&tar);
	store_close(store);
}

/* A file that nobody changed for so long that its time stamps tell whether somebody does. */
static int settled_file(const struct scratch *scratch)
{
	int fd = openat(scratch->fd, "settled", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct timespec now, tick = {.tv_nsec = 100000000};
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	for (int i = 0; i < 100; i++) {
		clock_gettime(CLOCK_REALTIME, &now);
		if (now.tv_sec - st.st_ctim.tv_sec > 2)
			return fd;
		nanosleep(&tick, NULL);
	}
	fail_msg("the clock stands still");
	return -1;
}

static void a_file_that_did_not_change_is_not_read_again(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = make_aci(100);
	char key[IMAGE_KEY_LEN + 1], got[IMAGE_KEY_LEN + 1];
	struct stat st, changed;
	int fd = settled_file(*state), young; /* in the place of an ACI */

	must_import(store, &tar, key);
	assert_int_equal(fstat(fd, &st), 0);
	assert_false(store_file_known(store, &st, got));
	store_file_learn(store, fd, &st, key);
	assert_true(store_file_known(store, &st, got));
	assert_string_equal(got, key);

	for (int i = 0; i < 6; i++) {
		changed = st;
		changed.st_ino += i == 0;
		changed.st_size += i == 1;
		changed.st_mtim.tv_nsec ^= i == 2;
		changed.st_ctim.tv_nsec ^= i == 3;
		changed.st_dev += i == 4;
		changed.st_mode |= i == 5 ? S_IWOTH : 0;
		assert_false(store_file_known(store, &changed, got));
	}
	/* not when the file changed while it was read, nor when it is too young to tell */
	changed = st;
	changed.st_size++;
	store_file_learn(store, fd, &changed, key);
	assert_int_equal(storemake_count(store, "files"), 1);
	young = openat(((struct scratch *)*state)->fd, "young", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(fstat(young, &changed), 0);
	store_file_learn(store, young, &changed, key);
	assert_int_equal(storemake_count(store, "files"), 1);
	close(young);
	close(fd);

	/* and not when the image is gone */
	snprintf(got, sizeof(got), "layer/%.60s", key);
	remove_tree(store->cas, "imageManifest/sha512", &(struct error)ERROR_INIT);
	assert_false(store_file_known(store, &st, got));
	tar_free(&tar);
	store_close(store);
}

static void images_from_a_pipe_are_taken(void **state)
{
	struct store *store = storemake_open(*state);
	struct tarmake tar = make_aci(200000);
	char key[IMAGE_KEY_LEN + 1], expect[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		_exit(write_all(fds[1], tar.p, tar.len) < 0);
	}
	close(fds[1]);
	if (store_import_aci(store, fds[0], "pipe", key, &err) < 0)
		fail_msg("%s", err.msg);
	close(fds[0]);
	waitpid(pid, NULL, 0);
	key_of(&tar, expect);
	assert_string_equal(key, expect);
	tar_free(&tar);
	store_close(store);
}

/* In a child: import and place, with 0 for success. */
static int import_and_place(const struct scratch *scratch, const struct tarmake *tar,
			    const char *place)
{
	cleanup_free char *path = xasprintf("%s/data", scratch->path);
	struct error err = ERROR_INIT;
	char key[IMAGE_KEY_LEN + 1];
	struct store *store = NULL;
	int r = store_open(path, &store, &err);

	if (r == 0)
		r = import(store, tar, key, &err);
	if (r == 0)
		r = store_place_disk(store, key, scratch->fd, place, NULL, &err);
	store_close(store);
	return r < 0;
}

static void many_processes_may_import_the_same_image(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = make_aci(2000000);
	pid_t pids[6];

	for (int i = 0; i < 6; i++) {
		pids[i] = fork();
		if (pids[i] == 0) {
			char place[16];

			snprintf(place, sizeof(place), "disk%d", i);
			_exit(import_and_place(scratch, &tar, place));
		}
	}
	for (int i = 0; i < 6; i++) {
		int status;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(storemake_count(store, "layer"), 1);
	assert_int_equal(storemake_count(store, "tree"), 1);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	tar_free(&tar);
	store_close(store);
}

static void a_killed_import_leaves_garbage_only(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = make_aci(4000000);
	struct error err = ERROR_INIT;
	char key[IMAGE_KEY_LEN + 1];

	for (unsigned i = 0; i < 40; i++) {
		struct timespec delay = {.tv_nsec = i * 700000L};
		pid_t pid = fork();

		if (pid == 0) {
			setpgid(0, 0);
			_exit(import_and_place(scratch, &tar, "killed"));
		}
		nanosleep(&delay, NULL);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		/* whatever is visible is whole */
		key_of(&tar, key);
		if (store_has_image(store, key)) {
			int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

			assert_int_equal(store_export_aci(store, key, null, &err), 0);
			close(null);
			assert_int_equal(remove_tree(store->cas, "layer", &err), 0);
			assert_int_equal(remove_tree(store->cas, "tree", &err), 0);
			assert_int_equal(remove_tree(store->cas, "imageManifest", &err), 0);
			store_close(store);
			store = storemake_open(scratch);
		}
		assert_int_equal(remove_tree(scratch->fd, "killed", &err), 0);
	}
	must_import(store, &tar, key);
	/* the confined children die with their parents, but take their time */
	for (unsigned i = 0; i < 1000 && storemake_count(store, "tmp") > 0; i++) {
		struct timespec ms = {.tv_nsec = 1000000};

		assert_int_equal(store_sweep(store, &err), 0);
		nanosleep(&ms, NULL);
	}
	assert_int_equal(storemake_count(store, "tmp"), 0);
	tar_free(&tar);
	store_close(store);
}

static void a_sweep_leaves_work_in_progress_alone(void **state)
{
	struct store *store = storemake_open(*state);
	struct store_tmp mine = STORE_TMP_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(store_tmp_new(store, &mine, &err), 0);
	assert_int_equal(mkdirat(store->cas, "tmp/dead", 0700), 0);
	assert_int_equal(mkdirat(store->cas, "tmp/dead/layer", 0700), 0);
	assert_int_equal(store_sweep(store, &err), 0);
	assert_int_equal(storemake_count(store, "tmp"), 1);
	assert_int_equal(faccessat(store->cas, mine.path, F_OK, 0), 0);
	store_tmp_end(store, &mine);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	store_close(store);
}

/* Make a system call fail from now on, in this process and its children. */
static void break_syscall(int nr)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ALLOW);

	if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ERRNO(EIO), nr, 0) < 0 || seccomp_load(ctx) < 0)
		_exit(3);
}

static void a_failing_system_call_leaves_nothing_visible(void **state)
{
	static const int calls[] = {
		SCMP_SYS(renameat), SCMP_SYS(fsync),	 SCMP_SYS(fdatasync), SCMP_SYS(mkdirat),
		SCMP_SYS(write),    SCMP_SYS(ftruncate), SCMP_SYS(pwrite64),  SCMP_SYS(pread64),
		SCMP_SYS(flock),    SCMP_SYS(pipe2),	 SCMP_SYS(lseek),
	};
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = make_aci(100000);
	int status;

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		int fd = tar_fd(&tar);
		pid_t pid = fork();

		if (pid == 0) {
			struct error err = ERROR_INIT;
			char key[IMAGE_KEY_LEN + 1];

			break_syscall(calls[i]);
			/* lseek failing makes it a pipe, which is fine until the data is written */
			_exit(store_import_aci(store, fd, "x", key, &err) < 0 && err.code < 0 ? 0
											      : 1);
		}
		close(fd);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		if (calls[i] != SCMP_SYS(lseek) && status != 0)
			fail_msg("system call %d: status %x", calls[i], status);
		if (calls[i] != SCMP_SYS(lseek) && calls[i] != SCMP_SYS(renameat))
			assert_int_equal(storemake_count(store, "imageManifest/sha512"), 0);
	}
	assert_true(import_and_place(scratch, &tar, "disk") == 0);
	tar_free(&tar);
	store_close(store);
}

static void a_full_disk_is_an_error_and_leaves_nothing(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = make_aci(1000000);
	int status;

	for (rlim_t limit = 0; limit < 1000000; limit += 99999) {
		pid_t pid = fork();

		if (pid == 0) {
			struct error err = ERROR_INIT;
			char key[IMAGE_KEY_LEN + 1];
			const struct rlimit rl = {limit, limit};
			int fd = tar_fd(&tar);

			signal(SIGXFSZ, SIG_IGN);
			setrlimit(RLIMIT_FSIZE, &rl);
			_exit(store_import_aci(store, fd, "x", key, &err) == -EFBIG ? 0 : 1);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	assert_nothing_visible(store);
	assert_int_equal(storemake_count(store, "tmp"), 0);
	tar_free(&tar);
	store_close(store);
}

static int run(const char *const *argv)
{
	const struct spawn_args args = {.path = argv[0], .argv = (char *const *)argv, .cwd = -1};
	struct error err = ERROR_INIT;
	int pidfd = -1, status = -1;
	pid_t pid;

	if (spawn(&args, &pid, &pidfd, &err) < 0)
		return -1;
	if (spawn_wait(pid, pidfd, 60000, &status, &err) < 0)
		fail_msg("%s", err.msg);
	close(pidfd);
	return status;
}

/* What tar itself makes of an archive, as a list: the model. */
static char *list_by_tar(const struct scratch *scratch, const struct tarmake *tar)
{
	cleanup_free char *file = xasprintf("%s/model.tar", scratch->path);
	cleanup_free char *dir = xasprintf("%s/model", scratch->path);
	struct error err = ERROR_INIT;

	assert_int_equal(file_write(scratch->fd, "model.tar", tar->p, tar->len, 0600, &err), 0);
	assert_int_equal(mkdirat(scratch->fd, "model", 0755), 0);
	assert_int_equal(run((const char *const[]){"tar", "-xpf", file, "-C", dir, "--xattrs",
						   "--xattrs-include=*", "--numeric-owner", NULL}),
			 0);
	return treelist(scratch->fd, "model/rootfs");
}

/* tar invents the attributes of directories that are only implied; the test image has one. */
static void assert_same_lists(const char *a, const char *b)
{
	cleanup_strv struct strv la = STRV_INIT, lb = STRV_INIT;

	strv_split(&la, a, '\n');
	strv_split(&lb, b, '\n');
	assert_int_equal(la.n, lb.n);
	for (size_t i = 0; i < la.n; i++)
		if (!str_starts_with(la.v[i], "/etc "))
			assert_string_equal(la.v[i], lb.v[i]);
}

static void a_placed_tree_is_what_tar_makes(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = make_aci(100000);
	cleanup_free char *model = NULL, *copy = NULL, *id = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	struct stat st, cached;
	char path[STORE_PATH_MAX];

	if (geteuid() != 0)
		skip(); /* owners */
	model = list_by_tar(scratch, &tar);
	must_import(store, &tar, key);
	if (store_place_tree(store, key, scratch->fd, "copy", STORE_COPY, NULL, &err) < 0)
		fail_msg("%s", err.msg);
	copy = treelist(scratch->fd, "copy");
	assert_same_lists(model, copy);
	if (store_place_tree(store, key, scratch->fd, "links", STORE_LINK, &id, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(fstatat(scratch->fd, "links/big", &st, 0), 0);
	snprintf(path, sizeof(path), "tree/%s/rootfs/big", id);
	assert_int_equal(fstatat(store->cas, path, &cached, 0), 0);
	assert_int_equal(st.st_ino, cached.st_ino);
	assert_int_equal(fstatat(scratch->fd, "copy/big", &st, 0), 0);
	assert_int_not_equal(st.st_ino, cached.st_ino);
	tar_free(&tar);
	store_close(store);
}

static void a_placed_disk_mounts_and_is_what_tar_makes(void **state)
{
	const struct scratch *scratch = *state;
	cleanup_free char *file = xasprintf("%s/image", scratch->path);
	cleanup_free char *dir = xasprintf("%s/mnt", scratch->path);
	struct store *store = storemake_open(scratch);
	struct tarmake tar = make_aci(100000);
	cleanup_free char *model = NULL, *got = NULL, *id = NULL;
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	int out;

	must_import(store, &tar, key);
	if (store_place_disk(store, key, scratch->fd, "disk", &id, &err) < 0)
		fail_msg("%s", err.msg);
	out = openat(scratch->fd, "image", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	for (const char *part = "01"; *part; part++) {
		const char name[] = {'d', 'i', 's', 'k', '/', *part, '\0'};
		char *bytes;
		size_t len;

		assert_int_equal(file_read(scratch->fd, name, 1 << 20, &bytes, &len, &err), 0);
		assert_int_equal(len % 4096, 0);
		assert_int_equal(write_all(out, bytes, len), 0);
		free(bytes);
	}
	close(out);
	assert_int_equal(run((const char *const[]){"fsck.erofs", file, NULL}), 0);
	assert_int_equal(mkdirat(scratch->fd, "mnt", 0755), 0);
	if (geteuid() != 0 || run((const char *const[]){"mount", "-o", "loop,ro", "-t", "erofs",
							file, dir, NULL}) != 0) {
		print_message("no loop mount of EROFS here: fsck only\n");
	} else {
		model = list_by_tar(scratch, &tar);
		got = treelist(scratch->fd, "mnt");
		assert_int_equal(run((const char *const[]){"umount", dir, NULL}), 0);
		assert_same_lists(model, got);
	}
	tar_free(&tar);
	store_close(store);
}

static void disks_of_one_image_share_their_files(void **state)
{
	const struct scratch *scratch = *state;
	struct store *store = storemake_open(scratch);
	struct tarmake tar = make_aci(100000);
	char key[IMAGE_KEY_LEN + 1];
	struct error err = ERROR_INIT;
	struct stat a, b;

	must_import(store, &tar, key);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "one", NULL, &err), 0);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "two", NULL, &err), 0);
	for (const char *part = "01"; *part; part++) {
		const char one[] = {'o', 'n', 'e', '/', *part, '\0'};
		const char two[] = {'t', 'w', 'o', '/', *part, '\0'};

		assert_int_equal(fstatat(scratch->fd, one, &a, 0), 0);
		assert_int_equal(fstatat(scratch->fd, two, &b, 0), 0);
		assert_int_equal(a.st_ino, b.st_ino);
		assert_int_equal(a.st_mode & 0222, 0);
	}
	assert_int_equal(fstatat(scratch->fd, "one/2", &a, 0), -1);
	assert_int_equal(store_place_disk(store, key, scratch->fd, "one", NULL, &err), -EEXIST);
	tar_free(&tar);
	store_close(store);
}

static void what_is_not_there_is_said(void **state)
{
	struct store *store = storemake_open(*state);
	struct error err = ERROR_INIT;
	struct json_object *manifest;
	char key[IMAGE_KEY_LEN + 1];

	memset(key, 'a', sizeof(key));
	memcpy(key, "sha512-", 7);
	key[IMAGE_KEY_LEN] = '\0';
	assert_int_equal(store_manifest(store, key, &manifest, &err), -ENOENT);
	assert_int_equal(store_manifest(store, "sha512-../../../etc/passwd", &manifest, &err),
			 -ENOENT);
	assert_int_equal(store_place_disk(store, key, AT_FDCWD, "/nowhere", NULL, &err), -ENOENT);
	assert_int_equal(store_export_aci(store, key, 1, &err), -ENOENT);
	store_close(store);
}

int main(void)
{
#define WITH_SCRATCH(test) cmocka_unit_test_setup_teardown(test, scratch_setup, scratch_teardown)
	const struct CMUnitTest tests[] = {
		WITH_SCRATCH(an_image_has_the_id_of_its_uncompressed_bytes),
		WITH_SCRATCH(an_exported_image_is_the_archive_byte_for_byte),
		WITH_SCRATCH(a_damaged_layer_is_not_exported),
		WITH_SCRATCH(only_an_aci_gets_in),
		WITH_SCRATCH(an_image_cut_anywhere_leaves_nothing),
		WITH_SCRATCH(a_file_that_did_not_change_is_not_read_again),
		WITH_SCRATCH(images_from_a_pipe_are_taken),
		WITH_SCRATCH(many_processes_may_import_the_same_image),
		WITH_SCRATCH(a_killed_import_leaves_garbage_only),
		WITH_SCRATCH(a_sweep_leaves_work_in_progress_alone),
		WITH_SCRATCH(a_failing_system_call_leaves_nothing_visible),
		WITH_SCRATCH(a_full_disk_is_an_error_and_leaves_nothing),
		WITH_SCRATCH(a_placed_tree_is_what_tar_makes),
		WITH_SCRATCH(a_placed_disk_mounts_and_is_what_tar_makes),
		WITH_SCRATCH(disks_of_one_image_share_their_files),
		WITH_SCRATCH(what_is_not_there_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
