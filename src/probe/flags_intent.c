/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * What flags mean once they are read: the sockets that RunEngine() opens (src/server/dfly_main.cc), how getaddrinfo(3)
 * takes their addresses, and the combinations with which the server does not start (dragonfly-facts.md 2,
 * dragonfly-verified.md 1 and 3).
 */

#include <arpa/inet.h>
#include <ctype.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

#include "flags_private.h"

/* --- the result as others ask it --- */

#define REMARKS_MAXIMUM 1000u

void intention_refuse(struct intention *intention, const char *file, unsigned int line, const char *format, ...)
{
	va_list list;

	if (intention->refusal)
		return;
	va_start(list, format);
	intention->refusal = printable(format, list);
	va_end(list);
	intention->refusal_file = file ? mem_string(file) : NULL;
	intention->refusal_line = line;
}

void intention_remark(
	struct intention *intention, enum flag_note note, const char *file, unsigned int line, const char *format, ...)
{
	va_list list;
	char *message;

	if (intention->remark_count >= REMARKS_MAXIMUM)
		return;
	va_start(list, format);
	message = printable(format, list);
	va_end(list);
	if (intention->remark_count == REMARKS_MAXIMUM - 1) {
		note = NOTE_OTHER;
		free(message);
		message = mem_string("there is more to remark, which is left out");
	}
	/* An array that doubles: full where its size is a power of two. */
	if ((intention->remark_count & (intention->remark_count - 1)) == 0)
		intention->remarks = mem_resize(intention->remarks,
			intention->remark_count ? intention->remark_count * 2 : 1, sizeof(*intention->remarks));
	intention->remarks[intention->remark_count++] = (struct flag_remark){
		.note = note, .file = file ? mem_string(file) : NULL, .line = line, .message = message};
}

void intention_not_known(struct intention *intention, const char *format, ...)
{
	va_list list;

	if (intention->unknown)
		return;
	va_start(list, format);
	intention->unknown = printable(format, list);
	va_end(list);
}

void intention_free(struct intention *intention)
{
	if (!intention)
		return;
	for (size_t i = 0; i < intention->flag_count; i++) {
		struct flag *flag = &intention->flags[i];

		if (!flag_is_known(flag->name))
			free((char *)(uintptr_t)flag->name);
		free(flag->value);
		free(flag->file);
	}
	for (size_t i = 0; i < intention->remark_count; i++) {
		free(intention->remarks[i].file);
		free(intention->remarks[i].message);
	}
	for (size_t i = 0; i < intention->file_count; i++)
		free(intention->files[i]);
	free(intention->flags);
	free(intention->remarks);
	free(intention->files);
	free(intention->file_status);
	free(intention->refusal);
	free(intention->refusal_file);
	free(intention->unknown);
	free(intention);
}

const struct flag *intention_flag(const struct intention *intention, const char *name)
{
	for (size_t i = 0; i < intention->flag_count; i++)
		if (strcmp(intention->flags[i].name, name) == 0)
			return &intention->flags[i];
	return NULL;
}

const char *intention_text(const struct intention *intention, const char *name)
{
	const struct flag *flag = intention_flag(intention, name);
	const struct known_flag *known;

	if (flag)
		return flag->value;
	known = known_flag_find(name, strlen(name));
	return known ? known->value : NULL;
}

bool intention_has(const struct intention *intention, const char *name)
{
	const char *value = intention_text(intention, name);

	return value && *value;
}

bool intention_bool(const struct intention *intention, const char *name)
{
	const char *value = intention_text(intention, name);
	bool truth;

	return value && value_read_bool(value, &truth) && truth;
}

int64_t intention_number(const struct intention *intention, const char *name)
{
	const struct known_flag *known = known_flag_find(name, strlen(name));
	const char *value = intention_text(intention, name);
	int64_t number;

	if (!known)
		return 0;
	if (known->type == FLAG_MEMORY)
		return value_read_memory(value, &number) ? number : 0;
	return value_read_integer(
		       value, known->type == FLAG_INT32, known->type == FLAG_INT32 ? INT32_MAX : UINT64_MAX, &number)
		       ? number
		       : 0;
}

/* --- addresses --- */

/* How getaddrinfo(3) of glibc takes it: inet_aton()'s forms in full length, IPv6 with a scope, '*' for no name. */
enum reading { READ_ADDRESS, READ_NAME, READ_NOTHING };

static enum reading read_address(const char *text, enum width *ret_width, struct value *ret)
{
	struct in_addr ipv4;
	struct in6_addr ipv6;
	_cleanup_free_ char *host = mem_stringn(text, strcspn(text, "%"));

	*ret_width = WIDTH_IPV4;
	*ret = value_zero();
	if (strcmp(text, "*") == 0)
		return READ_ADDRESS;
	/* `--bind` that took the next flag as its value */
	if (*text == '-')
		return READ_NOTHING;
	for (const char *at = text; *at; at++)
		if (is_blank(*at) || strchr(",[]\"'/\\=#;()<>&|", *at))
			return READ_NOTHING;
	/* inet_aton() also takes what stands behind a blank; there is none here. */
	if (inet_aton(text, &ipv4)) {
		*ret = value_from_bytes(WIDTH_IPV4, &ipv4);
		return READ_ADDRESS;
	}
	if (inet_pton(AF_INET6, host, &ipv6) == 1) {
		if (IN6_IS_ADDR_V4MAPPED(&ipv6)) {
			*ret = value_from_bytes(WIDTH_IPV4, &ipv6.s6_addr[12]);
			return READ_ADDRESS;
		}
		*ret_width = WIDTH_IPV6;
		*ret = value_from_bytes(WIDTH_IPV6, &ipv6);
		return READ_ADDRESS;
	}
	if (strcasecmp(text, "localhost") == 0) {
		*ret = (struct value){.lo = INADDR_LOOPBACK};
		return READ_ADDRESS;
	}
	return strchr(text, ':') || strchr(text, '%') ? READ_NOTHING : READ_NAME;
}

static bool is_zero(struct value value)
{
	return value.hi == 0 && value.lo == 0;
}

/* `address` "" is the default: IPv4's wildcard, since results are tried in that order. */
static bool listen_on(struct intended_listener *listener, const char *address)
{
	enum reading reading = READ_ADDRESS;

	listener->width = WIDTH_IPV4;
	listener->value = value_zero();
	if (*address)
		reading = read_address(address, &listener->width, &listener->value);
	snprintf(listener->address, sizeof(listener->address), "%s", *address ? address : "0.0.0.0");
	listener->resolved = reading == READ_ADDRESS;
	listener->wildcard = listener->resolved && is_zero(listener->value);
	listener->dual = listener->wildcard && listener->width == WIDTH_IPV6;
	return reading != READ_NOTHING;
}

/* --- listeners --- */

/* All four, whether they can be opened or not. False in `good`: the address is none. */
static size_t plan_listeners(
	const struct intention *intention, struct intended_listener ret[INTENDED_MAXIMUM], bool good[INTENDED_MAXIMUM])
{
	bool tls = intention_bool(intention, "tls");
	int64_t port = intention_number(intention, "port");
	int64_t admin_port = intention_number(intention, "admin_port");
	int64_t memcached_port = intention_number(intention, "memcached_port");
	const char *bind = intention_text(intention, "bind");
	bool protected = intention->under_systemd && !*bind && !intention_has(intention, "requirepass");
	size_t count = 0;

	if (intention_has(intention, "unixsocket")) {
		good[count] = true;
		ret[count] = (struct intended_listener){
			.kind = INTENDED_UNIX, .tls = tls, .flag = intention_flag(intention, "unixsocket")};
		snprintf(ret[count].address, sizeof(ret[count].address), "%s", intention_text(intention, "unixsocket"));
		count++;
	}
	if (admin_port != 0) {
		ret[count] = (struct intended_listener){.kind = INTENDED_ADMIN,
			.port = (uint16_t)admin_port,
			.tls = tls && !intention_bool(intention, "no_tls_on_admin_port"),
			.flag = intention_has(intention, "admin_bind") ? intention_flag(intention, "admin_bind")
								       : NULL};
		good[count] = listen_on(&ret[count], intention_text(intention, "admin_bind"));
		count++;
	}
	if (port == 0)
		return count; /* takes memcached's away, too */
	for (unsigned int memcached = 0; memcached <= (memcached_port ? 1u : 0u); memcached++) {
		ret[count] = (struct intended_listener){.kind = memcached ? INTENDED_MEMCACHED : INTENDED_MAIN,
			.port = (uint16_t)(memcached	? memcached_port
					   : port == -1 ? 0
							: port),
			.tls = tls,
			.protected_mode = protected,
			.flag = *bind ? intention_flag(intention, "bind") : NULL};
		good[count] = listen_on(&ret[count], protected ? "127.0.0.1" : bind);
		count++;
	}
	return count;
}

size_t intention_listeners(const struct intention *intention, struct intended_listener ret[INTENDED_MAXIMUM])
{
	bool good[INTENDED_MAXIMUM];
	size_t count;
	size_t kept = 0;

	if (intention->refusal)
		return 0;
	count = plan_listeners(intention, ret, good);
	for (size_t i = 0; i < count; i++)
		if (good[i])
			ret[kept++] = ret[i];
	return kept;
}

/* Two sockets that cannot both listen: SO_REUSEADDR does not help against one that listens already. */
static bool collide(const struct intended_listener *a, const struct intended_listener *b)
{
	if (!a->port || a->port != b->port || !a->resolved || !b->resolved)
		return false;
	if (a->width != b->width)
		return false;
	return a->wildcard || b->wildcard || value_compare(a->value, b->value) == 0;
}

/* The same, but only where :: takes IPv4 too, which a sysctl decides. */
static bool may_collide(const struct intended_listener *a, const struct intended_listener *b)
{
	return a->port && a->port == b->port && a->resolved && b->resolved && a->width != b->width &&
	       (a->dual || b->dual);
}

/* --- what keeps it from starting --- */

static void refuse_for(struct intention *intention, const char *flag, const char *message)
{
	const struct flag *set = intention_flag(intention, flag);

	intention_refuse(intention, set ? set->file : NULL, set ? set->line : 0, "%s", message);
}

static void validate_tls(struct intention *intention)
{
	bool key = intention_has(intention, "tls_key_file");

	if (intention_bool(intention, "tls") && !intention_has(intention, "requirepass") &&
		!intention_has(intention, "tls_ca_cert_file") && !intention_has(intention, "tls_ca_cert_dir"))
		refuse_for(intention, "tls",
			"TLS configured but no authentication method is used: --tls needs --requirepass, "
			"--tls_ca_cert_file or --tls_ca_cert_dir (--aclfile does not count)");
	if (intention_bool(intention, "tls_replication")) {
		if (key && !intention_has(intention, "tls_cert_file"))
			refuse_for(intention, "tls_replication",
				"tls_cert_file flag should be set: --tls_replication with "
				"--tls_key_file needs it");
		if (!key && !intention_has(intention, "masterauth"))
			refuse_for(intention, "tls_replication",
				"No authentication method configured: --tls_replication needs --tls_key_file and "
				"--tls_cert_file, or --masterauth");
	}
	/* After those, since it is found when the listeners are built. */
	if (intention_bool(intention, "tls") && !key)
		refuse_for(intention, "tls",
			"To use TLS, a server certificate must be provided with the --tls_key_file flag");
}

static bool is_octal_mode(const char *text)
{
	unsigned int mode = 0;
	size_t digits = 0;

	while (is_blank(*text))
		text++;
	text += *text == '+';
	for (; *text >= '0' && *text <= '7'; text++, digits++)
		if ((mode = mode * 8 + (unsigned int)(*text - '0')) > 0777)
			return false;
	while (is_blank(*text))
		text++;
	return digits > 0 && !*text;
}

static void validate_ports(struct intention *intention)
{
	int64_t port = intention_number(intention, "port");
	int64_t memcached_port = intention_number(intention, "memcached_port");
	const struct flag *memcached = intention_flag(intention, "memcached_port");

	if (port == 0 && !intention_has(intention, "unixsocket"))
		refuse_for(
			intention, "port", "received --port 0, yet no unix socket to listen to: it needs --unixsocket");
	if (port < -1 || port > UINT16_MAX)
		refuse_for(intention, "port", "Bad port number: --port is -1 (any port), 0 (none) or up to 65535");
	if (intention_has(intention, "unixsocket") && intention_has(intention, "unixsocketperm") &&
		!is_octal_mode(intention_text(intention, "unixsocketperm")))
		refuse_for(intention, "unixsocketperm", "Invalid unixsocketperm: it is octal and at most 777");
	if (memcached && memcached_port > UINT16_MAX)
		intention_remark(intention, NOTE_TRUNCATED, memcached->file, memcached->line,
			"--memcached_port=%lld is no port: the server listens on %u, its low 16 bits%s",
			(long long)memcached_port, (unsigned int)(memcached_port & UINT16_MAX),
			memcached_port & UINT16_MAX ? "" : ", which is any free port");
}

static void validate_memory(struct intention *intention)
{
	int64_t memory = intention_number(intention, "maxmemory");
	int64_t threads = intention_number(intention, "proactor_threads");

	/* Without --proactor_threads there are as many as processors, which is not known here; but at least one. */
	if (threads < 1)
		threads = 1;
	if (memory > 0 && memory / (256 << 20) < threads)
		refuse_for(intention, "maxmemory", "--maxmemory is too small: each thread needs 256MiB");
}

static void validate_others(struct intention *intention)
{
	static const char *const not_zero[] = {
		"publish_buffer_limit", "request_cache_limit", "pipeline_buffer_limit", "pipeline_queue_limit"};
	const char *mode = intention_text(intention, "cluster_mode");
	const char *file = intention_text(intention, "dbfilename");
	const char *events = intention_text(intention, "notify_keyspace_events");

	if (intention_number(intention, "dbnum") > 1024)
		refuse_for(intention, "dbnum", "dbnum is too big: it is at most 1024");
	if (*events && strcasecmp(events, "ex") != 0)
		refuse_for(intention, "notify_keyspace_events",
			"Invalid notify_keyspace_events value, only Ex is supported");
	if (file[0] == '"')
		refuse_for(intention, "dbfilename", "filename should not start with a quote");
	else if (strchr(file, '/') && !strstr(file, "://"))
		refuse_for(
			intention, "dbfilename", "filename may not contain directory separators; the folder is --dir");
	if (intention_has(intention, "save_schedule"))
		refuse_for(intention, "save_schedule", "save_schedule flag is deprecated: write --snapshot_cron");
	if (*mode && strcmp(mode, "yes") != 0 && strcmp(mode, "emulated") != 0)
		refuse_for(
			intention, "cluster_mode", "Invalid value for flag --cluster_mode: it is 'yes' or 'emulated'");
	if (strcmp(mode, "emulated") == 0 && intention_has(intention, "cluster_node_id"))
		refuse_for(intention, "cluster_node_id", "Setting --cluster_node_id in emulated mode is unsupported");
	if (strlen(intention_text(intention, "locktag_delimiter")) > 1)
		refuse_for(intention, "locktag_delimiter", "Invalid value for locktag_delimiter: it is one character");
	for (size_t i = 0; i < ARRAY_SIZE(not_zero); i++)
		if (intention_number(intention, not_zero[i]) == 0)
			refuse_for(intention, not_zero[i], "pipeline flag limit is 0");
}

static const char *const kind_flags[] = {[INTENDED_MAIN] = "port",
	[INTENDED_ADMIN] = "admin_port",
	[INTENDED_MEMCACHED] = "memcached_port",
	[INTENDED_UNIX] = "unixsocket"};

static void refuse_address(struct intention *intention, const struct intended_listener *listener)
{
	const struct flag *flag = listener->flag;
	_cleanup_text_ struct text shown = {0};
	const char *several = strpbrk(flag->value, ", ") ? ": it takes one address only" : "";

	flag_shown(flag, &shown);
	if (listener->kind == INTENDED_ADMIN)
		intention_remark(intention, NOTE_NOT_OPENED, flag->file, flag->line,
			"--admin_bind=%s is no address: the server starts without its admin port%s",
			text_string(&shown), several);
	else
		intention_refuse(intention, flag->file, flag->line, "Error resolving address %s%s", text_string(&shown),
			several);
}

static void validate_listeners(struct intention *intention)
{
	struct intended_listener listeners[INTENDED_MAXIMUM];
	bool good[INTENDED_MAXIMUM];
	size_t count = plan_listeners(intention, listeners, good);

	for (size_t i = 0; i < count; i++) {
		const struct intended_listener *later = &listeners[i];

		if (!good[i]) {
			refuse_address(intention, later);
			continue;
		}
		if (later->kind == INTENDED_UNIX) {
			/* sockaddr_un has room for 107 bytes. */
			if (strlen(intention_text(intention, "unixsocket")) > 107)
				intention_not_known(intention, "--unixsocket is longer than a socket's path may be");
			continue;
		}
		for (size_t j = 0; j < i; j++) {
			const struct intended_listener *earlier = &listeners[j];

			if (!good[j] || earlier->kind == INTENDED_UNIX)
				continue;
			if (collide(earlier, later))
				intention_refuse(intention, NULL, 0,
					"Could not open port %u: Address already in use, by --%s and --%s", later->port,
					kind_flags[earlier->kind], kind_flags[later->kind]);
			else if (may_collide(earlier, later))
				intention_remark(intention, NOTE_OTHER, NULL, 0,
					"--%s and --%s are both %u: the server starts only if net.ipv6.bindv6only is 1",
					kind_flags[earlier->kind], kind_flags[later->kind], later->port);
		}
	}
}

void intention_validate(struct intention *intention)
{
	/* What is not known may be what is missing. */
	if (intention->unknown)
		return;
	validate_ports(intention);
	validate_tls(intention);
	validate_others(intention);
	validate_memory(intention);
	validate_listeners(intention);
}
