/* SPDX-License-Identifier: GPL-3.0-or-later */

/* watch without a kernel: fights, the policy's files, datagrams to systemd, and metrics. */

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "cmd/watch.h"
#include "mutations.h"
#include "policies.h"

static char scratch[] = "/tmp/dflyguard-test-watch.XXXXXX";

/* In main.c, with the command line. What is reported here is a failure of the test. */
int(fail)(const struct options *options, const struct err *err, const struct diagnostics *diagnostics)
{
	(void)options;
	(void)diagnostics;
	fail_msg("%s", err->message);
	return EXIT_TROUBLE;
}

struct report_style output_style(const struct options *options)
{
	(void)options;
	return (struct report_style){.stream = stdout};
}

/* --- fights --- */

/*
 * `story`: what happens, as "WHAT@SECONDS": f a difference is found, and healed where that is allowed; n the same, but
 * somebody else was faster; e the healing failed; h a signal; ? only asked. `healed` has for each f, n, e and ? whether
 * it was allowed.
 */
static const struct {
	const char *name, *story, *allowed;
} fights[] = {
	{"once", "f@10", "y"},
	{"three undone", "f@10 f@11 f@12 f@13", "yyyn"},
	{"and no more", "f@10 f@11 f@12 f@13 f@14 f@100", "yyynnn"},
	{"slowly, within a minute", "f@10 f@30 f@50 f@70", "yyyn"},
	{"too slowly for a fight", "f@0 f@31 f@62 f@93 f@124 f@155", "yyyyyy"},
	{"once an hour", "f@0 f@3600 f@7200 f@10800 f@14400", "yyyyy"},
	{"a minute after healing is no answer to it", "f@0 f@61 f@62 f@63 f@64", "yyyyn"},
	{"a minute to the second", "f@0 f@60 f@60 f@60", "yyyn"},
	{"more was found before healing", "e@1 e@2 e@3 e@4 e@5", "yyyyy"},
	{"somebody else heals", "n@1 n@2 n@3 n@4 n@5", "yyyyy"},
	{"we and somebody else take turns", "f@1 n@2 f@3 n@4 f@5 n@6 f@7", "yyyyynn"},
	{"ten quiet minutes end it", "f@10 f@11 f@12 f@13 ?@600 ?@612.9 ?@613", "yyynnny"},
	{"what is not quiet does not", "f@10 f@11 f@12 f@13 f@500 ?@613 ?@1099 ?@1100", "yyynnnny"},
	{"a signal ends it", "f@10 f@11 f@12 f@13 h@14 ?@14", "yyyny"},
	{"and begins anew", "f@10 f@11 f@12 f@13 h@14 f@15 f@16 f@17 f@18", "yyynyyyn"},
	{"after quiet anew", "f@10 f@11 f@12 f@13 ?@700 f@701 f@702 f@703 f@704", "yyynyyyyn"},
};

static void test_fights(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fights); i++) {
		_cleanup_free_ char *story = mem_string(fights[i].story);
		_cleanup_text_ struct text allowed = {0};
		struct fight fight = {0};
		char *rest = story;

		for (char *step; (step = strsep(&rest, " "));) {
			double now = strtod(step + 2, NULL);
			bool may;

			if (step[0] == 'h') {
				fight_forgive(&fight);
				continue;
			}
			if (step[0] != '?')
				fight_found(&fight, now);
			may = fight_may_heal(&fight, now);
			text_append_char(&allowed, may ? 'y' : 'n');
			if (step[0] == 'f' && may)
				fight_healed(&fight, now);
		}
		if (strcmp(text_string(&allowed), fights[i].allowed) != 0)
			fail_msg("%s: %s gives %s, not %s", fights[i].name, fights[i].story, text_string(&allowed),
				fights[i].allowed);
	}
}

/* --- the policy's files --- */

static void write_file(const char *name, const char *text)
{
	_cleanup_free_ char *path = mem_format("%s/%s", scratch, name);
	_cleanup_free_ char *temporary = mem_format("%s.new", path);
	FILE *stream = fopen(temporary, "we");

	assert_non_null(stream);
	fputs(text, stream);
	fclose(stream);
	assert_int_equal(rename(temporary, path), 0);
}

static void remove_file(const char *name)
{
	_cleanup_free_ char *path = mem_format("%s/%s", scratch, name);

	unlink(path);
}

#define GOOD(source) "environment e { tls = off clients = {" source "} }\ndefault_environment = e\n"

/* Until it has seen what is there now: the files may have been written a moment ago, and are read once more then. */
static void settle(struct follow *follow)
{
	for (unsigned int i = 0; i < 300; i++) {
		follow_look(follow, 0, false);
		if (!follow->unsettled)
			return;
		usleep(10000);
	}
	fail_msg("it does not settle");
}

static void test_follow(void **state)
{
	_cleanup_free_ char *path = mem_format("%s/p.conf", scratch);
	struct options options = {.policy = path, .renderer = &report_text};
	struct follow follow = {0};
	uint64_t first;

	(void)state;
	write_file("p.conf", GOOD("\"10.0.0.0/8\""));
	assert_true(follow_begin(&follow, &options, 0));
	assert_int_equal(follow.environment->handshake_timeout, 10);
	first = follow.fingerprint;
	settle(&follow);
	assert_int_equal(follow_look(&follow, 0, false), FOLLOW_SAME);
	/* A change is taken when it has stayed for a call. */
	write_file("p.conf", GOOD("\"10.1.0.0/16\""));
	assert_int_equal(follow_look(&follow, 1, false), FOLLOW_SAME);
	assert_true(follow.fingerprint == first);
	assert_int_equal(follow_look(&follow, 2, false), FOLLOW_ANOTHER);
	assert_true(follow.fingerprint != first);
	/* One that goes on is not. */
	for (unsigned int i = 0; i < 3; i++) {
		write_file("p.conf", GOOD("\"10.0.0.0/8\""));
		assert_int_equal(follow_look(&follow, 3, false), FOLLOW_SAME);
		assert_true(follow.fingerprint != first);
	}
	assert_int_equal(follow_look(&follow, 4, false), FOLLOW_ANOTHER);
	assert_true(follow.fingerprint == first);
	/* A signal does not wait, and is answered. */
	assert_int_equal(follow_look(&follow, 5, true), FOLLOW_READ);
	write_file("p.conf", GOOD("\"10.2.0.0/16\""));
	assert_int_equal(follow_look(&follow, 5, true), FOLLOW_ANOTHER);
	/* Bad: told once for each mistake, and the last good one stays. */
	first = follow.fingerprint;
	write_file("p.conf", "environment e { tls = maybe }\n");
	follow_look(&follow, 6, false);
	assert_int_equal(follow_look(&follow, 6, false), FOLLOW_BAD);
	assert_non_null(strstr(follow.bad, "p.conf:1: "));
	assert_true(follow.fingerprint == first);
	assert_string_equal(follow.environment->name, "e");
	settle(&follow);
	assert_int_equal(follow_look(&follow, 6, false), FOLLOW_SAME);
	/* Read again after ten seconds, and the same mistake. */
	assert_int_equal(follow_look(&follow, 26, false), FOLLOW_SAME);
	assert_true(follow.read_at == 26);
	remove_file("p.conf");
	follow_look(&follow, 7, false);
	assert_int_equal(follow_look(&follow, 7, false), FOLLOW_BAD);
	assert_non_null(strstr(follow.bad, "No such file"));
	/* It does not meet what it expects of itself. */
	write_file("p.conf",
		GOOD("\"10.9.0.0/16\"") "expect { from = \"10.8.0.1\" to_port = 6379 speaks = plaintext verdict = "
					"allow }\n");
	assert_int_equal(follow_look(&follow, 8, true), FOLLOW_BAD);
	assert_non_null(strstr(follow.bad, "p.conf:3: expected verdict = allow"));
	assert_true(follow.fingerprint == first);
	/* The environment that is watched is gone. */
	write_file("p.conf", "environment other { tls = off clients = {} }\n");
	assert_int_equal(follow_look(&follow, 8, true), FOLLOW_BAD);
	assert_true(follow.fingerprint == first);
	/* It is good again, by a file of which nobody knew: after ten seconds. */
	write_file("p.conf", "include(\"more.conf\")\ndefault_environment = e\n");
	assert_int_equal(follow_look(&follow, 9, true), FOLLOW_BAD);
	settle(&follow);
	write_file("more.conf", "environment e { tls = off clients = {\"10.2.0.0/16\"} }\n");
	follow.read_at = 9;
	assert_int_equal(follow_look(&follow, 18, false), FOLLOW_SAME);
	assert_int_equal(follow_look(&follow, 19, false), FOLLOW_READ);
	assert_null(follow.bad);
	assert_true(follow.fingerprint == first);
	settle(&follow);
	/* And that file is followed now. */
	write_file("more.conf", "environment e { tls = off clients = {\"10.3.0.0/16\"} }\n");
	follow_look(&follow, 20, false);
	assert_int_equal(follow_look(&follow, 20, false), FOLLOW_ANOTHER);
	/* Also when it goes, and comes back. */
	first = follow.fingerprint;
	settle(&follow);
	remove_file("more.conf");
	follow_look(&follow, 21, false);
	assert_int_equal(follow_look(&follow, 21, false), FOLLOW_BAD);
	assert_non_null(strstr(follow.bad, "more.conf"));
	write_file("more.conf", "environment e { tls = off clients = {\"10.3.0.0/16\"} }\n");
	follow_look(&follow, 22, false);
	assert_int_equal(follow_look(&follow, 22, false), FOLLOW_READ);
	assert_true(follow.fingerprint == first);
	follow_done(&follow);
	remove_file("p.conf");
	remove_file("more.conf");
}

/* --- datagrams --- */

/* A service: hears one datagram. */
static int service(const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(name) + (name[0] == '/'));
	int descriptor = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	memcpy(address.sun_path, name, strlen(name));
	if (name[0] == '@')
		address.sun_path[0] = '\0';
	assert_int_equal(bind(descriptor, (struct sockaddr *)&address, size), 0);
	return descriptor;
}

static void test_notify(void **state)
{
	_cleanup_free_ char *path = mem_format("%s/notify", scratch);
	_cleanup_free_ char *abstract = mem_format("@dflyguard-test-%d", getpid());
	const char *names[] = {path, abstract};
	char buffer[256];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		int descriptor = service(names[i]);

		assert_int_equal(notify_send(names[i], "READY=1\nSTATUS=x"), 0);
		assert_int_equal(recv(descriptor, buffer, sizeof(buffer), 0), 16);
		assert_memory_equal(buffer, "READY=1\nSTATUS=x", 16);
		/* A service that does not read must not hold us up. */
		for (unsigned int n = 0; n < 10000; n++)
			if (notify_send(names[i], "WATCHDOG=1") < 0)
				break;
		assert_int_equal(notify_send(names[i], "WATCHDOG=1"), -EAGAIN);
		close(descriptor);
	}
	assert_int_equal(notify_send(path, "READY=1"), -ECONNREFUSED);
	unlink(path);
	assert_int_equal(notify_send(path, "READY=1"), -ENOENT);
	assert_int_equal(notify_send(NULL, "READY=1"), 0);
	assert_int_equal(notify_send("", "READY=1"), 0);
	assert_int_equal(notify_send("relative", "READY=1"), -EAFNOSUPPORT);
	assert_int_equal(notify_send("vsock:2:1", "READY=1"), -EAFNOSUPPORT);
	assert_int_equal(notify_send("/", "READY=1"), -ENAMETOOLONG);
	memset(buffer, 'x', sizeof(buffer) - 1);
	buffer[0] = '/';
	buffer[sizeof(buffer) - 1] = '\0';
	assert_int_equal(notify_send(buffer, "READY=1"), -ENAMETOOLONG);
}

static void test_journal(void **state)
{
	_cleanup_free_ char *path = mem_format("%s/journal", scratch);
	_cleanup_free_ char *huge = mem_zero(1, 100001);
	static const char wanted[] =
		"MESSAGE=one line\nDFLYGUARD_OBSERVED\n\x07\0\0\0\0\0\0\0a\nb\n\nc=\nDFLYGUARD_POLICY=p.conf:7\n";
	const struct journal_field fields[] = {{"MESSAGE", "one line"}, {"NOTHING", NULL}, {"EMPTY", ""},
		{"DFLYGUARD_OBSERVED", "a\nb\n\nc="}, {"DFLYGUARD_POLICY", "p.conf:7"}};
	char buffer[10000];
	int descriptor = service(path);
	struct stat status;

	(void)state;
	assert_int_equal(journal_send(path, fields, ARRAY_SIZE(fields)), 0);
	assert_int_equal(recv(descriptor, buffer, sizeof(buffer), 0), sizeof(wanted) - 1);
	assert_memory_equal(buffer, wanted, sizeof(wanted) - 1);
	/* Whatever the kernel holds, a record is not too long to be sent. */
	memset(huge, 'x', 100000);
	assert_int_equal(journal_send(path, &(struct journal_field){"MESSAGE", huge}, 1), 0);
	assert_int_equal(recv(descriptor, buffer, sizeof(buffer), 0), 8 + 4096 + 1);
	close(descriptor);
	assert_int_equal(journal_send(path, fields, 1), -ECONNREFUSED);
	unlink(path);

	descriptor = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(fstat(descriptor, &status), 0);
	_cleanup_free_ char *stream =
		mem_format("%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino);
	_cleanup_free_ char *other =
		mem_format("%llu:%llu", (unsigned long long)status.st_dev, (unsigned long long)status.st_ino + 1);

	assert_true(journal_is(descriptor, stream));
	assert_false(journal_is(descriptor, other));
	assert_false(journal_is(descriptor, NULL));
	assert_false(journal_is(descriptor, "x"));
	close(descriptor);
}

/* They are searched for, so they stay; and none is another's. */
static void test_message_ids(void **state)
{
	_cleanup_free_ char *manual = testing_read("docs/dflyguard.8", NULL);

	(void)state;
	assert_non_null(manual);
	for (unsigned int i = 0; i < EVENT_COUNT; i++) {
		const char *id = event_message_id((enum event)i);

		assert_int_equal(strlen(id), 32);
		assert_int_equal(strspn(id, "0123456789abcdef"), 32);
		if (!strstr(manual, id))
			fail_msg("docs/dflyguard.8 does not name %s, of %s", id, event_name((enum event)i));
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(id, event_message_id((enum event)k));
	}
}

/* --- metrics --- */

#define WEIRD "a\"b\\c\nd\377e\303\244{}"

/* gcc 12 takes what open_memstream() allocates for the variable that points to it, if it sees both. */
__attribute__((noinline)) static char *metrics_text(const struct report_metrics *metrics)
{
	char *text = NULL;
	size_t length;
	FILE *stream = open_memstream(&text, &length);

	report_metrics(stream, metrics);
	fclose(stream);
	return text;
}

static char *without_version(const char *text)
{
	static const char version[] = "version=\"" DFLYGUARD_VERSION "\"";
	const char *at = strstr(text, version);

	assert_non_null(at);
	return mem_format("%.*sversion=\"VERSION\"%s", (int)(at - text), text, at + strlen(version));
}

static void test_metrics(void **state)
{
	struct compiled compiled = compile_golden("everything");
	const size_t drift[] = {[CHANGE_ADD] = 1, [CHANGE_REMOVE] = 22, [CHANGE_CHANGE] = 333, [CHANGE_MOVE] = 4444};
	const size_t listeners[LISTENER_VERDICT_COUNT] = {[LISTENER_ALLOWED] = 2, [LISTENER_WILDCARD] = 1};
	struct findings findings = {0};
	struct report_metrics metrics = {.environment = WEIRD,
		.policy_path = "/etc/" WEIRD,
		.fingerprint = 0x12,
		.drift = drift,
		.findings = &findings,
		.listeners = listeners,
		.observed = compiled.ruleset,
		.looked = GOLDEN_SINCE + 9,
		.looked_fully = GOLDEN_SINCE,
		.watch = true,
		.heals = UINT64_MAX};

	(void)state;
	audit_watch(&(struct watch_facts){.policy_path = "p", .policy_bad = "x", .heals = true, .handshake = true},
		&findings);
	compiled.ruleset->counters[0].packets = UINT64_MAX;
	compiled.ruleset->counters[1].bytes = 7;
	ruleset_add_counter(compiled.ruleset, "refused_" WEIRD);
	ruleset_add_counter(compiled.ruleset, "mine");
	_cleanup_free_ char *all = metrics_text(&metrics);
	_cleanup_free_ char *all_golden = without_version(all);

	golden_check("tests/golden/report/metrics.prom", all_golden);
	/* What is not known is left out, and does not conform. */
	metrics =
		(struct report_metrics){.environment = "e", .policy_path = "p.conf", .findings = &(struct findings){0}};
	_cleanup_free_ char *least = metrics_text(&metrics);
	_cleanup_free_ char *least_golden = without_version(least);

	golden_check("tests/golden/report/metrics-unknown.prom", least_golden);
	findings_done(&findings);
	compiled_done(&compiled);
}

static void test_metrics_file(void **state)
{
	_cleanup_free_ char *path = mem_format("%s/m.prom", scratch);
	_cleanup_free_ char *temporary = mem_format("%s.new", path);
	_cleanup_free_ char *target = mem_format("%s/target", scratch);
	struct report_metrics metrics = {.environment = "e", .policy_path = "p.conf", .conforming = true};
	struct stat status;
	struct err err = {0};

	(void)state;
	/* A link that somebody put there is not followed. */
	assert_int_equal(symlink(target, temporary), 0);
	assert_int_equal(metrics_write(path, &metrics, &err), 0);
	assert_int_equal(access(target, F_OK), -1);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	assert_int_equal(status.st_mode & 0777, 0644);
	assert_int_equal(access(temporary, F_OK), -1);
	_cleanup_free_ char *text = testing_read(path, NULL);

	assert_non_null(strstr(text, "\ndflyguard_conforming 1\n"));
	unlink(path);
	/* A folder is in the way: nothing is left behind. */
	assert_int_equal(mkdir(path, 0700), 0);
	assert_true(metrics_write(path, &metrics, &err) < 0);
	assert_non_null(strstr(err.message, "cannot write the metrics to "));
	assert_int_equal(access(temporary, F_OK), -1);
	rmdir(path);
	assert_int_equal(metrics_write("/dev/full/x", &metrics, &err), -ENOTDIR);
}

static int make_scratch(void **state)
{
	(void)state;
	umask(022);
	return mkdtemp(scratch) ? 0 : -1;
}

static int remove_scratch(void **state)
{
	(void)state;
	return rmdir(scratch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fights),
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_message_ids),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_metrics_file),
	};

	return cmocka_run_group_tests_name("watch", tests, make_scratch, remove_scratch);
}
