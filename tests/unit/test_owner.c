/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Who holds a netlink socket, by a /proc of our own, and by the real one. */

#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "owner.h"
#include "testing.h"

static char scratch[] = "/tmp/dflyguard-test-owner.XXXXXX";
static unsigned int cases;

static void put_file(const char *proc, const char *name, const char *text)
{
	_cleanup_free_ char *path = mem_format("%s/%s", proc, name);
	FILE *stream = fopen(path, "we");

	assert_non_null(stream);
	fputs(text, stream);
	fclose(stream);
}

static void put_folder(const char *proc, const char *name)
{
	_cleanup_free_ char *path = mem_format("%s/%s", proc, name);

	assert_int_equal(mkdir(path, 0700), 0);
}

/* A process with one open file. */
static void put_process(const char *proc, const char *number, const char *name, const char *file)
{
	_cleanup_free_ char *folder = mem_format("%s/fd", number);
	_cleanup_free_ char *comm = mem_format("%s/comm", number);
	_cleanup_free_ char *link = mem_format("%s/%s/3", proc, folder);

	put_folder(proc, number);
	put_folder(proc, folder);
	put_file(proc, comm, name);
	assert_int_equal(symlink(file, link), 0);
}

#define HEAD "sk               Eth Pid        Groups   Rmem     Wmem     Dump  Locks    Drops    Inode\n"
#define LINE(protocol, port, inode)                                                                                    \
	"00000000955cd493 " protocol "  " port "          00000000 0        0        0     2        0        " inode   \
	"\n"

static const struct {
	const char *name, *sockets; /* NULL: no such file */
	const char *number, *program, *file;
	uint32_t port, process;
	bool ours;
	const char *why;
} rows[] = {
	{"its own number", HEAD LINE("12", "4711", "9001"), "4711", "dflyguard\n", "socket:[9001]", 4711, 4711, true,
		""},
	{"another number", HEAD LINE("12", "3366604096", "9001"), "17", "dflyguard\n", "socket:[9001]", 3366604096, 17,
		true, ""},
	{"another program", HEAD LINE("12", "4711", "9001"), "4711", "firewalld\n", "socket:[9001]", 4711, 4711, false,
		""},
	{"a name that only begins so", HEAD LINE("12", "4711", "9001"), "4711", "dflyguard2\n", "socket:[9001]", 4711,
		4711, false, ""},
	{"a long name", HEAD LINE("12", "4711", "9001"), "4711", "a-very-long-name-of-a-program\n", "socket:[9001]",
		4711, 4711, false, ""},
	{"no name", HEAD LINE("12", "4711", "9001"), "4711", "", "socket:[9001]", 4711, 4711, false, ""},
	/* The number of a process proves nothing: it must hold the socket. */
	{"the number of somebody else", HEAD LINE("12", "4711", "9001"), "4711", "dflyguard\n", "socket:[9002]", 4711,
		0, false, "no process that can be seen"},
	{"the same port of another protocol", HEAD LINE("15", "4711", "9001"), "4711", "dflyguard\n", "socket:[9001]",
		4711, 0, false, "no socket of this network namespace has port id 4711"},
	{"behind others", HEAD LINE("0", "4711", "1") LINE("12", "4710", "2") LINE("12", "4711", "9001"), "4711",
		"dflyguard\n", "socket:[9001]", 4711, 4711, true, ""},
	{"no sockets", HEAD, "4711", "dflyguard\n", "socket:[9001]", 4711, 0, false, "no socket of this"},
	{"an empty file", "", "4711", "dflyguard\n", "socket:[9001]", 4711, 0, false, "no socket of this"},
	{"not what it should be", HEAD "12 4711 9001\nx\n", "4711", "dflyguard\n", "socket:[9001]", 4711, 0, false,
		"no socket of this"},
	{"no file", NULL, "4711", "dflyguard\n", "socket:[9001]", 4711, 0, false, "No such file"},
	{"what is no process", HEAD LINE("12", "4711", "9001"), "4711x", "dflyguard\n", "socket:[9001]", 4711, 0, false,
		"no process that can be seen"},
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *proc = mem_format("%s/%u", scratch, ++cases);
		struct owner owner;

		assert_int_equal(mkdir(proc, 0700), 0);
		put_folder(proc, "self");
		put_folder(proc, "self/net");
		if (rows[i].sockets)
			put_file(proc, "self/net/netlink", rows[i].sockets);
		put_process(proc, "12", "init\n", "/dev/null");
		put_process(proc, rows[i].number, rows[i].program, rows[i].file);
		owner_find(proc, rows[i].port, &owner);
		if (owner.process != rows[i].process || owner.ours != rows[i].ours || owner.port != rows[i].port ||
			(*rows[i].why ? !strstr(owner.why, rows[i].why) : *owner.why != '\0'))
			fail_msg("%s: process %u (%s): %s", rows[i].name, owner.process, owner.program, owner.why);
		if (owner.process)
			assert_int_equal(strncmp(owner.program, rows[i].program, strlen(owner.program)), 0);
		assert_null(strchr(owner.program, '\n'));
	}
}

/* The kernel's own /proc, with a socket of ours. */
static void test_ourselves(void **state)
{
	struct sockaddr_nl address = {.nl_family = AF_NETLINK};
	socklen_t length = sizeof(address);
	int descriptor = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	struct owner owner;

	(void)state;
	if (descriptor < 0 || access("/proc/self/net/netlink", R_OK) < 0)
		skip();
	assert_int_equal(bind(descriptor, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(getsockname(descriptor, (struct sockaddr *)&address, &length), 0);
	owner_find("/proc", address.nl_pid, &owner);
	assert_string_equal(owner.why, "");
	assert_int_equal(owner.process, getpid());
	assert_string_equal(owner.program, "test_owner");
	assert_false(owner.ours);
	close(descriptor);
	owner_find("/proc", address.nl_pid, &owner);
	assert_int_equal(owner.process, 0);
	assert_string_not_equal(owner.why, "");
}

static int setup(void **state)
{
	(void)state;
	return mkdtemp(scratch) ? 0 : -1;
}

static int teardown(void **state)
{
	_cleanup_free_ char *command = mem_format("rm -rf '%s'", scratch);

	(void)state;
	return system(command);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_ourselves),
	};

	return cmocka_run_group_tests_name("owner", tests, setup, teardown);
}
