/* SPDX-License-Identifier: GPL-3.0-or-later */

/* explain: one connection against the policy's table, or the kernel's. */

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

static const char *family_name(enum width family)
{
	return family == WIDTH_IPV4 ? "IPv4" : "IPv6";
}

/* --- what was asked --- */

static int parse_address(const char *option, const char *text, enum width *family, struct value *ret, struct err *err)
{
	struct interval item;
	char why[INTERVAL_WHY];

	if (interval_parse(text, family, &item, why) < 0 || *family == WIDTH_PORT)
		err_set(err, EINVAL, ERR_USAGE, "--%s: '%s' is not an IP address", option, text);
	else if (value_compare(item.first, item.last) != 0)
		err_set(err, EINVAL, ERR_USAGE, "--%s: '%s' is more than one address", option, text);
	else {
		*ret = item.first;
		return 0;
	}
	err_hint(err, "--%s 192.0.2.1, or --%s 2001:db8::1", option, option);
	return -EINVAL;
}

static int parse_port(const char *option, const char *text, uint16_t *ret, struct err *err)
{
	char why[INTERVAL_WHY];
	uint64_t number;

	if (number_parse(text, 1, 65535, &number, why) < 0)
		return err_set(err, EINVAL, ERR_USAGE, "--%s: '%s' is not a port, 1 to 65535", option, text);
	*ret = (uint16_t)number;
	return 0;
}

static int check_family(const char *option, enum width family, const struct journey *journey, struct err *err)
{
	if (family == journey->family)
		return 0;
	return err_set(err, EINVAL, ERR_USAGE, "--from is an %s address and --%s an %s address",
		family_name(journey->family), option, family_name(family));
}

/* ADDRESS, ADDRESS:PORT, [ADDRESS]:PORT, or :PORT. */
static int parse_dnat(const char *text, struct journey *journey, struct err *err)
{
	const char *colon = strrchr(text, ':');
	bool has_port = colon && (colon == text || strchr(text, ':') == colon || colon[-1] == ']');
	_cleanup_free_ char *address = mem_stringn(text, has_port ? (size_t)(colon - text) : strlen(text));
	enum width family;

	journey->to = journey->destination;
	journey->to_port = journey->port;
	if (has_port && parse_port("dnat", colon + 1, &journey->to_port, err) < 0)
		return -EINVAL;
	journey->way = WAY_REDIRECTED;
	if (!*address)
		return 0;
	journey->way = WAY_PUBLISHED;
	if (parse_address("dnat", address, &family, &journey->to, err) < 0)
		return -EINVAL;
	return check_family("dnat", family, journey, err);
}

static bool is_loopback(enum width family, struct value address)
{
	return family == WIDTH_IPV4 ? address.lo >> 24 == 127 : address.hi == 0 && address.lo == 1;
}

static struct value loopback(enum width family)
{
	return family == WIDTH_IPV4 ? (struct value){0, 0x7f000001} : (struct value){0, 1};
}

static int parse_source(const struct options *options, struct journey *journey, struct err *err)
{
	if (options->from) {
		if (parse_address("from", options->from, &journey->family, &journey->source, err) < 0)
			return -EINVAL;
	} else if (options->local && options->to) {
		/* This host speaks to its own addresses from them. */
		if (parse_address("to", options->to, &journey->family, &journey->source, err) < 0)
			return -EINVAL;
	} else if (options->local) {
		journey->family = WIDTH_IPV4;
		journey->source = loopback(WIDTH_IPV4);
	} else {
		err_set(err, EINVAL, ERR_USAGE, "explain needs --from, the address of who connects");
		err_hint(err, "dflyguard explain --from 10.20.0.7 --port 6380");
		return -EINVAL;
	}
	journey->local = options->local || is_loopback(journey->family, journey->source);
	return 0;
}

static int parse_connection(const struct options *options, struct journey *journey, struct err *err)
{
	enum width family;

	if (parse_source(options, journey, err) < 0)
		return -EINVAL;
	if (!options->port) {
		err_set(err, EINVAL, ERR_USAGE, "explain needs --port, the port that is connected to");
		err_hint(err, "dflyguard explain --from 10.20.0.7 --port 6380");
		return -EINVAL;
	}
	if (parse_port("port", options->port, &journey->port, err) < 0)
		return -EINVAL;
	if (options->to && (parse_address("to", options->to, &family, &journey->destination, err) < 0 ||
				   check_family("to", family, journey, err) < 0))
		return -EINVAL;
	if (options->tls && options->plaintext)
		return err_set(err, EINVAL, ERR_USAGE, "--tls and --plaintext: a connection begins with one of them");
	journey->established = options->established;
	if (options->via) {
		journey->way = WAY_ROUTED;
		journey->out_kind = options->via;
		if (!options->to && !options->dnat) {
			err_set(err, EINVAL, ERR_USAGE, "--via needs --to: to which address is it routed?");
			return -EINVAL;
		}
	}
	return 0;
}

/* The first address that the list of the port asks for, but loopback last. False: there is a list, and it has none. */
static bool default_destination(const struct ruleset *ruleset, struct journey *journey, bool *any)
{
	const struct set *services = ruleset_set(ruleset, "services");
	bool admin = false;
	const char *family = journey->family == WIDTH_IPV4 ? "v4" : "v6";

	*any = true;
	if (journey->local) {
		*any = false;
		journey->destination =
			is_loopback(journey->family, journey->source) ? loopback(journey->family) : journey->source;
		return true;
	}
	for (size_t i = 0; services && services->targets && i < services->elements.count; i++)
		if (intervals_get(&services->elements, i).first.lo == journey->port)
			admin = same_string(services->targets[i].chain, "admin");
	_cleanup_free_ char *admins = mem_format("admin_bind_%s", family);
	_cleanup_free_ char *usual = mem_format("bind_%s", family);
	const struct set *bind = admin ? ruleset_set(ruleset, admins) : NULL;

	if (!bind)
		bind = ruleset_set(ruleset, usual);
	if (!bind)
		return true;
	*any = false;
	for (size_t i = 0; i < bind->elements.count; i++) {
		struct value address = intervals_get(&bind->elements, i).first;

		if (i == 0 || is_loopback(journey->family, journey->destination))
			journey->destination = address;
	}
	return bind->elements.count > 0;
}

static void choose_speech(const struct options *options, enum port_use use, struct journey *journey)
{
	bool tls = options->tls || (!options->plaintext && use == PORT_TLS);

	journey->data = tls ? speech_tls : speech_plaintext;
	journey->length = tls ? speech_tls_length : speech_plaintext_length;
}

static int complete(
	const struct options *options, struct report_explanation *report, struct journey *journey, struct err *err)
{
	/* What was left out is as the policy means it, also where the kernel's table differs. */
	const struct ruleset *meant = report->expected ? report->expected : report->ruleset;

	if (!options->to && !default_destination(meant, journey, &report->any_address)) {
		err_set(err, EINVAL, ERR_USAGE, "the policy's bind has no %s address that %s could connect to",
			family_name(journey->family), options->from);
		err_hint(err, "say --to ADDRESS");
		return -EINVAL;
	}
	if (options->dnat && parse_dnat(options->dnat, journey, err) < 0)
		return -EINVAL;
	if (journey->way == WAY_PUBLISHED && !journey->out_kind)
		journey->out_kind = "bridge";
	report->use = ruleset_port_use(meant,
		journey->way == WAY_REDIRECTED || journey->way == WAY_PUBLISHED ? journey->to_port : journey->port);
	choose_speech(options, report->use, journey);
	return 0;
}

/* --- the tables --- */

/* What the policy says, for the places in it; without one, a table that was read is explained all the same. */
static int load_expected(const struct options *options, const struct ruleset *observed, struct policy **policy,
	struct ruleset **expected, struct report_explanation *report, struct err *err, struct diagnostics *diagnostics)
{
	const struct environment *environment;

	if (observed && !options->policy_given && access(options->policy, F_OK) < 0 && errno == ENOENT)
		return 0;
	if (policy_load(options->policy, policy, diagnostics, err) < 0)
		return -err->code;
	environment = observed ? environment_in_force(options, *policy, observed, err)
			       : policy_environment(*policy, options->environment, err);
	if (!environment)
		return -err->code;
	*expected = ruleset_compile(*policy, environment, (uint64_t)time(NULL));
	report->policy = *policy;
	report->expected = *expected;
	report->environment = environment->name;
	return 0;
}

static int read_live(struct snapshot *snapshot, struct err *err)
{
	struct bans bans = {0};
	struct nft *nft = NULL;
	int code = nft_open(&nft, err);

	if (code == 0)
		code = nft_read(nft, snapshot, err);
	if (code == 0 && ruleset_has_bans(snapshot->ruleset)) {
		code = nft_read_bans(nft, &bans, err);
		ruleset_put_bans(snapshot->ruleset, &bans);
		bans_done(&bans);
	}
	nft_close(nft);
	return code;
}

static int answer(const struct options *options, const struct report_explanation *report)
{
	static const int statuses[] = {[DECISION_ALLOW] = EXIT_CONFORMING,
		[DECISION_REFUSE] = EXIT_DIFFERS,
		[DECISION_UNKNOWN] = EXIT_TROUBLE};
	struct report_style style = output_style(options);
	struct evaluator *evaluator = evaluator_new(report->ruleset);
	struct trace trace = {0};
	struct arrival arrival = evaluate_journey(evaluator, report->journey, &trace);
	struct report_explanation whole = *report;

	whole.arrival = &arrival;
	whole.trace = &trace;
	options->renderer->explanation(&style, &whole);
	trace_done(&trace);
	evaluator_free(evaluator);
	return finish_output(options, statuses[arrival.decision]);
}

int command_explain(const struct options *options)
{
	struct journey journey = {0};
	struct report_explanation report = {.live = options->live, .journey = &journey};
	struct diagnostics diagnostics = {0};
	struct snapshot snapshot = {0};
	struct policy *policy = NULL;
	struct ruleset *expected = NULL;
	struct err err = {0};
	int status;

	if (parse_connection(options, &journey, &err) < 0 || (options->live && read_live(&snapshot, &err) < 0) ||
		load_expected(options, snapshot.ruleset, &policy, &expected, &report, &err, &diagnostics) < 0) {
		status = fail(options, &err, &diagnostics);
	} else {
		report.ruleset = options->live ? snapshot.ruleset : expected;
		if (options->live)
			report.environment = snapshot.ruleset->environment;
		status = complete(options, &report, &journey, &err) < 0 ? fail(options, &err, NULL)
									: answer(options, &report);
	}
	diagnostics_done(&diagnostics);
	ruleset_free(expected);
	policy_free(policy);
	ruleset_free(snapshot.ruleset);
	return status;
}
