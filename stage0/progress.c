/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines of progress.
 *
 * Theory of operation: the lines are always the last ones on the terminal, with the cursor behind
 * the last of them. To draw them anew the cursor goes up, every line is written over and erased only
 * behind its end, all in one write(), so nothing flickers. To say something else the lines are erased,
 * the text takes their place, and they are drawn below it. They are drawn ten times a second at most.
 */
#include "stage0/progress.h"

#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "common/log.h"
#include "common/util.h"
#include "stage0/format.h"

#define REDRAW_NS     (UINT64_C(100) * 1000 * 1000)
#define WIDTH_DEFAULT 80
#define WIDTH_MIN     20 /* what is narrower is drawn as if it were not */
#define BAR_MAX	      30 /* columns between the brackets */
#define BAR_MIN	      8

struct transfer {
	char *what;
	uint64_t first, now, total; /* bytes; first: when it began */
	uint64_t started;	    /* clock */
};

struct progress {
	bool bars, quiet;
	struct transfer transfer[PROGRESS_TRANSFERS_MAX];
	size_t n;
	size_t drawn; /* lines on the terminal */
	uint64_t last;
};

struct progress *progress_new(bool bars, bool quiet)
{
	struct progress *progress = xcalloc(1, sizeof(*progress));

	progress->bars = bars;
	progress->quiet = quiet;
	return progress;
}

bool progress_on_terminal(void)
{
	const char *term = getenv("TERM");

	return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static size_t columns(const char *text)
{
	size_t n = 0;

	for (; *text; text++)
		n += ((unsigned char)*text & 0xc0) != 0x80;
	return n;
}

/* The end of text, in width columns: of a URL it tells more than the beginning. */
static void add_tail(struct str *str, const char *text, size_t width)
{
	size_t have = columns(text);

	if (have <= width) {
		str_add(str, text);
		return;
	}
	if (width == 0)
		return;
	for (size_t skip = have - width + 1; skip > 0 || ((unsigned char)*text & 0xc0) == 0x80;
	     text++)
		if (((unsigned char)*text & 0xc0) != 0x80)
			skip--;
	str_add(str, "…");
	str_add(str, text);
}

static void add_bar(struct str *str, uint64_t now, uint64_t total, size_t width)
{
	size_t full = (size_t)((double)MIN(now, total) / (double)total * (double)width);

	str_add(str, " [");
	for (size_t i = 0; i < width; i++)
		str_add(str, i < full ? "=" : i == full ? ">" : " ");
	str_add(str, "]");
}

void progress_line(struct str *str, const char *what, uint64_t now, uint64_t total,
		   uint64_t bytes_per_second, size_t width)
{
	cleanup_free char *done = size_text(now), *all = size_text(total);
	cleanup_free char *speed = size_text(bytes_per_second);
	cleanup_free char *numbers = total ? xasprintf(" %s/%s %s/s", done, all, speed)
					   : xasprintf(" %s %s/s", done, speed);
	cleanup_str struct str name = STR_INIT;
	size_t room, bar = 0;

	width = MAX(width, (size_t)WIDTH_MIN);
	str_add_escaped(&name, what, strlen(what));
	room = width - MIN(width, columns(numbers));
	/* the bar gets what the name leaves, and at most half */
	if (total && room > BAR_MIN + 3)
		bar = MIN(MAX(room - MIN(room, columns(str_get(&name))), room / 2), room) - 3;
	bar = bar < BAR_MIN ? 0 : MIN(bar, (size_t)BAR_MAX);
	add_tail(str, str_get(&name), room - (bar ? bar + 3 : 0));
	if (bar)
		add_bar(str, now, total, bar);
	if (columns(numbers) <= width)
		str_add(str, numbers);
}

static size_t terminal_width(void)
{
	struct winsize size;

	/* one column stays free: a full line would wrap on some terminals */
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		return size.ws_col - 1;
	return WIDTH_DEFAULT - 1;
}

static void emit(const struct str *str)
{
	if (str->len)
		write_all(STDERR_FILENO, str_get(str), str->len);
}

static uint64_t speed_of(const struct transfer *transfer, uint64_t clock)
{
	uint64_t ms = (clock - transfer->started) / 1000000;

	return ms ? (transfer->now - transfer->first) * 1000 / ms : 0;
}

static void draw(struct progress *progress)
{
	cleanup_str struct str out = STR_INIT;
	uint64_t clock = clock_now_ns();
	size_t width = terminal_width();

	if (progress->drawn)
		str_addf(&out, "\033[%zuA", progress->drawn);
	for (size_t i = 0; i < progress->n; i++) {
		const struct transfer *t = &progress->transfer[i];

		str_add(&out, "\r");
		progress_line(&out, t->what, t->now, t->total, speed_of(t, clock), width);
		str_add(&out, "\033[K\n");
	}
	if (progress->n < progress->drawn)
		str_add(&out, "\033[J");
	emit(&out);
	progress->drawn = progress->n;
	progress->last = clock;
}

/* Make room where the lines are. */
static void erase(struct progress *progress)
{
	cleanup_str struct str out = STR_INIT;

	if (progress->drawn)
		str_addf(&out, "\033[%zuA\r\033[J", progress->drawn);
	emit(&out);
	progress->drawn = 0;
}

static struct transfer *find(struct progress *progress, const char *what)
{
	for (size_t i = 0; i < progress->n; i++)
		if (strcmp(progress->transfer[i].what, what) == 0)
			return &progress->transfer[i];
	return NULL;
}

static struct transfer *add(struct progress *progress, const char *what, uint64_t now)
{
	struct transfer *t;

	if (progress->n == PROGRESS_TRANSFERS_MAX)
		return NULL;
	t = &progress->transfer[progress->n++];
	*t = (struct transfer){
		.what = xstrdup(what), .first = now, .now = now, .started = clock_now_ns()};
	return t;
}

static void drop(struct progress *progress, struct transfer *t)
{
	size_t i = (size_t)(t - progress->transfer);

	free(t->what);
	progress->n--;
	memmove(t, t + 1, (progress->n - i) * sizeof(*t));
}

static void log_start(const struct transfer *t, uint64_t total)
{
	cleanup_free char *size = size_text(total);

	log_info("Downloading %s%s%s", t->what, total ? " … " : "", total ? size : "");
}

static void log_end(const struct transfer *t)
{
	cleanup_free char *size = size_text(t->now);

	log_info("Downloaded %s: %s in %llu s", t->what, size,
		 (unsigned long long)((clock_now_ns() - t->started) / 1000000000));
}

static void on_progress(void *priv, const char *what, uint64_t now, uint64_t total, bool done)
{
	struct progress *progress = priv;
	struct transfer *t = find(progress, what);
	bool first = !t;

	if (progress->quiet || (first && done))
		return;
	if (first)
		t = add(progress, what, now);
	if (!t)
		return;
	t->now = now;
	t->total = total;
	if (!progress->bars) {
		if (first)
			log_start(t, total);
		if (done)
			log_end(t);
	} else if (done) {
		erase(progress);
		log_end(t);
	}
	if (done)
		drop(progress, t);
	if (progress->bars && (done || first || clock_now_ns() - progress->last >= REDRAW_NS))
		draw(progress);
}

/* Put a line of the log above the lines of progress. */
static void log_above(struct progress *progress, enum log_level level, const char *line)
{
	erase(progress);
	log_line(level, "%s", line);
	if (progress->n && progress->bars)
		draw(progress);
}

static void on_debug(void *priv, const char *line)
{
	log_above(priv, LOG_DEBUG, line);
}

static void on_info(void *priv, const char *line)
{
	log_above(priv, LOG_INFO, line);
}

static void on_warn(void *priv, const char *line)
{
	log_above(priv, LOG_WARN, line);
}

struct fetch_report progress_report(struct progress *progress)
{
	return (struct fetch_report){progress, on_debug, on_info, on_warn, on_progress};
}

void progress_free(struct progress *progress)
{
	if (!progress)
		return;
	erase(progress);
	while (progress->n)
		drop(progress, &progress->transfer[progress->n - 1]);
	free(progress);
}
