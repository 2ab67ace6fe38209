/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * flags: what a Dragonfly server is told to do: its command line, the flagfiles in it and its environment, read exactly
 * as the server reads them (abseil's parser and src/server/dfly_main.cc; dragonfly-facts.md 3, dragonfly-verified.md
 * 8). It may be told texts and how to get the files they name. It judges nothing, and what it says is an intention:
 * what listens is in listeners.h.
 *
 * Values may be secrets (requirepass, masterauth): flag_is_secret() says which must never be shown.
 */

#include "err.h"
#include "interval.h"

enum flag_source {
	FLAG_DEFAULT,	  /* nobody set it */
	FLAG_ARGUMENT,	  /* the command line */
	FLAG_FILE,	  /* a flagfile */
	FLAG_ENVIRONMENT, /* DFLY_name, or FLAGS_name that --fromenv asked for (which is as strong as the command line)
			   */
};

/* One flag as it stands at the end: later ones win, the environment loses to all else. */
struct flag {
	const char *name; /* the table's, static; or what an unknown flag was called (owned by the intention) */
	char *value;	  /* exactly, with blanks, quotes, comments and CR that belong to it */
	enum flag_source source;
	char *file;		 /* FLAG_FILE: as it was named */
	unsigned int line;	 /* FLAG_FILE: from 1; FLAG_ARGUMENT: the index in argv */
	unsigned int overridden; /* how many earlier values it replaced */
};

/* Something in the text that does not do what it looks like. */
enum flag_note {
	NOTE_POSITIONAL, /* an argument that is ignored: a configuration file without --flagfile, "--tls false" */
	NOTE_COMMENT,	 /* the value holds a '#' behind a blank: it is part of the value */
	NOTE_BLANK,	 /* the value begins or ends with blanks, or with CR */
	NOTE_QUOTES,	 /* the value stands in quotes, which are part of it */
	NOTE_SWALLOWED,	 /* a flag without value took the next one as its value */
	NOTE_EMPTY_FILE, /* a flagfile that is empty or a directory: it starts with defaults */
	NOTE_OVERRIDDEN, /* set more than once, with different values */
	NOTE_ENVIRONMENT_IGNORED, /* dfly_bind, DFLY_flagfile, FLAGS_ without --fromenv; or what a flag overrules */
	NOTE_TRUNCATED,		  /* memcached_port: only its low 16 bits count */
	NOTE_OTHER,
	NOTE_NOT_OPENED, /* the server starts, but without its admin listener or its Unix socket */
};

struct flag_remark {
	enum flag_note note;
	char *file; /* NULL: the command line or the environment */
	unsigned int line;
	char *message; /* one sentence; never holds a secret */
};

/* Who may read and change a flagfile, as stat(2) has it. */
struct flag_file {
	uint32_t mode; /* permissions only */
	uint32_t uid;
	uint32_t gid;
};

/* Free with intention_free(). */
struct intention {
	struct flag *flags; /* those that were set, each once, in the order of their last setting */
	size_t flag_count;
	struct flag_remark *remarks;
	size_t remark_count;
	/* The server would not start: why, in its own sense, with place. NULL: nothing found that prevents it. */
	char *refusal;
	char *refusal_file;
	unsigned int refusal_line;
	/* A flagfile could not be read by us: what follows is not known. NULL: all is known. */
	char *unknown;
	char **files; /* flagfiles that were read, in order */
	size_t file_count;
	struct flag_file *file_status; /* as many, where the reader told of them; else NULL. By intention_read_at() */
	bool under_systemd;	       /* INVOCATION_ID is in its environment */
};

/* What it is told. All is borrowed. */
struct flags_input {
	char *const *arguments; /* argv without argv[0]; may be NULL */
	size_t argument_count;
	char *const *environment; /* "NAME=VALUE"; may be NULL */
	size_t environment_count;
	const char *environment_unknown; /* it could not be read: a flag may come from it that nobody sees */
	/*
	 * Gives the bytes of a flagfile, at most FLAGS_MAX_TEXT of them; the callee mallocs *ret. 0; -ENOENT and such:
	 * the server will not find it either; -EISDIR; any other: it is unknown, `why` (INTERVAL_WHY bytes) says more.
	 */
	int (*read_file)(void *data, const char *path, char **ret, size_t *ret_length, char *why);
	void *data;
};

#define FLAGS_MAX_TEXT	(1u << 20) /* bytes of one flagfile */
#define FLAGS_MAX_FILES 64u
#define FLAGS_MAX_DEPTH 16u
#define FLAGS_MAX_FLAGS 4096u
#define FLAGS_MAX_VALUE (64u << 10) /* bytes of one value */

/* Never fails: what is bad is in the result. Pure but for `read_file`. */
void intention_read(const struct flags_input *input, struct intention **ret);
void intention_free(struct intention *intention);

/* The flag as it was set, or NULL where it has its default (or is unknown). */
const struct flag *intention_flag(const struct intention *intention, const char *name);
/* The value, or the server's default (v1.40, and glog's logging); NULL: there is no such flag. Borrowed. */
const char *intention_text(const struct intention *intention, const char *name);
/* Whether there is such a flag, and its value (or its default) is not the empty text. */
bool intention_has(const struct intention *intention, const char *name);
bool intention_bool(const struct intention *intention, const char *name);
/* Reads numbers as abseil does (0x, blanks), and sizes in bytes; the default where it is not set. */
int64_t intention_number(const struct intention *intention, const char *name);
bool flag_is_secret(const char *name);
/* Appends the value as it may be shown, in quotes: no control characters, not longer than a line, never a secret. */
void flag_shown(const struct flag *flag, struct text *text);
/* True where Dragonfly knows this flag; false: it refuses to start. Since v1.40. */
bool flag_is_known(const char *name);
/* For hyphens, capital letters and flags of Redis or old write-ups: what to write instead, or NULL. Static. */
const char *flag_advice(const char *name);

/* ---- where the texts are ---- */

/* How a process sees files. */
struct flags_place {
	const char *root; /* "/", "/proc/PID/root": paths, and links in them, are taken below it */
	/* That relative paths begin at. Either below `root` ("/var/lib/dragonfly"), or a link that the kernel follows
	 * ("/proc/PID/cwd"), below which they must stay. Both NULL: `root`. */
	const char *directory;
	const char *directory_link;
};

/*
 * As intention_read(), with flagfiles from this host (`read_file` of the input is ignored). Only regular files are
 * opened: a device or a FIFO is unknown. Sets file_status.
 */
void intention_read_at(const struct flags_input *input, const struct flags_place *place, struct intention **ret);
/* The same, as process `pid` sees files. That it is still the same process is the caller's to ask. */
void intention_read_process(const struct flags_input *input, uint32_t pid, struct intention **ret);
/* What `dragonfly --flagfile=PATH` would do, with no environment but, where systemd starts it, INVOCATION_ID. */
void intention_read_flagfile(const char *root, const char *path, bool under_systemd, struct intention **ret);

/*
 * What systemd will start: a unit of type service, read from its files as systemd.unit(5), systemd.service(5) and
 * systemd.exec(5) have it, drop-ins included. Not what it started: files may have changed since. Free with unit_free().
 */
struct server_unit {
	char *name;
	bool found;   /* there is such a unit file */
	char **files; /* that were read: the unit's own first, then its drop-ins in their order */
	size_t file_count;
	char *program; /* of ExecStart=; NULL: not known */
	char **arguments;
	size_t argument_count; /* without argv[0] */
	char **environment;    /* "NAME=VALUE": Environment=, EnvironmentFile=, and INVOCATION_ID. May be secret */
	size_t environment_count;
	char *directory; /* WorkingDirectory=, or "/" */
	char *unknown;	 /* why what it starts is not known: something that is not understood here. NULL: it is known */
	char *refusal;	 /* systemd would not start it: masked, or a file is missing. NULL: it would */
};

/* `root` is "/" but for tests. Never fails: what is bad is in the result. */
void unit_read(const char *root, const char *name, struct server_unit **ret);
void unit_free(struct server_unit *unit);
/* What its server is told. Where the unit is unknown or refused, so is the intention, with the same words. */
void intention_read_unit(const char *root, const struct server_unit *unit, struct intention **ret);

enum intended_kind { INTENDED_MAIN, INTENDED_ADMIN, INTENDED_MEMCACHED, INTENDED_UNIX };
#define INTENDED_MAXIMUM 4u

/* A socket that it will open. */
struct intended_listener {
	enum intended_kind kind;
	uint16_t port;	   /* 0: chosen by the kernel (port = -1), or a Unix socket */
	char address[256]; /* as intended: "0.0.0.0", "127.0.0.1", a host name, a path */
	bool resolved;	   /* `width` and `value` hold; false: a name, which only the resolver knows */
	enum width width;
	struct value value;
	bool wildcard;
	bool dual; /* "::", which takes IPv4 too unless net.ipv6.bindv6only is 1 */
	bool tls;
	bool protected_mode;	 /* it is loopback only because it runs under systemd without password (since v1.37) */
	const struct flag *flag; /* that decided the address; NULL: the default did. Borrowed */
};

/*
 * The sockets that the intention opens, in the server's order (Unix, admin, main, memcached); returns how many. None
 * where it refuses to start. Where `unknown` is set these are the ones as far as is known. An IPv4-mapped address is
 * told as the IPv4 that it is, as listener_address() tells it.
 */
size_t intention_listeners(const struct intention *intention, struct intended_listener ret[INTENDED_MAXIMUM]);

/* ---- configurations of others ---- */

enum config_kind { CONFIG_FLAGFILE, CONFIG_REDIS, CONFIG_VALKEY, CONFIG_OTHER, CONFIG_EMPTY };

/* What a configuration file looks like, so that a redis.conf in Dragonfly's place is told as what it is. Pure. */
enum config_kind config_recognise(const char *text, size_t length);
