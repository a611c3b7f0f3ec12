/* SPDX-License-Identifier: Apache-2.0 */
/* The first byte says what the rest is: a key file, or the signature of an image of no bytes. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/file.h"
#include "common/util.h"
#include "stage0/trust/keystore_priv.h"
#include "stage0/trust/verify_priv.h"
#include "tests/fuzz/fuzz.h"

static struct verify_job job = {.fd = -1};
static struct key_file files[2];
static struct keyring keyring = {.file = files};

static void setup(void)
{
	static const char *const keys[] = {"tests/trust/good.key.asc", "tests/trust/old.key.asc"};
	struct error err = ERROR_INIT;

	if (openpgp_load(&job.rnp, &err) < 0)
		abort();
	stderr = fopen("/dev/null", "we"); /* the library's; the fuzzer has its own */
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char fingerprint[FINGERPRINT_HEX + 1];
		rnp_ffi_t ffi;

		if (openpgp_context(&job.rnp, &ffi, &err) < 0 ||
		    file_read(AT_FDCWD, keys[i], KEY_FILE_MAX, &files[i].bytes, &files[i].len,
			      &err) < 0 ||
		    openpgp_import(&job.rnp, ffi, files[i].bytes, files[i].len, fingerprint, &err) <
			    0)
			abort();
		job.rnp.ffi_destroy(ffi);
		files[i].name = xstrdup(fingerprint);
		files[i].prefix = xstrdup("");
		files[i].path = xstrdup(keys[i]);
	}
	keyring.n = ARRAY_SIZE(keys);
	job.keys = &keyring;
}

static void import(const uint8_t *data, size_t size)
{
	char fingerprint[FINGERPRINT_HEX + 1];
	struct error err = ERROR_INIT;
	rnp_ffi_t ffi;

	if (openpgp_context(&job.rnp, &ffi, &err) < 0)
		abort();
	if (openpgp_import(&job.rnp, ffi, data, size, fingerprint, &err) == 0 &&
	    strlen(fingerprint) != FINGERPRINT_HEX)
		abort();
	job.rnp.ffi_destroy(ffi);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct signers signers;
	struct error err = ERROR_INIT;

	if (!job.keys)
		setup();
	if (size == 0)
		return 0;
	if (data[0] == 'k') {
		import(data + 1, size - 1);
		return 0;
	}
	memset(&signers, 0, sizeof(signers));
	job.signature = data + 1;
	job.len = size - 1;
	if (verify_child_run(&job, &signers, &err) == 0)
		for (size_t i = 0; i < signers.n; i++)
			if (signers.signer[i].verdict == SIGNATURE_VALID)
				abort(); /* nothing here signs no bytes */
	return 0;
}
