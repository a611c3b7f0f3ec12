/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/review.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/log.h"
#include "common/util.h"

#define ANSWER_MAX 64 /* bytes of a line that is yes or no */

/* "ABCD EF01 2345 6789 ABCD  EF01 ...", as fingerprints are compared by eye. */
static void add_fingerprint(struct str *str, const char *fingerprint)
{
	size_t len = strlen(fingerprint);

	for (size_t i = 0; i < len; i++) {
		const char digit[] = {(char)toupper((unsigned char)fingerprint[i]), '\0'};

		if (i > 0 && i % 4 == 0)
			str_add(str, i == len / 2 ? "  " : " ");
		str_add(str, digit);
	}
	str_add(str, "\n");
}

/* The key's own words are escaped: it could draw another key's over them. */
static void show(const struct public_key *key, const char *prefix, const char *location)
{
	cleanup_str struct str text = STR_INIT;

	str_addf(&text, "prefix: \"%s\"\nkey: \"", prefix ? prefix : "");
	str_add_escaped(&text, location, strlen(location));
	str_add(&text, "\"\ngpg key fingerprint is: ");
	add_fingerprint(&text, key->fingerprint);
	for (size_t i = 0; i < key->subkeys.n; i++) {
		str_add(&text, "    Subkey fingerprint: ");
		add_fingerprint(&text, key->subkeys.v[i]);
	}
	for (size_t i = 0; i < key->user_ids.n; i++) {
		str_add(&text, "\t");
		str_add_escaped(&text, key->user_ids.v[i], strlen(key->user_ids.v[i]));
		str_add(&text, "\n");
	}
	if (key->revoked)
		str_add(&text, "\tThis key is revoked: nothing signed with it will be accepted.\n");
	if (key->expired)
		str_add(&text, "\tThis key has expired.\n");
	fputs(str_get(&text), stderr);
}

/* Read one line of the terminal. False at its end. */
static bool read_line(char line[ANSWER_MAX])
{
	size_t len = 0;
	char c;

	for (;;) {
		ssize_t n = read(STDIN_FILENO, &c, 1);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		if (c == '\n')
			break;
		if (len < ANSWER_MAX - 1)
			line[len++] = c;
	}
	line[len] = '\0';
	return true;
}

bool review_on_terminal(void)
{
	return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

int review_key(void *priv, const struct public_key *key, const char *prefix, const char *location,
	       struct error *err)
{
	char line[ANSWER_MAX];

	show(key, prefix, location);
	if (!review_on_terminal())
		return error_set(err, -ENOTTY,
				 "there is no terminal to ask whether to trust the key: %s",
				 (const char *)priv);
	for (;;) {
		char *word = line, *end;

		fputs("Are you sure you want to trust this key (yes/no)?\n", stderr);
		if (!read_line(line))
			return error_set(err, -EPERM, "%s: not trusted: no answer", location);
		word += strspn(word, " \t\r");
		end = word + strcspn(word, " \t\r");
		*end = '\0';
		if (strcasecmp(word, "yes") == 0)
			return 0;
		if (strcasecmp(word, "no") == 0)
			return error_set(err, -EPERM, "%s: not trusted", location);
		fputs("Please answer \"yes\" or \"no\"\n", stderr);
	}
}
