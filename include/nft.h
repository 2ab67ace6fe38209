/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * nft: the model to the kernel and back. It may be told a ruleset and a changeset. It never sees a policy, and changes
 * no table but "inet dflyguard" of the network namespace that it was opened in; of others it reads facts.
 */

#include "foreign.h"
#include "packet.h"
#include "ruleset.h"

struct transport;
struct nft;

/* A ruleset, and the generation of nf_tables at which it was true. The generation is never 0. */
struct snapshot {
	struct ruleset *ruleset;
	uint32_t generation;
	/* By nft_read_back(): what happened to our table since `before` was read is our own transaction and nothing
	 * else. */
	bool alone;
};

/* Says how far a long reading has come. `done` counts elements. May be NULL. */
typedef void nft_progress(void *data, size_t done);

/* Opens a netlink socket. Needs CAP_NET_ADMIN in the namespace's user namespace, even to read: without it the first
 * reading fails with EPERM. 0, or a negative errno value with `err`. Free with nft_close(), which may take 5 to 20 ms
 * after something was deleted, since the kernel then waits for its own cleaning. */
int nft_open(struct nft **ret, struct err *err);
/* For tests; takes the transport over. */
struct nft *nft_open_transport(const struct transport *transport);
void nft_close(struct nft *nft);
void nft_set_progress(struct nft *nft, nft_progress *progress, void *data);
/* Waits less than a second, by the transport's time: a test's transport only pretends. */
void nft_pause(struct nft *nft, long nanoseconds);

/* The port id of its socket, by which the kernel knows the owner of a table; it stays until nft_close(). */
uint32_t nft_port(const struct nft *nft);
/* Whether the kernel knows tables that are owned, and stay when their owner ends (6.9 and later): it is asked by a
 * transaction that it only checks. 0; -EOPNOTSUPP where it does not; or another negative errno value with `err`. */
int nft_can_own(struct nft *nft, struct err *err);

/* The generation now: one short answer whatever the size of the ruleset (about 40 microseconds). It moves with every
 * transaction of anybody in the namespace. 0, or a negative errno value with `err`. */
int nft_generation(struct nft *nft, uint32_t *ret, struct err *err);

/*
 * Reads our table, so that what it returns was the truth at one generation: a reading during which anything changed
 * is thrown away and begun again, for NFT_READ_SECONDS at most (then -EAGAIN). Where there is no table, the ruleset
 * is there and not `present`. The caller owns ret->ruleset. *ret is untouched on failure.
 *
 * "Anything" is, to begin with, any transaction of anybody in the namespace, whatever it is about: that costs nothing
 * to see. After NFT_PATIENCE transactions of others have spoilt a reading or a transaction of ours, we listen to the
 * kernel's events until nft_close(), and from then on only what concerns our table counts. A listener makes everybody's
 * transactions slower, so close it when the work is done.
 */
#define NFT_PATIENCE	 2
#define NFT_READ_SECONDS 15
int nft_read(struct nft *nft, struct snapshot *ret, struct err *err);

/*
 * As nft_read(), right after nft_commit() of `changes`, which were found against `before`. Lists that the transaction
 * did not touch are not asked for again, if the generation proves that nobody else committed since: then they are what
 * they were. All else, and all that was touched, is read. `changes` may be NULL: reads all.
 */
int nft_read_back(struct nft *nft, const struct snapshot *before, const struct changeset *changes, struct snapshot *ret,
	struct err *err);
/* Only whether the table is there, with its flags: nothing in it is read. For those who want to delete it. */
int nft_read_presence(struct nft *nft, struct snapshot *ret, struct err *err);

/* Only the counters of our table, with their values now; none where there is no table. Statistics: not the truth at one
 * generation. The caller frees *ret; it is untouched on failure. */
int nft_read_counters(struct nft *nft, struct ruleset **ret, struct err *err);

/*
 * Reads who was refused, from the sets that `observed` has for it, and sums it up by source; nothing where it has none
 * like ours. This is statistics and changes with every packet: it is not the truth at one generation, and a set that
 * goes away meanwhile is an empty one. Reads NFT_REFUSED_LIMIT elements at most. *ret was zero-initialised by the
 * caller, who frees it; it is untouched on failure.
 */
#define NFT_REFUSED_LIMIT 65536u
int nft_read_refused(struct nft *nft, const struct ruleset *observed, struct refused_sources *ret, struct err *err);

/*
 * Bans, which are state: changed by transactions of elements alone, whatever the generation. All need our table in the
 * kernel (-ENOENT with `err`). Each reads back what it did. 0, or a negative errno value with `err`: then nothing is
 * known to be changed. *ret_changed: how many intervals of the sets were put in (ban) or taken out (unban); 0: nothing
 * was to do, since all of it is banned for longer, or nothing of it is banned.
 */
int nft_ban(struct nft *nft, enum width width, struct interval source, uint64_t milliseconds, size_t *ret_changed,
	struct err *err);
int nft_unban(struct nft *nft, enum width width, struct interval source, size_t *ret_changed, struct err *err);
int nft_unban_all(struct nft *nft, size_t *ret_changed, struct err *err);
/* Who is banned, and for how long. *ret was zero-initialised by the caller, who frees it; untouched on failure. */
int nft_read_bans(struct nft *nft, struct bans *ret, struct err *err);

/* Names the place of an origin, for errors. */
typedef struct srcloc nft_place(void *data, uint32_t origin);

/*
 * Sends the changeset as one transaction, valid only if our table still is what it was at `generation`. To begin with,
 * that is: if nobody has committed anything since. While we listen, and `generation` is that of the last snapshot, the
 * transaction is sent again as long as those who are faster leave our table alone. Returns
 *   0         sent, and no error was heard. Read back before you believe it.
 *   -ERESTART somebody else committed first: nothing was changed; read again
 *   -EAGAIN   others were faster, again and again, for NFT_READ_SECONDS: nothing was changed
 *   -ENOBUFS  the answer was lost: it may or may not have been committed; read again
 *   other     refused, nothing was changed; `err` names the object, and the place in the policy where known
 */
enum commit {
	COMMIT_ALL,
	COMMIT_VERIFY,	/* the kernel checks the whole transaction and then drops it */
	COMMIT_PREPARE, /* only what goes before: see changeset_needs_preparing() */
};

int nft_commit(struct nft *nft, const struct changeset *changeset, uint32_t generation, enum commit commit,
	nft_place *place, void *data, struct err *err);

/*
 * What other tables of the namespace do to the guarded ports (foreign.h), as it was at one generation, and which tables
 * of legacy iptables there are. Reads only: their rules as far as a packet for a guarded port may come to them, of
 * their sets single keys. Bounded in time and memory however large they are; what is beyond the bounds is said to be
 * missing (ret->incomplete). 0 and *ret, to be freed with foreign_free(); or a negative errno value with `err`.
 */
int nft_read_foreign(struct nft *nft, const struct foreign_question *question, struct foreign **ret, struct err *err);

/* ---- nft_events.c: who changes what, as it happens ---- */

/* Who last changed our table, as the event said. A name is the first 15 bytes of the process's. */
struct nft_culprit {
	uint32_t process; /* in the kernel's own count, not in a container's; 0: nobody yet */
	char name[16];
};

/* What was heard since the last time. All that it says is: look. */
struct nft_heard {
	bool anything;		    /* somebody committed something, or may have */
	bool others;		    /* to our table, or it may be; and it was not `nft` */
	bool lost;		    /* events were dropped, and nobody knows whose */
	struct nft_culprit culprit; /* for `others`; process 0: it was not told */
};

struct nft_ear;

/*
 * Hears everybody's transactions from now on, until nft_ear_close(). Makes all of them slower: by 10 where one has
 * 100,000 elements. Those of `nft` are known as ours. 0, or a negative errno value with `err`.
 */
int nft_ear_open(const struct nft *nft, struct nft_ear **ret, struct err *err);
void nft_ear_close(struct nft_ear *ear);
/* For poll(2). Borrowed. */
int nft_ear_descriptor(const struct nft_ear *ear);
/* Hears what waits, and waits for nothing. 0, or a negative errno value with `err`: then it is deaf; open another. */
int nft_ear_hear(struct nft_ear *ear, struct nft_heard *ret, struct err *err);
/* Reading and committing may have begun to listen (NFT_PATIENCE). This ends it, for who keeps `nft` open. */
void nft_stop_listening(struct nft *nft);

/* ---- nft_log.c: refused packets, as the table sends them to an NFLOG group ---- */

struct nft_log;

/* A packet that a rule logged. */
struct nft_log_event {
	uint64_t time;	    /* nanoseconds since 1970: when it came, else when it was heard of */
	bool ours;	    /* its prefix begins with LOG_PREFIX; else the next two are empty */
	enum reason reason; /* REASON_NONE: one that we do not know */
	char name[32]; /* of the reason, as in the prefix; a name of letters, digits, `_` and `-`, else "unknown" */
	bool readable; /* `packet` is filled */
	struct packet packet;
	char interface[16]; /* where it came in; "" = unknown, or gone since */
	uint32_t lost;	    /* notices of this group that should have come before it, and did not */
};

/*
 * Reads the group from now on, of the namespace of the caller. Loads libnetfilter_log, which nobody else here needs.
 * Needs CAP_NET_ADMIN in the namespace's user namespace; one process reads a group at a time (-EBUSY). 0, or a negative
 * errno value with `err`, which says the way out. Free with nft_log_close().
 */
int nft_log_open(uint16_t group, struct nft_log **ret, struct err *err);
/* For tests; takes the transport over, in any case. */
int nft_log_open_transport(const struct transport *transport, uint16_t group, struct nft_log **ret, struct err *err);
void nft_log_close(struct nft_log *log);
/* For poll(2). Borrowed. */
int nft_log_fd(const struct nft_log *log);
/* The next packet that is there already: 1; 0 where there is none; or a negative errno value with `err`. Never waits.
 */
int nft_log_next(struct nft_log *log, struct nft_log_event *ret, struct err *err);
/* How many notices were lost so far. *ret_more: the kernel told of further ones, of which nobody knows how many. */
uint64_t nft_log_lost(const struct nft_log *log, bool *ret_more);
