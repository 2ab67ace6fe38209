/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cmd.h"

/* How often a transaction is begun anew because somebody else was faster. */
#define ATTEMPTS 60

static void hear_progress(void *data, size_t done)
{
	progress_update(data, done);
}

static struct srcloc place(void *data, uint32_t origin)
{
	return data ? policy_place(data, origin) : (struct srcloc){0};
}

static size_t element_count(const struct ruleset *ruleset)
{
	size_t count = 0;

	for (size_t i = 0; i < ruleset->set_count; i++)
		count += ruleset->sets[i].elements.count;
	return count;
}

/* Growing, and not in step with whoever is in our way. */
static void pause_before(struct nft *nft, unsigned int attempt)
{
	long milliseconds = attempt < 8 ? 1L << attempt : 150;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	nft_pause(nft, (milliseconds * 500 + now.tv_nsec % (milliseconds * 500)) * 1000);
}

/* `known`: the last thing that happened was our transaction, on what is in `before`. */
static int look(struct reconcile *r, bool known, struct snapshot *snapshot, struct changeset **changes, struct err *err)
{
	int code;

	if (!r->expected->present)
		code = nft_read_presence(r->nft, snapshot, err);
	else
		code = nft_read_back(r->nft, &r->before, known ? r->changes : NULL, snapshot, err);
	if (code < 0)
		return code;
	*changes = ruleset_diff(r->expected, snapshot->ruleset);
	return 0;
}

/* The kernel took the transaction, nobody else was there, and yet it is not what was sent. */
static int stored_something_else(const struct changeset *changes, struct err *err)
{
	_cleanup_text_ struct text object = {0};
	_cleanup_text_ struct text expected = {0};
	_cleanup_text_ struct text observed = {0};

	change_object_text(&changes->changes[0], &object);
	change_expected_text(&changes->changes[0], &expected);
	change_observed_text(&changes->changes[0], &observed);
	err_set(err, EIO, ERR_COMMIT,
		"the kernel acknowledged the transaction, but stored something else: %s: expected '%s', read back '%s'",
		text_string(&object), text_string(&expected), text_string(&observed));
	err_hint(err, "this is a bug of dflyguard or of the kernel; please report it with the output of `uname -r` and "
		      "`nft list table inet " TABLE_NAME "`");
	return -EIO;
}

/*
 * Makes new lists ready before the rules that ask them. Keeps what the first look found, for the report. -ERESTART:
 * somebody else was faster, try again. Where the kernel refuses it we go without: what is wrong the transaction itself
 * will say, and it may mend what stood in the way here. But a whole table is not replaced in any other way: then it is
 * an error.
 */
static int prepare(struct reconcile *r, struct err *err)
{
	bool must = r->changes->table_replace;
	int code = nft_commit(r->nft, r->changes, r->before.generation, COMMIT_PREPARE, place,
		(void *)(uintptr_t)r->policy, must ? err : NULL);

	if (code == -ERESTART || (must && code < 0 && code != -ENOBUFS))
		return code;
	if ((code == 0 || code == -ENOBUFS) && !r->first_changes) {
		r->first_changes = TAKE_PTR(r->changes);
		r->first = r->before;
		r->before = (struct snapshot){0};
	}
	return 0;
}

static void forget_first(struct reconcile *r)
{
	changeset_free(r->first_changes);
	ruleset_free(r->first.ruleset);
	r->first_changes = NULL;
	r->first = (struct snapshot){0};
}

/* What was done is what the first look found. */
static void restore_first(struct reconcile *r)
{
	if (!r->first_changes)
		return;
	changeset_free(r->changes);
	ruleset_free(r->before.ruleset);
	r->changes = TAKE_PTR(r->first_changes);
	r->before = r->first;
	r->first = (struct snapshot){0};
}

int reconcile(struct reconcile *r, struct err *err)
{
	bool prepared = false;
	bool sent = false;
	bool certain = false; /* the last answer was heard: what we sent was committed as sent */
	unsigned int tries = 0;
	uint32_t generation = 0;
	int code = r->nft ? 0 : nft_open(&r->nft, err);

	if (code < 0)
		return code;
	nft_set_progress(r->nft, hear_progress, r->progress);
	if (r->known_generation) {
		progress_step(r->progress, "asking for the generation", 0);
		code = nft_generation(r->nft, &generation, err);
		if (code < 0)
			return code;
		if (generation == r->known_generation) {
			r->changes = mem_zero(1, sizeof(*r->changes));
			r->changes->expected = r->expected;
			r->unchanged = true;
			return 0;
		}
	}
	progress_step(r->progress, "reading the kernel's table", 0);
	for (unsigned int attempt = 0; attempt < ATTEMPTS; attempt++) {
		struct snapshot snapshot;
		struct changeset *changes;

		code = look(r, sent && certain, &snapshot, &changes, err);
		if (code < 0) {
			if (sent)
				err_prefix(err, "after the transaction was sent");
			return code;
		}
		bool done = changes->count == 0;

		r->clean_generation = done ? snapshot.generation : 0;
		if (sent && !done && certain && (snapshot.alone || snapshot.generation == generation + 1)) {
			code = stored_something_else(changes, err);
			changeset_free(changes);
			ruleset_free(snapshot.ruleset);
			return code;
		}
		if (sent && done) {
			changeset_free(changes);
			ruleset_free(snapshot.ruleset);
			restore_first(r);
			r->applied = true;
			return 0;
		}
		changeset_free(r->changes);
		ruleset_free(r->before.ruleset);
		r->changes = changes;
		r->before = snapshot;
		if (done || !r->write)
			return 0;
		*err = (struct err){0};
		code = refuse_owned(r->before.ruleset, nft_port(r->nft), err);
		if (code < 0)
			return code;
		if ((!prepared || r->changes->table_replace) && changeset_needs_preparing(r->changes)) {
			progress_step(r->progress, "preparing new lists", element_count(r->expected));
			code = prepare(r, err);
			if (code < 0 && code != -ERESTART)
				return code;
			prepared = code == 0;
			if (!prepared) {
				r->redone++;
				pause_before(r->nft, attempt);
			}
			continue;
		}
		if (tries++ > 0) {
			r->redone++;
			pause_before(r->nft, attempt);
		}
		generation = snapshot.generation;
		progress_step(r->progress, "committing one transaction", element_count(r->expected));
		code = nft_commit(r->nft, changes, generation, COMMIT_ALL, place, (void *)(uintptr_t)r->policy, err);
		if (code < 0 && code != -ERESTART && code != -ENOBUFS)
			return code;
		certain = code == 0;
		sent = sent || code != -ERESTART;
		progress_step(r->progress, "reading back", element_count(r->expected));
	}
	err_set(err, EAGAIN, ERR_COMMIT, "somebody else changed the kernel's ruleset during each of %d attempts",
		ATTEMPTS);
	err_hint(err, "find out who changes it with `nft monitor`, and run this again");
	return -EAGAIN;
}

/* What only adds has nothing to clean up. */
static bool deletes_something(const struct changeset *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		if (changes->changes[i].kind != CHANGE_ADD)
			return true;
	return false;
}

/*
 * The kernel lets whoever closes the socket wait for its cleaning (5 to 20 ms after a deletion), but the result is told
 * already: the wait is left to a child that does nothing else. The socket is released by whoever lets it go last.
 */
static void close_behind(struct reconcile *r)
{
	pid_t child = r->nft && r->applied && deletes_something(r->changes) ? fork() : -1;

	if (child == 0) {
		/* Whoever reads our output waits for its end: let go of it at once. */
		close(STDIN_FILENO);
		close(STDOUT_FILENO);
		close(STDERR_FILENO);
		nft_close(r->nft);
		_exit(0);
	}
	nft_close(r->nft);
}

void reconcile_done(struct reconcile *r)
{
	close_behind(r);
	forget_first(r);
	changeset_free(r->changes);
	ruleset_free(r->before.ruleset);
	r->changes = NULL;
	r->before.ruleset = NULL;
	r->nft = NULL;
}
