/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the IP header of a packet says, for IPv4 and IPv6 alike. */
#ifndef PACGAN_IP_H
#define PACGAN_IP_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>

#include "expect.h"

#define IP_FRAGMENT 0x3fff /* more fragments, or an offset */

/* Extension headers (RFC 8200, 4; RFC 4302). linux/in6.h and linux/ipv6.h
 * would drag in the C library. */
#define IPV6_HEADER 40
#define IPV6_EXTENSIONS 8 /* that a packet may have, as in internal/packet */
#define NEXT_HOP_BY_HOP 0
#define NEXT_ROUTING 43
#define NEXT_FRAGMENT 44
#define NEXT_AUTHENTICATION 51
#define NEXT_ICMPV6 58
#define NEXT_DESTINATION 60

struct datagram {
	struct addr src;
	struct addr dst;
	__u32 l4;  /* offset of the transport header */
	__u32 end; /* of the packet, as its header says */
	__be16 id; /* IPv4's identification */
	__u8 version;
	__u8 protocol; /* of the transport header */
	__u8 fragment;
	__u8 routed;  /* it names further addresses that it is to pass */
	__u8 pad[2];
};

static __always_inline void mapped(struct addr *a, __be32 v4)
{
	a->w[0] = a->w[1] = 0;
	a->w[2] = bpf_htonl(0xffff);
	a->w[3] = v4;
}

/* is_mapped: such addresses are for programs, never for the wire; ours would
 * be taken for IPv4 addresses. */
static __always_inline int is_mapped(const struct addr *a)
{
	return !a->w[0] && !a->w[1] && a->w[2] == bpf_htonl(0xffff);
}

static __always_inline int read_ipv4(const struct iphdr *ip, __u32 l3, struct datagram *d)
{
	if (ip->ihl < 5)
		return -1;
	mapped(&d->src, ip->saddr);
	mapped(&d->dst, ip->daddr);
	d->l4 = l3 + ip->ihl * 4;
	d->end = l3 + bpf_ntohs(ip->tot_len);
	d->id = ip->id;
	d->protocol = ip->protocol;
	d->fragment = !!(ip->frag_off & bpf_htons(IP_FRAGMENT));
	return 0;
}

static __always_inline int is_extension(__u8 next)
{
	return next == NEXT_HOP_BY_HOP || next == NEXT_ROUTING || next == NEXT_FRAGMENT ||
	       next == NEXT_AUTHENTICATION || next == NEXT_DESTINATION;
}

struct ipv6_fixed {
	__be32 version_class_flow;
	__be16 payload;
	__u8 next;
	__u8 hops;
	struct addr src;
	struct addr dst;
};

static __always_inline int read_ipv6(struct __sk_buff *skb, __u32 l3, struct datagram *d)
{
	struct ipv6_fixed ip;
	__u8 header[4]; /* next, length, and a fragment's offset */
	int i;

	if (bpf_skb_load_bytes(skb, l3, &ip, sizeof(ip)) || is_mapped(&ip.src) || is_mapped(&ip.dst))
		return -1;
	d->src = ip.src;
	d->dst = ip.dst;
	d->l4 = l3 + IPV6_HEADER;
	d->end = d->l4 + bpf_ntohs(ip.payload);
	d->protocol = ip.next;
	for (i = 0; i < IPV6_EXTENSIONS && is_extension(d->protocol); i++) {
		__u8 kind = d->protocol;

		if (bpf_skb_load_bytes(skb, d->l4, header, sizeof(header)))
			return -1;
		d->protocol = header[0];
		if (kind == NEXT_FRAGMENT) {
			d->fragment |= header[2] || header[3] & ~6; /* an offset, or more to come */
			d->l4 += 8;
			if (header[2] || header[3] & ~7) /* bytes of what began in another packet */
				return 0;
		} else if (kind == NEXT_AUTHENTICATION) {
			d->l4 += (header[1] + 2) * 4;
		} else {
			d->routed |= kind == NEXT_ROUTING;
			d->l4 += (header[1] + 1) * 8;
		}
	}
	return is_extension(d->protocol) ? -1 : 0;
}

/* read_ip reads the packet at offset l3. It is -1 where that is no IP, or its
 * headers are cut. */
static __noinline int read_ip(struct __sk_buff *skb, __u32 l3, struct datagram *d)
{
	struct iphdr first; /* IPv6's is longer */

	if (bpf_skb_load_bytes(skb, l3, &first, sizeof(first)))
		return -1;
	d->version = first.version;
	d->fragment = d->routed = 0;
	d->id = 0;
	if (d->version == 4)
		return read_ipv4(&first, l3, d);
	if (d->version == 6)
		return read_ipv6(skb, l3, d);
	return -1;
}

#endif
