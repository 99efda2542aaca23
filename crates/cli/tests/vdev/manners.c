/* Programs with habits: own signal handlers, children, expectations of registers. */

#define _GNU_SOURCE
#include "portal.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

static sigjmp_buf back;
static volatile int got_signal, got_code;
static void *volatile got_address;
static void *volatile on_stack;
static volatile unsigned handled;

/* For a handler that submits. */
static void *nested_portal;
static bool nested_dedicated;

static void told(int signal, siginfo_t *info, void *context)
{
	char here;

	(void)context;
	got_signal = signal;
	got_code = info->si_code;
	got_address = info->si_addr;
	on_stack = &here;
	handled++;
	if (nested_portal)
		one(nested_dedicated, nested_portal);
	siglongjmp(back, 1);
}

static void plain(int signal)
{
	got_signal = signal;
	handled++;
	siglongjmp(back, 1);
}

static void submitting(int signal)
{
	got_signal = signal;
	one(nested_dedicated, nested_portal);
}

/* A stack for signals, with a page below that nobody may touch. */
static void alternate_stack(stack_t *stack, size_t bytes)
{
	char *memory = mmap(NULL, bytes + 4096, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mprotect(memory, 4096, PROT_NONE))
		fail("no stack");
	*stack = (stack_t){ .ss_sp = memory + 4096, .ss_size = bytes };
	if (sigaltstack(stack, NULL))
		fail("sigaltstack: %s", strerror(errno));
}

static void *read_only(void)
{
	static void *page;

	if (!page)
		page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return page;
}

/* Where the next function has its undefined instruction. */
extern const char undefined_here[];

static __attribute__((noinline, noclone)) void undefined(void)
{
	__asm__ volatile(".globl undefined_here\nundefined_here: ud2");
}

/* The three ways to fault, each of which has to arrive as the kernel tells of it. */
static void own_faults(bool with_info)
{
	struct { int signal, code; void *address; } expected[] = {
		{ SIGSEGV, SEGV_MAPERR, (void *)0x18 },
		{ SIGSEGV, SEGV_ACCERR, (char *)read_only() + 0x40 },
		{ SIGILL, ILL_ILLOPN, (void *)undefined_here },
	};

	for (volatile unsigned n = 0; n < 3; n++) {
		unsigned before = handled;

		got_signal = got_code = 0;
		got_address = NULL;
		if (!sigsetjmp(back, 1)) {
			if (expected[n].signal == SIGILL)
				undefined();
			else
				*(volatile int *)expected[n].address = 1;
			fail("fault %u did not happen", n);
		}
		counts->own_faults++;
		if (handled != before + 1 || got_signal != expected[n].signal)
			fail("fault %u: signal %d, handled %u times", n, got_signal,
			     handled - before);
		if (with_info && (got_code != expected[n].code
				  || got_address != expected[n].address))
			fail("fault %u: si_code %d at %p instead of %d at %p", n, got_code,
			     got_address, expected[n].code, expected[n].address);
	}
}

static void read_back(int signal, void *handler, int flags)
{
	struct sigaction action;
	const int ours = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | SA_RESTART | SA_RESETHAND;

	if (sigaction(signal, NULL, &action))
		fail("sigaction: %s", strerror(errno));
	if ((void *)action.sa_handler != handler || (action.sa_flags & ours) != flags)
		fail("signal %d: handler %p with flags 0x%x instead of %p with 0x%x", signal,
		     (void *)action.sa_handler, action.sa_flags & ours, handler, flags);
	if (action.sa_flags & SA_SIGINFO && !sigismember(&action.sa_mask, SIGUSR2))
		fail("signal %d: its mask is another one", signal);
}

static void handle(int signal, int flags)
{
	struct sigaction action = { .sa_sigaction = told, .sa_flags = SA_SIGINFO | flags };

	sigaddset(&action.sa_mask, SIGUSR2);
	if (sigaction(signal, &action, NULL))
		fail("sigaction: %s", strerror(errno));
	read_back(signal, told, action.sa_flags);
}

static void is_blocked(int signal, bool blocked)
{
	sigset_t set;

	sigprocmask(SIG_BLOCK, NULL, &set);
	if (sigismember(&set, signal) != blocked)
		fail("signal %d is %sblocked", signal, blocked ? "not " : "");
}

void run_handlers(const struct asked *asked)
{
	int fd = open_node(asked->node);
	void *portal = map_portal(fd, 0);
	bool dedicated = asked->dedicated;
	size_t least = getauxval(AT_MINSIGSTKSZ) + 4096;
	const int signals[] = { SIGSEGV, SIGILL };
	stack_t stack;
	sigset_t set, old;

	for (int n = 0; n < 2; n++)
		read_back(signals[n], SIG_DFL, 0);
	one(dedicated, portal);
	/* On a stack that is just large enough for a handler. */
	alternate_stack(&stack, least > 8192 ? least : 8192);
	for (int n = 0; n < 2; n++)
		handle(signals[n], SA_ONSTACK);
	for (uint64_t round = 0; round < asked->descriptors / 4; round++) {
		one(dedicated, portal);
		own_faults(true);
		if (on_stack < stack.ss_sp || on_stack >= stack.ss_sp + stack.ss_size)
			fail("a handler for the alternate stack ran elsewhere");
		one(dedicated, portal);
	}
	/* In the handler itself. */
	alternate_stack(&stack, 4 * least);
	nested_dedicated = dedicated;
	nested_portal = portal;
	own_faults(true);
	for (int n = 0; n < 2; n++)
		handle(signals[n], SA_NODEFER | SA_RESTART);
	own_faults(true);
	if (on_stack >= stack.ss_sp && on_stack < stack.ss_sp + stack.ss_size)
		fail("a handler for the plain stack ran elsewhere");
	nested_portal = NULL;

	/* By signal(), which tells what was there. */
	for (int n = 0; n < 2; n++)
		if ((void *)signal(signals[n], plain) != (void *)told)
			fail("signal() does not tell of the handler before");
	for (int n = 0; n < 2; n++)
		read_back(signals[n], plain, SA_RESTART);
	own_faults(false);
	one(dedicated, portal);
	for (int n = 0; n < 2; n++)
		if (signal(signals[n], SIG_IGN) != plain)
			fail("signal() does not tell of the handler before");
	one(dedicated, portal);
	for (int n = 0; n < 2; n++)
		if (signal(signals[n], SIG_DFL) != SIG_IGN)
			fail("signal() does not tell of SIG_IGN");
	one(dedicated, portal);

	/* Once only. */
	for (int n = 0; n < 2; n++)
		handle(signals[n], SA_RESETHAND);
	one(dedicated, portal);
	if (!sigsetjmp(back, 1)) {
		*(volatile int *)read_only() = 1;
		fail("a write to memory for reading only did nothing");
	}
	counts->own_faults++;
	struct sigaction after;

	if (sigaction(SIGSEGV, NULL, &after) || after.sa_handler != SIG_DFL)
		fail("a handler with SA_RESETHAND is still there");
	one(dedicated, portal);

	/*
	 * Blocked, by either call. What of the two is told to be blocked is not looked at:
	 * a library that traps instructions cannot have them blocked.
	 */
	for (int n = 0; n < 2; n++)
		handle(signals[n], SA_ONSTACK);
	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	sigaddset(&set, SIGILL);
	sigaddset(&set, SIGUSR2);
	if (sigprocmask(SIG_BLOCK, &set, &old) || sigismember(&old, SIGUSR2))
		fail("sigprocmask");
	is_blocked(SIGUSR2, true);
	one(dedicated, portal);
	if (sigprocmask(SIG_SETMASK, &old, &set) || !sigismember(&set, SIGUSR2))
		fail("sigprocmask does not tell what was blocked");
	is_blocked(SIGUSR2, false);
	own_faults(true);
	sigfillset(&set);
	if (pthread_sigmask(SIG_SETMASK, &set, &old) || sigismember(&old, SIGUSR2))
		fail("pthread_sigmask");
	is_blocked(SIGUSR2, true);
	one(dedicated, portal);
	if (pthread_sigmask(SIG_SETMASK, &old, NULL))
		fail("pthread_sigmask");

	/* In a handler that has both blocked. */
	struct sigaction action = { .sa_handler = submitting };

	sigfillset(&action.sa_mask);
	nested_portal = portal;
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
	if (got_signal != SIGUSR1)
		fail("SIGUSR1 did not arrive");
	nested_portal = NULL;
	own_faults(true);
	one(dedicated, portal);
}

/* What becomes of a child; 0 if it ended well. */
static int end_of(pid_t child)
{
	int status;

	if (child < 0 || waitpid(child, &status, 0) != child)
		fail("no child: %s", strerror(errno));
	return status;
}

static void expect_ok(pid_t child, const char *what)
{
	int status = end_of(child);

	if (status)
		fail("%s: status 0x%x", what, status);
}

static void refused_write(int fd)
{
	struct descriptor descriptor = { 0 };

	if (write(fd, &descriptor, 64) != -1 || errno != EPERM)
		fail("write to the parent's queue: %s instead of EPERM", strerror(errno));
}

/* In a process that did not open `inherited`: it has to open for itself. */
static void reopen(const struct asked *asked, int inherited)
{
	refused_write(inherited);
	if (mmap(NULL, PORTAL, PROT_WRITE, MAP_SHARED, inherited, 0) != MAP_FAILED
	    || errno != EPERM)
		fail("mmap of the parent's portal: %s instead of EPERM", strerror(errno));
	int fd = open(asked->node, O_RDWR);

	if (asked->dedicated) {
		if (fd >= 0 || errno != EBUSY)
			fail("open of a dedicated queue twice: %s", strerror(errno));
		return;
	}
	if (fd < 0)
		fail("open in a child: %s", strerror(errno));
	void *portal = map_portal(fd, 0);

	for (int n = 0; n < 10; n++)
		one(false, portal);
	for (int n = 0; n < 10; n++)
		one_written(fd);
}

static void *gone_portal;

static void gone(int signal, siginfo_t *info, void *context)
{
	(void)context;
	bool is_it = signal == SIGSEGV && info->si_code == SEGV_MAPERR
		     && info->si_addr == (char *)gone_portal + 0x80;

	_exit(is_it ? 0 : 3);
}

void run_fork(const struct asked *asked)
{
	int fd = open_node(asked->node);
	void *portal = map_portal(fd, 0);
	struct slot slot = { .operation = NOOP };
	static struct record record;
	pid_t child;

	one(asked->dedicated, portal);
	prepare(&slot, next_id(), &record);
	fflush(NULL);
	if (!(child = fork())) {
		submit_plain(asked->dedicated, portal, &slot.descriptor);
		_exit(0);
	}
	int status = end_of(child);

	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGSEGV)
		fail("the parent's portal in a child: status 0x%x instead of SIGSEGV", status);
	counts->own_faults++;
	if (!(child = fork())) {
		struct sigaction action = { .sa_sigaction = gone, .sa_flags = SA_SIGINFO };

		gone_portal = portal;
		sigaction(SIGSEGV, &action, NULL);
		sigaction(SIGILL, &action, NULL);
		submit_plain(asked->dedicated, (char *)portal + 0x80, &slot.descriptor);
		_exit(4);
	}
	expect_ok(child, "a handler of a child for the parent's portal");
	counts->own_faults++;
	if (record.status)
		fail("a descriptor from a child's lost portal has completed");

	if (!(child = fork())) {
		reopen(asked, fd);
		_exit(0);
	}
	expect_ok(child, "a child that opens for itself");
	if (!(child = fork())) {
		char number[16], size[16];

		snprintf(number, sizeof number, "%d", fd);
		snprintf(size, sizeof size, "%u", asked->size);
		execl(asked->self, asked->self, "inherited", asked->node,
		      asked->dedicated ? "dedicated" : "shared", size, "1", "1", number,
		      (char *)NULL);
		_exit(5);
	}
	expect_ok(child, "a program that inherits");
	if (!asked->dedicated) {
		/* As it counted for itself. */
		counts->accepted += 20;
		counts->completed += 20;
	}
	one(asked->dedicated, portal);

	/* Another number for the same file, which the first one's end leaves open. */
	int other = dup(fd), third = fcntl(fd, F_DUPFD_CLOEXEC, 100);

	if (close(fd) || other < 0 || third < 0)
		fail("dup: %s", strerror(errno));
	void *again = map_portal(other, 0);

	one(asked->dedicated, again);
	one_written(other);
	one_written(third);
	close(other);
	close(third);
	/* The mapping keeps the file. */
	one(asked->dedicated, again);
	if (asked->dedicated && (open(asked->node, O_RDWR) >= 0 || errno != EBUSY))
		fail("a dedicated queue that is mapped was opened again");
	if (munmap(again, PORTAL) || munmap(portal, PORTAL))
		fail("munmap: %s", strerror(errno));
	fd = open_node(asked->node);
	portal = map_portal(fd, 0);
	one(asked->dedicated, portal);
	close(fd);
	one(asked->dedicated, portal);
}

void run_inherited(const struct asked *asked, int fd)
{
	reopen(asked, fd);
}

/* All registers, as ways.S has them. */
struct state {
	uint64_t general[16];
	uint64_t flags;
	uint8_t vectors[16][32];
};

_Static_assert(offsetof(struct state, vectors) == 136, "as ways.S has it");

void enqcmd_with_state(const struct state *, struct state *);
void movdir64b_with_state(const struct state *, struct state *);
int enqcmd_over_red_zone(void *, const struct descriptor *, uint64_t);
int movdir64b_over_red_zone(void *, const struct descriptor *, uint64_t);

uint8_t has_avx;

enum { CF = 1, PF = 4, AF = 0x10, ZF = 0x40, SF = 0x80, DF = 0x400, OF = 0x800 };

static void wait_and_count(struct slot *slot)
{
	double end = now() + 10;

	while (!slot->record->status)
		if (now() > end)
			fail("descriptor %lu has not completed", slot->id);
	check(slot);
	count_completed(slot);
}

static void with_state(bool dedicated, void *portal, uint64_t flags)
{
	struct slot slot = { .operation = NOOP };
	struct record record;
	struct state before, after;
	size_t size = has_avx ? 32 : 16;

	memset(&before, 0, sizeof before);
	prepare(&slot, next_id(), &record);
	for (unsigned n = 0; n < 16; n++) {
		before.general[n] = UINT64_C(0x1122334455667788) * (n + 1) + slot.id;
		for (unsigned at = 0; at < size; at++)
			before.vectors[n][at] = 16 * n + at + slot.id;
	}
	before.general[0] = (uintptr_t)portal;
	before.general[2] = (uintptr_t)&slot.descriptor;
	before.flags = flags;
	memset(&after, 0, sizeof after);
	do {
		(dedicated ? movdir64b_with_state : enqcmd_with_state)(&before, &after);
		counts->retried += !dedicated && after.flags & ZF;
	} while (!dedicated && after.flags & ZF);
	counts->accepted++;
	wait_and_count(&slot);
	for (unsigned n = 0; n < 16; n++) {
		/* RSP is nobody's to choose. */
		if (n != 4 && after.general[n] != before.general[n])
			fail("register %u: 0x%lx became 0x%lx", n, before.general[n],
			     after.general[n]);
		if (memcmp(after.vectors[n], before.vectors[n], size))
			fail("vector register %u has changed", n);
	}
	uint64_t status = CF | PF | AF | ZF | SF | OF;
	/* ENQCMD: ZF says whether it was refused, the others are 0. */
	uint64_t expected = dedicated ? flags : flags & ~status;

	if ((after.flags & (status | DF)) != (expected & (status | DF)))
		fail("flags 0x%lx became 0x%lx instead of 0x%lx", flags, after.flags, expected);
}

/* At the end of memory that can be executed, with less than 15 bytes left. */
static void at_the_end(bool dedicated, void *portal)
{
	const uint8_t code[] = { dedicated ? 0x66 : 0xF2, 0x0F, 0x38, 0xF8, 0x3E, /* rdi, [rsi] */
				 0x0F, 0x94, 0xC0, /* setz al */
				 0xC3 };
	uint8_t *memory = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			       -1, 0);
	struct slot slot = { .operation = NOOP };
	struct record record;

	if (memory == MAP_FAILED)
		fail("no memory");
	memcpy(memory + 4096 - sizeof code, code, sizeof code);
	if (mprotect(memory, 4096, PROT_READ | PROT_EXEC) || munmap(memory + 4096, 4096))
		fail("mprotect: %s", strerror(errno));
	bool (*submit)(void *, const void *) =
		(bool (*)(void *, const void *))(memory + 4096 - sizeof code);

	prepare(&slot, next_id(), &record);
	while (submit(portal, &slot.descriptor) && !dedicated)
		counts->retried++;
	counts->accepted++;
	wait_and_count(&slot);
}

void run_flags(const struct asked *asked)
{
	int fd = open_node(asked->node);
	void *portal = map_portal(fd, 0);
	const uint64_t bits[] = { CF, PF, AF, ZF, SF, OF, DF };

	has_avx = __builtin_cpu_supports("avx") != 0;
	for (unsigned set = 0; set < 1 << 7; set++) {
		uint64_t flags = 0x202;

		for (unsigned n = 0; n < 7; n++)
			flags |= set >> n & 1 ? bits[n] : 0;
		with_state(asked->dedicated, (char *)portal + set % 64 * 64, flags);
	}
	at_the_end(asked->dedicated, portal);
}

void run_redzone(const struct asked *asked)
{
	int fd = open_node(asked->node);
	void *portal = map_portal(fd, 0);

	for (uint64_t n = 0; n < asked->descriptors; n++) {
		struct slot slot = { .operation = NOOP };
		struct record record;
		int result;

		prepare(&slot, next_id(), &record);
		do {
			result = (asked->dedicated ? movdir64b_over_red_zone : enqcmd_over_red_zone)(
				portal, &slot.descriptor, UINT64_C(0x0123456789ABCDEF) * (n + 1));
			if (result & 0xFF)
				fail("%d words of the red zone have changed", result & 0xFF);
			counts->retried += !asked->dedicated && result;
		} while (!asked->dedicated && result);
		counts->accepted++;
		wait_and_count(&slot);
	}
}
