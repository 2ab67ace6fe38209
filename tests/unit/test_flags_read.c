/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Flagfiles and units of systemd in folders that the tests make, with what can lie in wait there. */

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "flags.h"

static char root[] = "/tmp/dflyguard-flags-XXXXXX";

static void make_parents(const char *path)
{
	_cleanup_free_ char *copy = mem_string(path);

	for (char *slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, 0755) < 0)
			assert_int_equal(errno, EEXIST);
		*slash = '/';
	}
}

static char *below(const char *path)
{
	char *whole = mem_format("%s%s", root, path);

	make_parents(whole);
	return whole;
}

static void put(const char *path, const char *text)
{
	_cleanup_free_ char *whole = below(path);
	_cleanup_file_ FILE *stream = fopen(whole, "we");

	assert_non_null(stream);
	assert_int_equal(fwrite(text, 1, strlen(text), stream), strlen(text));
}

static void put_link(const char *path, const char *target)
{
	_cleanup_free_ char *whole = below(path);

	assert_int_equal(symlink(target, whole), 0);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	(void)status;
	(void)type;
	(void)walk;
	return remove(path);
}

static int set_up(void **state)
{
	(void)state;
	memcpy(root + strlen(root) - 6, "XXXXXX", 6);
	return mkdtemp(root) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	return nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* --- flagfiles --- */

static struct intention *read_file(const char *path)
{
	struct intention *intention;

	intention_read_flagfile(root, path, &intention);
	return intention;
}

static void expect_bind(const char *path, const char *bind)
{
	struct intention *intention = read_file(path);

	if (intention->refusal || intention->unknown)
		fail_msg("%s: %s", path, intention->refusal ? intention->refusal : intention->unknown);
	assert_string_equal(intention_text(intention, "bind"), bind);
	intention_free(intention);
}

static void expect_unknown(const char *path, const char *why)
{
	struct intention *intention = read_file(path);

	if (!intention->unknown || !strstr(intention->unknown, why))
		fail_msg("%s: %s", path, intention->unknown ? intention->unknown : "known");
	assert_null(intention->refusal);
	intention_free(intention);
}

static void expect_refusal(const char *path, const char *why)
{
	struct intention *intention = read_file(path);

	if (!intention->refusal || !strstr(intention->refusal, why))
		fail_msg("%s: %s", path, intention->refusal ? intention->refusal : "starts");
	intention_free(intention);
}

static void test_places(void **state)
{
	_cleanup_free_ char *fifo = below("/etc/fifo");
	_cleanup_free_ char *large = below("/etc/large");
	_cleanup_free_ char *hidden = below("/etc/file/x");
	char *outside = mem_format("/..%s/etc/f", root);

	(void)hidden;
	(void)state;
	rmdir(hidden);
	put("/etc/f", "--bind=10.0.0.5\n");
	put("/etc/empty", "");
	put_link("/etc/absolute", "/etc/f");
	put_link("/etc/relative", "../etc/f");
	put_link("/etc/out", "../../../../../../etc/passwd");
	put_link("/etc/loop", "loop");
	put_link("/etc/dangling", "/etc/nowhere");
	put("/etc/passwd", "--bind=10.0.0.6\n");
	put_link("/proc/self/fd/0", "/etc/f");
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_int_equal(truncate(large, 0), -1);
	put("/etc/large", "#");
	assert_int_equal(truncate(large, FLAGS_MAX_TEXT + 1), 0);

	expect_bind("/etc/f", "10.0.0.5");
	expect_bind("etc/f", "10.0.0.5");
	/* Links lead to where the process sees them, and ".." of its root is its root. */
	expect_bind("/etc/absolute", "10.0.0.5");
	expect_bind("/etc/relative", "10.0.0.5");
	expect_bind("/etc/out", "10.0.0.6");
	expect_bind("/../etc/f", "10.0.0.5");
	expect_bind("/etc/empty", "");
	expect_bind("/etc", "");
	expect_unknown("/etc/fifo", "no regular file");
	expect_unknown("/etc/loop", "too many links");
	expect_unknown("/etc/large", "larger than");
	expect_refusal("/etc/nowhere", "Can't open flagfile '/etc/nowhere'");
	expect_refusal("/etc/dangling", "Can't open flagfile");
	expect_refusal("/etc/f/x", "Can't open flagfile");
	expect_refusal(outside, "Can't open flagfile");
	free(outside);
}

static void test_status(void **state)
{
	_cleanup_free_ char *path = below("/etc/f");
	struct intention *intention;

	(void)state;
	put("/etc/f", "--flagfile=/etc\n--flagfile=/etc/g\n");
	put("/etc/g", "--requirepass=x\n");
	assert_int_equal(chmod(path, 0640), 0);
	intention = read_file("/etc/f");
	assert_null(intention->refusal);
	assert_int_equal(intention->file_count, 2);
	assert_string_equal(intention->files[1], "/etc/g");
	assert_non_null(intention->file_status);
	assert_int_equal(intention->file_status[0].mode, 0640);
	assert_int_equal(intention->file_status[0].uid, getuid());
	assert_int_equal(intention->file_status[1].mode & 0400, 0400);
	intention_free(intention);
	/* A root that is not there says nothing about the file. */
	intention_read_flagfile("/nowhere/at/all", "/etc/f", &intention);
	assert_null(intention->refusal);
	assert_non_null(intention->unknown);
	intention_free(intention);
}

/* Relative paths, as /proc/PID/cwd has them: below the server's own folder. */
static void test_process(void **state)
{
	_cleanup_free_ char *folder = below("/work/x");
	const char *argument = "--flagfile=f";
	struct flags_input input = {.arguments = (char *const *)&argument, .argument_count = 1};
	struct intention *intention;
	char before[4096];

	(void)state;
	put("/work/f", "--bind=10.0.0.7\n");
	put_link("/work/absolute", "/etc/passwd");
	*strrchr(folder, '/') = '\0';
	assert_non_null(getcwd(before, sizeof(before)));
	assert_int_equal(chdir(folder), 0);
	intention_read_process(&input, (uint32_t)getpid(), &intention);
	assert_null(intention->unknown);
	assert_string_equal(intention_text(intention, "bind"), "10.0.0.7");
	intention_free(intention);
	argument = "--flagfile=../work/f";
	intention_read_process(&input, (uint32_t)getpid(), &intention);
	assert_non_null(strstr(intention->unknown, "leads out of"));
	intention_free(intention);
	argument = "--flagfile=absolute";
	intention_read_process(&input, (uint32_t)getpid(), &intention);
	assert_non_null(strstr(intention->unknown, "leads out of"));
	intention_free(intention);
	argument = "--flagfile=/proc/self/fd/0";
	intention_read_process(&input, (uint32_t)getpid(), &intention);
	assert_non_null(intention->unknown);
	assert_null(intention->refusal);
	intention_free(intention);
	assert_int_equal(chdir(before), 0);
	/* A process that is gone. */
	argument = "--flagfile=/etc/passwd";
	intention_read_process(&input, 0x7fffffff, &intention);
	assert_non_null(intention->unknown);
	assert_null(intention->refusal);
	intention_free(intention);
}

/* --- units --- */

#define E		 "/etc/systemd/system/"
#define L		 "/usr/lib/systemd/system/"
#define START(arguments) "[Service]\nExecStart=/usr/bin/dragonfly " arguments "\n"

struct unit_row {
	const char *what;
	const char *name; /* NULL: dragonfly.service */
	struct {
		const char *path;
		const char *text; /* NULL: a link to /dev/null */
	} files[4];
	const char *arguments;	 /* joined with '|' */
	const char *environment; /* the same; NULL: not asked */
	const char *unknown;	 /* holds this */
	const char *refusal;
};

static const struct unit_row units[] = {
	{"as it is packaged", NULL,
		{{L "dragonfly.service",
			"[Unit]\nDescription=x\n[Service]\nType=simple\nEnvironmentFile=-/etc/dragonfly/environment\n"
			"ExecStart=/usr/bin/dragonfly "
			"--flagfile=/etc/dragonfly/dragonfly.conf\n[Install]\nExecStart=x\n"}},
		"--flagfile=/etc/dragonfly/dragonfly.conf", "INVOCATION_ID=", NULL, NULL},
	{"the administrator's hides the package's", NULL,
		{{L "dragonfly.service", START("--port=1")}, {E "dragonfly.service", START("--port=2")}}, "--port=2",
		NULL, NULL, NULL},
	{"a drop-in", NULL,
		{{L "dragonfly.service", START("--port=1")},
			{E "dragonfly.service.d/x.conf",
				"[Service]\nExecStart=\nExecStart=/usr/bin/dragonfly --port=3\n"}},
		"--port=3", NULL, NULL, NULL},
	{"the later drop-in counts, and the stronger of the same name", NULL,
		{{L "dragonfly.service", START("--port=1")},
			{L "dragonfly.service.d/b.conf",
				"[Service]\nExecStart=\nExecStart=/usr/bin/dragonfly --port=3\n"},
			{E "dragonfly.service.d/a.conf",
				"[Service]\nExecStart=\nExecStart=/usr/bin/dragonfly --port=4\n"},
			{"/run/systemd/system/dragonfly.service.d/a.conf", "[Service]\nExecStart=\n"}},
		"--port=3", NULL, NULL, NULL},
	{"names decide, not folders", NULL,
		{{L "dragonfly.service", START("--port=1")},
			{L "dragonfly.service.d/a.conf",
				"[Service]\nExecStart=\nExecStart=/usr/bin/dragonfly --port=3\n"},
			{E "dragonfly.service.d/b.conf",
				"[Service]\nExecStart=\nExecStart=/usr/bin/dragonfly --port=4\n"}},
		"--port=4", NULL, NULL, NULL},
	{"letters that are none", NULL,
		{{L "dragonfly.service", "[Service]\nEnvironmentFile=/e\033c\377\nExecStart=/usr/bin/dragonfly\n"}},
		NULL, NULL, NULL, "EnvironmentFile=/e\\x1bc\\xff is missing"},
	{"a drop-in that is masked", NULL,
		{{L "dragonfly.service", START("--port=1")},
			{L "dragonfly.service.d/a.conf", "[Service]\nExecStart=\n"},
			{E "dragonfly.service.d/a.conf", NULL}},
		"--port=1", NULL, NULL, NULL},
	{"what is no .conf does not count", NULL,
		{{L "dragonfly.service", START("--port=1")},
			{L "dragonfly.service.d/a.conf~", "[Service]\nExecStart=\n"}},
		"--port=1", NULL, NULL, NULL},
	{"a drop-in for all services", NULL,
		{{L "dragonfly.service", START("")}, {E "service.d/a.conf", "[Service]\nEnvironment=DFLY_bind=::1\n"}},
		"", "DFLY_bind=::1|INVOCATION_ID=", NULL, NULL},
	{"a drop-in for names that begin so", "dragonfly-main.service",
		{{L "dragonfly-main.service", START("")},
			{E "dragonfly-.service.d/a.conf", "[Service]\nEnvironment=A=1\n"}},
		"", "A=1|INVOCATION_ID=", NULL, NULL},
	{"ExecStart= twice", NULL, {{L "dragonfly.service", START("--port=1") START("--port=2")}}, NULL, NULL,
		"several ExecStart=", NULL},
	{"ExecStart= taken away", NULL, {{L "dragonfly.service", START("--port=1") "ExecStart=\n"}}, NULL, NULL, NULL,
		"no ExecStart="},
	{"two commands", NULL, {{L "dragonfly.service", START("--port=1 ; /bin/true")}}, NULL, NULL, "several commands",
		NULL},
	{"a semicolon of its own", NULL, {{L "dragonfly.service", START("--requirepass \\; --dir=a;b")}},
		"--requirepass|;|--dir=a;b", NULL, NULL, NULL},
	{"quotes and escapes", NULL,
		{{L "dragonfly.service",
			START("--requirepass=\"a b\" '--dir=x y' --bind=\\x31\\0560.0.1 a\\sb '\\t' \"\"")}},
		"--requirepass=a b|--dir=x y|--bind=1.0.0.1|a b|\t|", NULL, NULL, NULL},
	{"a quote that does not end", NULL, {{L "dragonfly.service", START("'--port=1")}}, NULL, NULL, "quotes", NULL},
	{"an escape that is none", NULL, {{L "dragonfly.service", START("--dir=\\q")}}, NULL, NULL, "escapes", NULL},
	{"lines that go on", NULL,
		{{L "dragonfly.service", "[Service]\nExecStart=/usr/bin/dragonfly \\\n  --port=1 \\\n# a comment\n  "
					 "--bind=::1\nEnvironment=A=1\n"}},
		"--port=1|--bind=::1", "A=1|INVOCATION_ID=", NULL, NULL},
	{"DOS lines", NULL,
		{{L "dragonfly.service", "[Service]\r\nExecStart=/usr/bin/dragonfly --port=1 \\\r\n --bind=::1\r\n"}},
		"--port=1|--bind=::1", NULL, NULL, NULL},
	{"blanks around the sign", NULL,
		{{L "dragonfly.service", "[Service]\n  ExecStart = /usr/bin/dragonfly  --port=1  \n"}}, "--port=1",
		NULL, NULL, NULL},
	{"comments", NULL, {{L "dragonfly.service", START("--port=1") "# ExecStart=\n;ExecStart=\n"}}, "--port=1", NULL,
		NULL, NULL},
	{"prefixes", NULL, {{L "dragonfly.service", "[Service]\nExecStart=-+/usr/bin/dragonfly --port=1\n"}},
		"--port=1", NULL, NULL, NULL},
	{"a name of its own", NULL,
		{{L "dragonfly.service", "[Service]\nExecStart=@/usr/bin/dragonfly redis --port=1\n"}}, "--port=1",
		NULL, NULL, NULL},
	{"no variables", NULL,
		{{L "dragonfly.service", "[Service]\nExecStart=:/usr/bin/dragonfly --requirepass=$A${B}\n"}},
		"--requirepass=$A${B}", NULL, NULL, NULL},
	{"variables", NULL,
		{{L "dragonfly.service", "[Service]\nEnvironment=A=1 \"B=x y\" C=\nExecStart=/usr/bin/dragonfly "
					 "--port=${A} --dir=${B}$B $B $C $$A ${C}\n"}},
		"--port=1|--dir=x y$B|x|y|$A|", "A=1|B=x y|C=|INVOCATION_ID=", NULL, NULL},
	{"a variable that is not set", NULL, {{L "dragonfly.service", START("--port=${PORT}")}}, NULL, NULL,
		"variable PORT", NULL},
	{"a variable with a default", NULL, {{L "dragonfly.service", START("--port=${PORT:-1}")}}, NULL, NULL,
		"variable", NULL},
	{"a file of variables", NULL,
		{{L "dragonfly.service", "[Service]\nEnvironment=A=1 "
					 "B=2\nEnvironmentFile=/etc/e\nExecStart=/usr/bin/dragonfly --port=${A}\n"},
			{"/etc/e", "# c\n; c\nA=7 # x\nDFLY_requirepass='a b'\nD=\"x \\\"y\\\" \\$z\"  \nE=a\\\nb\nno "
				   "sign\n9=x\n F = g \n"}},
		"--port=7 # x", "A=7 # x|B=2|DFLY_requirepass=a b|D=x \"y\" $z|E=ab|F=g|INVOCATION_ID=", NULL, NULL},
	{"a file of variables that is missing", NULL,
		{{L "dragonfly.service", "[Service]\nEnvironmentFile=/etc/e\nExecStart=/usr/bin/dragonfly\n"}}, NULL,
		NULL, NULL, "EnvironmentFile=/etc/e is missing"},
	{"files of variables by a pattern", NULL,
		{{L "dragonfly.service", "[Service]\nEnvironmentFile=-/etc/e/*.env\nExecStart=/usr/bin/dragonfly\n"}},
		NULL, NULL, "one file", NULL},
	{"variables taken away", NULL,
		{{L "dragonfly.service", "[Service]\nEnvironment=A=1 B=2\nEnvironment=\nEnvironment=C=3 D=4 "
					 "E=5\nUnsetEnvironment=D E=6 INVOCATION_ID\n"
					 "ExecStart=/usr/bin/dragonfly\n"}},
		"", "C=3|E=5", NULL, NULL},
	{"variables from systemd itself", NULL, {{L "dragonfly.service", START("") "PassEnvironment=DFLY_bind\n"}},
		NULL, NULL, "PassEnvironment=", NULL},
	{"specifiers", "dragonfly@a\\x2db-6380.service",
		{{L "dragonfly@.service", START("--port=%i --dir=/d/%I --pidfile=%t/%p --user=%n --log_dir=%L/%N%%")}},
		"--port=a\\x2db-6380|--dir=/d/a-b/6380|--pidfile=/run/dragonfly|--user=dragonfly@a\\x2db-6380.service|"
		"--log_dir=/var/log/dragonfly@a\\x2db-6380%",
		NULL, NULL, NULL},
	{"an instance and its own drop-in", "dragonfly@6380.service",
		{{L "dragonfly@.service", START("--port=%i")},
			{E "dragonfly@6380.service.d/x.conf", "[Service]\nEnvironment=A=%i\n"},
			{E "dragonfly@.service.d/y.conf", "[Service]\nEnvironment=B=%p\n"}},
		"--port=6380", "A=6380|B=dragonfly|INVOCATION_ID=", NULL, NULL},
	{"a specifier that is not known", NULL, {{L "dragonfly.service", START("--dir=%H")}}, NULL, NULL,
		"specifier %H", NULL},
	{"a percent sign", NULL, {{L "dragonfly.service", START("--dir=%")}}, NULL, NULL, "'%' stands alone", NULL},
	{"a shell", NULL, {{L "dragonfly.service", "[Service]\nExecStart=/bin/sh -c 'dragonfly --port=1'\n"}}, NULL,
		NULL, "runs /bin/sh", NULL},
	{"a container", NULL, {{L "dragonfly.service", "[Service]\nExecStart=/usr/bin/docker run dragonfly\n"}}, NULL,
		NULL, "runs /usr/bin/docker", NULL},
	{"other roots", NULL, {{L "dragonfly.service", START("") "RootDirectory=/srv\n"}}, NULL, NULL,
		"RootDirectory=", NULL},
	{"masked", NULL, {{L "dragonfly.service", START("")}, {E "dragonfly.service", NULL}}, NULL, NULL, NULL,
		"masks it"},
	{"masked by an empty file", NULL, {{L "dragonfly.service", START("")}, {E "dragonfly.service", ""}}, NULL, NULL,
		NULL, "masks it"},
	{"none", NULL, {{L "dragonfly2.service", START("")}}, NULL, NULL, "there is no unit dragonfly.service", NULL},
	{"a name that leads elsewhere", "../../dragonfly.service", {{L "dragonfly.service", START("")}}, NULL, NULL,
		"not the name of a service", NULL},
	{"no service", "dragonfly.timer", {{L "dragonfly.timer", START("")}}, NULL, NULL, "not the name of a service",
		NULL},
};

static char *join(char **words, size_t count)
{
	struct text text = {0};

	for (size_t i = 0; i < count; i++)
		text_printf(&text, "%s%s", i ? "|" : "", words[i]);
	return text_take(&text);
}

static void check_unit(const struct unit_row *row)
{
	const char *name = row->name ? row->name : "dragonfly.service";
	_cleanup_free_ char *arguments = NULL;
	_cleanup_free_ char *environment = NULL;
	struct server_unit *unit;
	struct intention *intention;

	for (size_t i = 0; i < ARRAY_SIZE(row->files) && row->files[i].path; i++)
		if (row->files[i].text)
			put(row->files[i].path, row->files[i].text);
		else
			put_link(row->files[i].path, "/dev/null");
	unit_read(root, name, &unit);
	arguments = join(unit->arguments, unit->argument_count);
	environment = join(unit->environment, unit->environment_count);
	if (!row->unknown != !unit->unknown || (row->unknown && !strstr(unit->unknown, row->unknown)))
		fail_msg("%s: unknown: %s", row->what, unit->unknown ? unit->unknown : "nothing");
	if (!row->refusal != !unit->refusal || (row->refusal && !strstr(unit->refusal, row->refusal)))
		fail_msg("%s: refuses: %s", row->what, unit->refusal ? unit->refusal : "nothing");
	if (row->arguments && strcmp(row->arguments, arguments) != 0)
		fail_msg("%s: arguments: %s", row->what, arguments);
	if (row->environment && strcmp(row->environment, environment) != 0)
		fail_msg("%s: environment: %s", row->what, environment);
	intention_read_unit(root, unit, &intention);
	if (row->unknown)
		assert_non_null(intention->unknown);
	if (row->refusal)
		assert_string_equal(intention->refusal, unit->refusal);
	intention_free(intention);
	unit_free(unit);
}

static void test_units(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(units); i++) {
		assert_int_equal(set_up(state), 0);
		check_unit(&units[i]);
		assert_int_equal(tear_down(state), 0);
	}
}

/* From the unit to its sockets. */
static void test_unit_intention(void **state)
{
	struct intended_listener listeners[INTENDED_MAXIMUM];
	struct server_unit *unit;
	struct intention *intention;

	(void)state;
	put(L "dragonfly.service",
		"[Service]\nWorkingDirectory=/var/lib/%p\nExecStart=/usr/bin/dragonfly --flagfile=d.conf\n");
	put("/var/lib/dragonfly/d.conf", "--admin_port=9999\n");
	unit_read(root, "dragonfly.service", &unit);
	intention_read_unit(root, unit, &intention);
	assert_null(intention->refusal);
	assert_null(intention->unknown);
	assert_int_equal(intention_listeners(intention, listeners), 2);
	assert_int_equal(listeners[0].kind, INTENDED_ADMIN);
	assert_true(listeners[0].wildcard);
	/* systemd sets INVOCATION_ID. */
	assert_true(listeners[1].protected_mode);
	intention_free(intention);
	unit_free(unit);
}

static void test_alias(void **state)
{
	struct server_unit *unit;

	(void)state;
	put(L "dragonfly.service", START("--port=1"));
	put_link(E "redis.service", L "dragonfly.service");
	unit_read(root, "redis.service", &unit);
	assert_non_null(strstr(unit->unknown, "another name"));
	unit_free(unit);
	put_link(E "dragonfly.service", "../../../usr/lib/systemd/system/dragonfly.service");
	unit_read(root, "dragonfly.service", &unit);
	assert_null(unit->unknown);
	assert_string_equal(unit->files[0], E "dragonfly.service");
	unit_free(unit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_places, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_status, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_process, set_up, tear_down),
		cmocka_unit_test(test_units),
		cmocka_unit_test_setup_teardown(test_unit_intention, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_alias, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
