/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * Bans: reads the two sets, and changes them by transactions of elements alone. These are valid for any generation:
 * what they take out must be there as it was read, and what they put in may overlap nothing, or the kernel refuses all
 * of it. Then another one was faster, or a ban's time was over, and it is done again.
 */

#include <errno.h>
#include <string.h>

#include "nft_private.h"

#define TRIES 100

/* --- reading --- */

struct ban_query {
	enum width width;
	struct ban_ends ends;
};

static int hear_bans(void *data, const struct nlmsghdr *message)
{
	struct ban_query *query = data;

	if (mnl_nlmsg_get_payload_len(message) < sizeof(struct nfgenmsg) ||
		message->nlmsg_type >> 8 != NFNL_SUBSYS_NFTABLES)
		return -EBADMSG;
	return decode_bans(&query->ends, query->width, message);
}

static int read_family(struct nft *nft, enum width width, struct bans *bans, struct err *err)
{
	char buffer[NFT_REQUEST_ROOM];
	struct ban_query query = {.width = width};
	int r = -EINTR;

	for (unsigned int tries = 0; (r == -EINTR || r == -ENOBUFS) && tries < TRIES; tries++) {
		struct nlmsghdr *request =
			nft_request(nft, buffer, NFT_MSG_GETSETELEM, NLM_F_DUMP, NFTA_SET_ELEM_LIST_TABLE);

		if (tries)
			nft_pause(nft, 200000 + (long)tries * 7919);
		mnl_attr_put_strz(request, NFTA_SET_ELEM_LIST_SET, width == WIDTH_IPV4 ? BANNED_SET_V4 : BANNED_SET_V6);
		ban_ends_done(&query.ends);
		r = netlink_request(nft->netlink, request, hear_bans, &query, err);
	}
	if (r == 0)
		ban_ends_pair(&query.ends, width, bans);
	ban_ends_done(&query.ends);
	return r;
}

int nft_read_bans(struct nft *nft, struct bans *ret, struct err *err)
{
	static const enum width widths[] = {WIDTH_IPV4, WIDTH_IPV6};
	struct bans bans = {0};

	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		int r = read_family(nft, widths[i], &bans, err);

		if (r == 0)
			continue;
		if (r == -ENOENT) {
			err_set(err, ENOENT, ERR_NETLINK, "the kernel has no set of banned sources in table inet %s",
				TABLE_NAME);
			err_hint(err, "put the policy in force: dflyguard apply");
		} else if (err && !err->code) {
			err_set(err, -r, ERR_NETLINK, "the bans could not be read: %s", strerror(-r));
		}
		bans_done(&bans);
		return nft_explain(r, err);
	}
	*ret = bans;
	return 0;
}

/* --- changing --- */

struct wish {
	bool ban; /* else unban */
	bool all;
	enum width width;
	struct interval source;
	uint64_t milliseconds;
};

static void make_plan(const struct bans *bans, const struct wish *wish, struct ban_plan *plan)
{
	if (wish->ban)
		bans_plan_ban(bans, wish->width, wish->source, wish->milliseconds, plan);
	else if (!wish->all)
		bans_plan_unban(bans, wish->width, wish->source, plan);
	for (size_t i = 0; wish->all && i < bans->count; i++)
		bans_add(&plan->remove, &bans->items[i]);
}

/* Whether it is as it was wished, however long it lasts. */
static bool is_done(const struct bans *bans, const struct wish *wish)
{
	struct intervals banned = {.width = wish->width};
	struct ban_plan plan = {0};
	bool done;

	if (!wish->ban) {
		make_plan(bans, wish, &plan);
		done = !plan.remove.count;
		ban_plan_done(&plan);
		return done;
	}
	for (size_t i = 0; i < bans->count; i++)
		if (bans->items[i].width == wish->width)
			intervals_add(&banned, bans->items[i].source);
	done = intervals_cover(&banned, wish->source);
	intervals_done(&banned);
	return done;
}

static void hear_code(void *data, uint32_t sequence, int code, const char *text)
{
	int *first = data;

	(void)sequence;
	(void)text;
	*first = *first ? *first : code;
}

/* 0, -EAGAIN where it must be planned anew, or another negative errno value with `err`. */
static int send_plan(struct nft *nft, const struct ban_plan *plan, struct err *err)
{
	_cleanup_(batch_done) struct batch batch = {0};
	int code = 0;
	int r;

	batch_begin(&batch, nft->netlink, 0);
	batch_change_bans(&batch, plan);
	batch_end(&batch);
	r = netlink_batch(nft->netlink, batch.data, batch.used, hear_code, &code, err);
	if (r == -ENOBUFS)
		return -EAGAIN;
	if (r != -EREMOTEIO)
		return r;
	if (code == ENOENT || code == EEXIST || code == ENOTEMPTY || code == EBUSY || code == ERESTART)
		return -EAGAIN;
	if (code == ENFILE)
		return err_set(err, ENFILE, ERR_COMMIT, "there is no room for more bans");
	err_set(err, code ? code : EIO, ERR_COMMIT, "the kernel refused the change of bans: %s",
		strerror(code ? code : EIO));
	return nft_explain(code ? -code : -EIO, err);
}

static int change(struct nft *nft, const struct wish *wish, size_t *ret_changed, struct err *err)
{
	size_t changed = 0;

	for (unsigned int tries = 0; tries < TRIES; tries++) {
		struct bans bans = {0};
		struct ban_plan plan = {0};
		int r = nft_read_bans(nft, &bans, err);

		if (r < 0)
			return r;
		if (!changed || !is_done(&bans, wish))
			make_plan(&bans, wish, &plan);
		bans_done(&bans);
		size_t work = plan.remove.count + plan.add.count;

		r = work ? send_plan(nft, &plan, err) : 0;
		if (r == 0 && work)
			changed = wish->ban ? plan.add.count : plan.remove.count;
		ban_plan_done(&plan);
		if (r == 0 && !work) {
			*ret_changed = changed;
			return 0;
		}
		if (r < 0 && r != -EAGAIN)
			return r;
		if (r < 0)
			nft_pause(nft, 200000 + (long)tries * 7919);
	}
	err_set(err, EAGAIN, ERR_COMMIT, "somebody else changes the bans all the time");
	err_hint(err, "find out who: `nft monitor`");
	return -EAGAIN;
}

int nft_ban(struct nft *nft, enum width width, struct interval source, uint64_t milliseconds, size_t *ret_changed,
	struct err *err)
{
	return change(nft, &(struct wish){true, false, width, source, milliseconds}, ret_changed, err);
}

int nft_unban(struct nft *nft, enum width width, struct interval source, size_t *ret_changed, struct err *err)
{
	return change(nft, &(struct wish){false, false, width, source, 0}, ret_changed, err);
}

int nft_unban_all(struct nft *nft, size_t *ret_changed, struct err *err)
{
	return change(nft, &(struct wish){.all = true}, ret_changed, err);
}
