/*
 * Looks at the nodes and attributes of virtual devices by each function that leads
 * there, and checks that they tell the same.
 *
 * looking NODE ATTRIBUTE
 *
 * NODE is /dev/iax/..., ATTRIBUTE /sys/bus/dsa/devices/.../..., whose first byte is
 * printed. Ends with 1 and a line on standard error if something is not as it should be.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define CHECK(what) \
	((what) ? (void)0 : (fprintf(stderr, "looking: line %d: %s\n", __LINE__, #what), exit(1)))

static unsigned number_major, number_minor;

static void is_node(const struct stat *told)
{
	CHECK(S_ISCHR(told->st_mode) && (told->st_mode & 0777) == 0660);
	if (!number_major) {
		number_major = major(told->st_rdev);
		number_minor = minor(told->st_rdev);
	}
	CHECK(number_major && major(told->st_rdev) == number_major);
	CHECK(minor(told->st_rdev) == number_minor);
}

static int is_any(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

static void nodes(const char *node)
{
	struct stat told;
	struct statx more;
	int root = open("/", O_RDONLY | O_DIRECTORY), dev = openat(root, "dev", O_RDONLY);
	int fd = open(node, O_RDWR | O_CLOEXEC);
	const char *name = strrchr(node, '/') + 1, *below = node + 1, *below_dev = node + 5;

	CHECK(root >= 0 && dev >= 0 && fd >= 0);
	CHECK(stat(node, &told) == 0);
	is_node(&told);
	CHECK(lstat(node, &told) == 0);
	is_node(&told);
	CHECK(fstat(fd, &told) == 0);
	is_node(&told);
	CHECK(fstatat(root, below, &told, 0) == 0);
	is_node(&told);
	CHECK(fstatat(dev, below_dev, &told, AT_SYMLINK_NOFOLLOW) == 0);
	is_node(&told);
	CHECK(fstatat(fd, "", &told, AT_EMPTY_PATH) == 0);
	is_node(&told);
	CHECK(statx(dev, below_dev, 0, STATX_ALL, &more) == 0 && S_ISCHR(more.stx_mode));
	CHECK(more.stx_rdev_major == number_major && more.stx_rdev_minor == number_minor);
	CHECK(access(node, R_OK | W_OK) == 0 && faccessat(dev, below_dev, W_OK, 0) == 0);
	CHECK(eaccess(node, W_OK) == 0 && euidaccess(node, W_OK) == 0);

	/* By its directory. */
	DIR *directory = opendir("/dev/iax");
	struct dirent *entry, **list;
	int found = 0;

	CHECK(directory);
	while ((entry = readdir(directory)))
		if (!strcmp(entry->d_name, name))
			found += entry->d_type == DT_CHR;
	CHECK(found == 1);
	CHECK(fstatat(dirfd(directory), name, &told, 0) == 0);
	is_node(&told);
	closedir(directory);
	CHECK(scandir("/dev/iax", &list, is_any, alphasort) == 1 && !strcmp(list[0]->d_name, name));

	/* What is not there. */
	CHECK(stat("/dev/iax/none", &told) == -1 && errno == ENOENT);
	CHECK(open("/dev/iax/none", O_RDWR) == -1 && errno == ENOENT);
	CHECK(open("/dev/iax/none", O_RDWR | O_CREAT, 0600) == -1 && errno == EACCES);
	CHECK(creat("/dev/iax/none", 0600) == -1 && errno == EACCES);
}

static void attributes(const char *attribute)
{
	char first, again[2], link[8], path[PATH_MAX], name[PATH_MAX];
	int sys = open("/sys", O_RDONLY | O_DIRECTORY);
	FILE *stream = fopen(attribute, "r");
	int fd = open(attribute, O_RDONLY);

	CHECK(sys >= 0 && stream && fd >= 0 && read(fd, &first, 1) == 1);
	CHECK(fread(again, 1, 1, stream) == 1 && again[0] == first);
	stream = freopen(attribute, "re", stream);
	CHECK(stream && fread(again, 1, 1, stream) == 1 && again[0] == first);
	fd = openat(sys, attribute + 5, O_RDONLY);
	CHECK(fd >= 0 && read(fd, again, 1) == 1 && again[0] == first);

	/* Nobody writes to it, but for what is there to be cleared. */
	CHECK(!fopen(attribute, "w") && errno == EACCES);
	CHECK(!fopen(attribute, "r+") && errno == EACCES);
	CHECK(open(attribute, O_WRONLY) == -1 && errno == EACCES);
	CHECK(open(attribute, O_RDONLY | O_TRUNC) == -1 && errno == EACCES);
	CHECK(openat(sys, attribute + 5, O_RDWR) == -1 && errno == EACCES);
	strcpy(name, attribute);
	strcpy(strrchr(name, '/'), "/cmd_status");
	fd = open(name, O_WRONLY);
	CHECK(fd >= 0 && write(fd, "1", 1) == 1);
	fd = open(name, O_RDONLY);
	CHECK(fd >= 0 && read(fd, again, 2) >= 1 && again[0] == '0');

	/* Links lead where they would, and nothing tells where they really do. */
	*strrchr(name, '/') = 0;
	CHECK(realpath(name, path) == path && !strncmp(path, "/sys/devices/pci", 16));
	char *same = canonicalize_file_name(name);

	CHECK(same && !strcmp(same, path));
	CHECK(readlink(name, link, sizeof link) == sizeof link);
	CHECK(!memcmp(link, "../../..", sizeof link));
	CHECK(chdir(name) == 0 && getcwd(name, sizeof name) && !strcmp(name, path));
	CHECK(readlink("/proc/self/cwd", link, sizeof link) == sizeof link);
	CHECK(!memcmp(link, "/sys/dev", sizeof link));
	ssize_t length = readlink("/proc/self/cwd", name, sizeof name);

	CHECK(length == (ssize_t)strlen(path) && !memcmp(name, path, length));
	CHECK(access("state", R_OK) == 0 && access("../../../nothing", R_OK) == -1);
	printf("%c\n", first);
}

int main(int count, char **arguments)
{
	CHECK(count == 3);
	nodes(arguments[1]);
	attributes(arguments[2]);
	return 0;
}
