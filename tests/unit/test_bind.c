/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Every check of the area bind has fixtures that pass, fail, are unknown and are not applicable, and this file fails
 * where one is missing. */

#include "hosts.h"
#include "mutations.h"
#include "policies.h"

#define TOLD_MOST 3

struct scene {
	struct compiled compiled;
	struct changeset *drift;
	struct host *host;
	struct audit_intention intentions[TOLD_MOST];
	struct intention *owned[TOLD_MOST];
	size_t told;
	struct audit_facts facts;
	struct findings findings;
};

static void tell(struct scene *s, enum intention_source source, size_t process, const char *flags, const char *argument)
{
	struct audit_intention *told = &s->intentions[s->told];

	s->owned[s->told] = intention_of_text(flags, argument);
	*told = (struct audit_intention){.source = source,
		.subject = source == INTENTION_PROCESS ? "dragonfly, process 4711"
			   : source == INTENTION_UNIT  ? "dragonfly.service"
						       : HOST_FLAGFILE,
		.intention = s->owned[s->told],
		.process = process};
	s->facts.intention_count = ++s->told;
}

static void forget_told(struct scene *s)
{
	for (size_t i = 0; i < s->told; i++)
		intention_free(s->owned[i]);
	s->facts.intention_count = s->told = 0;
}

static void retell(struct scene *s, const char *flags, const char *argument)
{
	forget_told(s);
	tell(s, INTENTION_PROCESS, 0, flags, argument);
}

static void scene_begin(struct scene *s, const char *policy)
{
	*s = (struct scene){.compiled = policy ? compile_text("p.conf", policy, NULL) : compile_golden("everything"),
		.host = host_good()};
	s->drift = ruleset_diff(s->compiled.ruleset, s->compiled.ruleset);
	s->facts = (struct audit_facts){.policy = s->compiled.policy,
		.environment = s->compiled.environment,
		.drift = s->drift,
		.foreign_unknown = "not looked at",
		.host = s->host,
		.intentions = s->intentions};
	tell(s, INTENTION_PROCESS, 0, HOST_GOOD_FLAGS, NULL);
}

static void scene_done(struct scene *s)
{
	findings_done(&s->findings);
	forget_told(s);
	host_free(s->host);
	changeset_free(s->drift);
	compiled_done(&s->compiled);
}

/* --- what is otherwise --- */

#define NO_BIND                                                                                                        \
	"default_environment = e\nservice { port = 6379 tls_port = 6380 admin_port = 9999 memcached_port = 11211 }\n"  \
	"environment e { clients = {\"10.20.0.0/24\"} admins = {\"10.9.0.0/28\"} }\n"
#define OPTIONAL                                                                                                       \
	"default_environment = e\nservice { port = 6379 tls_port = 6380 }\n"                                           \
	"environment e { clients = {\"10.20.0.0/24\"} bind = {\"10.20.0.5\"} server = optional }\n"
#define LOCAL                                                                                                          \
	"default_environment = e\nservice { port = 6379 tls_port = 6380 }\n"                                           \
	"network n { sources = {\"127.0.0.1\"} }\nnetwork m { sources = {n, \"::1\"} }\n"                              \
	"environment e { clients = {m, n} bind = {\"127.0.0.1\"} }\n"

static void nothing_known(struct scene *s)
{
	s->facts.host = NULL;
	s->facts.host_unknown = "no /proc";
}

static void sockets_unknown(struct scene *s)
{
	s->host->listeners_read.unknown = mem_string("this kernel does not list TCP sockets");
}

static void no_server(struct scene *s)
{
	host_free(s->host);
	s->host = host_empty();
	s->facts.host = s->host;
	forget_told(s);
}

static void no_server_no_addresses(struct scene *s)
{
	no_server(s);
	s->host->addresses[1].address.lo = 0x0a140009;
}

static void no_listener(struct scene *s)
{
	host_forget_listeners(s->host);
}

/* One socket in place of all. */
static struct listener *only(struct scene *s, const char *address, uint16_t port)
{
	host_forget_listeners(s->host);
	return host_add_listener(s->host, address, port, 0, 0);
}

static void wildcard(struct scene *s)
{
	only(s, "0.0.0.0", 6380);
}

static void wildcard_drift(struct scene *s)
{
	only(s, "0.0.0.0", 6380);
	s->facts.drift = NULL;
	s->facts.drift_unknown = "not permitted";
}

static void wildcard_dual(struct scene *s)
{
	only(s, "::", 6380);
}

static void wildcard_six(struct scene *s)
{
	only(s, "::", 6380)->v6_only = true;
}

static void wildcard_mapped(struct scene *s)
{
	only(s, "::ffff:0.0.0.0", 6379);
}

static void wildcard_device(struct scene *s)
{
	only(s, "0.0.0.0", 6380)->device = mem_string("eth1");
}

static void wildcard_nobody(struct scene *s)
{
	host_forget_listeners(s->host);
	host_add_listener(s->host, "0.0.0.0", 6380, 0, LISTENERS_NO_INDEX);
}

static void in_container(struct scene *s)
{
	host_add_network(s->host, "docker 0123456789ab", false);
	s->host->processes[0].network = 1;
	s->host->processes[0].container.text = mem_string("docker 0123456789ab");
	host_forget_listeners(s->host);
	host_add_listener(s->host, "0.0.0.0", 6379, 1, 0);
	retell(s, NULL, "--requirepass=x");
}

static void published(struct scene *s)
{
	size_t proxy;

	in_container(s);
	proxy = host_add_process(s->host, SERVER_DOCKER_PROXY, "docker-proxy", "docker.service", 0);
	host_add_listener(s->host, "0.0.0.0", 6380, 0, proxy);
}

static void published_on_one(struct scene *s)
{
	size_t proxy;

	in_container(s);
	proxy = host_add_process(s->host, SERVER_DOCKER_PROXY, "docker-proxy", "docker.service", 0);
	host_add_listener(s->host, "10.20.0.5", 6380, 0, proxy);
}

static void public(struct scene *s)
{
	only(s, "93.184.216.34", 6380);
}

static void unlisted(struct scene *s)
{
	only(s, "10.66.0.5", 6380);
}

static void loopback(struct scene *s)
{
	only(s, "127.0.0.9", 6380);
}

static void loopback_listed(struct scene *s)
{
	only(s, "127.0.0.1", 6380);
}

static void absent(struct scene *s)
{
	/* 10.9.0.1 */
	s->host->addresses[2].address.lo = 0x0a090002;
}

static void addresses_unknown(struct scene *s)
{
	s->host->addresses_read.unknown = mem_string("Permission denied");
}

static void admin_wildcard(struct scene *s)
{
	only(s, "0.0.0.0", 9999);
	retell(s, "--port=6380\n--bind=10.20.0.5\n--admin_port=9999\n", NULL);
}

static void memcached_wildcard(struct scene *s)
{
	only(s, "0.0.0.0", 11211);
}

static void memcached_truncated(struct scene *s)
{
	only(s, "10.20.0.5", 11211);
	retell(s, "--port=6380\n--bind=10.20.0.5\n--memcached_port=76747\n", NULL);
}

static void protected_mode(struct scene *s)
{
	only(s, "127.0.0.1", 6380);
	retell(s, "--port=6380\n", NULL);
}

static void no_password(struct scene *s)
{
	retell(s, "--port=6380\n--bind=10.20.0.5\n", NULL);
}

static void acl(struct scene *s)
{
	retell(s, "--port=6380\n--bind=10.20.0.5\n--aclfile=/etc/dragonfly/acl\n", NULL);
}

static void unreadable_flags(struct scene *s)
{
	retell(s, "not permitted", NULL);
}

static void arguments_unknown(struct scene *s)
{
	s->intentions[0].intention = NULL;
	s->intentions[0].unknown = "its command line: not permitted";
}

static void other_port(struct scene *s)
{
	host_add_listener(s->host, "10.20.0.5", 7000, 0, 0);
}

static void other_port_admin(struct scene *s)
{
	only(s, "10.20.0.5", 9998);
	retell(s, "--port=6380\n--bind=10.20.0.5\n--admin_port=9998\n--admin_bind=10.20.0.5\n", NULL);
}

static void other_port_local(struct scene *s)
{
	host_add_listener(s->host, "127.0.0.1", 7000, 0, 0);
}

static void processes_unknown(struct scene *s)
{
	s->host->processes_read.unknown = mem_string("12 processes: not permitted");
}

static void nothing_and_processes_unknown(struct scene *s)
{
	no_server(s);
	processes_unknown(s);
}

static void stranger(struct scene *s)
{
	host_forget_listeners(s->host);
	host_add_listener(s->host, "10.20.0.5", 6380, 0,
		host_add_process(s->host, SERVER_REDIS, "redis-server", "redis-server.service", 0));
}

static void activated(struct scene *s)
{
	host_forget_listeners(s->host);
	host_add_listener(
		s->host, "10.20.0.5", 6380, 0, host_add_process(s->host, SERVER_SYSTEMD, "systemd", "init.scope", 0));
}

static void unix_open(struct scene *s)
{
	s->host->unix_listeners[0].mode = 0777;
}

static void unix_group(struct scene *s)
{
	s->host->unix_listeners[0].mode = 0770;
}

static void unix_abstract(struct scene *s)
{
	s->host->unix_listeners[0].path[0] = '@';
}

static void unix_mode_unknown(struct scene *s)
{
	s->host->unix_listeners[0].mode_unknown = mem_string("it is gone");
}

static void unix_unknown(struct scene *s)
{
	s->host->unix_read.unknown = mem_string("this kernel does not list Unix sockets");
}

static void unix_none(struct scene *s)
{
	free(s->host->unix_listeners[0].path);
	s->host->unix_count = 0;
}

static void refuses(struct scene *s)
{
	retell(s, "--port=6380\n--tls-cert-file=/x\n", NULL);
}

static void intends_wildcard(struct scene *s)
{
	retell(s, "--port=6380\n--bind=0.0.0.0\n--requirepass=x\n", NULL);
}

static void intends_other_port(struct scene *s)
{
	retell(s, "--port=7000\n--bind=10.20.0.5\n--requirepass=x\n", NULL);
}

static void intends_absent(struct scene *s)
{
	s->host->addresses[1].address.lo = 0x0a140009;
}

static void intends_name(struct scene *s)
{
	retell(s, "--port=6380\n--bind=dragonfly.example\n--requirepass=x\n", NULL);
}

static void intends_by_argument(struct scene *s)
{
	retell(s, "--port=6380\n--bind=10.20.0.5\n--requirepass=x\n", "--bind=10.66.0.5");
}

static void only_flagfile(struct scene *s)
{
	no_server(s);
	tell(s, INTENTION_FLAGFILE, LISTENERS_NO_INDEX, "--port=6380\n--bind=0.0.0.0\n", NULL);
}

static void unit_says_otherwise(struct scene *s)
{
	tell(s, INTENTION_UNIT, LISTENERS_NO_INDEX, "--port=6380\n--bind=10.66.0.5\n--requirepass=x\n", NULL);
}

static void disagrees(struct scene *s)
{
	only(s, "10.66.0.5", 6380);
	retell(s, "--port=6380\n--bind=10.20.0.5\n", NULL);
}

static void does_not_listen(struct scene *s)
{
	only(s, "10.20.0.5", 6380);
}

static void flagfile_unread(struct scene *s)
{
	only(s, "10.20.0.5", 6380);
	retell(s, NULL, NULL);
	forget_told(s);
	s->owned[0] = NULL;
	tell(s, INTENTION_PROCESS, 0, NULL, "--bind=10.20.0.5");
	/* The default port is 6379. */
	only(s, "10.20.0.5", 6379);
	tell(s, INTENTION_FLAGFILE, LISTENERS_NO_INDEX, HOST_GOOD_FLAGS, NULL);
}

static void network_unknown(struct scene *s)
{
	s->host->processes[0].network = LISTENERS_NO_INDEX;
}

/* --- each check --- */

static const struct fixture {
	const char *id;
	const char *policy; /* NULL: the golden one called "everything" */
	void (*prepare)(struct scene *);
	enum outcome outcome;
	enum severity severity;
	const char *text;   /* of subject, message and evidence */
	const char *remedy; /* NULL: whatever it is */
} fixtures[] = {
	{"bind.server", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING,
		"dragonfly 4711 (dfly, dragonfly.service) listens on 10.20.0.5:6380", NULL},
	{"bind.server", NULL, in_container, OUTCOME_PASS, SEVERITY_WARNING,
		"dragonfly 4711 (dfly, dragonfly.service, docker 0123456789ab)", NULL},
	{"bind.server", NULL, no_server, OUTCOME_FAIL, SEVERITY_WARNING, "no Dragonfly runs",
		"systemctl start dragonfly.service; or `server = optional` in environment production, where nobody "
		"needs to "
		"run one"},
	{"bind.server", NULL, no_listener, OUTCOME_FAIL, SEVERITY_WARNING, "(process 4711) listens on none", NULL},
	{"bind.server", NULL, stranger, OUTCOME_FAIL, SEVERITY_WARNING, "listens on none", NULL},
	{"bind.server", NULL, nothing_known, OUTCOME_UNKNOWN, SEVERITY_WARNING, "no /proc", NULL},
	{"bind.server", NULL, wildcard_nobody, OUTCOME_UNKNOWN, SEVERITY_WARNING, "who that is", NULL},
	{"bind.server", OPTIONAL, nothing_and_processes_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "12 processes",
		NULL},
	{"bind.server", OPTIONAL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "none needs to", NULL},

	{"bind.wildcard", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "none of a guarded port", NULL},
	{"bind.wildcard", NULL, in_container, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "nothing listens", NULL},
	{"bind.wildcard", NULL, admin_wildcard, OUTCOME_PASS, SEVERITY_CRITICAL, "but what other checks tell", NULL},
	{"bind.wildcard", NULL, memcached_wildcard, OUTCOME_PASS, SEVERITY_CRITICAL, "but what other checks", NULL},
	{"bind.wildcard", NULL, published, OUTCOME_PASS, SEVERITY_CRITICAL, "but what other checks tell", NULL},
	{"bind.wildcard", NULL, wildcard_drift, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"0.0.0.0:6380: takes connections to every IPv4 address of this host (10.20.0.5, 10.9.0.1); the policy "
		"lists 10.20.0.5, 127.0.0.1: held by dragonfly 4711",
		"write --bind=10.20.0.5 in " HOST_FLAGFILE ", line 2, then: systemctl restart dragonfly.service "
		"(Dragonfly listens on one address only, and bind has 2)"},
	{"bind.wildcard", NULL, wildcard, OUTCOME_FAIL, SEVERITY_WARNING, "only the firewall keeps the others closed",
		NULL},
	{"bind.wildcard", NULL, wildcard_dual, OUTCOME_FAIL, SEVERITY_WARNING,
		"[::]:6380: takes connections to every address of this host (10.20.0.5, 10.9.0.1, 2001:db8:20::5), of "
		"IPv4 and IPv6;",
		NULL},
	{"bind.wildcard", NULL, wildcard_six, OUTCOME_FAIL, SEVERITY_WARNING,
		"every IPv6 address of this host (2001:db8:20::5);", NULL},
	{"bind.wildcard", NULL, wildcard_mapped, OUTCOME_FAIL, SEVERITY_WARNING,
		"every IPv4 address of this host (10.20.0.5, 10.9.0.1);", NULL},
	{"bind.wildcard", NULL, wildcard_device, OUTCOME_FAIL, SEVERITY_WARNING, "every IPv4 address of eth1", NULL},
	{"bind.wildcard", NULL, wildcard_nobody, OUTCOME_FAIL, SEVERITY_WARNING, "held by unknown: not permitted",
		"write --bind=10.20.0.5 in " HOST_FLAGFILE
		", then: systemctl restart dragonfly.service (Dragonfly listens "
		"on one address only, and bind has 2)"},
	{"bind.wildcard", NO_BIND, wildcard, OUTCOME_FAIL, SEVERITY_WARNING, "asks for no destination",
		"name the server's address in bind of environment e, and write --bind=ADDRESS in " HOST_FLAGFILE
		", line 2, then: systemctl restart dragonfly.service"},
	{"bind.wildcard", NULL, sockets_unknown, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "does not list", NULL},
	{"bind.wildcard", NULL, nothing_known, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "no /proc", NULL},

	{"bind.public", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "none is on a public", NULL},
	{"bind.public", NULL, public, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"93.184.216.34:6380: is an address that the Internet", NULL},
	{"bind.public", NO_BIND, public, OUTCOME_FAIL, SEVERITY_WARNING, "it has no bind", NULL},
	{"bind.public", NULL, sockets_unknown, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "does not list", NULL},
	{"bind.public", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "nothing listens", NULL},

	{"bind.unlisted", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "no other is", NULL},
	{"bind.unlisted", NULL, loopback_listed, OUTCOME_PASS, SEVERITY_WARNING, "no other is", NULL},
	{"bind.unlisted", NULL, unlisted, OUTCOME_FAIL, SEVERITY_WARNING, "10.66.0.5:6380: is not in bind", NULL},
	{"bind.unlisted", NULL, loopback, OUTCOME_FAIL, SEVERITY_INFO, "though only this host reaches it", NULL},
	{"bind.unlisted", NULL, sockets_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "does not list", NULL},
	{"bind.unlisted", NO_BIND, unlisted, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "has no bind", NULL},
	{"bind.unlisted", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "nothing listens", NULL},

	{"bind.absent", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "are there", NULL},
	{"bind.absent", NULL, absent, OUTCOME_FAIL, SEVERITY_WARNING, "10.9.0.1: is in admin_bind", NULL},
	{"bind.absent", NULL, addresses_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "Permission denied", NULL},
	{"bind.absent", OPTIONAL, no_server_no_addresses, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "none needs to",
		NULL},
	{"bind.absent", NO_BIND, NULL, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "lists none", NULL},

	{"bind.admin", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "not on a wildcard", NULL},
	{"bind.admin", NULL, admin_wildcard, OUTCOME_FAIL, SEVERITY_WARNING, "the policy lists 10.9.0.1, and only",
		"write --admin_bind=10.9.0.1 in " HOST_FLAGFILE ", then: systemctl restart dragonfly.service"},
	{"bind.admin", NULL, sockets_unknown, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "does not list", NULL},
	{"bind.admin", NULL, wildcard, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "nothing listens on an admin", NULL},

	{"bind.memcached", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "does as bind says", NULL},
	{"bind.memcached", NULL, memcached_wildcard, OUTCOME_FAIL, SEVERITY_WARNING, "before v1.37", NULL},
	{"bind.memcached", NULL, memcached_truncated, OUTCOME_FAIL, SEVERITY_CRITICAL, "listens on 11211 instead",
		NULL},
	{"bind.memcached", NULL, sockets_unknown, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "does not list", NULL},
	{"bind.memcached", NULL, wildcard, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "nothing listens", NULL},

	{"bind.protected_mode", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "has a password", NULL},
	{"bind.protected_mode", NULL, acl, OUTCOME_PASS, SEVERITY_WARNING, "has a password, users of its own", NULL},
	{"bind.protected_mode", LOCAL, protected_mode, OUTCOME_PASS, SEVERITY_WARNING, "only its own host", NULL},
	{"bind.protected_mode", NULL, protected_mode, OUTCOME_FAIL, SEVERITY_WARNING, "listens on 127.0.0.1:6380 alone",
		"set --requirepass, and write --bind=10.20.0.5 in " HOST_FLAGFILE
		", then: systemctl restart dragonfly.service (Dragonfly listens on one address only, and bind has 2)"},
	{"bind.protected_mode", NULL, no_password, OUTCOME_FAIL, SEVERITY_WARNING,
		"whoever reaches 10.20.0.5:6380 is let in: there is no password, and with bind", NULL},
	{"bind.protected_mode", NULL, unreadable_flags, OUTCOME_UNKNOWN, SEVERITY_WARNING, "Permission denied", NULL},
	{"bind.protected_mode", NULL, arguments_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "not permitted", NULL},
	{"bind.protected_mode", NULL, refuses, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "opens no port", NULL},
	{"bind.protected_mode", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "none runs", NULL},

	{"bind.published", NULL, published_on_one, OUTCOME_PASS, SEVERITY_WARNING,
		"no container's port is published on all", NULL},
	{"bind.published", NULL, published, OUTCOME_FAIL, SEVERITY_WARNING,
		"0.0.0.0:6380: takes connections to every IPv4 address of this host (10.20.0.5, 10.9.0.1); the policy "
		"lists 10.20.0.5, 127.0.0.1, and only the firewall keeps the others closed: held by docker-proxy 4712 "
		"(dfly, docker.service)",
		"publish the container's port on one address: -p 10.20.0.5:6380:PORT"},
	{"bind.published", NULL, wildcard_nobody, OUTCOME_UNKNOWN, SEVERITY_WARNING, "may be a container's", NULL},
	{"bind.published", NULL, NULL, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no container's port", NULL},

	{"bind.loopback_only", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "whoever the policy names", NULL},
	{"bind.loopback_only", LOCAL, loopback_listed, OUTCOME_PASS, SEVERITY_WARNING, "whoever the policy names",
		NULL},
	{"bind.loopback_only", NULL, loopback_listed, OUTCOME_FAIL, SEVERITY_WARNING,
		"127.0.0.1:6380: is only for this host, and clients names others", NULL},
	{"bind.loopback_only", NULL, sockets_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "does not list", NULL},
	{"bind.loopback_only", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "nothing listens", NULL},

	{"bind.other_port", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "only on ports", NULL},
	{"bind.other_port", NULL, other_port, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"10.20.0.5:7000: is no port that the policy",
		"write port = 7000 in the policy's service section; or write --port=6379 in " HOST_FLAGFILE
		", then: systemctl restart dragonfly.service"},
	{"bind.other_port", NULL, other_port_admin, OUTCOME_FAIL, SEVERITY_CRITICAL, "10.20.0.5:9998",
		"write admin_port = 9998 in the policy's service section; or write --admin_port=0 in " HOST_FLAGFILE
		", line 3, then: systemctl restart dragonfly.service"},
	{"bind.other_port", NULL, other_port_local, OUTCOME_FAIL, SEVERITY_INFO, "127.0.0.1:7000", NULL},
	{"bind.other_port", NULL, processes_unknown, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "12 processes", NULL},
	{"bind.other_port", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no Dragonfly", NULL},

	{"bind.stranger", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "Dragonfly's", NULL},
	{"bind.stranger", NULL, published, OUTCOME_PASS, SEVERITY_WARNING, "Dragonfly's", NULL},
	{"bind.stranger", NULL, stranger, OUTCOME_FAIL, SEVERITY_WARNING,
		"10.20.0.5:6380: is not Dragonfly's: held by redis-server 4712 (dfly, redis-server.service)", NULL},
	{"bind.stranger", NULL, activated, OUTCOME_FAIL, SEVERITY_WARNING, "kept open by systemd", NULL},
	{"bind.stranger", NULL, wildcard_nobody, OUTCOME_UNKNOWN, SEVERITY_WARNING, "may be Dragonfly's", NULL},
	{"bind.stranger", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "nothing listens", NULL},

	{"bind.unix", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "only their owner", NULL},
	{"bind.unix", NULL, unix_open, OUTCOME_FAIL, SEVERITY_WARNING, "/run/dragonfly/s: has mode 0777", NULL},
	{"bind.unix", NULL, unix_group, OUTCOME_FAIL, SEVERITY_INFO, "has mode 0770: all of group 997", NULL},
	{"bind.unix", NULL, unix_abstract, OUTCOME_FAIL, SEVERITY_WARNING, "it has no file", NULL},
	{"bind.unix", NULL, unix_mode_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "it is gone", NULL},
	{"bind.unix", NULL, unix_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "does not list", NULL},
	{"bind.unix", NULL, unix_none, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "has none", NULL},

	{"bind.intention", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING,
		"the next start would listen on 10.9.0.1:9999, 10.20.0.5:6380, 10.20.0.5:11211", NULL},
	{"bind.intention", NULL, in_container, OUTCOME_PASS, SEVERITY_WARNING, "listen on 0.0.0.0:6379", NULL},
	{"bind.intention", NULL, refuses, OUTCOME_FAIL, SEVERITY_WARNING,
		"the server would not start: " HOST_FLAGFILE ":2: ", NULL},
	{"bind.intention", NULL, intends_wildcard, OUTCOME_FAIL, SEVERITY_WARNING,
		"the next start would listen on 0.0.0.0:6380, all addresses", NULL},
	{"bind.intention", NULL, intends_other_port, OUTCOME_FAIL, SEVERITY_WARNING,
		"10.20.0.5:7000, which no option of the policy names", NULL},
	{"bind.intention", NULL, intends_absent, OUTCOME_FAIL, SEVERITY_WARNING,
		"an address that this host does not have", NULL},
	{"bind.intention", NULL, intends_by_argument, OUTCOME_FAIL, SEVERITY_WARNING,
		"10.66.0.5:6380, an address that the policy does not list",
		"write --bind=10.20.0.5 on its command line, in place of --bind=10.66.0.5, then: systemctl restart "
		"dragonfly.service (Dragonfly listens on one address only, and bind has 2)"},
	{"bind.intention", OPTIONAL, protected_mode, OUTCOME_FAIL, SEVERITY_WARNING,
		"127.0.0.1:6380, only this host, where the policy names others (it has no password, and systemd", NULL},
	{"bind.intention", NULL, only_flagfile, OUTCOME_FAIL, SEVERITY_WARNING, HOST_FLAGFILE ": the next start", NULL},
	{"bind.intention", NULL, unit_says_otherwise, OUTCOME_FAIL, SEVERITY_WARNING,
		"dragonfly.service: the next start would listen on 10.66.0.5:6380", NULL},
	{"bind.intention", NULL, unreadable_flags, OUTCOME_UNKNOWN, SEVERITY_WARNING, "Permission denied", NULL},
	{"bind.intention", NULL, intends_name, OUTCOME_UNKNOWN, SEVERITY_WARNING, "dragonfly.example", NULL},
	{"bind.intention", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "none runs", NULL},

	{"bind.disagree", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "listens where its flags say", NULL},
	{"bind.disagree", NULL, disagrees, OUTCOME_FAIL, SEVERITY_WARNING,
		"listens on 10.66.0.5:6380, and its flags say 10.20.0.5:6380", NULL},
	{"bind.disagree", NULL, does_not_listen, OUTCOME_FAIL, SEVERITY_WARNING,
		"does not listen on 10.9.0.1:9999, 10.20.0.5:11211, which its flags say", NULL},
	{"bind.disagree", NULL, other_port, OUTCOME_FAIL, SEVERITY_WARNING,
		"listens on 10.20.0.5:7000, which its flags do not say", NULL},
	{"bind.disagree", NULL, flagfile_unread, OUTCOME_FAIL, SEVERITY_WARNING,
		"without --flagfile=" HOST_FLAGFILE ", which the policy names", NULL},
	{"bind.disagree", NULL, refuses, OUTCOME_FAIL, SEVERITY_WARNING, "would not start again", NULL},
	{"bind.disagree", NULL, network_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "could not be told", NULL},
	{"bind.disagree", NULL, arguments_unknown, OUTCOME_UNKNOWN, SEVERITY_WARNING, "not permitted", NULL},
	{"bind.disagree", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no Dragonfly runs", NULL},
};

static void run(const struct fixture *f, size_t index)
{
	struct scene scene;
	size_t found = 0;

	scene_begin(&scene, f->policy);
	if (f->prepare)
		f->prepare(&scene);
	audit_run(&scene.facts, &scene.findings);
	for (size_t k = 0; k < scene.findings.count; k++) {
		const struct finding *finding = &scene.findings.items[k];
		_cleanup_free_ char *text = mem_format(
			"%s: %s: %s", finding->subject, finding->message, finding->evidence ? finding->evidence : "");

		/* Who fails says what to do, and only who fails. */
		if ((finding->outcome == OUTCOME_FAIL) != (finding->remedy != NULL))
			fail_msg("fixture %zu, %s: remedy '%s'", index, finding->check->id, finding->remedy);
		/* A secret is never shown. */
		assert_null(strstr(text, "secret"));
		if (strcmp(finding->check->id, f->id) != 0)
			continue;
		found++;
		if (finding->outcome != f->outcome || finding->severity != f->severity || !strstr(text, f->text))
			fail_msg("fixture %zu, %s: %s, %s, '%s'", index, f->id, outcome_name(finding->outcome),
				severity_name(finding->severity), text);
		if (f->remedy && strcmp(finding->remedy, f->remedy) != 0)
			fail_msg("fixture %zu, %s: remedy '%s'", index, f->id, finding->remedy);
	}
	if (found != 1)
		fail_msg("fixture %zu: %zu findings of %s", index, found, f->id);
	scene_done(&scene);
}

static void test_fixtures(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
		run(&fixtures[i], i);
}

static void test_every_check_has_fixtures(void **state)
{
	static const enum outcome needed[] = {OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_UNKNOWN, OUTCOME_NOT_APPLICABLE};
	size_t count;
	const struct check *checks = audit_checks(&count);

	(void)state;
	for (size_t c = 0; c < count; c++)
		for (size_t n = 0; n < ARRAY_SIZE(needed); n++) {
			bool found = strcmp(checks[c].area, "bind") != 0;

			for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
				found = found ||
					(strcmp(fixtures[i].id, checks[c].id) == 0 && fixtures[i].outcome == needed[n]);
			if (!found)
				fail_msg(
					"%s has no fixture with the outcome %s", checks[c].id, outcome_name(needed[n]));
		}
}

/* What the policy wants gives no finding of any area but that other tables were not read. */
static void test_good_host(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, NULL);
	audit_run(&s.facts, &s.findings);
	assert_int_equal(findings_count(&s.findings, OUTCOME_FAIL, SEVERITY_INFO), 0);
	for (size_t i = 0; i < s.findings.count; i++)
		if (s.findings.items[i].outcome == OUTCOME_UNKNOWN)
			assert_string_equal(s.findings.items[i].check->area, "firewall");
	scene_done(&s);
}

/* No check of an area passes where the host is not known. */
static void test_unknown_is_no_pass(void **state)
{
	struct scene s;

	(void)state;
	scene_begin(&s, NULL);
	nothing_known(&s);
	audit_run(&s.facts, &s.findings);
	for (size_t i = 0; i < s.findings.count; i++)
		if (strcmp(s.findings.items[i].check->area, "bind") == 0)
			assert_int_equal(s.findings.items[i].outcome, OUTCOME_UNKNOWN);
	scene_done(&s);
}

/* --- one by one --- */

static void test_verdicts(void **state)
{
	static const struct {
		const char *address;
		uint16_t port;
		size_t network;
		int process; /* 0: Dragonfly; 1: Redis; 2: docker-proxy; -1: not known */
		enum listener_verdict verdict;
		const char *name;
	} rows[] = {
		{"10.20.0.5", 6379, 0, 0, LISTENER_ALLOWED, "allowed"},
		{"127.0.0.1", 6380, 0, 0, LISTENER_ALLOWED, "allowed"},
		{"10.9.0.1", 9999, 0, 0, LISTENER_ALLOWED, "allowed"},
		/* admin_bind is not bind, and the other way round. */
		{"10.20.0.5", 9999, 0, 0, LISTENER_UNLISTED, "unlisted"},
		{"10.9.0.1", 6380, 0, 0, LISTENER_UNLISTED, "unlisted"},
		{"fd00::1", 6380, 0, 0, LISTENER_UNLISTED, "unlisted"},
		{"127.0.0.2", 6380, 0, 0, LISTENER_LOOPBACK, "loopback"},
		{"::1", 6380, 0, 0, LISTENER_LOOPBACK, "loopback"},
		{"93.184.216.34", 6380, 0, 0, LISTENER_PUBLIC, "public"},
		{"2a00::1", 6380, 0, 0, LISTENER_PUBLIC, "public"},
		{"0.0.0.0", 6380, 0, 0, LISTENER_WILDCARD, "wildcard"},
		{"::", 11211, 0, 0, LISTENER_WILDCARD, "wildcard"},
		{"::ffff:0.0.0.0", 6380, 0, 0, LISTENER_WILDCARD, "wildcard"},
		{"0.0.0.0", 6380, 0, -1, LISTENER_WILDCARD, "wildcard"},
		{"0.0.0.0", 6380, 1, 0, LISTENER_CONTAINER, "container"},
		{"0.0.0.0", 6380, 0, 2, LISTENER_PUBLISHED, "published"},
		{"10.20.0.5", 6380, 0, 2, LISTENER_ALLOWED, "allowed"},
		{"10.66.0.5", 6380, 0, 2, LISTENER_UNLISTED, "unlisted"},
		{"10.20.0.5", 6380, 0, 1, LISTENER_STRANGER, "stranger"},
		{"0.0.0.0", 6380, 0, 1, LISTENER_STRANGER, "stranger"},
		{"10.20.0.5", 7000, 0, 0, LISTENER_OTHER_PORT, "other-port"},
		{"10.20.0.5", 7000, 0, 1, LISTENER_UNGUARDED, "unguarded"},
	};
	struct scene s;
	size_t counts[LISTENER_VERDICT_COUNT];

	(void)state;
	scene_begin(&s, NULL);
	host_add_network(s.host, "docker 0123456789ab", false);
	host_add_process(s.host, SERVER_REDIS, "redis-server", NULL, 0);
	host_add_process(s.host, SERVER_DOCKER_PROXY, "docker-proxy", NULL, 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		_cleanup_free_ char *remedy = NULL;
		enum listener_verdict verdict;

		host_forget_listeners(s.host);
		host_add_listener(s.host, rows[i].address, rows[i].port, rows[i].network,
			rows[i].process < 0 ? LISTENERS_NO_INDEX : (size_t)rows[i].process);
		verdict = audit_listener(&s.facts, &s.host->listeners[0]);
		if (verdict != rows[i].verdict)
			fail_msg("row %zu: %s", i, listener_verdict_name(verdict));
		assert_string_equal(listener_verdict_name(verdict), rows[i].name);
		remedy = audit_listener_remedy(&s.facts, &s.host->listeners[0]);
		assert_int_equal(remedy == NULL, listener_verdict_is_good(verdict));
		audit_count_listeners(&s.facts, counts);
		assert_int_equal(counts[verdict], 1);
	}
	scene_done(&s);
}

/* Dragonfly takes neither hyphens in names nor brackets around addresses. */
static void test_remedies_are_dragonflys(void **state)
{
	struct scene s;
	_cleanup_free_ char *remedy = NULL;

	(void)state;
	scene_begin(&s,
		"default_environment = e\nservice { port = 6380 flagfile = \"/srv/d.flags\" unit = \"df.service\" }\n"
		"environment e { tls = off clients = {\"fd00::/8\"} bind = {\"fd00::5\"} }\n");
	wildcard_nobody(&s);
	remedy = audit_listener_remedy(&s.facts, &s.host->listeners[0]);
	assert_string_equal(remedy, "write --bind=fd00::5 in /srv/d.flags, then: systemctl restart df.service");
	scene_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_every_check_has_fixtures),
		cmocka_unit_test(test_good_host),
		cmocka_unit_test(test_unknown_is_no_pass),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_remedies_are_dragonflys),
	};

	return cmocka_run_group_tests_name("bind", tests, NULL, NULL);
}
