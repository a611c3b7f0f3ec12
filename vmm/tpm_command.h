/* SPDX-License-Identifier: Apache-2.0 */
#ifndef VMM_TPM_COMMAND_H
#define VMM_TPM_COMMAND_H

#include <assert.h>
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* TPM 2.0 commands being made (TCG Library part 3): big endian, the size filled in at the end. */

#define TPM_ST_NO_SESSIONS 0x8001
#define TPM_ST_SESSIONS	   0x8002

#define TPM_CC_HIERARCHYCHANGEAUTH 0x129
#define TPM_CC_PCR_ALLOCATE	   0x12b
#define TPM_CC_CREATEPRIMARY	   0x131
#define TPM_CC_STARTUP		   0x144
#define TPM_CC_SHUTDOWN		   0x145
#define TPM_CC_QUOTE		   0x158
#define TPM_CC_CONTEXTLOAD	   0x161
#define TPM_CC_CONTEXTSAVE	   0x162
#define TPM_CC_FLUSHCONTEXT	   0x165
#define TPM_CC_GETCAPABILITY	   0x17a
#define TPM_CC_PCR_READ		   0x17e
#define TPM_CC_PCR_EXTEND	   0x182

#define TPM_RH_PLATFORM 0x4000000c
#define TPM_RS_PW	0x40000009
#define TPM_ALG_SHA1	0x0004
#define TPM_ALG_SHA256	0x000b
#define TPM_ALG_SHA384	0x000c
#define TPM_ALG_SHA512	0x000d
#define TPM_ALG_NULL	0x0010
#define TPM_ALG_ECDSA	0x0018
#define TPM_ALG_ECC	0x0023
#define TPM_HEADER_SIZE 10

#define TPM_COMMAND_MAX 4096 /* bytes: a saved context is the longest */

struct tpm_command {
	uint8_t bytes[TPM_COMMAND_MAX];
	size_t len;
};

static inline void tpm_put(struct tpm_command *c, const void *p, size_t len)
{
	assert(len <= sizeof(c->bytes) - c->len);
	memcpy(c->bytes + c->len, p, len);
	c->len += len;
}

static inline void tpm_put_u8(struct tpm_command *c, uint8_t v)
{
	tpm_put(c, &v, sizeof(v));
}

static inline void tpm_put_u16(struct tpm_command *c, uint16_t v)
{
	v = htobe16(v);
	tpm_put(c, &v, sizeof(v));
}

static inline void tpm_put_u32(struct tpm_command *c, uint32_t v)
{
	v = htobe32(v);
	tpm_put(c, &v, sizeof(v));
}

static inline void tpm_begin(struct tpm_command *c, uint16_t tag, uint32_t code)
{
	c->len = 0;
	tpm_put_u16(c, tag);
	tpm_put_u32(c, 0); /* size: tpm_end() */
	tpm_put_u32(c, code);
}

/* An authorization area with a password; NULL is the empty one. */
static inline void tpm_put_auth(struct tpm_command *c, const uint8_t *auth, size_t len)
{
	tpm_put_u32(c, (uint32_t)(9 + len));
	tpm_put_u32(c, TPM_RS_PW);
	tpm_put_u16(c, 0);
	tpm_put_u8(c, 0);
	tpm_put_u16(c, (uint16_t)len);
	if (auth)
		tpm_put(c, auth, len);
}

static inline void tpm_end(struct tpm_command *c)
{
	uint32_t size = htobe32((uint32_t)c->len);

	memcpy(c->bytes + 2, &size, sizeof(size));
}

#endif
