/* SPDX-License-Identifier: GPL-3.0-or-later */

/* A drop-in for the server's unit: `export --to systemd`. What its lines mean is in systemd.unit(5), systemd.service(5)
 * and systemd.resource-control(5). */

#include <string.h>

#include "report_private.h"

/* A word of a command line as systemd reads it, whatever is in it: no specifier, no variable, no end of the word. */
static void print_word(FILE *stream, const char *word)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";

	if (*word && word[strspn(word, plain)] == '\0') {
		fputs(word, stream);
		return;
	}
	fputc('"', stream);
	while (*word) {
		size_t length = utf8_length(word);
		unsigned char byte = (unsigned char)*word;

		if (length == 0 || byte < 0x20 || byte == 0x7f) {
			fprintf(stream, "\\x%02x", byte);
			word++;
			continue;
		}
		if (byte == '"' || byte == '\\')
			fputc('\\', stream);
		else if (byte == '%' || byte == '$')
			fputc(byte, stream);
		fwrite(word, 1, length, stream);
		word += length;
	}
	fputc('"', stream);
}

/* A comment has a line of its own, since systemd knows no other. A default has no place in the policy. */
static void print_origin(FILE *stream, const struct policy *policy, uint32_t origin, const char *what)
{
	struct srcloc place = policy_place(policy, origin);

	fprintf(stream, "# %s", what);
	if (place.file) {
		fputs(*what ? ", " : "", stream);
		print_clean(stream, place.file);
		fprintf(stream, ":%u", place.line);
	}
	fputc('\n', stream);
}

/* --- addresses --- */

struct peers {
	struct intervals v4, v6;
};

static void add_list(const struct report_dropin *dropin, const struct source_list *list, struct peers *peers)
{
	policy_resolve(dropin->policy, list, &peers->v4, &peers->v6, NULL, NULL);
}

/* Leaves out what is inside `item`, which stands elsewhere; what is wider stays whole. */
static void leave_out(struct intervals *list, struct interval item)
{
	struct intervals kept = {.width = list->width};

	for (size_t i = 0; i < list->count; i++) {
		struct interval one = intervals_get(list, i);

		if (value_compare(one.first, item.first) < 0 || value_compare(one.last, item.last) > 0)
			intervals_add(&kept, one);
	}
	intervals_done(list);
	*list = kept;
}

static void find_peers(const struct report_dropin *dropin, struct peers *peers)
{
	const struct environment *environment = dropin->environment;
	const struct service *service = &dropin->policy->service;

	*peers = (struct peers){.v4 = {.width = WIDTH_IPV4}, .v6 = {.width = WIDTH_IPV6}};
	add_list(dropin, &environment->clients, peers);
	if (service->admin_port)
		add_list(dropin, &environment->admins, peers);
	if (service->memcached_port)
		add_list(dropin, &environment->memcached_clients, peers);
	/* This host's own connections have the server's address as their source, or one of `localhost`. */
	if (environment->loopback != LOOPBACK_DENY) {
		add_list(dropin, &environment->bind, peers);
		if (service->admin_port)
			add_list(dropin, &environment->admin_bind, peers);
	}
	intervals_merge(&peers->v4, NULL, NULL);
	intervals_merge(&peers->v6, NULL, NULL);
	if (environment->loopback != LOOPBACK_DENY) {
		leave_out(&peers->v4, (struct interval){.first = {0, 0x7f000000}, .last = {0, 0x7fffffff}});
		leave_out(&peers->v6, (struct interval){.first = {0, 1}, .last = {0, 1}});
	}
}

/* Counts the prefixes of a list, and prints them where there is a stream. */
static size_t print_prefixes(const struct report_dropin *dropin, const struct intervals *list, FILE *stream)
{
	size_t count = 0;
	uint32_t told = 0;

	for (size_t i = 0; i < list->count; i++) {
		struct interval rest = intervals_get(list, i);
		struct interval prefix;
		bool more = true;

		if (stream && rest.origin != told)
			print_origin(stream, dropin->policy, rest.origin, "");
		told = rest.origin;
		while (interval_next_prefix(list->width, &rest, &more, &prefix)) {
			char text[INTERVAL_TEXT];

			count++;
			if (stream)
				fprintf(stream, "IPAddressAllow=%s\n", interval_format(list->width, prefix, text));
		}
	}
	return count;
}

static bool print_addresses(const struct report_dropin *dropin, FILE *stream)
{
	const struct environment *environment = dropin->environment;
	struct peers peers;
	char number[32], limit[32];
	size_t count;

	find_peers(dropin, &peers);
	count = print_prefixes(dropin, &peers.v4, NULL) + print_prefixes(dropin, &peers.v6, NULL);
	fputs("\n"
	      "# A second wall, for the server's sockets alone: it stands also where somebody takes the firewall\n"
	      "# away. It knows addresses, not ports, and both ways: whoever is not here is neither heard nor\n"
	      "# spoken to. So what the server itself connects to needs a line, too, best in a drop-in of its own,\n"
	      "# since the lists add up: masters that it replicates from (replicaof), storage of snapshots in a\n"
	      "# cloud, name servers. version_check needs none: it only fails.\n",
		stream);
	if (count > REPORT_DROPIN_PREFIXES) {
		fprintf(stream,
			"# Left out: the policy names its sources by %s prefixes, and more than %s are too much for a\n"
			"# unit, which systemd reads and loads anew at each start. The firewall has them all.\n",
			format_count(number, count), format_count(limit, REPORT_DROPIN_PREFIXES));
	} else {
		fputs("IPAddressDeny=any\n", stream);
		if (environment->loopback != LOOPBACK_DENY) {
			print_origin(stream, dropin->policy, environment->loopback_origin, "loopback is not denied");
			fputs("IPAddressAllow=localhost\n", stream);
		}
		print_prefixes(dropin, &peers.v4, stream);
		print_prefixes(dropin, &peers.v6, stream);
		if (environment->loopback != LOOPBACK_DENY && !environment->bind.given)
			fputs("# The policy has no `bind`: where this host connects to itself by another address than\n"
			      "# 127.0.0.1 or ::1, that one needs a line.\n",
				stream);
	}
	intervals_done(&peers.v4);
	intervals_done(&peers.v6);
	return count <= REPORT_DROPIN_PREFIXES;
}

/* --- ports --- */

static void print_ports(const struct report_dropin *dropin, FILE *stream)
{
	const struct service *service = &dropin->policy->service;
	const struct {
		const char *name;
		uint16_t port;
		uint32_t origin;
	} ports[] = {
		{"port", service->port, service->port_origin},
		{"tls_port", service->tls_port, service->tls_port_origin},
		{"admin_port", service->admin_port, service->admin_port_origin},
		{"memcached_port", service->memcached_port, service->memcached_port_origin},
	};

	fputs("\n"
	      "# The server may listen on guarded ports only: on any other one nobody would judge who connects. Unix\n"
	      "# sockets, and connections that it makes, are not asked. A systemd that is built without BPF_FRAMEWORK\n"
	      "# (`systemctl --version` tells; that of Debian 12 is) reads these lines and does nothing.\n"
	      "SocketBindDeny=any\n",
		stream);
	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		bool told = ports[i].port == 0;

		for (size_t j = 0; j < i; j++)
			told |= ports[j].port == ports[i].port;
		if (told)
			continue;
		print_origin(stream, dropin->policy, ports[i].origin, ports[i].name);
		fprintf(stream, "SocketBindAllow=tcp:%u\n", ports[i].port);
	}
}

/* --- all --- */

static void print_head(const struct report_dropin *dropin, FILE *stream)
{
	const char *unit = dropin->policy->service.unit;

	fputs("# Written by dflyguard " DFLYGUARD_VERSION " from ", stream);
	print_clean(stream, dropin->policy->path);
	fputs(", environment ", stream);
	print_clean(stream, dropin->environment->name);
	fprintf(stream,
		": a drop-in for %s.\n"
		"#   mkdir -p /etc/systemd/system/%s.d\n"
		"#   dflyguard export --to systemd > /etc/systemd/system/%s.d/50-dflyguard.conf\n"
		"#   systemctl daemon-reload\n"
		"# Again whenever the policy changes: addresses and ports below are those of this moment. A start "
		"asks\n"
		"# the policy itself.\n",
		unit, unit, unit);
}

static void print_start(const struct report_dropin *dropin, FILE *stream)
{
	fputs("\n"
	      "[Unit]\n"
	      "# The firewall first. Wants=, not Requires=: that one would stop the server together with\n"
	      "# dflyguard.service, which opens no port when it stops. Whether the firewall is in force is asked "
	      "below.\n"
	      "Wants=dflyguard.service\n"
	      "After=dflyguard.service\n"
	      "# A start that was refused is tried again as long as it takes, where the unit has Restart=, as\n"
	      "# Dragonfly's own: once the firewall is in force and the flags are good the server comes up by itself.\n"
	      "StartLimitIntervalSec=0\n"
	      "\n"
	      "[Service]\n"
	      "RestartSec=2\n"
	      "# Starts only where the kernel has what the policy says, and the server's flags, from its command "
	      "line,\n"
	      "# flagfiles and environment, ask for addresses and ports that the policy allows. The journal says what "
	      "is\n"
	      "# wrong, and how to mend it. Not ExecCondition=: a server that must not start has failed, and is not "
	      "just\n"
	      "# skipped. `+`: as root, whatever User= is, since only root can ask the firewall.\n"
	      "ExecStartPre=+",
		stream);
	fprintf(stream, "%s --policy ", dropin->program);
	print_word(stream, dropin->policy_path);
	fputs(" --environment ", stream);
	print_word(stream, dropin->environment->name);
	fputs(" audit --before-start\n", stream);
}

bool report_systemd(FILE *stream, const struct report_dropin *dropin)
{
	bool whole;

	print_head(dropin, stream);
	print_start(dropin, stream);
	whole = print_addresses(dropin, stream);
	print_ports(dropin, stream);
	return whole;
}
