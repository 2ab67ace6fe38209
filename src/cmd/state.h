/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * state: what dflyguard remembers between two calls. Which policy is in force and which was before it, as texts that
 * need no other file; which one waits to be confirmed; and what the last look at the kernel proved. Nothing here is
 * needed to guard: where it cannot be written the guard goes on, and its caller says so.
 *
 * STATE is $STATE_DIRECTORY, else /var/lib/dflyguard; RUN is $RUNTIME_DIRECTORY, else /run/dflyguard, which a reboot
 * clears. Only the network namespace of process 1 uses STATE itself; any other one keeps all of it in RUN/netns-INODE,
 * so that trials and containers never touch the host's.
 *
 *   STATE/current   the policy in force: a head of "# key value" lines, then policy_print()
 *   STATE/previous  the one before
 *   STATE/undone    which policies were undone since somebody applied one: see undone.c
 *   RUN/pending     the policy that `apply --confirm` put in force for a time; `current` is what it is undone to
 *   RUN/looked      at which generation of the kernel's rulesets our table was as expected
 *   RUN/lock        held by whoever changes the table or any of these
 *   RUN/namespace   whose folder this is: inodes of namespaces are used again
 */

#include "err.h"
#include "policy.h"

/* For tests: called before each step that changes a file. */
extern void (*state_step)(const char *what);

/* What identifies a network namespace, and this boot. Inodes are used again; cookies are not, until the next boot. */
struct space {
	uint64_t device, inode;
	uint64_t cookie; /* 0: the kernel tells none (before 5.14) */
	bool first;	 /* it is that of process 1 */
	char boot[40];	 /* the kernel's random boot id; "" = unknown */
};

struct state {
	char *directory; /* where current and previous are */
	char *run;	 /* where the rest is */
	char *run_parent;
	struct space space;
	int lock; /* -1 = not held */
};

/* systemd started this very process as a command of a unit, and not only one of its parents. */
bool started_by_systemd(void);

/* Only names: touches nothing. Free with state_done(), which lets the lock go. */
struct state state_open(void);
void state_done(struct state *state);
/* Nanoseconds since boot, suspended time included; never set back. */
uint64_t state_clock(void);

/* Makes RUN where it is missing, and waits for the lock for `seconds` at most. 0, or a negative errno value with `err`
 * (-EAGAIN: somebody held it all the time). Already held: 0. */
int state_lock(struct state *state, unsigned int seconds, struct err *err);

void state_unlock(struct state *state);

/* One policy as it is kept. Free with kept_done(). */
struct kept_policy {
	char *environment;
	char *path;	      /* of the policy that was applied; for people */
	uint64_t applied;     /* seconds since 1970 */
	uint64_t fingerprint; /* of the ruleset */
	uint64_t digest;      /* of what the policy says, without places */
	/* Of `pending` alone. */
	char token[33];	   /* "" = this is not `pending` */
	uint64_t deadline; /* state_clock() at which it is undone */
	bool undo_removes; /* there was no table before: to that it is undone */
	bool committed;	   /* it came into force: who applied it did not die before that */
	char boot[40];
	/* What policy_load_text() reads: the head (comments) and the policy. */
	char *text;
	size_t length;
	size_t body; /* where the policy begins */
	char *file;  /* the path it was read from */
};

void kept_done(struct kept_policy *kept);
/* Fills all but the members of `pending`. */
struct kept_policy kept_from_policy(
	const struct policy *policy, const struct environment *environment, uint64_t fingerprint, uint64_t digest);

enum state_file { STATE_CURRENT, STATE_PREVIOUS, STATE_PENDING };

/*
 * Reads one. -ENOENT: there is none, and `err` is untouched. -EPERM: it, or its folder, is not root's or the caller's,
 * or others may write it. -EBADMSG: it is not what we write. `pending` of another boot is none. With `head_only` the
 * policy itself is not read: no text.
 */
int state_read(
	const struct state *state, enum state_file file, bool head_only, struct kept_policy *ret, struct err *err);

/*
 * Makes `kept` the policy in force; what was `current` becomes `previous`, unless both give the same ruleset (then the
 * older `previous` stays, so that a rollback always leads to another ruleset). A crash at any moment leaves at least
 * one of the two whole, and `current` either old or new. Nothing is written where `current` says the same already.
 */
int state_keep(const struct state *state, const struct kept_policy *kept, struct err *err);
/* Nothing is in force any more: `current` becomes `previous`. */
int state_forget(const struct state *state, struct err *err);

/* Writes RUN/pending, or takes it away (0 also where there is none). */
int state_write_pending(const struct state *state, const struct kept_policy *kept, struct err *err);
int state_remove_pending(const struct state *state, struct err *err);

/* STATE/undone as a text, with the same care: -ENOENT: there is none. NULL takes it away (0 also where there is none).
 */
#define UNDONE_MAX_TEXT 4096
int state_read_undone(const struct state *state, char **ret, struct err *err);
int state_write_undone(const struct state *state, const char *text, struct err *err);

/*
 * RUN/looked. state_looked() returns the generation at which our table was found to be what has this fingerprint, or 0
 * where no record proves that for this namespace, this boot and the last LOOKED_SECONDS. What it returns is true as
 * long as the kernel still is at that generation, and not longer. *ret_when (may be NULL) is when that was: seconds
 * since 1970, by the clock of now.
 */
#define LOOKED_SECONDS 600
uint32_t state_looked(const struct state *state, uint64_t fingerprint, uint64_t *ret_when);
/* Remembers a full look that found no difference. Where that cannot be written the next look is a full one. */
void state_remember_look(const struct state *state, uint64_t fingerprint, uint32_t generation);
