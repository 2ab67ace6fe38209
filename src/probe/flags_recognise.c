/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Configurations of others in Dragonfly's place: `name value`, without hyphens in front. */

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "flags_private.h"

/* What write-ups take from redis.conf, and what tells Valkey from it. Small letters, in any order. */
static const char *const redis_words[] = {"bind", "port", "protected-mode", "requirepass", "tls-port", "tls-cert-file",
	"tls-key-file", "tls-key-file-pass", "tls-client-cert-file", "tls-client-key-file", "tls-dh-params-file",
	"tls-ca-cert-file", "tls-ca-cert-dir", "tls-auth-clients", "tls-replication", "tls-cluster", "tls-protocols",
	"tls-ciphers", "tls-ciphersuites", "tls-prefer-server-ciphers", "tls-session-caching", "tls-session-cache-size",
	"tls-session-cache-timeout", "tcp-backlog", "tcp-keepalive", "timeout", "unixsocket", "unixsocketperm",
	"daemonize", "supervised", "pidfile", "loglevel", "logfile", "syslog-enabled", "databases", "always-show-logo",
	"save", "stop-writes-on-bgsave-error", "rdbcompression", "rdbchecksum", "dbfilename", "dir", "replicaof",
	"slaveof", "masterauth", "masteruser", "replica-read-only", "replica-serve-stale-data", "replica-announce-ip",
	"replica-priority", "repl-diskless-sync", "repl-backlog-size", "acllog-max-len", "aclfile", "user",
	"rename-command", "maxclients", "maxmemory", "maxmemory-policy", "maxmemory-samples", "lazyfree-lazy-eviction",
	"lazyfree-lazy-expire", "io-threads", "appendonly", "appendfilename", "appenddirname", "appendfsync",
	"no-appendfsync-on-rewrite", "auto-aof-rewrite-percentage", "auto-aof-rewrite-min-size", "lua-time-limit",
	"cluster-enabled", "cluster-config-file", "cluster-announce-ip", "slowlog-log-slower-than", "slowlog-max-len",
	"latency-monitor-threshold", "notify-keyspace-events", "hash-max-listpack-entries", "set-max-intset-entries",
	"activerehashing", "client-output-buffer-limit", "hz", "include", "loadmodule", "enable-protected-configs",
	"enable-debug-command", "enable-module-command", "bind-source-addr", "socket-mark-id", "proc-title-template",
	"oom-score-adj", "disable-thp", "jemalloc-bg-thread"};
static const char *const valkey_words[] = {"primaryauth", "primaryuser", "extended-redis-compatibility", "import-mode",
	"rdma-bind", "rdma-port", "commandlog-execution-slower-than", "commandlog-request-larger-than",
	"commandlog-reply-larger-than", "hash-seed", "availability-zone", "prefetch-batch-max-size",
	"io-threads-always-active", "cluster-slot-stats-enabled", "repl-mptcp", "mptcp", "tls-auth-clients-user",
	"lua-enable-insecure-api", "dual-channel-replication-enabled"};

static bool holds(const char *const *words, size_t count, const char *word, size_t length)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(words[i]) == length && strncasecmp(words[i], word, length) == 0)
			return true;
	return false;
}

bool redis_directive(const char *word, size_t length, bool *valkey)
{
	bool is_valkey = holds(valkey_words, ARRAY_SIZE(valkey_words), word, length);

	if (valkey)
		*valkey = is_valkey;
	return is_valkey || holds(redis_words, ARRAY_SIZE(redis_words), word, length);
}

enum config_kind config_recognise(const char *text, size_t length)
{
	size_t flags = 0;
	size_t redis = 0;
	size_t valkey = 0;
	size_t others = 0;

	for (size_t begin = 0; begin < length;) {
		const char *line = text + begin;
		const char *newline = memchr(line, '\n', length - begin);
		size_t size = newline ? (size_t)(newline - line) : length - begin;
		size_t word = 0;
		bool is_valkey;

		begin += size + 1;
		/* Here a byte order mark matters not: it is asked what was meant. */
		if (line == text && size >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
			line += 3;
			size -= 3;
		}
		while (size > 0 && is_blank(*line)) {
			line++;
			size--;
		}
		if (size == 0)
			continue;
		if (*line == '#') {
			/* The first line of the file that Valkey ships. */
			if (valkey == 0 && size > 8 &&
				memmem(line, size < 80 ? size : 80, "Valkey configuration file", 25))
				valkey++;
			continue;
		}
		while (word < size && !is_blank(line[word]))
			word++;
		if (*line == '-')
			flags++;
		else if (word < size && redis_directive(line, word, &is_valkey)) {
			redis++;
			valkey += is_valkey;
		} else {
			others++;
		}
	}
	if (flags + redis + others == 0)
		return CONFIG_EMPTY;
	if (flags >= redis + others)
		return CONFIG_FLAGFILE;
	if (redis > others)
		return valkey ? CONFIG_VALKEY : CONFIG_REDIS;
	return CONFIG_OTHER;
}
