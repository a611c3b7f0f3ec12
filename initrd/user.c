/* SPDX-License-Identifier: Apache-2.0 */
#include "initrd/user.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* An id in decimal, whole field; 2^32-1 means "no id" to the kernel and is none. */
static bool parse_id(const char *s, size_t len, uint32_t *ret)
{
	uint64_t n = 0;

	if (len == 0 || len > 10)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(s[i] - '0');
	}
	if (n >= UINT32_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* The line's field number n: colons part fields. NULL when there are fewer. */
static const char *field(const char *line, size_t len, unsigned n, size_t *ret_len)
{
	const char *end = line + len;

	for (;;) {
		const char *colon = memchr(line, ':', (size_t)(end - line));

		if (n-- == 0) {
			*ret_len = (size_t)((colon ? colon : end) - line);
			return line;
		}
		if (!colon)
			return NULL;
		line = colon + 1;
	}
}

bool init_user_lookup(const char *table, size_t len, const char *name, uint32_t *ret)
{
	const char *end = table + len;
	size_t name_len = strlen(name);

	while (table < end) {
		const char *nl = memchr(table, '\n', (size_t)(end - table));
		size_t line = (size_t)((nl ? nl : end) - table);
		size_t id_len;
		const char *id;

		if (line > name_len && table[name_len] == ':' && !memcmp(table, name, name_len)) {
			id = field(table, line, 2, &id_len);
			if (id && parse_id(id, id_len, ret))
				return true;
		}
		table += line + 1;
	}
	return false;
}

/*
 * Read a table. One that is missing or no regular file is an empty one: an image need not have it,
 * and its device nodes and pipes must not be opened. Nothing else can change the app's root yet.
 */
static int read_table(const char *path, char *buf, size_t *ret_len, struct init_text *why)
{
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;
	int fd;

	*ret_len = 0;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	if (st.st_size > INIT_PASSWD_MAX)
		return init_text_fail(why, -EFBIG, "reading", path);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0)
		return init_text_fail(why, -errno, "opening", path);
	while (len < INIT_PASSWD_MAX && (n = read(fd, buf + len, INIT_PASSWD_MAX - len)) > 0)
		len += (size_t)n;
	if (n < 0) {
		int r = -errno;

		close(fd);
		return init_text_fail(why, r, "reading", path);
	}
	close(fd);
	*ret_len = len;
	return 0;
}

int init_user_resolve(const char *text, bool group, uint32_t *ret, struct init_text *why)
{
	static char table[INIT_PASSWD_MAX];
	struct stat st;
	size_t len;
	int r;

	/* No table makes another of these two, so the common case reads none. */
	if (!strcmp(text, "0") || !strcmp(text, "root")) {
		*ret = 0;
		return 0;
	}
	if (text[0] == '/') {
		if (stat(text, &st) < 0)
			return init_text_fail(why, -errno, group ? "group of" : "user of", text);
		*ret = group ? st.st_gid : st.st_uid;
		return 0;
	}
	r = read_table(group ? "/etc/group" : "/etc/passwd", table, &len, why);
	if (r < 0)
		return r;
	if (init_user_lookup(table, len, text, ret) || parse_id(text, strlen(text), ret))
		return 0;
	init_text_set(why, 0, "\"");
	init_text_add(why, text);
	init_text_add(why, group ? "\" group not found" : "\" user not found");
	return -ENOENT;
}
