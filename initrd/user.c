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

static char table[INIT_PASSWD_MAX];

static int not_found(const char *text, bool group, struct init_text *why)
{
	init_text_set(why, 0, "\"");
	init_text_add(why, text);
	init_text_add(why, group ? "\" group not found" : "\" user not found");
	return -ENOENT;
}

int init_user_resolve(const char *text, bool group, uint32_t *ret, struct init_text *why)
{
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
	return not_found(text, group, why);
}

bool init_user_primary(const char *passwd, size_t len, uint32_t uid, uint32_t *ret)
{
	const char *end = passwd + len;

	while (passwd < end) {
		const char *nl = memchr(passwd, '\n', (size_t)(end - passwd));
		size_t line = (size_t)((nl ? nl : end) - passwd), uid_len, gid_len;
		const char *its_uid = field(passwd, line, 2, &uid_len);
		const char *its_gid = field(passwd, line, 3, &gid_len);
		uint32_t id, gid;

		if (its_uid && its_gid && parse_id(its_uid, uid_len, &id) && id == uid &&
		    parse_id(its_gid, gid_len, &gid)) {
			*ret = gid;
			return true;
		}
		passwd += line + 1;
	}
	return false;
}

/* Whether name is one of those that commas part. */
static bool is_member(const char *list, size_t len, const char *name)
{
	const char *end = list + len;
	size_t name_len = strlen(name);

	for (;;) {
		const char *comma = memchr(list, ',', (size_t)(end - list));
		size_t one = (size_t)((comma ? comma : end) - list);

		if (one == name_len && !memcmp(list, name, one))
			return true;
		if (!comma)
			return false;
		list = comma + 1;
	}
}

unsigned init_user_groups(const char *group, size_t len, const char *name, uint32_t *ret,
			  unsigned max)
{
	const char *end = group + len;
	unsigned n = 0;

	while (group < end && n < max) {
		const char *nl = memchr(group, '\n', (size_t)(end - group));
		size_t line = (size_t)((nl ? nl : end) - group), gid_len, list_len;
		const char *gid = field(group, line, 2, &gid_len);
		const char *list = field(group, line, 3, &list_len);

		if (gid && list && is_member(list, list_len, name) &&
		    parse_id(gid, gid_len, &ret[n]))
			n++;
		group += line + 1;
	}
	return n;
}

/* A name of the table that was read. */
static int find_name(const char *text, bool group, size_t len, uint32_t *ret, struct init_text *why)
{
	if (init_user_lookup(table, len, text, ret))
		return 0;
	if (strcmp(text, "root") != 0)
		return not_found(text, group, why);
	*ret = 0; /* an image without tables has it all the same */
	return 0;
}

static int find_group(const char *text, uint32_t *ret, struct init_text *why)
{
	size_t len;
	int r;

	if (parse_id(text, strlen(text), ret))
		return 0;
	r = read_table("/etc/group", table, &len, why);
	return r < 0 ? r : find_name(text, true, len, ret, why);
}

int init_user_oci(const char *user, const char *group, struct init_user *ret, struct init_text *why)
{
	bool number = parse_id(user, strlen(user), &ret->uid);
	size_t len = 0;
	int r = number && group ? 0 : read_table("/etc/passwd", table, &len, why);

	if (r == 0 && !number)
		r = find_name(user, false, len, &ret->uid, why);
	if (r < 0)
		return r;
	if (group) {
		r = find_group(group, &ret->gid, why);
		ret->group_failed = r < 0;
		return r;
	}
	if (!init_user_primary(table, len, ret->uid, &ret->gid))
		ret->gid = 0;
	if (number)
		return 0;
	r = read_table("/etc/group", table, &len, why);
	if (r == 0)
		ret->ngroups =
			init_user_groups(table, len, user, ret->groups, INIT_USER_GROUPS_MAX);
	return r;
}
