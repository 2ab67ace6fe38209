/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the policy waives, and environments that are weaker than production. */

#include <time.h>

#include "audit.h"
#include "policies.h"

#define DAY	  86400u
#define TODAY	  "2026-11-26"
#define YESTERDAY "2026-11-25"

/* Two tables of others: a check that fails twice with different subjects, and one that is unknown. */
static const char service[] = "default_environment = production\nservice { tls_port = 6380 admin_port = 9999 }\n";
static const char production[] = "environment production { tls = required clients = {\"10.20.0.0/24\"} %s }\n";

struct scene {
	struct compiled compiled;
	struct foreign *foreign;
	struct changeset *drift;
	struct audit_facts facts;
	struct findings findings;
};

static uint64_t today(void)
{
	uint32_t days = 0;

	assert_int_equal(date_parse(TODAY, &days), 0);
	return (uint64_t)days * DAY + DAY - 1;
}

static void add_fact(struct foreign *foreign, enum foreign_kind kind, const char *chain)
{
	struct foreign_fact fact = {.kind = kind,
		.certain = true,
		.port = 6380,
		.from_first = 7000,
		.from_last = 7000,
		.to_port = 6380,
		.handle = 4,
		.table = mem_string("ip nat"),
		.chain = mem_string(chain),
		.rule = mem_string("tcp dport 7000 redirect to :6380")};

	foreign_add(foreign, &fact);
}

/* `inside` stands in environment production, `outside` behind all. */
static void scene_begin(struct scene *scene, const char *inside, const char *outside)
{
	_cleanup_text_ struct text text = {0};

	text_append(&text, service);
	_Pragma("GCC diagnostic push") _Pragma("GCC diagnostic ignored \"-Wformat-nonliteral\"");
	text_printf(&text, production, inside);
	_Pragma("GCC diagnostic pop");
	text_append(&text, outside);
	*scene = (struct scene){.compiled = compile_text("p.conf", text_string(&text), NULL), .foreign = foreign_new()};
	add_fact(scene->foreign, FOREIGN_NAT, "one");
	add_fact(scene->foreign, FOREIGN_NAT, "two");
	scene->drift = ruleset_diff(scene->compiled.ruleset, scene->compiled.ruleset);
	scene->facts = (struct audit_facts){.policy = scene->compiled.policy,
		.environment = scene->compiled.environment,
		.drift = scene->drift,
		.foreign = scene->foreign,
		.host_unknown = "not looked at",
		.tls_unknown = "not looked at",
		.server_unknown = "not looked at",
		.now = today()};
}

static void scene_done(struct scene *scene)
{
	findings_done(&scene->findings);
	foreign_free(scene->foreign);
	changeset_free(scene->drift);
	compiled_done(&scene->compiled);
}

static size_t count_waived(const struct findings *findings, const char *id)
{
	size_t count = 0;

	for (size_t i = 0; i < findings->count; i++)
		count += findings->items[i].waived && strcmp(findings->items[i].check->id, id) == 0;
	return count;
}

/* The findings of one check, which must be one, or the worst of them. */
static const struct finding *find(const struct findings *findings, const char *id)
{
	for (size_t i = 0; i < findings->count; i++)
		if (strcmp(findings->items[i].check->id, id) == 0)
			return &findings->items[i];
	return NULL;
}

/* --- waivers --- */

#define WAIVE(id, more) "waive " id " { reason = \"known\" " more " }\n"

static const struct {
	const char *inside, *outside;
	const char *id; /* of what is waived */
	size_t waived;
	uint64_t now; /* 0: as scene_begin() says */
	enum outcome outcome;
	enum severity severity;
	const char *text;
} rows[] = {
	{"", "", "firewall.foreign_nat", 0, 0, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "nothing is waived"},
	{"", WAIVE("firewall.foreign_nat", "until = " TODAY), "firewall.foreign_nat", 2, 0, OUTCOME_PASS,
		SEVERITY_WARNING, "firewall.foreign_nat: waives 2 findings until " TODAY},
	{WAIVE("firewall.foreign_nat", "until = 2027-01-01"), "", "firewall.foreign_nat", 2, 0, OUTCOME_PASS,
		SEVERITY_WARNING, "waives 2 findings until 2027-01-01"},
	/* Of another environment. */
	{"", "environment staging { clients = {} " WAIVE("firewall.foreign_nat", "until = 2027-01-01") "}",
		"firewall.foreign_nat", 0, 0, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "nothing is waived"},
	{"", WAIVE("firewall.foreign_nat", "environment = production until = 2027-01-01"), "firewall.foreign_nat", 2, 0,
		OUTCOME_PASS, SEVERITY_WARNING, "waives 2"},
	/* Yesterday was the last day. */
	{"", WAIVE("firewall.foreign_nat", "until = " YESTERDAY), "firewall.foreign_nat", 0, 0, OUTCOME_FAIL,
		SEVERITY_WARNING, "expired with " YESTERDAY ", and what it waived counts again; its reason was: known"},
	/* Subjects. */
	{"", WAIVE("firewall.foreign_nat", "until = 2027-01-01 subject = 'table ip nat chain one handle 4'"),
		"firewall.foreign_nat", 1, 0, OUTCOME_PASS, SEVERITY_WARNING,
		"firewall.foreign_nat of table ip nat chain one handle 4: waives 1 finding until"},
	{"", WAIVE("firewall.foreign_nat", "until = 2027-01-01 subject = '*chain one*'"), "firewall.foreign_nat", 1, 0,
		OUTCOME_PASS, SEVERITY_WARNING, "waives 1"},
	{"", WAIVE("firewall.foreign_nat", "until = 2027-01-01 subject = 'table*nat*chain*handle 4'"),
		"firewall.foreign_nat", 2, 0, OUTCOME_PASS, SEVERITY_WARNING, "waives 2"},
	{"", WAIVE("firewall.foreign_nat", "until = 2027-01-01 subject = '*'"), "firewall.foreign_nat", 2, 0,
		OUTCOME_PASS, SEVERITY_WARNING, "waives 2"},
	{"", WAIVE("firewall.foreign_nat", "until = 2027-01-01 subject = 'table ip nat chain one'"),
		"firewall.foreign_nat", 0, 0, OUTCOME_FAIL, SEVERITY_INFO, "waives nothing now"},
	{"", WAIVE("firewall.foreign_nat", "until = 2027-01-01 subject = '[t]able*'"), "firewall.foreign_nat", 0, 0,
		OUTCOME_FAIL, SEVERITY_INFO, "waives nothing now"},
	{"", WAIVE("firewall.foreign_nat", "until = 2027-01-01 subject = '*chain three*'"), "firewall.foreign_nat", 0,
		0, OUTCOME_FAIL, SEVERITY_INFO, "waives nothing now"},
	/* What is unknown may be waived, too; what passes need not be. */
	{"", WAIVE("bind.wildcard", "until = 2027-01-01"), "bind.wildcard", 1, 0, OUTCOME_PASS, SEVERITY_WARNING,
		"waives 1"},
	{"", WAIVE("firewall.notrack", "until = 2027-01-01"), "firewall.notrack", 0, 0, OUTCOME_FAIL, SEVERITY_INFO,
		"waives nothing now"},
	/* What may not. */
	{"", WAIVE("firewall.drift", "until = 2027-01-01"), "firewall.drift", 0, 0, OUTCOME_FAIL, SEVERITY_WARNING,
		"firewall.drift cannot be waived: a difference may let anybody in"},
	{"", WAIVE("firewall.in_force", "until = 2027-01-01"), "firewall.in_force", 0, 0, OUTCOME_FAIL,
		SEVERITY_WARNING, "firewall.in_force cannot be waived"},
	{"", WAIVE("policy.waiver", "until = 2027-01-01"), "policy.waiver", 0, 0, OUTCOME_FAIL, SEVERITY_WARNING,
		"policy.waiver cannot be waived"},
	{"", WAIVE("firewall.foreign_nta", "until = 2027-01-01"), "firewall.foreign_nat", 0, 0, OUTCOME_FAIL,
		SEVERITY_WARNING, "no check 'firewall.foreign_nta': did you mean 'firewall.foreign_nat'?"},
	{"", WAIVE("made.up", "until = 2027-01-01"), "firewall.foreign_nat", 0, 0, OUTCOME_FAIL, SEVERITY_WARNING,
		"no check 'made.up': `dflyguard checks` lists them"},
	/* Watch's are there, though audit does not have them. */
	{"", WAIVE("watch.handshake", "until = 2027-01-01"), "watch.handshake", 0, 0, OUTCOME_FAIL, SEVERITY_INFO,
		"waives nothing now"},
	/* A host that woke up in 1970. */
	{"", WAIVE("firewall.foreign_nat", "until = 2027-01-01"), "firewall.foreign_nat", 0, 1000, OUTCOME_UNKNOWN,
		SEVERITY_WARNING, "the clock of this host is not set"},
};

static void test_waivers(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene scene;
		const struct finding *finding;

		scene_begin(&scene, rows[i].inside, rows[i].outside);
		if (rows[i].now)
			scene.facts.now = rows[i].now;
		audit_run(&scene.facts, &scene.findings);
		if (count_waived(&scene.findings, rows[i].id) != rows[i].waived)
			fail_msg("row %zu: %zu waived", i, count_waived(&scene.findings, rows[i].id));
		assert_int_equal(findings_waived(&scene.findings), rows[i].waived);
		finding = find(&scene.findings, "policy.waiver");
		assert_non_null(finding);
		if (finding->outcome != rows[i].outcome || finding->severity != rows[i].severity ||
			!strstr(finding->message, rows[i].text))
			fail_msg("row %zu: %s, %s, '%s'", i, outcome_name(finding->outcome),
				severity_name(finding->severity), finding->message);
		assert_int_equal(finding->origin != 0, rows[i].outcome != OUTCOME_NOT_APPLICABLE);
		scene_done(&scene);
	}
}

/* What is waived does not count, and is shown last; its outcome stays. */
static void test_waived_does_not_count(void **state)
{
	struct scene scene;
	const struct finding *last;
	size_t failed;

	(void)state;
	scene_begin(&scene, "", "");
	audit_run(&scene.facts, &scene.findings);
	failed = findings_count(&scene.findings, OUTCOME_FAIL, SEVERITY_INFO);
	assert_int_equal(failed, 2);
	assert_int_equal(findings_exit(&scene.findings, SEVERITY_WARNING), 1);
	scene_done(&scene);

	scene_begin(&scene, "", WAIVE("firewall.foreign_nat", "until = 2027-01-01"));
	audit_run(&scene.facts, &scene.findings);
	assert_int_equal(findings_count(&scene.findings, OUTCOME_FAIL, SEVERITY_INFO), 0);
	/* Nobody looked at the host. */
	assert_int_equal(findings_exit(&scene.findings, SEVERITY_WARNING), 2);
	last = &scene.findings.items[scene.findings.count - 1];
	assert_string_equal(last->check->id, "firewall.foreign_nat");
	assert_int_equal(last->outcome, OUTCOME_FAIL);
	assert_string_equal(last->waived, "known");
	assert_int_equal(policy_place(scene.facts.policy, last->waived_origin).line, 4);
	scene_done(&scene);
}

/* --- environments --- */

static const struct {
	const char *production, *staging;
	const char *text; /* NULL: not weaker */
	unsigned int line;
} weaker[] = {
	{"", "tls = required clients = {\"10.20.0.0/24\"}", NULL, 0},
	{"", "clients = {\"10.20.0.7\", \"127.0.0.0/8\", \"::1\"}", NULL, 0},
	{"", "clients = {}", NULL, 0},
	{"", "clients = {} tls = optional", "tls = optional, and production has tls = required", 4},
	{"", "clients = {} tls = off", "tls = off, and production", 4},
	{"", "clients = {} password = optional", "password = optional, and production has password = required", 4},
	{"bind = {\"10.0.0.1\"} bind_guard = rewrite", "clients = {} bind = {\"10.0.0.1\"}",
		"bind_guard = off (the default), and production has bind_guard = rewrite", 4},
	{"bind = {\"10.0.0.1\"} bind_guard = deny", "clients = {} bind = {\"10.0.0.1\"} bind_guard = rewrite", NULL, 0},
	{"client_certificates = required", "clients = {}",
		"client_certificates = any (the default), and production has client_certificates = required", 4},
	{"", "clients = {} self_signed = allow", "self_signed = allow", 4},
	{"self_signed = allow", "clients = {}", NULL, 0},
	{"loopback = deny", "clients = {} loopback = tls", "loopback = tls, and production has loopback = deny", 4},
	{"loopback = tls", "clients = {} loopback = deny", NULL, 0},
	{"", "clients = {} admin_tls = off", "admin_tls = off", 4},
	{"routed = all", "clients = {}", "routed = containers (the default), and production has routed = all", 4},
	{"", "clients = {} routed = none", "routed = none", 4},
	{"", "clients = {} log = none", "log = none, and production has log = sampled", 4},
	{"log = all", "clients = {} log = sampled", NULL, 0},
	{"", "clients = {\"10.20.0.0/23\"}", "clients has 10.20.1.0/24, which production does not let in", 4},
	{"", "clients = {\"10.9.0.1\", \"10.20.0.0/24\", \"2001:db8::/32\"}",
		"clients has 10.9.0.1 and 1 more that production does not let in", 4},
	{"", "clients = any", "clients holds every address", 4},
	{"", "clients = \"::/0\"", "clients holds every address", 4},
	{"admins = {\"10.1.0.0/28\"}", "clients = {} admins = {\"10.1.0.0/29\"}", NULL, 0},
	{"admins = {\"10.1.0.0/28\"}", "clients = {} admins = {\"10.1.0.0/27\"}", "admins has 10.1.0.16/28", 4},
	/* The service has no such port. */
	{"", "clients = {} memcached_clients = {\"10.1.0.0/27\"}", NULL, 0},
	{"bind = \"10.20.0.5\"", "clients = {}", "no bind", 4},
	{"bind = \"10.20.0.5\"", "clients = {} bind = \"10.20.0.6\"", NULL, 0},
	{"admin_bind = \"10.20.0.5\"", "clients = {}", "no admin_bind", 4},
	{"admin_bind = \"10.20.0.5\"", "clients = {} bind = \"10.20.0.6\"", NULL, 0},
	{"max_connections_per_source = 5", "clients = {}",
		"max_connections_per_source = 0 (the default), which is no limit, and production has 5", 4},
	{"max_connections_per_source = 5", "clients = {} max_connections_per_source = 500", NULL, 0},
	{"new_connections_per_second = 5", "clients = {} new_connections_per_second = 0",
		"new_connections_per_second = 0, which", 4},
	{"", "clients = {} handshake_timeout = 0", "handshake_timeout = 0", 4},
	{"", "clients = {}\n" WAIVE("auth.open", "until = 2027-01-01"), "waives auth.open, and production does not", 5},
	{WAIVE("auth.open", "until = 2027-01-01"), "clients = {}\n" WAIVE("auth.open", "until = 2027-01-01"), NULL, 0},
};

static void test_weaker(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(weaker); i++) {
		_cleanup_free_ char *staging = mem_format("environment staging { %s }\n", weaker[i].staging);
		struct weaknesses weaknesses = {0};
		struct scene scene;

		scene_begin(&scene, weaker[i].production, staging);
		audit_compare_environments(scene.facts.policy, &weaknesses);
		if (weaknesses.count != (weaker[i].text != NULL))
			fail_msg("row %zu: %zu differences: %s", i, weaknesses.count,
				weaknesses.count ? weaknesses.items[0].message : "");
		if (weaknesses.count) {
			unsigned int line = policy_place(scene.facts.policy, weaknesses.items[0].origin).line;
			unsigned int lines = 0;

			/* A waiver in production is a line of its own. */
			for (const char *byte = weaker[i].production; *byte; byte++)
				lines += *byte == '\n';
			if (!strstr(weaknesses.items[0].message, weaker[i].text) || line != weaker[i].line + lines)
				fail_msg("row %zu: line %u: %s", i, line, weaknesses.items[0].message);
			assert_string_equal(weaknesses.items[0].environment->name, "staging");
		}
		weaknesses_done(&weaknesses);
		scene_done(&scene);
	}
}

static const struct finding *judge(struct scene *scene, bool all, const char *outside)
{
	scene_begin(scene, "", outside);
	scene->facts.all_environments = all;
	audit_run(&scene->facts, &scene->findings);
	return find(&scene->findings, "environments.weaker");
}

static void test_environments(void **state)
{
	static const char two[] =
		"environment staging { clients = any }\nenvironment dev { clients = {} tls = optional }\n";
	struct scene scene;
	const struct finding *finding;

	(void)state;
	assert_int_equal(judge(&scene, false, two)->outcome, OUTCOME_NOT_APPLICABLE);
	scene_done(&scene);
	assert_int_equal(judge(&scene, true, "")->outcome, OUTCOME_NOT_APPLICABLE);
	scene_done(&scene);
	assert_int_equal(judge(&scene, true, "environment staging { clients = {} }\n")->outcome, OUTCOME_PASS);
	scene_done(&scene);
	finding = judge(&scene, true, two);
	assert_int_equal(finding->outcome, OUTCOME_FAIL);
	assert_int_equal(finding->severity, SEVERITY_WARNING);
	/* In the order of subjects. */
	assert_string_equal(finding[0].subject, "environment dev");
	assert_string_equal(finding[1].subject, "environment staging");
	scene_done(&scene);
	/* One of them may be waived. */
	judge(&scene, true,
		"environment staging { clients = any }\nenvironment dev { clients = {} tls = optional }\n" WAIVE(
			"environments.weaker", "until = 2027-01-01 subject = 'environment dev'"));
	assert_int_equal(count_waived(&scene.findings, "environments.weaker"), 1);
	scene_done(&scene);
}

/* Who all are measured by. */
static void test_strictest(void **state)
{
	static const struct {
		const char *text;
		const char *name;
	} measured[] = {
		{"default_environment = a environment a { clients = {} } environment production { clients = {} }",
			"production"},
		{"default_environment = b environment a { clients = {} } environment b { clients = {} }", "b"},
		{"environment a { clients = {} } environment b { clients = {} }", NULL},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(measured); i++) {
		_cleanup_free_ char *text = mem_format("service { tls_port = 6380 }\n%s\n", measured[i].text);
		struct diagnostics diagnostics = {0};
		struct findings findings = {0};
		struct policy *policy;
		struct err err = {0};

		assert_int_equal(policy_load_text("p.conf", text, strlen(text), &policy, &diagnostics, &err), 0);
		const struct environment *strictest = audit_strictest(policy);

		if (measured[i].name)
			assert_string_equal(strictest->name, measured[i].name);
		else
			assert_null(strictest);
		audit_run(&(struct audit_facts){.policy = policy,
				  .environment = &policy->environments[0],
				  .drift_unknown = "x",
				  .foreign_unknown = "x",
				  .host_unknown = "x",
				  .tls_unknown = "x",
				  .server_unknown = "x",
				  .all_environments = true},
			&findings);
		assert_int_equal(find(&findings, "environments.weaker")->outcome,
			measured[i].name ? OUTCOME_PASS : OUTCOME_UNKNOWN);
		findings_done(&findings);
		policy_free(policy);
	}
}

static void test_dates(void **state)
{
	static const char *const good[] = {"1970-01-01", "2000-02-29", "2026-12-31", "2028-02-29", "9999-12-31"};
	static const char *const bad[] = {"", "2026", "2026-2-03", "2026-02-30", "2027-02-29", "2026-13-01",
		"2026-00-01", "2026-01-00", "2026-01-32", "1969-12-31", "2026-01-01 ", " 2026-01-01", "2026/01/01",
		"2026-01-01x", "20260101", "+026-01-01", "2100-02-29"};
	char buffer[DATE_TEXT];
	uint32_t days;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(date_parse(good[i], &days), 0);
		assert_string_equal(date_format(days, buffer), good[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (date_parse(bad[i], &days) == 0)
			fail_msg("'%s' is taken for a day", bad[i]);
	assert_int_equal(date_parse("1970-01-02", &days), 0);
	assert_int_equal(days, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waivers),
		cmocka_unit_test(test_waived_does_not_count),
		cmocka_unit_test(test_weaker),
		cmocka_unit_test(test_environments),
		cmocka_unit_test(test_strictest),
		cmocka_unit_test(test_dates),
	};

	/* The day is UTC's. */
	setenv("TZ", "TEST-14", 1);
	tzset();
	return cmocka_run_group_tests_name("waiver", tests, NULL, NULL);
}
