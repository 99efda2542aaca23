/*
 * Waits for the node of a work queue by poll and ppoll, alone and beside a pipe, before
 * and after the device has an error that no completion record can tell.
 *
 * waiting NODE
 *
 * Ends with 1 and a line on standard error if something is not as it should be.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(what) \
	((what) ? (void)0 : (fprintf(stderr, "waiting: line %d: %s\n", __LINE__, #what), exit(1)))

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

static int ends[2];

static void *writing(void *unused)
{
	(void)unused;
	usleep(50000);
	CHECK(write(ends[1], "x", 1) == 1);
	return NULL;
}

int main(int count, char **arguments)
{
	CHECK(count == 2);
	int node = open(arguments[1], O_RDWR);
	CHECK(node >= 0 && pipe(ends) == 0);
	struct pollfd files[2] = {
		{ .fd = node, .events = POLLIN | POLLRDNORM },
		{ .fd = ends[0], .events = POLLIN },
	};
	struct timespec little = { .tv_nsec = 30000000 };
	struct timespec none = { 0 };
	double begin = now();

	/* Nothing has happened. */
	CHECK(poll(files, 1, 0) == 0 && files[0].revents == 0);
	CHECK(poll(files, 2, 30) == 0 && ppoll(files, 2, &little, NULL) == 0);
	CHECK(now() - begin >= 0.06);

	/* Somebody else wakes who waits for ever. */
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, writing, NULL) == 0);
	CHECK(poll(files, 2, -1) == 1 && files[0].revents == 0 && files[1].revents == POLLIN);
	pthread_join(thread, NULL);

	/* A NOOP whose record cannot be written: only SWERROR tells. */
	uint64_t noop[8] = { (uint64_t)0x0C << 32, 4096 };

	CHECK(write(node, noop, sizeof noop) == sizeof noop);
	begin = now();
	CHECK(poll(files, 1, -1) == 1 && files[0].revents == (POLLIN | POLLRDNORM));
	CHECK(poll(files, 2, 10000) == 2 && files[1].revents == POLLIN);
	CHECK(ppoll(files, 2, &none, NULL) == 2);
	CHECK(ppoll(files, 2, NULL, NULL) == 2);
	files[0].events = POLLOUT;
	CHECK(poll(files, 1, 0) == 0 && files[0].revents == 0);
	CHECK(now() - begin < 9);
	files[0].events = POLLIN;

	/* To another address space, the opening is of no use. */
	pid_t child = fork();

	if (child == 0) {
		CHECK(poll(files, 1, 0) == 1 && files[0].revents == POLLNVAL);
		CHECK(write(node, noop, sizeof noop) == -1 && errno == EPERM);
		exit(0);
	}
	int status;

	CHECK(waitpid(child, &status, 0) == child && status == 0);

	/* What is not of whole descriptors, or has its record astray, is refused. */
	noop[1] = 4096 + 32;
	CHECK(write(node, noop, sizeof noop) == -1 && errno == EINVAL);
	CHECK(write(node, noop, 63) == -1 && errno == EINVAL);
	CHECK(write(node, noop, 0) == -1 && errno == EINVAL);
	void *volatile nowhere = (void *)64;

	CHECK(write(node, nowhere, 64) == -1 && errno == EFAULT);
	return 0;
}
