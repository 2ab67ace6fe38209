/* SPDX-License-Identifier: GPL-3.0-or-later */

/* TLS files of the server: present, private, strong, valid, and for the names that clients use. */

#include <string.h>
#include <strings.h>

#include "audit_tls.h"

#define DAY 86400
/* NIST SP 800-57: what RSA with 2048 bits and a curve of 224 bits are worth. */
#define LEAST_SECURITY 112
#define LEAST_RSA      2048
#define LEAST_CURVE    256

static const char no_files[] = "TLS files";

/* False: the check has its finding, since there is nothing to judge. */
bool tls_known(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	if (facts->tls)
		return true;
	struct finding *finding = finding_add(ret, check, OUTCOME_UNKNOWN, no_files, "were not looked at: %s",
		facts->tls_unknown ? facts->tls_unknown : "nobody asked");

	if (facts->posture_left_out)
		finding->severity = SEVERITY_INFO;
	return false;
}

static bool wants_tls(const struct audit_facts *facts)
{
	return facts->environment->tls != TLS_OFF;
}

/* One server's files. Appends nothing where all is good. */
typedef void assess_files(const struct check *check, const struct audit_facts *facts, const struct tls_files *files,
	struct findings *ret);

/* For each server, and a pass where nothing was said of it. */
static void each(const struct check *check, const struct audit_facts *facts, struct findings *ret, assess_files *assess,
	const char *good)
{
	if (!tls_known(check, facts, ret))
		return;
	if (!facts->tls->file_count)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, no_files, "%s",
			wants_tls(facts) ? "no server that speaks TLS is known" : "the policy does not ask for TLS");
	for (size_t i = 0; i < facts->tls->file_count; i++) {
		const struct tls_files *files = &facts->tls->files[i];
		size_t before = ret->count;

		if (files->flags_unknown)
			finding_add(ret, check, OUTCOME_UNKNOWN, files->subject, "%s", files->flags_unknown);
		else
			assess(check, facts, files, ret);
		if (ret->count == before)
			finding_add(ret, check, OUTCOME_PASS, files->subject, "%s", good);
	}
}

/* True where the certificate was read; else an unknown finding tells why not, but for what assess_certificate says. */
static bool certificate_known(const struct check *check, const struct tls_files *files, struct findings *ret)
{
	const struct tls_file *file = &files->files[TLS_CERTIFICATE];

	if (files->certificate_count)
		return true;
	if (files->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, files->subject, "%s", files->unknown);
	else if (file->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, files->subject, "%s", file->unknown);
	else
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, files->subject, "there is no certificate");
	return false;
}

static const char *flag_of(enum tls_role role)
{
	static const char *const flags[] = {
		[TLS_CERTIFICATE] = "--tls_cert_file", [TLS_KEY] = "--tls_key_file", [TLS_CA] = "--tls_ca_cert_file"};

	return flags[role];
}

/* --- presence --- */

static void assess_file(
	const struct check *check, const struct tls_files *files, enum tls_role role, bool needed, struct findings *ret)
{
	const struct tls_file *file = &files->files[role];

	if (!file->path && needed)
		finding_add(ret, check, OUTCOME_FAIL, files->subject,
			"%s names no file: the server starts, and every handshake fails", flag_of(role));
	else if (!file->path)
		return;
	else if (file->absent)
		finding_add(ret, check, OUTCOME_FAIL, file->path, "%s names a file that is not there", flag_of(role));
	else if (file->readable_known && !file->readable)
		finding_add(ret, check, OUTCOME_FAIL, file->path, "the server's user may not read it");
	else if (file->bad)
		finding_add(ret, check, OUTCOME_FAIL, file->path, "it cannot be used: %s", file->bad);
	else if (file->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, file->path, "%s", file->unknown);
	else if (files->unknown)
		finding_add(ret, check, OUTCOME_UNKNOWN, file->path, "%s", files->unknown);
}

static void assess_presence(const struct check *check, const struct audit_facts *facts _unused_,
	const struct tls_files *files, struct findings *ret)
{
	assess_file(check, files, TLS_CERTIFICATE, true, ret);
	assess_file(check, files, TLS_KEY, true, ret);
	assess_file(check, files, TLS_CA, false, ret);
}

void assess_tls_files(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_presence, "certificate and key are there, and the server can read them");
}

/* --- the key --- */

static void assess_private(const struct check *check, const struct audit_facts *facts _unused_,
	const struct tls_files *files, struct findings *ret)
{
	const struct tls_file *key = &files->files[TLS_KEY];
	struct finding *finding;

	if (!key->path || key->absent) {
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, files->subject, "there is no key");
		return;
	}
	if (key->unknown) {
		finding_add(ret, check, OUTCOME_UNKNOWN, key->path, "%s", key->unknown);
		return;
	}
	if (!(key->mode & 077))
		return;
	finding = finding_add(ret, check, OUTCOME_FAIL, key->path, "%s may %s it (mode %04o)",
		key->mode & 07 ? "everybody on this host" : "its group", key->mode & 022 ? "read and change" : "read",
		key->mode);
	/* A group is how a key is shared between a server and who renews its certificate. */
	if (!(key->mode & 027))
		finding->severity = SEVERITY_INFO;
	free(finding->remedy);
	finding->remedy = mem_format("chmod 0600 %s, owned by the server's user", key->path);
}

void assess_tls_key_private(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_private, "nobody but its owner may read the key");
}

static void assess_match(const struct check *check, const struct audit_facts *facts _unused_,
	const struct tls_files *files, struct findings *ret)
{
	if (!certificate_known(check, files, ret))
		return;
	if (!files->key_known)
		finding_add(ret, check, OUTCOME_UNKNOWN, files->subject, "the key could not be read");
	else if (!files->key_matches)
		finding_add(ret, check, OUTCOME_FAIL, files->subject,
			"the key is not the certificate's: the server starts all the same, and every handshake fails");
}

void assess_tls_key_match(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_match, "the key is the certificate's");
}

/* --- strength --- */

static void judge_strength(
	const struct check *check, const struct certificate *certificate, const char *which, struct findings *ret)
{
	const char *type = certificate->key_type ? certificate->key_type : "unknown";
	bool rsa = strncasecmp(type, "RSA", 3) == 0;
	bool curve = strcmp(type, "EC") == 0;

	if (certificate->key_bits <= 0)
		finding_add(
			ret, check, OUTCOME_UNKNOWN, certificate->subject, "the key of %s could not be told", which);
	else if (rsa && certificate->key_bits < LEAST_RSA)
		finding_add(ret, check, OUTCOME_FAIL, certificate->subject,
			"the key of %s is RSA with %d bits, less than %d", which, (int)certificate->key_bits,
			LEAST_RSA);
	else if (curve && certificate->key_bits < LEAST_CURVE)
		finding_add(ret, check, OUTCOME_FAIL, certificate->subject,
			"the key of %s is a curve with %d bits, less than %d", which, (int)certificate->key_bits,
			LEAST_CURVE);
	else if (!rsa && !curve && certificate->key_security < LEAST_SECURITY)
		finding_add(ret, check, OUTCOME_FAIL, certificate->subject,
			"the key of %s (%s) is worth %d bits, less than %d", which, type,
			(int)certificate->key_security, LEAST_SECURITY);
	/* What signed itself is believed as it is: nobody follows its signature. */
	if (!certificate->self_signed && certificate->signature_security < LEAST_SECURITY)
		finding_add(ret, check, OUTCOME_FAIL, certificate->subject, "the signature of %s is weak: %s", which,
			certificate->signature ? certificate->signature : "unknown");
}

static void assess_strong(const struct check *check, const struct audit_facts *facts _unused_,
	const struct tls_files *files, struct findings *ret)
{
	if (!certificate_known(check, files, ret))
		return;
	for (size_t i = 0; i < files->certificate_count; i++)
		judge_strength(check, &files->certificates[i],
			i ? "a certificate of the chain" : "the server's certificate", ret);
}

void assess_tls_strength(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_strong, "keys and signatures are strong");
}

/* --- time --- */

static void judge_time(const struct check *check, const struct audit_facts *facts,
	const struct certificate *certificate, const char *which, struct findings *ret)
{
	const struct environment *environment = facts->environment;
	int64_t left = certificate->not_after - facts->tls->now;
	int64_t days = left / DAY;
	struct finding *finding;

	if (!certificate->times_known) {
		finding_add(
			ret, check, OUTCOME_UNKNOWN, certificate->subject, "the dates of %s could not be read", which);
	} else if (certificate->not_before > facts->tls->now) {
		finding_add(ret, check, OUTCOME_FAIL, certificate->subject, "%s is not valid yet", which);
	} else if (left < 0) {
		finding_add(ret, check, OUTCOME_FAIL, certificate->subject, "%s ended %lld days ago", which,
			(long long)-days);
	} else if (left <= (int64_t)environment->certificate_fail_days * DAY) {
		finding_add(
			ret, check, OUTCOME_FAIL, certificate->subject, "%s ends in %lld days", which, (long long)days);
	} else if (left <= (int64_t)environment->certificate_warn_days * DAY) {
		finding = finding_add(
			ret, check, OUTCOME_FAIL, certificate->subject, "%s ends in %lld days", which, (long long)days);
		finding->severity = SEVERITY_WARNING;
		finding->origin = environment->certificate_warn_days_origin;
	}
}

static void assess_time(
	const struct check *check, const struct audit_facts *facts, const struct tls_files *files, struct findings *ret)
{
	if (!certificate_known(check, files, ret))
		return;
	for (size_t i = 0; i < files->certificate_count; i++)
		judge_time(check, facts, &files->certificates[i],
			i ? "a certificate of the chain" : "the server's certificate", ret);
	/* One of several that ends takes nothing away; all of them do, and there is mostly one. */
	for (size_t i = 0; files->authority_count == 1 && i < 1; i++)
		judge_time(check, facts, &files->authorities[i], "the certificate of the clients' authority", ret);
}

void assess_tls_validity(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_time, "certificates are valid, and will be for a while");
}

/* --- names --- */

static void add_missing(struct text *text, const char *name)
{
	if (text->length)
		text_append(text, ", ");
	text_append(text, name);
}

static void find_missing_addresses(const struct intervals *list, const struct tls_files *files, struct text *missing)
{
	char buffer[INTERVAL_TEXT];

	for (size_t i = 0; i < list->count; i++) {
		struct interval item = intervals_get(list, i);

		if (!address_is_loopback(list->width, item.first) &&
			!certificate_names_address(files->names, files->name_count, list->width, item.first))
			add_missing(missing, value_format(list->width, item.first, buffer));
	}
}

static void assess_name(
	const struct check *check, const struct audit_facts *facts, const struct tls_files *files, struct findings *ret)
{
	const struct source_list *names = &facts->environment->server_names;
	const struct source_list *bind = &facts->environment->bind;
	_cleanup_text_ struct text missing = {0};
	struct finding *finding;

	if (!certificate_known(check, files, ret))
		return;
	for (size_t i = 0; i < names->reference_count; i++)
		if (!certificate_names_host(files->names, files->name_count, names->references[i].name))
			add_missing(&missing, names->references[i].name);
	if (!names->given) {
		find_missing_addresses(&bind->v4, files, &missing);
		find_missing_addresses(&bind->v6, files, &missing);
	}
	if (!missing.length)
		return;
	finding = finding_add(
		ret, check, OUTCOME_FAIL, files->subject, "the certificate is not for %s", text_string(&missing));
	finding->origin = names->given ? names->origin : bind->origin;
	if (!names->given && !files->running)
		finding->severity = SEVERITY_INFO;
}

void assess_tls_names(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_name, "the certificate is for the names that clients use");
}

/* --- the chain --- */

static void assess_end(
	const struct check *check, const struct audit_facts *facts, const struct tls_files *files, struct findings *ret)
{
	if (!certificate_known(check, files, ret))
		return;
	if (!files->certificates[0].for_server)
		finding_add(ret, check, OUTCOME_FAIL, files->subject,
			"its key usage does not let it be a server's: clients refuse it");
	switch (files->chain) {
	case CHAIN_UNKNOWN:
		finding_add(ret, check, OUTCOME_UNKNOWN, files->subject, "the chain could not be followed");
		return;
	case CHAIN_SELF:
		if (facts->environment->self_signed == SELF_SIGNED_ALLOW)
			finding_add(
				ret, check, OUTCOME_PASS, files->subject, "it signed itself, which the policy allows");
		else
			finding_add(ret, check, OUTCOME_FAIL, files->subject,
				"the certificate signed itself, which the policy does not allow")
				->origin = facts->environment->self_signed_origin;
		return;
	case CHAIN_ROOT:
		return;
	case CHAIN_OPEN:
		/* Whether the one who is missing is a root that clients have, or one in between that they do not. */
		finding_add(ret, check, OUTCOME_UNKNOWN, files->subject,
			"it ends at an issuer that neither this host nor the server's files know: %s",
			files->chain_why ? files->chain_why : "no name")
			->severity = SEVERITY_INFO;
		return;
	case CHAIN_BROKEN:
		finding_add(ret, check, OUTCOME_FAIL, files->subject, "the chain does not hold together: %s",
			files->chain_why ? files->chain_why : "no reason told");
		return;
	}
	abort();
}

void assess_tls_chain(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_end, "the chain is complete");
}
