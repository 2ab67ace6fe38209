/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Any bytes as a text of /proc, and as what sock_diag answers. Nothing may crash, leak or take long, and whatever came,
 * names are UTF-8 without control characters. `fuzz_proc --make-corpus DIR` writes texts and answers.
 */

#include "replay.h"
#include "socket_script.h"

static void check_clean(char *text)
{
	for (const unsigned char *byte = (const unsigned char *)text; text && *byte;) {
		size_t length = utf8_length((const char *)byte);

		require(length > 0 && *byte >= 0x20 && *byte != 0x7f && !(*byte == 0xc2 && byte[1] < 0xa0));
		byte += length;
	}
	free(text);
}

static void check_sockets(const uint8_t *data, size_t size)
{
	/* Two messages, so that one is told twice, or a second one begins in the middle. */
	struct socket_answer answers[] = {{data, size, 0, 0}, {data + size / 2, size - size / 2, 0, 0}};
	struct socket_script script = {.answers = answers, .count = ARRAY_SIZE(answers)};
	struct netlink *netlink = socket_script_open(&script);
	struct socket_table table = {0};

	sockets_read_tcp(netlink, 0, 0, &table, NULL);
	sockets_read_unix(netlink, 1, &table, NULL);
	sockets_index(&table);
	for (size_t i = 0; i < table.count; i++) {
		uint32_t row = sockets_find(&table, table.rows[i].inode, SOCKET_BEGIN);

		require((row == SOCKET_END) == (table.rows[i].inode == 0));
	}
	sockets_done(&table);
	netlink_close(netlink);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct proc_stat stat;
	uint32_t uid;
	uint64_t number;
	char *unit, *container;
	size_t count;
	char **strings;
	_cleanup_free_ char *string = mem_stringn(text, size);

	check_clean(proc_clean(text, size));
	if (proc_stat_parse(text, size, &stat)) {
		require(memchr(stat.command, '\0', sizeof(stat.command)) != NULL);
		require(!proc_stat_program(&stat) || !proc_stat_ended(&stat) || stat.threads > 1);
	}
	proc_status_uid(text, size, &uid);
	proc_cgroup_parse(text, size, &unit, &container);
	require(!unit || *unit);
	require(!container || strchr(container, ' '));
	check_clean(unit);
	check_clean(container);
	strings = proc_strings(text, size, NULL, &count);
	require(count <= size);
	proc_strings_free(strings, count);
	strings = proc_strings(text, size, proc_environment_wanted, &count);
	for (size_t i = 0; i < count; i++)
		require(proc_environment_wanted(strings[i]));
	proc_strings_free(strings, count);
	proc_link_number(text, size, "socket:[", &number);
	require(proc_kind(string, string, string) < SERVER_KIND_COUNT);
	require(proc_kind(NULL, string, NULL) < SERVER_KIND_COUNT);
	check_sockets(data, size);
	return 0;
}

#ifndef FUZZING_ENGINE
#define ID "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static int make_corpus(const char *directory)
{
	static const char *const texts[] = {
		"4711 (dragonfly) S 1 4711 4711 0 -1 4194304 4 5 6 7 8 9 10 11 20 0 9 0 123456 1000 200 18446744073709551615 1\n",
		"1 (x) S 1 (\n) Z 1 2 3 0 -1 2129984 4 5 6 7 8 9 10 11 20 0 1 0 18446744073709551615 1",
		"Name:\tdragonfly\nUmask:\t0022\nUid:\t1000\t999\t999\t999\nGid:\t0\t0\t0\t0\n",
		"12:pids:/docker/" ID "\n1:name=systemd:/system.slice/dragonfly.service\n0::/\n",
		"0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" ID ".scope/container (deleted)\n",
		"0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-" ID ".scope\n4:cpu:/a:cri-containerd:" ID "\n",
		"0::/../lxc.payload.we\033b/lxc/x/systemd-nspawn@web.service/payload",
		"socket:[18446744073709551615]",
		"/opt/dragonfly-x86_64 (deleted)",
		"dragonfly \xc2\x9b*:6379\xe2\x82",
	};
	static const char strings[] = "PATH=/bin\0DFLY_bind=::\0\0FLAGS_port=1\0GOOGLE_LOG_DIR=/x\0INVOCATION_ID=abc";
	struct {
		struct inet_diag_msg socket;
		struct nlattr attribute;
		uint8_t v6_only[4];
	} tcp = {.socket = {.idiag_family = AF_INET6, .idiag_state = 10, .idiag_inode = 4711, .id.idiag_if = 7},
		.attribute = {sizeof(struct nlattr) + 1, INET_DIAG_SKV6ONLY}};
	struct {
		struct unix_diag_msg socket;
		struct nlattr name;
		char path[8];
		struct nlattr file;
		struct unix_diag_vfs place;
	} local = {.socket = {.udiag_family = AF_UNIX, .udiag_type = SOCK_STREAM, .udiag_state = 10, .udiag_ino = 4712},
		.name = {sizeof(struct nlattr) + 8, UNIX_DIAG_NAME},
		.path = "/a.sock",
		.file = {sizeof(struct nlattr) + sizeof(struct unix_diag_vfs), UNIX_DIAG_VFS}};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		write_bytes(directory, "text", i, texts[i], strlen(texts[i]));
	write_bytes(directory, "strings", 0, strings, sizeof(strings) - 1);
	write_bytes(directory, "tcp", 6, &tcp, sizeof(tcp));
	tcp.attribute.nla_len--;
	write_bytes(directory, "tcp-cut", 6, &tcp, sizeof(tcp));
	tcp.socket.idiag_family = AF_INET;
	write_bytes(directory, "tcp", 4, &tcp, sizeof(tcp.socket));
	write_bytes(directory, "unix", 0, &local, sizeof(local));
	write_bytes(directory, "unix-cut", 0, &local, sizeof(local) - 5);
	return 0;
}

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "--make-corpus") == 0)
		return make_corpus(arguments[2]);
	return replay_main(count, arguments);
}
#endif
