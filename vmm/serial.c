/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/serial.h"

#include <string.h>

#include "common/file.h"

/* Registers; the first two are the divisor's while LCR.DLAB is set. */
enum {
	REG_DATA = 0,
	REG_IER = 1,
	REG_IIR = 2, /* FCR when written */
	REG_LCR = 3,
	REG_MCR = 4,
	REG_LSR = 5,
	REG_MSR = 6,
	REG_SCR = 7,
};

#define IER_THRI      0x02
#define IER_MASK      0x0f
#define IIR_NONE      0x01
#define IIR_THRI      0x02
#define IIR_FIFO      0xc0
#define FCR_ENABLE    0x01
#define LCR_DLAB      0x80
#define MCR_LOOP      0x10
#define MCR_OUT2      0x08 /* gates the interrupt */
#define LSR_THRE_TEMT 0x60
#define MSR_READY     0xb0 /* carrier, data set ready, clear to send */

void serial_init(struct serial *serial, int fd, void (*set_line)(void *opaque, bool up),
		 void *opaque)
{
	memset(serial, 0, sizeof(*serial));
	pthread_mutex_init(&serial->lock, NULL);
	serial->fd = fd;
	serial->set_line = set_line;
	serial->opaque = opaque;
}

static void flush(struct serial *serial)
{
	/* Nobody is left to tell that the debug output can not be written. */
	(void)write_all(serial->fd, serial->line, serial->len);
	serial->len = 0;
}

void serial_free(struct serial *serial)
{
	flush(serial);
	pthread_mutex_destroy(&serial->lock);
}

static bool pending(const struct serial *serial)
{
	return serial->thr_empty && (serial->ier & IER_THRI);
}

static void send_byte(struct serial *serial, uint8_t byte)
{
	if (serial->mcr & MCR_LOOP)
		return;
	if (byte != '\r')
		serial->line[serial->len++] = (char)byte;
	if (byte == '\n' || serial->len == sizeof(serial->line))
		flush(serial);
	serial->thr_empty = true;
}

/* In loop-back mode the modem outputs are its inputs; drivers probe with that. */
static uint8_t modem_status(const struct serial *serial)
{
	uint8_t mcr = serial->mcr;

	if (!(mcr & MCR_LOOP))
		return MSR_READY;
	return (uint8_t)((mcr & 0x0c) << 4 | (mcr & 0x02) << 3 | (mcr & 0x01) << 5);
}

static uint8_t read_iir(struct serial *serial)
{
	uint8_t fifo = serial->fcr & FCR_ENABLE ? IIR_FIFO : 0;

	if (!pending(serial))
		return IIR_NONE | fifo;
	serial->thr_empty = false;
	return IIR_THRI | fifo;
}

static uint8_t read_register(struct serial *serial, uint64_t reg)
{
	bool dlab = serial->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		return dlab ? serial->dll : 0;
	case REG_IER:
		return dlab ? serial->dlm : serial->ier;
	case REG_IIR:
		return read_iir(serial);
	case REG_LCR:
		return serial->lcr;
	case REG_MCR:
		return serial->mcr;
	case REG_LSR:
		return LSR_THRE_TEMT;
	case REG_MSR:
		return modem_status(serial);
	case REG_SCR:
		return serial->scr;
	default:
		return 0xff;
	}
}

static void write_register(struct serial *serial, uint64_t reg, uint8_t value)
{
	bool dlab = serial->lcr & LCR_DLAB;

	switch (reg) {
	case REG_DATA:
		if (dlab)
			serial->dll = value;
		else
			send_byte(serial, value);
		break;
	case REG_IER:
		if (dlab) {
			serial->dlm = value;
			break;
		}
		if ((value & IER_THRI) && !(serial->ier & IER_THRI))
			serial->thr_empty = true;
		serial->ier = value & IER_MASK;
		break;
	case REG_IIR:
		serial->fcr = value;
		break;
	case REG_LCR:
		serial->lcr = value;
		break;
	case REG_MCR:
		serial->mcr = value & 0x1f;
		break;
	case REG_SCR:
		serial->scr = value;
		break;
	default:
		break;
	}
}

static void update_line(struct serial *serial)
{
	serial->set_line(serial->opaque, pending(serial) && (serial->mcr & MCR_OUT2));
}

void serial_read(struct serial *serial, uint64_t offset, void *data, uint32_t len)
{
	uint8_t value;

	memset(data, 0xff, len);
	if (len != sizeof(value))
		return;
	pthread_mutex_lock(&serial->lock);
	value = read_register(serial, offset);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
	memcpy(data, &value, sizeof(value));
}

void serial_write(struct serial *serial, uint64_t offset, const void *data, uint32_t len)
{
	uint8_t value;

	if (len != sizeof(value))
		return;
	memcpy(&value, data, sizeof(value));
	pthread_mutex_lock(&serial->lock);
	write_register(serial, offset, value);
	update_line(serial);
	pthread_mutex_unlock(&serial->lock);
}
