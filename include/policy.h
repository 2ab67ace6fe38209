/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * policy: text to a valid policy, with file and line on everything. It may be told a path. It never talks to the
 * kernel's firewall, never prints, and never hands out a policy that holds a mistake.
 *
 * The language is DESIGN.md section 2. Included files are spliced into one text before libconfuse sees it, so one
 * number, the line in that text, names any place: that is `origin` here and in struct interval. 0 means nowhere.
 */

#include "err.h"
#include "interval.h"

#define POLICY_DEFAULT_PATH	"/etc/dflyguard/policy.conf"
#define POLICY_MAX_TEXT		(64u * 1024 * 1024) /* bytes, all files together */
#define POLICY_MAX_SOURCES	1000000u	    /* written sources, all lists together */
#define POLICY_MAX_DEPTH	16u		    /* nested includes */
#define POLICY_MAX_FILES	1024u		    /* files, included ones and repeats among them */
#define POLICY_MAX_REPORTED	200u		    /* mistakes reported in one run; then one line says how many more */
#define POLICY_MAX_NAME		64u		    /* bytes in the name of a network or an environment */
#define POLICY_MAX_EXPECTATIONS 10000u
#define POLICY_MAX_ALERTS	64u
#define POLICY_MAX_WAIVERS	1000u
#define POLICY_MAX_WORDS	500u /* bytes in a waiver's reason or subject */

#define POLICY_DEFAULT_PORT	 6379u
#define POLICY_DEFAULT_LOG_GROUP 6379u /* where there is no policy to ask */

enum tls_mode { TLS_REQUIRED, TLS_OPTIONAL, TLS_OFF };
enum loopback_mode { LOOPBACK_ALLOW, LOOPBACK_TLS, LOOPBACK_DENY };
enum admin_tls_mode { ADMIN_TLS_REQUIRED, ADMIN_TLS_OFF };
enum server_mode { SERVER_EXPECTED, SERVER_OPTIONAL };
enum client_certificates_mode { CLIENT_CERTIFICATES_ANY, CLIENT_CERTIFICATES_REQUIRED };
enum password_mode { PASSWORD_REQUIRED, PASSWORD_OPTIONAL };
enum self_signed_mode { SELF_SIGNED_DENY, SELF_SIGNED_ALLOW };
enum log_mode { LOG_NONE, LOG_SAMPLED, LOG_ALL };
/* What this host routes to a guarded port of another address without translating it (DNAT): judged when it goes into
 * a container (out by a bridge or a veth), always, or never. */
enum routed_mode { ROUTED_CONTAINERS, ROUTED_ALL, ROUTED_NONE };
/* What becomes of a bind(2) of a guarded port to an address that `bind` does not list: nothing, refused with EPERM, or
 * done to the first listed address of the family instead (refused where none is listed). */
enum bind_guard_mode { BIND_GUARD_OFF, BIND_GUARD_DENY, BIND_GUARD_REWRITE };
/* What an expectation's connection says first, and what becomes of it. */
enum speaks_mode { SPEAKS_TLS, SPEAKS_PLAINTEXT };
enum expect_verdict { EXPECT_ALLOW, EXPECT_REFUSE };
/* What an alert counts. */
enum alert_on {
	ALERT_AUTH_FAILURES,	  /* ACL LOG, the server's counter, its log */
	ALERT_ACL_DENIALS,	  /* ACL LOG */
	ALERT_TLS_ERRORS,	  /* the server's log */
	ALERT_PLAINTEXT,	  /* packets that the firewall refused, since they were no TLS */
	ALERT_REFUSED,		  /* packets that the firewall refused, for whatever reason */
	ALERT_DANGEROUS_COMMANDS, /* the server's log, where it is told to write them */
	ALERT_WILDCARD_LISTENER,  /* sockets, and the server's log */
};
#define ALERT_ON_COUNT (ALERT_WILDCARD_LISTENER + 1)

/* The word that the policy uses for a value, such as "required". Static storage. */
const char *tls_mode_name(enum tls_mode mode);
const char *loopback_mode_name(enum loopback_mode mode);
const char *admin_tls_mode_name(enum admin_tls_mode mode);
const char *server_mode_name(enum server_mode mode);
const char *log_mode_name(enum log_mode mode);
const char *client_certificates_mode_name(enum client_certificates_mode mode);
const char *password_mode_name(enum password_mode mode);
const char *self_signed_mode_name(enum self_signed_mode mode);
const char *routed_mode_name(enum routed_mode mode);
const char *bind_guard_mode_name(enum bind_guard_mode mode);
const char *speaks_mode_name(enum speaks_mode mode);
const char *expect_verdict_name(enum expect_verdict verdict);
const char *alert_on_name(enum alert_on on);
/* Whether who did it is told by somebody who cannot be lied to by a client: not by a line of a log. */
bool alert_may_ban(enum alert_on on);

/* A reference to a network by its name, as written. */
struct network_reference {
	char *name;
	uint32_t origin;
	uint32_t network; /* its index in policy.networks */
};

/* Sources as written: not sorted, not merged, networks not expanded. */
struct source_list {
	bool given;	 /* false: the option is not in the text */
	uint32_t origin; /* of the option */
	struct intervals v4;
	struct intervals v6;
	struct network_reference *references;
	size_t reference_count;
	size_t reference_capacity;
};

struct network {
	char *name;
	uint32_t origin;
	struct source_list sources;
};

struct service {
	uint32_t origin;	 /* 0: no service section, all values are defaults */
	uint16_t port;		 /* default 6379 */
	uint16_t tls_port;	 /* default 0 = none */
	uint16_t admin_port;	 /* default 0 = none */
	uint16_t memcached_port; /* default 0 = none */
	uint32_t port_origin, tls_port_origin, admin_port_origin, memcached_port_origin;
	char *flagfile; /* default "/etc/dragonfly/dragonfly.conf" */
	char *unit;	/* default "dragonfly.service" */
	uint32_t flagfile_origin, unit_origin;
	/* Bits of the conntrack label that the table uses, from this one on: see ruleset.h. Default 100. */
	uint16_t conntrack_label;
	/* The NFLOG group that refused packets are sent to. Default 6379. */
	uint16_t log_group;
	uint32_t conntrack_label_origin, log_group_origin;
};

#define POLICY_LABEL_BITS 5u /* how many bits of the label the table uses, of 128 */

struct environment {
	char *name;
	uint32_t origin;
	enum tls_mode tls;		 /* default required */
	enum loopback_mode loopback;	 /* default allow */
	enum admin_tls_mode admin_tls;	 /* default required */
	enum server_mode server;	 /* default expected */
	enum log_mode log;		 /* default sampled */
	enum routed_mode routed;	 /* default containers */
	enum bind_guard_mode bind_guard; /* default off; else `bind` is given */
	uint32_t tls_origin, loopback_origin, admin_tls_origin, server_origin, log_origin, routed_origin,
		bind_guard_origin;
	struct source_list clients;	      /* always given */
	struct source_list admins;	      /* not given: nobody */
	struct source_list memcached_clients; /* not given: nobody */
	struct source_list never_ban;	      /* besides admins, loopback and bind; not given: nobody */
	struct source_list bind;	      /* addresses only: each interval is one address; not given: not asked */
	struct source_list admin_bind;	      /* not given: as bind */
	uint32_t max_connections_per_source;  /* default 0 = no limit */
	uint32_t new_connections_per_second;  /* default 0 = no limit */
	/* Limits count all addresses of an IPv6 prefix of this length as one source. 1 to 128, default 64. */
	uint32_t ipv6_source_prefix;
	uint32_t max_connections_origin, new_connections_origin, ipv6_source_prefix_origin;
	/* Seconds after which watch ends a connection to a TLS port that has said nothing. 0 to 3600, default 10; 0 =
	 * never. */
	uint32_t handshake_timeout;
	uint32_t handshake_timeout_origin;
	/* What audit asks of TLS. */
	enum client_certificates_mode client_certificates; /* default any */
	enum self_signed_mode self_signed;		   /* default deny */
	uint32_t certificate_warn_days;			   /* before a certificate ends; default 30 */
	uint32_t certificate_fail_days;			   /* default 7 */
	/* What audit asks of passwords, and by whose it may ask the server itself. */
	enum password_mode password; /* default required */
	char *monitor_user;	     /* NULL: default */
	char *monitor_password_file; /* NULL: nobody may ask */
	uint32_t password_origin, monitor_user_origin, monitor_password_file_origin;
	/* Host names that clients use: only `references` hold any, which are no networks. Not given: not asked. */
	struct source_list server_names;
	uint32_t client_certificates_origin, self_signed_origin, certificate_warn_days_origin,
		certificate_fail_days_origin;
};

#define POLICY_EVERY_ENVIRONMENT UINT32_MAX

/* A test of the policy, written in it: what must become of every connection from `from` to `to` and `to_port`. This
 * room checks that it can be asked, not that it holds. */
struct expectation {
	uint32_t origin;
	uint32_t environment;	 /* index in policy.environments, or POLICY_EVERY_ENVIRONMENT */
	char *environment_name;	 /* as written; NULL: not written, which it cannot be inside an environment */
	struct source_list from; /* always given, never empty; but its networks may be */
	/* Addresses only, as `bind`. Not given: those of the family in the environment's bind (for the admin port in
	 * its admin_bind), or any address of this host where destinations are not asked. */
	struct source_list to;
	uint16_t to_port; /* one of the service's */
	enum speaks_mode speaks;
	enum expect_verdict verdict;
	uint32_t environment_name_origin, to_port_origin, speaks_origin, verdict_origin;
};

/* A finding of audit that is known and borne with for a time. This room knows neither checks nor what day it is: see
 * audit_waiver_mistake(). */
struct waiver {
	uint32_t origin;
	uint32_t environment;	/* index in policy.environments, or POLICY_EVERY_ENVIRONMENT */
	char *environment_name; /* as written; NULL: not written, which it cannot be inside an environment */
	char *check;		/* "tls.chain": looks like an id */
	char *reason;		/* always given */
	char *subject;		/* the finding's, in which * stands for anything; NULL: whatever it is about */
	uint32_t until;		/* the last day, in days since 1970-01-01, UTC */
	uint32_t environment_name_origin, reason_origin, subject_origin, until_origin;
};

/* When watch raises an alert: `count` of these within so many seconds, of one source where the source is known, else of
 * all. */
struct alert {
	uint32_t origin;
	uint32_t environment;	/* index in policy.environments, or POLICY_EVERY_ENVIRONMENT */
	char *environment_name; /* as written; NULL: not written, which it cannot be inside an environment */
	enum alert_on on;
	uint32_t count;	 /* 1 to 1,000,000; default 10 */
	uint32_t within; /* seconds, 1 to 86,400; default 60 */
	uint32_t ban;	 /* seconds that `watch --heal` bans the source; default 0 = not at all */
	uint32_t environment_name_origin, on_origin, count_origin, within_origin, ban_origin;
};

/* What alerts there are where the policy names none: failed logins, without a ban. Static. */
extern const struct alert alert_standard;

/* A piece of the spliced text: its lines from `start` on are lines of `file` from `file_line` on. */
struct policy_segment {
	uint32_t start;
	uint32_t file_line;
	uint32_t file; /* index in policy.files */
};

#define DATE_TEXT 16u
/* "2027-03-01" from days since 1970-01-01. Returns `buffer`, DATE_TEXT bytes. */
const char *date_format(uint32_t days, char *buffer);
/* The other way, strictly. 0, or -EINVAL: it is no such text, or no day of the calendar. */
int date_parse(const char *text, uint32_t *ret_days);

/* How alike two names are: the number of letters to add, drop, change or swap; more than `limit` where it exceeds that
 * or a name is longer than POLICY_MAX_NAME. */
unsigned int name_distance(const char *a, const char *b, unsigned int limit);
/* How many letters a slip of the finger may change in a name of this length. */
unsigned int name_tolerance(const char *name);

/* Immutable after policy_load(). Owns all that is reachable from it. */
struct policy {
	char *path;
	char **files; /* as the user would name them: the path given, includes relative to it */
	size_t file_count;
	struct policy_segment *segments;
	size_t segment_count;
	char *default_environment; /* NULL: not given */
	uint32_t default_environment_origin;
	struct service service;
	struct network *networks; /* in the order of the text */
	size_t network_count;
	struct environment *environments; /* in the order of the text */
	size_t environment_count;
	struct expectation *expectations; /* in the order of the text, inside and outside environments */
	size_t expectation_count;
	struct waiver *waivers; /* in the order of the text, inside and outside environments */
	size_t waiver_count;
	struct alert *alerts; /* the same */
	size_t alert_count;
	size_t source_count; /* written sources, all lists */
};

/* One mistake, or one note. */
struct diagnostic {
	char *file;
	unsigned int line; /* 0 = the file as a whole */
	char *message;	   /* says what to write instead */
};

/* Sorted by file in the order of inclusion and line. Zero-initialise; free with diagnostics_done(). */
struct diagnostics {
	struct diagnostic *items;
	size_t count;
	size_t capacity;
	size_t suppressed; /* over POLICY_MAX_REPORTED */
};

void diagnostics_done(struct diagnostics *diagnostics);

/*
 * Reads, parses and checks the policy at `path`; "-" is not special. On success 0 and *ret owns a policy: free it with
 * policy_free(). -EINVAL: the text has mistakes, all of them in `diagnostics`, and `err` says how many, with the place
 * of the first. -ENOENT, -EACCES, -EPERM (owned by somebody else, or writable by others), -EISDIR, -ENOTSUP (a pipe or
 * a device), -EFBIG, -EIO: `err` says which file, and `diagnostics` stays empty. An included file that cannot be read
 * is a mistake of the text that includes it. *ret is untouched on failure. Opens each file once and trusts only what it
 * read from that descriptor. One policy is read at a time: not to be called from two threads at once.
 */
int policy_load(const char *path, struct policy **ret, struct diagnostics *diagnostics, struct err *err);
/* The same for a text in memory, `length` bytes, called `name` in messages. It cannot include files, and nobody asks
 * who owns it. */
int policy_load_text(const char *name, const char *text, size_t length, struct policy **ret,
	struct diagnostics *diagnostics, struct err *err);
void policy_free(struct policy *policy);

#define POLICY_PORTS 4u /* how many a service section can name */

/*
 * The ports that the policy at `path` guards, also where it is bad: what of its service section can be understood, and
 * the default where it cannot. For closing them. Their number; 0 where the file cannot be read or is not to be trusted.
 * One port may be there twice.
 */
size_t policy_salvage_ports(const char *path, uint16_t ports[POLICY_PORTS]);

/* The environment called `name`, or the policy's default where `name` is NULL. Borrowed from the policy. NULL and
 * `err` (EINVAL, ERR_POLICY, with the known names as the hint) where there is none. Does not read the environment. */
const struct environment *policy_environment(const struct policy *policy, const char *name, struct err *err);

/* Where an origin is in the text; {NULL, 0} for 0. The file name is borrowed from the policy. */
struct srcloc policy_place(const struct policy *policy, uint32_t origin);

/*
 * Expands networks and merges: appends the coverage of `list` to `v4` and `v6`, which the caller initialised with their
 * widths, sorted and disjoint afterwards. `note` (may be NULL) hears which written source was redundant: `kept` covers
 * or overlaps `absorbed`.
 */
typedef void policy_redundant_note(void *data, enum width width, struct interval kept, struct interval absorbed);
void policy_resolve(const struct policy *policy, const struct source_list *list, struct intervals *v4,
	struct intervals *v6, policy_redundant_note *note, void *data);

/*
 * Whom no ban may lock out: never_ban, admins, the addresses of this host that the policy names (bind, admin_bind), and
 * loopback. Appends as policy_resolve() does.
 */
void policy_never_banned(
	const struct policy *policy, const struct environment *environment, struct intervals *v4, struct intervals *v6);

/*
 * Appends what is legal but probably not meant, for `check --verbose`: sources and networks that are redundant ("x is
 * covered by y at file:line"), networks that no environment and no expectation uses, lists for ports that are 0,
 * expectations that no address can fail. Costs a merge of each list.
 */
void policy_notes(const struct policy *policy, struct diagnostics *notes);

/*
 * Appends the policy as one text, which policy_load_text() reads back to a policy that compiles to the same rulesets:
 * included files in their places, values that are not the defaults, sections by kind and in the order of the text.
 * Canonical: what was printed, loaded and printed again is the same text. `places`: behind each section's beginning a
 * comment says where it came from ("# app.conf:12"), which is true of this text only.
 */
void policy_print(const struct policy *policy, bool places, struct text *text);
/* A number for all that policy_print() writes without places, in a tenth of the time (FNV-1a). */
uint64_t policy_digest(const struct policy *policy);
