/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Every check of the area firewall has fixtures that pass, fail and are unknown, and this file fails where one is
 * missing. Those of the area bind are in test_bind.c. */

#include "hosts.h"
#include "mutations.h"
#include "policies.h"

/* --- facts --- */

struct scene {
	struct compiled expected, observed;
	struct changeset *drift;
	struct foreign *foreign;
	struct host *host;
	struct audit_facts facts;
	struct findings findings;
};

static void mutate_removed(struct ruleset *r)
{
	r->present = false;
}

static void mutate_accept(struct ruleset *r)
{
	rule_add_term(insert_rule(mutable_chain(r, "judge"), 0),
		&(struct term){.kind = TERM_VERDICT, .verdict = VERDICT_ACCEPT}, NULL);
}

static void scene_begin(struct scene *scene, void (*mutate)(struct ruleset *))
{
	*scene = (struct scene){.expected = compile_golden("everything"),
		.observed = compile_golden("everything"),
		.foreign = foreign_new(),
		.host = host_good()};
	if (mutate)
		mutate(scene->observed.ruleset);
	scene->drift = ruleset_diff(scene->expected.ruleset, scene->observed.ruleset);
	scene->facts = (struct audit_facts){.policy = scene->expected.policy,
		.environment = scene->expected.environment,
		.drift = scene->drift,
		.foreign = scene->foreign,
		.host = scene->host};
}

static void scene_done(struct scene *scene)
{
	findings_done(&scene->findings);
	foreign_free(scene->foreign);
	host_free(scene->host);
	changeset_free(scene->drift);
	compiled_done(&scene->observed);
	compiled_done(&scene->expected);
}

static struct foreign_fact fact(enum foreign_kind kind)
{
	return (struct foreign_fact){.kind = kind,
		.certain = true,
		.port = 6379,
		.from_first = 7000,
		.from_last = 7000,
		.to_port = 6379,
		.handle = 4,
		.probe = {.port = 6379, .width = WIDTH_IPV4, .source = {0, 0x0a140001}, .origin = 1},
		.table = mem_string("ip nat"),
		.chain = mem_string("PREROUTING"),
		.rule = mem_string("tcp dport 7000 redirect to :6379")};
}

static void add_nat(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_NAT);

	foreign_add(s->foreign, &f);
}

static void add_elsewhere(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_NAT);

	f.from_first = f.from_last = 6379;
	f.to_address = mem_string("10.66.0.9");
	foreign_add(s->foreign, &f);
}

static void add_range(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_NAT);

	f.from_last = 7010;
	foreign_add(s->foreign, &f);
}

static void add_any_port(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_NAT);

	f.from_first = 0;
	f.from_last = 65535;
	foreign_add(s->foreign, &f);
}

static void add_rewrite(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_REWRITE);

	f.unjudged = true;
	foreign_add(s->foreign, &f);
}

static void add_judged_rewrite(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_REWRITE);

	foreign_add(s->foreign, &f);
}

static void add_nat_to_somewhere(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_NAT);

	f.to_port = 0;
	foreign_add(s->foreign, &f);
}

static void add_rewrite_to_somewhere(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_REWRITE);

	f.unjudged = true;
	f.to_port = 0;
	foreign_add(s->foreign, &f);
}

static void add_notrack(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_NOTRACK);

	foreign_add(s->foreign, &f);
}

static void add_flowtable(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_FLOWTABLE);

	foreign_add(s->foreign, &f);
}

static void add_away(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_AWAY);

	foreign_add(s->foreign, &f);
}

static void add_drop(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_DROP);

	f.handle = 0;
	foreign_add(s->foreign, &f);
}

static void add_perhaps(struct scene *s)
{
	struct foreign_fact f = fact(FOREIGN_DROP);

	f.certain = false;
	foreign_add(s->foreign, &f);
}

static void incomplete(struct scene *s)
{
	s->foreign->incomplete = mem_string("they hold more rules than are looked at");
}

static void more(struct scene *s)
{
	for (unsigned int i = 0; i < FOREIGN_FACTS + 3; i++) {
		struct foreign_fact f = fact(FOREIGN_AWAY);

		f.handle = 100 + i;
		foreign_add(s->foreign, &f);
	}
}

static void legacy_present(struct scene *s)
{
	s->foreign->legacy = LEGACY_PRESENT;
	s->foreign->legacy_tables = mem_string("ip filter, ip nat");
}

static void legacy_unknown(struct scene *s)
{
	s->foreign->legacy = LEGACY_UNKNOWN;
	s->foreign->legacy_why = mem_string("cannot read /proc: Permission denied");
}

static void owner(struct scene *s)
{
	s->foreign->owners = mem_string("inet firewalld (firewalld)");
}

static void our_owner(struct scene *s)
{
	s->foreign->ours_is_owned = true;
}

static void managers(struct scene *s)
{
	s->foreign->managers = mem_string("ip filter (ufw)");
}

static void unreadable(struct scene *s)
{
	s->facts.drift = NULL;
	s->facts.drift_unknown = "the kernel answered: Operation not permitted";
	s->facts.foreign = NULL;
	s->facts.foreign_unknown = s->facts.drift_unknown;
	s->facts.host = NULL;
}

static void unchanged(struct scene *s)
{
	unreadable(s);
	s->facts.unchanged = true;
}

/* --- each check --- */

static const struct fixture {
	const char *id;
	void (*mutate)(struct ruleset *); /* our table */
	void (*prepare)(struct scene *);
	enum outcome outcome;
	enum severity severity;
	const char *text; /* of subject and message and evidence */
} fixtures[] = {
	{"firewall.in_force", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "in force"},
	{"firewall.in_force", NULL, unchanged, OUTCOME_PASS, SEVERITY_CRITICAL, "nothing changed"},
	{"firewall.in_force", mutate_removed, NULL, OUTCOME_FAIL, SEVERITY_CRITICAL, "there is no table"},
	{"firewall.in_force", mutate_dormant, NULL, OUTCOME_FAIL, SEVERITY_CRITICAL, "dormant"},
	{"firewall.in_force", NULL, unreadable, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "Operation not permitted"},
	{"firewall.drift", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "what the policy says"},
	{"firewall.drift", NULL, unchanged, OUTCOME_PASS, SEVERITY_CRITICAL, "nothing changed"},
	{"firewall.drift", mutate_accept, NULL, OUTCOME_FAIL, SEVERITY_CRITICAL, "1 difference from"},
	{"firewall.drift", NULL, unreadable, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "Operation not permitted"},
	{"firewall.foreign_nat", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "none maps"},
	{"firewall.foreign_nat", NULL, add_drop, OUTCOME_PASS, SEVERITY_WARNING, "none maps"},
	{"firewall.foreign_nat", NULL, unchanged, OUTCOME_PASS, SEVERITY_WARNING, "nothing changed"},
	{"firewall.foreign_nat", NULL, add_nat, OUTCOME_FAIL, SEVERITY_WARNING,
		"table ip nat chain PREROUTING handle 4: translates port 7000 to port 6379 of this host: tcp dport "
		"7000 redirect"},
	{"firewall.foreign_nat", NULL, add_elsewhere, OUTCOME_FAIL, SEVERITY_WARNING,
		"translates port 6379 to port 6379 of 10.66.0.9"},
	{"firewall.foreign_nat", NULL, add_range, OUTCOME_FAIL, SEVERITY_WARNING, "a port of 7000-7010 to"},
	{"firewall.foreign_nat", NULL, add_any_port, OUTCOME_FAIL, SEVERITY_WARNING, "another port to"},
	{"firewall.foreign_nat", NULL, add_rewrite, OUTCOME_FAIL, SEVERITY_CRITICAL, "where nothing judges it"},
	{"firewall.foreign_nat", NULL, add_judged_rewrite, OUTCOME_FAIL, SEVERITY_WARNING, "rewrites port 7000"},
	{"firewall.foreign_nat", NULL, add_nat_to_somewhere, OUTCOME_UNKNOWN, SEVERITY_INFO, "cannot be told"},
	{"firewall.foreign_nat", NULL, add_rewrite_to_somewhere, OUTCOME_UNKNOWN, SEVERITY_WARNING, "cannot be told"},
	{"firewall.foreign_nat", NULL, unreadable, OUTCOME_UNKNOWN, SEVERITY_WARNING, "Operation not permitted"},
	{"firewall.foreign_nat", NULL, incomplete, OUTCOME_UNKNOWN, SEVERITY_WARNING, "more rules"},
	{"firewall.foreign_nat", NULL, more, OUTCOME_UNKNOWN, SEVERITY_WARNING,
		"64 rules that concern guarded ports are told, and 3 more"},
	{"firewall.notrack", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "none has notrack"},
	{"firewall.notrack", NULL, unchanged, OUTCOME_PASS, SEVERITY_CRITICAL, "nothing changed"},
	{"firewall.notrack", NULL, add_notrack, OUTCOME_FAIL, SEVERITY_CRITICAL, "away from port 6379"},
	{"firewall.notrack", NULL, unreadable, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "Operation not permitted"},
	{"firewall.notrack", NULL, incomplete, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "more rules"},
	{"firewall.flowtable", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "none has"},
	{"firewall.flowtable", NULL, unchanged, OUTCOME_PASS, SEVERITY_CRITICAL, "nothing changed"},
	{"firewall.flowtable", NULL, add_flowtable, OUTCOME_FAIL, SEVERITY_CRITICAL, "pass by all chains"},
	{"firewall.flowtable", NULL, add_away, OUTCOME_FAIL, SEVERITY_CRITICAL, "before any chain"},
	{"firewall.flowtable", NULL, unreadable, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "Operation not permitted"},
	{"firewall.flowtable", NULL, incomplete, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "more rules"},
	{"firewall.foreign_drop", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "none drops"},
	{"firewall.foreign_drop", NULL, unchanged, OUTCOME_PASS, SEVERITY_WARNING, "nothing changed"},
	{"firewall.foreign_drop", NULL, add_drop, OUTCOME_FAIL, SEVERITY_WARNING,
		"table ip nat chain PREROUTING: drops what the policy allows: from 10.20.0.1 to port 6379"},
	{"firewall.foreign_drop", NULL, add_perhaps, OUTCOME_UNKNOWN, SEVERITY_INFO, "may drop"},
	{"firewall.foreign_drop", NULL, unreadable, OUTCOME_UNKNOWN, SEVERITY_WARNING, "Operation not permitted"},
	{"firewall.foreign_drop", NULL, incomplete, OUTCOME_UNKNOWN, SEVERITY_WARNING, "more rules"},
	{"firewall.legacy", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "there are no tables"},
	{"firewall.legacy", NULL, unchanged, OUTCOME_PASS, SEVERITY_WARNING, "nothing changed"},
	{"firewall.legacy", NULL, legacy_present, OUTCOME_FAIL, SEVERITY_WARNING, "ip filter, ip nat"},
	{"firewall.legacy", NULL, legacy_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "Permission denied"},
	{"firewall.legacy", NULL, unreadable, OUTCOME_UNKNOWN, SEVERITY_WARNING, "Operation not permitted"},
	{"firewall.owner", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "none that names a guarded port has an owner"},
	{"firewall.owner", NULL, managers, OUTCOME_PASS, SEVERITY_WARNING, "known by name: ip filter (ufw)"},
	{"firewall.owner", NULL, unchanged, OUTCOME_PASS, SEVERITY_WARNING, "nothing changed"},
	{"firewall.owner", NULL, owner, OUTCOME_FAIL, SEVERITY_WARNING, "inet firewalld (firewalld)"},
	{"firewall.owner", NULL, our_owner, OUTCOME_FAIL, SEVERITY_WARNING, "table inet dflyguard: a program owns it"},
	{"firewall.owner", NULL, unreadable, OUTCOME_UNKNOWN, SEVERITY_WARNING, "Operation not permitted"},
	{"firewall.owner", NULL, incomplete, OUTCOME_UNKNOWN, SEVERITY_WARNING, "more rules"},
};

static void test_fixtures(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++) {
		const struct fixture *f = &fixtures[i];
		struct scene scene;
		size_t found = 0;

		scene_begin(&scene, f->mutate);
		if (f->prepare)
			f->prepare(&scene);
		audit_run(&scene.facts, &scene.findings);
		for (size_t k = 0; k < scene.findings.count; k++) {
			const struct finding *finding = &scene.findings.items[k];
			_cleanup_free_ char *text = mem_format("%s: %s: %s", finding->subject, finding->message,
				finding->evidence ? finding->evidence : "");

			/* Who fails says what to do, and only who fails. */
			assert_int_equal(finding->outcome == OUTCOME_FAIL, finding->remedy != NULL);
			if (strcmp(finding->check->id, f->id) != 0)
				continue;
			found++;
			if (finding->outcome != f->outcome || finding->severity != f->severity ||
				!strstr(text, f->text))
				fail_msg("fixture %zu, %s: %s, %s, '%s'", i, f->id, outcome_name(finding->outcome),
					severity_name(finding->severity), text);
		}
		if (found != 1)
			fail_msg("fixture %zu: %zu findings of %s", i, found, f->id);
		scene_done(&scene);
	}
}

static void test_every_check_has_fixtures(void **state)
{
	static const enum outcome needed[] = {OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_UNKNOWN};
	size_t count;
	const struct check *checks = audit_checks(&count);

	(void)state;
	assert_true(count >= 8);
	for (size_t c = 0; c < count; c++) {
		for (size_t n = 0; n < ARRAY_SIZE(needed); n++) {
			bool found = strcmp(checks[c].area, "bind") == 0;

			for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
				found = found ||
					(strcmp(fixtures[i].id, checks[c].id) == 0 && fixtures[i].outcome == needed[n]);
			if (!found)
				fail_msg(
					"%s has no fixture with the outcome %s", checks[c].id, outcome_name(needed[n]));
		}
		assert_true(*checks[c].title && *checks[c].meaning && *checks[c].remedy);
		/* An unknown is explained, too. */
		assert_non_null(strstr(checks[c].meaning, "Unknown"));
		assert_int_equal(strncmp(checks[c].id, checks[c].area, strlen(checks[c].area)), 0);
		for (size_t k = 0; k < c; k++)
			assert_string_not_equal(checks[c].id, checks[k].id);
	}
}

/* Without facts nothing passes. */
static void test_unknown_is_no_pass(void **state)
{
	struct scene scene;

	(void)state;
	scene_begin(&scene, NULL);
	unreadable(&scene);
	audit_run(&scene.facts, &scene.findings);
	assert_int_equal(findings_count(&scene.findings, OUTCOME_PASS, SEVERITY_INFO), 0);
	assert_int_equal(findings_exit(&scene.findings, SEVERITY_CRITICAL), 2);
	scene_done(&scene);
}

/* --- exit status and order --- */

static void test_exit_status(void **state)
{
	static const struct {
		struct {
			enum outcome outcome;
			enum severity severity;
		} findings[3];
		int exit[3]; /* --fail-on info, warning, critical */
	} rows[] = {
		{{{OUTCOME_PASS, SEVERITY_CRITICAL}, {OUTCOME_PASS, SEVERITY_INFO},
			 {OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL}},
			{0, 0, 0}},
		{{{OUTCOME_FAIL, SEVERITY_CRITICAL}, {OUTCOME_PASS, SEVERITY_INFO}, {OUTCOME_PASS, SEVERITY_CRITICAL}},
			{1, 1, 1}},
		{{{OUTCOME_FAIL, SEVERITY_WARNING}, {OUTCOME_PASS, SEVERITY_INFO}, {OUTCOME_PASS, SEVERITY_CRITICAL}},
			{1, 1, 0}},
		{{{OUTCOME_FAIL, SEVERITY_INFO}, {OUTCOME_PASS, SEVERITY_INFO}, {OUTCOME_PASS, SEVERITY_CRITICAL}},
			{1, 0, 0}},
		{{{OUTCOME_UNKNOWN, SEVERITY_CRITICAL}, {OUTCOME_PASS, SEVERITY_INFO},
			 {OUTCOME_PASS, SEVERITY_CRITICAL}},
			{2, 2, 2}},
		{{{OUTCOME_UNKNOWN, SEVERITY_WARNING}, {OUTCOME_PASS, SEVERITY_INFO},
			 {OUTCOME_PASS, SEVERITY_CRITICAL}},
			{2, 2, 0}},
		{{{OUTCOME_UNKNOWN, SEVERITY_INFO}, {OUTCOME_PASS, SEVERITY_INFO}, {OUTCOME_PASS, SEVERITY_CRITICAL}},
			{2, 0, 0}},
		{{{OUTCOME_UNKNOWN, SEVERITY_CRITICAL}, {OUTCOME_FAIL, SEVERITY_WARNING},
			 {OUTCOME_PASS, SEVERITY_CRITICAL}},
			{1, 1, 2}},
		{{{OUTCOME_UNKNOWN, SEVERITY_INFO}, {OUTCOME_FAIL, SEVERITY_WARNING},
			 {OUTCOME_FAIL, SEVERITY_CRITICAL}},
			{1, 1, 1}},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct finding items[3] = {0};
		struct findings findings = {.items = items, .count = 3};

		for (size_t k = 0; k < 3; k++) {
			items[k].outcome = rows[i].findings[k].outcome;
			items[k].severity = rows[i].findings[k].severity;
		}
		for (int fail_on = SEVERITY_INFO; fail_on <= SEVERITY_CRITICAL; fail_on++)
			if (findings_exit(&findings, (enum severity)fail_on) != rows[i].exit[fail_on])
				fail_msg("row %zu, --fail-on %s: %d", i, severity_name((enum severity)fail_on),
					findings_exit(&findings, (enum severity)fail_on));
	}
}

static void test_order(void **state)
{
	struct scene scene;
	size_t passed = 0;

	(void)state;
	scene_begin(&scene, mutate_accept);
	add_nat(&scene);
	add_notrack(&scene);
	add_perhaps(&scene);
	/* The same once more is one fact. */
	add_nat(&scene);
	audit_run(&scene.facts, &scene.findings);
	assert_string_equal(scene.findings.items[0].check->id, "firewall.drift");
	assert_string_equal(scene.findings.items[1].check->id, "firewall.notrack");
	assert_string_equal(scene.findings.items[2].check->id, "firewall.foreign_nat");
	assert_string_equal(scene.findings.items[3].check->id, "firewall.foreign_drop");
	assert_int_equal(scene.findings.items[3].outcome, OUTCOME_UNKNOWN);
	assert_int_equal(findings_count(&scene.findings, OUTCOME_FAIL, SEVERITY_INFO), 3);
	for (size_t i = 0; i < scene.findings.count; i++)
		passed += scene.findings.items[i].outcome == OUTCOME_PASS &&
			  strcmp(scene.findings.items[i].check->area, "firewall") == 0;
	assert_int_equal(passed, 4);
	scene_done(&scene);
}

static void test_words(void **state)
{
	enum severity severity = SEVERITY_INFO;

	(void)state;
	assert_true(severity_parse("critical", &severity));
	assert_int_equal(severity, SEVERITY_CRITICAL);
	assert_false(severity_parse("", &severity));
	assert_false(severity_parse("Warning", &severity));
	assert_string_equal(outcome_name(OUTCOME_NOT_APPLICABLE), "not-applicable");
}

/* --- what is asked --- */

static void test_question(void **state)
{
	struct foreign_question q;
	struct compiled c = compile_text("p",
		"default_environment = e\nservice { port = 6379 tls_port = 6380 admin_port = 9999 memcached_port = "
		"11211 }\n"
		"environment e { tls = required clients = {\"10.0.0.0/8\", \"127.0.0.0/8\", \"2001:db8::7\"} admins = "
		"{\"::1\"}\n"
		"bind = {\"127.0.0.1\", \"10.0.0.5\"} }\n",
		NULL);

	(void)state;
	foreign_ask(c.policy, c.environment, &q);
	assert_int_equal(q.port_count, 4);
	/* Only the TLS port is open, for IPv4 alone since no IPv6 address is bound; not from loopback. */
	assert_int_equal(q.probe_count, 1);
	assert_int_equal(q.probes[0].port, 6380);
	assert_int_equal(q.probes[0].source.lo, 0x0a000001);
	assert_true(q.probes[0].destination_known);
	assert_int_equal(q.probes[0].destination.lo, 0x0a000005);
	compiled_done(&c);

	c = compile_text("p",
		"default_environment = e\nenvironment e { tls = off clients = {\"10.0.0.1\", \"10.0.0.9\", "
		"\"10.0.0.20/31\", "
		"\"10.0.0.30\", \"2001:db8::7\"} }\n",
		NULL);
	foreign_ask(c.policy, c.environment, &q);
	assert_int_equal(q.port_count, 1);
	/* The first, the one in the middle, the last. */
	assert_int_equal(q.probe_count, 4);
	assert_int_equal(q.probes[0].source.lo, 0x0a000001);
	assert_int_equal(q.probes[1].source.lo, 0x0a000015);
	assert_int_equal(q.probes[2].source.lo, 0x0a00001e);
	assert_int_equal(q.probes[3].width, WIDTH_IPV6);
	assert_false(q.probes[0].destination_known);
	compiled_done(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_every_check_has_fixtures),
		cmocka_unit_test(test_unknown_is_no_pass),
		cmocka_unit_test(test_exit_status),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_question),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
