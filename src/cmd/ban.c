/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Bans: what may be banned, and how. */

#include <errno.h>

#include "cmd.h"

/* The shortest prefixes that one ban takes. Larger ones are a matter of the policy, or a mistake. */
#define SHORTEST_V4 16u
#define SHORTEST_V6 32u

/* The first interval of a sorted list that holds some of `source`. */
static bool find_common(const struct intervals *list, struct interval source, struct interval *ret)
{
	for (size_t i = 0; i < list->count; i++) {
		*ret = intervals_get(list, i);
		if (value_compare(ret->first, source.last) <= 0 && value_compare(ret->last, source.first) >= 0)
			return true;
	}
	return false;
}

static int refuse(enum width width, struct interval source, struct interval protected, const char *why,
	struct srcloc place, struct err *err)
{
	char text[INTERVAL_TEXT];
	char other[INTERVAL_TEXT];

	interval_format(width, source, text);
	interval_format(width, protected, other);
	err_set_at(err, EPERM, ERR_POLICY, place, "%s cannot be banned: %s is %s", text, other, why);
	err_hint(err, "ban what lies beside it");
	return -EPERM;
}

static int check_size(enum width width, struct interval source, struct err *err)
{
	unsigned int shortest = width == WIDTH_IPV4 ? SHORTEST_V4 : SHORTEST_V6;
	struct value most;
	char text[INTERVAL_TEXT];

	/* As many addresses as such a prefix has, wherever they begin. */
	most = value_fill_low(width, value_zero(), shortest);
	struct value size = {source.last.hi - source.first.hi - (source.last.lo < source.first.lo),
		source.last.lo - source.first.lo};

	if (value_compare(size, most) <= 0)
		return 0;
	err_set(err, EINVAL, ERR_USAGE, "%s is too much for one ban: a /%u at most",
		interval_format(width, source, text), shortest);
	err_hint(err, "take it out of `clients` in the policy, and apply that");
	return -EINVAL;
}

int ban_check(const struct policy *policy, const struct environment *e, enum width width, struct interval source,
	struct err *err)
{
	const struct {
		const struct source_list *list;
		const char *why;
	} lists[] = {
		{&e->never_ban, "in never_ban"},
		{&e->admins, "in admins"},
		{&e->bind, "in bind, an address of this host"},
		{&e->admin_bind, "in admin_bind, an address of this host"},
	};
	struct intervals v4 = {.width = WIDTH_IPV4};
	struct intervals v6 = {.width = WIDTH_IPV6};
	const struct intervals *family = width == WIDTH_IPV4 ? &v4 : &v6;
	struct interval common;
	int r = check_size(width, source, err);

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(lists); i++) {
		policy_resolve(policy, lists[i].list, &v4, &v6, NULL, NULL);
		if (find_common(family, source, &common))
			r = refuse(width, source, common, lists[i].why, policy_place(policy, common.origin), err);
		intervals_done(&v4);
		intervals_done(&v6);
		v4 = (struct intervals){.width = WIDTH_IPV4};
		v6 = (struct intervals){.width = WIDTH_IPV6};
	}
	if (r == 0) {
		policy_never_banned(policy, e, &v4, &v6);
		if (find_common(family, source, &common))
			r = refuse(width, source, common, "this host itself", (struct srcloc){0}, err);
		intervals_done(&v4);
		intervals_done(&v6);
	}
	return r;
}

struct interval ban_widened(
	const struct policy *policy, const struct environment *environment, enum width width, struct value address)
{
	struct interval alone = {address, address, 0};
	unsigned int length = environment->ipv6_source_prefix;

	if (width != WIDTH_IPV6)
		return alone;
	length = length < SHORTEST_V6 ? SHORTEST_V6 : length;
	struct interval all = {value_mask_low(width, address, length), value_fill_low(width, address, length), 0};

	return ban_check(policy, environment, width, all, NULL) == 0 ? all : alone;
}

int ban_source(struct nft *nft, const struct policy *policy, const struct environment *environment, enum width width,
	struct interval source, uint64_t seconds, size_t *ret_changed, struct err *err)
{
	int r = ban_check(policy, environment, width, source, err);

	if (r == 0)
		r = nft_ban(nft, width, source, seconds * 1000, ret_changed, err);
	if (r == -ENFILE)
		err_hint(err, "`dflyguard status --verbose` lists them; unban some, or ban a prefix instead");
	return r;
}
