/* SPDX-License-Identifier: GPL-3.0-or-later */
#pragma once

/*
 * bench: what dflyguard costs beside what nft costs, in the same run, on the same ruleset, in private namespaces.
 * Wall clock and peak memory are those of whole processes; alternatives are interleaved and shuffled, so that a slow
 * minute of the machine meets all of them.
 */

#include "base.h"

/* The network namespaces that the run lives in; none of them is the one that it was started from. */
enum space {
	SPACE_GUARD,  /* dflyguard's table */
	SPACE_EXPORT, /* the same ruleset, loaded by nft */
	SPACE_PLAIN,  /* what one would write by hand: two sets, one chain */
	SPACE_EMPTY,  /* stays without a table */
	SPACE_SERVER, /* redis-server, and the ruleset in front of it */
	SPACE_CLIENT, /* those who connect to it */
	SPACE_COUNT,
};

/* Parts of the run, as chosen by --only. */
enum part {
	PART_APPLY = 1 << 0,
	PART_NOOP = 1 << 1,
	PART_CHANGE = 1 << 2,
	PART_LIST = 1 << 3,
	PART_PACKET = 1 << 4,
	PART_WATCH = 1 << 5,
	PART_ALL = (1 << 6) - 1,
};

#define TABLE		 "dflyguard"
#define SERVER_PORT	 6379
#define SERVER_TLS_PORT	 6380
#define SERVER_ADDRESS	 "10.77.0.1"
#define CLIENT_ADDRESS	 "10.77.0.2" /* in CLIENT_NETWORK, which every ruleset of the packet part lets in */
#define CLIENT_NETWORK	 "10.77.0.0/24"
#define STRANGER_SERVER	 "10.78.0.1" /* the same server, as seen by a client that no ruleset lets in */
#define STRANGER_ADDRESS "10.78.0.2"
#define WORK_DIRECTORY	 "/run/dflyguard-bench"
#define WORK_FILE(name)	 WORK_DIRECTORY "/" name
#define ERROR_FILE	 WORK_FILE("stderr")
/* Rounds stop when these seconds have gone, but not before there are ROUNDS_LEAST: on a slow or busy machine. */
#define BUDGET		    20.0
#define BUDGET_QUICK	    4.0
#define BUDGET_PACKET	    90.0
#define BUDGET_PACKET_QUICK 25.0
#define ROUNDS_LEAST	    3
#define SEED		    UINT64_C(0x64666c7967756172)
#define NETWORKS_LIMIT	    1000000
#define CPU_ANY		    (-1)
#define CPU_SERVER	    0
#define CPU_CLIENT	    1
#define ARGUMENTS_LIMIT	    24
#define COMMAND_TEXT_LIMIT  4096

struct tools {
	char *dflyguard;
	char *nft;
	char *ip;
	char *true_program;	/* the cheapest process there is */
	char *redis_server;	/* what to execute; `redis_name` is what it shall believe to be called */
	const char *redis_name; /* also a symbolic link in the work directory */
	char *redis_benchmark;
	char *openssl; /* makes the server's certificate */
	char *strace;  /* NULL if it is not installed: then nothing is said about system calls */
};

struct options {
	const char *json;
	unsigned int rounds; /* 0: as many as fit each size */
	size_t sizes[8];
	size_t size_count;
	unsigned int parts;
	bool quick;
};

/* Values of one quantity, one per round, in the order in which they were taken. */
struct series {
	double *values;
	size_t count;
	size_t capacity;
};

/* What one whole process cost. */
struct reading {
	double seconds; /* wall clock, from before the spawn until it was waited for */
	double user;
	double system;
	double peak; /* resident, bytes */
	int status;  /* exit status; 128 + signal; -errno if it could not be started */
};

/* One command at one size. */
struct measurement {
	const char *name;
	size_t networks;
	struct series seconds, user, system, peak;
	char *failure; /* why there is no figure, or no more of them; NULL if all went well */
};

/* Two measurements that a reader wants to see side by side; a target of 0 means that none was set. */
struct comparison {
	const char *title;
	size_t subject,
		against; /* indices into results.measurements: the second may not exist yet, the first neither */
	double time_target, memory_target;
};

/* One ruleset in front of the server. Ratios are to the mean of the first two, both `none`, within each round. */
struct packet_result {
	const char *name;
	struct series connections, connect_median,
		connect_slow;		    /* per second; seconds; seconds at the 99th percentile */
	struct series gets, gets_pipelined; /* per second */
	struct series connections_ratio, gets_ratio, gets_pipelined_ratio;
	double target;
	char *failure;
};

/* One way to watch a table of one size; seconds since the nft that changed it was started. */
struct watch_result {
	const char *name;
	size_t networks;
	struct series mutation; /* the nft itself, as a whole process */
	struct series told, healed;
	char *failure;
};

/* Where one process spends its time: as it says itself, or as strace counts it. */
struct breakdown {
	const char *name;
	size_t networks;
	char *steps; /* NULL if it does not tell */
	char *calls; /* NULL without strace */
};

struct results {
	struct measurement *measurements;
	size_t measurement_count, measurement_capacity;
	struct comparison *comparisons;
	size_t comparison_count, comparison_capacity;
	struct packet_result *packets;
	size_t packet_count, packet_capacity;
	struct watch_result *watches;
	size_t watch_count, watch_capacity;
	struct breakdown *breakdowns;
	size_t breakdown_count, breakdown_capacity;
	char **notes;
	size_t note_count, note_capacity;
	double least_peak; /* bytes: of a process that does nothing */
	double elapsed;
	unsigned int packet_rounds;
};

struct machine {
	char *kernel, *processor, *load_before, *load_after;
	char *dflyguard_version, *nft_version, *redis_version;
	long processors;
	double memory;
	bool busy;
};

/* bench.c */
_Noreturn void fail(const char *format, ...) _printf_(1, 2);
void progress(const char *format, ...) _printf_(1, 2);
void note(struct results *results, const char *format, ...) _printf_(2, 3);

/* sandbox.c: private namespaces. */
/* Leaves the namespaces that the program was started in; with a user namespace of its own when not root. Ends the
 * program if that is impossible: nothing of this benchmark may happen in the namespace of the host. */
void sandbox_enter(const char *program);
/* Makes `space` the network namespace of this process. */
void sandbox_join(enum space space);
/* A path by which another process may name `space`. */
char *sandbox_path(enum space space);
/* Veth pair between SPACE_SERVER and SPACE_CLIENT. */
void sandbox_connect(const struct tools *tools);
/* Generation of nf_tables in `space`: a transaction that was committed makes it grow. */
uint32_t sandbox_generation(enum space space);

/* spawn.c: running one command and reading what it cost. */
/* Forks the small process that starts all commands. Call it before memory is used: what a child is charged for
 * includes the memory of the process that it was forked from. */
void spawner_start(void);
/* Runs argv (NULL ends it) in `space`, pinned to `cpu` unless CPU_ANY; its output goes to the file `output`, or to
 * /dev/null if NULL, its errors to ERROR_FILE. */
struct reading run(enum space space, int cpu, const char *const argv[], const char *output);
/* As run(), for what has to work: ends the program if the command fails. */
void run_or_fail(enum space space, const char *const argv[], const char *output);
/* First line that the last command wrote to stderr, never empty; to be freed. */
char *run_complaint(const struct reading *reading);
/* Peak of a process that does nothing, in bytes. */
double run_least_peak(const struct tools *tools);
/* A whole file as text, to be freed; NULL if it cannot be read. */
char *read_file(const char *path);

/* series.c */
void series_add(struct series *series, double value);
/* Interpolates between neighbours; NAN if there are no values. */
double series_quantile(const struct series *series, double quantile);
double series_median(const struct series *series);
double series_minimum(const struct series *series);
double series_mean(const struct series *series);
double now(void);
uint64_t random_next(uint64_t *state);
/* Shuffles the numbers 0 to count - 1 into `order`. */
void random_order(uint64_t *state, size_t *order, size_t count);

/* data.c: sources, and the files made of them. */
struct source {
	int family;
	unsigned int prefix;
	unsigned char address[16];
};

struct sources {
	struct source *items; /* `count` sources, and one more IPv4 source behind them to take the place of another */
	size_t count;
};

enum policy_kind {
	POLICY_TLS,   /* production: TLS required */
	POLICY_PLAIN, /* plaintext port open to the sources and to CLIENT_NETWORK */
	POLICY_GATE,  /* TLS required; the sources and CLIENT_NETWORK */
};

enum policy_change {
	CHANGE_NONE,
	CHANGE_REPLACE, /* one source became another one */
	CHANGE_ADD,	/* one source more */
};

/* 90 % IPv4 /24 to /32, 10 % IPv6 /48 to /128, neither overlapping nor adjacent; the same for the same count. */
struct sources sources_make(size_t count);
void sources_done(struct sources *sources);
/* As a policy and nft write it; `buffer` holds 64 bytes; returns it. */
const char *source_text(char *buffer, const struct source *source);
/* The index of the source that the changed policy replaces. */
size_t sources_replaced(const struct sources *sources);
void write_policy(const char *path, const struct sources *sources, enum policy_kind kind, enum policy_change change);
void write_plain_ruleset(const char *path, const struct sources *sources);
void write_port_ruleset(const char *path);
void write_linear_ruleset(const char *path, const struct sources *sources);
/* Copies an exported ruleset without statements that delete: a cold load has nothing to delete, and would otherwise
 * pay 5 to 20 ms of RCU wait in its close(). */
void write_cold_ruleset(const char *path, const char *exported);
/* Name of the set in the ruleset file that holds the replaced source, to be freed; NULL if there is none. */
char *find_set(const char *path, const struct sources *sources);

/* kernel.c, packet.c, watch.c: the parts of the run. */
void bench_kernel(const struct options *options, const struct tools *tools, struct results *results);
void bench_packet(const struct options *options, const struct tools *tools, struct results *results);
void bench_watch(const struct options *options, const struct tools *tools, struct results *results);

/* report.c: the table. */
void report_table(const struct results *results, const struct machine *machine);
double ratio_of(const struct series *subject, const struct series *against);
/* False where --only left nothing to compare. */
bool comparison_shown(const struct results *results, const struct comparison *comparison);

/* json.c: the same and every single value. `directory` is a descriptor of where `name` shall appear, opened before the
 * namespaces of the host were left. */
void report_json(const struct results *results, const struct machine *machine, const struct options *options,
	int directory, const char *name);
