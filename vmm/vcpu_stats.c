/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KVM's binary statistics (KVM API 4.133): a vCPU's stats descriptor holds a header, descriptors
 * with names, and 64-bit counters. Only one is of interest here, so nothing is kept.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "common/util.h"
#include "vmm/vcpu.h"

#define STATS_NAME_MAX	  256
#define STATS_MAX	  512 /* statistics of a vCPU; about 50 exist */
#define STAT_INSTRUCTIONS "insn_emulation"

union stat_desc {
	struct kvm_stats_desc desc; /* ends with the name */
	char space[sizeof(struct kvm_stats_desc) + STATS_NAME_MAX];
};

/* Find a counter's place in the statistics file. */
static int find_stat(int fd, const char *name, off_t *ret)
{
	struct kvm_stats_header head;
	int r = pread_all(fd, &head, sizeof(head), 0);

	if (r < 0)
		return r;
	if (head.name_size > STATS_NAME_MAX || head.num_desc > STATS_MAX)
		return -ENOTSUP;
	for (uint32_t i = 0; i < head.num_desc; i++) {
		union stat_desc stat = {.space = ""};
		size_t size = sizeof(stat.desc) + head.name_size;

		r = pread_all(fd, &stat, size, head.desc_offset + (off_t)(i * size));
		if (r < 0)
			return r;
		if (strncmp(stat.desc.name, name, head.name_size) == 0) {
			*ret = head.data_offset + (off_t)stat.desc.offset;
			return 0;
		}
	}
	return -ENOTSUP;
}

int vcpus_instructions(struct vcpus *vcpus, uint64_t *ret)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < vcpus->n; i++) {
		int fd = vcpus->vcpu[i].stats_fd;
		uint64_t count = 0;
		off_t at;
		int r;

		if (fd < 0)
			return -ENOTSUP;
		r = find_stat(fd, STAT_INSTRUCTIONS, &at);
		if (r == 0)
			r = pread_all(fd, &count, sizeof(count), at);
		if (r < 0)
			return r;
		total += count;
	}
	*ret = total;
	return 0;
}

uint64_t vcpus_cpu_ns(const struct vcpus *vcpus)
{
	uint64_t total = 0;

	for (unsigned i = 0; i < vcpus->n; i++) {
		struct timespec used;
		clockid_t clock;

		if (vcpus->vcpu[i].started &&
		    pthread_getcpuclockid(vcpus->vcpu[i].thread, &clock) == 0 &&
		    clock_gettime(clock, &used) == 0)
			total += (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
	}
	return total;
}
