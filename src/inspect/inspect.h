/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * inspect: the program dflyguard-probe. It reads hostile bytes from files and sockets that it was given, and tells what
 * they hold as records. It has no privilege, can open nothing, and judges nothing. It is linked with the libraries for
 * certificates, handshakes and replies; no other room is linked with it, or sees it.
 *
 * Questions come on descriptor 0, one record each, with `id` and descriptors by their numbers; answers go to descriptor
 * 1, any number of records for a question, at least one, all with its `id`.
 */

#include "record.h"

/* Where answers go. */
struct answer {
	struct text *text;
	int64_t id;
	size_t *count;
};

/* Begins a record with the question's id; fields follow by record_*(answer->text, ...), then answer_end(). */
void answer_begin(struct answer *answer, const char *name);
void answer_end(struct answer *answer);
/* A whole record `failed` with `why`: what was asked could not be found out. */
void answer_failed(struct answer *answer, const char *format, ...) _printf_(2, 3);

/* A kind of question. */
struct inspector {
	const char *name;
	void (*inspect)(const struct record *question, struct answer *answer);
};

/* The descriptor in the field `name`, or -1. */
int question_descriptor(const struct record *question, const char *name);

/* Waits until `deadline` (clock_milliseconds()) for `events` of poll(2). False where the time is over. */
bool wait_for(int descriptor, short events, int64_t deadline);
/*
 * When the time is over that the field `milliseconds` gives; `otherwise` where it is not there, or is not a number up
 * to a minute. Questions with the same `port`, a number, are of one server: where it said nothing once, the others are
 * not waited for as long.
 */
int64_t question_deadline(const struct record *question, int64_t otherwise);
/* It said nothing. */
void question_was_silent(const struct record *question);

/* ---- the kinds of questions; what each takes and answers stands where it is ---- */

void inspect_tls_files(const struct record *question, struct answer *answer); /* inspect_certificate.c */
void inspect_handshake(const struct record *question, struct answer *answer); /* inspect_handshake.c */
void inspect_plaintext(const struct record *question, struct answer *answer); /* inspect_handshake.c */
void inspect_server(const struct record *question, struct answer *answer);    /* inspect_server.c */
void inspect_http(const struct record *question, struct answer *answer);      /* inspect_doors.c */
void inspect_memcached(const struct record *question, struct answer *answer); /* inspect_doors.c */
void inspect_secret(const struct record *question, struct answer *answer);    /* inspect_secret.c */
void inspect_aclfile(const struct record *question, struct answer *answer);   /* inspect_acl.c */
void inspect_log(const struct record *question, struct answer *answer);	      /* inspect_log.c */

/* What OpenSSL is not to do on its own: read its configuration. To be called before the sandbox is closed. */
void inspect_tls_prepare(void); /* inspect_certificate.c */
struct x509_st;
/* "sha256" of a certificate, in lower case without colons; `ret` holds 65 bytes. */
void certificate_fingerprint(struct x509_st *certificate, char ret[65]);

/* ---- sandbox.c ---- */

/* Becomes the user, loses all capabilities for ever, and whatever else may be lost. False where something is left. */
bool sandbox_enter(uint32_t uid, uint32_t gid);
/* From now on only: reading and writing what is open, memory, time. Opening files and sockets fails (EPERM); anything
 * else ends the process. False where the kernel cannot do that, or a filter that is there already keeps it from it. */
bool sandbox_close(void);
