/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts about signatures, against keys and signatures of fixed dates (tests/trust). */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/image/confine.h"
#include "stage0/trust/verify.h"
#include "stage0/trust/verify_priv.h"
#include "tests/unit/trustmake.h"

static void test_each_kind_of_signature_gets_its_verdict(void **state)
{
	static const struct {
		const char *signature, *data;
		int code;
		const char *says;
	} cases[] = {
		{"good.aci.asc", "image.aci", 0, NULL},
		{"good.aci.sig", "image.aci", 0, NULL},
		{"subkey.aci.asc", "image.aci", 0, NULL},
		{"expired-key.aci.asc", "image.aci", 0, "it expired on 2021-01-01"},
		{"both.aci.asc", "image.aci", 0, NULL},
		{"blocks.aci.asc", "image.aci", 0, NULL},
		{"old-sha1.aci.asc", "image.aci", 0, NULL},
		{"other.aci.asc", "image.aci", -ENOKEY, "signature made by unknown entity"},
		{"good.aci.asc", "image.tar", -EKEYREJECTED, "bad signature"},
		{"tar.aci.asc", "image.aci", -EKEYREJECTED, "other bytes than the image's file"},
		{"revoked.aci.asc", "image.aci", -EKEYREVOKED, "which is revoked"},
		{"expired.aci.asc", "image.aci", -EKEYEXPIRED, "expired on 2020-03-01"},
		{"late.aci.asc", "image.aci", -EKEYEXPIRED, "had expired on 2021-01-01"},
		{"future.aci.asc", "image.aci", -EKEYREJECTED, "a day to come, 2099-02-01"},
		{"sha1.aci.asc", "image.aci", -EKEYREJECTED, "uses SHA1"},
		{"md5.aci.asc", "image.aci", -EKEYREJECTED, "uses MD5"},
		{"ripemd.aci.asc", "image.aci", -EKEYREJECTED, "uses RIPEMD160"},
		{"weak-key.aci.asc", "image.aci", -EKEYREJECTED, "nothing valid allows"},
		{"text.aci.asc", "image.aci", -EKEYREJECTED, "not of the kind that signs files"},
		{"message.aci.asc", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
		{"clear.aci.asc", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
		{"good.key.asc", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
		{"good.key.gpg", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
		{"image.aci", "image.aci", -EBADMSG, "not a detached OpenPGP signature"},
	};
	static const char *const keys[] = {"good", "subkey", "expired", "revoked", "old", "weak"};
	struct trust_world world;

	trust_world_init(&world, state);
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		cleanup_free char *file = xasprintf("%s.key.asc", keys[i]);

		trust_key(&world.dirs, "example.com", file);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cases) * 2; i++) {
		const typeof(cases[0]) *c = &cases[i / 2];
		cleanup_free char *warning = NULL;
		struct error err = ERROR_INIT;
		int r = trust_check(&world, c->signature, c->data, "example.com/app", i % 2,
				    &warning, &err);
		const char *said = r == 0 ? warning : err.msg;

		if (r != c->code || (said == NULL) != (c->says == NULL) ||
		    (said && !strstr(said, c->says)))
			fail_msg("%s of %s: %d, %s", c->signature, c->data, r, said);
		if (said && strchr(said, '\n'))
			fail_msg("%s: more than a line: %s", c->signature, said);
	}
}

static void test_tampered_bytes_never_pass(void **state)
{
	cleanup_free char *signature = NULL, *data = NULL;
	cleanup_keyring struct keyring *keys = NULL;
	size_t signature_len, len;
	struct error err = ERROR_INIT;
	struct trust_world world;

	trust_world_init(&world, state);
	trust_key(&world.dirs, NULL, "good.key.asc");
	assert_int_equal(keyring_load(&world.dirs, "example.com/app", &keys, &err), 0);
	signature = trust_fixture("good.aci.sig", &signature_len);
	data = trust_fixture("image.aci", &len);
	/* one bit of the image, then one of the signature, at places all over */
	for (size_t i = 0; i < 48; i++) {
		bool of_signature = i % 2;
		size_t size = of_signature ? signature_len : len, at = i * 7919 % size;
		char *p = of_signature ? signature : data;
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		const struct signer *signer;
		struct error why = ERROR_INIT;
		int r;

		p[at] ^= (char)(1 << i % 8);
		r = verify_bytes(keys, signature, signature_len, data, len, signers, &why);
		if (r == 0)
			r = signers_decide(signers, keys, "example.com/app", &signer, NULL, &why);
		/* the unhashed part of a signature is a hint that may be wrong */
		if (r == 0 && !of_signature)
			fail_msg("bit of byte %zu changed, and accepted", at);
		if (!of_signature)
			assert_int_equal(r, -EKEYREJECTED);
		p[at] ^= (char)(1 << i % 8);
	}
	/* less and more of the image */
	for (size_t i = 0; i < 3; i++) {
		static const long lengths[] = {0, -1, 1};
		size_t n = lengths[i] == 0 ? 0 : len + (size_t)lengths[i];
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		struct error why = ERROR_INIT;

		assert_int_equal(
			verify_bytes(keys, signature, signature_len, data, n, signers, &why), 0);
		assert_int_equal(signers->signer[0].verdict, SIGNATURE_BAD);
	}
}

static void test_the_issuer_is_known_before_any_byte(void **state)
{
	cleanup_free char *good = NULL, *other = NULL;
	cleanup_keyring struct keyring *keys = NULL, *none = NULL;
	size_t good_len, other_len;
	struct error err = ERROR_INIT;
	struct trust_world world;

	trust_world_init(&world, state);
	assert_int_equal(keyring_load(&world.dirs, "example.com/app", &none, &err), 0);
	trust_key(&world.dirs, "example.com", "good.key.asc");
	good = trust_fixture("good.aci.asc", &good_len);
	other = trust_fixture("other.aci.asc", &other_len);
	assert_int_equal(keyring_load(&world.dirs, "example.com/app", &keys, &err), 0);
	assert_int_equal(verify_issuer(keys, "example.com/app", good, good_len, &err), 0);
	assert_int_equal(verify_issuer(keys, "example.com/app", other, other_len, &err), -ENOKEY);
	assert_non_null(strstr(err.msg, "openpgp: signature made by unknown entity"));
	assert_non_null(strstr(err.msg, "trust --prefix=example.com/app"));
	assert_int_equal(verify_issuer(none, "example.com/app", good, good_len, &err), -ENOKEY);
	assert_non_null(strstr(err.msg, "no key is trusted for example.com/app"));
	assert_int_equal(verify_issuer(keys, "example.com/app", "rubbish", 7, &err), -EBADMSG);
	assert_int_equal(verify_issuer(keys, "example.com/app", "", 0, &err), -EBADMSG);
}

static void test_too_much_of_a_signature_is_refused(void **state)
{
	cleanup_free char *good = NULL, *huge = NULL;
	cleanup_keyring struct keyring *keys = NULL;
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	struct error err = ERROR_INIT;
	struct trust_world world;
	size_t len;

	trust_world_init(&world, state);
	trust_key(&world.dirs, NULL, "good.key.asc");
	good = trust_fixture("good.aci.sig", &len);
	assert_int_equal(keyring_load(&world.dirs, NULL, &keys, &err), 0);
	huge = xcalloc(1, SIGNATURE_FILE_MAX + 1);
	for (size_t i = 0; i <= SIGNATURES_MAX; i++)
		memcpy(huge + i * len, good, len);
	assert_int_equal(verify_bytes(keys, huge, len * SIGNATURES_MAX, "", 0, signers, &err), 0);
	assert_int_equal(signers->n, SIGNATURES_MAX);
	assert_int_equal(verify_bytes(keys, huge, len * (SIGNATURES_MAX + 1), "", 0, signers, &err),
			 -E2BIG);
	assert_int_equal(verify_bytes(keys, huge, SIGNATURE_FILE_MAX + 1, "", 0, signers, &err),
			 -EFBIG);
	assert_int_equal(verify_bytes(keys, huge, len * 2 - 1, "", 0, signers, &err), -EBADMSG);
}

static void test_a_stream_may_come_in_any_pieces_and_may_be_given_up(void **state)
{
	cleanup_free char *signature = NULL, *data = NULL, *much = xcalloc(1, 1 << 20);
	cleanup_keyring struct keyring *keys = NULL;
	struct error err = ERROR_INIT;
	size_t signature_len, len;
	struct trust_world world;

	trust_world_init(&world, state);
	trust_key(&world.dirs, NULL, "good.key.asc");
	signature = trust_fixture("good.aci.asc", &signature_len);
	data = trust_fixture("image.aci", &len);
	assert_int_equal(keyring_load(&world.dirs, NULL, &keys, &err), 0);
	for (size_t piece = 1; piece < 200; piece += 66) {
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		cleanup_verify struct verify *verify = NULL;

		assert_int_equal(verify_start(keys, signature, signature_len, &verify, &err), 0);
		for (size_t at = 0; at < len; at += piece)
			assert_int_equal(
				verify_write(verify, data + at, MIN(piece, len - at), &err), 0);
		assert_int_equal(verify_finish(verify, signers, &err), 0);
		assert_int_equal(signers->signer[0].verdict, SIGNATURE_VALID);
		assert_string_equal(signers->signer[0].user_ids[0], "good key <good@example.com>");
	}
	/* garbage for a signature: all is taken all the same, and refused in the end */
	for (int finish = 0; finish < 2; finish++) {
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		cleanup_verify struct verify *verify = NULL;

		assert_int_equal(verify_start(keys, "rubbish", 7, &verify, &err), 0);
		for (int i = 0; i < 4; i++)
			assert_int_equal(verify_write(verify, much, 1 << 20, &err), 0);
		if (finish)
			assert_int_equal(verify_finish(verify, signers, &err), -EBADMSG);
	}
}

/* A signature packet's body: version 4, RSA, SHA-256, these hashed subpackets, and a number. */
static void add_signature(struct trust_bytes *bytes, const struct trust_bytes *hashed)
{
	const uint8_t head[] = {4, 0, 1, 8, (uint8_t)(hashed->len >> 8), (uint8_t)hashed->len};
	const uint8_t tail[] = {0, 0, 0xab, 0xcd, 0, 8, 0xff};

	trust_add(bytes, head, sizeof(head));
	if (hashed->len)
		trust_add(bytes, hashed->p, hashed->len);
	trust_add(bytes, tail, sizeof(tail));
}

/* Signatures in signatures, as a subpacket of at most so many bytes. */
static struct trust_bytes nest(size_t max)
{
	struct trust_bytes nested = {NULL, 0};

	while (nested.len + 32 < max) {
		struct trust_bytes body = {NULL, 0}, outer = {NULL, 0};
		uint8_t head[6] = {255};

		add_signature(&body, &nested);
		head[3] = (uint8_t)((body.len + 1) >> 8);
		head[4] = (uint8_t)(body.len + 1);
		head[5] = 32; /* embedded signature */
		trust_add(&outer, head, sizeof(head));
		trust_add(&outer, body.p, body.len);
		free(body.p);
		free(nested.p);
		nested = outer;
	}
	return nested;
}

static void refuse_signature(const struct keyring *keys, const struct trust_bytes *body)
{
	cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
	const uint8_t head[] = {0xc2,
				255,
				0,
				(uint8_t)(body->len >> 16),
				(uint8_t)(body->len >> 8),
				(uint8_t)body->len};
	struct error err = ERROR_INIT;
	struct trust_bytes file = {NULL, 0};
	const struct signer *signer;
	int r;

	trust_add(&file, head, sizeof(head));
	trust_add(&file, body->p, body->len);
	r = verify_issuer(keys, "example.com/app", file.p, file.len, &err);
	if (r != -EBADMSG && r != -ENOKEY)
		fail_msg("before: %d, %s", r, err.msg);
	r = verify_bytes(keys, file.p, file.len, "x", 1, signers, &err);
	if (r == 0)
		r = signers_decide(signers, keys, "example.com/app", &signer, NULL, &err);
	if (r != -EBADMSG && r != -ENOKEY)
		fail_msg("%d, %s", r, err.msg);
	free(file.p);
}

static void test_hostile_signatures_end_in_a_refusal(void **state)
{
	static const size_t depths[] = {60000, 16000, 4000, 64};
	cleanup_keyring struct keyring *keys = NULL;
	cleanup_free uint8_t *nothing = xcalloc(1, 15000);
	struct trust_bytes zeros = {NULL, 0}, body = {NULL, 0};
	struct error err = ERROR_INIT;
	struct trust_world world;

	trust_world_init(&world, state);
	trust_key(&world.dirs, NULL, "good.key.asc");
	assert_int_equal(keyring_load(&world.dirs, "example.com/app", &keys, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(depths); i++) {
		struct trust_bytes nested = nest(depths[i]);

		body.len = 0;
		add_signature(&body, &nested);
		refuse_signature(keys, &body);
		free(nested.p);
	}
	/* a number that is not there, and subpackets of no length */
	memset(body.p + body.len - 3, 0xff, 2);
	refuse_signature(keys, &body);
	trust_add(&zeros, nothing, 15000);
	body.len = 0;
	add_signature(&body, &zeros);
	refuse_signature(keys, &body);
	free(zeros.p);
	free(body.p);
}

/* Kill the only child there is. */
static void kill_child(void)
{
	cleanup_free char *path = xasprintf("/proc/self/task/%d/children", getpid()), *text = NULL;
	struct error err = ERROR_INIT;
	size_t len;
	int pid;

	assert_int_equal(file_read(AT_FDCWD, path, 4096, &text, &len, &err), 0);
	pid = (int)strtol(text, NULL, 10);
	assert_true(pid > 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
}

static void test_a_verifier_that_dies_fails_the_write_and_says_how(void **state)
{
	cleanup_free char *much = xcalloc(1, 1 << 20), *signature = NULL;
	cleanup_keyring struct keyring *keys = NULL;
	struct error err = ERROR_INIT;
	struct trust_world world;
	size_t len;

	trust_world_init(&world, state);
	trust_key(&world.dirs, NULL, "good.key.asc");
	signature = trust_fixture("good.aci.asc", &len);
	assert_int_equal(keyring_load(&world.dirs, NULL, &keys, &err), 0);
	for (int finish = 0; finish < 2; finish++) {
		cleanup_free struct signers *signers = xcalloc(1, sizeof(*signers));
		cleanup_verify struct verify *verify = NULL;
		int r = 0;

		assert_int_equal(verify_start(keys, signature, len, &verify, &err), 0);
		kill_child();
		for (int i = 0; !finish && r == 0 && i < 64; i++)
			r = verify_write(verify, much, 1 << 20, &err);
		if (finish)
			r = verify_finish(verify, signers, &err);
		assert_int_equal(r, -EPROTO);
		assert_non_null(strstr(err.msg, "killed by signal 9"));
		/* and that is all it says */
		assert_int_equal(verify_finish(verify, signers, &err), -EPROTO);
	}
}

/* What the verifier's child tries when it was taken over. */
static int break_out(void *arg, void *result, struct error *err)
{
	struct verify_job *job = arg;
	int *ret = result;

	*ret = open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES &&
	       open("/tmp/x", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) < 0 && errno == EACCES;
	if (job->fd == 1)
		socket(AF_INET, SOCK_STREAM, 0);
	if (job->fd == 2)
		execl("/bin/true", "true", (char *)NULL);
	if (job->fd == 3)
		kill(getppid(), 0);
	(void)err;
	return 0;
}

static void test_the_verifier_can_open_nothing_and_reach_nobody(void **state)
{
	(void)state;
	for (int what = 0; what < 4; what++) {
		struct verify_job job = {.fd = what};
		const struct confined_job child = {
			.what = "verifier",
			.prepare = verify_child_prepare,
			.run = break_out,
			.arg = &job,
			.result_len = sizeof(int),
		};
		struct confined confined = CONFINED_INIT;
		struct error err = ERROR_INIT;
		int refused = 0;

		assert_int_equal(confined_start(&child, &confined, &err), 0);
		assert_int_equal(confined_finish(&confined, &refused, 60000, &err),
				 what == 0 ? 0 : -EPROTO);
		assert_int_equal(refused, what == 0);
		if (what > 0)
			assert_non_null(strstr(err.msg, "killed by signal 31"));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_setup, scratch_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_each_kind_of_signature_gets_its_verdict),
		TEST(test_tampered_bytes_never_pass),
		TEST(test_the_issuer_is_known_before_any_byte),
		TEST(test_too_much_of_a_signature_is_refused),
		TEST(test_a_stream_may_come_in_any_pieces_and_may_be_given_up),
		TEST(test_hostile_signatures_end_in_a_refusal),
		TEST(test_a_verifier_that_dies_fails_the_write_and_says_how),
		TEST(test_the_verifier_can_open_nothing_and_reach_nobody),
	};

	return cmocka_run_group_tests_name("verify", tests, NULL, NULL);
}
