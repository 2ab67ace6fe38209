/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * logs: where a Dragonfly server writes its log, and what stands in it as dflyguard-probe reads it. Judges nothing, and
 * holds no secret: what lines hold is told in words of ours (src/inspect/log_line.c). What is written when, and what a
 * server does not write: dragonfly-facts.md 6, dragonfly-verified.md 7.
 */

#include <sys/types.h>

#include "flags.h"
#include "listeners.h"
#include "probe.h"

/* ---- where ---- */

/* What its flags ask for. Texts are the intention's, or static. */
struct log_place {
	const char *folder;   /* where files are; NULL: it writes none */
	bool temporary;	      /* no flag names the folder, so it is the one for temporary files */
	bool to_stderr;	      /* all of it goes to stderr (or stdout), too or only; else errors only */
	int64_t buffer_level; /* lines of this severity and below wait in memory: 0 = information, -1 = none */
	int64_t minimum;      /* the least severity that is written: 0 information, 1 warnings, 2 errors */
	int64_t megabytes;    /* the size at which a new file is begun */
};

/* Pure. */
void log_place_read(const struct intention *intention, struct log_place *ret);

/* A name of a file of the log of `program`, "dragonfly": "dragonfly.HOST.USER.log.WARNING.20261122-155316.4711.log",
 * and without "HOST." and "log.", as abseil names it. `severity`: "WARNING". False: it is none. Pure. */
struct log_name {
	char date[16]; /* "20261122-155316"; later ones are greater */
	uint32_t pid;  /* as the server sees itself */
};
bool log_name_read(const char *name, const char *program, const char *severity, struct log_name *ret);

/* Where standard error of a process goes. */
enum stderr_to { STDERR_UNKNOWN, STDERR_NOTHING, STDERR_TERMINAL, STDERR_PIPE, STDERR_JOURNAL, STDERR_FILE };

/* What is known of the log of one who was told. */
struct log_told {
	size_t intention; /* index in the facts' intentions */
	struct log_place place;
	enum stderr_to stderr_to; /* STDERR_UNKNOWN: also where it does not run */
	char *folder;		  /* made absolute, or NULL */
	char *unknown;		  /* why the folder could not be looked at; NULL: it could, or there is none */
	bool absent;
	mode_t mode; /* of the folder */
	uid_t uid;
	mode_t file_mode; /* of the newest file; 0: there is none */
	char *file;
	uint64_t free, size; /* bytes of the file system; size 0: not known */
};

/* Free with log_facts_free(). */
struct log_facts {
	struct log_told *told;
	size_t count;
};
struct log_facts *log_facts_new(void);
void log_facts_free(struct log_facts *facts);
/* Appends one, zero-initialised; valid until the next is added. */
struct log_told *log_facts_add(struct log_facts *facts);

/* ---- what ---- */

enum log_event {
	LOG_EVENT_AUTH_FAILURE,
	LOG_EVENT_TLS_ERROR,
	LOG_EVENT_PROTECTED_MODE,
	LOG_EVENT_LISTENING,
	LOG_EVENT_CONFIG_REFUSED,
	LOG_EVENT_DANGEROUS_COMMAND,
	LOG_EVENT_STARTED,
	LOG_EVENT_STOPPED,
	LOG_EVENT_BROKEN_PROTOCOL,
};
#define LOG_EVENT_COUNT (LOG_EVENT_BROKEN_PROTOCOL + 1)

/* "auth-failure". Static. */
const char *log_event_name(enum log_event event);

/* One event, as often as it was there. */
struct log_seen {
	enum log_event event;
	int64_t count;
	bool has_address;
	enum width width;
	struct value address; /* of the client, or where it listens; a client may have written it there */
	uint16_t port;
	const char *time; /* of the last one, as it is written there, or NULL; borrowed from the records */
	const char *text; /* or NULL; the same */
};

/* Where a reader is in a file. */
struct log_position {
	uint64_t offset;
	bool torn;     /* within a line whose beginning was passed over */
	char mark[20]; /* a number for the bytes in front, by which it is seen that the file was written anew; "": none
			*/
};

/* What one look found. */
struct log_look {
	struct log_position position;
	bool more;	/* the file goes on */
	bool rewritten; /* what stood in front is not there any more: it was read from the beginning */
	int64_t lines, unlisted, too_long;
};

/* Asks for what follows in the file, which is taken over: about 1 MiB. `severities`: "WEF", or NULL for all. */
int64_t log_ask(struct probe_job *job, int descriptor, const struct log_position *from, const char *severities);
/* 0 and *ret; or -EIO with `err`: it could not be read. */
int log_hear(const struct records *records, int64_t id, struct log_look *ret, struct err *err);
/* The event in a record of the answer. False: it is none of this question's. */
bool log_hear_seen(const struct record *record, int64_t id, struct log_seen *ret);
