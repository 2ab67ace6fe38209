/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * tls: what a server's TLS files hold, and what it does with handshakes, as dflyguard-probe saw it. It may be told
 * which files and which sockets. It judges nothing. See src/inspect/inspect_certificate.c and inspect_handshake.c for
 * what is asked; dragonfly-facts.md 1.2 and 4, dragonfly-verified.md 2, for what a Dragonfly server does.
 */

#include "probe.h"

enum tls_role { TLS_CERTIFICATE, TLS_KEY, TLS_CA };
#define TLS_ROLES (TLS_CA + 1)

/* "certificate", "key", "ca". Static. */
const char *tls_role_name(enum tls_role role);

/* A file that a flag of the server names. */
struct tls_file {
	char *path;    /* as the flag has it; NULL: no flag names one */
	char *unknown; /* why nothing is known of it; NULL: what follows is known */
	bool absent;   /* there is no such file, for the server either */
	bool readable; /* to the user that the server runs as, by its permissions */
	bool readable_known;
	uint32_t mode; /* permissions, as chmod(2) */
	uint32_t uid, gid;
	char *bad; /* it cannot be used: why, in OpenSSL's words */
};

/* One certificate. Times are seconds since 1970. */
struct certificate {
	char *subject, *issuer;
	int64_t not_before, not_after;
	bool times_known;
	char *key_type; /* "RSA", "EC", "ED25519" */
	char *curve;	/* or NULL */
	int64_t key_bits;
	int64_t key_security; /* comparable bits of security (NIST SP 800-57) */
	char *signature;      /* "sha256WithRSAEncryption" */
	char *digest;	      /* "SHA256", or NULL */
	int64_t signature_security;
	bool authority, self_signed, for_server;
	char *sha256; /* of the whole certificate, 64 digits */
};

enum certificate_name_kind { NAME_DNS, NAME_ADDRESS, NAME_COMMON };

/* Whom the server's certificate is for. */
struct certificate_name {
	enum certificate_name_kind kind;
	char *text; /* dns, common: as it is there, with "*." or not */
	enum width width;
	struct value address; /* address */
};

enum chain_end {
	CHAIN_UNKNOWN,
	CHAIN_SELF,   /* the certificate signed itself */
	CHAIN_ROOT,   /* at a certificate authority that this host or the server's CA file knows */
	CHAIN_OPEN,   /* at an issuer that nobody here has: clients must */
	CHAIN_BROKEN, /* it does not hold together */
};

/* The files of one server, or of what it is told to be. */
struct tls_files {
	char *subject; /* what it is of: "dragonfly (4711)", "dragonfly.service" */
	bool running;
	char *flags_unknown; /* which files they are is not known, or not looked at: why */
	struct tls_file files[TLS_ROLES];
	char *unknown;			  /* dflyguard-probe could not tell: why; NULL: it did */
	struct certificate *certificates; /* of the certificate file; the server's own is the first */
	size_t certificate_count;
	struct certificate *authorities; /* of the CA file */
	size_t authority_count;
	struct certificate_name *names;
	size_t name_count;
	bool key_known; /* the key was read */
	char *key_type;
	int64_t key_bits;
	bool key_matches;
	enum chain_end chain;
	char *chain_why; /* broken: why; open: who is missing */
};

/* What a client offers. */
enum tls_offer {
	OFFER_DEFAULT, /* TLS 1.0 to 1.3, all ciphers */
	OFFER_1_0,
	OFFER_1_1,
	OFFER_1_2,
	OFFER_1_3,
	OFFER_ANONYMOUS, /* ciphers without a certificate, up to TLS 1.2 */
	OFFER_WEAK,	 /* no encryption, RC4, DES, 3DES, export */
	OFFER_PLAINTEXT, /* no TLS: PING */
};
#define OFFER_COUNT (OFFER_PLAINTEXT + 1)

/* "TLS 1.0", "anonymous ciphers". Static. */
const char *tls_offer_name(enum tls_offer offer);

enum tls_outcome {
	TLS_UNKNOWN,  /* `why` */
	TLS_ACCEPTED, /* the handshake was done */
	TLS_REFUSED,  /* an alert, or the connection's end */
	TLS_CERTIFICATE_REQUIRED,
	TLS_SILENT,
	TLS_NOT_TLS,	 /* what came was not TLS */
	TLS_ANSWERED,	 /* plaintext was answered, `said` */
	TLS_UNREACHABLE, /* no connection: `why` */
};

struct tls_answer {
	enum tls_outcome outcome;
	char *version, *cipher; /* accepted: "TLSv1.3" */
	char *sha256;		/* of the certificate that was served, or NULL */
	bool asked;		/* for a certificate of the client's */
	char *said;		/* the first line that was answered to PING */
	char *why;
};

/* One port of a running server. */
struct tls_port {
	char *subject; /* "10.20.0.5:6380" */
	uint16_t port;
	size_t listener; /* index in host.listeners */
	size_t files;	 /* index in tls_facts.files of its process, or SIZE_MAX */
	bool expected;	 /* TLS is to be spoken here, says the policy */
	bool closed;	 /* the policy closes it to all but this host: only OFFER_PLAINTEXT is asked */
	struct tls_answer answers[OFFER_COUNT];
};

/* Free with tls_facts_free(). */
struct tls_facts {
	struct tls_files *files;
	size_t file_count;
	struct tls_port *ports;
	size_t port_count;
	char *unknown; /* dflyguard-probe could not be asked about the ports: why */
	int64_t now;   /* when it was looked at: seconds since 1970 */
};

struct tls_facts *tls_facts_new(void);
void tls_facts_free(struct tls_facts *facts);
/* Appends one, zero-initialised; valid until the next is added. */
struct tls_files *tls_facts_add_files(struct tls_facts *facts);
struct tls_port *tls_facts_add_port(struct tls_facts *facts);

/*
 * Asks about files that are open: `descriptors` by enum tls_role, -1 where there is none, and `roots` for what this
 * host trusts, or -1. Takes them over. Returns the question's number, for tls_files_hear().
 */
int64_t tls_files_ask(struct probe_job *job, const int descriptors[TLS_ROLES], int roots);
/* Takes what the records say of that question. */
void tls_files_hear(const struct records *records, int64_t id, struct tls_files *files);

/* Asks what becomes of an offer on a connection, which it takes over. `port` is a number for the server: of one that
 * says nothing little more is asked. `server_name` may be NULL. */
int64_t tls_offer_ask(
	struct probe_job *job, enum tls_offer offer, size_t port, int descriptor, const char *server_name);
/* The same, with the answer. */
void tls_offer_hear(const struct records *records, int64_t id, enum tls_offer offer, struct tls_answer *answer);

/* True where a client that was told `name` (a host name) or an address finds it in these names, as RFC 6125 and 2818
 * have it: a "*" is the whole first label. Common names do not count. Pure. */
bool certificate_names_host(const struct certificate_name *names, size_t count, const char *name);
bool certificate_names_address(
	const struct certificate_name *names, size_t count, enum width width, struct value address);
