/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/trustmake.h"

#include "tests/unit/unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/trust/verify.h"

#define FIXTURES "tests/trust/"

char *trust_fixture(const char *name, size_t *ret_len)
{
	cleanup_free char *path = xasprintf(FIXTURES "%s", name);
	struct error err = ERROR_INIT;
	char *bytes;

	if (file_read(AT_FDCWD, path, KEY_FILE_MAX, &bytes, ret_len, &err) < 0)
		fail_msg("%s", err.msg);
	return bytes;
}

/* Trust the key of a fixture. */
void trust_key(const struct config_dirs *dirs, const char *prefix, const char *key_file)
{
	cleanup_public_key struct public_key key = PUBLIC_KEY_INIT;
	cleanup_free char *path = NULL, *bytes = NULL;
	struct error err = ERROR_INIT;
	size_t len;

	bytes = trust_fixture(key_file, &len);
	if (public_key_parse(bytes, len, key_file, &key, &err) < 0 ||
	    keystore_add(dirs, prefix, &key, &path, &err) < 0)
		fail_msg("%s", err.msg);
}

void trust_world_init(struct trust_world *world, void **state)
{
	world->scratch = *state;
	snprintf(world->system, sizeof(world->system), "%s/usr", world->scratch->path);
	snprintf(world->local, sizeof(world->local), "%s/etc", world->scratch->path);
	world->dirs = (struct config_dirs){.system = world->system, .local = world->local};
}

/* The whole way of a file image. *ret_signer is the fingerprint of who made it trusted. */
int trust_check(const struct trust_world *world, const char *signature_file, const char *data_file,
		const char *name, bool whole_store, char **ret_warning, struct error *err)
{
	cleanup_keyring struct keyring *keys = NULL;
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	cleanup_free char *signature = NULL, *data = NULL;
	const struct signer *signer;
	size_t signature_len, len;
	int r;

	signature = trust_fixture(signature_file, &signature_len);
	data = trust_fixture(data_file, &len);
	r = keyring_load(&world->dirs, whole_store ? NULL : name, &keys, err);
	if (r == 0)
		r = verify_bytes(keys, signature, signature_len, data, len, signers, err);
	if (r == 0)
		r = signers_decide(signers, keys, name, &signer, ret_warning, err);
	return r;
}

void trust_put(const struct trust_world *world, const char *path, const char *fixture_name)
{
	cleanup_free char *full = xasprintf("%s/%s", world->scratch->path, path);
	cleanup_free char *dir = xstrndup(full, (size_t)(strrchr(full, '/') - full));
	cleanup_free char *bytes = NULL;
	struct error err = ERROR_INIT;
	size_t len = 0;

	bytes = fixture_name ? trust_fixture(fixture_name, &len) : xstrdup("");
	if (mkdir_path(AT_FDCWD, dir, 0755, &err) < 0 ||
	    file_write(AT_FDCWD, full, bytes, len, 0644, &err) < 0)
		fail_msg("%s", err.msg);
}

void trust_fingerprint(const char *key_file, char ret[FINGERPRINT_HEX + 1])
{
	cleanup_public_key struct public_key key = PUBLIC_KEY_INIT;
	cleanup_free char *bytes = NULL;
	struct error err = ERROR_INIT;
	size_t len;

	bytes = trust_fixture(key_file, &len);
	if (public_key_parse(bytes, len, key_file, &key, &err) < 0)
		fail_msg("%s", err.msg);
	memcpy(ret, key.fingerprint, FINGERPRINT_HEX + 1);
}

/* Put a file (a fixture, or an empty one) under a key's fingerprint. */
void trust_put_key(const struct trust_world *world, const char *dir, const char *of,
		   const char *content)
{
	char fingerprint[FINGERPRINT_HEX + 1];
	cleanup_free char *path = NULL;

	trust_fingerprint(of, fingerprint);
	path = xasprintf("%s/%s", dir, fingerprint);
	trust_put(world, path, content);
}

void trust_add(struct trust_bytes *bytes, const void *p, size_t len)
{
	assert_true(len <= KEY_FILE_MAX - bytes->len);
	if (!bytes->p)
		bytes->p = xcalloc(1, KEY_FILE_MAX);
	memcpy(bytes->p + bytes->len, p, len);
	bytes->len += len;
}
