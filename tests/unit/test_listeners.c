/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What is known of sockets and processes: texts of /proc that are well meant and others, and answers of sock_diag. What
 * a real kernel says is asked in tests/kernel/listeners.sh. */

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include "socket_script.h"
#include "testing.h"

/* ---- addresses ---- */

static const struct listener_row {
	const char *address;
	const char *device;
	bool v6_only;
	const char *text;
	enum width width; /* that it really is */
	bool wildcard, dual;
} listener_rows[] = {
	{"0.0.0.0", NULL, false, "0.0.0.0:6379", WIDTH_IPV4, true, false},
	{"10.0.0.5", NULL, false, "10.0.0.5:6379", WIDTH_IPV4, false, false},
	{"10.0.0.5", "eth0", false, "10.0.0.5%eth0:6379", WIDTH_IPV4, false, false},
	{"::", NULL, false, "[::]:6379", WIDTH_IPV6, true, true},
	{"::", NULL, true, "[::]:6379", WIDTH_IPV6, true, false},
	{"::", "eth0", false, "[::%eth0]:6379", WIDTH_IPV6, true, true},
	{"::1", NULL, false, "[::1]:6379", WIDTH_IPV6, false, false},
	{"::ffff:0.0.0.0", NULL, false, "[::ffff:0.0.0.0]:6379", WIDTH_IPV4, true, false},
	{"::ffff:10.0.0.5", NULL, false, "[::ffff:10.0.0.5]:6379", WIDTH_IPV4, false, false},
	/* Compatible, not mapped (RFC 4291 2.5.5.1). */
	{"::10.0.0.5", NULL, false, NULL, WIDTH_IPV6, false, false},
	{"::fffe:10.0.0.5", NULL, false, NULL, WIDTH_IPV6, false, false},
	{"1::ffff:10.0.0.5", NULL, false, NULL, WIDTH_IPV6, false, false},
};

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(listener_rows); i++) {
		const struct listener_row *row = &listener_rows[i];
		bool six = strchr(row->address, ':') != NULL;
		uint8_t bytes[16];
		struct listener listener = {.port = 6379,
			.width = six ? WIDTH_IPV6 : WIDTH_IPV4,
			.v6_only = row->v6_only,
			.v6_only_known = six};
		struct value address;
		_cleanup_text_ struct text text = {0};
		_cleanup_free_ char *device = mem_string(row->device);

		assert_int_equal(inet_pton(six ? AF_INET6 : AF_INET, row->address, bytes), 1);
		listener.address = value_from_bytes(listener.width, bytes);
		listener.device = device;
		assert_int_equal(listener_address(&listener, &address), row->width);
		if (row->width == WIDTH_IPV4)
			assert_int_equal(address.lo, row->wildcard ? 0 : 0x0a000005);
		else
			assert_int_equal(value_compare(address, listener.address), 0);
		assert_int_equal(listener_is_wildcard(&listener), row->wildcard);
		assert_int_equal(listener_is_dual(&listener), row->dual);
		listener_text(&listener, &text);
		if (row->text)
			assert_string_equal(text_string(&text), row->text);
		/* What is not known counts as open. */
		listener.v6_only_known = false;
		assert_int_equal(listener_is_dual(&listener), row->wildcard && row->width == WIDTH_IPV6);
	}
}

/* ---- texts of /proc ---- */

static void test_clean(void **state)
{
	static const struct {
		const char *bytes;
		size_t length;
		const char *clean;
	} rows[] = {
		{"", 0, ""},
		{"dragonfly", 9, "dragonfly"},
		{"a b", 3, "a b"},
		{"a\nb\tc\033[2J\x7f", 10, "a?b?c?[2J?"},
		{"a\0b", 3, "a?b"},
		{"\xc3\xa4\xe2\x82\xac", 5, "\xc3\xa4\xe2\x82\xac"},
		/* C1, overlong, cut off, and behind it something else. */
		{"\xc2\x9b"
		 "1m",
			4, "?1m"},
		{"\xc0\xaf", 2, "??"},
		{"\xe2\x82", 2, "??"},
		{"\xe2\x82"
		 "a",
			3, "??a"},
		{"\xff\xfe", 2, "??"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *clean = proc_clean(rows[i].bytes, rows[i].length);

		assert_string_equal(clean, rows[i].clean);
	}
	/* Not one byte more than told. */
	_cleanup_free_ char *part = proc_clean("\xe2\x82\xac", 2);

	assert_string_equal(part, "??");
}

#define STAT(state, flags, threads, start)                                                                             \
	" " state " 1 2 3 0 -1 " flags " 4 5 6 7 8 9 10 11 20 0 " threads " 0 " start " 1000 200 18446744073709551615 1"

static void test_stat(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		const char *command;
		char state;
		uint64_t threads, start;
		bool program;
	} rows[] = {
		{"4711 (dragonfly)" STAT("S", "4194304", "9", "123456") "\n", true, "dragonfly", 'S', 9, 123456, true},
		{"1 (x) S 1 (evil)" STAT("R", "0", "1", "7"), true, "x) S 1 (evil", 'R', 1, 7, true},
		{"1 (a b\n)" STAT("R", "0", "1", "7"), true, "a b\n", 'R', 1, 7, true},
		{"1 ()" STAT("R", "0", "1", "18446744073709551615"), true, "", 'R', 1, UINT64_MAX, true},
		{.text = "2 (kthreadd)" STAT("S", "2129984", "1", "3"), true, "kthreadd", 'S', 1, 3},
		{.text = "9 (gone)" STAT("Z", "0", "1", "3"), true, "gone", 'Z', 1, 3},
		/* Its first thread has ended, another one goes on. */
		{"9 (half)" STAT("Z", "0", "2", "3"), true, "half", 'Z', 2, 3, true},
		{.text = ""},
		{.text = "1"},
		{.text = "1 ("},
		{.text = "1 )("},
		{.text = "1 (x)"},
		{.text = "1 (x) S"},
		{.text = "1 (x) S 1 2 3"},
		{.text = "1 (x) S 1 2 3 0 -1 4194304 4 5 6 7 8 9 10 11 20 0 1 0 "},
		{.text = "1 (x)" STAT("R", "0", "1", "18446744073709551616")},
		{.text = "1 (x)" STAT("R", "x", "1", "7")},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct proc_stat stat;

		assert_int_equal(proc_stat_parse(rows[i].text, strlen(rows[i].text), &stat), rows[i].ok);
		if (!rows[i].ok)
			continue;
		assert_string_equal(stat.command, rows[i].command);
		assert_int_equal(stat.state, rows[i].state);
		assert_int_equal(stat.threads, rows[i].threads);
		assert_int_equal(stat.start, rows[i].start);
		assert_int_equal(proc_stat_program(&stat), rows[i].program);
	}
	/* A command that is longer than any is cut. */
	_cleanup_free_ char *longer = mem_format("1 (%0200d)" STAT("R", "0", "1", "7"), 0);
	struct proc_stat stat;

	assert_true(proc_stat_parse(longer, strlen(longer), &stat));
	assert_int_equal(strlen(stat.command), sizeof(stat.command) - 1);
}

static void test_status(void **state)
{
	static const struct {
		const char *text;
		bool ok;
		uint32_t uid;
	} rows[] = {
		{"Name:\tdragonfly\nUmask:\t0022\nUid:\t1000\t999\t999\t999\nGid:\t0\t0\t0\t0\n", true, 999},
		{"Uid:\t0\t4294967295\t0\t0", true, UINT32_MAX},
		/* The kernel writes a newline in a name as backslash and n. */
		{"Name:\tx\\nUid:\\t0\nUid:\t5\t6\t7\t8\n", true, 6},
		{"Name:\tUid:\t1\t1\t1\t1\nUid:\t5\t6\t7\t8\n", true, 6},
		{"", false, 0},
		{"Uid:", false, 0},
		{"Uid:\t", false, 0},
		{"Uid:\t1", false, 0},
		{"Uid:\t1\t", false, 0},
		{"Uid:\t1 2", false, 0},
		{"Uid:\t1\t4294967296\t", false, 0},
		{"Gid:\t1\t1\t1\t1\n", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint32_t uid = 0;

		assert_int_equal(proc_status_uid(rows[i].text, strlen(rows[i].text), &uid), rows[i].ok);
		assert_int_equal(uid, rows[i].uid);
	}
}

#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const struct cgroup_row {
	const char *text;
	const char *unit;
	const char *container;
} cgroup_rows[] = {
	/* Version 2. */
	{"0::/system.slice/dragonfly.service\n", "dragonfly.service", NULL},
	{"0::/system.slice/system-dragonfly.slice/dragonfly@one.service\n", "dragonfly@one.service", NULL},
	{"0::/init.scope\n", "init.scope", NULL},
	{"0::/user.slice/user-1000.slice/session-3.scope\n", "session-3.scope", NULL},
	{"0::/user.slice/user-1000.slice/user@1000.service/app.slice/dragonfly.service\n",
		"user@1000.service/dragonfly.service", NULL},
	{"0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", "user@1000.service/init.scope", NULL},
	{"0::/user.slice/user-1000.slice/user@1000.service\n", "user@1000.service", NULL},
	/* Below a unit its processes may make what they like. */
	{"0::/system.slice/other.service/dragonfly.service\n", "other.service", NULL},
	{"0::/user.slice/user-1000.slice/session-3.scope/system.slice/dragonfly.service", "session-3.scope", NULL},
	{"0::/system.slice/dragonfly.service (deleted)\n", "dragonfly.service", NULL},
	{"0::/system.slice/_tasks.service", "tasks.service", NULL},
	{"0::/\n", NULL, NULL},
	{"0::/system.slice\n", NULL, NULL},
	{"0::/somebody/dragonfly.service\n", NULL, NULL},
	{"0::/system.slice/.service\n", NULL, NULL},
	{"0::/system.slice/docker-" ID ".scope\n", "docker-" ID ".scope", "docker 0123456789ab"},
	{"0::/system.slice/docker-" ID ".scope/init.scope\n", "docker-" ID ".scope", "docker 0123456789ab"},
	{"0::/docker/" ID "\n", NULL, "docker 0123456789ab"},
	{"0::/docker/buildkit/" ID "\n", NULL, "container 0123456789ab"},
	/* Seen from a control group namespace beside it. */
	{"0::/../../system.slice/docker-" ID ".scope\n", "docker-" ID ".scope", "docker 0123456789ab"},
	{"0::/../" ID "\n", NULL, "container 0123456789ab"},
	{"0::/machine.slice/libpod-" ID ".scope/container\n", "libpod-" ID ".scope", "podman 0123456789ab"},
	{"0::/machine.slice/libpod-conmon-" ID ".scope\n", "libpod-conmon-" ID ".scope", NULL},
	{"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container\n",
		"user@1000.service/libpod-" ID ".scope", "podman 0123456789ab"},
	{"0::/system.slice/dragonfly.service/libpod-payload-" ID "\n", "dragonfly.service", "podman 0123456789ab"},
	{"0::/libpod_parent/libpod-" ID "\n", NULL, "podman 0123456789ab"},
	{"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1_2.slice/cri-containerd-" ID ".scope\n",
		"cri-containerd-" ID ".scope", "containerd 0123456789ab"},
	{"0::/kubepods.slice/kubepods-pod1.slice/crio-" ID ".scope", "crio-" ID ".scope", "cri-o 0123456789ab"},
	{"0::/kubepods.slice/kubepods-pod1.slice/crio-conmon-" ID ".scope", "crio-conmon-" ID ".scope", NULL},
	{"0::/kubepods/besteffort/pod12345678-1234-1234-1234-123456789abc/" ID "\n", NULL, "kubernetes 0123456789ab"},
	{"0::/system.slice/containerd.service/kubepods-besteffort-pod1.slice:cri-containerd:" ID "\n",
		"containerd.service", "containerd 0123456789ab"},
	{"0::/system.slice/nerdctl-" ID ".scope\n", "nerdctl-" ID ".scope", "containerd 0123456789ab"},
	{"0::/lxc.payload.web/system.slice/dragonfly.service\n", NULL, "lxc web"},
	{"0::/lxc.monitor.web\n", NULL, NULL},
	{"0::/lxc/web/init.scope\n", NULL, "lxc web"},
	{"0::/lxc/we\033b\n", NULL, "lxc we?b"},
	{"0::/machine.slice/systemd-nspawn@web.service/payload\n", "systemd-nspawn@web.service", "nspawn web"},
	/* The innermost one. */
	{"0::/lxc.payload.web/docker/" ID "\n", NULL, "docker 0123456789ab"},
	/* Not quite identifiers. */
	{"0::/system.slice/docker-0123456789ab.scope\n", "docker-0123456789ab.scope", NULL},
	{"0::/docker/" ID "0\n", NULL, NULL},
	{"0::/docker/0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef\n", NULL, NULL},
	/* Version 1, and both. */
	{"12:pids:/system.slice/dragonfly.service\n1:name=systemd:/system.slice/dragonfly.service\n0::/\n",
		"dragonfly.service", NULL},
	{"12:pids:/docker/" ID "\n3:cpu,cpuacct:/docker/" ID "\n1:name=systemd:/docker/" ID
	 "\n0::/system.slice/containerd.service\n",
		"containerd.service", "docker 0123456789ab"},
	{"4:memory:/kubepods/pod1/" ID "\n", NULL, "kubernetes 0123456789ab"},
	/* A controller's path says nothing of units. */
	{"4:memory:/system.slice/dragonfly.service\n", NULL, NULL},
	/* Nonsense. */
	{"", NULL, NULL},
	{"\n\n", NULL, NULL},
	{"0:", NULL, NULL},
	{"0::", NULL, NULL},
	{"0::relative.service", "relative.service", NULL},
	{"0:://///", NULL, NULL},
	{"0::/system.slice/a:b.service", "a:b.service", NULL},
	{"0::/system.slice/a\tb\xff.service", "a?b?.service", NULL},
};

static void test_cgroup(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cgroup_rows); i++) {
		const struct cgroup_row *row = &cgroup_rows[i];
		_cleanup_free_ char *unit = NULL;
		_cleanup_free_ char *container = NULL;
		/* Exactly as long, so that a sanitizer sees what reads on. */
		size_t length = strlen(row->text);
		_cleanup_free_ char *copy = mem_alloc(length);

		memcpy(copy, row->text, length);
		proc_cgroup_parse(copy, length, &unit, &container);
		if (!same_string(unit, row->unit) || !same_string(container, row->container))
			fail_msg("%s: %s, %s", row->text, unit, container);
	}
}

static void test_strings(void **state)
{
	static const char environment[] =
		"PATH=/bin\0DFLY_bind=::\0FLAGS_port=1\0\0dfly_port=2\0GOOGLE_LOG_DIR=/x\0INVOCATION_ID=abc\0"
		"INVOCATION=no\0MY_DFLY_bind=no\0DFLY_last";
	static const char *const kept[] = {"DFLY_bind=::", "FLAGS_port=1", "dfly_port=2", "GOOGLE_LOG_DIR=/x",
		"INVOCATION_ID=abc", "DFLY_last"};
	size_t count;
	char **strings;

	(void)state;
	strings = proc_strings("dragonfly\0--bind\0\0x", 19, NULL, &count);
	assert_int_equal(count, 4);
	assert_string_equal(strings[0], "dragonfly");
	assert_string_equal(strings[2], "");
	assert_string_equal(strings[3], "x");
	proc_strings_free(strings, count);
	strings = proc_strings("a\0", 2, NULL, &count);
	assert_int_equal(count, 1);
	proc_strings_free(strings, count);
	strings = proc_strings("", 0, NULL, &count);
	assert_int_equal(count, 0);
	proc_strings_free(strings, count);
	strings = proc_strings(environment, sizeof(environment) - 1, proc_environment_wanted, &count);
	assert_int_equal(count, ARRAY_SIZE(kept));
	for (size_t i = 0; i < count; i++)
		assert_string_equal(strings[i], kept[i]);
	proc_strings_free(strings, count);
}

static void test_links(void **state)
{
	static const struct {
		const char *link;
		bool ok;
		uint64_t number;
	} rows[] = {
		{"socket:[4711]", true, 4711},
		{"socket:[18446744073709551615]", true, UINT64_MAX},
		{"socket:[18446744073709551616]", false, 0},
		{"socket:[]", false, 0},
		{"socket:[12", false, 0},
		{"socket:[12]x", false, 0},
		{"socket:[12] (deleted)", false, 0},
		{"socket:", false, 0},
		{"/tmp/socket:[12]", false, 0},
		{"pipe:[12]", false, 0},
		{"", false, 0},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		uint64_t number = 0;

		assert_int_equal(
			proc_link_number(rows[i].link, strlen(rows[i].link), "socket:[", &number), rows[i].ok);
		if (rows[i].ok)
			assert_int_equal(number, rows[i].number);
	}
}

static void test_kinds(void **state)
{
	static const struct {
		const char *executable;
		const char *command;
		const char *argument;
		enum server_kind kind;
	} rows[] = {
		{"/usr/bin/dragonfly", "dragonfly", "dragonfly", SERVER_DRAGONFLY},
		{"/usr/bin/dragonfly (deleted)", "x", NULL, SERVER_DRAGONFLY},
		{"/opt/dragonfly-x86_64", "dragonfly-x86_6", NULL, SERVER_DRAGONFLY},
		{"/opt/dragonfly-aarch64 (deleted)", "x", NULL, SERVER_DRAGONFLY},
		{"/opt/dragonfly-1.40", "x", NULL, SERVER_DRAGONFLY},
		{NULL, "dragonfly", NULL, SERVER_DRAGONFLY},
		{NULL, "dragonfly-x86_6", NULL, SERVER_DRAGONFLY},
		{NULL, "dragonfly-aarch", NULL, SERVER_DRAGONFLY},
		{NULL, "x", "/opt/dragonfly-x86_64", SERVER_DRAGONFLY},
		/* Its own thread may call itself something else; a stranger may call itself so. */
		{"/usr/bin/dragonfly", "redis-server", "redis-server", SERVER_DRAGONFLY},
		{"/usr/bin/perl", "dragonfly", "perl", SERVER_DRAGONFLY},
		/* Debian's Redis under another name. */
		{"/usr/bin/redis-check-rdb", "redis-server", "redis-server *:6379", SERVER_REDIS},
		{"/usr/bin/redis-check-rdb", "dragonfly", "/tmp/dragonfly *:6379", SERVER_DRAGONFLY},
		{"/usr/bin/redis-server", "dragonfly", NULL, SERVER_DRAGONFLY},
		{"/usr/bin/redis-server", "redis-server", "dragonfly *:6379", SERVER_DRAGONFLY},
		{"/usr/bin/redis-server", "redis-server", "/usr/bin/redis-server 127.0.0.1:6379", SERVER_REDIS},
		{"/usr/bin/dragonfly-exporter", "dragonfly-expor", NULL, SERVER_OTHER},
		{"/manager", "dragonfly-opera", NULL, SERVER_OTHER},
		{"/usr/bin/dragonflyd", "dragonflyd", NULL, SERVER_OTHER},
		{"/usr/bin/valkey-server", "valkey-server", NULL, SERVER_VALKEY},
		{"/usr/bin/keydb-server", "keydb-server", NULL, SERVER_KEYDB},
		{"/usr/bin/memcached", "memcached", NULL, SERVER_MEMCACHED},
		{"/usr/bin/docker-proxy", "docker-proxy", NULL, SERVER_DOCKER_PROXY},
		{"/usr/bin/podman", "exe", "containers-rootlessport", SERVER_DOCKER_PROXY},
		{NULL, "containers-root", NULL, SERVER_DOCKER_PROXY},
		{"/usr/lib/systemd/systemd", "systemd", "/sbin/init", SERVER_SYSTEMD},
		{"/usr/bin/nginx", "nginx", "nginx: worker process", SERVER_OTHER},
		{"", "", "", SERVER_OTHER},
		{"/", "/", "/", SERVER_OTHER},
		{" (deleted)", "", NULL, SERVER_OTHER},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (proc_kind(rows[i].executable, rows[i].command, rows[i].argument) != rows[i].kind)
			fail_msg("%s, %s, %s: not %s", rows[i].executable, rows[i].command, rows[i].argument,
				server_kind_name(rows[i].kind));
	for (enum server_kind kind = 0; kind < SERVER_KIND_COUNT; kind++)
		assert_non_null(server_kind_name(kind));
}

/* ---- files ---- */

static void test_read(void **state)
{
	char path[] = "/tmp/dflyguard-test-XXXXXX";
	_cleanup_close_ int file = mkstemp(path);
	_cleanup_free_ char *bytes = mem_zero(10000, 1);
	static const struct {
		size_t size, maximum;
		int result;
	} rows[] = {{0, 10, 0}, {1, 10, 0}, {10, 10, 0}, {11, 10, -E2BIG}, {4096, 4096, 0}, {4096, 8192, 0},
		{4097, 8192, 0}, {9999, 4097, -E2BIG}, {9999, 1 << 20, 0}};

	(void)state;
	assert_true(file >= 0);
	memset(bytes, 'x', 10000);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *text = NULL;
		size_t length = 0;
		size_t wanted = rows[i].size < rows[i].maximum ? rows[i].size : rows[i].maximum;

		assert_int_equal(ftruncate(file, 0), 0);
		assert_int_equal(pwrite(file, bytes, rows[i].size, 0), rows[i].size);
		assert_int_equal(proc_read(AT_FDCWD, path, rows[i].maximum, &text, &length), rows[i].result);
		assert_int_equal(length, wanted);
		assert_int_equal(strlen(text), wanted);
	}
	unlink(path);

	char *text = NULL;
	size_t length;

	assert_int_equal(proc_read(AT_FDCWD, path, 10, &text, &length), -ENOENT);
	assert_null(text);
	/* A link that does not fit is none. */
	char buffer[16];

	assert_int_equal(proc_link(AT_FDCWD, "/proc/self/exe", buffer, 4), -ENAMETOOLONG);
	assert_int_equal(proc_link(AT_FDCWD, path, buffer, sizeof(buffer)), -ENOENT);
}

/* ---- sockets ---- */

struct tcp_message {
	struct inet_diag_msg socket;
	struct nlattr attribute;
	uint8_t v6_only;
	uint8_t padding[3];
};

static struct tcp_message tcp_message(const char *address, uint16_t port, uint32_t inode)
{
	bool six = strchr(address, ':') != NULL;
	struct tcp_message message = {.socket = {.idiag_family = six ? AF_INET6 : AF_INET,
					      .idiag_state = 10,
					      .id.idiag_sport = htons(port),
					      .idiag_uid = 999,
					      .idiag_rqueue = 3,
					      .idiag_wqueue = 511,
					      .idiag_inode = inode},
		.attribute = {.nla_len = sizeof(struct nlattr) + 1, .nla_type = INET_DIAG_SKV6ONLY},
		.v6_only = 1};

	inet_pton(message.socket.idiag_family, address, message.socket.id.idiag_src);
	return message;
}

#define FOUR(message, size) {&(message), size, AF_INET, 0}
#define SIX(message, size)  {&(message), size, AF_INET6, 0}

static int read_tcp(const struct socket_answer *answers, size_t count, int done, struct socket_table *table)
{
	struct socket_script script = {.answers = answers, .count = count, .done = done};
	struct netlink *netlink = socket_script_open(&script);
	struct err err = {0};
	int r = sockets_read_tcp(netlink, 0, 0, table, &err);

	netlink_close(netlink);
	/* Whoever reports it finds a sentence. */
	assert_int_equal(r < 0, err.message[0] != '\0');
	return r;
}

static void test_tcp(void **state)
{
	struct tcp_message four = tcp_message("10.0.0.5", 6379, 100);
	struct tcp_message six = tcp_message("::", 6379, 101);
	struct tcp_message bound = tcp_message("0.0.0.0", 6380, 102);
	struct tcp_message open = tcp_message("10.0.0.5", 6379, 103);
	struct tcp_message none = tcp_message("::1", 6381, 0);
	const struct socket_answer answers[] = {
		FOUR(four, sizeof(four)),
		FOUR(bound, sizeof(bound)),
		/* Told twice; and not listening. */
		FOUR(four, sizeof(four)),
		FOUR(open, sizeof(open)),
		SIX(six, sizeof(six)),
		/* Without attributes, and without an inode. */
		SIX(none, sizeof(none.socket)),
		SIX(none, sizeof(none.socket)),
	};
	struct socket_table table = {0};
	uint32_t row;

	(void)state;
	bound.socket.id.idiag_if = 7;
	open.socket.idiag_state = 1;
	assert_int_equal(read_tcp(answers, ARRAY_SIZE(answers), 0, &table), 0);
	sockets_index(&table);
	assert_int_equal(table.count, 5);
	row = sockets_find(&table, 100, SOCKET_BEGIN);
	assert_int_not_equal(row, SOCKET_END);
	assert_int_equal(sockets_find(&table, 100, row), SOCKET_END);
	assert_int_equal(table.rows[row].port, 6379);
	assert_int_equal(table.rows[row].width, WIDTH_IPV4);
	assert_int_equal(table.rows[row].address.lo, 0x0a000005);
	assert_int_equal(table.rows[row].uid, 999);
	assert_int_equal(table.rows[row].queued, 3);
	assert_int_equal(table.rows[row].backlog, 511);
	assert_false(table.rows[row].v6_only_known);
	row = sockets_find(&table, 101, SOCKET_BEGIN);
	assert_true(table.rows[row].v6_only_known && table.rows[row].v6_only);
	row = sockets_find(&table, 102, SOCKET_BEGIN);
	assert_string_equal(table.devices[table.rows[row].more].name, "if7");
	assert_int_equal(sockets_find(&table, 103, SOCKET_BEGIN), SOCKET_END);
	assert_int_equal(sockets_find(&table, 0, SOCKET_BEGIN), SOCKET_END);
	assert_false(table.rows[table.count - 1].v6_only_known);
	sockets_done(&table);
}

static void test_tcp_bad(void **state)
{
	struct tcp_message good = tcp_message("10.0.0.5", 6379, 100);
	struct tcp_message six = tcp_message("::", 6379, 101);
	struct tcp_message empty = tcp_message("::", 6379, 101);
	const struct {
		struct socket_answer answer;
		int done;
		int result;
	} rows[] = {
		{FOUR(good, sizeof(good)), 0, 0},
		/* Torn is a sample like any other. */
		{FOUR(good, sizeof(good)), -EINTR, 0},
		{FOUR(good, sizeof(good)), -ENOENT, -ENOENT},
		{FOUR(good, sizeof(good)), -EPERM, -EPERM},
		{FOUR(good, sizeof(good.socket) - 1), 0, -EBADMSG},
		{FOUR(good, 0), 0, -EBADMSG},
		/* An answer to another question. */
		{SIX(good, sizeof(good)), 0, -EBADMSG},
		{FOUR(six, sizeof(six)), 0, -EBADMSG},
		{{&good, sizeof(good), AF_INET, SOCK_DIAG_BY_FAMILY + 1}, 0, -EBADMSG},
		{SIX(empty, sizeof(empty)), 0, -EBADMSG},
	};

	(void)state;
	empty.attribute.nla_len = sizeof(struct nlattr);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct socket_table table = {0};

		assert_int_equal(read_tcp(&rows[i].answer, 1, rows[i].done, &table), rows[i].result);
		sockets_index(&table);
		sockets_done(&table);
	}
}

struct unix_message {
	struct unix_diag_msg socket;
	struct nlattr name;
	char path[8];
	struct nlattr file;
	struct unix_diag_vfs place;
};

static void test_unix(void **state)
{
	struct unix_message good = {.socket = {.udiag_family = AF_UNIX,
					    .udiag_type = SOCK_STREAM,
					    .udiag_state = 10,
					    .udiag_ino = 200},
		.name = {sizeof(struct nlattr) + 8, UNIX_DIAG_NAME},
		.path = "/a.sock",
		.file = {sizeof(struct nlattr) + sizeof(struct unix_diag_vfs), UNIX_DIAG_VFS},
		.place = {.udiag_vfs_ino = 42}};
	struct unix_message other = good;
	struct unix_message cut = good;
	struct unix_message family = good;
	const struct {
		const struct unix_message *message;
		size_t size;
		int done, result;
		size_t count;
	} rows[] = {
		{&good, sizeof(good), 0, 0, 1},
		/* Unnamed. */
		{&good, sizeof(good.socket), 0, 0, 1},
		{&good, sizeof(good.socket) - 1, 0, -EBADMSG, 0},
		{&other, sizeof(other), 0, 0, 0},
		{&cut, sizeof(cut), 0, -EBADMSG, 0},
		{&family, sizeof(family), 0, -EBADMSG, 0},
		{&good, sizeof(good), -ENOENT, -ENOENT, 1},
	};

	(void)state;
	other.socket.udiag_type = SOCK_SEQPACKET;
	cut.file.nla_len -= 4;
	family.socket.udiag_family = AF_INET;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct socket_answer answer = {rows[i].message, rows[i].size, 0, 0};
		struct socket_script script = {.answers = &answer, .count = 1, .done = rows[i].done};
		struct netlink *netlink = socket_script_open(&script);
		struct socket_table table = {0};
		struct err err = {0};

		assert_int_equal(sockets_read_unix(netlink, 3, &table, &err), rows[i].result);
		assert_int_equal(rows[i].result < 0, err.message[0] != '\0');
		assert_int_equal(table.unix_count, rows[i].count);
		assert_int_equal(table.count, rows[i].count);
		if (i == 0) {
			assert_int_equal(table.rows[0].network, 3);
			assert_int_equal(table.unix_rows[0].length, 8);
			assert_string_equal(table.unix_rows[0].name, "/a.sock");
			assert_true(table.unix_rows[0].has_file);
			assert_int_equal(table.unix_rows[0].file, 42);
		}
		netlink_close(netlink);
		sockets_done(&table);
	}
}

/* Many with the same inode, none, and many with others: all are found, each once. */
static void test_index(void **state)
{
	struct socket_table table = {0};
	size_t found = 0;

	(void)state;
	assert_int_equal(sockets_find(&table, 5, SOCKET_BEGIN), SOCKET_END);
	for (uint32_t i = 0; i < 10000; i++) {
		ARRAY_GROW(table.rows, table.count, table.capacity);
		table.rows[table.count++] = (struct socket_row){
			.inode = i % 5000 < 10 ? 77777 : i % 5000, .port = (uint16_t)(i % 5000), .next = SOCKET_END};
	}
	sockets_index(&table);
	assert_int_equal(table.count, 5000);
	for (uint32_t row = sockets_find(&table, 77777, SOCKET_BEGIN); row != SOCKET_END;
		row = sockets_find(&table, 77777, row))
		found++;
	assert_int_equal(found, 10);
	for (uint32_t i = 10; i < 5000; i++) {
		uint32_t row = sockets_find(&table, i, SOCKET_BEGIN);

		assert_int_equal(table.rows[row].port, i);
	}
	sockets_done(&table);
}

static void test_empty(void **state)
{
	struct host *host = host_new();

	(void)state;
	assert_int_equal(host->listener_count, 0);
	host_free(host);
	host_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_clean),
		cmocka_unit_test(test_stat),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_cgroup),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_links),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_tcp),
		cmocka_unit_test(test_tcp_bad),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_index),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests_name("listeners", tests, NULL, NULL);
}
