/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/tarmake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"

void tar_raw(struct tarmake *tar, const void *bytes, size_t len)
{
	tar->p = xrealloc(tar->p, tar->len + len, 1);
	if (bytes)
		memcpy(tar->p + tar->len, bytes, len);
	else
		memset(tar->p + tar->len, 0, len);
	tar->len += len;
}

static void pad(struct tarmake *tar)
{
	if (tar->len % 512)
		tar_raw(tar, NULL, 512 - tar->len % 512);
}

static void octal(char *field, size_t digits, uint64_t value)
{
	for (field[digits] = '\0'; digits > 0; value >>= 3)
		field[--digits] = (char)('0' + (value & 7));
}

static void header(struct tarmake *tar, const struct tarent *e, char type, const char *name,
		   size_t size)
{
	char h[512] = {0};
	unsigned sum = 0;

	strncpy(h, name, 100);
	octal(h + 100, 7, e->mode ? e->mode : type == '5' ? 0755 : 0644);
	octal(h + 108, 7, e->uid);
	octal(h + 116, 7, e->gid);
	octal(h + 124, 11, size);
	octal(h + 136, 11, e->mtime);
	h[156] = type;
	if (e->link)
		strncpy(h + 157, e->link, 100);
	memcpy(h + 257, "ustar\00000", 8);
	octal(h + 329, 7, e->major);
	octal(h + 337, 7, e->minor);
	memset(h + 148, ' ', 8);
	for (size_t i = 0; i < sizeof(h); i++)
		sum += (unsigned char)h[i];
	octal(h + 148, 6, e->bad_sum ? sum + 1 : sum);
	tar_raw(tar, h, sizeof(h));
}

void tar_add(struct tarmake *tar, const struct tarent *e)
{
	static const struct tarent plain;
	size_t link = e->link ? strlen(e->link) : 0;

	if (e->pax) {
		header(tar, &plain, 'x', "PaxHeaders/x", e->pax_len);
		tar_raw(tar, e->pax, e->pax_len);
		pad(tar);
	}
	if (strlen(e->name) > 100) {
		header(tar, &plain, 'L', "././@LongLink", strlen(e->name) + 1);
		tar_raw(tar, e->name, strlen(e->name) + 1);
		pad(tar);
	}
	if (link > 100) {
		header(tar, &plain, 'K', "././@LongLink", link + 1);
		tar_raw(tar, e->link, link + 1);
		pad(tar);
	}
	header(tar, e, e->type ? e->type : '0', e->name, e->size);
	if (!e->no_data) {
		tar_raw(tar, e->data, e->size);
		pad(tar);
	}
}

void tar_end(struct tarmake *tar)
{
	tar_raw(tar, NULL, 1024);
}

void tar_free(struct tarmake *tar)
{
	free(tar->p);
	*tar = (struct tarmake){.p = NULL};
}

void pax_add(struct tarmake *pax, const char *key, const void *value, size_t len)
{
	size_t rest = strlen(key) + len + 3, total = rest + 1;
	char number[24];

	/* the length counts its own digits */
	while ((size_t)snprintf(number, sizeof(number), "%zu", total) + rest != total)
		total++;
	tar_raw(pax, number, strlen(number));
	tar_raw(pax, " ", 1);
	tar_raw(pax, key, strlen(key));
	tar_raw(pax, "=", 1);
	tar_raw(pax, value, len);
	tar_raw(pax, "\n", 1);
}

void tar_add_manifest(struct tarmake *tar)
{
	tar_add_file(tar, "manifest", TAR_MANIFEST);
}

void tar_add_dir(struct tarmake *tar, const char *name)
{
	tar_add(tar, &(struct tarent){.name = name, .type = '5'});
}

void tar_add_file(struct tarmake *tar, const char *name, const char *text)
{
	tar_add(tar, &(struct tarent){.name = name, .data = text, .size = strlen(text)});
}

int tar_fd(const struct tarmake *tar)
{
	int fd = memfd_create("tar", MFD_CLOEXEC);

	if (fd < 0 || write_all(fd, tar->p, tar->len) < 0 || lseek(fd, 0, SEEK_SET) < 0)
		abort();
	return fd;
}
