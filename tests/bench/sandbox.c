/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

static int spaces[SPACE_COUNT];
static struct stat spaces_seen[SPACE_COUNT + 1]; /* the first is the one that we were started in */

static void write_map(const char *path, const char *text)
{
	_cleanup_file_ FILE *stream = fopen(path, "we");

	if (!stream || fputs(text, stream) < 0 || fflush(stream))
		fail("%s: %s", path, strerror(errno));
}

static bool same_file(const struct stat *left, const struct stat *right)
{
	return left->st_dev == right->st_dev && left->st_ino == right->st_ino;
}

/* Hides a directory of the host behind an empty one, so that the dflyguard under test keeps its locks and its state
 * (which policy was last in force) to itself. */
static void hide(const char *directory, const char *program)
{
	size_t length = strlen(directory);

	if (!strncmp(program, directory, length) && program[length] == '/')
		fail("%s: a program below %s cannot be measured, because %s is hidden from it", program, directory,
			directory);
	if (mount("dflyguard-bench", directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755"))
		fail("cannot put an empty file system over %s: %s", directory, strerror(errno));
}

void sandbox_enter(const char *program)
{
	unsigned int user = geteuid(), group = getegid();

	if (stat("/proc/self/ns/net", &spaces_seen[0]))
		fail("/proc/self/ns/net: %s", strerror(errno));
	if (unshare(CLONE_NEWNS | CLONE_NEWNET | (user ? CLONE_NEWUSER : 0)))
		fail("no private network namespace (%s): run it as root, or allow user namespaces "
		     "(sysctl kernel.unprivileged_userns_clone=1)",
			strerror(errno));
	if (user) {
		_cleanup_free_ char *users = mem_format("0 %u 1\n", user), *groups = mem_format("0 %u 1\n", group);

		write_map("/proc/self/setgroups", "deny");
		write_map("/proc/self/uid_map", users);
		write_map("/proc/self/gid_map", groups);
	}
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("private mounts: %s", strerror(errno));
	hide("/run", program);
	hide("/var/lib", program);
	if (mkdir(WORK_DIRECTORY, 0755))
		fail("%s: %s", WORK_DIRECTORY, strerror(errno));

	for (size_t i = 0; i < SPACE_COUNT; i++) {
		if (i > 0 && unshare(CLONE_NEWNET))
			fail("network namespace: %s", strerror(errno));
		spaces[i] = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
		if (spaces[i] < 0 || fstat(spaces[i], &spaces_seen[i + 1]))
			fail("/proc/self/ns/net: %s", strerror(errno));
		for (size_t other = 0; other <= i; other++) {
			if (same_file(&spaces_seen[other], &spaces_seen[i + 1]))
				fail("the kernel gave us no network namespace of our own; nothing was done");
		}
	}
}

void sandbox_join(enum space space)
{
	struct stat seen;

	if (setns(spaces[space], CLONE_NEWNET))
		fail("setns: %s", strerror(errno));
	/* The promise that everything rests on, so it is asked for each command anew. */
	if (stat("/proc/self/ns/net", &seen) || !same_file(&seen, &spaces_seen[space + 1]) ||
		same_file(&seen, &spaces_seen[0]))
		fail("not in the private network namespace");
}

char *sandbox_path(enum space space)
{
	return mem_format("/proc/%d/fd/%d", (int)getpid(), spaces[space]);
}

void sandbox_connect(const struct tools *tools)
{
	_cleanup_free_ char *client = sandbox_path(SPACE_CLIENT);
	const struct {
		enum space space;
		const char *argv[12];
	} steps[] = {
		{SPACE_SERVER, {"link", "add", "bench", "type", "veth", "peer", "name", "bench", "netns", client}},
		{SPACE_SERVER, {"link", "set", "lo", "up"}},
		{SPACE_SERVER, {"addr", "add", SERVER_ADDRESS "/24", "dev", "bench"}},
		{SPACE_SERVER, {"addr", "add", STRANGER_SERVER "/24", "dev", "bench"}},
		{SPACE_SERVER, {"link", "set", "bench", "up"}},
		{SPACE_CLIENT, {"link", "set", "lo", "up"}},
		{SPACE_CLIENT, {"addr", "add", CLIENT_ADDRESS "/24", "dev", "bench"}},
		{SPACE_CLIENT, {"addr", "add", STRANGER_ADDRESS "/24", "dev", "bench"}},
		{SPACE_CLIENT, {"link", "set", "bench", "up"}},
	};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		const char *argv[ARRAY_SIZE(steps[i].argv) + 2] = {tools->ip};

		memcpy(argv + 1, steps[i].argv, sizeof(steps[i].argv));
		run_or_fail(steps[i].space, argv, NULL);
	}
}

uint32_t sandbox_generation(enum space space)
{
	struct {
		struct nlmsghdr header;
		struct nfgenmsg family;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			.nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN,
			.nlmsg_flags = NLM_F_REQUEST},
	};
	_Alignas(struct nlmsghdr) unsigned char answer[1024];
	_cleanup_close_ int descriptor = -1;
	ssize_t got;

	sandbox_join(space);
	descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	if (descriptor < 0 || send(descriptor, &request, sizeof(request), 0) < 0)
		fail("netlink: %s", strerror(errno));
	got = recv(descriptor, answer, sizeof(answer), 0);
	for (size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct nfgenmsg));
		got > 0 && at + NLA_HDRLEN + sizeof(uint32_t) <= (size_t)got;) {
		struct nlattr attribute;
		uint32_t generation;

		memcpy(&attribute, answer + at, sizeof(attribute));
		if ((attribute.nla_type & NLA_TYPE_MASK) == NFTA_GEN_ID) {
			memcpy(&generation, answer + at + NLA_HDRLEN, sizeof(generation));
			return ntohl(generation);
		}
		at += NLA_ALIGN(attribute.nla_len ? attribute.nla_len : NLA_HDRLEN);
	}
	fail("the kernel does not tell the generation of nf_tables");
}
