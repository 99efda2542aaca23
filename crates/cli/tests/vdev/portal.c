/*
 * Submits descriptors to a work queue as programs do, in every way that there is, and
 * proves that none is lost, none is done twice and each has its own result.
 *
 * portal MODE NODE shared|dedicated SIZE THREADS DESCRIPTORS
 *
 * Prints one line of JSON. Ends with 1 and a line on standard error if something is
 * not as it should be, or nothing happens for 10 seconds.
 */

#define _GNU_SOURCE
#include "portal.h"

#include <asm/prctl.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 10.0
#define POLYNOMIAL 0x42F0E1EBA9EA3693u

/* CRAV and RCR, and for Compress that source 2 is an AECS. */
#define FLAGS 0x0C
#define FLAGS_AECS 0x1000C

enum place { ANYWHERE, LOW, STILL, OWN };

extern const struct way __start_enqcmd_ways[], __stop_enqcmd_ways[];
extern const struct way __start_movdir64b_ways[], __stop_movdir64b_ways[];

/* The places that some ways need. */
struct descriptor still_descriptor;
__thread struct descriptor own_descriptor;
static pthread_mutex_t still_lock = PTHREAD_MUTEX_INITIALIZER;

struct counts *counts;
static struct { uint8_t bytes[1568]; } aecs __attribute__((aligned(64)));
static uint64_t crc64_table[256];
static uint32_t crc32_table[256];
static _Atomic uint64_t ids;
static _Atomic bool *ways_used;

void fail(const char *format, ...)
{
	va_list arguments;
	char line[512];
	int length = snprintf(line, sizeof line, "portal: ");

	va_start(arguments, format);
	length += vsnprintf(line + length, sizeof line - length - 1, format, arguments);
	va_end(arguments);
	if (length > (int)sizeof line - 2)
		length = sizeof line - 2;
	line[length++] = '\n';
	if (write(2, line, length) != length)
		_exit(2);
	_exit(1);
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

uint64_t next_id(void)
{
	return atomic_fetch_add(&ids, 1);
}

static uint64_t mixed(uint64_t z)
{
	z += 0x9E3779B97F4A7C15;
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9;
	z = (z ^ z >> 27) * 0x94D049BB133111EB;
	return z ^ z >> 31;
}

static void make_tables(void)
{
	for (unsigned byte = 0; byte < 256; byte++) {
		uint64_t long_crc = (uint64_t)byte << 56;
		uint32_t crc = byte;

		for (int bit = 0; bit < 8; bit++) {
			long_crc = long_crc << 1 ^ (long_crc >> 63 ? POLYNOMIAL : 0);
			crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
		}
		crc64_table[byte] = long_crc;
		crc32_table[byte] = crc;
	}
	/* The header of a final block with fixed codes, and these (RFC 1951, 3.2.6). */
	uint32_t code, *literals = (uint32_t *)(aecs.bytes + 0x120);
	uint32_t *distances = (uint32_t *)(aecs.bytes + 0x5A0);

	aecs.bytes[0x1C] = 3;
	aecs.bytes[0x20] = 3;
	for (unsigned symbol = 0; symbol < 286; symbol++) {
		if (symbol < 144)
			code = 8 << 15 | (0x30 + symbol);
		else if (symbol < 256)
			code = 9 << 15 | (0x190 + symbol - 144);
		else if (symbol < 280)
			code = 7 << 15 | (symbol - 256);
		else
			code = 8 << 15 | (0xC0 + symbol - 280);
		literals[symbol] = code;
	}
	for (unsigned symbol = 0; symbol < 30; symbol++)
		distances[symbol] = 5 << 15 | symbol;
}

static uint64_t crc64_of(const uint8_t *data, size_t length)
{
	uint64_t crc = 0;

	while (length--)
		crc = crc << 8 ^ crc64_table[crc >> 56 ^ *data++];
	return crc;
}

static uint32_t crc32_of(const uint8_t *data, size_t length)
{
	uint32_t crc = ~0u;

	while (length--)
		crc = crc >> 8 ^ crc32_table[(crc ^ *data++) & 0xFF];
	return ~crc;
}

int open_node(const char *node)
{
	int fd = open(node, O_RDWR);

	if (fd < 0)
		fail("%s: %s", node, strerror(errno));
	return fd;
}

void *map_portal(int fd, int flags)
{
	void *portal = mmap(NULL, PORTAL, PROT_WRITE, MAP_SHARED | flags, fd, 0);

	if (portal == MAP_FAILED)
		fail("mmap of the portal: %s", strerror(errno));
	if (flags & MAP_32BIT && (uintptr_t)portal + PORTAL > UINT32_MAX)
		fail("the portal is at %p in spite of MAP_32BIT", portal);
	return portal;
}

/* Makes a descriptor that no other one is like. A Decompress follows each Compress. */
void prepare(struct slot *slot, uint64_t id, struct record *record)
{
	struct descriptor *d = &slot->descriptor;
	bool is_packed = slot->operation == COMPRESS && slot->packed_len;
	uint64_t random = mixed(id);

	memset(d, 0, sizeof *d);
	memset(record, 0, sizeof *record);
	slot->record = record;
	slot->id = id;
	slot->state = WAITING;
	if (is_packed)
		slot->operation = DECOMPRESS;
	else
		slot->operation = (enum operation[]){ NOOP, CRC64, CRC64, COMPRESS }[random % 4];
	d->operation_flags = (uint32_t)slot->operation << 24 | FLAGS;
	d->record = (uintptr_t)record;
	switch (slot->operation) {
	case NOOP:
		break;
	case CRC64:
		slot->message_len = 8 + random / 4 % (MESSAGE_MOST - 7);
		memcpy(slot->message, &id, 8);
		for (unsigned at = 8; at < slot->message_len; at++)
			slot->message[at] = mixed(id + at);
		d->source = (uintptr_t)slot->message;
		d->source_len = slot->message_len;
		d->polynomial = POLYNOMIAL;
		break;
	case COMPRESS:
		for (unsigned at = 0; at < PLAIN_MOST; at += 8) {
			uint64_t word = at % 48 ? id : mixed(id + at);

			memcpy(slot->plain + at, &word, 8);
		}
		slot->packed_len = 0;
		d->operation_flags = (uint32_t)COMPRESS << 24 | FLAGS_AECS;
		d->flags = 0x06;
		d->source = (uintptr_t)slot->plain;
		d->source_len = PLAIN_MOST;
		d->destination = (uintptr_t)slot->packed;
		d->destination_most = sizeof slot->packed;
		d->source2 = (uintptr_t)aecs.bytes;
		d->source2_len = sizeof aecs.bytes;
		break;
	case DECOMPRESS:
		memset(slot->again, 0, sizeof slot->again);
		d->flags = 0x1F;
		d->source = (uintptr_t)slot->packed;
		d->source_len = slot->packed_len;
		d->destination = (uintptr_t)slot->again;
		d->destination_most = sizeof slot->again;
		break;
	}
}

/* What stands in a record that was looked at: no device writes it. */
static uint64_t poison(uint64_t id, unsigned word)
{
	return mixed(~id) + word;
}

/* Looks at what has completed, and leaves a mark in the record. */
void check(struct slot *slot)
{
	struct record *record = slot->record;

	if (record->status != 1)
		fail("descriptor %lu (operation 0x%02x): status 0x%02x, error 0x%02x", slot->id,
		     slot->operation, record->status, record->error);
	switch (slot->operation) {
	case NOOP:
		break;
	case CRC64: {
		uint64_t crc = crc64_of(slot->message, slot->message_len);

		if (record->crc64 != crc)
			fail("descriptor %lu: CRC64 0x%lx instead of 0x%lx", slot->id,
			     record->crc64, crc);
		break;
	}
	case COMPRESS:
		slot->packed_len = record->output_size;
		if (slot->packed_len < 8 || slot->packed_len >= PLAIN_MOST)
			fail("descriptor %lu: %u bytes of %u", slot->id, slot->packed_len,
			     PLAIN_MOST);
		if (record->crc != crc32_of(slot->plain, PLAIN_MOST))
			fail("descriptor %lu: CRC of the plain data is wrong", slot->id);
		break;
	case DECOMPRESS:
		slot->packed_len = 0;
		if (record->output_size != PLAIN_MOST
		    || memcmp(slot->plain, slot->again, PLAIN_MOST))
			fail("descriptor %lu: not what was compressed", slot->id);
		break;
	}
	for (unsigned word = 0; word < 8; word++) {
		uint64_t mark = poison(slot->id, word);

		memcpy((uint8_t *)record + 8 * word, &mark, 8);
	}
	slot->state = FREE;
}

static void check_mark(const struct record *record, uint64_t id)
{
	for (unsigned word = 0; word < 8; word++) {
		uint64_t mark = poison(id, word);

		if (memcmp((const uint8_t *)record + 8 * word, &mark, 8))
			fail("descriptor %lu: its record was written again later", id);
	}
}

void count_completed(const struct slot *slot)
{
	counts->completed++;
	switch (slot->operation) {
	case NOOP: counts->noop++; break;
	case CRC64: counts->crc64++; break;
	case COMPRESS: counts->compress++; break;
	case DECOMPRESS: counts->decompress++; break;
	}
}

int submit_plain(bool dedicated, void *portal, const struct descriptor *descriptor)
{
	bool refused = false;

	__builtin_ia32_sfence();
	if (dedicated)
		__asm__ volatile("movdir64b (%1), %0" : : "r"(portal), "r"(descriptor) : "memory");
	else
		__asm__ volatile("enqcmd (%2), %1\n\tsetz %0"
				 : "=r"(refused) : "r"(portal), "r"(descriptor) : "memory", "cc");
	return refused;
}

static void wait_for(struct slot *slot)
{
	double end = now() + PATIENCE;

	while (!atomic_load_explicit(&slot->record->status, memory_order_acquire)) {
		if (now() > end)
			fail("descriptor %lu has not completed", slot->id);
		sched_yield();
	}
	check(slot);
	count_completed(slot);
}

/* One descriptor, there and back. */
void one(bool dedicated, void *portal)
{
	struct slot slot = { .operation = NOOP };
	struct record record;
	double end = now() + PATIENCE;

	prepare(&slot, next_id(), &record);
	while (submit_plain(dedicated, portal, &slot.descriptor)) {
		counts->retried++;
		if (now() > end)
			fail("descriptor %lu was not taken", slot.id);
		sched_yield();
	}
	counts->accepted++;
	wait_for(&slot);
}

void one_written(int fd)
{
	struct slot slot = { .operation = NOOP };
	struct record record;

	prepare(&slot, next_id(), &record);
	if (write(fd, &slot.descriptor, 64) != 64)
		fail("write: %s", strerror(errno));
	counts->accepted++;
	wait_for(&slot);
}

/* A thread with its slots. */
struct worker {
	const struct asked *asked;
	unsigned number;
	int fd;
	bool by_write;
	void *portal, *low_portal;
	struct descriptor *low;
	struct slot *slots;
	unsigned slot_count;
	uint64_t descriptors, taken, done;
	struct record *records;
	uint64_t first_id;
	unsigned way, place;
	double end;
	pthread_t thread;
};

/* Submits by the next way; whether the queue refused. */
static bool submit(struct worker *w, const struct descriptor *descriptor)
{
	const struct way *ways, *end;
	const void *at = descriptor;
	void *portal = w->portal;
	bool refused;

	ways = w->asked->dedicated ? __start_movdir64b_ways : __start_enqcmd_ways;
	end = w->asked->dedicated ? __stop_movdir64b_ways : __stop_enqcmd_ways;
	unsigned number = w->way++ % (end - ways);
	const struct way *way = &ways[number];

	switch (way->place) {
	case LOW:
		*w->low = *descriptor;
		at = w->low;
		portal = w->low_portal;
		break;
	case STILL:
		pthread_mutex_lock(&still_lock);
		still_descriptor = *descriptor;
		at = &still_descriptor;
		break;
	case OWN:
		own_descriptor = *descriptor;
		at = &own_descriptor;
		break;
	}
	w->place = (w->place + 64) % PORTAL;
	__builtin_ia32_sfence();
	refused = way->submit((char *)portal + w->place, at);
	if (way->place == STILL)
		pthread_mutex_unlock(&still_lock);
	if (!w->asked->dedicated && refused) {
		counts->retried++;
		return true;
	}
	ways_used[number] = true;
	return false;
}

static void took(struct worker *w, struct slot *slot)
{
	slot->state = FLYING;
	counts->accepted++;
	w->taken++;
	w->end = now() + PATIENCE;
}

/* All that wait for room, as far as there is any; a burst is one call. */
static void send_written(struct worker *w)
{
	struct descriptor burst[64];
	struct slot *of[64];
	unsigned count = 0, most = 1 + mixed(counts->writes + w->number) % 64;

	for (unsigned n = 0; n < w->slot_count && count < most; n++) {
		struct slot *slot = &w->slots[n];

		if (slot->state == WAITING) {
			of[count] = slot;
			burst[count++] = slot->descriptor;
		}
	}
	if (!count)
		return;
	ssize_t bytes = write(w->fd, burst, 64 * count);

	counts->writes++;
	counts->written += count;
	if (bytes < 0 && errno != EAGAIN)
		fail("write of %u descriptors: %s", count, strerror(errno));
	if (bytes == 0 || (bytes > 0 && bytes % 64) || bytes > 64 * (ssize_t)count)
		fail("write of %u descriptors took %zd bytes", count, bytes);
	for (unsigned n = 0; bytes > 0 && n < bytes / 64; n++)
		took(w, of[n]);
	if (bytes != 64 * (ssize_t)count) {
		counts->retried++;
		sched_yield();
	}
}

static void *work(void *argument)
{
	struct worker *w = argument;
	uint64_t begun = 0;

	if (syscall(SYS_arch_prctl, ARCH_SET_GS, GS_BASE))
		fail("arch_prctl: %s", strerror(errno));
	w->end = now() + PATIENCE;
	while (w->done < w->descriptors) {
		for (unsigned n = 0; n < w->slot_count; n++) {
			struct slot *slot = &w->slots[n];

			if (slot->state == FLYING
			    && atomic_load_explicit(&slot->record->status,
						    memory_order_acquire)) {
				check(slot);
				count_completed(slot);
				w->done++;
				w->end = now() + PATIENCE;
			}
			if (slot->state == FREE && begun < w->descriptors) {
				prepare(slot, w->first_id + begun, &w->records[begun]);
				begun++;
			}
			if (!w->by_write && slot->state == WAITING) {
				if (submit(w, &slot->descriptor))
					sched_yield();
				else
					took(w, slot);
			}
		}
		if (w->by_write)
			send_written(w);
		if (now() > w->end) {
			for (unsigned n = 0; n < w->slot_count; n++)
				if (w->slots[n].state != FREE)
					fprintf(stderr, "thread %u: descriptor %lu %s\n", w->number,
						w->slots[n].id,
						w->slots[n].state == FLYING ? "is missing"
									    : "is not taken");
			fail("nothing has happened for 10 s: %lu of %lu done", w->done,
			     w->descriptors);
		}
		if (w->done + w->slot_count < begun || w->done < w->taken)
			sched_yield();
	}
	return NULL;
}

static void *memory(size_t bytes, int flags)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);

	if (memory == MAP_FAILED)
		fail("memory: %s", strerror(errno));
	return memory;
}

static void run_threads(const struct asked *asked, bool by_write)
{
	int fd = open_node(asked->node);
	void *portal = NULL, *low_portal = NULL;
	unsigned slots = asked->dedicated ? asked->size / asked->threads : by_write ? 64 : 32;
	struct worker *workers = calloc(asked->threads, sizeof *workers);
	struct record *records = memory(asked->descriptors * sizeof *records, 0);

	if (!slots)
		fail("more threads than entries");
	if (!by_write) {
		portal = map_portal(fd, 0);
		low_portal = map_portal(fd, MAP_32BIT);
	} else if (mmap(NULL, PORTAL, PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED) {
		counts->mapped = 1;
	} else if (errno != EPERM) {
		fail("mmap of the portal: %s instead of EPERM", strerror(errno));
	}
	for (unsigned n = 0; n < asked->threads; n++) {
		uint64_t first = asked->descriptors * n / asked->threads;
		uint64_t end = asked->descriptors * (n + 1) / asked->threads;

		workers[n] = (struct worker){
			.asked = asked,
			.number = n,
			.fd = fd,
			.by_write = by_write,
			.portal = portal,
			.low_portal = low_portal,
			.low = memory(64, MAP_32BIT),
			.slots = aligned_alloc(64, slots * sizeof(struct slot)),
			.slot_count = slots,
			.descriptors = end - first,
			.records = records + first,
			.first_id = first,
			/* Each begins with another one. */
			.way = n * 131,
		};
		memset(workers[n].slots, 0, slots * sizeof(struct slot));
	}
	for (unsigned n = 0; n < asked->threads; n++)
		if (pthread_create(&workers[n].thread, NULL, work, &workers[n]))
			fail("no thread");
	for (unsigned n = 0; n < asked->threads; n++)
		pthread_join(workers[n].thread, NULL);
	for (uint64_t id = 0; id < asked->descriptors; id++)
		check_mark(&records[id], id);
	close(fd);
}

/* How many a shared queue takes of one that does not wait. */
static void run_full(const struct asked *asked)
{
	int fd = open_node(asked->node);
	void *portal = map_portal(fd, 0);
	unsigned most = 4 * asked->size, taken = 0;
	struct slot *slots = aligned_alloc(64, most * sizeof *slots);
	struct record *records = memory(most * sizeof *records, 0);

	memset(slots, 0, most * sizeof *slots);
	for (; taken < most; taken++) {
		/* A Compress would need its result for the next one. */
		prepare(&slots[taken], next_id(), &records[taken]);
		if (submit_plain(false, portal, &slots[taken].descriptor)) {
			counts->retried++;
			break;
		}
		counts->accepted++;
	}
	counts->until_retry = taken;
	for (unsigned n = 0; n < taken; n++)
		wait_for(&slots[n]);
}

int main(int argc, char **argv)
{
	if (argc != 7 && argc != 8) {
		fprintf(stderr, "portal MODE NODE shared|dedicated SIZE THREADS DESCRIPTORS\n");
		return 2;
	}
	struct asked asked = {
		.self = argv[0],
		.mode = argv[1],
		.node = argv[2],
		.dedicated = !strcmp(argv[3], "dedicated"),
		.size = strtoul(argv[4], NULL, 0),
		.threads = strtoul(argv[5], NULL, 0),
		.descriptors = strtoull(argv[6], NULL, 0),
	};
	const struct way *ways = __start_enqcmd_ways;
	size_t way_count = __stop_enqcmd_ways - ways, used = 0;

	if ((size_t)(__stop_movdir64b_ways - __start_movdir64b_ways) != way_count)
		fail("other ways for one instruction than for the other");
	if (!asked.size || !asked.threads)
		fail("sizes and threads begin at 1");
	counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	ways_used = calloc(way_count, sizeof *ways_used);
	make_tables();
	/* Should even the clock that ends all waiting not be looked at any more. */
	alarm(120 + asked.descriptors / 1000);
	if (!strcmp(asked.mode, "submit"))
		run_threads(&asked, false);
	else if (!strcmp(asked.mode, "write"))
		run_threads(&asked, true);
	else if (!strcmp(asked.mode, "full"))
		run_full(&asked);
	else if (!strcmp(asked.mode, "handlers"))
		run_handlers(&asked);
	else if (!strcmp(asked.mode, "fork"))
		run_fork(&asked);
	else if (!strcmp(asked.mode, "inherited") && argc == 8)
		run_inherited(&asked, atoi(argv[7]));
	else if (!strcmp(asked.mode, "flags"))
		run_flags(&asked);
	else if (!strcmp(asked.mode, "redzone"))
		run_redzone(&asked);
	else
		fail("no mode %s", asked.mode);
	for (size_t n = 0; n < way_count; n++)
		used += ways_used[n];
	printf("{\"mode\":\"%s\",\"accepted\":%lu,\"retried\":%lu,\"completed\":%lu,"
	       "\"noop\":%lu,\"crc64\":%lu,\"compress\":%lu,\"decompress\":%lu,"
	       "\"writes\":%lu,\"written\":%lu,\"own_faults\":%lu,\"until_retry\":%lu,"
	       "\"mapped\":%lu,\"ways\":%zu,\"ways_used\":%zu}\n",
	       asked.mode, counts->accepted, counts->retried, counts->completed, counts->noop,
	       counts->crc64, counts->compress, counts->decompress, counts->writes,
	       counts->written, counts->own_faults, counts->until_retry, counts->mapped,
	       way_count, used);
	return 0;
}
