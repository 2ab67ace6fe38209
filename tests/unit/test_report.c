/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What people and scripts are shown, as golden texts: NAME.txt (no colour), NAME.color (with), NAME.json. */

#include <time.h>

#include "hosts.h"
#include "mutations.h"
#include "policies.h"
#include "report.h"
#include "strict_json.h"

/* What the kernel may hold: colours, a bell, a carriage return, C1 control characters in both forms, and no UTF-8. */
#define WEIRD "x\033[31m\a\r\302\2332J\2332J\377\303\244"

/* --- one report, in all forms --- */

struct report_case {
	const char *name;
	const char *command;
	bool verbose;
	bool quiet;
	void (*show)(const struct renderer *renderer, const struct report_style *style);
	const char *
		keys; /* that the JSON must have, with their values where they matter: "applied=false changes.0.kind" */
};

static char *shown(const struct report_case *c, const struct renderer *renderer, bool color)
{
	char *text = NULL;
	size_t length;
	struct report_style style = {.stream = open_memstream(&text, &length),
		.color = color,
		.verbose = c->verbose,
		.quiet = c->quiet,
		.lines = c->command && (strcmp(c->command, "log") == 0 || strcmp(c->command, "watch") == 0),
		.command = c->command};

	c->show(renderer, &style);
	fclose(style.stream);
	return text;
}

/* The version is checked, and then no part of a golden text. */
static char *without_version(const char *json)
{
	static const char member[] = "\"version\": \"" DFLYGUARD_VERSION "\"";
	const char *at = strstr(json, member);

	assert_non_null(at);
	return mem_format("%.*s\"version\": \"VERSION\"%s", (int)(at - json), json, at + strlen(member));
}

static void check_keys(const struct report_case *c, const char *json)
{
	_cleanup_free_ char *keys = mem_format("schema=1 command version environment %s", c->keys ? c->keys : "");
	char *rest = keys;

	for (char *key; (key = strsep(&rest, " "));) {
		static char value[1 << 20];
		char *wanted = strchr(key, '=');

		if (!*key)
			continue;
		if (wanted)
			*wanted++ = '\0';
		if (!strict_json_get(json, key, value, sizeof(value)))
			fail_msg("%s: no %s in\n%s", c->name, key, json);
		if (wanted && strcmp(value, wanted) != 0)
			fail_msg("%s: %s is %s", c->name, key, value);
	}
}

static void check_case(const struct report_case *c)
{
	static const char *const suffixes[] = {"txt", "color"};
	_cleanup_free_ char *json = shown(c, &report_json, true);
	_cleanup_free_ char *golden_json = NULL;
	_cleanup_free_ char *json_path = mem_format("tests/golden/report/%s.json", c->name);

	for (unsigned int color = 0; color < 2; color++) {
		_cleanup_free_ char *text = shown(c, &report_text, color);
		_cleanup_free_ char *path = mem_format("tests/golden/report/%s.%s", c->name, suffixes[color]);

		/* Whatever the kernel holds, the terminal is told nothing but our own colours. */
		for (const char *byte = text; *byte; byte += utf8_length(byte)) {
			if (utf8_length(byte) == 0)
				fail_msg("%s: no UTF-8 at %s", c->name, byte);
			if (*byte == '\033' && (!color || byte[1] != '[' || strspn(byte + 2, "0123456789") == 0 ||
						       byte[2 + strspn(byte + 2, "0123456789")] != 'm'))
				fail_msg("%s: an escape sequence: %s", c->name, byte);
			if ((unsigned char)*byte < 0x20 && *byte != '\n' && *byte != '\033')
				fail_msg("%s: a control character: %s", c->name, byte);
			if ((unsigned char)byte[0] == 0xc2 && (unsigned char)byte[1] < 0xa0)
				fail_msg("%s: a C1 control character: %s", c->name, byte);
		}
		golden_check(path, text);
	}
	if (!strict_json_good(json))
		fail_msg("%s: no JSON:\n%s", c->name, json);
	/* Whoever reads line by line gets an object each. */
	if ((strcmp(c->command ? c->command : "", "log") == 0 || strcmp(c->command ? c->command : "", "watch") == 0) &&
		strchr(json, '\n') != json + strlen(json) - 1)
		fail_msg("%s: more than one line:\n%s", c->name, json);
	check_keys(c, json);
	golden_json = without_version(json);
	golden_check(json_path, golden_json);
}

/* --- changes --- */

static struct report_changes changes_of(const struct compiled *compiled, const struct changeset *changes)
{
	return (struct report_changes){.environment = compiled->environment->name,
		.policy = compiled->policy,
		.changes = changes,
		.sources = ruleset_source_count(compiled->ruleset)};
}

static void show_empty_kernel(const struct renderer *renderer, const struct report_style *style)
{
	struct compiled expected = compile_golden("tls-required");
	struct ruleset *absent = ruleset_new();
	struct changeset *changes = ruleset_diff(expected.ruleset, absent);
	struct report_changes report = changes_of(&expected, changes);

	renderer->changes(style, &report);
	changeset_free(changes);
	ruleset_free(absent);
	compiled_done(&expected);
}

static void show_mutation(const struct renderer *renderer, const struct report_style *style,
	void (*mutate)(struct ruleset *), struct report_changes how)
{
	struct compiled expected = compile_golden("everything");
	struct compiled observed = compile_golden("everything");
	struct changeset *changes;
	struct report_changes report;

	apply_mutation(&(struct mutation){.mutate = mutate}, observed.ruleset);
	changes = ruleset_diff(expected.ruleset, observed.ruleset);
	report = how;
	report.environment = changes_of(&expected, changes).environment;
	report.policy = expected.policy;
	report.changes = changes;
	report.sources = changes_of(&expected, changes).sources;
	renderer->changes(style, &report);
	changeset_free(changes);
	compiled_done(&observed);
	compiled_done(&expected);
}

static void mutate_each_kind(struct ruleset *r)
{
	mutate_everything(r);
	mutate_rule_moved(r);
	mutate_others(r);
	mutate_set_opaque(r);
	mutate_rule_opaque(r);
	delete_set(r, "admin_bind_v6");
	mutate_chain_gone(r);
	mutate_chain_opaque(r);
}

static void show_each_kind(const struct renderer *renderer, const struct report_style *style)
{
	show_mutation(renderer, style, mutate_each_kind, (struct report_changes){0});
}

static void show_nothing(const struct renderer *renderer, const struct report_style *style)
{
	show_mutation(renderer, style, mutate_nothing, (struct report_changes){0});
}

static void show_applied(const struct renderer *renderer, const struct report_style *style)
{
	show_mutation(renderer, style, mutate_rule_first,
		(struct report_changes){.write = true, .applied = true, .seconds = 0.0314});
}

static void show_applied_again(const struct renderer *renderer, const struct report_style *style)
{
	show_mutation(renderer, style, mutate_rule_first,
		(struct report_changes){.write = true, .applied = true, .seconds = 12.3, .redone = 2});
}

static void mutate_many(struct ruleset *r)
{
	refill(mutable_set(r, "clients_v4"), "10.20.0.0/24 10.20.1.10-10.20.1.20 10.30.7.0/24");
	for (uint64_t i = 0; i < 40; i++)
		intervals_add(&mutable_set(r, "clients_v4")->elements,
			(struct interval){{0, 0xc0000000 + 2 * i}, {0, 0xc0000000 + 2 * i}, 0});
	/* Twelve are shown, all of them. */
	for (uint64_t i = 0; i < 12; i++)
		intervals_add(&mutable_set(r, "admins_v4")->elements,
			(struct interval){{0, 0xc0000000 + 2 * i}, {0, 0xc0000000 + 2 * i}, 0});
	/* Thirteen are two lines more than twelve: eleven and how many more. */
	for (uint64_t i = 0; i < 13; i++)
		intervals_add(&mutable_set(r, "bind_v4")->elements,
			(struct interval){{0, 0xc0000000 + 2 * i}, {0, 0xc0000000 + 2 * i}, 0});
}

static void show_many(const struct renderer *renderer, const struct report_style *style)
{
	show_mutation(renderer, style, mutate_many, (struct report_changes){0});
}

static void mutate_weird(struct ruleset *r)
{
	struct chain *chain = ruleset_add_chain(r, WEIRD);
	struct set *services;

	free(chain->opaque);
	chain->opaque = mem_string("chain of type " WEIRD);
	add_verdict_term(insert_rule(mutable_chain(r, "tls"), 0), VERDICT_JUMP, WEIRD);
	ruleset_add_set(r, WEIRD, WIDTH_IPV4);
	ruleset_add_counter(r, WEIRD)->comment = mem_string(WEIRD);
	ruleset_add_other(r, OTHER_FLOWTABLE, WEIRD)->opaque = mem_string(WEIRD);
	rule_add_term(insert_rule(mutable_chain(r, "judge"), 0),
		&(struct term){.kind = TERM_LOOKUP, .selector = SELECT_IP_SADDR}, WEIRD);
	insert_rule(mutable_chain(r, "judge"), 0)->opaque = mem_string(WEIRD);
	services = mutable_set(r, "services");
	free(services->targets[0].chain);
	services->targets[0].chain = mem_string(WEIRD);
	free(mutable_chain(r, "prerouting")->rules[0].comment);
	mutable_chain(r, "prerouting")->rules[0].comment =
		mem_string("environment " WEIRD ", in force since 2026-01-02T03:04:05Z");
}

static void show_weird(const struct renderer *renderer, const struct report_style *style)
{
	show_mutation(renderer, style, mutate_weird, (struct report_changes){0});
}

static void show_remove(const struct renderer *renderer, const struct report_style *style, bool present, bool write)
{
	struct compiled observed = compile_golden("tls-required");
	struct ruleset *absent = ruleset_new();
	struct changeset *changes = ruleset_diff(absent, present ? observed.ruleset : absent);
	struct report_changes report = {
		.changes = changes, .write = write, .applied = write && present, .seconds = 0.02};

	renderer->changes(style, &report);
	changeset_free(changes);
	ruleset_free(absent);
	compiled_done(&observed);
}

static void show_removed(const struct renderer *renderer, const struct report_style *style)
{
	show_remove(renderer, style, true, true);
}

static void show_remove_plan(const struct renderer *renderer, const struct report_style *style)
{
	show_remove(renderer, style, true, false);
}

static void show_nothing_to_remove(const struct renderer *renderer, const struct report_style *style)
{
	show_remove(renderer, style, false, true);
}

/* What stays for a time only, and what could not be remembered. */
static void show_waiting(const struct renderer *renderer, const struct report_style *style, bool removes, bool again)
{
	static char *const warnings[] = {(char *)(uintptr_t) "it is \"so\""};

	show_mutation(renderer, style, again ? mutate_nothing : mutate_each_kind,
		(struct report_changes){.write = true,
			.applied = !again,
			.seconds = 0.02,
			.confirm_until = GOLDEN_SINCE + 60,
			.undo_removes = removes,
			.warnings = warnings,
			.warning_count = 1});
}

static void show_applied_waiting(const struct renderer *renderer, const struct report_style *style)
{
	show_waiting(renderer, style, false, false);
}

static void show_applied_first_waiting(const struct renderer *renderer, const struct report_style *style)
{
	show_waiting(renderer, style, true, true);
}

static void show_confirmed(const struct renderer *renderer, const struct report_style *style)
{
	renderer->confirm(
		style, &(struct report_confirm){
			       .confirmed = true, .environment = "production", .policy_path = "/etc/\033.conf"});
}

static void show_nothing_to_confirm(const struct renderer *renderer, const struct report_style *style)
{
	renderer->confirm(style, &(struct report_confirm){0});
}

/* --- status --- */

static void count(struct ruleset *r)
{
	r->counters[0].packets = 1234567;
	r->counters[0].bytes = 98765432;
	r->counters[2].packets = 1;
	r->counters[2].bytes = 60;
}

/* Nobody was refused, unless the report or `refused_why` says otherwise. */
static void show_status_of(const struct renderer *renderer, const struct report_style *style,
	struct report_status report, const struct ruleset *observed)
{
	static const struct refused_sources nobody;

	report.observed = observed;
	report.sources = ruleset_source_count(observed);
	if (!report.refused && !report.refused_why)
		report.refused = &nobody;
	if (!report.now)
		report.now = GOLDEN_SINCE + 3 * 86400 + 7;
	renderer->status(style, &report);
}

static void show_status(const struct renderer *renderer, const struct report_style *style, struct report_status report,
	void (*mutate)(struct ruleset *))
{
	struct compiled observed = compile_golden("everything");

	apply_mutation(&(struct mutation){.mutate = mutate}, observed.ruleset);
	show_status_of(renderer, style, report, observed.ruleset);
	compiled_done(&observed);
}

static void show_in_force(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style,
		(struct report_status){
			.in_force = true, .conforming = CONFORMING_YES, .policy_path = "/etc/dflyguard/policy.conf"},
		count);
}

static void show_status_waiting(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style,
		(struct report_status){.in_force = true,
			.conforming = CONFORMING_YES,
			.policy_path = "p.conf",
			.now = GOLDEN_SINCE + 20,
			.confirm_until = GOLDEN_SINCE + 60},
		mutate_nothing);
}

static void show_differing(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style,
		(struct report_status){.in_force = true,
			.conforming = CONFORMING_NO,
			.differences = 1234,
			.policy_path = "p.conf",
			.now = GOLDEN_SINCE + 3599},
		count);
}

static void show_one_difference(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style,
		(struct report_status){.in_force = true,
			.conforming = CONFORMING_NO,
			.differences = 1,
			.policy_path = "p.conf",
			.now = GOLDEN_SINCE + 59},
		mutate_nothing);
}

static void show_unknown(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style,
		(struct report_status){
			.in_force = true, .unknown_why = "there is no policy", .now = GOLDEN_SINCE + 7260},
		mutate_nothing);
}

static void show_dormant(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style,
		(struct report_status){.why_not = "table inet dflyguard is dormant: the kernel runs none of its chains",
			.conforming = CONFORMING_NO,
			.differences = 1,
			.policy_path = "p.conf"},
		mutate_dormant);
}

static void show_absent(const struct renderer *renderer, const struct report_style *style)
{
	struct ruleset *absent = ruleset_new();
	struct refused_sources nobody = {0};
	struct report_status report = {.observed = absent,
		.refused = &nobody,
		.why_not = "there is no table inet dflyguard in this network namespace",
		.conforming = CONFORMING_NO,
		.differences = 60,
		.policy_path = "p.conf",
		.now = GOLDEN_SINCE};

	renderer->status(style, &report);
	ruleset_free(absent);
}

/* A clock that was set back, and a label without a time. */
static void show_no_since(const struct renderer *renderer, const struct report_style *style)
{
	show_status(
		renderer, style, (struct report_status){.in_force = true, .unknown_why = "-"}, mutate_no_environment);
}

static void show_set_back(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style,
		(struct report_status){.in_force = true, .unknown_why = "-", .now = GOLDEN_SINCE - 100},
		mutate_nothing);
}

static void show_weird_status(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style, (struct report_status){.in_force = true, .unknown_why = "-"}, mutate_weird);
}

static void add_refusal(struct refused_sources *list, const char *address, uint32_t reason, uint64_t packets,
	uint64_t bytes, uint64_t seconds_ago)
{
	struct refusal refusal = {.reason = reason, .packets = packets, .bytes = bytes, .seconds_ago = seconds_ago};
	struct interval item;
	char why[INTERVAL_WHY];

	assert_int_equal(interval_parse(address, &refusal.width, &item, why), 0);
	refusal.address = item.first;
	ARRAY_GROW(list->refusals, list->refusal_count, list->refusal_capacity);
	list->refusals[list->refusal_count++] = refusal;
}

/* Two more than are shown, each reason, and what only a strange kernel has. */
static void show_refused_list(
	const struct renderer *renderer, const struct report_style *style, bool full, unsigned int more)
{
	struct refused_sources list = {.full = full};

	add_refusal(&list, "10.66.0.10", REASON_SOURCE, 1234567, 98765432, 3);
	add_refusal(&list, "10.20.0.7", REASON_PLAINTEXT, 17, 1700, 61);
	add_refusal(&list, "10.20.0.7", REASON_CONNECTIONS, 900, 54000, 3600 * 5 + 59 * 60);
	add_refusal(&list, "10.20.0.7", REASON_RATE, 901, 54060, 7);
	add_refusal(&list, "10.20.0.7", REASON_ADDRESS, 1, 60, 80000);
	add_refusal(&list, "10.20.0.7", REASON_CLOSED, 1, 60, 80000);
	add_refusal(&list, "2001:db8:66:1234:5678:9abc:def0:1234", REASON_SOURCE, 12, 960, 0);
	add_refusal(&list, "127.0.0.1", REASON_LOOPBACK, 11, 660, 86399);
	add_refusal(&list, "192.0.2.77", 77, 10, 600, REFUSED_UNKNOWN);
	add_refusal(&list, "192.0.2.78", REASON_NONE, UINT64_MAX, UINT64_MAX, UINT64_MAX - 1);
	for (unsigned int i = 0; i < 4 + more; i++) {
		_cleanup_free_ char *address = mem_format("198.51.100.%u", i);

		add_refusal(&list, address, REASON_STATE, 9 - i, 500, i);
	}
	refused_sources_sum(&list);
	show_status(renderer, style,
		(struct report_status){.in_force = true, .unknown_why = "there is no policy", .refused = &list}, count);
	refused_sources_done(&list);
}

static void show_refused(const struct renderer *renderer, const struct report_style *style)
{
	show_refused_list(renderer, style, false, 2);
}

static void show_refused_ten(const struct renderer *renderer, const struct report_style *style)
{
	show_refused_list(renderer, style, false, 0);
}

static void show_refused_full(const struct renderer *renderer, const struct report_style *style)
{
	show_refused_list(renderer, style, true, 2);
}

static void show_refused_unread(const struct renderer *renderer, const struct report_style *style)
{
	show_status(renderer, style,
		(struct report_status){.in_force = true, .unknown_why = "-", .refused_why = "the kernel says " WEIRD},
		mutate_nothing);
}

/* What a table limits, logs and labels. */
static void show_options(const struct renderer *renderer, const struct report_style *style, const char *options)
{
	_cleanup_free_ char *text =
		mem_format("default_environment = e\nservice { port = 6379 tls_port = 6380 conntrack_label = 62 }\n"
			   "environment e { clients = {\"10.0.0.0/8\"} %s }\n",
			options);
	struct compiled observed = compile_text("p.conf", text, NULL);

	show_status_of(renderer, style, (struct report_status){.in_force = true, .unknown_why = "-"}, observed.ruleset);
	compiled_done(&observed);
}

static void show_limits(const struct renderer *renderer, const struct report_style *style)
{
	show_options(renderer, style,
		"tls = required max_connections_per_source = 1256 new_connections_per_second = 50 log = all");
}

static void show_limit_connections(const struct renderer *renderer, const struct report_style *style)
{
	show_options(renderer, style, "tls = off max_connections_per_source = 1 ipv6_source_prefix = 128 log = none");
}

static void show_limit_rate(const struct renderer *renderer, const struct report_style *style)
{
	show_options(renderer, style, "tls = off new_connections_per_second = 50 ipv6_source_prefix = 56");
}

/* --- check --- */

static const char checked_policy[] = "default_environment = production\n"
				     "service { port = 6379 tls_port = 6380 admin_port = 9999 }\n"
				     "network app { sources = {\"10.0.0.0/8\", \"10.1.0.0/16\"} }\n"
				     "network unused { sources = {\"192.0.2.1\"} }\n"
				     "environment production {\n"
				     "\ttls = required\n"
				     "\tclients = {app}\n"
				     "\tmemcached_clients = {app}\n"
				     "}\n"
				     "environment development { tls = off clients = {\"127.0.0.0/8\", \"::1\"} }\n";

static void show_check(
	const struct renderer *renderer, const struct report_style *style, const char *environment, bool notes)
{
	struct policy *policy = testing_policy("p.conf", checked_policy);
	struct diagnostics found = {0};
	struct report_check report = {.policy = policy, .notes = &found};

	if (environment)
		report.environment = policy_environment(policy, environment, NULL);
	if (notes)
		policy_notes(policy, &found);
	renderer->check(style, &report);
	diagnostics_done(&found);
	policy_free(policy);
}

static void show_check_good(const struct renderer *renderer, const struct report_style *style)
{
	show_check(renderer, style, NULL, false);
}

static void show_check_one(const struct renderer *renderer, const struct report_style *style)
{
	show_check(renderer, style, "development", false);
}

static void show_check_notes(const struct renderer *renderer, const struct report_style *style)
{
	show_check(renderer, style, NULL, true);
}

/* What it expects of itself: met, not met, and not met by what is refused. */
static void show_check_expectations(const struct renderer *renderer, const struct report_style *style)
{
	struct compiled compiled = compile_text("p.conf",
		"default_environment = production\n"
		"service { tls_port = 6380 }\n"
		"environment production { clients = {\"10.0.0.0/8\"} bind = {\"10.0.0.1\"} }\n"
		"expect { from = \"192.0.2.1\" to_port = 6380 speaks = tls verdict = refuse }\n"
		"expect { from = any to_port = 6380 speaks = tls verdict = refuse }\n"
		"expect { from = \"2001:db8::/32\" to = \"2001:db8::1\" to_port = 6380 speaks = tls verdict = allow "
		"}\n",
		NULL);
	struct diagnostics none = {0};
	struct proofs proofs = {0};

	ruleset_expect(compiled.policy, compiled.environment, compiled.ruleset, &proofs);
	renderer->check(style, &(struct report_check){.policy = compiled.policy, .notes = &none, .proofs = &proofs});
	free(proofs.items);
	compiled_done(&compiled);
}

/* --- explain --- */

static const char explained_policy[] = "default_environment = production\n"
				       "service { port = 6379 tls_port = 6380 }\n"
				       "network app { sources = {\"10.20.0.0/24\"} }\n"
				       "environment production {\n"
				       "\ttls = required\n"
				       "\tclients = {app}\n"
				       "\tmax_connections_per_source = 9\n"
				       "}\n";

static struct value ipv4(unsigned int c, unsigned int d)
{
	return (struct value){0, 0x0a000000u | c << 16 | d};
}

/* `foreign` is a rule that somebody put first into chain judge. */
static void show_explanation(const struct renderer *renderer, const struct report_style *style, struct journey journey,
	bool live, const char *foreign)
{
	struct compiled compiled = compile_text("p.conf", explained_policy, NULL);
	struct ruleset *observed = ruleset_compile(compiled.policy, compiled.environment, GOLDEN_SINCE);
	struct trace trace = {0};

	for (size_t i = 0; foreign && i < observed->chain_count; i++)
		if (strcmp(observed->chains[i].name, "judge") == 0)
			observed->chains[i].rules[0].opaque = mem_string(foreign);
	struct evaluator *evaluator = evaluator_new(live ? observed : compiled.ruleset);
	struct arrival arrival = evaluate_journey(evaluator, &journey, &trace);

	renderer->explanation(
		style, &(struct report_explanation){.environment = "production",
			       .policy = compiled.policy,
			       .ruleset = live ? observed : compiled.ruleset,
			       .expected = compiled.ruleset,
			       .live = live,
			       .journey = &journey,
			       .any_address = journey.way == WAY_HERE && !journey.local && journey.port != 6379,
			       .use = ruleset_port_use(compiled.ruleset, journey.port),
			       .arrival = &arrival,
			       .trace = &trace});
	trace_done(&trace);
	evaluator_free(evaluator);
	ruleset_free(observed);
	compiled_done(&compiled);
}

static struct journey speaking_tls(void)
{
	return (struct journey){.family = WIDTH_IPV4,
		.source = ipv4(20, 7),
		.destination = ipv4(20, 5),
		.port = 6380,
		.data = speech_tls,
		.length = speech_tls_length};
}

static void show_explain_allowed(const struct renderer *renderer, const struct report_style *style)
{
	show_explanation(renderer, style, speaking_tls(), false, NULL);
}

static void show_explain_stranger(const struct renderer *renderer, const struct report_style *style)
{
	struct journey journey = speaking_tls();

	journey.source = ipv4(66, 1);
	show_explanation(renderer, style, journey, true, NULL);
}

static void show_explain_closed(const struct renderer *renderer, const struct report_style *style)
{
	struct journey journey = speaking_tls();

	journey.port = 6379;
	journey.established = true;
	show_explanation(renderer, style, journey, false, NULL);
}

static void show_explain_plaintext(const struct renderer *renderer, const struct report_style *style)
{
	struct journey journey = speaking_tls();

	journey.data = speech_plaintext;
	journey.length = speech_plaintext_length;
	journey.way = WAY_PUBLISHED;
	journey.port = 7000;
	journey.to = ipv4(99, 2);
	journey.to_port = 6380;
	journey.out_kind = "bridge";
	show_explanation(renderer, style, journey, false, NULL);
}

static void show_explain_unguarded(const struct renderer *renderer, const struct report_style *style)
{
	struct journey journey = speaking_tls();

	journey.port = 7000;
	show_explanation(renderer, style, journey, false, NULL);
}

static void show_explain_local(const struct renderer *renderer, const struct report_style *style)
{
	struct journey journey = speaking_tls();

	journey.local = true;
	show_explanation(renderer, style, journey, false, NULL);
}

static void show_explain_weird(const struct renderer *renderer, const struct report_style *style)
{
	struct journey journey = speaking_tls();

	journey.way = WAY_ROUTED;
	journey.out_kind = WEIRD;
	show_explanation(renderer, style, journey, true, NULL);
	if (renderer == &report_text) {
		journey.out_kind = "veth";
		show_explanation(renderer, style, journey, true, WEIRD);
	}
}

static void show_explain_unknown(const struct renderer *renderer, const struct report_style *style)
{
	show_explanation(renderer, style, speaking_tls(), true, "jump to the moon");
}

/* --- log --- */

/* 10.66.0.10:51234 to 10.20.0.5:6379. */
static struct packet refused_packet(void)
{
	return (struct packet){.width = WIDTH_IPV4,
		.source = {0, 0x0a42000a},
		.destination = {0, 0x0a140005},
		.length = 60,
		.protocol = 6,
		.has_ports = true,
		.source_port = 51234,
		.destination_port = 6379,
		.has_flags = true,
		.flags = 2};
}

static void show_refusal(const struct renderer *renderer, const struct report_style *style, const struct packet *packet,
	struct report_refusal report)
{
	report.packet = packet;
	report.time = (uint64_t)GOLDEN_SINCE * 1000000000 + 678999999;
	if (!report.reason) {
		report.reason = reason_name(REASON_SOURCE);
		report.text = reason_text(REASON_SOURCE);
	}
	renderer->refusal(style, &report);
}

static void show_log(const struct renderer *renderer, const struct report_style *style)
{
	struct packet packet = refused_packet();

	show_refusal(
		renderer, style, &packet, (struct report_refusal){.environment = "production", .interface = "eth0"});
}

static void show_log_ipv6(const struct renderer *renderer, const struct report_style *style)
{
	struct packet packet = refused_packet();

	packet.width = WIDTH_IPV6;
	packet.source = (struct value){0x20010db800660000, 0x10};
	packet.destination = (struct value){0x20010db800200000, 5};
	show_refusal(renderer, style, &packet, (struct report_refusal){0});
}

static void show_log_payload(const struct renderer *renderer, const struct report_style *style)
{
	struct packet packet = refused_packet();

	packet.flags = 0x18;
	packet.payload_length = PACKET_PAYLOAD;
	memcpy(packet.payload, "*1\r\n$4\r\nPING\r\nXY", PACKET_PAYLOAD);
	show_refusal(renderer, style, &packet,
		(struct report_refusal){.reason = reason_name(REASON_PLAINTEXT),
			.text = reason_text(REASON_PLAINTEXT),
			.show_payload = true});
	/* Nothing was said yet (a FIN). */
	packet.payload_length = 0;
	if (renderer == &report_text)
		show_refusal(renderer, style, &packet,
			(struct report_refusal){.reason = reason_name(REASON_PLAINTEXT),
				.text = reason_text(REASON_PLAINTEXT),
				.show_payload = true});
}

/* A payload that would move a cursor and close a string, an interface and a reason that are no better. */
static void show_log_weird(const struct renderer *renderer, const struct report_style *style)
{
	struct packet packet = refused_packet();

	packet.payload_length = 11;
	memcpy(packet.payload, "\033]0;\a\0\233\"\\\177\377", 11);
	show_refusal(renderer, style, &packet,
		(struct report_refusal){
			.environment = WEIRD, .reason = WEIRD, .show_payload = true, .interface = WEIRD});
}

static void show_log_lost(const struct renderer *renderer, const struct report_style *style)
{
	struct packet packet = refused_packet();

	show_refusal(renderer, style, &packet, (struct report_refusal){.lost = 1234567});
	if (renderer == &report_text)
		show_refusal(renderer, style, &packet, (struct report_refusal){.lost = 1});
}

static void show_log_no_ports(const struct renderer *renderer, const struct report_style *style)
{
	struct packet packet = refused_packet();

	packet.has_ports = packet.has_flags = false;
	show_refusal(renderer, style, &packet, (struct report_refusal){0});
}

static void show_log_no_flags(const struct renderer *renderer, const struct report_style *style)
{
	struct packet packet = refused_packet();

	packet.flags = 0;
	show_refusal(renderer, style, &packet, (struct report_refusal){0});
}

static void show_log_unreadable(const struct renderer *renderer, const struct report_style *style)
{
	show_refusal(renderer, style, NULL, (struct report_refusal){.show_payload = true});
}

/* --- audit --- */

static void add_fact(struct foreign *foreign, struct foreign_fact fact, const char *text)
{
	fact.table = mem_string("ip nat");
	fact.chain = mem_string(text);
	fact.rule = mem_string(text);
	foreign_add(foreign, &fact);
}

/* `mutate` NULL: the table could not be read, and neither could others. `host` is taken over; NULL: it was not looked
 * at; `flags` NULL: nobody was told anything. */
static void show_audit_on(const struct renderer *renderer, const struct report_style *style,
	void (*mutate)(struct ruleset *), const char *facts_called, struct report_audit how, bool healed,
	struct host *host, const char *flags)
{
	struct compiled expected = compile_golden("everything");
	struct compiled observed = compile_golden("everything");
	struct findings findings = {0};
	struct foreign *foreign = foreign_new();
	struct changeset *changes;
	struct changeset *nothing = ruleset_diff(expected.ruleset, expected.ruleset);
	struct intention *intention = flags ? intention_of_text(flags, NULL) : NULL;
	struct audit_intention told = {
		.source = INTENTION_PROCESS, .subject = "dragonfly, process 4711", .intention = intention};
	struct audit_facts facts = {.policy = expected.policy,
		.environment = expected.environment,
		.host = host,
		.host_unknown = "nobody looked",
		.intentions = &told,
		.intention_count = flags ? 1 : 0};

	apply_mutation(&(struct mutation){.mutate = mutate ? mutate : mutate_nothing}, observed.ruleset);
	changes = ruleset_diff(expected.ruleset, observed.ruleset);
	if (facts_called) {
		struct foreign_fact fact = {.port = 6379,
			.certain = true,
			.from_first = 7000,
			.from_last = 7000,
			.to_port = 6379,
			.handle = 12,
			.probe = {.port = 6379, .width = WIDTH_IPV4, .source = {0, 0x0a140001}, .origin = 3}};

		add_fact(foreign, fact, facts_called);
		fact.kind = FOREIGN_REWRITE;
		fact.unjudged = true;
		add_fact(foreign, fact, facts_called);
		fact.kind = FOREIGN_NOTRACK;
		add_fact(foreign, fact, facts_called);
		fact.kind = FOREIGN_DROP;
		fact.handle = 0;
		add_fact(foreign, fact, facts_called);
		fact.certain = false;
		fact.handle = 13;
		add_fact(foreign, fact, facts_called);
		foreign->managers = mem_format("ip nat (%s)", facts_called);
		foreign->legacy = LEGACY_UNKNOWN;
		foreign->legacy_why = mem_format("cannot read %s", facts_called);
	}
	facts.drift_unknown = facts.foreign_unknown = "the kernel answered: Operation not permitted";
	if (mutate) {
		facts.drift = healed ? nothing : changes;
		facts.foreign = foreign;
	}
	audit_run(&facts, &findings);
	how.environment = expected.environment->name;
	how.policy = expected.policy;
	how.findings = &findings;
	how.facts = &facts;
	how.drift = facts.drift;
	how.healed = healed ? changes : NULL;
	renderer->audit(style, &how);
	findings_done(&findings);
	intention_free(intention);
	host_free(host);
	foreign_free(foreign);
	changeset_free(nothing);
	changeset_free(changes);
	compiled_done(&observed);
	compiled_done(&expected);
}

static void show_audit_of(const struct renderer *renderer, const struct report_style *style,
	void (*mutate)(struct ruleset *), const char *facts_called, struct report_audit how, bool healed)
{
	show_audit_on(renderer, style, mutate, facts_called, how, healed, mutate ? host_good() : NULL, HOST_GOOD_FLAGS);
}

static void show_audit_good(const struct renderer *renderer, const struct report_style *style)
{
	show_audit_of(renderer, style, mutate_nothing, NULL, (struct report_audit){0}, false);
}

static void show_audit_findings(const struct renderer *renderer, const struct report_style *style)
{
	show_audit_of(
		renderer, style, mutate_many, "tcp dport 7000 redirect to :6379", (struct report_audit){0}, false);
}

static void show_audit_unreadable(const struct renderer *renderer, const struct report_style *style)
{
	show_audit_of(renderer, style, NULL, NULL, (struct report_audit){.heal = true}, false);
}

static void show_audit_healed(const struct renderer *renderer, const struct report_style *style)
{
	show_audit_of(renderer, style, mutate_rule_first, NULL, (struct report_audit){.heal = true}, true);
}

static void show_audit_dry_run(const struct renderer *renderer, const struct report_style *style)
{
	show_audit_of(
		renderer, style, mutate_rule_first, NULL, (struct report_audit){.heal = true, .dry_run = true}, false);
}

static void show_audit_dry_run_nothing(const struct renderer *renderer, const struct report_style *style)
{
	show_audit_of(
		renderer, style, mutate_nothing, NULL, (struct report_audit){.heal = true, .dry_run = true}, false);
}

static void show_audit_weird(const struct renderer *renderer, const struct report_style *style)
{
	show_audit_of(renderer, style, mutate_weird, WEIRD, (struct report_audit){0}, false);
}

/* One of each kind that needs doing something about. */
static struct host *host_bad(void)
{
	struct host *host = host_empty();
	size_t server = host_add_process(host, SERVER_DRAGONFLY, "dragonfly", "dragonfly.service", 0);
	size_t proxy = host_add_process(host, SERVER_DOCKER_PROXY, "docker-proxy", "docker.service", 0);
	size_t redis = host_add_process(host, SERVER_REDIS, "redis-server", "redis-server.service", 0);
	size_t inside = host_add_process(host, SERVER_DRAGONFLY, "dragonfly", NULL, 1);

	host_add_network(host, "docker 0123456789ab", false);
	host->processes[inside].container.text = mem_string("docker 0123456789ab");
	host_add_listener(host, "0.0.0.0", 6379, 0, proxy);
	host_add_listener(host, "::", 6380, 0, server);
	host_add_listener(host, "93.184.216.34", 6380, 0, redis);
	host_add_listener(host, "10.66.0.5", 11211, 0, LISTENERS_NO_INDEX)->device = mem_string("eth1");
	host_add_listener(host, "10.20.0.5", 7000, 0, server)->guarded = false;
	host_add_listener(host, "0.0.0.0", 6379, 1, inside);
	host_add_unix(host, "/run/dragonfly/s", 0777, server);
	return host;
}

static void show_audit_listeners(const struct renderer *renderer, const struct report_style *style)
{
	show_audit_on(renderer, style, mutate_nothing, NULL, (struct report_audit){0}, false, host_bad(),
		"--port=6380\n--bind=\"::\"\n--requirepass=secret\n");
}

static void show_audit_listeners_weird(const struct renderer *renderer, const struct report_style *style)
{
	struct host *host = host_bad();

	free(host->processes[0].command.text);
	host->processes[0].command.text = mem_string(WEIRD);
	free(host->networks[1].name);
	host->networks[1].name = mem_string(WEIRD);
	free(host->listeners[3].device);
	host->listeners[3].device = mem_string(WEIRD);
	host->listeners_read.unknown = mem_string(WEIRD);
	free(host->unix_listeners[0].path);
	host->unix_listeners[0].path = mem_string(WEIRD);
	show_audit_on(renderer, style, mutate_nothing, NULL, (struct report_audit){0}, false, host,
		"--port=6380\n--bind=0.0.0.0\n--flagfile=" WEIRD "\n");
}

/* More sockets than anybody reads. */
static void show_audit_listeners_many(const struct renderer *renderer, const struct report_style *style)
{
	struct host *host = host_good();

	for (unsigned int i = 0; i < 30; i++) {
		_cleanup_free_ char *address = mem_format("10.66.0.%u", i);

		host_add_listener(host, address, 6380, 0, 0);
	}
	show_audit_on(renderer, style, mutate_nothing, NULL, (struct report_audit){0}, false, host, HOST_GOOD_FLAGS);
}

static void show_checks(const struct renderer *renderer, const struct report_style *style)
{
	size_t count;
	const struct check *checks = audit_checks(&count);

	renderer->checks(style, checks, count);
}

/* --- errors --- */

static void show_error_plain(const struct renderer *renderer, const struct report_style *style)
{
	struct err err = {0};

	err_set(&err, EPERM, ERR_NETLINK, "the kernel answered: Operation not permitted");
	err_hint(&err, "run as root, or with CAP_NET_ADMIN");
	renderer->error(style, &err, NULL, "production");
}

static void show_error_place(const struct renderer *renderer, const struct report_style *style)
{
	struct err err = {0};

	err_set_at(&err, EEXIST, ERR_COMMIT, (struct srcloc){"p.conf", 31}, "the kernel refused the set clients_v4");
	renderer->error(style, &err, NULL, NULL);
}

static void show_error_file(const struct renderer *renderer, const struct report_style *style)
{
	struct err err = {0};

	err_set_at(&err, EPERM, ERR_POLICY, (struct srcloc){"p.conf", 0}, "it is not yours");
	renderer->error(style, &err, NULL, NULL);
}

static void show_error_weird(const struct renderer *renderer, const struct report_style *style)
{
	struct err err = {0};

	err_set_at(&err, EIO, ERR_COMMIT, (struct srcloc){WEIRD ".conf", 3}, "stored something else: %s", WEIRD);
	err_hint(&err, "look at %s", WEIRD);
	renderer->error(style, &err, NULL, WEIRD);
}

static void show_diagnostics(const struct renderer *renderer, const struct report_style *style)
{
	static const char text[] = "service { port = 99999 }\nenvironment e {\n\ttls = maybe\n\tcleints = {}\n}\n";
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};

	assert_int_equal(policy_load_text("p.conf", text, strlen(text), &policy, &diagnostics, &err), -EINVAL);
	renderer->error(style, &err, &diagnostics, NULL);
	diagnostics_done(&diagnostics);
}

static void show_diagnostics_weird(const struct renderer *renderer, const struct report_style *style)
{
	struct diagnostic items[] = {{.file = (char *)(uintptr_t)WEIRD, .line = 0, .message = (char *)(uintptr_t)WEIRD},
		{.file = (char *)(uintptr_t) "p.conf", .line = 7, .message = (char *)(uintptr_t) "second"}};
	struct diagnostics diagnostics = {.items = items, .count = 2, .capacity = 2, .suppressed = 17};
	struct err err = {0};

	err_set_at(&err, EINVAL, ERR_POLICY, (struct srcloc){"p.conf", 0}, "the policy has 19 mistakes");
	renderer->error(style, &err, &diagnostics, NULL);
}

/* --- watch --- */

#define EVENT_TIME 1767323045678000000u

static void show_event(const struct renderer *renderer, const struct report_style *style, struct report_event report)
{
	report.time = EVENT_TIME;
	renderer->event(style, &report);
}

static void show_start(const struct renderer *renderer, const struct report_style *style)
{
	show_event(renderer, style,
		(struct report_event){.event = EVENT_START, .environment = "production", .message = "watches"});
}

static void show_healed(const struct renderer *renderer, const struct report_style *style)
{
	show_event(renderer, style,
		(struct report_event){.event = EVENT_HEALED, .environment = "production", .message = "2 put back"});
}

static void show_trouble(const struct renderer *renderer, const struct report_style *style)
{
	show_event(renderer, style,
		(struct report_event){.event = EVENT_TROUBLE, .environment = "production", .message = WEIRD});
}

/* The first change of its kind. */
static void show_drift(const struct renderer *renderer, const struct report_style *style,
	void (*mutate)(struct ruleset *), enum change_kind kind, const char *process)
{
	struct compiled expected = compile_golden("everything");
	struct compiled observed = compile_golden("everything");
	const struct change *change = NULL;
	struct changeset *changes;

	apply_mutation(&(struct mutation){.mutate = mutate}, observed.ruleset);
	changes = ruleset_diff(expected.ruleset, observed.ruleset);
	for (size_t i = 0; i < changes->count && !change; i++)
		if (changes->changes[i].kind == kind)
			change = &changes->changes[i];
	assert_non_null(change);
	show_event(renderer, style,
		(struct report_event){.event = EVENT_DRIFT,
			.environment = "production",
			.policy = expected.policy,
			.change = change,
			.process = process ? 4294967295 : 0,
			.process_name = process});
	changeset_free(changes);
	compiled_done(&observed);
	compiled_done(&expected);
}

static void show_drift_add(const struct renderer *renderer, const struct report_style *style)
{
	show_drift(renderer, style, mutate_each_kind, CHANGE_ADD, "nft");
}

static void show_drift_remove(const struct renderer *renderer, const struct report_style *style)
{
	show_drift(renderer, style, mutate_weird, CHANGE_REMOVE, WEIRD);
}

static void show_drift_change(const struct renderer *renderer, const struct report_style *style)
{
	show_drift(renderer, style, mutate_each_kind, CHANGE_CHANGE, NULL);
}

static void show_drift_move(const struct renderer *renderer, const struct report_style *style)
{
	show_drift(renderer, style, mutate_rule_moved, CHANGE_MOVE, NULL);
}

static void show_finding_critical(const struct renderer *renderer, const struct report_style *style)
{
	struct findings findings = {0};

	audit_watch(
		&(struct watch_facts){
			.policy_path = "p.conf", .heals = true, .fight = true, .rival = "nft (process 12)"},
		&findings);
	findings.items[1].evidence = mem_string("tcp dport 6379 " WEIRD);
	show_event(renderer, style, (struct report_event){.event = EVENT_FINDING, .finding = &findings.items[1]});
	findings_done(&findings);
}

static void show_resolved(const struct renderer *renderer, const struct report_style *style)
{
	struct findings findings = {0};

	audit_watch(&(struct watch_facts){.policy_path = WEIRD ".conf", .policy_bad = "p.conf:7: " WEIRD}, &findings);
	show_event(renderer, style, (struct report_event){.event = EVENT_RESOLVED, .finding = &findings.items[0]});
	findings_done(&findings);
}

#define CHANGE_KEYS                                                                                                    \
	"changes changes.0.kind changes.0.object changes.0.expected changes.0.observed changes.0.policy sources "      \
	"dry_run "

#define EVENT_KEYS                                                                                                     \
	"time event message kind object expected observed policy id severity outcome subject evidence remedy process "

static const struct report_case cases[] = {
	{"plan-empty-kernel", "plan", false, false, show_empty_kernel,
		CHANGE_KEYS "applied=false environment=\"production\" changes.0.kind=\"add\" changes.0.observed=null "
			    "changes.1.policy=\"tests/golden/ruleset/tls-required.conf:3\""},
	{"plan-each-kind", "plan", false, false, show_each_kind, CHANGE_KEYS "applied=false"},
	{"plan-many", "plan", false, false, show_many, CHANGE_KEYS "changes.64.kind=\"remove\""},
	{"plan-many-verbose", "plan", true, false, show_many, CHANGE_KEYS},
	{"plan-weird", "plan", false, false, show_weird, CHANGE_KEYS},
	{"plan-nothing", "plan", false, false, show_nothing, "applied=false changes=[]"},
	{"plan-quiet", "plan", false, true, show_each_kind, CHANGE_KEYS},
	{"applied", "apply", false, false, show_applied, CHANGE_KEYS "applied=true dry_run=false"},
	{"applied-again", "apply", false, false, show_applied_again, CHANGE_KEYS "applied=true"},
	{"removed", "remove", false, false, show_removed, "environment=null applied=true"},
	{"remove-plan", "remove", false, false, show_remove_plan, "environment=null applied=false dry_run=true"},
	{"remove-nothing", "remove", false, false, show_nothing_to_remove, "environment=null applied=false changes=[]"},
	{"applied-waiting", "apply", false, false, show_applied_waiting,
		"applied=true confirm_until=\"2026-01-02T03:05:05Z\""},
	{"applied-first-waiting", "apply", false, false, show_applied_first_waiting,
		"applied=false confirm_until=\"2026-01-02T03:05:05Z\""},
	{"confirmed", "confirm", false, false, show_confirmed, "confirmed=true environment=\"production\""},
	{"confirmed-quiet", "confirm", false, true, show_confirmed, "confirmed=true"},
	{"confirmed-nothing", "confirm", false, false, show_nothing_to_confirm, "confirmed=false environment=null"},
	{"status-waiting", "status", false, false, show_status_waiting, "confirm_until=\"2026-01-02T03:05:05Z\""},
	{"status-in-force", "status", false, false, show_in_force,
		"in_force=true why_not=null conforming=true counters.refused_source.packets=1234567 "
		"counters.refused_source.bytes=98765432 sources=8 since=\"2026-01-02T03:04:05Z\""},
	{"status-differing", "status", false, false, show_differing,
		"in_force=true conforming=false differences=1234 sources policy=\"p.conf\""},
	{"status-one-difference", "status", false, false, show_one_difference, "in_force=true conforming=false"},
	{"status-unknown", "status", false, false, show_unknown, "in_force=true conforming=null policy=null"},
	{"status-dormant", "status", false, false, show_dormant, "in_force=false why_not"},
	{"status-absent", "status", false, false, show_absent,
		"in_force=false environment=null since=null counters={} sources=0"},
	{"status-no-since", "status", false, false, show_no_since, "environment=null since=null"},
	{"status-set-back", "status", false, false, show_set_back, "in_force=true"},
	{"status-weird", "status", false, false, show_weird_status, "in_force=true"},
	{"status-quiet", "status", false, true, show_in_force, "in_force=true refused_sources=[]"},
	{"status-refused", "status", false, false, show_refused,
		"refused_sources.0.source=\"192.0.2.78\" refused_sources.1.source=\"10.66.0.10\" "
		"refused_sources.1.packets=1234567 refused_sources.1.bytes=98765432 "
		"refused_sources.1.last_seconds_ago=3 refused_sources.1.reasons.source.packets=1234567 "
		"refused_sources.2.reasons.rate.bytes=54060 refused_sources.2.packets=1820 "
		"refused_sources.2.last_seconds_ago=7 refused_sources.5.reasons.77.packets=10 "
		"refused_sources.5.last_seconds_ago=null refused_sources.11.source=\"198.51.100.5\" "
		"refused_sources_full=false"},
	{"status-refused-ten", "status", false, false, show_refused_ten, "refused_sources.9.source=\"198.51.100.3\""},
	{"status-refused-verbose", "status", true, false, show_refused_full, "refused_sources_full=true"},
	{"status-refused-unread", "status", false, false, show_refused_unread,
		"refused_sources=null refused_sources_full=null in_force=true"},
	{"status-limits", "status", false, false, show_limits, "in_force=true"},
	{"status-limit-connections", "status", false, false, show_limit_connections, "in_force=true"},
	{"status-limit-rate", "status", false, false, show_limit_rate, "in_force=true"},
	{"check-good", "check", false, false, show_check_good,
		"environment=\"production\" valid=true policy=\"p.conf\" sources=7 environments.1.name=\"development\" "
		"notes=[]"},
	{"check-expectations", "check", false, false, show_check_expectations,
		"valid=false expectations.0.met=true expectations.0.counterexample=null expectations.1.met=false "
		"expectations.1.counterexample.from=\"10.0.0.0\" expectations.1.counterexample.policy=\"p.conf:3\" "
		"expectations.2.expected=\"allow\" expectations.2.counterexample.reason=\"address\""},
	{"check-expectations-quiet", "check", false, true, show_check_expectations, "valid=false"},
	{"explain-allowed", "explain", false, false, show_explain_allowed,
		"verdict=\"allow\" reason=null packet=\"data\" ending=\"passes\" judged=true limited=true live=false "
		"from=\"10.20.0.7\" to=null port=6380 speaks=\"tls\" steps.0.packet=\"syn\" "
		"steps.0.hook=\"prerouting\" "
		"steps.0.chain=\"prerouting\" steps.0.rule=1 steps.0.effect=\"jump\" "
		"steps.0.element.set=\"guarded_ports\" "
		"steps.0.element.policy=\"p.conf:2\""},
	{"explain-allowed-verbose", "explain", true, false, show_explain_allowed, "verdict=\"allow\""},
	{"explain-allowed-quiet", "explain", false, true, show_explain_allowed, "verdict=\"allow\""},
	{"explain-stranger", "explain", false, false, show_explain_stranger,
		"verdict=\"refuse\" reason=\"source\" packet=\"syn\" ending=\"dropped\" live=true"},
	{"explain-closed", "explain", false, false, show_explain_closed,
		"verdict=\"refuse\" reason=\"closed\" packet=\"midstream\" ending=\"reset\" to=\"10.20.0.5\""},
	{"explain-plaintext", "explain", false, false, show_explain_plaintext,
		"verdict=\"refuse\" reason=\"plaintext\" packet=\"data\" ending=\"torn-down\" speaks=\"plaintext\""},
	{"explain-unguarded", "explain", false, false, show_explain_unguarded, "verdict=\"allow\" judged=false"},
	{"explain-local", "explain", false, false, show_explain_local, "verdict=\"allow\""},
	{"explain-unknown", "explain", false, false, show_explain_unknown,
		"verdict=\"unknown\" ending=\"unknown\" reason=null"},
	{"explain-weird", "explain", false, false, show_explain_weird, NULL},
	{"check-good-verbose", "check", true, false, show_check_good, "valid=true"},
	{"check-one", "check", false, false, show_check_one,
		"environment=\"development\" environments.0.name=\"development\""},
	{"check-notes", "check", true, false, show_check_notes, "notes.0.file notes.0.line notes.0.message"},
	{"check-quiet", "check", false, true, show_check_good, "valid=true"},
	{"log", "log", false, false, show_log,
		"environment=\"production\" time=\"2026-01-02T03:04:05.678Z\" reason=\"source\" source=\"10.66.0.10\" "
		"source_port=51234 destination=\"10.20.0.5\" port=6379 flags=\"syn\" length=60 payload=null "
		"interface=\"eth0\" lost=0"},
	{"log-verbose", "log", true, false, show_log, "source=\"10.66.0.10\""},
	/* It is what was asked for. */
	{"log-quiet", "log", false, true, show_log, "source=\"10.66.0.10\""},
	{"log-ipv6", "log", false, false, show_log_ipv6,
		"environment=null source=\"2001:db8:66::10\" destination=\"2001:db8:20::5\" interface=null"},
	{"log-payload", "log", true, false, show_log_payload,
		"reason=\"plaintext\" payload=\"*1\\\\r\\\\n$4\\\\r\\\\nPING\\\\r\\\\nXY\""},
	{"log-weird", "log", true, false, show_log_weird,
		"payload=\"\\\\x1b]0;\\\\x07\\\\x00\\\\x9b\\\\\\\"\\\\\\\\\\\\x7f\\\\xff\" reason interface"},
	{"log-lost", "log", false, false, show_log_lost, "lost=1234567"},
	{"log-no-ports", "log", true, false, show_log_no_ports,
		"source=\"10.66.0.10\" source_port=null port=null flags=null length=60"},
	{"log-no-flags", "log", true, false, show_log_no_flags, "flags=\"\""},
	{"log-unreadable", "log", true, false, show_log_unreadable,
		"reason=\"source\" source=null source_port=null destination=null port=null flags=null length=null "
		"payload=null interface=null lost=0"},
	{"watch-start", "watch", false, false, show_start,
		EVENT_KEYS
		"event=\"start\" message=\"watches\" time=\"2026-01-02T03:04:05.678Z\" process=null id=null"},
	{"watch-quiet", "watch", false, true, show_start, EVENT_KEYS},
	{"watch-healed", "watch", true, true, show_healed, EVENT_KEYS "event=\"healed\""},
	{"watch-trouble", "watch", false, false, show_trouble, EVENT_KEYS "event=\"trouble\""},
	{"watch-add", "watch", false, false, show_drift_add,
		EVENT_KEYS
		"event=\"drift\" kind=\"add\" observed=null process.pid=4294967295 process.name=\"nft\" message=null"},
	{"watch-remove", "watch", false, false, show_drift_remove, EVENT_KEYS "kind=\"remove\" expected=null"},
	{"watch-change", "watch", false, false, show_drift_change, EVENT_KEYS "kind=\"change\" process=null"},
	{"watch-move", "watch", false, false, show_drift_move, EVENT_KEYS "kind=\"move\""},
	{"watch-finding", "watch", false, false, show_finding_critical,
		EVENT_KEYS "id=\"watch.fight\" severity=\"critical\" outcome=\"fail\" subject"},
	{"watch-resolved", "watch", false, false, show_resolved, EVENT_KEYS "event=\"resolved\" id=\"policy.bad\""},
	{"error-log", "log", false, false, show_error_place, "error.message error.line=31"},
	{"audit-good", "audit", false, false, show_audit_good,
		"conforming=true drift=[] healed=[] dry_run=false findings.0.outcome=\"pass\" findings.0.remedy=null "
		"findings.0.evidence=null findings.7.id"},
	{"audit-findings", "audit", false, false, show_audit_findings,
		"conforming=false drift.0.object drift.64.policy findings.0.severity=\"critical\" "
		"findings.0.outcome=\"fail\" findings.0.subject findings.0.message findings.0.remedy "
		"findings.0.policy"},
	{"audit-findings-verbose", "audit", true, false, show_audit_findings, "conforming=false"},
	{"audit-unreadable", "audit", false, false, show_audit_unreadable,
		"conforming=null drift=[] findings.0.outcome=\"unknown\" findings.7.outcome=\"unknown\""},
	{"audit-healed", "audit", false, false, show_audit_healed,
		"conforming=true drift=[] healed.0.object findings.0.outcome=\"pass\""},
	{"audit-dry-run", "audit", false, false, show_audit_dry_run,
		"conforming=false dry_run=true healed=[] drift.0.kind"},
	{"audit-dry-run-nothing", "audit", false, false, show_audit_dry_run_nothing, "conforming=true dry_run=true"},
	{"audit-weird", "audit", false, false, show_audit_weird, "conforming=false"},
	{"audit-listeners", "audit", false, false, show_audit_listeners,
		"listeners.0.network=\"host\" listeners.0.address=\"0.0.0.0\" listeners.0.port=6379 "
		"listeners.0.wildcard=true listeners.0.dual=false listeners.0.device=null listeners.0.inode=7001 "
		"listeners.0.processes.0.pid=4712 listeners.0.processes.0.command=\"docker-proxy\" "
		"listeners.0.processes.0.user=\"dfly\" listeners.0.processes.0.unit=\"docker.service\" "
		"listeners.0.processes.0.container=null listeners.0.processes.0.kind=\"docker-proxy\" "
		"listeners.0.processes_unknown=null listeners.0.verdict=\"published\" listeners.0.remedy "
		"listeners.1.dual=true listeners.3.processes=[] listeners.3.processes_unknown "
		"listeners.5.remedy=null listeners_unknown=null intentions.0.of=\"process\" intentions.0.pid=4711 "
		"intentions.0.refusal intentions.0.refusal_place intentions.0.remarks.0.message"},
	{"audit-listeners-weird", "audit", false, false, show_audit_listeners_weird, "listeners_unknown"},
	{"audit-listeners-many", "audit", false, false, show_audit_listeners_many,
		"intentions.0.unknown=null intentions.0.files.0 intentions.0.listeners.0.kind=\"unix\" "
		"intentions.0.listeners.1.kind=\"admin\" intentions.0.listeners.1.address=\"10.9.0.1\" "
		"intentions.0.listeners.1.source=\"file\" intentions.0.listeners.1.place=\"" HOST_FLAGFILE ":4\""},
	{"audit-quiet", "audit", false, true, show_audit_findings, "conforming=false"},
	{"checks", "checks", false, false, show_checks,
		"environment=null checks.0.id=\"firewall.in_force\" checks.0.area=\"firewall\" checks.0.severity "
		"checks.0.title checks.0.meaning checks.0.remedy"},
	{"checks-quiet", "checks", false, true, show_checks, "checks.7.id"},
	{"error-plain", "plan", false, false, show_error_plain,
		"environment=\"production\" error.message error.file=null error.line=null error.hint"},
	{"error-place", "apply", false, false, show_error_place,
		"environment=null error.message error.file=\"p.conf\" error.line=31 error.hint=null"},
	{"error-file", "apply", false, false, show_error_file, "error.file=\"p.conf\" error.line=null"},
	{"error-weird", "apply", false, false, show_error_weird, "error.message"},
	/* An error is said even to those who want quiet. */
	{"error-quiet", "apply", false, true, show_error_place, "error.message"},
	{"error-diagnostics", "check", false, false, show_diagnostics,
		"error.message error.file=\"p.conf\" error.line=1 diagnostics.0.line=1 diagnostics.2.message"},
	{"error-diagnostics-weird", "check", false, false, show_diagnostics_weird,
		"suppressed=17 diagnostics.0.line=null"},
	{"error-no-command", NULL, false, false, show_error_plain, "command=null"},
};

static void test_reports(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		check_case(&cases[i]);
}

static void test_renderer(void **state)
{
	(void)state;
	assert_ptr_equal(report_renderer("text"), &report_text);
	assert_ptr_equal(report_renderer("json"), &report_json);
	assert_null(report_renderer("xml"));
	assert_null(report_renderer(""));
	assert_null(report_renderer("JSON"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reports),
		cmocka_unit_test(test_renderer),
	};

	/* A time of day is local: two hours ahead here, and without summer. */
	setenv("TZ", "TEST-2", 1);
	tzset();
	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
