/* SPDX-License-Identifier: GPL-3.0-or-later */

/* ban and unban: a source into the kernel's set of banned ones, and out of it. */

#include <errno.h>
#include <string.h>

#include "cmd.h"

/* The source on the command line. *ret_single: an address, and nobody says how much around it. */
static int parse_operand(
	const struct options *options, enum width *width, struct interval *ret, bool *ret_single, struct err *err)
{
	const char *text = options->operand;
	const char *name = options->command->name;
	char why[INTERVAL_WHY];
	int r;

	if (!text) {
		err_set(err, EINVAL, ERR_USAGE, "%s needs a source: an address or a prefix", name);
		err_hint(err, "dflyguard %s 203.0.113.7", name);
		return -EINVAL;
	}
	r = interval_parse(text, width, ret, why);
	if (r == -ENOENT || (r == 0 && *width == WIDTH_PORT)) {
		err_set(err, EINVAL, ERR_USAGE, "'%s' is neither an address nor a prefix", text);
		err_hint(err, "dflyguard %s 203.0.113.7, or %s 2001:db8:bad::/48", name, name);
		return -EINVAL;
	}
	if (r < 0)
		return err_set(err, EINVAL, ERR_USAGE, "%s", why);
	*ret_single = value_compare(ret->first, ret->last) == 0 && !strchr(text, '/');
	return 0;
}

static int open_in_force(struct nft **nft, struct snapshot *snapshot, struct err *err)
{
	const char *why_not;
	int r = nft_open(nft, err);

	if (r == 0)
		r = nft_read(*nft, snapshot, err);
	if (r < 0)
		return r;
	why_not = ruleset_why_not_in_force(snapshot->ruleset);
	if (!why_not)
		return refuse_owned(snapshot->ruleset, nft_port(*nft), err);
	err_set(err, ENOENT, ERR_NETLINK, "nobody can be banned, since the firewall is not in force: %s", why_not);
	err_hint(err, "dflyguard apply");
	return -ENOENT;
}

int command_ban(const struct options *options)
{
	struct report_style style = output_style(options);
	struct report_ban report = {.ban = true, .seconds = options->ban_seconds};
	const struct environment *environment = NULL;
	struct diagnostics diagnostics = {0};
	struct snapshot snapshot = {0};
	struct policy *policy = NULL;
	struct nft *nft = NULL;
	struct err err = {0};
	bool single;
	int status;
	int r = parse_operand(options, &report.width, &report.source, &single, &err);

	if (r == 0)
		r = policy_load(options->policy, &policy, &diagnostics, &err);
	if (r == 0)
		r = open_in_force(&nft, &snapshot, &err);
	if (r == 0) {
		environment = environment_in_force(options, policy, snapshot.ruleset, &err);
		r = environment ? 0 : -EINVAL;
	}
	if (r == 0) {
		report.environment = environment->name;
		if (single)
			report.source = ban_widened(policy, environment, report.width, report.source.first);
		r = ban_source(
			nft, policy, environment, report.width, report.source, report.seconds, &report.changed, &err);
	}
	if (r < 0) {
		status = fail(options, &err, &diagnostics);
	} else {
		options->renderer->ban(&style, &report);
		status = finish_output(options, EXIT_CONFORMING);
	}
	nft_close(nft);
	ruleset_free(snapshot.ruleset);
	diagnostics_done(&diagnostics);
	policy_free(policy);
	return status;
}

/* All of the ban that holds this address. */
static int find_whole(struct nft *nft, enum width width, struct interval *source, struct err *err)
{
	struct bans bans = {0};
	int r = nft_read_bans(nft, &bans, err);

	for (size_t i = 0; i < bans.count; i++) {
		struct interval item = bans.items[i].source;

		if (bans.items[i].width != width || value_compare(item.first, source->first) > 0 ||
			value_compare(item.last, source->first) < 0)
			continue;
		*source = item;
		break;
	}
	bans_done(&bans);
	return r;
}

int command_unban(const struct options *options)
{
	struct report_style style = output_style(options);
	struct report_ban report = {.all = options->all};
	struct nft *nft = NULL;
	struct err err = {0};
	bool single = false;
	int status;
	int r = 0;

	if (options->all && options->operand)
		r = err_set(&err, EINVAL, ERR_USAGE, "unban takes a source or --all, not both");
	else if (!options->all)
		r = parse_operand(options, &report.width, &report.source, &single, &err);
	if (r == 0)
		r = refuse_owned_now(&err);
	if (r == 0)
		r = nft_open(&nft, &err);
	if (r == 0 && single && report.width == WIDTH_IPV6)
		r = find_whole(nft, report.width, &report.source, &err);
	if (r == 0 && options->all)
		r = nft_unban_all(nft, &report.changed, &err);
	else if (r == 0)
		r = nft_unban(nft, report.width, report.source, &report.changed, &err);
	nft_close(nft);
	if (r < 0)
		return fail(options, &err, NULL);
	options->renderer->ban(&style, &report);
	status = report.changed ? EXIT_CONFORMING : EXIT_DIFFERS;
	return finish_output(options, status);
}
