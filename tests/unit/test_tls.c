/* SPDX-License-Identifier: GPL-3.0-or-later */

/*
 * TLS: facts out of what dflyguard-probe says, and their judgement. Every check of the area has fixtures that pass,
 * fail, are unknown and are not applicable, and this file fails where one is missing.
 */

#include "audit.h"
#include "testing.h"

#define NOW	INT64_C(1800000000)
#define DAY	INT64_C(86400)
#define CHAIN	"/etc/dragonfly/server.crt"
#define KEY	"/etc/dragonfly/server.key"
#define PRINT_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PRINT_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

/* --- a scene: a server as it should be, and what is changed of it --- */

struct scene {
	struct compiled compiled;
	struct tls_facts *tls;
	struct audit_facts facts;
	struct findings findings;
};

static void set(char **text, const char *value)
{
	free(*text);
	*text = value ? mem_string(value) : NULL;
}

static void add_certificate(struct certificate **items, size_t *count, const char *subject)
{
	*items = mem_resize(*items, *count + 1, sizeof(**items));
	(*items)[(*count)++] = (struct certificate){
		.subject = mem_string(subject),
		.issuer = mem_string("CN=Our authority"),
		.not_before = NOW - 10 * DAY,
		.not_after = NOW + 100 * DAY,
		.times_known = true,
		.key_type = mem_string("EC"),
		.key_bits = 256,
		.key_security = 128,
		.signature = mem_string("ecdsa-with-SHA256"),
		.signature_security = 128,
		.for_server = true,
		.sha256 = mem_string(PRINT_A),
	};
}

static void add_name(struct tls_files *files, enum certificate_name_kind kind, const char *text)
{
	struct certificate_name name = {.kind = kind};
	struct interval interval;
	char why[INTERVAL_WHY];

	if (kind == NAME_ADDRESS) {
		assert_int_equal(interval_parse(text, &name.width, &interval, why), 0);
		name.address = interval.first;
	} else {
		name.text = mem_string(text);
	}
	files->names = mem_resize(files->names, files->name_count + 1, sizeof(*files->names));
	files->names[files->name_count++] = name;
}

static void add_files(struct scene *s)
{
	struct tls_files *files = tls_facts_add_files(s->tls);

	files->subject = mem_string("dragonfly, process 4711");
	files->running = true;
	files->files[TLS_CERTIFICATE] =
		(struct tls_file){.path = mem_string(CHAIN), .readable = true, .readable_known = true, .mode = 0644};
	files->files[TLS_KEY] =
		(struct tls_file){.path = mem_string(KEY), .readable = true, .readable_known = true, .mode = 0600};
	add_certificate(&files->certificates, &files->certificate_count, "CN=cache.example.net");
	add_name(files, NAME_DNS, "cache.example.net");
	add_name(files, NAME_DNS, "*.pool.example.net");
	add_name(files, NAME_ADDRESS, "10.20.0.5");
	files->key_known = files->key_matches = true;
	files->key_type = mem_string("EC");
	files->key_bits = 256;
	files->chain = CHAIN_ROOT;
}

static void answer(struct tls_port *port, enum tls_offer offer, enum tls_outcome outcome, const char *said)
{
	port->answers[offer].outcome = outcome;
	set(&port->answers[offer].said, said);
}

static void add_port(struct scene *s)
{
	struct tls_port *port = tls_facts_add_port(s->tls);

	port->subject = mem_string("10.20.0.5:6380");
	port->port = 6380;
	port->expected = true;
	for (size_t i = 0; i < OFFER_COUNT; i++)
		answer(port, (enum tls_offer)i, TLS_REFUSED, NULL);
	answer(port, OFFER_DEFAULT, TLS_ACCEPTED, "+PONG");
	answer(port, OFFER_1_2, TLS_ACCEPTED, "+PONG");
	answer(port, OFFER_1_3, TLS_ACCEPTED, "+PONG");
	answer(port, OFFER_PLAINTEXT, TLS_ANSWERED,
		"-ERR Bad TLS header, double check if you enabled TLS for your client.");
	set(&port->answers[OFFER_DEFAULT].sha256, PRINT_A);
}

#define POLICY(more)                                                                                                   \
	"default_environment = e\nservice { port = 6379 tls_port = 6380 }\n"                                           \
	"environment e { clients = {\"10.0.0.0/8\"} bind = {\"10.20.0.5\", \"127.0.0.1\"} " more " }\n"

static void scene_begin(struct scene *s, const char *policy)
{
	*s = (struct scene){
		.compiled = compile_text("p.conf", policy ? policy : POLICY(""), NULL), .tls = tls_facts_new()};
	s->tls->now = NOW;
	add_files(s);
	add_port(s);
	s->facts = (struct audit_facts){.policy = s->compiled.policy,
		.environment = s->compiled.environment,
		.drift_unknown = "not looked at",
		.foreign_unknown = "not looked at",
		.host_unknown = "not looked at",
		.tls = s->tls};
}

static void scene_done(struct scene *s)
{
	findings_done(&s->findings);
	tls_facts_free(s->tls);
	compiled_done(&s->compiled);
}

static struct tls_files *files_of(struct scene *s)
{
	return &s->tls->files[0];
}

static struct tls_file *file_of(struct scene *s, enum tls_role role)
{
	return &files_of(s)->files[role];
}

static struct certificate *certificate_of(struct scene *s)
{
	return &files_of(s)->certificates[0];
}

static struct tls_port *port_of(struct scene *s)
{
	return &s->tls->ports[0];
}

/* --- what is changed --- */

static void nothing_known(struct scene *s)
{
	s->facts.tls = NULL;
	s->facts.tls_unknown = "dflyguard-probe is not there";
}

static void no_server(struct scene *s)
{
	tls_facts_free(s->tls);
	s->tls = tls_facts_new();
	s->facts.tls = s->tls;
}

static void probe_died(struct scene *s)
{
	set(&s->tls->unknown, "dflyguard-probe was ended");
	set(&files_of(s)->unknown, "dflyguard-probe was ended");
	files_of(s)->certificate_count = 0;
	files_of(s)->key_known = false;
	set(&file_of(s, TLS_KEY)->unknown, "not permitted");
	/* What was read before is freed by hand, since it is not counted any more. */
	free(files_of(s)->certificates[0].subject);
	free(files_of(s)->certificates[0].issuer);
	free(files_of(s)->certificates[0].key_type);
	free(files_of(s)->certificates[0].signature);
	free(files_of(s)->certificates[0].sha256);
}

static void no_certificate_flag(struct scene *s)
{
	set(&file_of(s, TLS_CERTIFICATE)->path, NULL);
}

static void key_absent(struct scene *s)
{
	file_of(s, TLS_KEY)->absent = true;
}

static void key_denied(struct scene *s)
{
	file_of(s, TLS_KEY)->readable = false;
}

static void bad_certificate(struct scene *s)
{
	set(&file_of(s, TLS_CERTIFICATE)->bad, "no start line");
}

static void bad_ca(struct scene *s)
{
	file_of(s, TLS_CA)->path = mem_string("/etc/dragonfly/ca.crt");
	file_of(s, TLS_CA)->absent = true;
}

static void no_key(struct scene *s)
{
	set(&file_of(s, TLS_KEY)->path, NULL);
}

static void key_for_all(struct scene *s)
{
	file_of(s, TLS_KEY)->mode = 0644;
}

static void key_for_group(struct scene *s)
{
	file_of(s, TLS_KEY)->mode = 0640;
}

static void key_for_group_to_write(struct scene *s)
{
	file_of(s, TLS_KEY)->mode = 0660;
}

static void other_key(struct scene *s)
{
	files_of(s)->key_matches = false;
}

static void key_unread(struct scene *s)
{
	files_of(s)->key_known = false;
}

static void no_certificates(struct scene *s)
{
	probe_died(s);
	set(&s->tls->unknown, NULL);
	set(&files_of(s)->unknown, NULL);
}

static void rsa_1024(struct scene *s)
{
	set(&certificate_of(s)->key_type, "RSA");
	certificate_of(s)->key_bits = 1024;
}

static void rsa_2048(struct scene *s)
{
	set(&certificate_of(s)->key_type, "RSA");
	certificate_of(s)->key_bits = 2048;
}

static void small_curve(struct scene *s)
{
	certificate_of(s)->key_bits = 224;
}

static void edwards(struct scene *s)
{
	set(&certificate_of(s)->key_type, "ED25519");
	certificate_of(s)->key_bits = 253;
}

static void sha1(struct scene *s)
{
	set(&certificate_of(s)->signature, "sha1WithRSAEncryption");
	certificate_of(s)->signature_security = 63;
}

static void sha1_of_itself(struct scene *s)
{
	sha1(s);
	certificate_of(s)->self_signed = true;
}

static void key_untold(struct scene *s)
{
	certificate_of(s)->key_bits = 0;
}

static void weak_in_chain(struct scene *s)
{
	add_certificate(&files_of(s)->certificates, &files_of(s)->certificate_count, "CN=In between");
	files_of(s)->certificates[1].key_bits = 192;
}

static void ended(struct scene *s)
{
	certificate_of(s)->not_after = NOW - 3 * DAY;
}

static void ends_in_5(struct scene *s)
{
	certificate_of(s)->not_after = NOW + 5 * DAY;
}

static void ends_in_20(struct scene *s)
{
	certificate_of(s)->not_after = NOW + 20 * DAY;
}

static void ends_in_31(struct scene *s)
{
	certificate_of(s)->not_after = NOW + 31 * DAY;
}

static void not_yet(struct scene *s)
{
	certificate_of(s)->not_before = NOW + 1;
}

static void dateless(struct scene *s)
{
	certificate_of(s)->times_known = false;
}

static void authority_ended(struct scene *s)
{
	add_certificate(&files_of(s)->authorities, &files_of(s)->authority_count, "CN=Clients");
	files_of(s)->authorities[0].not_after = NOW - DAY;
}

static void for_clients(struct scene *s)
{
	certificate_of(s)->for_server = false;
}

static void flags_unread(struct scene *s)
{
	files_of(s)->flags_unknown = mem_string("its command line: not permitted");
}

static void ends_open(struct scene *s)
{
	files_of(s)->chain = CHAIN_OPEN;
	files_of(s)->chain_why = mem_string("CN=Their root");
}

static void signed_itself(struct scene *s)
{
	files_of(s)->chain = CHAIN_SELF;
}

static void broken(struct scene *s)
{
	files_of(s)->chain = CHAIN_BROKEN;
	files_of(s)->chain_why = mem_string("certificate signature failure");
}

static void silent(struct scene *s)
{
	for (size_t i = 0; i < OFFER_COUNT; i++)
		answer(port_of(s), (enum tls_offer)i, TLS_SILENT, NULL);
	set(&port_of(s)->answers[OFFER_DEFAULT].sha256, NULL);
}

static void not_tls(struct scene *s)
{
	answer(port_of(s), OFFER_DEFAULT, TLS_NOT_TLS, NULL);
	answer(port_of(s), OFFER_1_3, TLS_NOT_TLS, NULL);
	set(&port_of(s)->answers[OFFER_DEFAULT].sha256, NULL);
	answer(port_of(s), OFFER_PLAINTEXT, TLS_ANSWERED, "+PONG");
}

static void all_fail(struct scene *s)
{
	answer(port_of(s), OFFER_DEFAULT, TLS_REFUSED, NULL);
	set(&port_of(s)->answers[OFFER_DEFAULT].why, "handshake failure");
	set(&port_of(s)->answers[OFFER_DEFAULT].sha256, NULL);
}

static void takes_1_1(struct scene *s)
{
	answer(port_of(s), OFFER_1_1, TLS_ACCEPTED, NULL);
}

static void takes_anonymous(struct scene *s)
{
	answer(port_of(s), OFFER_ANONYMOUS, TLS_ACCEPTED, NULL);
	set(&port_of(s)->answers[OFFER_ANONYMOUS].cipher, "ADH-AES256-SHA");
}

static void takes_weak_of_the_known(struct scene *s)
{
	answer(port_of(s), OFFER_WEAK, TLS_CERTIFICATE_REQUIRED, NULL);
}

static void serves_another(struct scene *s)
{
	port_of(s)->files = 0;
	set(&port_of(s)->answers[OFFER_DEFAULT].sha256, PRINT_B);
}

static void serves_the_same(struct scene *s)
{
	port_of(s)->files = 0;
}

static void serves_the_same_to_the_known(struct scene *s)
{
	port_of(s)->files = 0;
	answer(port_of(s), OFFER_DEFAULT, TLS_CERTIFICATE_REQUIRED, NULL);
	set(&port_of(s)->answers[OFFER_DEFAULT].sha256, NULL);
	set(&port_of(s)->answers[OFFER_1_3].sha256, PRINT_A);
}

static void serves_untold(struct scene *s)
{
	port_of(s)->files = SIZE_MAX;
}

static void demands(struct scene *s)
{
	answer(port_of(s), OFFER_DEFAULT, TLS_CERTIFICATE_REQUIRED, NULL);
}

static void answers_plaintext(struct scene *s)
{
	answer(port_of(s), OFFER_PLAINTEXT, TLS_ANSWERED, "-NOAUTH Authentication required.");
}

static void resets_plaintext(struct scene *s)
{
	answer(port_of(s), OFFER_PLAINTEXT, TLS_REFUSED, NULL);
}

static void closed_port_answers(struct scene *s)
{
	port_of(s)->expected = false;
	port_of(s)->closed = true;
	answer(port_of(s), OFFER_PLAINTEXT, TLS_ANSWERED, "+PONG");
}

static void unreachable(struct scene *s)
{
	for (size_t i = 0; i < OFFER_COUNT; i++) {
		answer(port_of(s), (enum tls_offer)i, TLS_UNREACHABLE, NULL);
		set(&port_of(s)->answers[i].why, "cannot connect: Connection refused");
	}
	set(&port_of(s)->answers[OFFER_DEFAULT].sha256, NULL);
}

/* --- fixtures --- */

static const struct fixture {
	const char *id;
	const char *policy;
	void (*prepare)(struct scene *scene);
	enum outcome outcome;
	enum severity severity;
	const char *text; /* part of subject and message */
} fixtures[] = {
	{"tls.files", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "can read them"},
	{"tls.files", NULL, no_certificate_flag, OUTCOME_FAIL, SEVERITY_CRITICAL, "--tls_cert_file names no file"},
	{"tls.files", NULL, key_absent, OUTCOME_FAIL, SEVERITY_CRITICAL,
		KEY ": --tls_key_file names a file that is not"},
	{"tls.files", NULL, key_denied, OUTCOME_FAIL, SEVERITY_CRITICAL, "may not read it"},
	{"tls.files", NULL, bad_certificate, OUTCOME_FAIL, SEVERITY_CRITICAL, "cannot be used: no start line"},
	{"tls.files", NULL, bad_ca, OUTCOME_FAIL, SEVERITY_CRITICAL, "ca.crt: --tls_ca_cert_file"},
	{"tls.files", NULL, nothing_known, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "is not there"},
	{"tls.files", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no server"},
	{"tls.files", POLICY("tls = off"), no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "does not ask"},

	{"tls.key_private", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "nobody but its owner"},
	{"tls.key_private", NULL, key_for_all, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"everybody on this host may read it (mode 0644)"},
	{"tls.key_private", NULL, key_for_group, OUTCOME_FAIL, SEVERITY_INFO, "its group may read it"},
	{"tls.key_private", NULL, key_for_group_to_write, OUTCOME_FAIL, SEVERITY_CRITICAL, "read and change it"},
	{"tls.key_private", NULL, probe_died, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "not permitted"},
	{"tls.key_private", NULL, no_key, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no key"},

	{"tls.key_match", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "is the certificate's"},
	{"tls.key_match", NULL, other_key, OUTCOME_FAIL, SEVERITY_CRITICAL, "every handshake fails"},
	{"tls.key_match", NULL, key_unread, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "could not be read"},
	{"tls.key_match", NULL, probe_died, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "was ended"},
	{"tls.key_match", NULL, no_certificates, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no certificate"},

	{"tls.strength", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "strong"},
	{"tls.strength", NULL, rsa_2048, OUTCOME_PASS, SEVERITY_WARNING, "strong"},
	{"tls.strength", NULL, edwards, OUTCOME_PASS, SEVERITY_WARNING, "strong"},
	{"tls.strength", NULL, sha1_of_itself, OUTCOME_PASS, SEVERITY_WARNING, "strong"},
	{"tls.strength", NULL, rsa_1024, OUTCOME_FAIL, SEVERITY_WARNING, "RSA with 1024 bits, less than 2048"},
	{"tls.strength", NULL, small_curve, OUTCOME_FAIL, SEVERITY_WARNING, "a curve with 224 bits, less than 256"},
	{"tls.strength", NULL, sha1, OUTCOME_FAIL, SEVERITY_WARNING, "sha1WithRSAEncryption"},
	{"tls.strength", NULL, weak_in_chain, OUTCOME_FAIL, SEVERITY_WARNING,
		"CN=In between: the key of a certificate of"},
	{"tls.strength", NULL, key_untold, OUTCOME_UNKNOWN, SEVERITY_WARNING, "could not be told"},
	{"tls.strength", NULL, no_certificates, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no certificate"},

	{"tls.validity", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "will be for a while"},
	{"tls.validity", NULL, ends_in_31, OUTCOME_PASS, SEVERITY_CRITICAL, "will be for a while"},
	{"tls.validity", NULL, ends_in_20, OUTCOME_FAIL, SEVERITY_WARNING, "ends in 20 days"},
	{"tls.validity", NULL, ends_in_5, OUTCOME_FAIL, SEVERITY_CRITICAL, "ends in 5 days"},
	{"tls.validity", POLICY("certificate_fail_days = 20"), ends_in_20, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"in 20 days"},
	{"tls.validity", POLICY("certificate_warn_days = 10"), ends_in_20, OUTCOME_PASS, SEVERITY_CRITICAL, "a while"},
	{"tls.validity", NULL, ended, OUTCOME_FAIL, SEVERITY_CRITICAL, "ended 3 days ago"},
	{"tls.validity", NULL, not_yet, OUTCOME_FAIL, SEVERITY_CRITICAL, "not valid yet"},
	{"tls.validity", NULL, authority_ended, OUTCOME_FAIL, SEVERITY_CRITICAL, "CN=Clients"},
	{"tls.validity", NULL, dateless, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "could not be read"},
	{"tls.validity", NULL, no_certificates, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no certificate"},

	{"tls.names", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "that clients use"},
	{"tls.names", POLICY("server_names = {\"cache.example.net\", \"a.pool.example.net\"}"), NULL, OUTCOME_PASS,
		SEVERITY_WARNING, "that clients use"},
	{"tls.names", POLICY("server_names = {\"pool.example.net\"}"), NULL, OUTCOME_FAIL, SEVERITY_WARNING,
		"not for pool.example.net"},
	{"tls.names",
		"default_environment = e\nservice { tls_port = 6380 }\n"
		"environment e { clients = {} bind = {\"10.20.0.5\", \"10.20.0.6\", \"::1\"} }\n",
		NULL, OUTCOME_FAIL, SEVERITY_WARNING, "not for 10.20.0.6"},
	{"tls.names", NULL, probe_died, OUTCOME_UNKNOWN, SEVERITY_WARNING, "was ended"},
	{"tls.names", NULL, no_certificates, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no certificate"},

	{"tls.chain", NULL, NULL, OUTCOME_PASS, SEVERITY_WARNING, "complete"},
	{"tls.chain", POLICY("self_signed = allow"), signed_itself, OUTCOME_PASS, SEVERITY_WARNING, "allows"},
	{"tls.chain", NULL, signed_itself, OUTCOME_FAIL, SEVERITY_WARNING, "does not allow"},
	{"tls.chain", NULL, for_clients, OUTCOME_FAIL, SEVERITY_WARNING, "key usage"},
	{"tls.chain", NULL, flags_unread, OUTCOME_UNKNOWN, SEVERITY_WARNING, "command line: not permitted"},
	{"tls.files", NULL, flags_unread, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "command line: not permitted"},
	{"tls.key_private", NULL, flags_unread, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "command line: not permitted"},
	{"tls.chain", NULL, broken, OUTCOME_FAIL, SEVERITY_WARNING, "signature failure"},
	{"tls.chain", NULL, ends_open, OUTCOME_UNKNOWN, SEVERITY_INFO, "CN=Their root"},
	{"tls.chain", NULL, no_certificates, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no certificate"},

	{"tls.handshake", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "succeeds"},
	{"tls.handshake", NULL, demands, OUTCOME_PASS, SEVERITY_CRITICAL, "succeeds"},
	{"tls.handshake", NULL, not_tls, OUTCOME_FAIL, SEVERITY_CRITICAL, "does not speak TLS"},
	{"tls.handshake", NULL, all_fail, OUTCOME_FAIL, SEVERITY_CRITICAL, "handshake failure"},
	{"tls.handshake", NULL, silent, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "says nothing"},
	{"tls.handshake", NULL, unreachable, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "Connection refused"},
	{"tls.handshake", NULL, probe_died, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "was ended"},
	{"tls.handshake", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "nothing listens"},

	{"tls.versions", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "older than TLS 1.2"},
	{"tls.versions", NULL, takes_1_1, OUTCOME_FAIL, SEVERITY_CRITICAL, "TLS 1.1"},
	{"tls.versions", NULL, silent, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "says nothing"},
	{"tls.versions", NULL, all_fail, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no handshake succeeds"},

	{"tls.ciphers", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "no weak cipher"},
	{"tls.ciphers", NULL, takes_anonymous, OUTCOME_FAIL, SEVERITY_CRITICAL, "ADH-AES256-SHA"},
	{"tls.ciphers", NULL, takes_weak_of_the_known, OUTCOME_FAIL, SEVERITY_CRITICAL, "weak ciphers"},
	{"tls.ciphers", NULL, silent, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "says nothing"},
	{"tls.ciphers", NULL, not_tls, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "no handshake succeeds"},

	{"tls.served", NULL, serves_the_same, OUTCOME_PASS, SEVERITY_WARNING, "is the one that is served"},
	{"tls.served", NULL, serves_the_same_to_the_known, OUTCOME_PASS, SEVERITY_WARNING, "is the one that is served"},
	{"tls.served", NULL, serves_another, OUTCOME_FAIL, SEVERITY_WARNING, CHAIN},
	{"tls.served", NULL, serves_untold, OUTCOME_UNKNOWN, SEVERITY_INFO, "is not known"},
	{"tls.served", NULL, silent, OUTCOME_UNKNOWN, SEVERITY_WARNING, "says nothing"},
	{"tls.served", NULL, not_tls, OUTCOME_NOT_APPLICABLE, SEVERITY_WARNING, "no handshake succeeds"},

	{"tls.client_certificates", POLICY("client_certificates = required"), demands, OUTCOME_PASS, SEVERITY_CRITICAL,
		"are not served"},
	{"tls.client_certificates", POLICY("client_certificates = required"), NULL, OUTCOME_FAIL, SEVERITY_CRITICAL,
		"is served"},
	{"tls.client_certificates", POLICY("client_certificates = required"), silent, OUTCOME_UNKNOWN,
		SEVERITY_CRITICAL, "says nothing"},
	{"tls.client_certificates", NULL, NULL, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "does not ask"},

	{"tls.plaintext", NULL, NULL, OUTCOME_PASS, SEVERITY_CRITICAL, "refused"},
	{"tls.plaintext", NULL, resets_plaintext, OUTCOME_PASS, SEVERITY_CRITICAL, "refused"},
	{"tls.plaintext", NULL, answers_plaintext, OUTCOME_FAIL, SEVERITY_CRITICAL, "plaintext is answered"},
	{"tls.plaintext", NULL, closed_port_answers, OUTCOME_FAIL, SEVERITY_WARNING, "only the firewall"},
	{"tls.plaintext", NULL, silent, OUTCOME_UNKNOWN, SEVERITY_CRITICAL, "says nothing"},
	{"tls.plaintext", NULL, no_server, OUTCOME_NOT_APPLICABLE, SEVERITY_CRITICAL, "nothing listens"},
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
		_cleanup_free_ char *text = mem_format("%s: %s", finding->subject, finding->message);

		if (strcmp(finding->check->id, f->id) != 0)
			continue;
		found++;
		if (finding->outcome != f->outcome || finding->severity != f->severity || !strstr(text, f->text))
			fail_msg("fixture %zu, %s: %s, %s, '%s'", index, f->id, outcome_name(finding->outcome),
				severity_name(finding->severity), text);
		if ((finding->outcome == OUTCOME_FAIL) != (finding->remedy != NULL))
			fail_msg("fixture %zu, %s: remedy '%s'", index, f->id, finding->remedy);
	}
	if (found != 1)
		fail_msg("fixture %zu: %zu findings of %s", index, found, f->id);
	scene_done(&scene);
}

static void test_fixtures(void **state _unused_)
{
	for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
		run(&fixtures[i], i);
}

static void test_every_check_has_fixtures(void **state _unused_)
{
	static const enum outcome needed[] = {OUTCOME_PASS, OUTCOME_FAIL, OUTCOME_UNKNOWN, OUTCOME_NOT_APPLICABLE};
	const struct check *check;

	for (size_t c = 0; (check = audit_check(c)); c++)
		for (size_t n = 0; n < ARRAY_SIZE(needed); n++) {
			bool found = strcmp(check->area, "tls") != 0;

			for (size_t i = 0; i < ARRAY_SIZE(fixtures); i++)
				found = found ||
					(strcmp(fixtures[i].id, check->id) == 0 && fixtures[i].outcome == needed[n]);
			if (!found)
				fail_msg("%s has no fixture with the outcome %s", check->id, outcome_name(needed[n]));
		}
}

static void test_unknown_is_no_pass(void **state _unused_)
{
	struct scene s;

	scene_begin(&s, POLICY("client_certificates = required"));
	nothing_known(&s);
	audit_run(&s.facts, &s.findings);
	for (size_t i = 0; i < s.findings.count; i++)
		if (strcmp(s.findings.items[i].check->area, "tls") == 0)
			assert_int_equal(s.findings.items[i].outcome, OUTCOME_UNKNOWN);
	scene_done(&s);
}

/* --- names --- */

static void test_host_names(void **state _unused_)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} rows[] = {
		{"cache.example.net", "cache.example.net", true},
		{"Cache.Example.NET", "cache.example.net", true},
		{"cache.example.net", "cache.example.net.evil", false},
		{"*.example.net", "cache.example.net", true},
		{"*.example.net", "a.cache.example.net", false},
		{"*.example.net", "example.net", false},
		{"*.example.net", ".example.net", false},
		{"*.net", "example.net", false},
		{"*", "cache", false},
		{"c*.example.net", "cache.example.net", false},
		{"*.*.net", "a.b.net", false},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct certificate_name name = {.kind = NAME_DNS, .text = (char *)(uintptr_t)rows[i].pattern};

		if (certificate_names_host(&name, 1, rows[i].name) != rows[i].matches)
			fail_msg("%s %s", rows[i].pattern, rows[i].name);
		/* Nobody looks at common names any more. */
		name.kind = NAME_COMMON;
		assert_false(certificate_names_host(&name, 1, rows[i].name));
	}
}

/* --- what is heard --- */

/* The records of one question; the others are somebody else's. */
static void test_hear(void **state _unused_)
{
	static const char text[] =
		"certificate id=3 index=0 subject=CN%3Da issuer=CN%3Db not_before=-5 not_after=7 key_type=EC "
		"key_bits=256 "
		"self_signed=1 sha256=" PRINT_A "\n"
		"certificate id=4 index=0 subject=CN%3Dother\n"
		"name id=3 kind=dns value=a.example\n"
		"name id=3 kind=address value=0a140005\n"
		"name id=3 kind=address value=0a1400\n"
		"name id=3 kind=address value=0a14000g\n"
		"name id=3 kind=other value=x\n"
		"bad id=3 role=ca why=no%20start%20line\n"
		"bad id=3 role=nonsense why=x\n"
		"key id=3 key_type=RSA key_bits=4096 matches=1\n"
		"chain id=3 end=open missing=CN%3Droot\n"
		"done id=3\n"
		"handshake id=5 outcome=accepted version=TLSv1.3 cipher=X sha256=" PRINT_B " asked=1 said=%2BPONG\n"
		"handshake id=6 outcome=magic\n"
		"plaintext id=7 outcome=reset\n"
		"failed id=8 why=no\n"
		"end count=16\n";
	struct records *records = NULL;
	struct tls_facts *facts = tls_facts_new();
	struct tls_files *files = tls_facts_add_files(facts);
	struct tls_port *port = tls_facts_add_port(facts);

	assert_int_equal(records_parse(text, strlen(text), &records, NULL), 0);
	tls_files_hear(records, 3, files);
	assert_null(files->unknown);
	assert_int_equal(files->certificate_count, 1);
	assert_string_equal(files->certificates[0].subject, "CN=a");
	assert_true(files->certificates[0].times_known && files->certificates[0].not_before == -5);
	assert_true(files->certificates[0].self_signed && !files->certificates[0].authority);
	assert_int_equal(files->name_count, 2);
	assert_true(certificate_names_host(files->names, 2, "a.example"));
	assert_true(certificate_names_address(files->names, 2, WIDTH_IPV4, (struct value){0, 0x0a140005}));
	assert_false(certificate_names_address(files->names, 2, WIDTH_IPV6, (struct value){0, 0x0a140005}));
	assert_string_equal(files->files[TLS_CA].bad, "no start line");
	assert_true(files->key_known && files->key_matches);
	assert_int_equal(files->chain, CHAIN_OPEN);
	assert_string_equal(files->chain_why, "CN=root");
	/* Without `done` it did not come to its end. */
	files = tls_facts_add_files(facts);
	tls_files_hear(records, 4, files);
	assert_string_equal(files->unknown, "dflyguard-probe did not say");

	tls_offer_hear(records, 5, OFFER_DEFAULT, &port->answers[0]);
	assert_int_equal(port->answers[0].outcome, TLS_ACCEPTED);
	assert_string_equal(port->answers[0].said, "+PONG");
	assert_true(port->answers[0].asked);
	tls_offer_hear(records, 6, OFFER_DEFAULT, &port->answers[1]);
	assert_int_equal(port->answers[1].outcome, TLS_UNKNOWN);
	tls_offer_hear(records, 7, OFFER_PLAINTEXT, &port->answers[2]);
	assert_int_equal(port->answers[2].outcome, TLS_REFUSED);
	tls_offer_hear(records, 8, OFFER_DEFAULT, &port->answers[3]);
	assert_string_equal(port->answers[3].why, "no");
	/* A plaintext answer is none to a handshake. */
	tls_offer_hear(records, 7, OFFER_DEFAULT, &port->answers[4]);
	assert_int_equal(port->answers[4].outcome, TLS_UNKNOWN);
	tls_facts_free(facts);
	records_free(records);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fixtures),
		cmocka_unit_test(test_every_check_has_fixtures),
		cmocka_unit_test(test_unknown_is_no_pass),
		cmocka_unit_test(test_host_names),
		cmocka_unit_test(test_hear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
