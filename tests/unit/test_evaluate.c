/* SPDX-License-Identifier: GPL-3.0-or-later */

/* What the evaluator makes of tables: nf_tables' rules of going on, connections under whole policies, expectations. The
 * kernel's own word on the same is tests/kernel/differential.sh. */

#include "evaluate.h"
#include "policies.h"

/* --- chains by hand --- */

static struct packet_case {
	const char *name;
	const char *rules; /* of chains, "CHAIN: RULE; RULE ..."; see add_rules() */
	enum fate fate;
	const char *steps; /* "base 1 jump, a 1 goto" */
} packet_cases[] = {
	{"an empty chain", "base:", FATE_PASSES, "base pass"},
	{"accept", "base: accept drop", FATE_PASSES, "base 1 accept"},
	{"drop", "base: next drop accept", FATE_DROPPED, "base 1 next, base 2 drop"},
	{"reject", "base: reset", FATE_RESET, "base 1 reset"},
	{"return at the end of a base chain is its policy", "base: return drop", FATE_PASSES,
		"base 1 return, base pass"},
	{"jump comes back", "base: jump:a drop\na: next", FATE_DROPPED, "base 1 jump, a 1 next, base 2 drop"},
	{"return comes back", "base: jump:a drop\na: return accept", FATE_DROPPED,
		"base 1 jump, a 1 return, base 2 drop"},
	{"goto does not come back", "base: goto:a drop\na: next", FATE_PASSES, "base 1 goto, a 1 next, base pass"},
	{"goto comes back to who jumped", "base: jump:a drop\na: goto:b accept\nb: next", FATE_DROPPED,
		"base 1 jump, a 1 goto, b 1 next, base 2 drop"},
	{"return in a chain that was gone to", "base: jump:a drop\na: goto:b\nb: return accept", FATE_DROPPED,
		"base 1 jump, a 1 goto, b 1 return, base 2 drop"},
	{"accept ends the base chain from within", "base: jump:a drop\na: accept", FATE_PASSES,
		"base 1 jump, a 1 accept"},
	{"a rule that does not apply", "base: never:drop next", FATE_PASSES, "base 2 next, base pass"},
	{"another family's address", "base: ipv6:drop", FATE_PASSES, "base pass"},
	{"bytes behind the end", "base: data:drop", FATE_PASSES, "base pass"},
	{"an opaque rule is never a pass", "base: opaque accept", FATE_UNKNOWN, "base 1 unknown"},
	{"an opaque rule behind a verdict", "base: drop opaque", FATE_DROPPED, "base 1 drop"},
	{"a chain that is not there", "base: jump:nowhere", FATE_UNKNOWN, "base 1 unknown"},
	{"a set that is not there", "base: set accept", FATE_UNKNOWN, "base 1 unknown"},
	{"a chain for ever", "base: goto:a\na: goto:base", FATE_UNKNOWN, NULL},
	{"jumps too deep", "base: jump:a\na: jump:a", FATE_DROPPED, NULL},
	{"a packet that becomes a reset goes on", "base: turn next", FATE_PASSES,
		"base 1 turn, base 2 next, base pass"},
};

static void add_word(struct rule *rule, const char *word)
{
	static const struct {
		const char *word;
		struct term term;
	} words[] = {
		{"accept", {.kind = TERM_VERDICT, .verdict = VERDICT_ACCEPT}},
		{"drop", {.kind = TERM_VERDICT, .verdict = VERDICT_DROP}},
		{"return", {.kind = TERM_VERDICT, .verdict = VERDICT_RETURN}},
		{"reset", {.kind = TERM_REJECT_RESET}},
		{"turn", {.kind = TERM_TURN_RESET}},
		{"next", {.kind = TERM_COUNTER}},
		{"never", {.kind = TERM_TEST, .selector = SELECT_L4PROTO, .value = {0, 17}}},
		{"ipv6", {.kind = TERM_TEST, .selector = SELECT_IP6_SADDR, .test = TEST_AT_LEAST}},
		{"data", {.kind = TERM_TEST, .selector = SELECT_FIRST_BYTE, .test = TEST_AT_LEAST}},
		{"set", {.kind = TERM_LOOKUP, .selector = SELECT_IP_SADDR}},
		{"jump", {.kind = TERM_VERDICT, .verdict = VERDICT_JUMP}},
		{"goto", {.kind = TERM_VERDICT, .verdict = VERDICT_GOTO}},
	};
	const char *argument = strchr(word, ':');

	if (strcmp(word, "opaque") == 0) {
		rule->opaque = mem_string("?");
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		size_t length = strlen(words[i].word);
		bool verdict = words[i].term.kind == TERM_VERDICT;

		if (strncmp(word, words[i].word, length) != 0 || (word[length] && word[length] != ':'))
			continue;
		rule_add_term(rule, &words[i].term, verdict && argument ? argument + 1 : "none");
		if (argument && !verdict)
			add_word(rule, argument + 1);
		return;
	}
	fail_msg("no word '%s'", word);
}

static struct ruleset *parse_chains(const char *text)
{
	struct ruleset *ruleset = ruleset_new();
	_cleanup_free_ char *copy = mem_string(text);
	char *rest = copy;

	ruleset->present = true;
	for (char *line; (line = strsep(&rest, "\n"));) {
		char *words = strchr(line, ':');
		struct chain *chain;

		*words++ = '\0';
		chain = ruleset_add_chain(ruleset, line);
		chain->base = strcmp(line, "base") == 0;
		chain->hook = HOOK_INPUT;
		for (char *word; (word = strsep(&words, " "));)
			if (*word)
				add_word(chain_add_rule(chain), word);
	}
	return ruleset;
}

static char *steps_text(const struct trace *trace)
{
	struct text text = {0};

	for (size_t i = 0; i < trace->count; i++) {
		const struct step *step = &trace->steps[i];

		text_printf(&text, "%s%s", i ? ", " : "", step->chain->name);
		if (step->rule)
			text_printf(&text, " %zu", step->index + 1);
		text_printf(&text, " %s", effect_name(step->effect));
	}
	return text_take(&text);
}

static struct segment test_segment(void)
{
	return (struct segment){.family = WIDTH_IPV4,
		.source = {0, 0x0a140007},
		.destination = {0, 0x0a140005},
		.protocol = 6,
		.flags = 2};
}

static void test_chains(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(packet_cases); i++) {
		const struct packet_case *c = &packet_cases[i];
		struct ruleset *ruleset = parse_chains(c->rules);
		struct evaluator *evaluator = evaluator_new(ruleset);
		struct segment segment = test_segment();
		struct tracking tracking = {.tracked = true, .labelled = true};
		struct trace trace = {0};
		enum fate fate = evaluate_hook(evaluator, HOOK_INPUT, &segment, &tracking, &trace);
		_cleanup_free_ char *steps = steps_text(&trace);

		if (fate != c->fate || (c->steps && strcmp(steps, c->steps) != 0))
			fail_msg("%s: fate %d, %s", c->name, (int)fate, steps);
		/* Without steps it comes to the same. */
		segment = test_segment();
		trace_done(&trace);
		trace.silent = true;
		assert_int_equal(evaluate_hook(evaluator, HOOK_INPUT, &segment, &tracking, &trace), c->fate);
		assert_int_equal(trace.count, 0);
		/* At another hook it is not asked. */
		assert_int_equal(evaluate_hook(evaluator, HOOK_OUTPUT, &segment, &tracking, &trace), FATE_PASSES);
		evaluator_free(evaluator);
		ruleset_free(ruleset);
	}
}

static enum fate base_fate(struct ruleset *ruleset)
{
	struct evaluator *evaluator = evaluator_new(ruleset);
	struct segment segment = test_segment();
	struct tracking tracking = {0};
	struct trace trace = {0};
	enum fate fate = evaluate_hook(evaluator, HOOK_INPUT, &segment, &tracking, &trace);

	trace_done(&trace);
	evaluator_free(evaluator);
	return fate;
}

static void test_tables(void **state)
{
	struct ruleset *ruleset = parse_chains("base: drop");

	(void)state;
	assert_int_equal(base_fate(ruleset), FATE_DROPPED);
	ruleset->flags = TABLE_DORMANT;
	assert_int_equal(base_fate(ruleset), FATE_PASSES);
	ruleset->flags = 2;
	assert_int_equal(base_fate(ruleset), FATE_DROPPED);
	ruleset->flags = 64;
	assert_int_equal(base_fate(ruleset), FATE_UNKNOWN);
	ruleset->flags = 0;
	ruleset->present = false;
	assert_int_equal(base_fate(ruleset), FATE_PASSES);
	ruleset->present = true;
	ruleset->chains[0].opaque = mem_string("chain of type nat");
	assert_int_equal(base_fate(ruleset), FATE_UNKNOWN);
	ruleset_free(ruleset);
	ruleset = parse_chains("base: next");
	ruleset->chains[0].drop_policy = true;
	assert_int_equal(base_fate(ruleset), FATE_DROPPED);
	ruleset_free(ruleset);
}

/* --- connections under policies --- */

enum { HERE, LO, OLD, PUBLISHED, REDIRECTED, BY_BRIDGE, BY_VETH, BY_CARD };

static const struct journey_case {
	const char *policy; /* in tests/golden/ruleset, or an environment's text */
	const char *source, *destination;
	uint16_t port;
	int how;
	const char *says;   /* "tls", "ssl3", "plain", "short", "" */
	const char *result; /* "ENDING REASON MOMENT" */
} journey_cases[] = {
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.0.255", "10.20.0.5", 6380, HERE, "tls", "passes - data"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.1.0", "10.20.0.5", 6380, HERE, "tls",
		"dropped source syn"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.19.255.255", "10.20.0.5", 6380, HERE, "tls",
		"dropped source syn"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.0.0", "10.20.0.5", 6380, HERE, "", "passes - handshake"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6380, HERE, "plain",
		"torn-down plaintext data"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6380, HERE, "short",
		"torn-down plaintext data"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6380, HERE, "ssl3",
		"torn-down plaintext data"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6379, HERE, "plain",
		"reset closed syn"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.66.0.7", "10.20.0.5", 6379, HERE, "plain",
		"dropped source syn"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.66.0.7", "10.20.0.5", 7000, HERE, "plain", "passes - data"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "::1", "::1", 6379, LO, "plain", "passes - data"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "2001:db8::1", "2001:db8::2", 6380, HERE, "tls",
		"dropped source syn"},
	/* What is older than the table is asked for its source, and not for what it said first. */
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6380, OLD, "plain",
		"passes - midstream"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.66.0.7", "10.20.0.5", 6380, OLD, "tls",
		"dropped source midstream"},
	{"tls = required clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6379, OLD, "plain",
		"reset closed midstream"},
	{"tls = optional clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6379, HERE, "plain", "passes - data"},
	{"tls = optional clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6380, HERE, "plain",
		"torn-down plaintext data"},
	{"tls = off clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 6380, HERE, "tls", "reset closed syn"},
	{"tls = off clients = {\"10.20.0.0/24\"} bind = {\"10.20.0.5\"}", "10.20.0.7", "10.20.0.6", 6379, HERE, "plain",
		"dropped address syn"},
	{"clients = {} admins = {\"10.9.0.0/28\"}", "10.9.0.15", "10.20.0.5", 9999, HERE, "tls", "passes - data"},
	{"clients = {} admins = {\"10.9.0.0/28\"}", "10.9.0.16", "10.20.0.5", 9999, HERE, "tls", "dropped source syn"},
	{"clients = {} admins = {\"10.9.0.0/28\"} admin_tls = off", "10.9.0.15", "10.20.0.5", 9999, HERE, "plain",
		"passes - data"},
	{"clients = {} loopback = deny", "127.0.0.1", "127.0.0.1", 6380, LO, "tls", "reset loopback syn"},
	{"clients = {} loopback = tls", "127.0.0.1", "127.0.0.1", 6380, LO, "tls", "passes - data"},
	{"clients = {} loopback = tls", "127.0.0.1", "127.0.0.1", 6380, LO, "plain", "torn-down plaintext data"},
	{"clients = {} loopback = tls", "127.0.0.1", "127.0.0.1", 6379, LO, "plain", "reset loopback syn"},
	/* The port is another one after the translation; the destination, too, and bind is not asked for it. */
	{"clients = {\"10.20.0.0/24\"} bind = {\"10.20.0.5\"}", "10.20.0.7", "10.20.0.5", 7000, PUBLISHED, "tls",
		"passes - data"},
	{"clients = {\"10.20.0.0/24\"} bind = {\"10.20.0.5\"}", "10.66.0.7", "10.20.0.5", 7000, PUBLISHED, "tls",
		"dropped source syn"},
	{"clients = {\"10.20.0.0/24\"}", "10.20.0.7", "10.20.0.5", 7000, REDIRECTED, "plain",
		"torn-down plaintext data"},
	{"clients = {\"10.20.0.0/24\"}", "10.66.0.7", "10.20.0.5", 7000, REDIRECTED, "tls", "dropped source syn"},
	{"clients = {}", "10.66.0.7", "172.17.0.2", 6380, BY_BRIDGE, "tls", "dropped source syn"},
	{"clients = {}", "10.66.0.7", "172.17.0.2", 6380, BY_VETH, "tls", "dropped source syn"},
	{"clients = {}", "10.66.0.7", "172.17.0.2", 6380, BY_CARD, "tls", "passes - data"},
	{"clients = {} routed = all", "10.66.0.7", "172.17.0.2", 6380, BY_CARD, "tls", "dropped source syn"},
	{"clients = {} routed = none", "10.66.0.7", "172.17.0.2", 6380, BY_BRIDGE, "tls", "passes - data"},
	{"clients = {} routed = none", "10.66.0.7", "172.17.0.2", 7000, PUBLISHED, "tls", "dropped source syn"},
};

static struct interval address(const char *text, enum width *family)
{
	char why[INTERVAL_WHY];
	struct interval item;

	assert_int_equal(interval_parse(text, family, &item, why), 0);
	return item;
}

static struct journey make_journey(const struct journey_case *c)
{
	static const uint8_t ssl3[] = {0x16, 0x03, 0x00, 0x01, 0xfc, 0x01};
	struct journey journey = {.port = c->port, .local = c->how == LO, .established = c->how == OLD};
	enum width family;

	journey.source = address(c->source, &journey.family).first;
	journey.destination = address(c->destination, &family).first;
	assert_int_equal(family, journey.family);
	journey.data = c->says[0] == 't' || strcmp(c->says, "short") == 0 ? speech_tls
		       : strcmp(c->says, "ssl3") == 0			  ? ssl3
									  : speech_plaintext;
	journey.length = !*c->says			 ? 0
			 : c->says[0] == 't'		 ? speech_tls_length
			 : strcmp(c->says, "plain") == 0 ? speech_plaintext_length
			 : strcmp(c->says, "ssl3") == 0	 ? sizeof(ssl3)
							 : 5;
	if (c->how == PUBLISHED || c->how == REDIRECTED) {
		journey.way = c->how == PUBLISHED ? WAY_PUBLISHED : WAY_REDIRECTED;
		journey.to = c->how == PUBLISHED ? address("172.17.0.2", &family).first : journey.destination;
		journey.to_port = 6380;
		journey.out_kind = "bridge";
	} else if (c->how >= BY_BRIDGE) {
		journey.way = WAY_ROUTED;
		journey.out_kind = c->how == BY_BRIDGE ? "bridge" : c->how == BY_VETH ? "veth" : NULL;
	}
	return journey;
}

static struct compiled compile_environment(const char *environment)
{
	_cleanup_free_ char *text = mem_format(
		"default_environment = e\nservice { tls_port = 6380 admin_port = 9999 }\nenvironment e { %s }\n",
		environment);

	return compile_text("p.conf", text, NULL);
}

static void test_journeys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(journey_cases); i++) {
		const struct journey_case *c = &journey_cases[i];
		struct compiled compiled = compile_environment(c->policy);
		struct evaluator *evaluator = evaluator_new(compiled.ruleset);
		struct journey journey = make_journey(c);
		struct trace trace = {0};
		struct arrival arrival = evaluate_journey(evaluator, &journey, &trace);
		const char *reason = reason_name(arrival.reason);
		_cleanup_free_ char *result = mem_format(
			"%s %s %s", ending_name(arrival.ending), reason ? reason : "-", moment_name(arrival.moment));

		if (strcmp(result, c->result) != 0)
			fail_msg("%s: %s to %s port %u: %s, not %s", c->policy, c->source, c->destination, c->port,
				result, c->result);
		assert_int_equal(arrival.decision, arrival.ending == ENDING_PASSES ? DECISION_ALLOW : DECISION_REFUSE);
		trace_done(&trace);
		evaluator_free(evaluator);
		compiled_done(&compiled);
	}
}

/* Limits count on from one connection to the next. */
static void test_limits(void **state)
{
	struct compiled compiled = compile_environment("clients = {\"10.20.0.0/24\", \"2001:db8::/32\"} "
						       "max_connections_per_source = 2 ipv6_source_prefix = 64");
	struct evaluator *evaluator = evaluator_new(compiled.ruleset);
	static const struct {
		const char *source, *destination;
		enum reason reason;
	} rows[] = {
		{"10.20.0.1", "10.20.0.5", REASON_NONE},
		{"10.20.0.1", "10.20.0.5", REASON_NONE},
		{"10.20.0.2", "10.20.0.5", REASON_NONE},
		{"10.20.0.1", "10.20.0.5", REASON_CONNECTIONS},
		{"2001:db8::1", "2001:db8::9", REASON_NONE},
		{"2001:db8::2", "2001:db8::9", REASON_NONE},
		{"2001:db8::3", "2001:db8::9", REASON_CONNECTIONS},
		{"2001:db8:0:1::1", "2001:db8::9", REASON_NONE},
	};

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
			struct journey journey = make_journey(&(struct journey_case){
				NULL, rows[i].source, rows[i].destination, 6380, HERE, "tls", NULL});
			struct trace trace = {.silent = true};

			assert_int_equal(evaluate_journey(evaluator, &journey, &trace).reason, rows[i].reason);
			assert_true(trace.limited);
		}
		evaluator_forget(evaluator);
	}
	evaluator_remember(evaluator, "connections_over_2_v4", address("10.20.0.9", &(enum width){0}).first, 0, 2);
	struct journey journey =
		make_journey(&(struct journey_case){NULL, "10.20.0.9", "10.20.0.5", 6380, HERE, "tls", NULL});
	struct trace trace = {.silent = true};

	assert_int_equal(evaluate_journey(evaluator, &journey, &trace).reason, REASON_CONNECTIONS);
	evaluator_free(evaluator);
	compiled_done(&compiled);
}

/* A list in parts is asked like any other: each source that is written passes, and its neighbours do not. */
static void test_parts(void **state)
{
	_cleanup_free_ char *text = long_policy(5000, "");
	struct compiled compiled = compile_text("long", text, NULL);
	struct evaluator *evaluator = evaluator_new(compiled.ruleset);
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};

	(void)state;
	policy_resolve(compiled.policy, &compiled.environment->clients, &v4, &v6, NULL, NULL);
	for (size_t i = 0; i < v4.count; i++) {
		struct interval item = intervals_get(&v4, i);
		const struct value sources[] = {
			value_previous(item.first), item.first, item.last, value_next(item.last)};

		for (size_t k = 0; k < ARRAY_SIZE(sources); k++) {
			struct journey journey = {.family = WIDTH_IPV4, .source = sources[k], .port = 6379};
			struct trace trace = {.silent = true};

			assert_int_equal(evaluate_journey(evaluator, &journey, &trace).decision,
				intervals_contain(&v4, sources[k]) ? DECISION_ALLOW : DECISION_REFUSE);
		}
	}
	intervals_done(&v4);
	intervals_done(&v6);
	evaluator_free(evaluator);
	compiled_done(&compiled);
}

static void test_port_use(void **state)
{
	struct compiled compiled = compile_environment("tls = off clients = {}");

	(void)state;
	assert_int_equal(ruleset_port_use(compiled.ruleset, 6380), PORT_TLS);
	assert_int_equal(ruleset_port_use(compiled.ruleset, 6379), PORT_PLAINTEXT);
	assert_int_equal(ruleset_port_use(compiled.ruleset, 9999), PORT_TLS);
	assert_int_equal(ruleset_port_use(compiled.ruleset, 7000), PORT_UNGUARDED);
	compiled_done(&compiled);
}

/* --- expectations --- */

static const struct {
	const char *environment; /* what stands in it */
	const char *expect;
	const char *text; /* "" = met */
} expectation_rows[] = {
	{"clients = {\"10.20.0.0/24\"}", "from = \"10.20.0.0/24\" to_port = 6380 speaks = tls verdict = allow", ""},
	{"clients = {\"10.20.0.0/24\"}", "from = \"10.20.0.0/24\" to_port = 6380 speaks = plaintext verdict = refuse",
		""},
	{"clients = {\"10.20.0.0/24\"}", "from = \"10.20.0.0/23\" to_port = 6380 speaks = tls verdict = allow",
		"expected verdict = allow for port 6380 speaking tls in environment e, but 10.20.1.0 is refused (no "
		"list of "
		"the policy names the source): p.conf:3"},
	{"clients = {\"10.20.0.7\"}", "from = any to_port = 6380 speaks = tls verdict = refuse",
		"expected verdict = refuse for port 6380 speaking tls in environment e, but 10.20.0.7 is allowed: "
		"p.conf:3 "
		"(clients)"},
	/* The ends of all there is. */
	{"clients = {\"255.255.255.255\"}", "from = any to_port = 6380 speaks = tls verdict = refuse",
		"expected verdict = refuse for port 6380 speaking tls in environment e, but 255.255.255.255 is "
		"allowed: "
		"p.conf:3 (clients)"},
	{"clients = {\"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff\"}",
		"from = any to_port = 6380 speaks = tls verdict = refuse",
		"expected verdict = refuse for port 6380 speaking tls in environment e, but "
		"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff is allowed: p.conf:3 (clients)"},
	{"clients = {\"0.0.0.0\"}", "from = \"0.0.0.0/8\" to_port = 6380 speaks = tls verdict = refuse",
		"expected verdict = refuse for port 6380 speaking tls in environment e, but 0.0.0.0 is allowed: "
		"p.conf:3 "
		"(clients)"},
	/* Every destination counts, and bind is meant where none is written. */
	{"clients = {\"10.20.0.7\"} bind = {\"10.20.0.5\"}",
		"from = \"10.20.0.7\" to_port = 6380 speaks = tls verdict = allow", ""},
	{"clients = {\"10.20.0.7\"} bind = {\"10.20.0.5\"}",
		"from = \"10.20.0.7\" to = {\"10.20.0.5\", \"10.20.0.6\"} to_port = 6380 speaks = tls verdict = allow",
		"expected verdict = allow for port 6380 speaking tls in environment e, but 10.20.0.7 to 10.20.0.6 is "
		"refused "
		"(the destination is not in bind): p.conf:3"},
	{"clients = {} admins = {\"10.9.0.1\"} bind = {\"10.20.0.5\"} admin_bind = {\"10.9.0.5\"}",
		"from = \"10.9.0.1\" to_port = 9999 speaks = tls verdict = allow", ""},
	{"clients = {} admins = {\"10.9.0.1\"}", "from = \"10.9.0.1\" to_port = 6380 speaks = tls verdict = refuse",
		""},
};

static void test_expectations(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expectation_rows); i++) {
		_cleanup_free_ char *source =
			mem_format("default_environment = e\nservice { tls_port = 6380 admin_port = 9999 "
				   "}\nenvironment e { %s }\nenvironment other { clients = {} }\n"
				   "expect { environment = e %s }\n",
				expectation_rows[i].environment, expectation_rows[i].expect);
		struct compiled compiled = compile_text("p.conf", source, NULL);
		struct proofs proofs = {0};
		_cleanup_text_ struct text text = {0};

		ruleset_expect(
			compiled.policy, policy_environment(compiled.policy, "other", NULL), compiled.ruleset, &proofs);
		assert_int_equal(proofs.count, 0);
		ruleset_expect(compiled.policy, compiled.environment, compiled.ruleset, &proofs);
		assert_int_equal(proofs.count, 1);
		assert_int_equal(proofs.unmet, proofs.items[0].met ? 0 : 1);
		if (!proofs.items[0].met)
			proof_text(compiled.policy, &proofs.items[0], &text);
		assert_string_equal(text_string(&text), expectation_rows[i].text);
		free(proofs.items);
		compiled_done(&compiled);
	}
}

/* The edges find what trying every address finds. */
static void test_expectations_exact(void **state)
{
	uint64_t seed = 1;

	(void)state;
	for (int round = 0; round < 300; round++) {
		struct text source = {0};
		struct proofs proofs = {0};
		bool any = false;

		text_append(&source,
			"default_environment = e\nservice { port = 6379 }\nenvironment e { tls = off clients = {");
		for (int i = 0; i < 4; i++) {
			unsigned int first = (unsigned int)(testing_random(&seed) % 256);

			text_printf(&source, "%s\"10.0.0.%u-10.0.0.%u\"", i ? ", " : "", first,
				first + (unsigned int)(testing_random(&seed) % (256 - first)) / 8);
		}
		unsigned int from = (unsigned int)(testing_random(&seed) % 256);
		unsigned int last = from + (unsigned int)(testing_random(&seed) % (256 - from)) / 4;

		text_printf(&source,
			"} }\nexpect { from = \"10.0.0.%u-10.0.0.%u\" to_port = 6379 speaks = plaintext verdict = "
			"refuse }\n",
			from, last);
		struct compiled compiled = compile_text("p.conf", text_string(&source), NULL);
		struct evaluator *evaluator = evaluator_new(compiled.ruleset);

		for (unsigned int a = from; a <= last; a++) {
			struct journey journey = {.family = WIDTH_IPV4, .source = {0, 0x0a000000 + a}, .port = 6379};
			struct trace trace = {.silent = true};

			any |= evaluate_journey(evaluator, &journey, &trace).decision == DECISION_ALLOW;
		}
		ruleset_expect(compiled.policy, compiled.environment, compiled.ruleset, &proofs);
		if (proofs.items[0].met == any)
			fail_msg("round %d:\n%s", round, text_string(&source));
		free(proofs.items);
		evaluator_free(evaluator);
		compiled_done(&compiled);
		text_done(&source);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_journeys),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_parts),
		cmocka_unit_test(test_port_use),
		cmocka_unit_test(test_expectations),
		cmocka_unit_test(test_expectations_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
