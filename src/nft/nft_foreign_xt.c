/* SPDX-License-Identifier: GPL-3.0-or-later */

/* Matches and targets of iptables-nft: structures of the kernel's xt_*.h, inside expressions called match and target.
 * Those that concern ports, states and translation are read; all others may match, or may do anything. */

#include <endian.h>
#include <string.h>

#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/xt_CT.h>
#include <linux/netfilter/xt_TPROXY.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_tcpudp.h>

#include "nft_foreign.h"

struct extension {
	const char *name;
	uint32_t revision;
	const void *info; /* not aligned: to be copied */
	size_t length;
};

static bool read_extension(const struct expression *x, struct extension *ret)
{
	/* Attributes have the same numbers in matches and targets. */
	*ret = (struct extension){.name = netlink_string(x->table[NFTA_MATCH_NAME])};
	netlink_u32(x->table[NFTA_MATCH_REV], &ret->revision);
	if (x->table[NFTA_MATCH_INFO]) {
		ret->info = mnl_attr_get_payload(x->table[NFTA_MATCH_INFO]);
		ret->length = mnl_attr_get_payload_len(x->table[NFTA_MATCH_INFO]);
	}
	return ret->name;
}

/* Copies a structure out; false where there is less. */
static bool take(const struct extension *extension, void *to, size_t size)
{
	if (extension->length < size)
		return false;
	memcpy(to, extension->info, size);
	return true;
}

static enum known both(enum known a, enum known b)
{
	return a < b ? a : b;
}

static enum known match_tcp(struct evaluation *e, const struct extension *extension)
{
	struct xt_tcp info;
	uint8_t flags = e->packet.transport.data[13];
	enum known known = KNOWN_YES;

	if (!take(extension, &info, sizeof(info)))
		return KNOWN_MAYBE;
	if (info.spts[0] != 0 || info.spts[1] != UINT16_MAX || info.option)
		known = KNOWN_MAYBE;
	if (info.flg_mask && e->packet.transport.mask[13] != 0xff)
		known = KNOWN_MAYBE;
	else if (info.flg_mask)
		known = both(known,
			known_bool(((flags & info.flg_mask) == info.flg_cmp) != !!(info.invflags & XT_TCP_INV_FLAGS)));
	return both(known, evaluation_port(e, info.dpts[0], info.dpts[1], info.invflags & XT_TCP_INV_DSTPT));
}

static enum known match_multiport(struct evaluation *e, const struct extension *extension)
{
	struct xt_multiport_v1 info;
	bool found = false;

	if (extension->revision != 1 || !take(extension, &info, sizeof(info)) ||
		info.flags != XT_MULTIPORT_DESTINATION || info.count > XT_MULTI_PORTS ||
		e->packet.port_first != e->packet.port_last)
		return KNOWN_MAYBE;
	for (size_t i = 0; i < info.count; i++) {
		uint16_t last = info.pflags[i] && i + 1u < info.count ? info.ports[i + 1] : info.ports[i];

		found = found || (info.ports[i] <= e->packet.port_first && e->packet.port_first <= last);
		i += info.pflags[i] != 0;
	}
	return known_bool(found != !!info.invert);
}

static enum known match_conntrack(const struct evaluation *e, const struct extension *extension)
{
	struct xt_conntrack_mtinfo1 one;
	struct xt_conntrack_mtinfo3 three;
	uint16_t flags;
	uint16_t inverted;
	uint16_t states;

	if (extension->revision == 1 && take(extension, &one, sizeof(one))) {
		flags = one.match_flags;
		inverted = one.invert_flags;
		states = one.state_mask;
	} else if ((extension->revision == 2 || extension->revision == 3) &&
		   take(extension, &three,
			   extension->revision == 3 ? sizeof(three) : sizeof(struct xt_conntrack_mtinfo2))) {
		flags = three.match_flags;
		inverted = three.invert_flags;
		states = three.state_mask;
	} else {
		return KNOWN_MAYBE;
	}
	if ((flags & ~XT_CONNTRACK_STATE_ALIAS) != XT_CONNTRACK_STATE || !e->packet.state)
		return KNOWN_MAYBE;
	/* The bits of other states are those of nf_tables: XT_CONNTRACK_STATE_BIT() is NF_CT_STATE_BIT(). */
	if (states & (XT_CONNTRACK_STATE_SNAT | XT_CONNTRACK_STATE_DNAT))
		return KNOWN_MAYBE;
	return known_bool(!!(states & e->packet.state) != !!(inverted & XT_CONNTRACK_STATE));
}

static enum known match_addrtype(const struct evaluation *e, const struct extension *extension)
{
	struct xt_addrtype_info_v1 info;

	if (extension->revision != 1 || !take(extension, &info, sizeof(info)) || info.source ||
		info.dest != XT_ADDRTYPE_LOCAL || (info.flags & ~(unsigned int)XT_ADDRTYPE_INVERT_DEST))
		return KNOWN_MAYBE;
	return info.flags ? known_not(e->packet.to_us) : e->packet.to_us;
}

enum known xt_match(struct evaluation *e, const struct expression *x)
{
	struct extension extension;

	if (!read_extension(x, &extension))
		return KNOWN_MAYBE;
	if (strcmp(extension.name, "comment") == 0)
		return KNOWN_YES;
	if (strcmp(extension.name, "tcp") == 0)
		return match_tcp(e, &extension);
	if (strcmp(extension.name, "udp") == 0 || strcmp(extension.name, "icmp") == 0 ||
		strcmp(extension.name, "icmp6") == 0 || strcmp(extension.name, "esp") == 0 ||
		strcmp(extension.name, "ah") == 0)
		return KNOWN_NO;
	if (strcmp(extension.name, "multiport") == 0)
		return match_multiport(e, &extension);
	if (strcmp(extension.name, "conntrack") == 0)
		return match_conntrack(e, &extension);
	if (strcmp(extension.name, "addrtype") == 0)
		return match_addrtype(e, &extension);
	return KNOWN_MAYBE;
}

/* --- targets --- */

static void end(struct evaluation *e, unsigned int outcome)
{
	e->acts = e->ends = true;
	e->outcome = outcome;
}

static void set_port(struct effect *effect, uint32_t flags, uint16_t first_be, uint16_t last_be)
{
	if (!(flags & NF_NAT_RANGE_PROTO_SPECIFIED))
		return;
	effect->port_changes = true;
	if (first_be == last_be)
		effect->to_port = be16toh(first_be);
}

static void translate(struct evaluation *e, const struct extension *extension, bool redirect)
{
	struct effect effect = {.kind = FOREIGN_NAT};
	struct nf_nat_ipv4_multi_range_compat old;
	struct nf_nat_range2 range = {0};
	bool v4 = e->packet.family == NFPROTO_IPV4;

	effect.width = v4 ? WIDTH_IPV4 : WIDTH_IPV6;
	/* Revision 0 for IPv4 is a shape of its own, 1 and 0 for IPv6 a shorter form of 2. */
	if (extension->revision == 0 && v4 && take(extension, &old, sizeof(old)) && old.rangesize == 1) {
		range.flags = old.range[0].flags;
		range.min_addr.ip = old.range[0].min_ip;
		range.min_proto.all = old.range[0].min.all;
		range.max_proto.all = old.range[0].max.all;
	} else if ((extension->revision == 0 && v4) ||
		   !take(extension, &range, extension->revision == 2 ? sizeof(range) : sizeof(struct nf_nat_range))) {
		effect.address_changes = !redirect;
		effect.port_changes = true;
		range.flags = 0;
	}
	set_port(&effect, range.flags, range.min_proto.all, range.max_proto.all);
	if (!redirect && (range.flags & NF_NAT_RANGE_MAP_IPS)) {
		effect.address_changes = effect.address_known = true;
		effect.address = value_from_bytes(effect.width, &range.min_addr);
	}
	evaluation_effect(e, &effect);
	end(e, MAY_ACCEPT);
}

static void proxy(struct evaluation *e, const struct extension *extension)
{
	struct effect effect = {.kind = FOREIGN_REWRITE, .port_changes = true, .proxied = true};
	struct xt_tproxy_target_info old;
	struct xt_tproxy_target_info_v1 info;

	if (extension->revision == 0 && take(extension, &old, sizeof(old)))
		effect.to_port = be16toh(old.lport);
	else if (extension->revision == 1 && take(extension, &info, sizeof(info)))
		effect.to_port = be16toh(info.lport);
	evaluation_effect(e, &effect);
	end(e, MAY_ACCEPT | MAY_DROP);
}

void xt_target(struct evaluation *e, const struct expression *x)
{
	static const char *const harmless[] = {"LOG", "NFLOG", "MARK", "CONNMARK", "SECMARK", "CONNSECMARK", "TCPMSS",
		"CLASSIFY", "CHECKSUM", "SET", "AUDIT", "TRACE", "DSCP", "TOS", "TTL", "HL", "RATEEST", "TEE", "LED",
		"IDLETIMER", "TCPOPTSTRIP", "ECN", "HMARK", "SYSRQ"};
	struct extension extension;
	uint16_t flags = 0;

	if (!read_extension(x, &extension)) {
		end(e, MAY_DROP | MAY_ACCEPT);
		return;
	}
	if (strcmp(extension.name, "DNAT") == 0 || strcmp(extension.name, "REDIRECT") == 0) {
		translate(e, &extension, extension.name[0] == 'R');
		return;
	}
	if (strcmp(extension.name, "NOTRACK") == 0 ||
		(strcmp(extension.name, "CT") == 0 && take(&extension, &flags, sizeof(flags)) &&
			(flags & (XT_CT_NOTRACK | XT_CT_NOTRACK_ALIAS)))) {
		evaluation_effect(e, &(struct effect){.kind = FOREIGN_NOTRACK});
		return;
	}
	if (strcmp(extension.name, "FLOWOFFLOAD") == 0) {
		evaluation_effect(e, &(struct effect){.kind = FOREIGN_FLOWTABLE});
		return;
	}
	if (strcmp(extension.name, "TPROXY") == 0) {
		proxy(e, &extension);
		return;
	}
	if (strcmp(extension.name, "CT") == 0)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(harmless); i++)
		if (strcmp(extension.name, harmless[i]) == 0)
			return;
	if (strcmp(extension.name, "REJECT") == 0)
		end(e, MAY_DROP);
	else if (strcmp(extension.name, "SNAT") == 0 || strcmp(extension.name, "MASQUERADE") == 0 ||
		 strcmp(extension.name, "NETMAP") == 0)
		end(e, MAY_ACCEPT);
	else
		end(e, MAY_DROP | MAY_ACCEPT);
}
