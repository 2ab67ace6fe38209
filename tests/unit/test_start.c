/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What `audit --before-start` lets start. How flags are read is in test_flags.c; here is what is judged of them. */

#include "audit.h"
#include "policies.h"

static const char with_bind[] = "default_environment = e\n"
				"service { port = 6379 tls_port = 6380 admin_port = 9999 memcached_port = 11211 }\n"
				"environment e { tls = optional clients = {\"10.20.0.0/24\"}\n"
				"\tbind = {\"10.20.0.5\", \"2001:db8::5\"}\n"
				"\tadmin_bind = {\"10.9.0.1\"} }\n";
static const char without_bind[] = "default_environment = e\n"
				   "environment e { tls = optional clients = {\"10.20.0.0/24\"} }\n"
				   "service { tls_port = 6380 }\n";

static const struct {
	const char *policy;
	const char *flags; /* NULL: not known */
	int exit;
	const char *worst; /* in the first finding about the start */
	const char *remedy;
} rows[] = {
	{with_bind, "--bind=10.20.0.5", 0, "port 6379 at 10.20.0.5, as the policy's bind", NULL},
	{with_bind, "--bind=2001:db8::5 --port=6380", 0, "port 6380 at 2001:db8::5, as the policy's bind", NULL},
	{with_bind, "--bind=127.0.0.1", 0, "port 6379 at 127.0.0.1, which only this host reaches", NULL},
	{with_bind, "--bind=10.20.0.5 --admin_port=9999 --admin_bind=10.9.0.1 --memcached_port=11211", 0,
		"as the policy's", NULL},
	{with_bind, "", 1, "every address of this host, but bind is 10.20.0.5, 2001:db8::5: no flag says otherwise",
		"--bind=10.20.0.5"},
	{with_bind, "--bind=0.0.0.0", 1,
		"every address of this host, but bind is 10.20.0.5, 2001:db8::5: --bind='0.0.0.0' on",
		"--bind=10.20.0.5"},
	{with_bind, "--bind=::", 1, "open at ::, that is, at every address of this host", "--bind=10.20.0.5"},
	{with_bind, "--bind=::ffff:0.0.0.0", 1, "every address of this host", "--bind=10.20.0.5"},
	{with_bind, "--bind=10.20.0.6", 1, "open at 10.20.0.6, but bind is", "--bind=10.20.0.5"},
	/* The address of one port is not that of another, and neither is the port. */
	{with_bind, "--bind=10.9.0.1", 1, "open at 10.9.0.1, but bind is", "--bind=10.20.0.5"},
	{with_bind, "--bind=10.20.0.5 --admin_port=9999 --admin_bind=10.20.0.5", 1,
		"admin_port 9999 would be open at 10.20.0.5, but admin_bind is 10.9.0.1", "--admin_bind=10.9.0.1"},
	{with_bind, "--bind=10.20.0.5 --admin_port=9999", 1,
		"admin_port 9999 would be open at 0.0.0.0, that is, at every", "--admin_bind=10.9.0.1"},
	{with_bind, "--bind=10.20.0.5 --port=7000", 1,
		"its port would be 7000, which the policy does not guard as that", "another --port"},
	{with_bind, "--bind=10.9.0.1 --port=9999", 1, "its port would be 9999, which", "another --port"},
	{with_bind, "--bind=10.20.0.5 --admin_port=6380 --admin_bind=10.20.0.5", 1,
		"its admin_port would be 6380, which", "another --admin_port"},
	{with_bind, "--bind=10.20.0.5 --memcached_port=6380", 1, "its memcached_port would be 6380, which", NULL},
	{with_bind, "--bind=10.20.0.5 --port=-1", 1, "its port would be one that is free by then", "another --port"},
	/* One bad one spoils all, in any order. */
	{with_bind, "--bind=0.0.0.0 --admin_port=9999 --admin_bind=10.9.0.1", 1, "port 6379 would be open at 0.0.0.0",
		NULL},
	/* Not known is not allowed. */
	{with_bind, "--bind=db.example", 2, "an address that only the server's resolver knows: --bind='db.example'",
		"--bind=10.20.0.5"},
	{with_bind, NULL, 2, "its flags could not be told: nobody knows", NULL},
	{with_bind, "--bind=10.20.0.5 --flagfile=/unreadable", 2, "its flags could not be told: ", NULL},
	/* It would not come up anyway. */
	{with_bind, "--nonsense", 1, "it would refuse to start: ", NULL},
	/* No secrets, also where a flag swallowed one. */
	{with_bind, "--bind --requirepass=hunter2", 1, "Error resolving address a secret value", NULL},
	/* The policy asks for no address. */
	{without_bind, "", 0, "port 6379 at 0.0.0.0: the policy has no bind, so any address will do", NULL},
	{without_bind, "--bind=::", 0, "so any address will do", NULL},
	{without_bind, "--bind=db.example", 0, "so any address will do", NULL},
	{without_bind, "--admin_port=9999", 1, "its admin_port would be 9999, which", NULL},
	{without_bind, "--port=0 --unixsocket=/run/d.sock", 0, "Unix socket /run/d.sock", NULL},
};

static int read_file(
	_unused_ void *data, _unused_ const char *path, _unused_ char **ret, _unused_ size_t *ret_length, char *why)
{
	snprintf(why, INTERVAL_WHY, "not permitted");
	return -EACCES;
}

static struct intention *intend(const char *flags)
{
	_cleanup_free_ char *words = mem_string(flags);
	char *arguments[16];
	struct flags_input input = {.arguments = arguments, .read_file = read_file};
	struct intention *intention;
	char *rest = words;

	for (char *word; (word = strsep(&rest, " "));)
		if (*word)
			arguments[input.argument_count++] = word;
	intention_read(&input, &intention);
	return intention;
}

static const struct finding *find_first(const struct findings *findings)
{
	for (size_t i = 0; i < findings->count; i++)
		if (strcmp(findings->items[i].check->id, "start.binding") == 0)
			return &findings->items[i];
	fail_msg("no finding of start.binding");
	return NULL;
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct compiled compiled = compile_text("policy.conf", rows[i].policy, NULL);
		struct intention *intention = rows[i].flags ? intend(rows[i].flags) : NULL;
		struct audit_intention told = {.source = INTENTION_UNIT,
			.subject = "dragonfly.service",
			.intention = intention,
			.unknown = intention ? NULL : "nobody knows",
			.process = LISTENERS_NO_INDEX};
		struct audit_facts facts = {.policy = compiled.policy,
			.environment = compiled.environment,
			.unchanged = true,
			.intentions = &told,
			.intention_count = 1};
		struct findings findings = {0};
		const struct finding *first;

		audit_start(&facts, &findings);
		first = find_first(&findings);
		if (findings_exit(&findings, SEVERITY_WARNING) != rows[i].exit ||
			!strstr(first->message, rows[i].worst))
			fail_msg("'%s': exit status %d, %s", rows[i].flags, findings_exit(&findings, SEVERITY_WARNING),
				first->message);
		if (rows[i].remedy && (!first->remedy || !strstr(first->remedy, rows[i].remedy)))
			fail_msg("'%s': remedy %s", rows[i].flags, first->remedy);
		for (size_t j = 0; j < findings.count; j++) {
			assert_null(strstr(findings.items[j].message, "hunter2"));
			assert_true(!findings.items[j].remedy || !strstr(findings.items[j].remedy, "hunter2"));
		}
		findings_done(&findings);
		intention_free(intention);
		compiled_done(&compiled);
	}
}

/* Good flags are not enough. */
static void test_firewall(void **state)
{
	static const struct {
		bool unchanged, drift;
		int exit;
	} cases[] = {{true, false, 0}, {false, true, 1}, {false, false, 2}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct compiled compiled = compile_text("policy.conf", with_bind, NULL);
		struct ruleset *nothing = ruleset_new();
		struct changeset *drift = ruleset_diff(compiled.ruleset, nothing);
		struct intention *intention = intend("--bind=10.20.0.5");
		struct audit_intention told = {.source = INTENTION_UNIT,
			.subject = "dragonfly.service",
			.intention = intention,
			.process = LISTENERS_NO_INDEX};
		struct audit_facts facts = {.policy = compiled.policy,
			.environment = compiled.environment,
			.unchanged = cases[i].unchanged,
			.drift = cases[i].drift ? drift : NULL,
			.drift_unknown = "not permitted",
			.intentions = &told,
			.intention_count = 1};
		struct findings findings = {0};

		audit_start(&facts, &findings);
		assert_int_equal(findings_exit(&findings, SEVERITY_WARNING), cases[i].exit);
		findings_done(&findings);
		/* And where nobody asked for the flags, that is no pass. */
		facts.intention_count = 0;
		findings = (struct findings){0};
		audit_start(&facts, &findings);
		assert_int_equal(findings_exit(&findings, SEVERITY_WARNING), cases[i].exit ? cases[i].exit : 2);
		findings_done(&findings);
		intention_free(intention);
		changeset_free(drift);
		ruleset_free(nothing);
		compiled_done(&compiled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_firewall),
	};

	return cmocka_run_group_tests_name("start", tests, NULL, NULL);
}
