/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "policy.h"
#include "ruleset.h"

/*
 * The golden directory is copied to a private one, since a checkout may be writable by a group, which the policy room
 * refuses; messages then name files relative to it. DFLYGUARD_UPDATE_GOLDEN=1 writes what comes out to the original.
 */
static const char *golden = "tests/golden/policy";
static char golden_path[PATH_MAX];
static char scratch[] = "/tmp/dflyguard-test-policy.XXXXXX";

/* --- files --- */

static void write_file(const char *path, const char *bytes, size_t length)
{
	_cleanup_close_ int descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(descriptor >= 0);
	while (length > 0) {
		ssize_t written = write(descriptor, bytes, length);

		assert_true(written > 0);
		bytes += written;
		length -= (size_t)written;
	}
	assert_int_equal(fchmod(descriptor, 0644), 0);
}

static void write_text(const char *path, const char *text)
{
	write_file(path, text, strlen(text));
}

static char *read_file(const char *path, size_t *ret_length)
{
	_cleanup_file_ FILE *stream = fopen(path, "re");
	size_t capacity = 0;
	size_t length = 0;
	char *bytes = NULL;

	if (!stream)
		return NULL;
	do {
		capacity += 65536;
		bytes = mem_resize(bytes, capacity + 1, 1);
		length += fread(bytes + length, 1, capacity - length, stream);
	} while (length == capacity);
	bytes[length] = '\0';
	*ret_length = length;
	return bytes;
}

static void copy_tree(const char *from, const char *to)
{
	DIR *directory = opendir(from);
	const struct dirent *entry;

	if (!directory)
		fail_msg("no directory %s: run from the top of the repository", from);
	if (strcmp(to, ".") != 0)
		assert_int_equal(mkdir(to, 0755), 0);
	while ((entry = readdir(directory))) {
		_cleanup_free_ char *source = mem_format("%s/%s", from, entry->d_name);
		_cleanup_free_ char *target = mem_format("%s/%s", to, entry->d_name);
		_cleanup_free_ char *bytes = NULL;
		struct stat status;
		size_t length;

		if (entry->d_name[0] == '.')
			continue;
		assert_int_equal(stat(source, &status), 0);
		if (S_ISDIR(status.st_mode)) {
			copy_tree(source, target);
			continue;
		}
		bytes = read_file(source, &length);
		write_file(target, bytes, length);
	}
	closedir(directory);
}

static void remove_tree(const char *path)
{
	DIR *directory = opendir(path);
	const struct dirent *entry;

	while (directory && (entry = readdir(directory))) {
		_cleanup_free_ char *inner = mem_format("%s/%s", path, entry->d_name);

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlink(inner) < 0)
			remove_tree(inner);
	}
	if (directory)
		closedir(directory);
	rmdir(path);
}

static int group_setup(void **state)
{
	(void)state;
	if (!realpath(golden, golden_path) || !mkdtemp(scratch) || chdir(scratch) < 0)
		return -1;
	copy_tree(golden_path, "golden");
	_cleanup_free_ char *policies = mem_format("%s/../../../policies", golden_path);

	copy_tree(policies, "policies");
	return chdir("golden");
}

static int group_teardown(void **state)
{
	(void)state;
	if (chdir("/") == 0)
		remove_tree(scratch);
	return 0;
}

/* --- a policy as text --- */

static void dump_place(struct text *text, const struct policy *policy, uint32_t origin)
{
	struct srcloc place = policy_place(policy, origin);

	if (place.file)
		text_printf(text, " (%s:%u)", place.file, place.line);
}

static void dump_intervals(struct text *text, const struct policy *policy, const struct intervals *list)
{
	char buffer[INTERVAL_TEXT];

	for (size_t i = 0; i < list->count; i++) {
		struct interval item = intervals_get(list, i);

		text_printf(text, "    %s", interval_format(list->width, item, buffer));
		dump_place(text, policy, item.origin);
		text_append(text, "\n");
	}
}

static void dump_list(struct text *text, const struct policy *policy, const char *name, const struct source_list *list)
{
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};

	if (!list->given) {
		text_printf(text, "  %s: not given\n", name);
		return;
	}
	text_printf(text, "  %s:", name);
	dump_place(text, policy, list->origin);
	text_append(text, "\n");
	dump_intervals(text, policy, &list->v4);
	dump_intervals(text, policy, &list->v6);
	for (size_t i = 0; i < list->reference_count; i++) {
		text_printf(text, "    %s", list->references[i].name);
		dump_place(text, policy, list->references[i].origin);
		assert_string_equal(list->references[i].name, policy->networks[list->references[i].network].name);
		text_append(text, "\n");
	}
	policy_resolve(policy, list, &v4, &v6, NULL, NULL);
	text_printf(text, "  %s, resolved:\n", name);
	dump_intervals(text, policy, &v4);
	dump_intervals(text, policy, &v6);
	intervals_done(&v4);
	intervals_done(&v6);
}

static void dump_word(
	struct text *text, const struct policy *policy, const char *name, const char *value, uint32_t origin)
{
	text_printf(text, "  %s = %s", name, value);
	dump_place(text, policy, origin);
	text_append(text, "\n");
}

static void dump_number(
	struct text *text, const struct policy *policy, const char *name, uint32_t number, uint32_t origin)
{
	_cleanup_free_ char *value = mem_format("%u", number);

	dump_word(text, policy, name, value, origin);
}

static void dump_hosts(struct text *text, const struct policy *policy, const char *name, const struct source_list *list)
{
	text_printf(text, "  %s:", name);
	dump_place(text, policy, list->origin);
	text_append(text, "\n");
	for (size_t i = 0; i < list->reference_count; i++) {
		text_printf(text, "    %s", list->references[i].name);
		dump_place(text, policy, list->references[i].origin);
		text_append(text, "\n");
	}
}

static void dump_environment(struct text *text, const struct policy *policy, const struct environment *e)
{
	text_printf(text, "environment %s", e->name);
	dump_place(text, policy, e->origin);
	text_append(text, "\n");
	dump_word(text, policy, "tls", tls_mode_name(e->tls), e->tls_origin);
	dump_word(text, policy, "loopback", loopback_mode_name(e->loopback), e->loopback_origin);
	dump_word(text, policy, "admin_tls", admin_tls_mode_name(e->admin_tls), e->admin_tls_origin);
	dump_word(text, policy, "server", server_mode_name(e->server), e->server_origin);
	dump_word(text, policy, "log", log_mode_name(e->log), e->log_origin);
	dump_word(text, policy, "routed", routed_mode_name(e->routed), e->routed_origin);
	if (e->bind_guard_origin)
		dump_word(text, policy, "bind_guard", bind_guard_mode_name(e->bind_guard), e->bind_guard_origin);
	dump_number(
		text, policy, "max_connections_per_source", e->max_connections_per_source, e->max_connections_origin);
	if (e->handshake_timeout_origin)
		dump_number(text, policy, "handshake_timeout", e->handshake_timeout, e->handshake_timeout_origin);
	dump_number(
		text, policy, "new_connections_per_second", e->new_connections_per_second, e->new_connections_origin);
	dump_list(text, policy, "clients", &e->clients);
	dump_list(text, policy, "admins", &e->admins);
	dump_list(text, policy, "memcached_clients", &e->memcached_clients);
	if (e->never_ban.given)
		dump_list(text, policy, "never_ban", &e->never_ban);
	dump_list(text, policy, "bind", &e->bind);
	dump_list(text, policy, "admin_bind", &e->admin_bind);
	if (e->client_certificates_origin)
		dump_word(text, policy, "client_certificates", client_certificates_mode_name(e->client_certificates),
			e->client_certificates_origin);
	if (e->self_signed_origin)
		dump_word(text, policy, "self_signed", self_signed_mode_name(e->self_signed), e->self_signed_origin);
	if (e->certificate_warn_days_origin)
		dump_number(text, policy, "certificate_warn_days", e->certificate_warn_days,
			e->certificate_warn_days_origin);
	if (e->certificate_fail_days_origin)
		dump_number(text, policy, "certificate_fail_days", e->certificate_fail_days,
			e->certificate_fail_days_origin);
	if (e->password_origin)
		dump_word(text, policy, "password", password_mode_name(e->password), e->password_origin);
	if (e->monitor_user)
		dump_word(text, policy, "monitor_user", e->monitor_user, e->monitor_user_origin);
	if (e->monitor_password_file)
		dump_word(text, policy, "monitor_password_file", e->monitor_password_file,
			e->monitor_password_file_origin);
	if (e->server_names.given)
		dump_hosts(text, policy, "server_names", &e->server_names);
}

static void dump_expectation(struct text *text, const struct policy *policy, const struct expectation *e)
{
	bool every = e->environment == POLICY_EVERY_ENVIRONMENT;

	text_append(text, "expect");
	dump_place(text, policy, e->origin);
	text_append(text, "\n");
	dump_word(text, policy, "environment", every ? "(every)" : policy->environments[e->environment].name,
		e->environment_name_origin);
	dump_list(text, policy, "from", &e->from);
	dump_list(text, policy, "to", &e->to);
	dump_number(text, policy, "to_port", e->to_port, e->to_port_origin);
	dump_word(text, policy, "speaks", speaks_mode_name(e->speaks), e->speaks_origin);
	dump_word(text, policy, "verdict", expect_verdict_name(e->verdict), e->verdict_origin);
}

static void dump_alert(struct text *text, const struct policy *policy, const struct alert *a)
{
	bool every = a->environment == POLICY_EVERY_ENVIRONMENT;

	text_append(text, "alert");
	dump_place(text, policy, a->origin);
	text_append(text, "\n");
	dump_word(text, policy, "environment", every ? "(every)" : policy->environments[a->environment].name,
		a->environment_name_origin);
	dump_word(text, policy, "on", alert_on_name(a->on), a->on_origin);
	dump_number(text, policy, "count", a->count, a->count_origin);
	dump_number(text, policy, "within", a->within, a->within_origin);
	dump_number(text, policy, "ban", a->ban, a->ban_origin);
}

static void dump_waiver(struct text *text, const struct policy *policy, const struct waiver *w)
{
	bool every = w->environment == POLICY_EVERY_ENVIRONMENT;
	char until[DATE_TEXT];

	text_printf(text, "waive %s", w->check);
	dump_place(text, policy, w->origin);
	text_append(text, "\n");
	dump_word(text, policy, "environment", every ? "(every)" : policy->environments[w->environment].name,
		w->environment_name_origin);
	dump_word(text, policy, "reason", w->reason, w->reason_origin);
	dump_word(text, policy, "until", date_format(w->until, until), w->until_origin);
	if (w->subject)
		dump_word(text, policy, "subject", w->subject, w->subject_origin);
}

static void dump_diagnostics(struct text *text, const struct diagnostics *diagnostics)
{
	for (size_t i = 0; i < diagnostics->count; i++) {
		const struct diagnostic *item = &diagnostics->items[i];

		if (item->line)
			text_printf(text, "%s:%u: %s\n", item->file, item->line, item->message);
		else
			text_printf(text, "%s: %s\n", item->file, item->message);
	}
	if (diagnostics->suppressed)
		text_printf(text, "and %zu more\n", diagnostics->suppressed);
}

static void dump_policy(struct text *text, const struct policy *policy)
{
	const struct service *s = &policy->service;
	struct diagnostics notes = {0};

	for (size_t i = 0; i < policy->file_count; i++)
		text_printf(text, "file %s\n", policy->files[i]);
	text_printf(text, "default_environment = %s",
		policy->default_environment ? policy->default_environment : "(not given)");
	dump_place(text, policy, policy->default_environment_origin);
	text_append(text, "\nservice");
	dump_place(text, policy, s->origin);
	text_append(text, "\n");
	dump_number(text, policy, "port", s->port, s->port_origin);
	dump_number(text, policy, "tls_port", s->tls_port, s->tls_port_origin);
	dump_number(text, policy, "admin_port", s->admin_port, s->admin_port_origin);
	dump_number(text, policy, "memcached_port", s->memcached_port, s->memcached_port_origin);
	dump_word(text, policy, "flagfile", s->flagfile, s->flagfile_origin);
	dump_word(text, policy, "unit", s->unit, s->unit_origin);
	for (size_t i = 0; i < policy->network_count; i++) {
		text_printf(text, "network %s", policy->networks[i].name);
		dump_place(text, policy, policy->networks[i].origin);
		text_append(text, "\n");
		dump_list(text, policy, "sources", &policy->networks[i].sources);
	}
	for (size_t i = 0; i < policy->environment_count; i++)
		dump_environment(text, policy, &policy->environments[i]);
	for (size_t i = 0; i < policy->expectation_count; i++)
		dump_expectation(text, policy, &policy->expectations[i]);
	for (size_t i = 0; i < policy->alert_count; i++)
		dump_alert(text, policy, &policy->alerts[i]);
	for (size_t i = 0; i < policy->waiver_count; i++)
		dump_waiver(text, policy, &policy->waivers[i]);
	text_printf(text, "%zu sources written\n", policy->source_count);
	policy_notes(policy, &notes);
	dump_diagnostics(text, &notes);
	diagnostics_done(&notes);
}

/* --- golden files --- */

static bool equal_or_updated(const char *path, const char *text)
{
	_cleanup_free_ char *wanted = NULL;
	size_t length = 0;

	if (getenv("DFLYGUARD_UPDATE_GOLDEN")) {
		_cleanup_free_ char *original = mem_format("%s/%s", golden_path, path);

		write_text(original, text);
		return true;
	}
	wanted = read_file(path, &length);
	if (wanted && strcmp(wanted, text) == 0)
		return true;
	print_error("%s: expected:\n%s\ngot:\n%s\n", path, wanted ? wanted : "(no such file)", text);
	return false;
}

static int is_policy(const struct dirent *entry)
{
	size_t length = strlen(entry->d_name);

	return length > 5 && strcmp(entry->d_name + length - 5, ".conf") == 0;
}

static char *with_suffix(const char *name, const char *suffix)
{
	return mem_format("%.*s%s", (int)(strlen(name) - strlen(".conf")), name, suffix);
}

/* True where the file loads, or fails, as it should. */
static bool check_one(const char *directory, const char *name, bool good)
{
	_cleanup_free_ char *expected = with_suffix(name, good ? ".ok" : ".err");
	_cleanup_free_ char *path = mem_format("%s/%s", directory, expected);
	_cleanup_text_ struct text text = {0};
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};
	bool fine;
	int r;

	/* Seen from its own directory, so that files are named relative to that. */
	assert_int_equal(chdir(directory), 0);
	r = policy_load(name, &policy, &diagnostics, &err);
	if (policy)
		dump_policy(&text, policy);
	else
		dump_diagnostics(&text, &diagnostics);
	if (good) {
		fine = r == 0 && policy && diagnostics.count == 0;
	} else {
		fine = r == -EINVAL && !policy && diagnostics.count > 0 && err.code == EINVAL &&
		       err.stage == ERR_POLICY && err.line == diagnostics.items[0].line &&
		       strcmp(err.file, diagnostics.items[0].file) == 0;
	}
	assert_int_equal(chdir(".."), 0);
	if (!fine)
		print_error("%s/%s: %d, %s\n%s", directory, name, r, err.message, text_string(&text));
	else
		fine = equal_or_updated(path, text_string(&text));
	diagnostics_done(&diagnostics);
	policy_free(policy);
	return fine;
}

static void check_directory(const char *directory, bool good)
{
	struct dirent **entries;
	int count = scandir(directory, &entries, is_policy, alphasort);
	int wrong = 0;

	assert_true(count > 5);
	for (int i = 0; i < count; i++) {
		wrong += !check_one(directory, entries[i]->d_name, good);
		free(entries[i]);
	}
	free(entries);
	assert_int_equal(wrong, 0);
}

static void test_good(void **state)
{
	(void)state;
	check_directory("good", true);
}

static void test_bad(void **state)
{
	(void)state;
	check_directory("bad", false);
}

/* --- one text, one answer --- */

/* Loads a text and returns its diagnostics as one string, "" where it is good. The caller frees it. */
static char *load_text(const char *string, struct policy **ret)
{
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct text text = {0};
	struct err err = {0};
	int r = policy_load_text("text", string, strlen(string), &policy, &diagnostics, &err);

	assert_true(r == 0 || r == -EINVAL);
	assert_int_equal(r == 0, policy != NULL);
	assert_int_equal(r == 0, diagnostics.count == 0);
	dump_diagnostics(&text, &diagnostics);
	diagnostics_done(&diagnostics);
	if (ret)
		*ret = policy;
	else
		policy_free(policy);
	return text_take(&text);
}

static void expect_text(const char *string, const char *wanted)
{
	_cleanup_free_ char *got = load_text(string, NULL);

	assert_string_equal(got, wanted);
}

/* What a bare environment needs around an option to be good. */
#define EXPECT(option) "expect { from = any to_port = 6380 speaks = tls verdict = refuse " option " }"
#define GOOD(option)   "service { tls_port = 6380 }\nenvironment e { clients = {} " option " }\n"

static const struct {
	const char *text;
	const char *wanted;
} texts[] = {
	{GOOD(""), ""},
	{GOOD("") "\n\n#", ""},
	{GOOD("") "/", "text:3: unexpected '/': write NAME = VALUE, or a section with its options in braces\n"},
	{GOOD("") "'", "text:3: a string is not closed: write ' at its end, on the same line\n"},
	{GOOD("") "\"\\", "text:3: a string is not closed: write \" at its end, on the same line\n"},
	{GOOD("") "/*", "text:3: the comment that begins here with '/*' is not closed: write '*/' at its end\n"},
	{GOOD("") "}", "text:3: '}' closes nothing: no section is open here\n"},
	{GOOD("") "{", "text:3: unexpected '{': a section begins with its kind and name\n"
		       "text:3: '{' that opens here is not closed: write '}' at its end\n"},
	{GOOD("") "=", "text:3: unexpected '='\n"},
	{GOOD("") "include(\"x\")", "text:3: a policy that does not come from a file cannot include others\n"},
	{GOOD("") "service",
		"text:3: a second 'service' section: the first stands in text:1; write one with all options\n"
		"text:3: no '{' behind 'service': write one, and '}' at the end\n"
		"text:3: 'service' has no closing brace: write '}' at its end\n"},
	{GOOD("") "default_environment",
		"text:3: 'default_environment' has no value: write default_environment = VALUE\n"},
	{GOOD("") "default_environment = e default_environment = e",
		"text:3: 'default_environment' is given again: it stands in text:3 already; keep one\n"},
	{GOOD("bind = "), "text:2: 'bind' has no value: write bind = {...}\n"},
	{GOOD("bind = {"),
		"text:2: 'bind' is empty, so that nothing could be reached: list addresses, or leave it out\n"
		"text:2: 'environment e' has no closing brace: write '}' at its end\n"},
	{GOOD("admin_bind = {10.0.0.1,,}"), "text:2: two commas in 'admin_bind' with nothing between them: drop one\n"},
	{GOOD("admins = {,}"), "text:2: the list of 'admins' begins with a comma: drop it\n"},
	{GOOD("admins = {10.0.0.1,}"), ""},
	{GOOD("admins = \"\""), "text:2: an empty string in 'admins': write a value, or leave it out\n"},
	{GOOD("log = \"\""), "text:2: an empty string in 'log': write a value, or leave it out\n"},
	{GOOD("log = all none"), "text:2: unexpected 'none': write options as NAME = VALUE\n"},
	{GOOD("log += all"), "text:2: 'log +=' is not understood: write the whole list with '='\n"},
	{GOOD("clients = {}"), "text:2: 'clients' is given again: it stands in text:2 already; keep one\n"},
	{GOOD("") EXPECT(""), ""},
	{GOOD(EXPECT("") EXPECT("")) EXPECT(""), ""},
	/* An expectation in an environment hides nothing of it. */
	{"environment e { " EXPECT("") " }",
		"text:1: environment 'e' has no 'clients': write who may connect, or clients = {} for nobody\n"
		"text:1: environment 'e' has tls = required (the default), but the service has no tls_port: with "
		"`dragonfly --tls` the port itself speaks TLS; write tls_port = 6379 in service { }\n"
		"text:1: to_port = 6380 is no port of the service, which judges no other: write one of 6379 (port)\n"},
	{"environment e { expect { colour = red } }",
		"text:1: unknown option 'colour': known in expect { }: environment, from, to, to_port, speaks and "
		"verdict\n"
		"text:1: environment 'e' has no 'clients': write who may connect, or clients = {} for nobody\n"
		"text:1: environment 'e' has tls = required (the default), but the service has no tls_port: with "
		"`dragonfly --tls` the port itself speaks TLS; write tls_port = 6379 in service { }\n"},
	{GOOD("") EXPECT("to = {}"),
		"text:3: 'to' is empty, so that nothing is expected: list addresses, or leave it out\n"},
	{GOOD("") EXPECT("environment = f"), "text:3: there is no environment 'f': known: e\n"},
	{GOOD(EXPECT("environment = e")),
		"text:2: 'environment' in an expectation of environment 'e': leave it out, or write the expectation "
		"outside environments\n"},
	{GOOD("expect"), "text:2: no '{' behind 'expect': write one, and '}' at the end\n"
			 "text:2: 'environment e' has no closing brace: write '}' at its end\n"},
	{GOOD("expect {"), "text:2: 'environment e' has no closing brace: write '}' at its end\n"
			   "text:2: 'expect' has no 'from': write whose connections are meant, or from = any\n"
			   "text:2: 'expect' has no 'to_port': write to_port = PORT, one of the service's\n"
			   "text:2: 'expect' has no 'speaks': write speaks = tls or speaks = plaintext\n"
			   "text:2: 'expect' has no 'verdict': write verdict = allow or verdict = refuse\n"},
	/* What is wrong with one of them makes up nothing about the other. */
	{"service { tls_port = 6380 } environment e { " EXPECT("") " colour = red }",
		"text:1: unknown option 'colour': known in environment NAME { }: tls, clients, admins, "
		"memcached_clients, never_ban, bind, admin_bind, loopback, admin_tls, max_connections_per_source, "
		"new_connections_per_second, ipv6_source_prefix, handshake_timeout, server, log, routed, "
		"bind_guard, "
		"client_certificates, self_signed, certificate_warn_days, certificate_fail_days, server_names, "
		"password, monitor_user and monitor_password_file\n"},
	{"service { tls_port = 6380 } environment e { clients = {} bind_guard = deny }",
		"text:1: environment 'e' has bind_guard = deny, but no 'bind', so that there is no address to keep the "
		"server to: write bind = {...}, or bind_guard = off\n"},
	{"service { tls_port = 6380 } environment e { clients = {} admin_bind = {\"10.0.0.1\"} bind_guard = rewrite }",
		"text:1: environment 'e' has bind_guard = rewrite, but no 'bind', so that there is no address to keep "
		"the server to: write bind = {...}, or bind_guard = off\n"},
	{"service { tls_port = 6380 } environment e { clients = {} bind_guard = on }",
		"text:1: bind_guard = 'on': write off, deny or rewrite\n"},
	{"service { tls_port = 6380 } environment e { expect = { from = any to_port = 6380 speaks = tls verdict = "
	 "allow } }",
		"text:1: a section is written without '=': write expect { ... }\n"
		"text:1: environment 'e' has no 'clients': write who may connect, or clients = {} for nobody\n"},
	{"service { tls_port = 6380 } environment e { expect { from = any clients = {} } }",
		"text:1: unknown option 'clients': known in expect { }: environment, from, to, to_port, speaks and "
		"verdict\n"},
	{GOOD("expect { from = {10.0.0.1, 2001:db8::1/64} to = 2001:db8::2 to_port = 6380 speaks = tls verdict = "
	      "allow }"),
		"text:2: '2001:db8::1/64' has host bits set: write 2001:db8::/64 for the network, or 2001:db8::1 for "
		"the host\n"},
	{GOOD(EXPECT("enviroment = f")), "text:2: unknown option 'enviroment': did you mean 'environment'?\n"},
	{"", "text: there is no environment: write environment NAME { clients = {...} }\n"},
};

static void test_texts(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect_text(texts[i].text, texts[i].wanted);
}

static void test_environment_is_not_expanded(void **state)
{
	struct policy *policy = NULL;
	_cleanup_free_ char *got = NULL;

	(void)state;
	setenv("DFLYGUARD_TEST", "10.0.0.1", 1);
	got = load_text("environment e { tls = off clients = {\"${DFLYGUARD_TEST}\", ${DFLYGUARD_TEST}} }", &policy);
	assert_null(policy);
	assert_non_null(strstr(got, "variables are not expanded"));
	unsetenv("DFLYGUARD_TEST");
}

/* --- who owns the file, and what it is --- */

static int load(const char *path, struct diagnostics *diagnostics, struct err *err)
{
	struct policy *policy = NULL;
	int r = policy_load(path, &policy, diagnostics, err);

	assert_int_equal(r == 0, policy != NULL);
	policy_free(policy);
	return r;
}

static void expect_load(const char *path, int code, const char *message, const char *hint)
{
	struct diagnostics diagnostics = {0};
	struct err err = {0};
	int r = load(path, &diagnostics, &err);

	assert_int_equal(r, -code);
	assert_int_equal(err.code, code);
	assert_string_equal(err.message, message);
	assert_string_equal(err.hint, hint);
	assert_int_equal(diagnostics.count, 0);
}

static void test_modes(void **state)
{
	static const struct {
		mode_t mode;
		const char *message;
	} modes[] = {
		{0644, NULL},
		{0400, NULL},
		{0755, NULL},
		{0664, "'mode.conf' can be changed by its group (mode 0664): only its owner may write a policy"},
		{0620, "'mode.conf' can be changed by its group (mode 0620): only its owner may write a policy"},
		{0646, "'mode.conf' can be changed by everybody (mode 0646): only its owner may write a policy"},
		{0666, "'mode.conf' can be changed by everybody (mode 0666): only its owner may write a policy"},
	};

	(void)state;
	write_text("mode.conf", GOOD(""));
	for (size_t i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod("mode.conf", modes[i].mode), 0);
		expect_load("mode.conf", modes[i].message ? EPERM : 0, modes[i].message ? modes[i].message : "",
			modes[i].message ? "chmod go-w 'mode.conf'" : "");
	}
}

static void test_owner(void **state)
{
	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a file away\n");
		skip();
	}
	write_text("owner.conf", GOOD(""));
	if (chown("owner.conf", 12345, (gid_t)-1) < 0) {
		print_message("cannot give a file away here: %s\n", strerror(errno));
		skip();
	}
	expect_load("owner.conf", EPERM,
		"'owner.conf' belongs to user 12345: a policy must belong to root or the caller",
		"chown root 'owner.conf'; chmod go-w 'owner.conf'");
	assert_int_equal(chown("owner.conf", 65534, (gid_t)-1), 0);
	expect_load("owner.conf", EPERM,
		"'owner.conf' belongs to user 65534 (in a user namespace: to a user that is not mapped into it): a "
		"policy "
		"must belong to root or the caller",
		"chown root 'owner.conf'; chmod go-w 'owner.conf'");
	/* The caller's own file, and root's. */
	assert_int_equal(chown("owner.conf", 12345, (gid_t)-1), 0);
	assert_int_equal(seteuid(12345), 0);
	expect_load("owner.conf", 0, "", "");
	assert_int_equal(seteuid(0), 0);
	assert_int_equal(chown("owner.conf", 0, (gid_t)-1), 0);
	assert_int_equal(seteuid(12345), 0);
	expect_load("owner.conf", 0, "", "");
	assert_int_equal(seteuid(0), 0);
}

static void test_not_a_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir("directory.conf", 0755), 0);
	assert_int_equal(mkfifo("pipe.conf", 0644), 0);
	assert_int_equal(symlink("loop.conf", "loop.conf"), 0);
	assert_int_equal(symlink("good/minimal.conf", "link.conf"), 0);
	expect_load("directory.conf", EISDIR, "'directory.conf' is a directory: name a file", "");
	expect_load("pipe.conf", ENOTSUP, "'pipe.conf' is not a regular file", "");
	expect_load("/dev/null", ENOTSUP, "'/dev/null' is not a regular file", "");
	expect_load("loop.conf", ELOOP, "cannot open 'loop.conf': Too many levels of symbolic links", "");
	expect_load("missing.conf", ENOENT, "cannot open 'missing.conf': No such file or directory", "");
	expect_load("link.conf", 0, "", "");
	if (geteuid() == 0) {
		assert_int_equal(chmod(scratch, 0755), 0);
		write_text("secret.conf", GOOD(""));
		assert_int_equal(chmod("secret.conf", 0600), 0);
		assert_int_equal(seteuid(12345), 0);
		expect_load("secret.conf", EACCES, "cannot open 'secret.conf': Permission denied", "");
		assert_int_equal(seteuid(0), 0);
	}
}

/* What is wrong with an included file is said at the line that includes it. */
static void test_included_files(void **state)
{
	_cleanup_text_ struct text text = {0};
	struct diagnostics diagnostics = {0};
	struct err err = {0};

	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	assert_int_equal(mkfifo("sub/pipe.conf", 0644), 0);
	write_text("sub/open.conf", "");
	assert_int_equal(chmod("sub/open.conf", 0666), 0);
	write_text("sub/fine.conf", "network n { sources = {} }\n");
	write_text("including.conf",
		"include(\"sub/pipe.conf\")\ninclude(\"sub/open.conf\")\ninclude(\"sub/fine.conf\")\n"
		"include('sub')\ninclude(\"sub/../sub/none.conf\")\ninclude(\"/nonexistent/x.conf\")\n");
	assert_int_equal(load("including.conf", &diagnostics, &err), -EINVAL);
	dump_diagnostics(&text, &diagnostics);
	assert_string_equal(text_string(&text),
		"including.conf:1: 'sub/pipe.conf' is not a regular file\n"
		"including.conf:2: 'sub/open.conf' can be changed by everybody (mode 0666): only its owner may write a "
		"policy: chmod go-w 'sub/open.conf'\n"
		"including.conf:4: 'sub' is a directory: name a file\n"
		"including.conf:5: cannot open 'sub/../sub/none.conf': No such file or directory\n"
		"including.conf:6: cannot open '/nonexistent/x.conf': No such file or directory\n");
	assert_string_equal(err.message, "the policy has 5 mistakes");
	diagnostics_done(&diagnostics);
}

/* --- limits --- */

static void expect_first(const char *path, const char *wanted)
{
	struct diagnostics diagnostics = {0};
	struct err err = {0};

	assert_int_equal(load(path, &diagnostics, &err), -EINVAL);
	assert_true(diagnostics.count > 0);
	assert_string_equal(diagnostics.items[0].message, wanted);
	diagnostics_done(&diagnostics);
}

static void test_include_depth(void **state)
{
	struct diagnostics diagnostics = {0};
	struct err err = {0};

	(void)state;
	for (unsigned int i = 0; i <= POLICY_MAX_DEPTH; i++) {
		_cleanup_free_ char *name = mem_format("depth%u.conf", i);
		_cleanup_free_ char *text = mem_format("include(\"depth%u.conf\")\n", i + 1);

		write_text(name, i == POLICY_MAX_DEPTH ? GOOD("") : text);
	}
	assert_int_equal(load("depth0.conf", &diagnostics, &err), 0);
	write_text("deeper.conf", "include(\"depth0.conf\")");
	expect_first("deeper.conf", "includes are nested more than 16 deep: include from fewer levels");
}

static void test_include_count(void **state)
{
	_cleanup_text_ struct text text = {0};
	struct diagnostics diagnostics = {0};
	struct err err = {0};

	(void)state;
	write_text("nothing.conf", "");
	text_append(&text, GOOD(""));
	for (unsigned int i = 1; i < POLICY_MAX_FILES; i++)
		text_append(&text, "include(\"nothing.conf\")\n");
	write_text("many.conf", text_string(&text));
	assert_int_equal(load("many.conf", &diagnostics, &err), 0);
	text_append(&text, "include(\"nothing.conf\")\n");
	write_text("many.conf", text_string(&text));
	expect_first("many.conf", "more than 1024 files: a policy may not include more");
}

static void test_text_limit(void **state)
{
	size_t length = POLICY_MAX_TEXT;
	_cleanup_free_ char *text = mem_alloc(length + 1);
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};

	(void)state;
	memset(text, '\n', length + 1);
	memcpy(text, GOOD(""), strlen(GOOD("")));
	assert_int_equal(policy_load_text("text", text, length, &policy, &diagnostics, &err), 0);
	policy_free(policy);
	policy = NULL;
	assert_int_equal(policy_load_text("text", text, length + 1, &policy, &diagnostics, &err), -EFBIG);
	assert_null(policy);
	write_file("large.conf", text, length + 1);
	expect_load("large.conf", EFBIG, "'large.conf' is too large: a policy may have 64 MiB, all files together", "");
	/* All files together: the second does not fit any more. */
	write_file("half.conf", text, length / 2);
	write_text("halves.conf", "include(\"half.conf\")\ninclude(\"half.conf\")\n");
	assert_int_equal(load("halves.conf", &diagnostics, &err), -EINVAL);
	assert_string_equal(
		diagnostics.items[0].message, "'half.conf' is too large: a policy may have 64 MiB, all files together");
	assert_int_equal(diagnostics.items[0].line, 2);
	diagnostics_done(&diagnostics);
}

static void test_source_limit(void **state)
{
	_cleanup_text_ struct text text = {0};
	_cleanup_free_ char *got = NULL;
	struct policy *policy = NULL;

	(void)state;
	text_append(&text, "environment e { tls = off clients = {\n");
	for (unsigned int i = 0; i < POLICY_MAX_SOURCES; i++)
		text_printf(&text, "10.%u.%u.%u,\n", i >> 16 & 255, i >> 8 & 255, i & 255);
	text_append(&text, "} }\n");
	got = load_text(text_string(&text), &policy);
	assert_string_equal(got, "");
	assert_int_equal(policy->source_count, POLICY_MAX_SOURCES);
	assert_int_equal(policy->environments[0].clients.v4.count, POLICY_MAX_SOURCES);
	policy_free(policy);
	free(got);
	text.length -= strlen("} }\n");
	text_append(&text, "10.255.0.0, 10.255.0.1 } }\n");
	got = load_text(text_string(&text), NULL);
	assert_string_equal(
		got, "text:1000002: more than 1,000,000 sources: join what is adjacent into prefixes or ranges\n");
}

static void test_waiver_limit(void **state)
{
	_cleanup_text_ struct text text = {0};
	_cleanup_free_ char *told = NULL;

	(void)state;
	text_append(&text, "service { tls_port = 6380 } environment e { clients = {} }\n");
	for (unsigned int i = 0; i < POLICY_MAX_WAIVERS + 2; i++)
		text_printf(&text, "waive a.b { reason = x until = 2027-01-01 subject = s%u }\n", i);
	told = load_text(text_string(&text), NULL);
	assert_string_equal(told, "text:1002: more than 1,000 waivers: join them, with * in their 'subject'\n");
}

static void test_words_limit(void **state)
{
	char words[POLICY_MAX_WORDS + 2];

	(void)state;
	for (unsigned int more = 0; more < 2; more++) {
		_cleanup_free_ char *text = NULL;
		_cleanup_free_ char *told = NULL;

		memset(words, 'a', sizeof(words));
		words[POLICY_MAX_WORDS + more] = '\0';
		text = mem_format("service { tls_port = 6380 } environment e { clients = {} } "
				  "waive a.b { until = 2027-01-01 reason = %s }",
			words);
		told = load_text(text, NULL);
		assert_string_equal(
			told, more ? "text:1: reason: longer than 500 bytes: write it in fewer words\n" : "");
	}
}

static void test_expectation_limit(void **state)
{
	_cleanup_text_ struct text text = {0};
	_cleanup_free_ char *got = NULL;
	struct policy *policy = NULL;

	(void)state;
	text_append(&text, GOOD(""));
	for (unsigned int i = 0; i < POLICY_MAX_EXPECTATIONS; i++)
		text_append(&text, EXPECT("to = 10.0.0.1") "\n");
	got = load_text(text_string(&text), &policy);
	assert_string_equal(got, "");
	assert_int_equal(policy->expectation_count, POLICY_MAX_EXPECTATIONS);
	policy_free(policy);
	free(got);
	text_append(&text, EXPECT("colour = red") "\n" EXPECT("") "\nnetwork n { sources = 10.0.0.1/8 }\n");
	got = load_text(text_string(&text), NULL);
	assert_string_equal(got,
		"text:10003: more than 10,000 expectations: join those that differ in 'from' or 'to' only\n"
		"text:10005: '10.0.0.1/8' has host bits set: write 10.0.0.0/8 for the network, or 10.0.0.1 for the "
		"host\n");
}

static void test_reported_limit(void **state)
{
	_cleanup_text_ struct text text = {0};
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};

	(void)state;
	text_append(&text, "environment e { tls = off clients = {\n");
	for (unsigned int i = 0; i < 100000; i++)
		text_append(&text, "10.0.0.1/8,\n");
	text_append(&text, "} }\n");
	assert_int_equal(
		policy_load_text("text", text_string(&text), text.length, &policy, &diagnostics, &err), -EINVAL);
	assert_int_equal(diagnostics.count, POLICY_MAX_REPORTED);
	assert_int_equal(diagnostics.suppressed, 100000 - POLICY_MAX_REPORTED);
	assert_int_equal(diagnostics.items[0].line, 2);
	assert_int_equal(diagnostics.items[POLICY_MAX_REPORTED - 1].line, POLICY_MAX_REPORTED + 1);
	assert_string_equal(err.message, "the policy has 100000 mistakes");
	diagnostics_done(&diagnostics);
}

/* Nothing grows with the square of the number of networks, and nothing recurses as deep as they hang together. The
 * allowance is generous, since the machine may be busy and sanitizers are slow; what is quadratic takes minutes. */
static void test_many_networks(void **state)
{
	const unsigned int count = 100000;
	_cleanup_text_ struct text text = {0};
	_cleanup_free_ char *got = NULL;
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	struct diagnostics notes = {0};
	struct policy *policy = NULL;
	struct timespec begin;
	struct timespec end;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	text_append(&text, "network n0 { sources = {10.0.0.1} }\n");
	for (unsigned int i = 1; i < count; i++)
		text_printf(&text, "network n%u { sources = {n%u, n%u} }\n", i, i - 1, i / 2);
	text_printf(&text, "environment e { tls = off clients = {n%u} }\n", count - 1);
	got = load_text(text_string(&text), &policy);
	assert_string_equal(got, "");
	assert_int_equal(policy->network_count, count);
	policy_resolve(policy, &policy->environments[0].clients, &v4, &v6, NULL, NULL);
	assert_int_equal(v4.count, 1);
	assert_int_equal(v6.count, 0);
	policy_notes(policy, &notes);
	intervals_done(&v4);
	diagnostics_done(&notes);
	policy_free(policy);
	free(got);
	/* The same with the chain closed, and with a name in each that does not exist. */
	text_printf(&text, "network closing { sources = {n%u} }\n", count - 1);
	memcpy(text.data, "network n0 { sources = {closing } }\n", strlen("network n0 { sources = {closing } }\n"));
	got = load_text(text_string(&text), NULL);
	assert_string_equal(got, "text:2: network 'n0' includes itself: n0 -> closing -> n99999 -> n99998 -> n99997 -> "
				 "... -> n5 -> n4 -> n3 -> "
				 "n2 -> n1 -> n0; take one of them out\n");
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_true(end.tv_sec - begin.tv_sec < 30);
}

static void test_many_unknown(void **state)
{
	_cleanup_text_ struct text text = {0};
	struct timespec begin;
	struct timespec end;
	_cleanup_free_ char *got = NULL;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &begin);
	for (unsigned int i = 0; i < 30000; i++)
		text_printf(&text,
			"network this_is_a_rather_long_name_%u { sources = {this_is_a_rather_lunk_name_%u} }\n", i, i);
	got = load_text(text_string(&text), NULL);
	assert_non_null(strstr(got, "and 29801 more"));
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	assert_true(end.tv_sec - begin.tv_sec < 30);
}

/* Deep braces must not recurse: libconfuse 3.3 would run out of stack on them, so it must not even see them. */
static void test_deep_braces(void **state)
{
	_cleanup_text_ struct text text = {0};
	_cleanup_free_ char *got = NULL;

	(void)state;
	for (unsigned int i = 0; i < 1000000; i++)
		text_append(&text, "x {");
	got = load_text(text_string(&text), NULL);
	assert_non_null(strstr(got, "unknown section 'x'"));
}

/* --- questions --- */

static void test_environment_choice(void **state)
{
	static const char with[] =
		"environment a { tls = off clients = {} }\nenvironment b { tls = off clients = {} }\n"
		"default_environment = b";
	static const char without[] = "environment a { tls = off clients = {} }";
	struct policy *policy = NULL;
	struct err err = {0};
	_cleanup_free_ char *got = load_text(with, &policy);

	(void)state;
	assert_string_equal(policy_environment(policy, NULL, &err)->name, "b");
	assert_string_equal(policy_environment(policy, "a", &err)->name, "a");
	assert_int_equal(err.code, 0);
	assert_null(policy_environment(policy, "c", &err));
	assert_int_equal(err.code, EINVAL);
	assert_int_equal(err.stage, ERR_POLICY);
	assert_string_equal(err.message, "there is no environment 'c'");
	assert_string_equal(err.hint, "write one of: a, b");
	assert_null(policy_environment(policy, "", NULL));
	policy_free(policy);
	free(got);
	got = load_text(without, &policy);
	err = (struct err){0};
	assert_null(policy_environment(policy, NULL, &err));
	assert_string_equal(err.message, "no environment is chosen, and the policy has no default_environment");
	assert_string_equal(err.hint, "write one of: a");
	policy_free(policy);
	policy_free(NULL);
}

struct heard {
	char text[2048];
	const struct policy *policy;
};

static void hear(void *data, enum width width, struct interval kept, struct interval absorbed)
{
	struct heard *heard = data;
	char one[INTERVAL_TEXT];
	char other[INTERVAL_TEXT];
	size_t used = strlen(heard->text);

	snprintf(heard->text + used, sizeof(heard->text) - used, "%s:%u %s > %s:%u %s\n",
		policy_place(heard->policy, kept.origin).file, policy_place(heard->policy, kept.origin).line,
		interval_format(width, kept, one), policy_place(heard->policy, absorbed.origin).file,
		policy_place(heard->policy, absorbed.origin).line, interval_format(width, absorbed, other));
}

static void test_resolve(void **state)
{
	static const char text[] = "network a { sources = {10.0.0.0/24,\n10.0.1.0/24,\nb} }\n"
				   "network b { sources = {10.0.0.7,\n\"::1\",\n2001:db8::/32,\n2001:db8::5} }\n"
				   "environment e { tls = off clients = {a, b,\n10.0.2.0/24} }\n";
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	struct policy *policy = NULL;
	struct heard heard = {0};
	char buffer[INTERVAL_TEXT];
	_cleanup_free_ char *got = load_text(text, &policy);

	(void)state;
	assert_string_equal(got, "");
	heard.policy = policy;
	/* What the caller has in the lists already stays. */
	intervals_add(&v4, (struct interval){{0, 1}, {0, 1}, 0});
	policy_resolve(policy, &policy->environments[0].clients, &v4, &v6, hear, &heard);
	assert_int_equal(v4.count, 2);
	assert_int_equal(intervals_get(&v4, 0).first.lo, 1);
	/* Adjacent ones are joined and keep the earliest place; an IPv4 hole is left at 10.0.3.0. */
	assert_string_equal(interval_format(WIDTH_IPV4, intervals_get(&v4, 1), buffer), "10.0.0.0-10.0.2.255");
	assert_int_equal(policy_place(policy, intervals_get(&v4, 1).origin).line, 1);
	assert_int_equal(v6.count, 2);
	assert_string_equal(
		heard.text, "text:1 10.0.0.0/24 > text:4 10.0.0.7\ntext:6 2001:db8::/32 > text:7 2001:db8::5\n");
	assert_null(policy_place(policy, 0).file);
	assert_int_equal(policy_place(policy, 0).line, 0);
	intervals_done(&v4);
	intervals_done(&v6);
	policy_free(policy);
}

/* The places of what stands before, in and behind included files; the golden file of include-order shows more. */
static void test_places(void **state)
{
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};

	(void)state;
	write_text("place-inner.conf", "\nnetwork i { sources = {10.0.0.1,\n10.0.0.2} }");
	write_text("place.conf",
		"network before { sources = {} } include(\"place-inner.conf\") network same { sources = {} }\n"
		"network next { sources = {} }\nenvironment e { tls = off clients = {} }\n");
	assert_int_equal(policy_load("place.conf", &policy, &diagnostics, &err), 0);
	static const struct {
		const char *name, *file;
		unsigned int line;
	} wanted[] = {{"before", "place.conf", 1}, {"i", "place-inner.conf", 2}, {"same", "place.conf", 1},
		{"next", "place.conf", 2}};

	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		struct srcloc place = policy_place(policy, policy->networks[i].origin);

		assert_string_equal(policy->networks[i].name, wanted[i].name);
		assert_string_equal(place.file, wanted[i].file);
		assert_int_equal(place.line, wanted[i].line);
	}
	uint32_t last = intervals_get(&policy->networks[1].sources.v4, 1).origin;

	assert_string_equal(policy_place(policy, last).file, "place-inner.conf");
	assert_int_equal(policy_place(policy, last).line, 3);
	policy_free(policy);
}

static void test_words(void **state)
{
	(void)state;
	assert_string_equal(tls_mode_name(TLS_OPTIONAL), "optional");
	assert_string_equal(loopback_mode_name(LOOPBACK_TLS), "tls");
	assert_string_equal(admin_tls_mode_name(ADMIN_TLS_OFF), "off");
	assert_string_equal(server_mode_name(SERVER_OPTIONAL), "optional");
	assert_string_equal(log_mode_name(LOG_NONE), "none");
	assert_string_equal(routed_mode_name(ROUTED_NONE), "none");
	assert_string_equal(bind_guard_mode_name(BIND_GUARD_REWRITE), "rewrite");
	assert_string_equal(speaks_mode_name(SPEAKS_PLAINTEXT), "plaintext");
	assert_string_equal(expect_verdict_name(EXPECT_REFUSE), "refuse");
}

/* Two texts one after the other: libconfuse's lexer is global and must not remember. */
static void test_nothing_is_remembered(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		expect_text(GOOD(""), "");
		expect_text(GOOD("log = 'x"), "text:2: a string is not closed: write ' at its end, on the same line\n");
		expect_text(GOOD("bind = \"'\\\\\""),
			"text:2: ''\\' in 'bind' is not an address: names are not looked up here\n");
	}
}

/* --- printing --- */

static struct policy *load_printed(const char *what, const char *text)
{
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};

	if (policy_load_text("printed", text, strlen(text), &policy, &diagnostics, &err) < 0) {
		for (size_t i = 0; i < diagnostics.count; i++)
			print_error("printed:%u: %s\n", diagnostics.items[i].line, diagnostics.items[i].message);
		fail_msg("%s was printed as what cannot be read: %s\n%.4000s", what, err.message, text);
	}
	diagnostics_done(&diagnostics);
	return policy;
}

static void same_rulesets(const char *what, const struct policy *a, const struct policy *b, const char *text)
{
	assert_int_equal(a->environment_count, b->environment_count);
	for (size_t i = 0; i < a->environment_count; i++) {
		struct ruleset *one = ruleset_compile(a, &a->environments[i], 1);
		struct ruleset *other = ruleset_compile(b, &b->environments[i], 1);
		struct changeset *changes = ruleset_diff(one, other);

		assert_string_equal(a->environments[i].name, b->environments[i].name);
		if (changes->count || ruleset_fingerprint(one) != ruleset_fingerprint(other))
			fail_msg("%s: environment %s was printed as something else: %zu differences\n%.4000s", what,
				a->environments[i].name, changes->count, text);
		changeset_free(changes);
		ruleset_free(one);
		ruleset_free(other);
	}
}

/* Nothing that a policy says is lost, but for where it stands. */
static void same_rest(const struct policy *a, const struct policy *b)
{
	assert_true(same_string(a->default_environment, b->default_environment));
	assert_string_equal(a->service.flagfile, b->service.flagfile);
	assert_string_equal(a->service.unit, b->service.unit);
	/* Both families written out are one `any`. */
	assert_true(a->source_count >= b->source_count);
	assert_int_equal(a->network_count, b->network_count);
	assert_int_equal(a->expectation_count, b->expectation_count);
	for (size_t i = 0; i < a->environment_count; i++)
		assert_int_equal(a->environments[i].server, b->environments[i].server);
	for (size_t i = 0; i < a->expectation_count; i++) {
		const struct expectation *one = &a->expectations[i];
		const struct expectation *other = &b->expectations[i];

		assert_int_equal(one->environment, other->environment);
		assert_int_equal(one->to_port, other->to_port);
		assert_int_equal(one->speaks, other->speaks);
		assert_int_equal(one->verdict, other->verdict);
		assert_int_equal(one->to.given, other->to.given);
		assert_int_equal(one->from.v4.count, other->from.v4.count);
		assert_int_equal(one->from.v6.count, other->from.v6.count);
		assert_int_equal(one->from.reference_count, other->from.reference_count);
		assert_int_equal(one->to.v4.count, other->to.v4.count);
		assert_int_equal(one->to.v6.count, other->to.v6.count);
	}
	assert_int_equal(a->alert_count, b->alert_count);
	for (size_t i = 0; i < a->alert_count; i++) {
		const struct alert *one = &a->alerts[i];
		const struct alert *other = &b->alerts[i];

		assert_int_equal(one->environment, other->environment);
		assert_int_equal(one->on, other->on);
		assert_int_equal(one->count, other->count);
		assert_int_equal(one->within, other->within);
		assert_int_equal(one->ban, other->ban);
	}
	assert_int_equal(a->waiver_count, b->waiver_count);
	for (size_t i = 0; i < a->waiver_count; i++) {
		const struct waiver *one = &a->waivers[i];
		const struct waiver *other = &b->waivers[i];

		assert_int_equal(one->environment, other->environment);
		assert_int_equal(one->until, other->until);
		assert_string_equal(one->check, other->check);
		assert_string_equal(one->reason, other->reason);
		assert_true(same_string(one->subject, other->subject));
	}
}

static void check_printed(const char *what, const struct policy *policy)
{
	for (int places = 0; places < 2; places++) {
		_cleanup_text_ struct text once = {0};
		_cleanup_text_ struct text plain = {0};
		_cleanup_text_ struct text again = {0};
		struct policy *copy;

		policy_print(policy, places, &once);
		policy_print(policy, false, &plain);
		copy = load_printed(what, text_string(&once));
		same_rulesets(what, policy, copy, text_string(&once));
		same_rest(policy, copy);
		assert_true(policy_digest(policy) == policy_digest(copy));
		policy_print(copy, false, &again);
		if (strcmp(text_string(&plain), text_string(&again)) != 0)
			fail_msg("%s: printed and printed again are not the same:\n%s\n---\n%s", what,
				text_string(&plain), text_string(&again));
		policy_free(copy);
	}
}

static void test_print_good(void **state)
{
	static const char *const directories[] = {"good", "../policies"};
	size_t count = 0;

	(void)state;
	for (size_t d = 0; d < ARRAY_SIZE(directories); d++) {
		struct dirent **names;
		int found;

		assert_int_equal(chdir(directories[d]), 0);
		found = scandir(".", &names, is_policy, alphasort);
		assert_true(found > 0);
		for (int i = 0; i < found; i++) {
			struct diagnostics diagnostics = {0};
			struct policy *policy = NULL;
			struct err err = {0};

			/* networks.conf is for others to include. */
			if (policy_load(names[i]->d_name, &policy, &diagnostics, &err) == 0) {
				check_printed(names[i]->d_name, policy);
				count++;
			}
			diagnostics_done(&diagnostics);
			policy_free(policy);
			free(names[i]);
		}
		free(names);
		assert_int_equal(chdir(scratch), 0);
		assert_int_equal(chdir("golden"), 0);
	}
	assert_true(count >= 14);
}

static void test_print_exact(void **state)
{
	static const char text[] = "environment b { clients = any tls = optional log = all admin_bind = '::2' }\n"
				   "network include { sources = {10.0.0.0-10.0.0.255, service, any, '::/0'} }\n"
				   "network service { sources = {} }\n"
				   "environment a { admin_tls = off clients = {include, 10.9.0.1}\n"
				   "  expect { from = any to_port = 6379 speaks = plaintext verdict = refuse } }\n"
				   "service { port = 6379 tls_port = 7 flagfile = '/a \\'${b}\\\\c' }\n"
				   "default_environment = a\n";
	static const char expected[] = "default_environment = a\n"
				       "\n"
				       "service { # text:6\n"
				       "\ttls_port = 7\n"
				       "\tflagfile = '/a \\'${b}\\\\c'\n"
				       "}\n"
				       "\n"
				       "network \"include\" { # text:2\n"
				       "\tsources = {\"service\", any, \"10.0.0.0/24\", \"::/0\"}\n"
				       "}\n"
				       "\n"
				       "network \"service\" { # text:3\n"
				       "\tsources = {}\n"
				       "}\n"
				       "\n"
				       "environment b { # text:1\n"
				       "\ttls = optional\n"
				       "\tclients = {any}\n"
				       "\tadmin_bind = {\"::2\"}\n"
				       "\tlog = all\n"
				       "}\n"
				       "\n"
				       "environment a { # text:4\n"
				       "\tclients = {\"include\", \"10.9.0.1\"}\n"
				       "\tadmin_tls = off\n"
				       "}\n"
				       "\n"
				       "expect { # text:5\n"
				       "\tenvironment = a\n"
				       "\tfrom = {any}\n"
				       "\tto_port = 6379\n"
				       "\tspeaks = plaintext\n"
				       "\tverdict = refuse\n"
				       "}\n";
	struct diagnostics diagnostics = {0};
	_cleanup_text_ struct text printed = {0};
	struct policy *policy = NULL;
	struct err err = {0};

	(void)state;
	if (policy_load_text("text", text, strlen(text), &policy, &diagnostics, &err) < 0)
		fail_msg("%s", diagnostics.count ? diagnostics.items[0].message : err.message);
	policy_print(policy, true, &printed);
	assert_string_equal(text_string(&printed), expected);
	check_printed("exact", policy);
	policy_free(policy);
	diagnostics_done(&diagnostics);
}

static uint64_t random_number(uint64_t *seed, uint64_t below)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (*seed >> 33) % below;
}

/* Also a name that is a keyword, an option or a word. */
static const char *random_name(char *buffer, size_t size, size_t index)
{
	static const char *const odd[] = {"service", "network", "environment", "expect", "include", "sources", "tls",
		"required", "clients", "default_environment", "port", "x.y", "_", "a-b"};

	if (index < ARRAY_SIZE(odd))
		return odd[index];
	snprintf(buffer, size, "n%zu%s", index, index % 2 ? ".x" : "");
	return buffer;
}

static void random_list(uint64_t *seed, struct text *text, const char *name, size_t networks, bool addresses)
{
	size_t count = random_number(seed, 4) ? random_number(seed, 6) : random_number(seed, 60);
	char buffer[32];

	if (addresses && count == 0)
		count = 1;
	text_printf(text, " %s = {", name);
	for (size_t i = 0; i < count; i++) {
		unsigned int a = (unsigned int)random_number(seed, 200) + 1;
		unsigned int b = (unsigned int)random_number(seed, 250);

		text_append(text, i ? ", " : "");
		switch (addresses ? random_number(seed, 2) : random_number(seed, 7)) {
		case 0:
			text_printf(text, "10.0.%u.%u", b, a);
			break;
		case 1:
			text_printf(text, "'2001:db8::%x:%x'", a, b);
			break;
		case 2:
			text_printf(text, "10.%u.0.0/16", b);
			break;
		case 3:
			text_printf(text, "10.0.0.%u-10.0.%u.0", b, a);
			break;
		case 4:
			text_printf(text, "\"2001:db8:%x::/48\"", b);
			break;
		case 5:
			text_printf(text, "\"::ffff:10.0.0.%u\"", b);
			break;
		default:
			if (networks)
				text_append(text,
					random_name(buffer, sizeof(buffer), (size_t)random_number(seed, networks)));
			else
				text_append(text, "any");
		}
	}
	text_append(text, "}");
}

static int compare_numbers(const void *a, const void *b)
{
	const uint64_t *one = a;
	const uint64_t *other = b;

	return (*one > *other) - (*one < *other);
}

#ifdef __SANITIZE_ADDRESS__
#define ROUNDS 75
#else
#define ROUNDS 300
#endif

static void test_print_random(void **state)
{
	static const char *const options[] = {"tls = optional", "tls = required", "loopback = deny", "loopback = tls",
		"admin_tls = required", "server = optional", "log = none", "routed = all",
		"max_connections_per_source = 7", "new_connections_per_second = 9", "ipv6_source_prefix = 128",
		"routed = containers"};
	uint64_t seed = 20261126;
	unsigned int refused = 0;
	uint64_t digests[ROUNDS];
	size_t digest_count = 0;
	char buffer[32];

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		_cleanup_text_ struct text text = {0};
		size_t networks = (size_t)random_number(&seed, 20);
		size_t environments = (size_t)random_number(&seed, 16) + 1;
		struct diagnostics diagnostics = {0};
		struct policy *policy = NULL;
		struct err err = {0};

		text_printf(&text, "service { admin_port = %u memcached_port = %u tls_port = %u }\n",
			(unsigned int)random_number(&seed, 2) * 9999, (unsigned int)random_number(&seed, 2) * 11211,
			(unsigned int)random_number(&seed, 2) * 3000 + 379);
		/* Each network names only earlier ones: no circles. */
		for (size_t i = 0; i < networks; i++) {
			text_printf(&text, "network %s {", random_name(buffer, sizeof(buffer), i));
			random_list(&seed, &text, "sources", i, false);
			text_append(&text, " }\n");
		}
		for (size_t i = 0; i < environments; i++) {
			size_t option = (size_t)random_number(&seed, ARRAY_SIZE(options));

			text_printf(
				&text, "environment %s { %s", random_name(buffer, sizeof(buffer), i), options[option]);
			random_list(&seed, &text, "clients", networks, false);
			if (random_number(&seed, 2))
				random_list(&seed, &text, "admins", networks, false);
			if (random_number(&seed, 2))
				random_list(&seed, &text, "bind", 0, true);
			if (random_number(&seed, 2))
				random_list(&seed, &text, "admin_bind", 0, true);
			if (random_number(&seed, 4) == 0)
				random_list(&seed, &text, "memcached_clients", networks, false);
			if (random_number(&seed, 4) == 0)
				random_list(&seed, &text, "never_ban", networks, false);
			for (size_t k = (size_t)random_number(&seed, 3); k > 0; k--)
				text_append(&text, " expect { from = {any} to_port = 6379 speaks = tls verdict = "
						   "refuse }");
			text_append(&text, " }\n");
		}
		if (random_number(&seed, 2))
			text_printf(&text, "default_environment = %s\n",
				random_name(buffer, sizeof(buffer), (size_t)random_number(&seed, environments)));
		/* Some expose a port to everybody, which is refused. */
		if (policy_load_text("random", text_string(&text), text.length, &policy, &diagnostics, &err) < 0) {
			refused++;
			diagnostics_done(&diagnostics);
			continue;
		}
		_cleanup_free_ char *what = mem_format("round %d", round);

		check_printed(what, policy);
		digests[digest_count++] = policy_digest(policy);
		policy_free(policy);
		diagnostics_done(&diagnostics);
	}
	assert_true(refused < 30);
	qsort(digests, digest_count, sizeof(digests[0]), compare_numbers);
	for (size_t i = 1; i < digest_count; i++)
		assert_true(digests[i - 1] != digests[i]);
}

/* As many sources as there may be, in reasonable time; a tenth of them where sanitizers make everything slow. */
#ifdef __SANITIZE_ADDRESS__
#define MANY (POLICY_MAX_SOURCES / 10)
#else
#define MANY POLICY_MAX_SOURCES
#endif

static void test_print_many(void **state)
{
	_cleanup_text_ struct text text = {0};
	_cleanup_text_ struct text printed = {0};
	_cleanup_text_ struct text again = {0};
	struct diagnostics diagnostics = {0};
	struct timespec begin;
	struct timespec end;
	struct policy *policy = NULL;
	struct policy *copy = NULL;
	struct err err = {0};

	(void)state;
	text_append(&text, "environment a { tls = off clients = {");
	for (unsigned int i = 0; i < MANY; i++)
		if (i % 2)
			text_printf(&text, "%s10.%u.%u.%u", i ? "," : "", i >> 16, i >> 8 & 255, i & 255);
		else
			text_printf(&text, "%s2001:db8::%x:%x/127", i ? "," : "", i >> 16, i & 0xfffe);
	text_append(&text, "} }");
	assert_int_equal(policy_load_text("many", text_string(&text), text.length, &policy, &diagnostics, &err), 0);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	policy_print(policy, true, &printed);
	clock_gettime(CLOCK_MONOTONIC, &end);
	double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;

	print_message("%u sources printed in %.3f s\n", MANY, seconds);
	assert_true(seconds < 10);
	assert_int_equal(policy_load_text("many", text_string(&printed), printed.length, &copy, &diagnostics, &err), 0);
	assert_int_equal(copy->source_count, policy->source_count);
	policy_print(copy, false, &again);
	text_done(&printed);
	policy_print(policy, false, &printed);
	assert_true(strcmp(text_string(&printed), text_string(&again)) == 0);
	policy_free(policy);
	policy_free(copy);
	diagnostics_done(&diagnostics);
}

int main(int count, char **arguments)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_environment_is_not_expanded),
		cmocka_unit_test(test_modes),
		cmocka_unit_test(test_owner),
		cmocka_unit_test(test_not_a_file),
		cmocka_unit_test(test_included_files),
		cmocka_unit_test(test_include_depth),
		cmocka_unit_test(test_include_count),
		cmocka_unit_test(test_text_limit),
		cmocka_unit_test(test_source_limit),
		cmocka_unit_test(test_expectation_limit),
		cmocka_unit_test(test_waiver_limit),
		cmocka_unit_test(test_words_limit),
		cmocka_unit_test(test_reported_limit),
		cmocka_unit_test(test_many_networks),
		cmocka_unit_test(test_many_unknown),
		cmocka_unit_test(test_deep_braces),
		cmocka_unit_test(test_environment_choice),
		cmocka_unit_test(test_resolve),
		cmocka_unit_test(test_places),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_nothing_is_remembered),
		cmocka_unit_test(test_print_good),
		cmocka_unit_test(test_print_exact),
		cmocka_unit_test(test_print_random),
		cmocka_unit_test(test_print_many),
	};

	if (count > 1)
		golden = arguments[1];
	return cmocka_run_group_tests_name("policy", tests, group_setup, group_teardown);
}
