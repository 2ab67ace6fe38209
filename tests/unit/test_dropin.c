/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The drop-in for the server's unit, as golden texts: tests/golden/systemd/NAME.conf. What systemd makes of it is in
 * tests/systemd/dropin.sh. */

#include "policies.h"
#include "report.h"

/* Letters that mean something to systemd, to a terminal, or to nobody. */
#define WEIRD "/etc/a b/100%n/$HOME/\"q\"\\\n\xff/\xc3\xa4.conf"

static char *write_dropin(const struct compiled *compiled, const char *path, bool whole)
{
	char *text = NULL;
	size_t length;
	FILE *stream = open_memstream(&text, &length);

	assert_int_equal(report_systemd(stream, &(struct report_dropin){.policy = compiled->policy,
							.environment = compiled->environment,
							.program = "/usr/sbin/dflyguard",
							.policy_path = path}),
		whole);
	fclose(stream);
	return text;
}

static void check_golden(const char *name, const char *path)
{
	_cleanup_free_ char *golden = mem_format("tests/golden/systemd/%s.conf", name);
	struct compiled compiled = compile_golden(name);
	_cleanup_free_ char *text = write_dropin(&compiled, path, true);
	const char *version = strstr(text, "dflyguard " DFLYGUARD_VERSION);
	_cleanup_free_ char *without = NULL;

	/* The version is no part of a golden text. */
	assert_non_null(version);
	without =
		mem_format("%.*s%s", (int)(version - text) + 9, text, version + strlen("dflyguard " DFLYGUARD_VERSION));
	golden_check(golden, without);
	compiled_done(&compiled);
}

static void test_golden(void **state)
{
	static const char *const names[] = {"everything", "everybody", "nobody", "edges", "ipv6-only", "one-port",
		"loopback-deny", "admin-bind", "memcached"};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		check_golden(names[i], "/etc/dflyguard/policy.conf");
	check_golden("tls-off", WEIRD);
}

/* How often a text holds another one. */
static size_t occurrences(const char *text, const char *word)
{
	size_t count = 0;

	while ((text = strstr(text, word))) {
		count++;
		text += strlen(word);
	}
	return count;
}

/* As many as there may be are there; of more none are, since some would cut off clients. */
static void test_many(void **state)
{
	static const struct {
		size_t prefixes;
		bool whole;
	} rows[] = {{REPORT_DROPIN_PREFIXES, true}, {REPORT_DROPIN_PREFIXES + 1, false}};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_text_ struct text policy = {0};
		struct compiled compiled;
		_cleanup_free_ char *text = NULL;

		text_append(&policy, "default_environment = e\nservice { tls_port = 6380 }\nenvironment e { tls = "
				     "optional clients = {");
		for (size_t j = 0; j < rows[i].prefixes; j++)
			text_printf(&policy, "%s\"10.%zu.%zu.1\"", j ? "," : "", j >> 8, j & 255);
		text_append(&policy, "} }\n");
		compiled = compile_text("many.conf", text_string(&policy), NULL);
		text = write_dropin(&compiled, "/many.conf", rows[i].whole);
		/* And `localhost`. */
		assert_int_equal(occurrences(text, "\nIPAddressAllow="), rows[i].whole ? rows[i].prefixes + 1 : 0);
		assert_int_equal(occurrences(text, "\nIPAddressDeny="), rows[i].whole);
		assert_int_equal(occurrences(text, "10,001 prefixes"), !rows[i].whole);
		assert_int_equal(occurrences(text, "\nSocketBindDeny=any\n"), 1);
		compiled_done(&compiled);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("dropin", tests, NULL, NULL);
}
