/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/attest/ca.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <sys/stat.h>

#include "common/file.h"
#include "common/spawn.h"
#include "common/util.h"
#include "stage0/attest/evidence.h"
#include "stage0/pod_info.h"

#define VALID_SECONDS	 86400	    /* of a quote's key: evidence is looked at soon or made anew */
#define BACKDATE_SECONDS 300	    /* clocks differ */
#define LOG_SHOWN	 512	    /* bytes of swtpm_setup's complaint in a message */
#define LOG_MAX		 (64 << 10) /* bytes of it that are read */

/* The configuration files of swtpm_setup and of the tool it has sign certificates. */
static int write_configuration(const char *dir, const char *path, const struct pod *pod,
			       struct error *err)
{
	cleanup_free char *setup = xasprintf("create_certs_tool = swtpm_localca\n"
					     "create_certs_tool_config = %s/localca.conf\n"
					     "create_certs_tool_options = %s/options\n",
					     path, path);
	cleanup_free char *localca = xasprintf("statedir = %s\nsigningkey = %s/signkey.pem\n"
					       "issuercert = %s/issuercert.pem\n"
					       "certserial = %s/certserial\n",
					       dir, dir, dir, dir);
	int r = pod_write(pod, "tpm-ca/dir", dir, err);

	if (r == 0)
		r = pod_write(pod, "tpm-ca/setup.conf", setup, err);
	if (r == 0)
		r = pod_write(pod, "tpm-ca/localca.conf", localca, err);
	return r < 0 ? r : pod_write(pod, "tpm-ca/options", "", err);
}

/* swtpm_setup has failed; its last words are in its log. */
static int setup_failed(const struct pod *pod, int status, struct error *err)
{
	cleanup_free char *log = NULL;
	cleanup_str struct str shown = STR_INIT;
	struct error ignored = ERROR_INIT;
	size_t len = 0, from;

	if (pod_read(pod, "tpm-ca/log", LOG_MAX, &log, &len, &ignored) == 0) {
		while (len > 0 && log[len - 1] == '\n')
			len--;
		from = len > LOG_SHOWN ? len - LOG_SHOWN : 0;
		str_add_escaped(&shown, log + from, len - from);
	}
	return error_set(err, -EIO, "swtpm_setup ended with status %d: %s", status,
			 str_get(&shown));
}

static int run_setup(const char *path, const struct pod *pod, struct error *err)
{
	cleanup_free char *state = xasprintf("%s/../tpm-state", path);
	cleanup_free char *config = xasprintf("%s/setup.conf", path);
	cleanup_free char *log = xasprintf("%s/log", path);
	cleanup_free char *dir = xstrdup(path), *uuid = xstrdup(pod->uuid);
	cleanup_strv struct strv argv = STRV_INIT;
	struct spawn_args args = {.path = "swtpm_setup", .cwd = -1};
	cleanup_fd int pidfd = -1;
	int status = 0, r;
	pid_t pid;
	const char *const words[] = {"swtpm_setup",
				     "--tpm2",
				     "--tpmstate",
				     state,
				     "--config",
				     config,
				     "--logfile",
				     log,
				     "--create-ek-cert",
				     "--lock-nvram",
				     "--pcr-banks",
				     "sha256,sha384",
				     "--vmid",
				     uuid,
				     "--write-ek-cert-files",
				     dir};

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		strv_add(&argv, words[i]);
	if (geteuid() == 0) { /* it would become another user, who can not get here */
		strv_add(&argv, "--runas");
		strv_add(&argv, "root");
	}
	args.argv = argv.v;
	r = spawn(&args, &pid, &pidfd, err);
	if (r < 0)
		return r;
	r = spawn_wait(pid, pidfd, CA_SETUP_TIMEOUT_MS, &status, err);
	if (r < 0) {
		spawn_kill(pid, pidfd);
		return error_wrap(err, "swtpm_setup");
	}
	return status == 0 ? 0 : setup_failed(pod, status, err);
}

int ca_make_tpm(const char *dir, const struct pods *pods, const struct pod *pod, struct error *err)
{
	cleanup_free char *pod_dir = pod_path(pods, pod);
	cleanup_free char *path = xasprintf("%s/tpm-ca", pod_dir);
	char *real;
	int r = mkdir_path(AT_FDCWD, dir, 0700, err);

	if (r == 0)
		r = mkdir_path(pod->fd, "tpm-state", 0700, err);
	if (r == 0)
		r = mkdir_path(pod->fd, "tpm-ca", 0700, err);
	if (r < 0)
		return error_wrap(err, "--tpm-ca");
	real = realpath(dir, NULL);
	if (!real)
		return error_errno(err, "--tpm-ca: %s", dir);
	r = write_configuration(real, path, pod, err);
	free(real);
	if (r == 0)
		r = run_setup(path, pod, err);
	return r < 0 ? error_wrap(err, "--tpm-ca") : 0;
}

/* Certificates */

static bool set_names(X509 *certificate, const X509 *issuer, const char *pod)
{
	X509_NAME *name = X509_get_subject_name(certificate);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)pod, -1,
					  -1, 0) &&
	       X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
}

static bool set_serial(X509 *certificate)
{
	unsigned char bytes[16];
	BIGNUM *number;
	bool good;

	if (RAND_bytes(bytes, sizeof(bytes)) != 1)
		return false;
	bytes[0] &= 0x7f;
	number = BN_bin2bn(bytes, sizeof(bytes), NULL);
	good = number && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate));
	BN_free(number);
	return good;
}

static bool add_extension(X509 *certificate, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);
	bool good = extension && X509_add_ext(certificate, extension, -1);

	X509_EXTENSION_free(extension);
	return good;
}

/* A certificate that says: this key quotes for that pod. NULL when libcrypto fails. */
static X509 *make_certificate(const struct bytes *der, const char *pod, X509 *issuer,
			      EVP_PKEY *issuer_key)
{
	const unsigned char *p = der->p;
	EVP_PKEY *key = d2i_PUBKEY(NULL, &p, (long)der->len);
	X509 *certificate = X509_new();

	if (key && certificate && X509_set_version(certificate, X509_VERSION_3) &&
	    set_serial(certificate) && set_names(certificate, issuer, pod) &&
	    X509_gmtime_adj(X509_getm_notBefore(certificate), -BACKDATE_SECONDS) &&
	    X509_gmtime_adj(X509_getm_notAfter(certificate), VALID_SECONDS) &&
	    X509_set_pubkey(certificate, key) &&
	    add_extension(certificate, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(certificate, NID_key_usage, "critical,digitalSignature") &&
	    X509_sign(certificate, issuer_key, EVP_sha256())) {
		EVP_PKEY_free(key);
		return certificate;
	}
	EVP_PKEY_free(key);
	X509_free(certificate);
	return NULL;
}

/* Append a certificate as PEM. */
static bool add_pem(struct str *text, X509 *certificate)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *data = NULL;
	long len = 0;

	if (bio && PEM_write_bio_X509(bio, certificate))
		len = BIO_get_mem_data(bio, &data);
	if (len > 0)
		str_addn(text, data, (size_t)len);
	BIO_free(bio);
	return len > 0;
}

static int read_file(const char *dir, const char *name, char **ret, size_t *ret_len,
		     struct error *err)
{
	cleanup_free char *path = xasprintf("%s/%s", dir, name);

	return file_read(AT_FDCWD, path, EVIDENCE_PEM_MAX, ret, ret_len, err);
}

/* Sign the quote's key with the authority's in dir. */
static int certify(const char *dir, const char *pod, const struct quote *quote, struct str *ret,
		   struct error *err)
{
	cleanup_free char *key_text = NULL, *issuer_text = NULL, *root = NULL;
	cleanup(bytes_free) struct bytes der = {.p = NULL};
	struct error ignored = ERROR_INIT;
	X509 *issuer = NULL, *certificate = NULL;
	BIO *key_bio, *issuer_bio;
	EVP_PKEY *key;
	size_t key_len, issuer_len, root_len;
	int r = quote_key_der(quote, &der, err);

	if (r == 0)
		r = read_file(dir, "signkey.pem", &key_text, &key_len, err);
	if (r == 0)
		r = read_file(dir, "issuercert.pem", &issuer_text, &issuer_len, err);
	if (r < 0)
		return r;
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	key_bio = BIO_new_mem_buf(key_text, (int)key_len);
	issuer_bio = BIO_new_mem_buf(issuer_text, (int)issuer_len);
	key = key_bio ? PEM_read_bio_PrivateKey(key_bio, NULL, NULL, (void *)(uintptr_t) "") : NULL;
	issuer = issuer_bio ? PEM_read_bio_X509(issuer_bio, NULL, NULL, NULL) : NULL;
	if (key && issuer)
		certificate = make_certificate(&der, pod, issuer, key);
	if (!certificate || !add_pem(ret, certificate) || !add_pem(ret, issuer))
		r = error_set(err, -EIO, "the authority in %s can not sign the key", dir);
	else if (read_file(dir, "swtpm-localca-rootca-cert.pem", &root, &root_len, &ignored) == 0)
		str_add(ret, root);
	X509_free(certificate);
	X509_free(issuer);
	EVP_PKEY_free(key);
	BIO_free(key_bio);
	BIO_free(issuer_bio);
	OPENSSL_cleanse(key_text, key_len);
	ERR_clear_error();
	return r;
}

/* The endorsement keys' certificates, DER files that swtpm_setup wrote. */
static void read_endorsement(const struct pod *pod, struct str *ret)
{
	static const char *const names[] = {"ek-rsa2048.crt", "ek-secp384r1.crt"};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cleanup_free char *path = xasprintf("tpm-ca/%s", names[i]), *der = NULL;
		struct error ignored = ERROR_INIT;
		const unsigned char *p;
		X509 *certificate;
		size_t len;

		if (pod_read(pod, path, EVIDENCE_PEM_MAX, &der, &len, &ignored) < 0)
			continue;
		p = (const unsigned char *)der;
		certificate = d2i_X509(NULL, &p, (long)len);
		if (certificate)
			add_pem(ret, certificate);
		X509_free(certificate);
	}
	ERR_clear_error();
}

int ca_certificates(const struct pod *pod, const struct quote *quote, char **ret_certificates,
		    char **ret_endorsement, struct error *err)
{
	cleanup_str struct str certificates = STR_INIT, endorsement = STR_INIT;
	struct error missing = ERROR_INIT;
	cleanup_free char *dir = NULL;
	size_t len;
	int r = pod_read(pod, "tpm-ca/dir", PATH_MAX, &dir, &len, &missing);

	*ret_certificates = *ret_endorsement = NULL;
	if (r == -ENOENT)
		return 0;
	if (r < 0)
		return error_set(err, r, "%s", missing.msg);
	r = certify(dir, pod->uuid, quote, &certificates, err);
	if (r < 0)
		return error_wrap(err, "--tpm-ca");
	read_endorsement(pod, &endorsement);
	*ret_certificates = str_take(&certificates);
	if (endorsement.len)
		*ret_endorsement = str_take(&endorsement);
	return 0;
}
