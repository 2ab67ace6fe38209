/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/* The host as audit and watch judge it: what listens, who that is, and what it was told. */

#include "cmd.h"

struct tls_facts;

/* Owns all that is reachable from it. Zero-initialise; free with host_facts_done(). */
struct host_facts {
	struct host *host;
	struct audit_intention *intentions; /* their texts are `told`'s */
	size_t count;
	struct told {
		char *subject;
		char *unknown;
		struct intention *intention;
	} * told;
	struct tls_facts *tls;	     /* NULL: not looked at */
	struct server_facts *server; /* the same */
	struct log_facts *logs;	     /* the same */
	const char *left_out;	     /* why neither is to be looked at from here; NULL: they are. Static */
};

/* The guarded ports. `networks`: also what listens in containers. Pure. */
void host_ask(const struct policy *policy, bool networks, struct host_question *ret);
/* Reads it all, in place of what `ret` held. Never fails: what could not be read is unknown in it. */
void host_facts_read(const struct policy *policy, struct host_facts *ret);
/* Lends it to `facts`. */
void host_facts_lend(const struct host_facts *host, struct audit_facts *facts);
void host_facts_done(struct host_facts *facts);

/* TLS and who may come in, after host_facts_read(): asks dflyguard-probe, and the server, where connections are for us
 * to make. Takes seconds where a server is silent. */
void host_facts_read_posture(
	const struct policy *policy, const struct environment *environment, struct host_facts *facts);

/* ---- facts_tls.c ---- */

/* TLS files and handshakes of what was read before: asks dflyguard-probe. Takes seconds where a server is silent. */
void host_facts_read_tls(const struct policy *policy, const struct environment *environment, struct host_facts *facts);

/* ---- facts_server.c ---- */

/* Who may come in, by what was read before and by knocking; after host_facts_read_tls(). */
void host_facts_read_server(
	const struct policy *policy, const struct environment *environment, struct host_facts *facts);

/* Only who was not let in, by the first port that clients use and the policy's monitor. NULL where there is neither. */
struct server_facts *host_facts_ask_attacks(
	const struct policy *policy, const struct environment *environment, const struct host_facts *facts);

/* ---- facts_logs.c ---- */

/* Where servers write their logs, and who may read that; after host_facts_read(). */
void host_facts_read_logs(const struct policy *policy, struct host_facts *facts);
/* Opens the folder of the log of a server that was told so: a descriptor, or a negative errno value with `why`. */
int log_folder_open(const struct policy *policy, const struct process *process, const char *folder, char *why);
/* The newest file of this severity in an open folder, that of `pid` first; NULL where there is none. */
char *log_newest(int directory, const char *program, const char *severity, uint32_t pid);
/* "dragonfly": the name that its files begin with. */
char *log_program(const struct process *process);

/* ---- flagfile.c ---- */

/* Whose flagfile it is. */
struct flagfile {
	const struct process *process; /* NULL: nobody's yet: the policy's */
	const struct policy *policy;
	struct flag_file *status; /* out: of the files that flagfile_read() read, in their order; the caller frees it */
	size_t status_count;
};

/* Opens a file that the process was told to read, as its user where that is not ours, and without waiting for a pipe's
 * other end. A descriptor, or a negative errno value with `why` (INTERVAL_WHY bytes): -ENOENT and such for the process,
 * too; -EACCES only where the file's permissions keep its user (or us, in our own name) from it. */
int flagfile_open(const struct flagfile *file, const char *path, char *why);

/* For struct flags_input; `data` is a struct flagfile. */
int flagfile_read(void *data, const char *path, char **ret, size_t *ret_length, char *why);
