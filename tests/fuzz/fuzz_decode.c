/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Any bytes as what the kernel answers: netlink messages one behind the other, decoded into a ruleset, compared with
 * one that was compiled, described, and mended. Nothing may crash, leak or take long, and what was decoded must keep
 * what ruleset.h promises. `fuzz_decode --make-corpus DIR` writes the messages of some policies, as the kernel lists
 * them.
 */

#include "codec.h"
#include "policy.h"
#include "replay.h"

static const char *const policies[] = {
	"default_environment = e\nenvironment e { tls = off clients = {\"10.0.0.0/8\"} }\n",
	"default_environment = e\n"
	"service { port = 6379 tls_port = 6380 admin_port = 9999 memcached_port = 11211 }\n"
	"environment e { tls = required loopback = tls routed = all clients = {\"10.0.0.0/8\", \"10.1.2.3-11.0.0.9\", "
	"\"2001:db8::/32\", \"ffff::/16\"} admins = {\"255.255.255.255\"} memcached_clients = {any}\n"
	"bind = {\"10.0.0.1\", \"::1\"} admin_bind = {\"10.9.0.1\"} }\n",
	("default_environment = e\nservice { port = 1 tls_port = 65535 }\n"
	 "environment e { tls = optional loopback = deny routed = none clients = {} }\n"),
};

static struct ruleset *compile(const char *text)
{
	struct diagnostics diagnostics = {0};
	struct policy *policy = NULL;
	struct err err = {0};
	struct ruleset *ruleset;

	require(policy_load_text("fuzz", text, strlen(text), &policy, &diagnostics, &err) == 0);
	ruleset = ruleset_compile(policy, policy_environment(policy, NULL, &err), 1767323045);
	diagnostics_done(&diagnostics);
	policy_free(policy);
	return ruleset;
}

/* Kept for all inputs. */
static const struct ruleset *expected(void)
{
	static struct ruleset *ruleset;

	if (!ruleset)
		ruleset = compile(policies[1]);
	return ruleset;
}

static void check_set(const struct set *set)
{
	for (size_t i = 0; i < set->elements.count; i++) {
		struct interval item = intervals_get(&set->elements, i);

		require(value_compare(item.first, item.last) <= 0);
		require(value_compare(item.last, value_max(set->elements.width)) <= 0);
		/* A set of single values may hold one twice, if the kernel says so. */
		require(i == 0 || !set->interval ||
			value_compare(intervals_get(&set->elements, i - 1).last, item.first) < 0);
		require(!set->targets || set->map);
	}
	require(set->opaque || !set->map || set->targets || set->elements.count == 0);
}

static void check_rule(const struct rule *rule)
{
	_cleanup_text_ struct text text = {0};

	require(!rule->opaque || rule->term_count == 0);
	for (size_t i = 0; i < rule->term_count; i++) {
		const struct term *term = &rule->terms[i];

		require((term->kind != TERM_LOOKUP && term->kind != TERM_MAP && term->kind != TERM_COUNTER) ||
			term->name);
		require(term->kind != TERM_VERDICT || (term->verdict >= VERDICT_JUMP) == (term->name != NULL));
	}
	rule_print(rule, &text);
	require(rule_equal(rule, rule) == !rule->opaque);
}

static ssize_t swallow(void *data _unused_, const void *bytes, size_t length)
{
	/* What is sent is made of whole messages. */
	const struct nlmsghdr *message = bytes;
	int left = (int)length;

	while (netlink_message_ok(message, left))
		message = mnl_nlmsg_next(message, &left);
	require(left == 0);
	return (ssize_t)length;
}

static ssize_t silence(void *data _unused_, void *buffer _unused_, size_t size _unused_, bool wait _unused_,
	bool *truncated _unused_, bool *from_kernel _unused_)
{
	return -EAGAIN;
}

static void compare(const struct ruleset *wanted, const struct ruleset *found, bool mend)
{
	static const struct transport nowhere = {.send = swallow, .receive = silence};
	struct changeset *changes = ruleset_diff(wanted, found);
	struct err err = {0};

	for (size_t i = 0; i < changes->count; i++) {
		_cleanup_text_ struct text text = {0};

		require(*change_kind_name(changes->changes[i].kind));
		change_object_text(&changes->changes[i], &text);
		require(text.length > 0);
		change_expected_text(&changes->changes[i], &text);
		change_observed_text(&changes->changes[i], &text);
	}
	if (mend) {
		struct nft *nft = nft_open_transport(&nowhere);

		require(nft_commit(nft, changes, 1, COMMIT_ALL, NULL, NULL, &err) == 0);
		if (changeset_needs_preparing(changes))
			require(nft_commit(nft, changes, 1, COMMIT_PREPARE, NULL, NULL, &err) == 0);
		nft_close(nft);
	}
	changeset_free(changes);
}

/* What the kernel would never have: two objects of one name, or one that is longer than NFT_NAME_MAXLEN. */
static bool is_possible(const struct ruleset *r)
{
	for (size_t i = 0; i < r->chain_count; i++)
		if (strlen(r->chains[i].name) > 255 || ruleset_chain(r, r->chains[i].name) != &r->chains[i])
			return false;
	for (size_t i = 0; i < r->set_count; i++)
		if (strlen(r->sets[i].name) > 255 || ruleset_set(r, r->sets[i].name) != &r->sets[i])
			return false;
	for (size_t i = 0; i < r->counter_count; i++)
		if (strlen(r->counters[i].name) > 255 || ruleset_counter(r, r->counters[i].name) != &r->counters[i])
			return false;
	for (size_t i = 0; i < r->other_count; i++)
		if (strlen(r->others[i].name) > 255)
			return false;
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Netlink is aligned; a copy of exactly that size, so that a sanitizer sees what reads behind its end. */
	_cleanup_free_ char *copy = mem_alloc(size);
	struct decoder decoder = {.ruleset = ruleset_new()};
	const struct nlmsghdr *message = (const struct nlmsghdr *)copy;
	int left = (int)size;
	struct ruleset *ruleset;

	if (size > 256 * 1024)
		return 0;
	if (size)
		memcpy(copy, data, size);
	for (; netlink_message_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
		int r;

		/* Only a reader that asks finds the set's name. */
		if (message->nlmsg_len < NLMSG_HDRLEN + sizeof(struct nfgenmsg) &&
			codec_type(message) == NFT_MSG_NEWSETELEM)
			continue;
		r = decoder_hear(&decoder, message);
		require(r == 0 || r == -EBADMSG);
	}
	ruleset = decoder_finish(&decoder);
	for (size_t i = 0; i < ruleset->set_count; i++)
		check_set(&ruleset->sets[i]);
	for (size_t i = 0; i < ruleset->chain_count; i++)
		for (size_t k = 0; k < ruleset->chains[i].rule_count; k++)
			check_rule(&ruleset->chains[i].rules[k]);
	compare(expected(), ruleset, ruleset->present && is_possible(ruleset));
	if (is_possible(ruleset)) {
		compare(ruleset, expected(), false);
		compare(ruleset, ruleset, false);
	}
	ruleset_free(ruleset);
	return 0;
}

#ifndef FUZZING_ENGINE
static int make_corpus(const char *directory)
{
	static const char *const names[] = {[NFT_MSG_NEWTABLE] = "table",
		[NFT_MSG_NEWCHAIN] = "chain",
		[NFT_MSG_NEWRULE] = "rule",
		[NFT_MSG_NEWSET] = "set",
		[NFT_MSG_NEWSETELEM] = "elements",
		[NFT_MSG_NEWOBJ] = "counter"};
	size_t counts[ARRAY_SIZE(names)] = {0};

	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		struct netlink *netlink = codec_netlink();
		struct ruleset *ruleset = compile(policies[i]);
		struct batch batch = {0};
		_cleanup_text_ struct text all = {0};
		const struct nlmsghdr *message;
		int left;

		codec_encode(&batch, netlink, ruleset);
		left = (int)batch.used;
		for (message = (const struct nlmsghdr *)batch.data; netlink_message_ok(message, left);
			message = mnl_nlmsg_next(message, &left)) {
			char buffer[8192];
			uint16_t type = codec_type(message);
			const struct nlmsghdr *listed =
				type == NFT_MSG_NEWRULE ? codec_normalise(buffer, message, i % 2) : message;

			if (type >= ARRAY_SIZE(names) || !names[type])
				continue;
			for (size_t k = 0; k < listed->nlmsg_len; k++)
				text_append_char(&all, ((const char *)listed)[k]);
			/* One alone, of each kind and of each policy's first two. */
			if (counts[type]++ < 2 * (i + 1))
				write_bytes(directory, names[type], counts[type], listed, listed->nlmsg_len);
		}
		write_bytes(directory, "all", i, all.data, all.length);
		/* Cut in its middle, and with the end first. */
		write_bytes(directory, "cut", i, all.data, all.length / 2 / 4 * 4 + 2);
		batch_done(&batch);
		ruleset_free(ruleset);
		netlink_close(netlink);
	}
	return 0;
}

int main(int count, char **arguments)
{
	if (count == 3 && strcmp(arguments[1], "--make-corpus") == 0)
		return make_corpus(arguments[2]);
	return replay_main(count, arguments);
}
#endif
