/* What the parts of this program have in common. */

#ifndef PORTAL_H
#define PORTAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PORTAL = 4096, MESSAGE_MOST = 64, PLAIN_MOST = 512 };

/* What every thread's GS adds to addresses, as in ways.S. */
enum { GS_BASE = 0x123000 };

enum operation { NOOP = 0x00, DECOMPRESS = 0x42, COMPRESS = 0x43, CRC64 = 0x44 };

struct descriptor {
	uint32_t trusted;
	uint32_t operation_flags;
	uint64_t record;
	uint64_t source;
	uint64_t destination;
	uint32_t source_len;
	uint16_t interrupt_handle;
	uint16_t flags;
	uint64_t source2;
	uint32_t destination_most;
	uint32_t source2_len;
	uint64_t polynomial;
} __attribute__((aligned(64)));

struct record {
	_Atomic uint8_t status;
	uint8_t error;
	uint8_t rest1[22];
	uint32_t output_size;
	uint8_t rest2[4];
	uint32_t crc;
	uint8_t rest3[4];
	uint64_t crc64;
	uint8_t rest4[16];
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct descriptor) == 64, "a descriptor has 64 bytes");
_Static_assert(sizeof(struct record) == 64, "a completion record has 64 bytes");
_Static_assert(offsetof(struct record, crc64) == 40, "where a device writes it");

/* One descriptor with what it names, until it has completed. */
struct slot {
	struct descriptor descriptor;
	uint8_t message[MESSAGE_MOST];
	uint8_t plain[PLAIN_MOST];
	uint8_t packed[2 * PLAIN_MOST];
	uint8_t again[PLAIN_MOST];
	enum operation operation;
	uint64_t id;
	uint32_t message_len;
	uint32_t packed_len;
	struct record *record;
	enum { FREE, WAITING, FLYING } state;
};

/* What a run of the program was asked for. */
struct asked {
	const char *self;
	const char *mode;
	const char *node;
	bool dedicated;
	unsigned size;
	unsigned threads;
	uint64_t descriptors;
};

/* Counts of all threads and children: shared memory. */
struct counts {
	_Atomic uint64_t accepted, retried, completed;
	_Atomic uint64_t noop, crc64, compress, decompress;
	_Atomic uint64_t writes, written, mapped, own_faults, until_retry;
};

extern struct counts *counts;

/* How to submit: portal, descriptor; 1 if the queue refused. */
typedef int submit_way(void *, const struct descriptor *);
struct way {
	submit_way *submit;
	uint64_t place;
};

/* portal.c */
_Noreturn void fail(const char *, ...) __attribute__((format(printf, 1, 2)));
int open_node(const char *node);
void *map_portal(int fd, int flags);
void prepare(struct slot *, uint64_t id, struct record *);
void check(struct slot *);
void count_completed(const struct slot *);
double now(void);
int submit_plain(bool dedicated, void *portal, const struct descriptor *);
void one(bool dedicated, void *portal);
void one_written(int fd);
uint64_t next_id(void);

/* manners.c */
void run_handlers(const struct asked *);
void run_fork(const struct asked *);
void run_inherited(const struct asked *, int fd);
void run_flags(const struct asked *);
void run_redzone(const struct asked *);

#endif
