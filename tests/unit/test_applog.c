/* SPDX-License-Identifier: Apache-2.0 */
/* Logs as the VMM writes and stage0 reads them. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/logfile.h"
#include "tests/unit/scratch.h"
#include "vmm/applog.h"

struct fixture {
	struct scratch *dir;
	struct pod pod;
	int log_dir;
	struct applog *log;
	struct logfile *file;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));
	struct error err;
	void *dir;

	scratch_setup(&dir);
	f->dir = dir;
	f->pod = (struct pod){.where = POD_RUN, .fd = f->dir->fd};
	assert_int_equal(mkdir_path(f->dir->fd, LOGFILE_DIR, 0755, &err), 0);
	f->log_dir = openat(f->dir->fd, LOGFILE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(applog_open(f->log_dir, "web", &f->log, &err), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	void *dir = f->dir;

	applog_free(f->log);
	logfile_free(f->file);
	close(f->log_dir);
	scratch_teardown(&dir);
	free(f);
	return 0;
}

static void put(struct fixture *f, bool is_stderr, const char *text)
{
	struct iovec iov = {(void *)(uintptr_t)text, strlen(text)};

	applog_write(f->log, is_stderr, &iov, 1, iov.iov_len);
}

static void read_from_the_start(struct fixture *f)
{
	struct error err;

	logfile_free(f->file);
	f->file = NULL;
	assert_int_equal(logfile_open(&f->pod, "web", &f->file, &err), 0);
}

/* The next record as "o:text" or "e:text", with "+" behind a part of a line; "" when there is none. */
static const char *next(struct fixture *f)
{
	static char text[2 * APPLOG_TEXT_MAX];
	struct log_record record;
	struct error err;
	int r = logfile_next(f->file, &record, &err);

	assert_true(r >= 0);
	if (r == 0)
		return "";
	assert_int_equal(strlen(record.time), strlen("2026-01-02T03:04:05.678901234Z"));
	snprintf(text, sizeof(text), "%c:%.*s%s", record.is_stderr ? 'e' : 'o', (int)record.len,
		 record.text, record.ends ? "" : "+");
	return text;
}

static void lines_come_back_as_they_were_written(void **state)
{
	struct fixture *f = *state;

	read_from_the_start(f);
	assert_string_equal(next(f), "");
	put(f, false, "one\ntwo\nthr");
	put(f, true, "bad\n");
	put(f, false, "ee\n\n");
	assert_string_equal(next(f), "o:one");
	assert_string_equal(next(f), "o:two");
	assert_string_equal(next(f), "o:thr+");
	assert_string_equal(next(f), "e:bad");
	assert_string_equal(next(f), "o:ee");
	assert_string_equal(next(f), "o:");
	assert_string_equal(next(f), "");
	put(f, true, "later\n");
	assert_string_equal(next(f), "e:later");
	assert_int_equal(applog_error(f->log), 0);
}

static void only_what_was_taken_is_kept(void **state)
{
	struct fixture *f = *state;
	const struct iovec iov[] = {{"abc", 3}, {"def\nghi\n", 8}, {"jkl\n", 4}};

	applog_write(f->log, false, iov, ARRAY_SIZE(iov), 9);
	applog_write(f->log, false, iov, ARRAY_SIZE(iov), 0);
	read_from_the_start(f);
	assert_string_equal(next(f), "o:abc+");
	assert_string_equal(next(f), "o:def");
	assert_string_equal(next(f), "o:gh+");
	assert_string_equal(next(f), "");
}

static void a_long_line_is_cut_and_put_together_again(void **state)
{
	enum { LEN = 3 * APPLOG_TEXT_MAX + 5 };
	struct fixture *f = *state;
	char *line = xcalloc(1, LEN + 2);
	size_t got = 0;
	int parts = 0;

	memset(line, 'x', LEN);
	line[LEN] = '\n';
	put(f, false, line);
	read_from_the_start(f);
	for (;;) {
		const char *part = next(f);

		parts++;
		got += strspn(part + 2, "x");
		if (part[strlen(part) - 1] != '+')
			break;
	}
	assert_int_equal(parts, 4);
	assert_int_equal(got, LEN);
	put(f, false, line + LEN - APPLOG_TEXT_MAX); /* a line that just fits is whole */
	assert_int_equal(strlen(next(f)), 2 + APPLOG_TEXT_MAX);
	free(line);
}

static void a_log_is_rotated_and_a_reader_goes_on_with_the_next(void **state)
{
	enum { LINES = 40000 }; /* 500 bytes each and more: 20 MB */
	struct fixture *f = *state;
	unsigned seen = 0;
	char line[512], want[16];
	struct stat st;

	memset(line, '.', sizeof(line));
	line[500] = '\n';
	line[501] = '\0';
	read_from_the_start(f);
	for (unsigned i = 0; i < LINES; i++) {
		snprintf(want, sizeof(want), "%06u", i);
		memcpy(line, want, 6);
		put(f, false, line);
		if (i % 100 == 0)
			for (const char *s; *(s = next(f));) {
				snprintf(want, sizeof(want), "%06u", seen++);
				assert_memory_equal(s + 2, want, 6);
			}
	}
	while (*next(f))
		seen++;
	assert_int_equal(seen, LINES);
	assert_int_equal(fstatat(f->log_dir, "web.1", &st, 0), 0);
	assert_true(st.st_size >= (off_t)APPLOG_SIZE_MAX &&
		    st.st_size < (off_t)(APPLOG_SIZE_MAX + 8 * APPLOG_RECORD_MAX));
	read_from_the_start(f); /* what a late reader finds is both files */
	assert_memory_equal(next(f), "o:000000", 8);
	for (seen = 1; *next(f);)
		seen++;
	assert_int_equal(seen, LINES);
}

static void lines_that_are_no_records_are_left_out(void **state)
{
	static const char bad[] =
		"\nx\n2026 stdout\n2026 stdout X text\n2026 stdout FF text\n"
		"\x1b[2J stdout F text\n2026-01-02T03:04:05.678901234Z stderr F good\n"
		"unfinished";
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(file_write(f->log_dir, "web", bad, sizeof(bad) - 1, 0644, &err), 0);
	read_from_the_start(f);
	assert_string_equal(next(f), "e:good");
	assert_string_equal(next(f), "");
}

static void a_log_that_is_not_there_or_a_link_is_refused(void **state)
{
	struct fixture *f = *state;
	struct error err;

	assert_int_equal(logfile_open(&f->pod, "db", &f->file, &err), -ENOENT);
	assert_int_equal(symlinkat("/etc/passwd", f->log_dir, "evil"), 0);
	assert_true(logfile_open(&f->pod, "evil", &f->file, &err) < 0);
}

static void a_log_that_can_not_be_opened_says_why(void **state)
{
	struct fixture *f = *state;
	struct applog *full;
	struct error err;

	assert_int_equal(symlinkat("/dev/full", f->log_dir, "full"), 0);
	assert_true(applog_open(f->log_dir, "full", &full, &err) < 0); /* no link is followed */
	assert_int_equal(unlinkat(f->log_dir, "full", 0), 0);
	assert_int_equal(mkdirat(f->log_dir, "dir", 0755), 0);
	assert_int_equal(applog_open(f->log_dir, "dir", &full, &err), -EISDIR);
	assert_non_null(strstr(err.msg, "log of app dir"));
}

static void a_full_disk_loses_the_log_and_says_so(void **state)
{
	struct fixture *f = *state;
	struct rlimit before, tight;

	getrlimit(RLIMIT_FSIZE, &before);
	tight = (struct rlimit){.rlim_cur = 100, .rlim_max = before.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	for (int i = 0; i < 10; i++)
		put(f, false, "a line of the app\n");
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_int_equal(applog_error(f->log), -EFBIG);
	put(f, false, "and one more\n");
	assert_int_equal(applog_error(f->log), -EFBIG);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(lines_come_back_as_they_were_written),
		T(only_what_was_taken_is_kept),
		T(a_long_line_is_cut_and_put_together_again),
		T(a_log_is_rotated_and_a_reader_goes_on_with_the_next),
		T(lines_that_are_no_records_are_left_out),
		T(a_log_that_is_not_there_or_a_link_is_refused),
		T(a_full_disk_loses_the_log_and_says_so),
		T(a_log_that_can_not_be_opened_says_why),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
