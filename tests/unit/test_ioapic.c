/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/unit.h"

#include <string.h>

#include "common/util.h"
#include "vmm/ioapic.h"

#define PINS 5

struct fixture {
	struct ioapic io;
	unsigned route_changes, injected;
	struct ioapic_msi last;
};

static void routes_changed(void *opaque)
{
	struct fixture *f = opaque;

	f->route_changes++;
}

static void inject(void *opaque, const struct ioapic_msi *msi)
{
	struct fixture *f = opaque;

	f->injected++;
	f->last = *msi;
}

static const struct ioapic_ops ops = {routes_changed, inject};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	ioapic_init(&f->io, PINS, &ops, f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ioapic_free(&f->io);
	free(f);
	return 0;
}

static void put(struct fixture *f, uint64_t offset, uint32_t value)
{
	ioapic_write(&f->io, offset, &value, sizeof(value));
}

static uint32_t get(struct fixture *f, uint64_t offset)
{
	uint32_t value;

	ioapic_read(&f->io, offset, &value, sizeof(value));
	return value;
}

static void put_reg(struct fixture *f, uint32_t reg, uint32_t value)
{
	put(f, 0x00, reg);
	put(f, 0x10, value);
}

static uint32_t get_reg(struct fixture *f, uint32_t reg)
{
	put(f, 0x00, reg);
	return get(f, 0x10);
}

static void put_rte(struct fixture *f, unsigned pin, uint64_t rte)
{
	put_reg(f, 0x11 + 2 * pin, (uint32_t)(rte >> 32));
	put_reg(f, 0x10 + 2 * pin, (uint32_t)rte);
}

static uint64_t get_rte(struct fixture *f, unsigned pin)
{
	return (uint64_t)get_reg(f, 0x11 + 2 * pin) << 32 | get_reg(f, 0x10 + 2 * pin);
}

#define MASKED	   0x10000
#define LEVEL	   0x8000
#define REMOTE_IRR 0x4000
#define LOGICAL	   0x800

static void the_version_register_tells_the_pins(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get_reg(f, 1), (PINS - 1) << 16 | 0x20);
	put_reg(f, 1, 0);
	assert_int_equal(get_reg(f, 1), (PINS - 1) << 16 | 0x20);
	put_reg(f, 0, 0xffffffff);
	assert_int_equal(get_reg(f, 0), 0x0f000000);
}

static void pins_start_masked_without_a_route(void **state)
{
	struct fixture *f = *state;
	struct ioapic_msi msi;

	for (unsigned pin = 0; pin < PINS; pin++) {
		assert_int_equal(get_rte(f, pin), MASKED);
		assert_false(ioapic_route(&f->io, pin, &msi));
	}
}

static void an_unmasked_entry_is_a_route(void **state)
{
	struct fixture *f = *state;
	struct ioapic_msi msi;

	put_rte(f, 2, UINT64_C(3) << 56 | 0x31);
	assert_true(ioapic_route(&f->io, 2, &msi));
	assert_int_equal(msi.address, 0xfee03000);
	assert_int_equal(msi.data, 0x31);
	put_rte(f, 2, UINT64_C(0xff) << 56 | LOGICAL | LEVEL | 0x131);
	assert_true(ioapic_route(&f->io, 2, &msi));
	assert_int_equal(msi.address, 0xfeeff004);
	assert_int_equal(msi.data, 0xc131);
}

static void the_owner_hears_only_of_changes_that_matter(void **state)
{
	struct fixture *f = *state;

	put_rte(f, 1, MASKED | 0x40); /* still masked */
	assert_int_equal(f->route_changes, 0);
	put_reg(f, 0x12, 0x40);
	assert_int_equal(f->route_changes, 1);
	put_reg(f, 0x12, 0x40);
	assert_int_equal(f->route_changes, 1);
	put_reg(f, 0x12, MASKED | 0x40);
	assert_int_equal(f->route_changes, 2);
}

static void what_no_device_can_use_is_no_route(void **state)
{
	struct fixture *f = *state;
	struct ioapic_msi msi;

	for (uint64_t mode = 0; mode < 8; mode++) {
		put_rte(f, 0, mode << 8 | 0x40);
		assert_int_equal(ioapic_route(&f->io, 0, &msi), mode < 2);
	}
	for (uint64_t vector = 0; vector < 256; vector++) {
		put_rte(f, 0, vector);
		assert_int_equal(ioapic_route(&f->io, 0, &msi), vector >= 16);
	}
}

static void a_level_line_is_sent_once_until_its_eoi(void **state)
{
	struct fixture *f = *state;

	put_rte(f, 4, LEVEL | 0x50);
	ioapic_set_line(&f->io, 4, true);
	assert_int_equal(f->injected, 1);
	assert_int_equal(f->last.data, 0xc050);
	assert_int_equal(get_rte(f, 4), LEVEL | REMOTE_IRR | 0x50);
	ioapic_set_line(&f->io, 4, true);
	ioapic_eoi(&f->io, 0x51); /* another's */
	assert_int_equal(f->injected, 1);
	ioapic_eoi(&f->io, 0x50); /* the line is still up */
	assert_int_equal(f->injected, 2);
	ioapic_set_line(&f->io, 4, false);
	put(f, 0x40, 0x50);
	assert_int_equal(f->injected, 2);
	assert_int_equal(get_rte(f, 4), LEVEL | 0x50);
}

static void a_line_up_while_masked_is_sent_when_unmasked(void **state)
{
	struct fixture *f = *state;

	put_rte(f, 0, MASKED | LEVEL | 0x50);
	ioapic_set_line(&f->io, 0, true);
	assert_int_equal(f->injected, 0);
	put_reg(f, 0x10, LEVEL | 0x50);
	assert_int_equal(f->injected, 1);
}

static void an_edge_is_sent_when_the_line_rises(void **state)
{
	struct fixture *f = *state;

	put_rte(f, 0, 0x50);
	ioapic_set_line(&f->io, 0, true);
	ioapic_set_line(&f->io, 0, true);
	assert_int_equal(f->injected, 1);
	ioapic_set_line(&f->io, 0, false);
	ioapic_set_line(&f->io, 0, true);
	assert_int_equal(f->injected, 2);
}

static void going_to_edge_and_back_clears_a_stuck_remote_irr(void **state)
{
	struct fixture *f = *state;

	put_rte(f, 0, LEVEL | 0x50);
	ioapic_set_line(&f->io, 0, true);
	ioapic_set_line(&f->io, 0, false);
	put_reg(f, 0x10, MASKED | 0x50);
	put_reg(f, 0x10, LEVEL | 0x50);
	assert_int_equal(get_rte(f, 0), LEVEL | 0x50);
}

static void other_widths_and_offsets_do_nothing(void **state)
{
	struct fixture *f = *state;
	uint64_t ones = UINT64_MAX, value;

	put(f, 0x00, 1);
	for (uint64_t offset = 0; offset < IOAPIC_SIZE; offset++)
		for (uint32_t len = 1; len <= 8; len *= 2) {
			bool known = len == 4 && (offset == 0 || offset == 0x10 || offset == 0x40);

			if (known)
				continue;
			ioapic_write(&f->io, offset, &ones, len);
			value = UINT64_MAX;
			ioapic_read(&f->io, offset, &value, len);
			assert_int_equal(value << (64 - 8 * len), 0);
		}
	assert_int_equal(get(f, 0x00), 1);
	assert_int_equal(f->route_changes + f->injected, 0);
}

/* Registers that do not exist: the guest may select any. */
static void entries_past_the_last_pin_do_not_exist(void **state)
{
	struct fixture *f = *state;

	for (uint32_t reg = 0; reg < 0x100; reg++) {
		if (reg >= 0x10 && reg < 0x10 + 2 * PINS)
			continue;
		put_reg(f, reg, 0x50);
	}
	assert_int_equal(f->route_changes + f->injected, 0);
	assert_true(get_reg(f, 0x10 + 2 * PINS) == 0xffffffff);
	for (unsigned pin = 0; pin < PINS; pin++)
		assert_int_equal(get_rte(f, pin), MASKED);
}

/*
 * The model: an independent and much duller IOAPIC, told the same things in the same order. Routes,
 * register values and messages sent must be the same after every step.
 */
struct model {
	struct pin {
		unsigned vector, mode, dest;
		bool logical, level, masked, irr, line, polarity;
	} pin[PINS];
	unsigned select, id, sent;
};

static bool model_usable(const struct pin *p)
{
	return !p->masked && p->mode <= 1 && p->vector >= 16;
}

static void model_deliver(struct model *m, struct pin *p)
{
	if (p->level && p->line && !p->irr && model_usable(p)) {
		p->irr = true;
		m->sent++;
	}
}

static void model_eoi(struct model *m, unsigned vector)
{
	for (int i = 0; i < PINS; i++)
		if (m->pin[i].level && m->pin[i].vector == vector) {
			m->pin[i].irr = false;
			model_deliver(m, &m->pin[i]);
		}
}

static void model_write(struct model *m, uint64_t offset, uint32_t v)
{
	struct pin *p;

	if (offset == 0)
		m->select = v % 256;
	if (offset == 0x40)
		model_eoi(m, v % 256);
	if (offset != 0x10)
		return;
	if (m->select == 0)
		m->id = v & 0x0f000000;
	if (m->select < 0x10 || m->select >= 0x10 + 2 * PINS)
		return;
	p = &m->pin[(m->select - 0x10) / 2];
	if (m->select % 2) {
		p->dest = v >> 24;
	} else {
		p->vector = v % 256;
		p->mode = v / 256 % 8;
		p->logical = v & 0x800;
		p->polarity = v & 0x2000;
		p->level = v & 0x8000;
		p->masked = v & 0x10000;
		if (!p->level)
			p->irr = false;
	}
	model_deliver(m, p);
}

static void model_line(struct model *m, unsigned pin, bool up)
{
	struct pin *p = &m->pin[pin];
	bool rose = up && !p->line;

	p->line = up;
	if (p->level)
		model_deliver(m, p);
	else if (rose && model_usable(p))
		m->sent++;
}

static void compare(struct fixture *f, const struct model *m)
{
	assert_int_equal(f->injected, m->sent);
	for (unsigned i = 0; i < PINS; i++) {
		const struct pin *p = &m->pin[i];
		struct ioapic_msi msi;
		uint64_t rte = p->vector | p->mode << 8 | (p->logical ? 0x800 : 0) |
			       (p->polarity ? 0x2000 : 0) | (p->irr ? 0x4000 : 0) |
			       (p->level ? 0x8000 : 0) | (p->masked ? 0x10000 : 0) |
			       (uint64_t)p->dest << 56;

		assert_true(f->io.rte[i] == rte);
		assert_int_equal(ioapic_route(&f->io, i, &msi), model_usable(p));
		if (model_usable(p)) {
			assert_int_equal(msi.address,
					 0xfee00000 | p->dest << 12 | (p->logical ? 4 : 0));
			assert_int_equal(msi.data,
					 p->vector | p->mode << 8 | (p->level ? 0xc000 : 0));
		}
	}
}

static uint32_t next_random(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return (uint32_t)(*x >> 16);
}

static void a_hostile_guest_can_not_tell_it_from_the_model(void **state)
{
	static const uint64_t offsets[] = {0x00, 0x10, 0x10, 0x40, 0x44, 0xffc};
	struct fixture *f = *state;
	struct model m = {.select = 0};
	uint64_t x = 88172645463325252;

	for (int i = 0; i < PINS; i++)
		m.pin[i].masked = true;
	for (int step = 0; step < 200000; step++) {
		uint32_t what = next_random(&x) % 8, v = next_random(&x);

		/* vectors and registers from a few, so that they meet */
		if (what < 5) {
			uint64_t offset = offsets[next_random(&x) % ARRAY_SIZE(offsets)];

			if (offset == 0)
				v = 0x0c + v % (2 * PINS + 8);
			else if (v % 4)
				v = (v & ~0xfcU) | (offset == 0x10 ? 0x30 : 0);
			model_write(&m, offset, v);
			put(f, offset, v);
		} else if (what < 7) {
			model_line(&m, v % PINS, v >> 16 & 1);
			ioapic_set_line(&f->io, v % PINS, v >> 16 & 1);
		} else {
			model_eoi(&m, 0x30 | v % 4);
			ioapic_eoi(&f->io, 0x30 | v % 4);
		}
		compare(f, &m);
	}
	assert_true(m.sent > 1000); /* the walk went somewhere */
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_version_register_tells_the_pins),
		test(pins_start_masked_without_a_route),
		test(an_unmasked_entry_is_a_route),
		test(the_owner_hears_only_of_changes_that_matter),
		test(what_no_device_can_use_is_no_route),
		test(a_level_line_is_sent_once_until_its_eoi),
		test(a_line_up_while_masked_is_sent_when_unmasked),
		test(an_edge_is_sent_when_the_line_rises),
		test(going_to_edge_and_back_clears_a_stuck_remote_irr),
		test(other_widths_and_offsets_do_nothing),
		test(entries_past_the_last_pin_do_not_exist),
		test(a_hostile_guest_can_not_tell_it_from_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
