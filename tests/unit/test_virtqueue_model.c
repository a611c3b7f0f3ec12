/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The split virtqueue against a driver on another CPU that rewrites everything all the time, and
 * against a model: a reference driver, random operations, both sides compared after each.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <sched.h>

#include "tests/unit/guest_driver.h"

#define BUF	GUEST_BUFFERS
#define LOW_END GUEST_LOW_SIZE

struct fixture {
	struct guest g;
	struct guest_queue *q;
	struct virtqueue vq;
	struct vq_chain chain;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	guest_init(&f->g);
	f->q = &f->g.q[0];
	guest_bare_queue(&f->g, &f->vq, 8, false, true);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	guest_free(&f->g);
	free(f);
	return 0;
}

/* -- a second vCPU that rewrites rings and descriptors while we walk them */

#define RACE_ENOUGH 20000 /* chains, and broken queues */

struct vandal {
	struct fixture *f;
	bool stop;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

static void *vandalise(void *arg)
{
	static const uint64_t addr[] = {BUF, LOW_END - 8, LOW_END, GUEST_HIGH_BASE, UINT64_MAX};
	static const uint32_t len[] = {0, 8, 16, 0x1000, 0x00200000, UINT32_MAX};
	struct vandal *v = arg;
	uint32_t seed = 1;

	while (!__atomic_load_n(&v->stop, __ATOMIC_RELAXED)) {
		uint32_t r = next_random(&seed);
		volatile struct guest_desc *d = &v->f->q->desc[r % 8];
		volatile uint16_t *avail = v->f->q->avail;

		d->addr = addr[(r >> 3) % ARRAY_SIZE(addr)];
		d->len = len[(r >> 6) % ARRAY_SIZE(len)];
		d->flags = (r >> 9) & 7;
		d->next = (r >> 12) % 9;
		avail[2 + (r >> 16) % 8] = (r >> 19) % 9;
		if (r >> 30 == 3)
			avail[1]++;
	}
	return NULL;
}

static bool in_memory(const struct fixture *f, const struct iovec *iov)
{
	for (unsigned i = 0; i < f->g.mem.nregions; i++) {
		const struct gmem_region *r = &f->g.mem.region[i];
		uintptr_t offset = (uintptr_t)iov->iov_base - (uintptr_t)r->hva;

		if (offset < r->size && iov->iov_len <= r->size - offset)
			return true;
	}
	return false;
}

static void rewrites_during_a_walk_never_show_memory_that_is_not_the_guests(void **state)
{
	struct fixture *f = *state;
	struct vandal v = {.f = f};
	unsigned chains = 0, broken = 0;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, vandalise, &v), 0);
	for (unsigned round = 0; chains < RACE_ENOUGH || broken < RACE_ENOUGH; round++) {
		if (round % 1024 == 0)
			sched_yield(); /* the vandal's turn, if there is one CPU only */
		switch (virtqueue_pop(&f->vq, &f->chain)) {
		case VQ_CHAIN:
			chains++;
			for (unsigned i = 0; i < f->chain.nread + f->chain.nwrite; i++)
				assert_true(in_memory(f, &f->chain.iov[i]));
			virtqueue_push(&f->vq, &f->chain, 0);
			break;
		case VQ_BROKEN:
			broken++;
			f->vq.fault = NULL;
			f->vq.last_avail = f->q->avail[1] - 1;
			break;
		case VQ_EMPTY:
			f->vq.last_avail--;
			break;
		}
	}
	__atomic_store_n(&v.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
}

/* -- model */

#define MODEL_SIZE 16
#define MODEL_BUFS 6

struct model_chain {
	struct guest_buf buf[MODEL_BUFS];
	unsigned nbuf;
	uint16_t head;
	uint16_t first, ndesc; /* descriptors of the ring it holds */
};

/* Chains on their way: added and not popped, popped and not pushed, pushed and not seen as used. */
struct model_list {
	struct model_chain chain[MODEL_SIZE];
	unsigned n;
};

struct model {
	struct fixture *f;
	uint32_t seed;
	struct model_list added, popped, pushed;
	struct vq_chain held[MODEL_SIZE]; /* of popped, in step with it */
	uint32_t written[MODEL_SIZE];	  /* of pushed, in step with it */
	bool desc_taken[MODEL_SIZE];
	uint16_t kicked_at;   /* avail.idx when the driver last considered a kick */
	uint16_t signal_from; /* used.idx when the device last considered an interrupt */
	bool asleep;	      /* the device armed and found nothing */
	unsigned total;
};

static struct model_chain list_remove(struct model_list *l, unsigned i)
{
	struct model_chain c = l->chain[i];

	memmove(&l->chain[i], &l->chain[i + 1], (l->n - i - 1) * sizeof(c));
	l->n--;
	return c;
}

/* Whether event is one of from, from + 1, ... to - 1: what notification suppression means. */
static bool among(uint16_t event, uint16_t from, uint16_t to)
{
	for (uint16_t i = from; i != to; i++)
		if (i == event)
			return true;
	return false;
}

static bool desc_run(const struct model *m, unsigned n, uint16_t *ret_first)
{
	for (unsigned first = 0; first + n <= MODEL_SIZE; first++) {
		unsigned k = 0;

		while (k < n && !m->desc_taken[first + k])
			k++;
		if (k == n) {
			*ret_first = (uint16_t)first;
			return true;
		}
	}
	return false;
}

/* The driver adds a chain: all direct, or all in an indirect table of its own. */
static void model_add(struct model *m)
{
	struct fixture *f = m->f;
	struct model_chain c = {.nbuf = 1 + next_random(&m->seed) % MODEL_BUFS};
	bool indirect = next_random(&m->seed) % 3 == 0;
	unsigned nread = next_random(&m->seed) % (c.nbuf + 1);
	struct guest_desc *d;

	c.ndesc = indirect ? 1 : (uint16_t)c.nbuf;
	if (!desc_run(m, c.ndesc, &c.first))
		return;
	for (unsigned i = 0; i < c.nbuf; i++)
		c.buf[i] = (struct guest_buf){BUF + 0x10000 + next_random(&m->seed) % 0x100000,
					      next_random(&m->seed) % 2000, i >= nread};
	d = &f->q->desc[c.first];
	if (indirect) {
		uint64_t table = BUF + 1024 * c.first;

		*d = (struct guest_desc){
			.addr = table, .len = 16 * c.nbuf, .flags = GUEST_INDIRECT};
		d = guest_ptr(&f->g, table);
	}
	for (unsigned i = 0; i < c.nbuf; i++)
		d[i] = (struct guest_desc){
			.addr = c.buf[i].gpa,
			.len = c.buf[i].len,
			.flags = (uint16_t)((c.buf[i].write ? GUEST_WRITE : 0) |
					    (i + 1 < c.nbuf ? GUEST_NEXT : 0)),
			.next = (uint16_t)(i + 1 + (indirect ? 0 : c.first)),
		};
	c.head = c.first;
	for (unsigned i = 0; i < c.ndesc; i++)
		m->desc_taken[c.first + i] = true;
	guest_publish(&f->g, 0, c.head);
	m->added.chain[m->added.n++] = c;
}

static void compare_chain(struct model *m, const struct model_chain *c, const struct vq_chain *got)
{
	size_t read_len = 0, write_len = 0;
	unsigned n = 0;

	assert_int_equal(got->head, c->head);
	for (unsigned i = 0; i < c->nbuf; i++) {
		if (!c->buf[i].len)
			continue;
		assert_ptr_equal(got->iov[n].iov_base, guest_ptr(&m->f->g, c->buf[i].gpa));
		assert_int_equal(got->iov[n].iov_len, c->buf[i].len);
		assert_int_equal(n >= got->nread, c->buf[i].write);
		*(c->buf[i].write ? &write_len : &read_len) += c->buf[i].len;
		n++;
	}
	assert_int_equal(got->nread + got->nwrite, n);
	assert_int_equal(got->read_len, read_len);
	assert_int_equal(got->write_len, write_len);
}

static void model_pop(struct model *m)
{
	struct vq_chain *got = &m->held[m->popped.n];
	enum vq_pop pop = virtqueue_pop(&m->f->vq, got);

	m->asleep = false;
	if (!m->added.n) {
		assert_int_equal(pop, VQ_EMPTY);
		return;
	}
	assert_int_equal(pop, VQ_CHAIN);
	compare_chain(m, &m->added.chain[0], got);
	if (next_random(&m->seed) % 8 == 0) {
		virtqueue_unpop(&m->f->vq);
		return;
	}
	m->popped.chain[m->popped.n++] = list_remove(&m->added, 0);
}

/* The device returns any of the chains it holds. */
static void model_push(struct model *m)
{
	uint32_t written;
	unsigned i;

	if (!m->popped.n)
		return;
	i = next_random(&m->seed) % m->popped.n;
	written =
		(uint32_t)(m->held[i].write_len ? next_random(&m->seed) % (m->held[i].write_len + 1)
						: 0);
	virtqueue_push(&m->f->vq, &m->held[i], written);
	memmove(&m->held[i], &m->held[i + 1], (m->popped.n - i - 1) * sizeof(m->held[0]));
	m->written[m->pushed.n] = written;
	m->pushed.chain[m->pushed.n++] = list_remove(&m->popped, i);
}

/* The driver takes what was used, which must be what was pushed, in that order. */
static void model_reap(struct model *m)
{
	uint16_t event = m->f->q->avail[2 + MODEL_SIZE];
	uint32_t id, len;

	if (!guest_used(&m->f->g, 0, &id, &len)) {
		assert_int_equal(m->pushed.n, 0);
		return;
	}
	m->f->q->avail[2 + MODEL_SIZE] = event; /* the model sets its own wishes */
	assert_true(m->pushed.n);
	assert_int_equal(id, m->pushed.chain[0].head);
	assert_int_equal(len, m->written[0]);
	for (unsigned i = 0; i < m->pushed.chain[0].ndesc; i++)
		m->desc_taken[m->pushed.chain[0].first + i] = false;
	memmove(&m->written[0], &m->written[1], (m->pushed.n - 1) * sizeof(m->written[0]));
	list_remove(&m->pushed, 0);
	m->total++;
}

static void model_signal(struct model *m)
{
	uint16_t used = m->f->q->used[1], event;
	bool expected;

	/* near the used index most of the time, so that both answers come up */
	event = (uint16_t)(used + next_random(&m->seed) % 8 - 6);
	m->f->q->avail[2 + MODEL_SIZE] = event;
	expected = among(event, m->signal_from, used);
	assert_int_equal(virtqueue_should_signal(&m->f->vq), expected);
	m->signal_from = used;
}

/* The device wants to sleep; a driver that adds from then on must want to kick. */
static void model_arm(struct model *m)
{
	bool more = virtqueue_arm(&m->f->vq);

	assert_int_equal(more, m->added.n > 0);
	m->asleep = !more;
	m->kicked_at = m->f->q->avail[1];
}

static void model_kick(struct model *m)
{
	uint16_t avail = m->f->q->avail[1], event = m->f->q->used[2 + 4 * MODEL_SIZE];

	if (m->asleep && avail != m->kicked_at)
		assert_true(among(event, m->kicked_at, avail));
	m->kicked_at = avail;
	m->asleep = false;
}

static void model_a_reference_driver_and_the_queue_agree_on_every_step(void **state)
{
	static void (*const step[])(struct model *) = {
		model_add,  model_add,	model_pop,    model_pop, model_push, model_push,
		model_reap, model_reap, model_signal, model_arm, model_kick,
	};

	for (uint32_t seed = 1; seed <= 20; seed++) {
		struct model m = {.f = *state, .seed = seed * 2654435761U};

		guest_bare_queue(&m.f->g, &m.f->vq, MODEL_SIZE, true, true);
		for (unsigned i = 0; i < 40000; i++)
			step[next_random(&m.seed) % ARRAY_SIZE(step)](&m);
		assert_true(m.total > 1000);
		assert_null(m.f->vq.fault);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rewrites_during_a_walk_never_show_memory_that_is_not_the_guests),
		TEST(model_a_reference_driver_and_the_queue_agree_on_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
