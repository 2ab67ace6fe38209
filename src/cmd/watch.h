/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* What the files of watch share. Times are seconds of CLOCK_BOOTTIME, which goes on while the machine sleeps and does
 * not jump, unless they say otherwise. */

#include <sys/stat.h>

#include "facts.h"

/* ---- errand.c: what takes long, done by a child ---- */

/* One at a time. Zero-initialise; end with errand_end(). */
struct errand {
	pid_t child; /* 0: none is out */
	int answer;
	double deadline;
	struct text text;
};

/* What the child does: writes `*count` records. It may read all that we have, and changes only its own copy. */
typedef void errand_work(void *data, struct text *answer, size_t *count);
/* Sends a child out; only the descriptors in `keep` (ascending) stay open in it. 0, or a negative errno value. */
int errand_begin(struct errand *errand, errand_work *run, void *data, const int *keep, size_t keep_count,
	double deadline, struct err *err);
bool errand_is_out(const struct errand *errand);
/* To wait at for POLLIN; -1 where none is out. */
int errand_descriptor(const struct errand *errand);
/* What it says. 0 and *ret (records_free()); -EAGAIN: it is not done; else a negative errno value with `err`. Unless it
 * is -EAGAIN the child is gone. Does not wait. */
int errand_hear(struct errand *errand, double now, struct records **ret, struct err *err);
/* Ends the child, if one is out. */
void errand_end(struct errand *errand);
/* Writes a record that was read as it is. */
void record_relay(const struct record *record, struct text *text, size_t *count);

/* ---- alert.c: how many, of whom, within which time ---- */

/* Who did something; `known` false: nobody knows, or all of them. */
struct alert_who {
	bool known;
	enum width width;
	struct value address;
};

#define ALERT_WINDOWS                                                                                                  \
	2048u /* pairs of rule and source that are kept; then the one is forgotten that rested longest                 \
	       */

/* Zero-initialise; free with alerts_done(). */
struct alerts {
	struct alert_window *windows;
	size_t count;
	uint64_t forgotten; /* windows, since the beginning, in which something still counted */
};

/*
 * `count` more at `when` (seconds), of one source. True where that is `rule->count` or more within `rule->within`, and
 * no alert of this rule and source was raised for so long: *ret_total is how many there are. Time is kept in sixteenths
 * of the window, so that what is up to a sixteenth older may count. `index` is the rule's, which tells windows apart.
 */
bool alerts_note(struct alerts *alerts, const struct alert *rule, uint32_t index, const struct alert_who *who,
	uint64_t count, double when, uint64_t *ret_total);
/* Forgets all: the rules are others. */
void alerts_done(struct alerts *alerts);

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

/* ---- watch_posture.c: what a server must be asked for ---- */

struct posture {
	struct errand errand;
	bool wanted; /* asked for anew, as soon as that may be */
	double not_before;
	bool known; /* `findings` are an answer */
	struct findings findings;
	char *trouble;
};

/* ---- watch_attack.c: who was not let in ---- */

struct attacks {
	struct errand errand;
	double next;
	bool begun;	   /* the first answer was there: what it held is not new */
	uint64_t *entries; /* of ACL LOG as it was: pairs of a number for each, and its count; ascending */
	size_t entry_count;
	int64_t counter;    /* of failed logins, as the server counts them; -1: not told */
	int64_t own_failed; /* of which so many will be, or are, our own knocking */
	char *trouble;
	/* Packets that were refused, by source and reason, as they were counted. */
	bool refused_begun;
	struct refused_seen {
		enum width width;
		struct value address;
		uint64_t all, plaintext;
	} * refused;
	size_t refused_count;
	double next_refused;
	bool was_wildcard;
};

/* ---- follow_log.c: the server's log ---- */

#define LOG_SERVERS 4u /* so many are followed */

struct log_file {
	int descriptor; /* -1: none */
	char *name;
	dev_t device;
	ino_t inode;
	struct log_position position;
	uint64_t size;	/* as it was when it was last looked at */
	uint64_t asked; /* the size up to which it was asked for; 0: ask again */
	bool newer;	/* another one took its place: to be read to its end, and then left */
};

struct log_server {
	uint32_t pid;
	uint64_t start;
	bool gone;     /* to be read to its end */
	char *program; /* "dragonfly" */
	char *folder;
	int directory;		 /* -1: not followed */
	char *unknown;		 /* and why */
	struct timespec changed; /* the folder, when it was last read */
	bool read_once;
	struct log_file files[2]; /* warnings and above; information */
};

struct log_follow {
	struct errand errand;
	struct log_server servers[LOG_SERVERS];
	size_t count;
	size_t more;		       /* servers that are not followed */
	size_t asked[LOG_SERVERS * 2]; /* by question of the errand: server * 2 + file */
	size_t asked_count;
	char *trouble;
	uint64_t lost_bytes; /* that were passed over */
	uint64_t seen[LOG_EVENT_COUNT];
	bool behind; /* there is more to be read at once */
};

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
	char *guard_trouble;	    /* the same for the bind guard */
	bool guard_wanted;	    /* the bind guard: asked for, or there, */
	bool guard_drift;	    /* other than the policy says at the last look, */
	uint64_t guard_trace;	    /* and what its pins were then: see bindguard_trace() */
	struct nft_culprit culprit; /* who changed our table since the last look; process 0: nobody told */
	struct nft_culprit rival;   /* who undid what we healed */
	/* What listens on this host, and what servers were told. */
	struct host_facts host;
	double began;	   /* when watch did */
	uint64_t sockets;  /* host_sockets_number(), from before they were read */
	double host_until; /* then they are read in any case */
	size_t listeners[LISTENER_VERDICT_COUNT];
	bool waiting; /* a policy waits to be confirmed */
	bool undone;  /* the one that is followed was undone: it is not to be put in force by us; and that was told */
	bool owned;   /* the table is ours, by the socket of `nft` */
	char *not_owned;  /* why it is not, where it should be; NULL: it is, or nobody tried */
	bool own_waits;	  /* ... since a policy waits to be confirmed */
	char *cannot_own; /* why it never can be; NULL: it may be */
	char *handshake;  /* why silent connections cannot be ended; NULL: they can, or need not */
	uint64_t heals;
	uint64_t silent;	/* connections that were ended, */
	uint64_t silent_untold; /* and those that are still to be told of */
	uint64_t looked_fully;	/* seconds since 1970, as the next one */
	uint64_t asked;
	/* What others say. */
	struct posture posture;
	struct attacks attacks;
	struct log_follow log;
	struct alerts alerts;
	uint64_t alerted[ALERT_ON_COUNT];
	uint64_t banned;
	/* Where to tell. */
	const char *journal; /* socket; NULL: not */
	bool mute;	     /* nobody reads stdout, or the journal has it already */
};

/* Reads all, tells what is new, heals. False: something could not be done (and is told): try again later. */
bool watch_look(struct watch *watch, double now);
/* Whether somebody tries a policy (apply --confirm), or the one that is followed was undone: then nothing is healed.
 * Tells when that begins. */
bool watch_holds_back(struct watch *watch);
/* The administrator means the policy that is followed: also where it was undone. */
void watch_forgive(struct watch *watch);
/* Whether the table, as it was read, is to be made ours now, and is not. Notes why it cannot be. */
bool watch_must_own(struct watch *watch, const struct ruleset *observed);
/* How the table is to be put in force: with us as its owner, or as anybody's. */
void watch_own(const struct watch *watch, struct ruleset *expected);
/* Says that it is ours now, after a transaction that made it so; `changes` led to it. */
void watch_owns(struct watch *watch, const struct changeset *changes);
/* Why it is not ours; NULL: it is. `waits`: and that is as it should be. */
void watch_not_owned(struct watch *watch, bool waits, const char *why);
/* Whether silent connections are to be ended. */
bool watch_ends_silent(const struct watch *watch);
/* Whether a socket of a guarded port came or went since the last look. One short query for each port. */
bool watch_sockets_moved(const struct watch *watch);
/* Writes --metrics, where it was asked for. */
void watch_metrics(struct watch *watch);
/* The work is done, or cannot be done now: nothing that makes others slower is kept open. */
void watch_let_go(struct watch *watch);

/* Tells which findings of `these` are not among `those`. */
void watch_tell_missing(
	struct watch *watch, enum event event, const struct findings *these, const struct findings *those);

/* ---- watch_posture.c ---- */

void posture_want(struct watch *watch);
/* Sends the errand out, where it is wanted and none is. */
void posture_step(struct watch *watch, double now);
/* Takes its answer, and tells what is new. */
void posture_hear(struct watch *watch, double now);
void posture_done(struct posture *posture);

/* ---- watch_attack.c ---- */

/* Something was seen `count` times: asks all rules of the policy, raises alerts and bans. `what` is said of it. */
void attack_note(struct watch *watch, enum alert_on on, const struct alert_who *who, uint64_t count, double when);
void attack_step(struct watch *watch, double now);
void attack_hear(struct watch *watch, double now);
/* Sockets were looked at. */
void attack_sockets(struct watch *watch, double now);
/* The policy is another one. */
void attack_forget(struct watch *watch);
void attack_done(struct attacks *attacks);

/* ---- follow_log.c ---- */

/* The servers that run are known anew. */
void log_servers(struct watch *watch);
/* Sends the errand out where a file grew. */
void log_step(struct watch *watch, double now);
void log_hear_errand(struct watch *watch, double now);
/* Why a server's log is not followed; NULL: all are. False: no server runs. Borrowed. */
bool log_followed(const struct watch *watch, const char **ret_why);
void log_done(struct log_follow *log);

/* ---- watch_tell.c: events to stdout and the journal ---- */

/* Fills in what all events have, and writes it at once. */
void watch_tell(struct watch *watch, struct report_event event);
void watch_say(struct watch *watch, enum event event, const char *format, ...) _printf_(3, 4);
/* The stable MESSAGE_ID of an event. Static. */
const char *event_message_id(enum event event);
/* Something could not be done (NULL: it could). Told once, until it is another thing; `told` remembers. */
void watch_trouble(struct watch *watch, char **told, const struct err *err);
