/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of watch share. Times are seconds of CLOCK_BOOTTIME, which goes on while the machine sleeps and does
 * not jump, unless they say otherwise. */

#include <sys/stat.h>

#include "facts.h"

/* ---- fight.c: does somebody undo what we heal? ---- */

#define FIGHT_UNDONE 3	   /* so many heals undone */
#define FIGHT_WINDOW 60.0  /* within so many seconds are a fight */
#define FIGHT_QUIET  600.0 /* which is over when nobody has changed our table for so long */

/* Zero-initialise. */
struct fight {
	bool healed; /* and not undone since */
	double healed_at;
	double undone[FIGHT_UNDONE]; /* the last times, the newest first */
	unsigned int count;
	bool stopped;	/* do not heal */
	double changed; /* when somebody last changed our table */
};

/* A difference was found that was not there before. */
void fight_found(struct fight *fight, double now);
void fight_healed(struct fight *fight, double now);
/* The administrator did something: a signal, another policy. */
void fight_forgive(struct fight *fight);
/* Whether to heal what differs. Forgets the fight after quiet time. */
bool fight_may_heal(struct fight *fight, double now);

/* ---- follow.c: the policy's files ---- */

/* A file as it was. */
struct mark {
	char *path;
	bool there;
	struct stat status;
};

/* The policy in force, and whether its files have changed since. Zero-initialise; free with follow_done(). */
struct follow {
	const char *path;
	const char *environment_name; /* NULL: the policy's default */
	/* The last good one. */
	struct policy *policy;
	const struct environment *environment;
	struct ruleset *expected;
	uint64_t fingerprint;
	/* What was looked at when it was last read. */
	struct mark *marks;
	size_t mark_count;
	bool unsettled; /* the files change; or changed while they were read */
	char *bad;	/* not NULL: what is in the files now is no good policy, and this is why */
	double read_at;
};

enum followed {
	FOLLOW_SAME,	/* nothing to do */
	FOLLOW_READ,	/* read again; the ruleset is the same */
	FOLLOW_ANOTHER, /* the ruleset is another one */
	FOLLOW_BAD,	/* another mistake, or a first one; the last good policy stays */
};

/* Reads the policy for the first time. False: reported. */
bool follow_begin(struct follow *follow, const struct options *options, double now);
/* Looks at the files, and reads them when they have changed and then stayed as they are from one call to the next; or
 * at once with `now_or_never`. */
enum followed follow_look(struct follow *follow, double now, bool now_or_never);
void follow_done(struct follow *follow);

/* ---- notify.c: datagrams to systemd ---- */

/* "READY=1" to the socket that NOTIFY_SOCKET names. 0, also where there is none; or a negative errno value. */
int notify_send(const char *socket_name, const char *state);

#define JOURNAL_SOCKET "/run/systemd/journal/socket"

struct journal_field {
	const char *name;
	const char *value; /* NULL and "": the field is left out */
};

/* One record. 0, or a negative errno value. */
int journal_send(const char *socket_name, const struct journal_field *fields, size_t count);
/* Whether the descriptor is the stream that JOURNAL_STREAM names. */
bool journal_is(int descriptor, const char *journal_stream);

/* ---- silent.c: connections to a TLS port that say nothing ---- */

/* The ports where only TLS passes. How many. Pure. */
size_t silent_ports(const struct policy *policy, const struct environment *environment, uint16_t ports[static 3]);
/* Ends the established connections to these ports of this network namespace, that are older than this and have received
 * nothing. *ret_ended is how many, also after a failure. 0, or a negative errno value with `err`. */
int silent_end(const uint16_t *ports, size_t count, unsigned int seconds, size_t *ret_ended, struct err *err);

/* ---- watch_look.c: one look, and what became of the differences ---- */

struct watch {
	const struct options *options;
	struct follow follow;
	struct fight fight;
	struct nft *nft;     /* NULL: to be opened */
	struct nft_ear *ear; /* NULL: not with --events, or to be opened */
	/* What the last look found. */
	bool looked;	     /* there was one */
	bool known;	     /* and it could be read */
	uint32_t generation; /* at which it was the truth; 0: look again */
	uint64_t *drift;     /* differences, as numbers, ascending */
	size_t drift_count;
	size_t drift_kinds[CHANGE_MOVE + 1];
	struct findings findings;   /* of the last look that could read all */
	struct findings unread;	    /* of one since then that could not; empty: there was none */
	char *trouble;		    /* what could not be done, as it was told; NULL: nothing */
	char *metrics_trouble;	    /* the same for --metrics */
	struct nft_culprit culprit; /* who changed our table since the last look; process 0: nobody told */
	struct nft_culprit rival;   /* who undid what we healed */
	/* What listens on this host, and what servers were told. */
	struct host_facts host;
	uint64_t sockets;  /* host_sockets_number(), from before they were read */
	double host_until; /* then they are read in any case */
	size_t listeners[LISTENER_VERDICT_COUNT];
	/* Fingerprints; 0 = none. */
	uint64_t waiting; /* of the policy that waits to be confirmed */
	uint64_t undone;  /* of the one that was undone since nobody confirmed it: not to be put in force by us */
	char *handshake;  /* why silent connections cannot be ended; NULL: they can, or need not */
	uint64_t heals;
	uint64_t silent;	/* connections that were ended, */
	uint64_t silent_untold; /* and those that are still to be told of */
	uint64_t looked_fully;	/* seconds since 1970, as the next one */
	uint64_t asked;
	/* Where to tell. */
	const char *journal; /* socket; NULL: not */
	bool mute;	     /* nobody reads stdout, or the journal has it already */
};

/* Reads all, tells what is new, heals. False: something could not be done (and is told): try again later. */
bool watch_look(struct watch *watch, double now);
/* Whether somebody tries a policy (apply --confirm), or it was undone: then nothing is healed. Tells when that begins.
 */
bool watch_holds_back(struct watch *watch);
/* Whether silent connections are to be ended. */
bool watch_ends_silent(const struct watch *watch);
/* Whether a socket of a guarded port came or went since the last look. One short query for each port. */
bool watch_sockets_moved(const struct watch *watch);
/* Writes --metrics, where it was asked for. */
void watch_metrics(struct watch *watch);
/* The work is done, or cannot be done now: nothing that makes others slower is kept open. */
void watch_let_go(struct watch *watch);

/* ---- watch_tell.c: events to stdout and the journal ---- */

/* Fills in what all events have, and writes it at once. */
void watch_tell(struct watch *watch, struct report_event event);
void watch_say(struct watch *watch, enum event event, const char *format, ...) _printf_(3, 4);
/* The stable MESSAGE_ID of an event. Static. */
const char *event_message_id(enum event event);
/* Something could not be done (NULL: it could). Told once, until it is another thing; `told` remembers. */
void watch_trouble(struct watch *watch, char **told, const struct err *err);
