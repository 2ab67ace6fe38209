/* SPDX-License-Identifier: GPL-3.0-or-later */

/* The checks of area `firewall`: our table, and what other tables do to the guarded ports. */

#include "audit_private.h"

static const struct check checks[] = {
	{.id = "firewall.in_force",
		.area = "firewall",
		.severity = SEVERITY_CRITICAL,
		.facts = "our table in the kernel",
		.title = "the firewall is in force",
		.bad = "The table is there, is not dormant, and its three hooks have rules. Where it is not, nobody is "
		       "refused.",
		.unknown = "the kernel could not be read",
		.remedy = "dflyguard audit --heal, or dflyguard apply; then find out who took it away: nft monitor",
		.unwaivable = "without the firewall nothing else holds",
		.assess = assess_in_force},
	{.id = "firewall.drift",
		.area = "firewall",
		.severity = SEVERITY_CRITICAL,
		.facts = "our table in the kernel, the policy",
		.title = "the kernel has what the policy says",
		.bad = "Flags, chains, rules in their order, and sets by what they cover. Any difference may let "
		       "somebody in or keep somebody out.",
		.unknown = "the kernel could not be read",
		.remedy = "dflyguard audit --heal puts it back; dflyguard plan shows the same differences",
		.unwaivable = "a difference may let anybody in; change the policy instead",
		.assess = assess_drift},
	{.id = "firewall.foreign_nat",
		.area = "firewall",
		.severity = SEVERITY_WARNING,
		.facts = "other tables",
		.title = "no other table maps a guarded port",
		.bad = "Another table leads another port to a guarded one, or a guarded one elsewhere. Translated "
		       "packets are judged a second time by their source, but bind is not asked. Critical where the "
		       "packet is rewritten, or goes to another socket, so that it is not judged.",
		.unknown = "a rule's target could not be told, or the tables could not be read",
		.remedy = "take the rule out if nobody meant it, or guard the port that clients use",
		.assess = assess_foreign_nat},
	{.id = "firewall.notrack",
		.area = "firewall",
		.severity = SEVERITY_CRITICAL,
		.facts = "other tables",
		.title = "guarded ports are tracked",
		.bad = "A notrack rule may hit packets of a guarded port. They are refused as untracked, whoever sends "
		       "them.",
		.unknown = "other tables could not be read",
		.remedy = "except the guarded ports from the notrack rule",
		.assess = assess_notrack},
	{.id = "firewall.flowtable",
		.area = "firewall",
		.severity = SEVERITY_CRITICAL,
		.facts = "other tables",
		.title = "no connection passes by the chains",
		.bad = "A flowtable takes over connections of a guarded port, or packets are sent on by fwd before any "
		       "chain: they are not judged, and revoking a source does not cut them.",
		.unknown = "other tables could not be read",
		.remedy = "except the guarded ports from the rule with `flow add` or `fwd`",
		.assess = assess_flowtable},
	{.id = "firewall.foreign_drop",
		.area = "firewall",
		.severity = SEVERITY_WARNING,
		.facts = "other tables, the policy",
		.title = "other tables let the clients pass",
		.bad = "Another table drops a packet that the policy allows: nobody gets in who should not, but "
		       "somebody stays out who should get in.",
		.unknown = "other tables could not be read; informational where it depends on what cannot be told "
			   "beforehand, as a rate or an interface",
		.remedy = "allow the guarded ports for these sources in the other firewall, too",
		.assess = assess_foreign_drop},
	{.id = "firewall.legacy",
		.area = "firewall",
		.severity = SEVERITY_WARNING,
		.facts = "/proc/net/ip_tables_names and ip6_tables_names",
		.title = "no tables of legacy iptables",
		.bad = "Tables of the iptables before nf_tables are there. Their rules raise no event and change no "
		       "generation, and what they do to guarded ports is not looked at.",
		.unknown = "/proc could not be read",
		.remedy = "move to iptables-nft: iptables-legacy-save | iptables-nft-restore, then unload the modules",
		.assess = assess_legacy},
	{.id = "firewall.owner",
		.area = "firewall",
		.severity = SEVERITY_WARNING,
		.facts = "our table, other tables",
		.title = "no other program owns the port's tables",
		.bad = "Our table belongs to a running program that is not dflyguard, or another one that names a "
		       "guarded port "
		       "has an owner: nobody else can change it. Critical where our table is gone when its owner ends.",
		.unknown = "who owns our table cannot be told, or other tables could not be read",
		.remedy = "decide which program is to manage the port, and stop the other one",
		.assess = assess_owner},
};

const struct check_table firewall_checks = {checks, ARRAY_SIZE(checks)};
