/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The server's log: lines in both forms, names of files, where it goes, and what audit says of that. */

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "hosts.h"
#include "inspect/log_line.h"

/* --- lines --- */

#define GLOG "20261122 15:53:16.355903 30046 main_service.cc:1737] "
#define ABSL "1122 15:53:16.355903   30046 main_service.cc:1737] "

/* `peer`: "ADDRESS:PORT", or NULL. `kind`: its name; "-": nothing is told. */
static const struct {
	const char *line, *kind, *peer, *text;
} lines[] = {
	{"W" GLOG " AUTH failed with reason: -WRONGPASS invalid username-password pair", "auth-failure", NULL,
		"AUTH failed: WRONGPASS"},
	{"W" ABSL " AUTH failed with reason: -WRONGPASS invalid username-password pair", "auth-failure", NULL,
		"AUTH failed: WRONGPASS"},
	{"W" GLOG " HELLO 3 AUTH me hunter2 failed with reason: -WRONGPASS x", "auth-failure", NULL,
		"HELLO AUTH failed: WRONGPASS"},
	{"W" GLOG " HELLO 3 failed with reason: -NOAUTH HELLO must be", "-", NULL, ""},
	{"W" GLOG " GET AUTH failed with reason: -WRONGPASS", "-", NULL, ""},
	{"W" GLOG " CONFIG SET requirepass hunter2 failed with reason: no", "config-refused", NULL,
		"CONFIG SET requirepass"},
	{"W" GLOG "Illegal value 'hunter2' specified for flag 'x' specified for flag 'tls'", "config-refused", NULL,
		"flag tls"},
	{"W" ABSL "SSL protocol error 20:258:167772418 unsupported protocol /src/x : 110", "tls-error", NULL,
		"handshake: unsupported protocol "},
	{"I" GLOG
	 "[7] Error reading from peer 10.99.7.2:56652 4 < 5, socket state: State: CLOSE_WAIT, Local: 1.2.3.4:1",
		"tls-error", "10.99.7.2:56652", "the connection ended before a ClientHello"},
	{"I" GLOG "[7] Error reading from peer [fd99:7::1]:56652 4 < 5", "tls-error", "fd99:7::1:56652",
		"the connection ended before a ClientHello"},
	{"I" GLOG "[7] Error reading from peer 0.0.0.0:0 Connection reset by peer", "tls-error", NULL,
		"the connection ended before a ClientHello"},
	{"I" ABSL
	 "[7] Error handshaking Connection reset by peer, socket state: State: ESTABLISHED, Local: 10.0.0.1:1, "
	 "Remote: 10.0.0.2:41, Inode: 9",
		"tls-error", "10.0.0.2:41", "the handshake failed"},
	/* Its bytes are swapped there. */
	{"I" GLOG "[7] Error handshaking x, socket state: Remote: [700:99fd::100:0]:41, Inode: 9", "tls-error", NULL,
		"the handshake failed"},
	{"I" GLOG "sock[8] AcceptServer - listening on 0.0.0.0:6379", "listening", "0.0.0.0:6379", ""},
	{"I" ABSL "sock[8] AcceptServer - listening on [::]:6379", "listening", ":::6379", ""},
	{"I" GLOG "Listening on admin socket any:9999", "listening", "0.0.0.0:9999", "admin"},
	{"W" GLOG "Protected mode enabled: no password", "protected-mode", NULL, ""},
	{"I" GLOG "Executing dangerous command FLUSHALL (10.0.0.9:4711)", "dangerous-command", "10.0.0.9:4711",
		"FLUSHALL"},
	{"W" GLOG "Failed to parse len", "broken-protocol", NULL, ""},
	{"I" GLOG "Exiting on signal Terminated", "stopped", NULL, ""},
	{"F" GLOG "unknown environment variable DFLY_x", "stopped", NULL, ""},
	{"Log file created at: 2026/11/22 15:53:16", "started", NULL, ""},
	{"I" GLOG "Initiate replication with: 10.0.0.1:6379", "-", NULL, ""},
	{"    @     0x55d0 main", "-", NULL, ""},
	{"", "-", NULL, ""},
	{"W", "-", NULL, ""},
	{"W20261122", "-", NULL, ""},
	{"W202611221 15:53:16.355903 30046 a.cc:1] AUTH failed with reason: -WRONGPASS", "-", NULL, ""},
	{"W20261122 15:53:16.355903 30046 a.cc:1]", "-", NULL, ""},
	{"X" GLOG "AUTH failed with reason: -WRONGPASS", "-", NULL, ""},
	{"I" GLOG "[7] Error reading from peer 10.99.7.0/24:5", "tls-error", NULL,
		"the connection ended before a ClientHello"},
};

static void test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		struct log_line line;
		char address[INTERVAL_TEXT];

		log_line_read(lines[i].line, strlen(lines[i].line), &line);
		const char *kind = log_kind_name(line.kind) ? log_kind_name(line.kind) : "-";
		_cleanup_free_ char *peer =
			line.has_peer ? mem_format("%s:%u", value_format(line.width, line.address, address), line.port)
				      : NULL;

		if (strcmp(kind, lines[i].kind) != 0 || !same_string(peer, lines[i].peer) ||
			strcmp(line.text, lines[i].text) != 0)
			fail_msg("%s\n is %s of %s, '%s'", lines[i].line, kind, peer ? peer : "nobody", line.text);
		assert_null(strstr(line.text, "hunter2"));
	}
}

static void test_time(void **state)
{
	struct log_line line;

	(void)state;
	log_line_read("W" GLOG "x", strlen("W" GLOG "x"), &line);
	assert_string_equal(line.time, "2026-11-22 15:53:16");
	assert_int_equal(line.severity, 'W');
	log_line_read("I" ABSL "x", strlen("I" ABSL "x"), &line);
	assert_string_equal(line.time, "11-22 15:53:16");
	log_line_read("nothing", 7, &line);
	assert_string_equal(line.time, "");
	assert_int_equal(line.severity, 0);
}

/* --- through dflyguard-probe --- */

/* It is looked for beside us. */
static int link_probe(void **state)
{
	char own[4096];
	ssize_t length = readlink("/proc/self/exe", own, sizeof(own) - 1);

	(void)state;
	assert_true(length > 0);
	own[length] = '\0';
	_cleanup_free_ char *path = mem_format("%.*s/dflyguard-probe", (int)(strrchr(own, '/') - own), own);

	return symlink("../dflyguard-probe", path) < 0 && errno != EEXIST ? -1 : 0;
}

static int file_with(const char *text)
{
	char path[] = "/tmp/dflyguard-test-logs.XXXXXX";
	int descriptor = mkstemp(path);

	assert_true(descriptor >= 0);
	unlink(path);
	assert_int_equal(write(descriptor, text, strlen(text)), (ssize_t)strlen(text));
	return descriptor;
}

static int64_t count_of(const struct records *records, enum log_event event)
{
	struct log_seen seen;
	int64_t count = 0;

	for (size_t i = 0; i < records->count; i++)
		if (log_hear_seen(&records->items[i], 0, &seen) && seen.event == event)
			count += seen.count;
	return count;
}

static struct records *look(int file, const struct log_position *from, const char *severities, struct log_look *ret)
{
	struct probe_job *job = probe_job_new();
	struct records *records = NULL;
	struct err err = {0};

	assert_int_equal(log_ask(job, dup(file), from, severities), 0);
	if (probe_run(job, NULL, &records, &err) < 0 || log_hear(records, 0, ret, &err) < 0)
		fail_msg("%s", err.message);
	probe_job_free(job);
	return records;
}

static const char failed[] = "W" GLOG " AUTH failed with reason: -WRONGPASS x\n";

static void test_positions(void **state)
{
	_cleanup_free_ char *text = mem_format("%sI" GLOG "Exiting on signal 15\n%s%.20s", failed, failed, failed);
	_cleanup_close_ int file = file_with(text);
	struct log_position begin = {0};
	struct log_look first, second;
	struct records *records = look(file, &begin, NULL, &first);

	(void)state;
	assert_int_equal(count_of(records, LOG_EVENT_AUTH_FAILURE), 2);
	assert_int_equal(count_of(records, LOG_EVENT_STOPPED), 1);
	assert_int_equal(first.lines, 3);
	assert_int_equal(first.position.offset, strlen(text) - 20);
	assert_false(first.more || first.rewritten || first.position.torn);
	records_free(records);
	/* Of the severities that are asked for. */
	records = look(file, &begin, "I", &second);
	assert_int_equal(count_of(records, LOG_EVENT_AUTH_FAILURE), 0);
	assert_int_equal(count_of(records, LOG_EVENT_STOPPED), 1);
	records_free(records);
	/* Nothing is new; then the line has its end. */
	records = look(file, &first.position, NULL, &second);
	assert_int_equal(second.lines, 0);
	assert_int_equal(second.position.offset, first.position.offset);
	records_free(records);
	assert_int_equal(write(file, failed + 20, strlen(failed + 20)), (ssize_t)strlen(failed + 20));
	records = look(file, &first.position, NULL, &second);
	assert_int_equal(count_of(records, LOG_EVENT_AUTH_FAILURE), 1);
	records_free(records);
	/* Another file in its place, as long. */
	assert_int_equal(pwrite(file, "W", 1, (off_t)first.position.offset - 2), 1);
	records = look(file, &first.position, NULL, &second);
	assert_true(second.rewritten);
	assert_int_equal(second.lines, 4);
	records_free(records);
}

static void test_long_line(void **state)
{
	_cleanup_text_ struct text text = {0};
	struct log_position at = {0};
	struct log_look found;

	(void)state;
	for (size_t i = 0; i < (5u << 19); i++)
		text_append_char(&text, 'x');
	text_append(&text, "\n");
	text_append(&text, failed);
	_cleanup_close_ int file = file_with(text_string(&text));
	int64_t failures = 0, too_long = 0;

	do {
		struct records *records = look(file, &at, NULL, &found);

		failures += count_of(records, LOG_EVENT_AUTH_FAILURE);
		too_long += found.too_long;
		at = found.position;
		records_free(records);
	} while (found.more);
	assert_int_equal(failures, 1);
	assert_int_equal(too_long, 1);
	assert_int_equal(at.offset, text.length);
}

/* More sources than are told one by one. */
static void test_many_sources(void **state)
{
	_cleanup_text_ struct text text = {0};
	struct log_look found;

	(void)state;
	for (unsigned int i = 0; i < 1000; i++)
		text_printf(&text, "I" GLOG "[7] Error reading from peer 10.1.%u.%u:5 x\n", i / 250, 1 + i % 250);
	_cleanup_close_ int file = file_with(text_string(&text));
	struct records *records = look(file, &(struct log_position){0}, NULL, &found);

	assert_int_equal(count_of(records, LOG_EVENT_TLS_ERROR) + found.unlisted, 1000);
	assert_int_equal(found.lines, 1000);
	records_free(records);
}

/* --- names of files --- */

static void test_names(void **state)
{
	static const struct {
		const char *name;
		bool good;
	} names[] = {
		{"dragonfly.host.dfly.log.WARNING.20261122-155316.4711.log", true},
		{"dragonfly.dfly.WARNING.20261122-155316.4711.log", true},
		{"dragonfly.WARNING.x.log.WARNING.20261122-155316.4711.log", true},
		{"dragonfly.WARNING", false},
		{"dragonfly.host.dfly.log.INFO.20261122-155316.4711.log", false},
		{"redis.host.dfly.log.WARNING.20261122-155316.4711.log", false},
		{"dragonfly.host.dfly.log.WARNING.20261122-155316.4711.log.gz", false},
		{"dragonfly.host.dfly.log.WARNING.20261122-155316.log", false},
		{"dragonfly.host.dfly.log.WARNING.2026112-155316.4711.log", false},
	};
	struct log_name name;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		bool good = log_name_read(names[i].name, "dragonfly", "WARNING", &name);

		if (good != names[i].good)
			fail_msg("%s", names[i].name);
		if (good) {
			assert_string_equal(name.date, "20261122-155316");
			assert_int_equal(name.pid, 4711);
		}
	}
}

/* --- checks --- */

static void no_change(struct log_told *told)
{
	(void)told;
}
static void with_null(struct log_told *told)
{
	told->stderr_to = STDERR_NOTHING;
}
static void with_pipe(struct log_told *told)
{
	told->stderr_to = STDERR_PIPE;
}
static void with_journal(struct log_told *told)
{
	told->stderr_to = STDERR_JOURNAL;
}
static void is_absent(struct log_told *told)
{
	told->absent = true;
}
static void is_unknown(struct log_told *told)
{
	told->unknown = mem_string("/log: Permission denied");
}
static void is_open(struct log_told *told)
{
	told->mode = 0755;
}
static void is_open_without_files(struct log_told *told)
{
	told->mode = 0755;
	free(told->file);
	told->file = NULL;
}
static void is_writable(struct log_told *told)
{
	told->mode = 01777;
}
static void is_full(struct log_told *told)
{
	told->free = 1 << 20;
}
static void is_small(struct log_told *told)
{
	told->free = (uint64_t)500 << 20;
}

/* The flags, what else is so, and what comes of it: OUTCOME_* and, where it fails, the severity. */
static const struct {
	const char *check, *flags;
	void (*change)(struct log_told *told);
	enum outcome outcome;
	enum severity severity;
} cases[] = {
	{"logs.enabled", "--log_dir=/var/log/dragonfly", no_change, OUTCOME_PASS, SEVERITY_WARNING},
	{"logs.enabled", "--log_dir=/var/log/dragonfly", is_absent, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.enabled", "--log_dir=/var/log/dragonfly", is_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING},
	{"logs.enabled", "--port=6379", no_change, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.enabled", "--log_dir=/tmp/x", no_change, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.enabled", "--log_dir=/tmpfiles", no_change, OUTCOME_PASS, SEVERITY_WARNING},
	{"logs.enabled", "--minloglevel=2\n--log_dir=/var/log/dragonfly", no_change, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.enabled", "--logtostderr", with_journal, OUTCOME_PASS, SEVERITY_WARNING},
	{"logs.enabled", "--logtostderr", with_null, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.enabled", "--logtostderr", with_pipe, OUTCOME_UNKNOWN, SEVERITY_INFO},
	{"logs.enabled", "--logtostderr", no_change, OUTCOME_UNKNOWN, SEVERITY_INFO},
	{"logs.private", "--log_dir=/log", no_change, OUTCOME_PASS, SEVERITY_WARNING},
	{"logs.private", "--log_dir=/log", is_open, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.private", "--log_dir=/log", is_open_without_files, OUTCOME_UNKNOWN, SEVERITY_INFO},
	{"logs.private", "--log_dir=/log", is_writable, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.private", "--log_dir=/log", is_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING},
	{"logs.private", "--logtostderr", no_change, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING},
	{"logs.buffered", "--log_dir=/log", no_change, OUTCOME_FAIL, SEVERITY_INFO},
	{"logs.buffered", "--log_dir=/log\n--logbuflevel=1", no_change, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.buffered", "--log_dir=/log\n--logbuflevel=-1", no_change, OUTCOME_PASS, SEVERITY_INFO},
	{"logs.buffered", "--logtostderr", no_change, OUTCOME_NOT_APPLICABLE, SEVERITY_INFO},
	{"logs.space", "--log_dir=/log", no_change, OUTCOME_PASS, SEVERITY_WARNING},
	{"logs.space", "--log_dir=/log", is_small, OUTCOME_FAIL, SEVERITY_INFO},
	{"logs.space", "--log_dir=/log\n--max_log_size=100", is_small, OUTCOME_PASS, SEVERITY_WARNING},
	{"logs.space", "--log_dir=/log", is_full, OUTCOME_FAIL, SEVERITY_WARNING},
	{"logs.space", "--log_dir=/log", is_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING},
	{"logs.space", "--logtostderr", no_change, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING},
};

static int read_flags(void *data, const char *path _unused_, char **ret, size_t *ret_length, char *why _unused_)
{
	*ret = mem_string(data);
	*ret_length = strlen(data);
	return 0;
}

static void judge(size_t number)
{
	static char argument[] = "--flagfile=/f";
	char *arguments[] = {argument};
	struct flags_input input = {.arguments = arguments,
		.argument_count = 1,
		.read_file = read_flags,
		.data = (void *)(uintptr_t)cases[number].flags};
	struct audit_intention intention = {.subject = "dragonfly, process 7", .process = LISTENERS_NO_INDEX};
	struct log_facts *logs = log_facts_new();
	struct log_told *told = log_facts_add(logs);
	struct audit_facts facts = {.intentions = &intention, .intention_count = 1, .logs = logs};
	struct intention *read;
	struct findings found = {0};
	const struct check *check = audit_check_find(cases[number].check);

	assert_non_null(check);
	intention_read(&input, &read);
	intention.intention = read;
	log_place_read(read, &told->place);
	told->mode = 0750;
	told->file = mem_string("dragonfly.INFO");
	told->file_mode = 0644;
	told->size = told->free = (uint64_t)100 << 30;
	cases[number].change(told);
	check->assess(check, &facts, &found);
	assert_int_equal(found.count, 1);
	if (found.items[0].outcome != cases[number].outcome || found.items[0].severity != cases[number].severity)
		fail_msg("%s with %s (case %zu): %s %s: %s", cases[number].check, cases[number].flags, number,
			severity_name(found.items[0].severity), outcome_name(found.items[0].outcome),
			found.items[0].message);
	findings_done(&found);
	log_facts_free(logs);
	intention_free(read);
}

static void test_checks(void **state)
{
	const struct check *check;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		judge(i);
	/* Each has one that passes, one that fails, and what is not known. */
	for (size_t i = 0; (check = audit_check(i)); i++) {
		bool seen[OUTCOME_NOT_APPLICABLE + 1] = {false};

		if (strcmp(check->area, "logs") != 0)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(cases); k++)
			if (strcmp(cases[k].check, check->id) == 0)
				seen[cases[k].outcome] = true;
		if (!seen[OUTCOME_PASS] || !seen[OUTCOME_FAIL])
			fail_msg("%s has no fixture that passes, or none that fails", check->id);
		/* Nobody looked; nobody was told. */
		struct findings found = {0};
		struct log_facts none = {0};

		check->assess(check, &(struct audit_facts){0}, &found);
		check->assess(check, &(struct audit_facts){.logs = &none}, &found);
		assert_int_equal(found.count, 2);
		assert_int_equal(found.items[0].outcome, OUTCOME_UNKNOWN);
		assert_int_equal(found.items[1].outcome, OUTCOME_NOT_APPLICABLE);
		findings_done(&found);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_positions),
		cmocka_unit_test(test_long_line),
		cmocka_unit_test(test_many_sources),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_checks),
	};

	return cmocka_run_group_tests(tests, link_probe, NULL);
}
