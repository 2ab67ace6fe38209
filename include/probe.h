/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * probe: asks dflyguard-probe, the program without privileges that reads hostile bytes (certificates, the server's
 * answers, logs, other people's files), and holds it to time, memory and a format. It may be told what to ask, and is
 * given open files and connected sockets, because the program can open none itself. It judges nothing. Whatever the
 * program does (crash, hang, flood, lie), the caller gets records that are well formed, or none and why.
 */

#include "interval.h"
#include "record.h"

/* One run's questions. Free with probe_job_free(). */
struct probe_job;

struct probe_job *probe_job_new(void);
/* NULL-safe. Closes the files that were given. */
void probe_job_free(struct probe_job *job);
/* Begins a question: what is to be done (a row of the table in src/inspect/inspect.c). Returns its number, which the
 * records of the answer carry as `id`. Fields follow. */
int64_t probe_ask(struct probe_job *job, const char *question);
void probe_ask_text(struct probe_job *job, const char *name, const char *value);
void probe_ask_number(struct probe_job *job, const char *name, int64_t value);
/* A file or socket that the question needs, as the field `name`. Takes it over, and closes it when the job ends. At
 * most PROBE_MAX_FILES in a job; more are closed at once, and the question goes without. */
void probe_ask_file(struct probe_job *job, const char *name, int descriptor);
/* How many questions there are. */
size_t probe_job_count(const struct probe_job *job);

#define PROBE_MAX_FILES 128u

/* What it may take. */
struct probe_limits {
	unsigned int milliseconds; /* from the start of the program to the end of its answer; 0: 20,000 */
	uint64_t memory;	   /* bytes of address space; 0: 512 MiB */
};

/*
 * Starts the program, asks, and reads the answer. 0 and *ret, free with records_free(); each question was answered, if
 * only by a record `failed id=N why=...`, or the answer is not believed. Negative errno value with `err`, which says
 * why nothing is known: -ENOENT (the program is not installed), -EPERM (it may be written by others), -ETIMEDOUT,
 * -EPIPE (it ended early, and how), -EBADMSG (it does not speak the language), -EFBIG (it speaks too much). The program
 * is gone when this returns. Without a question nothing is started, and there are no records.
 */
int probe_run(struct probe_job *job, const struct probe_limits *limits, struct records **ret, struct err *err);

/* ---- probe_connect.c ---- */

struct probe_target {
	enum width width;
	struct value address; /* host order; the wildcard is asked by the loopback address of its family */
	uint16_t port;
	int descriptor; /* out: connected, not blocking, owned by the caller; -1: see `code` */
	int code;	/* out: negative errno value of connect(2), -ETIMEDOUT; 0: it is connected */
};

/* Connects to all at once; waits at most `milliseconds`. Sends nothing, so it changes nothing. */
void probe_connect(struct probe_target *targets, size_t count, unsigned int milliseconds);
