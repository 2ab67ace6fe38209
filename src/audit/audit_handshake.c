/* SPDX-License-Identifier: GPL-3.0-or-later */

/* TLS as the running server speaks it: versions, ciphers, its certificate, and what it does with plaintext. */

#include <string.h>

#include "audit_tls.h"

static const char no_ports[] = "TLS ports";

/* One port. Appends nothing where all is good. */
typedef void assess_port(
	const struct check *check, const struct audit_facts *facts, const struct tls_port *port, struct findings *ret);

static void each(const struct check *check, const struct audit_facts *facts, struct findings *ret, assess_port *assess,
	bool closed, const char *good)
{
	size_t judged = 0;

	if (!tls_known(check, facts, ret))
		return;
	for (size_t i = 0; i < facts->tls->port_count; i++) {
		const struct tls_port *port = &facts->tls->ports[i];
		size_t before = ret->count;

		if (!port->expected && !(closed && port->closed))
			continue;
		judged++;
		if (facts->tls->unknown)
			finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "%s", facts->tls->unknown);
		else
			assess(check, facts, port, ret);
		if (ret->count == before)
			finding_add(ret, check, OUTCOME_PASS, port->subject, "%s", good);
	}
	if (!judged)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, no_ports, "%s",
			facts->environment->tls == TLS_OFF ? "the policy does not ask for TLS"
							   : "nothing listens where TLS is to be spoken");
}

/* What was not found out, and why. */
static void tell_unknown(
	const struct check *check, const struct tls_port *port, enum tls_offer offer, struct findings *ret)
{
	const struct tls_answer *answer = &port->answers[offer];

	finding_add(ret, check, OUTCOME_UNKNOWN, port->subject, "%s: %s", tls_offer_name(offer),
		answer->outcome == TLS_SILENT ? "the server says nothing"
		: answer->why		      ? answer->why
					      : "nothing is known");
}

static bool is_unknown(const struct tls_answer *answer)
{
	return answer->outcome == TLS_UNKNOWN || answer->outcome == TLS_SILENT || answer->outcome == TLS_UNREACHABLE;
}

/* A handshake came so far that the server agreed on what was offered. */
static bool agreed(const struct tls_answer *answer)
{
	return answer->outcome == TLS_ACCEPTED || answer->outcome == TLS_CERTIFICATE_REQUIRED;
}

/* --- does it work at all --- */

static void assess_works(const struct check *check, const struct audit_facts *facts _unused_,
	const struct tls_port *port, struct findings *ret)
{
	const struct tls_answer *answer = &port->answers[OFFER_DEFAULT];

	if (is_unknown(answer))
		tell_unknown(check, port, OFFER_DEFAULT, ret);
	else if (answer->outcome == TLS_NOT_TLS)
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "it does not speak TLS");
	else if (!agreed(answer))
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "no handshake succeeds: %s",
			answer->why ? answer->why : "the connection is ended");
}

void assess_tls_handshake(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_works, false, "a handshake succeeds");
}

/* --- versions and ciphers --- */

/* An offer that must not be taken. */
static void must_refuse(
	const struct check *check, const struct tls_port *port, enum tls_offer offer, struct findings *ret)
{
	const struct tls_answer *answer = &port->answers[offer];

	/* A server that serves nobody cannot be told from one that refuses. */
	if (!agreed(&port->answers[OFFER_DEFAULT]))
		return;
	if (agreed(answer))
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "%s are taken%s%s", tls_offer_name(offer),
			answer->cipher ? ": " : "", answer->cipher ? answer->cipher : "");
	else if (is_unknown(answer))
		tell_unknown(check, port, offer, ret);
}

static void needs_handshake(const struct check *check, const struct tls_port *port, struct findings *ret)
{
	if (is_unknown(&port->answers[OFFER_DEFAULT]))
		tell_unknown(check, port, OFFER_DEFAULT, ret);
	else if (!agreed(&port->answers[OFFER_DEFAULT]))
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, port->subject, "no handshake succeeds at all");
}

static void assess_version(const struct check *check, const struct audit_facts *facts _unused_,
	const struct tls_port *port, struct findings *ret)
{
	needs_handshake(check, port, ret);
	must_refuse(check, port, OFFER_1_0, ret);
	must_refuse(check, port, OFFER_1_1, ret);
}

void assess_tls_versions(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_version, false, "nothing older than TLS 1.2 is taken");
}

static void assess_cipher(const struct check *check, const struct audit_facts *facts _unused_,
	const struct tls_port *port, struct findings *ret)
{
	needs_handshake(check, port, ret);
	must_refuse(check, port, OFFER_ANONYMOUS, ret);
	must_refuse(check, port, OFFER_WEAK, ret);
}

void assess_tls_ciphers(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_cipher, false, "no weak cipher is taken, and none without a certificate");
}

/* --- the certificate that is served --- */

static void assess_same(
	const struct check *check, const struct audit_facts *facts, const struct tls_port *port, struct findings *ret)
{
	const struct tls_answer *answer = &port->answers[OFFER_DEFAULT];
	const struct tls_files *files = port->files < facts->tls->file_count ? &facts->tls->files[port->files] : NULL;

	/* TLS 1.2 refuses who has no certificate before it can be seen what it serves; 1.3 does not. */
	if (!answer->sha256)
		answer = &port->answers[OFFER_1_3];
	if (!answer->sha256)
		needs_handshake(check, port, ret);
	else if (!files || !files->certificate_count || !files->certificates[0].sha256)
		finding_add(
			ret, check, OUTCOME_UNKNOWN, port->subject, "the certificate in the server's file is not known")
			->severity = SEVERITY_INFO;
	else if (strcmp(files->certificates[0].sha256, answer->sha256) != 0)
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "another certificate is served than the one in %s",
			files->files[TLS_CERTIFICATE].path);
}

void assess_tls_served(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_same, false, "the certificate in the file is the one that is served");
}

/* --- certificates of clients --- */

static void assess_demand(
	const struct check *check, const struct audit_facts *facts, const struct tls_port *port, struct findings *ret)
{
	const struct tls_answer *answer = &port->answers[OFFER_DEFAULT];

	if (facts->environment->client_certificates != CLIENT_CERTIFICATES_REQUIRED)
		finding_add(ret, check, OUTCOME_NOT_APPLICABLE, port->subject, "the policy does not ask for it");
	else if (answer->outcome == TLS_ACCEPTED)
		finding_add(ret, check, OUTCOME_FAIL, port->subject, "a client without a certificate is served")
			->origin = facts->environment->client_certificates_origin;
	else if (answer->outcome != TLS_CERTIFICATE_REQUIRED)
		needs_handshake(check, port, ret);
}

void assess_tls_client_certificates(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_demand, false, "clients without a certificate are not served");
}

/* --- plaintext --- */

/* What a server says that takes plaintext for TLS gone wrong (dragonfly-verified.md 2). */
static bool is_refusal(const char *said)
{
	return said && strncmp(said, "-ERR Bad TLS header", strlen("-ERR Bad TLS header")) == 0;
}

static void assess_plain(const struct check *check, const struct audit_facts *facts _unused_,
	const struct tls_port *port, struct findings *ret)
{
	const struct tls_answer *answer = &port->answers[OFFER_PLAINTEXT];
	struct finding *finding;

	if (is_unknown(answer)) {
		tell_unknown(check, port, OFFER_PLAINTEXT, ret);
	} else if (answer->outcome == TLS_ANSWERED && !is_refusal(answer->said)) {
		finding = finding_add(ret, check, OUTCOME_FAIL, port->subject,
			port->closed ? "plaintext is answered, where only the firewall keeps others away"
				     : "plaintext is answered");
		finding->evidence = mem_string(answer->said);
		if (port->closed)
			finding->severity = SEVERITY_WARNING;
	}
}

void assess_tls_plaintext(const struct check *check, const struct audit_facts *facts, struct findings *ret)
{
	each(check, facts, ret, assess_plain, true, "plaintext is refused");
}
