/* SPDX-License-Identifier: Apache-2.0 */
#include "stage0/image/oci_platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#include "common/str.h"
#include "common/util.h"

/* uname's words and others' for OCI's. */
static const char *arch_of(const char *machine)
{
	static const struct {
		const char *machine, *arch;
	} names[] = {
		{"x86_64", "amd64"}, {"x86-64", "amd64"}, {"aarch64", "arm64"}, {"i386", "386"},
		{"i486", "386"},     {"i586", "386"},	  {"i686", "386"},	{"armv6l", "arm"},
		{"armv7l", "arm"},   {"armhf", "arm"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (strcmp(machine, names[i].machine) == 0)
			return names[i].arch;
	return machine;
}

void oci_platform_host(struct oci_platform *ret)
{
	struct utsname uts;

	*ret = (struct oci_platform){.os = "linux", .arch = "unknown"};
	if (uname(&uts) == 0)
		snprintf(ret->arch, sizeof(ret->arch), "%.*s", OCI_PLATFORM_WORD - 1,
			 arch_of(uts.machine));
}

static bool take_word(const char *text, char word[OCI_PLATFORM_WORD])
{
	size_t len = strlen(text);

	if (len == 0 || len >= OCI_PLATFORM_WORD ||
	    strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_.-") != len)
		return false;
	memcpy(word, text, len + 1);
	return true;
}

int oci_platform_parse(const char *text, struct oci_platform *ret, struct error *err)
{
	struct oci_platform platform = {.os = "linux"};
	cleanup_strv struct strv words = STRV_INIT;
	bool good;

	strv_split(&words, text, '/');
	if (words.n == 1)
		good = take_word(arch_of(words.v[0]), platform.arch);
	else
		good = (words.n == 2 || words.n == 3) && take_word(words.v[0], platform.os) &&
		       take_word(arch_of(words.v[1]), platform.arch) &&
		       (words.n == 2 || take_word(words.v[2], platform.variant));
	if (!good)
		return error_set(err, -EINVAL,
				 "\"%.100s\" is no platform: expected OS/ARCHITECTURE[/VARIANT]",
				 text);
	*ret = platform;
	return 0;
}

/* The level of x86-64 this CPU has, which guests see too. */
static unsigned amd64_level(void)
{
#ifdef __x86_64__
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("ssse3") || !__builtin_cpu_supports("sse4.2") ||
	    !__builtin_cpu_supports("popcnt"))
		return 1;
	if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("bmi") ||
	    !__builtin_cpu_supports("bmi2") || !__builtin_cpu_supports("fma"))
		return 2;
	if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
	    !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
	    !__builtin_cpu_supports("avx512vl"))
		return 3;
	return 4;
#else
	return 1;
#endif
}

/* "v7" is 7; 0: it is nothing of the kind. */
static unsigned variant_number(const char *variant)
{
	return variant[0] == 'v' && variant[1] >= '1' && variant[1] <= '9' && variant[2] == '\0'
		       ? (unsigned)(variant[1] - '0')
		       : 0;
}

/*
 * Variants are numbered, and a machine runs those of lower numbers: the highest one there is, then
 * one that names none. 64-bit ARM begins at 8.
 */
static unsigned rank_variant(const char *arch, unsigned max, const char *variant)
{
	unsigned min = strcmp(arch, "arm64") == 0 ? 8 : 1;
	unsigned number;

	if (!variant || !variant[0])
		return 1;
	number = variant_number(variant);
	return number >= min && number <= max ? 1 + number : 0;
}

unsigned oci_platform_rank(const struct oci_platform *wanted, const char *os, const char *arch,
			   const char *variant)
{
	if (!os || !arch || strcmp(os, wanted->os) != 0 || strcmp(arch, wanted->arch) != 0)
		return 0;
	if (wanted->variant[0]) {
		unsigned max = variant_number(wanted->variant);

		if (max == 0)
			return variant && strcmp(variant, wanted->variant) == 0;
		return rank_variant(arch, max, variant);
	}
	if (strcmp(arch, "amd64") == 0)
		return rank_variant(arch, amd64_level(), variant);
	if (strcmp(arch, "arm64") == 0)
		return rank_variant(arch, 8, variant);
	if (strcmp(arch, "arm") == 0)
		return rank_variant(arch, 7, variant);
	return 1;
}
