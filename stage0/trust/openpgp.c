/* SPDX-License-Identifier: Apache-2.0 */
/*
 * OpenPGP inside a confined child: the library, key files, signature files.
 *
 * Theory of operation: the library is loaded and set up before the filter goes on, so all of its
 * files are open and its random generator is fed; what is hostile (key files, signatures) is only
 * looked at after. A key file is first imported into a context of its own, which tells how many
 * keys and secrets are in it, whatever else is loaded. A signature file is taken apart into packets
 * here, so that the library is given signature packets and nothing else.
 */
#include "stage0/trust/openpgp.h"

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/buf.h"
#include "common/util.h"

#define LIBRARY "librnp.so.0"

#define CHILD_MEMORY  (1 * GIB) /* address space: libraries, 64 MiB of keys, and what they become */
#define CHILD_SECONDS 600 /* of CPU: 64 GiB are hashed in 200; a parser that runs away stops */

#define KEEP_SAFE "export the public one and keep this safe"

#define ARMOUR_BEGIN	 "-----BEGIN PGP "
#define ARMOUR_SIGNATURE "-----BEGIN PGP SIGNATURE-----"
#define ARMOUR_END	 "-----END PGP SIGNATURE-----"
#define ARMOUR_KEY	 "-----BEGIN PGP PUBLIC KEY BLOCK-----"

/* RFC 4880 4.3 */
enum packet_kind {
	PACKET_SIGNATURE = 2,
	PACKET_SECRET_KEY = 5,
	PACKET_KEY = 6,
	PACKET_SECRET_SUBKEY = 7,
	PACKET_TRUST = 12,
	PACKET_USER_ID = 13,
	PACKET_SUBKEY = 14,
	PACKET_USER_ATTRIBUTE = 17,
};

/*
 * The largest RSA key and all that is said about a signature take 3 KiB; in the 64 KiB that the format
 * allows signatures can be nested deeper than the library's stack goes.
 */
#define SIGNATURE_PACKET_MAX 8192

/*
 * Of one key. The library's time goes with the square of these: ten thousand subkeys, which fit in
 * 1 MiB, would take it a minute.
 */
#define KEY_SUBKEYS_MAX	   64
#define KEY_IDS_MAX	   256
#define KEY_SIGNATURES_MAX 4096

int openpgp_load(struct rnp *ret, struct error *err)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

	if (!library)
		return error_set(err, -ELIBACC, "signatures need %s: %s", LIBRARY, dlerror());
#define RNP_LOAD(name)                                                                             \
	ret->name = (typeof(ret->name))dlsym(library, "rnp_" #name);                               \
	if (!ret->name)                                                                            \
		return error_set(err, -ELIBBAD, "%s has no rnp_%s", LIBRARY, #name);
	RNP_FUNCTIONS(RNP_LOAD)
	return 0;
}

int openpgp_prepare(struct rnp *ret, struct error *err)
{
	const struct rlimit memory = {CHILD_MEMORY, CHILD_MEMORY};
	const struct rlimit seconds = {CHILD_SECONDS, CHILD_SECONDS};
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct rlimit now;
	rnp_ffi_t ffi;
	int r = openpgp_load(ret, err);

	if (r < 0)
		return r;
	/* everything the library opens and asks for once */
	r = openpgp_context(ret, &ffi, err);
	if (r < 0)
		return r;
	ret->ffi_destroy(ffi);
	for (int fd = 0; fd <= STDERR_FILENO; fd++)
		if (null < 0 || dup2(null, fd) < 0)
			return error_errno(err, "/dev/null");
	if (null > STDERR_FILENO)
		close(null);
	/* no limit of memory is how a sanitizer runs */
	if (getrlimit(RLIMIT_AS, &now) < 0 ||
	    (now.rlim_cur != RLIM_INFINITY && setrlimit(RLIMIT_AS, &memory) < 0) ||
	    setrlimit(RLIMIT_CPU, &seconds) < 0)
		return error_errno(err, "limiting the reader of signatures");
	return 0;
}

/*
 * The library refuses SHA-1 for files signed since 2019 and for keys since 2024, and MD5 since
 * 2012. There were collisions of MD5 for sale before any appc image was made, so it never counts;
 * nor does RIPEMD-160, for which the library has no rule.
 */
int openpgp_context(const struct rnp *rnp, rnp_ffi_t *ret, struct error *err)
{
	static const char *const never[] = {RNP_ALGNAME_MD5, RNP_ALGNAME_RIPEMD160};
	rnp_ffi_t ffi;

	if (rnp->ffi_create(&ffi, RNP_KEYSTORE_GPG, RNP_KEYSTORE_GPG) != RNP_SUCCESS)
		return error_set(err, -ENOMEM, "%s can not be set up", LIBRARY);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++) {
		if (rnp->add_security_rule(ffi, RNP_FEATURE_HASH_ALG, never[i],
					   RNP_SECURITY_OVERRIDE, 0,
					   RNP_SECURITY_INSECURE) == RNP_SUCCESS)
			continue;
		rnp->ffi_destroy(ffi);
		return error_set(err, -ENOTSUP, "%s takes no rule for %s", LIBRARY, never[i]);
	}
	*ret = ffi;
	return 0;
}

void openpgp_take_hex(const struct rnp *rnp, char *text, char ret[FINGERPRINT_HEX + 1])
{
	size_t len = text ? strlen(text) : 0;

	ret[0] = '\0';
	if (len > 0 && len <= FINGERPRINT_HEX && strspn(text, "0123456789abcdefABCDEF") == len) {
		for (size_t i = 0; i <= len; i++)
			ret[i] = (char)tolower((unsigned char)text[i]);
	}
	if (text)
		rnp->buffer_destroy(text);
}

static bool user_id_is_valid(const struct rnp *rnp, rnp_key_handle_t key, size_t at)
{
	rnp_uid_handle_t uid = NULL;
	uint32_t type = 0;
	bool valid = false;

	if (rnp->key_get_uid_handle_at(key, at, &uid) != RNP_SUCCESS)
		return false;
	if (rnp->uid_get_type(uid, &type) != RNP_SUCCESS || type != RNP_USER_ID ||
	    rnp->uid_is_valid(uid, &valid) != RNP_SUCCESS)
		valid = false;
	rnp->uid_handle_destroy(uid);
	return valid;
}

void openpgp_user_ids(const struct rnp *rnp, rnp_key_handle_t key, char (*ret)[USER_ID_MAX],
		      size_t max)
{
	size_t n = 0, told = 0;

	rnp->key_get_uid_count(key, &n);
	for (size_t i = 0; i < n && told < max; i++) {
		char *text = NULL;

		if (!user_id_is_valid(rnp, key, i) ||
		    rnp->key_get_uid_at(key, i, &text) != RNP_SUCCESS)
			continue;
		snprintf(ret[told], USER_ID_MAX, "%s", text);
		if (ret[told][0])
			told++;
		rnp->buffer_destroy(text);
	}
}

/* Binary OpenPGP begins with a packet's tag, which has this bit. */
static bool is_binary(const uint8_t *bytes, size_t len)
{
	return len > 0 && (bytes[0] & 0x80);
}

static size_t count_text(const uint8_t *bytes, size_t len, const char *text)
{
	const uint8_t *end = bytes + len;
	size_t n = 0, text_len = strlen(text);

	for (const uint8_t *p = bytes; (p = memmem(p, (size_t)(end - p), text, text_len)); n++)
		p += text_len;
	return n;
}

/* The length of a packet's body after its tag (RFC 4880 4.2), only of a definite kind. */
static size_t packet_length(struct buf *buf, uint8_t tag)
{
	uint8_t first;

	if (!(tag & 0x40)) {
		switch (tag & 3) {
		case 0:
			return buf_u8(buf);
		case 1:
			return buf_be16(buf);
		case 2:
			return buf_be32(buf);
		default: /* to the end of the file */
			buf->failed = true;
			return 0;
		}
	}
	first = buf_u8(buf);
	if (first < 192)
		return first;
	if (first < 224)
		return ((size_t)(first - 192) << 8) + buf_u8(buf) + 192;
	if (first == 255)
		return buf_be32(buf);
	buf->failed = true; /* in parts, which is for data */
	return 0;
}

/* What packets there are, by kind. */
struct packets {
	size_t keys, secrets, subkeys, ids, signatures, others;
	size_t longest; /* bytes of a packet's body */
};

static void count_packet(struct packets *packets, unsigned kind)
{
	switch (kind) {
	case PACKET_SIGNATURE:
		packets->signatures++;
		break;
	case PACKET_SECRET_KEY:
	case PACKET_SECRET_SUBKEY:
		packets->secrets++;
		break;
	case PACKET_KEY:
		packets->keys++;
		break;
	case PACKET_SUBKEY:
		packets->subkeys++;
		break;
	case PACKET_USER_ID:
	case PACKET_USER_ATTRIBUTE:
		packets->ids++;
		break;
	case PACKET_TRUST: /* in exports of old keyrings */
		break;
	default:
		packets->others++;
	}
}

/* Count all packets. False: the bytes are not whole packets of definite length. */
static bool count_packets(const uint8_t *bytes, size_t len, struct packets *ret)
{
	struct buf buf = buf_from(bytes, len);

	while (buf.len > 0) {
		uint8_t tag = buf_u8(&buf);
		size_t body;

		if (!(tag & 0x80))
			return false;
		body = packet_length(&buf, tag);
		buf_bytes(&buf, body);
		if (buf.failed)
			return false;
		ret->longest = MAX(ret->longest, body);
		count_packet(ret, tag & 0x40 ? tag & 0x3f : (tag & 0x3f) >> 2);
	}
	return true;
}

/* Add the bytes of one armoured block. */
static int dearmour(const struct rnp *rnp, const uint8_t *text, size_t len, uint8_t *ret,
		    size_t *ret_len, struct error *err)
{
	rnp_input_t input = NULL;
	rnp_output_t output = NULL;
	uint8_t *bytes;
	size_t n = 0;
	int r = 0;

	if (rnp->input_from_memory(&input, text, len, false) != RNP_SUCCESS ||
	    rnp->output_to_memory(&output, SIGNATURE_FILE_MAX) != RNP_SUCCESS)
		r = error_set(err, -ENOMEM, "out of memory");
	else if (rnp->dearmor(input, output) != RNP_SUCCESS ||
		 rnp->output_memory_get_buf(output, &bytes, &n, false) != RNP_SUCCESS ||
		 n > SIGNATURE_FILE_MAX - *ret_len)
		r = error_set(err, -EBADMSG, "the OpenPGP armour is broken");
	if (r == 0 && n > 0)
		memcpy(ret + *ret_len, bytes, n);
	if (r == 0)
		*ret_len += n;
	rnp->output_destroy(output);
	rnp->input_destroy(input);
	return r;
}

static int import_bytes(const struct rnp *rnp, rnp_ffi_t ffi, const void *bytes, size_t len,
			struct error *err)
{
	rnp_input_t input;
	rnp_result_t result;

	if (rnp->input_from_memory(&input, bytes, len, false) != RNP_SUCCESS)
		return error_set(err, -ENOMEM, "out of memory");
	result = rnp->import_keys(ffi, input, RNP_LOAD_SAVE_PUBLIC_KEYS | RNP_LOAD_SAVE_SECRET_KEYS,
				  NULL);
	rnp->input_destroy(input);
	if (result != RNP_SUCCESS)
		return error_set(err, -EBADMSG, "holds no OpenPGP key that can be read");
	return 0;
}

/* How many primary keys are in ffi, and the fingerprint of one. */
static size_t count_primaries(const struct rnp *rnp, rnp_ffi_t ffi,
			      char ret_fingerprint[FINGERPRINT_HEX + 1])
{
	rnp_identifier_iterator_t it;
	const char *fingerprint;
	size_t n = 0;

	if (rnp->identifier_iterator_create(ffi, &it, "fingerprint") != RNP_SUCCESS)
		return 0;
	while (rnp->identifier_iterator_next(it, &fingerprint) == RNP_SUCCESS && fingerprint) {
		rnp_key_handle_t key = NULL;
		bool primary = false;
		char *text = NULL;

		if (rnp->locate_key(ffi, "fingerprint", fingerprint, &key) != RNP_SUCCESS || !key)
			continue;
		if (rnp->key_is_primary(key, &primary) == RNP_SUCCESS && primary && n++ == 0 &&
		    rnp->key_get_fprint(key, &text) == RNP_SUCCESS)
			openpgp_take_hex(rnp, text, ret_fingerprint);
		rnp->key_handle_destroy(key);
	}
	rnp->identifier_iterator_destroy(it);
	return n;
}

static int check_alone(const struct rnp *rnp, rnp_ffi_t ffi,
		       char ret_fingerprint[FINGERPRINT_HEX + 1], struct error *err)
{
	char fingerprint[FINGERPRINT_HEX + 1] = "";
	size_t secrets = 1, n;

	if (rnp->get_secret_key_count(ffi, &secrets) != RNP_SUCCESS || secrets > 0)
		return error_set(err, -EBADMSG, "holds a private key: " KEEP_SAFE);
	n = count_primaries(rnp, ffi, fingerprint);
	if (n > 1)
		return error_set(err, -EBADMSG, "holds %zu keys: one file is for one key", n);
	if (n == 0 || strlen(fingerprint) != FINGERPRINT_HEX)
		return error_set(err, -EBADMSG, "holds no OpenPGP key of version 4");
	memcpy(ret_fingerprint, fingerprint, sizeof(fingerprint));
	return 0;
}

static int check_armour(const void *text, size_t len, struct error *err)
{
	size_t blocks = count_text(text, len, ARMOUR_BEGIN);

	if (count_text(text, len, "-----BEGIN PGP PRIVATE KEY") > 0)
		return error_set(err, -EBADMSG, "holds a private key: " KEEP_SAFE);
	if (blocks > 1)
		return error_set(err, -EBADMSG, "holds several blocks: one file is for one key");
	if (count_text(text, len, ARMOUR_KEY) != 1)
		return error_set(err, -EBADMSG, "is not an OpenPGP public key");
	return 0;
}

/* The packets of a key file: those of one public key. *ret is the caller's. */
static int key_packets(const struct rnp *rnp, const void *bytes, size_t len, uint8_t **ret,
		       size_t *ret_len, struct error *err)
{
	cleanup_free uint8_t *binary = xcalloc(1, KEY_FILE_MAX);
	struct packets packets = {.keys = 0};
	size_t binary_len = 0;
	int r = 0;

	if (is_binary(bytes, len)) {
		memcpy(binary, bytes, len);
		binary_len = len;
	} else {
		r = check_armour(bytes, len, err);
		if (r == 0)
			r = dearmour(rnp, bytes, len, binary, &binary_len, err);
	}
	if (r < 0)
		return r;
	if (!count_packets(binary, binary_len, &packets) && packets.secrets == 0)
		return error_set(err, -EBADMSG, "is not an OpenPGP public key, or cut short");
	if (packets.secrets > 0)
		return error_set(err, -EBADMSG, "holds a private key: " KEEP_SAFE);
	if (packets.keys > 1)
		return error_set(err, -EBADMSG, "holds %zu keys: one file is for one key",
				 packets.keys);
	if (packets.keys == 0 || packets.others > 0)
		return error_set(err, -EBADMSG, "is not an OpenPGP public key");
	if (packets.subkeys > KEY_SUBKEYS_MAX || packets.ids > KEY_IDS_MAX ||
	    packets.signatures > KEY_SIGNATURES_MAX)
		return error_set(err, -E2BIG,
				 "is a key with more than %d subkeys, %d user IDs or %d signatures",
				 KEY_SUBKEYS_MAX, KEY_IDS_MAX, KEY_SIGNATURES_MAX);
	*ret = take_ptr(binary);
	*ret_len = binary_len;
	return 0;
}

int openpgp_import(const struct rnp *rnp, rnp_ffi_t ffi, const void *bytes, size_t len,
		   char ret_fingerprint[FINGERPRINT_HEX + 1], struct error *err)
{
	cleanup_free uint8_t *packets = NULL;
	size_t packets_len = 0;
	rnp_ffi_t alone;
	int r;

	if (len > KEY_FILE_MAX)
		return error_set(err, -EFBIG, "is larger than 1 MiB");
	r = key_packets(rnp, bytes, len, &packets, &packets_len, err);
	if (r == 0)
		r = openpgp_context(rnp, &alone, err);
	if (r < 0)
		return r;
	r = import_bytes(rnp, alone, packets, packets_len, err);
	if (r == 0)
		r = check_alone(rnp, alone, ret_fingerprint, err);
	rnp->ffi_destroy(alone);
	return r < 0 ? r : import_bytes(rnp, ffi, packets, packets_len, err);
}

static int check_packets(const uint8_t *bytes, size_t len, size_t *count, struct error *err)
{
	struct packets packets = {.keys = 0};
	bool whole = count_packets(bytes, len, &packets);

	if (packets.keys + packets.secrets + packets.subkeys + packets.ids + packets.others > 0 ||
	    (!whole && packets.signatures == 0))
		return error_set(err, -EBADMSG, "not a detached OpenPGP signature");
	if (!whole)
		return error_set(err, -EBADMSG, "the OpenPGP signature is cut short");
	if (packets.longest > SIGNATURE_PACKET_MAX)
		return error_set(err, -EBADMSG, "the OpenPGP signature is larger than %d bytes",
				 SIGNATURE_PACKET_MAX);
	if (packets.signatures > SIGNATURES_MAX)
		return error_set(err, -E2BIG, "more than %d signatures", SIGNATURES_MAX);
	*count = packets.signatures;
	return 0;
}

static int dearmour_blocks(const struct rnp *rnp, const uint8_t *text, size_t len, uint8_t *ret,
			   size_t *ret_len, struct error *err)
{
	const uint8_t *p = text, *end = text + len;
	size_t blocks = 0;

	for (;;) {
		const uint8_t *last;
		int r;

		while (p < end && isspace(*p))
			p++;
		if (p == end && blocks > 0)
			return 0;
		if ((size_t)(end - p) < strlen(ARMOUR_SIGNATURE) ||
		    memcmp(p, ARMOUR_SIGNATURE, strlen(ARMOUR_SIGNATURE)) != 0)
			return error_set(err, -EBADMSG, "not a detached OpenPGP signature");
		last = memmem(p, (size_t)(end - p), ARMOUR_END, strlen(ARMOUR_END));
		if (!last)
			return error_set(err, -EBADMSG, "the OpenPGP signature is cut short");
		last += strlen(ARMOUR_END);
		if (blocks++ == SIGNATURES_MAX)
			return error_set(err, -E2BIG, "more than %d signatures", SIGNATURES_MAX);
		r = dearmour(rnp, p, (size_t)(last - p), ret, ret_len, err);
		if (r < 0)
			return r;
		p = last;
	}
}

int openpgp_signatures(const struct rnp *rnp, const void *bytes, size_t len, uint8_t **ret,
		       size_t *ret_len, size_t *ret_count, struct error *err)
{
	cleanup_free uint8_t *packets = NULL;
	size_t packets_len = 0, count = 0;
	int r = 0;

	if (len == 0)
		return error_set(err, -EBADMSG, "the signature is empty");
	if (len > SIGNATURE_FILE_MAX)
		return error_set(err, -EFBIG, "the signature is larger than 1 MiB");
	packets = xcalloc(1, SIGNATURE_FILE_MAX);
	if (is_binary(bytes, len)) {
		memcpy(packets, bytes, len);
		packets_len = len;
	} else {
		r = dearmour_blocks(rnp, bytes, len, packets, &packets_len, err);
	}
	if (r == 0)
		r = check_packets(packets, packets_len, &count, err);
	if (r == 0 && count == 0)
		r = error_set(err, -EBADMSG, "the signature is empty");
	if (r < 0)
		return r;
	*ret = take_ptr(packets);
	*ret_len = packets_len;
	*ret_count = count;
	return 0;
}
