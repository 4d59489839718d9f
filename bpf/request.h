/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* From a request to the key that its reply will have. The guard reads the
 * generated packet with it, the matcher the packet that an ICMP error quotes. */
#ifndef PACGAN_REQUEST_H
#define PACGAN_REQUEST_H

#include <linux/tcp.h>
#include <linux/udp.h>

#include "ip.h"

/* opaque hides from the compiler where a value comes from. It keeps it from
 * rewriting a packet pointer's comparison into arithmetic on the packet's end,
 * and from dropping the masks that tell the verifier a value's bound. */
#define opaque(v) asm volatile("" : "+r"(v))

#define ICMP_ECHO_REPLY 0
#define ICMP_ECHO 8 /* linux/icmp.h drags in the C library */
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

#define DNS_HEADER 12
#define HASH_WORDS 192  /* payload bytes hashed: 1,536, more than an Ethernet frame has */
#define MAX_PAYLOAD 0x3fff /* longer ones are not hashed; no MTU is so large */
#define NAME_LABELS 128 /* a name of 255 bytes has at most 127 (RFC 1035, 2.3.4) */
#define NAME_WORDS 32
#define MAX_OFFSET 1023 /* no header of ours begins later */

struct dns_header {
	__be16 id;
	__u8 flags; /* QR, opcode, AA, TC, RD */
	__u8 rcode; /* RA, Z, AD, CD, RCODE */
	__be16 questions;
	__be16 answers;
};

#define DNS_QR 0x80
#define DNS_TC 0x02

/* has_ports: the protocols whose headers begin with the two ports. */
static __always_inline int has_ports(__u8 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP ||
	       protocol == IPPROTO_DCCP || protocol == IPPROTO_UDPLITE;
}

/* fold_case lowers the ASCII letters among eight bytes: domain names compare
 * without case (RFC 4343). Label lengths are at most 63, below 'A'. */
static __always_inline __u64 fold_case(__u64 w)
{
	const __u64 ones = 0x0101010101010101ULL;
	__u64 low = w & (0x7f * ones);
	__u64 from_a = low + (0x80 - 'A') * ones;
	__u64 past_z = low + (0x7f - 'Z') * ones;
	__u64 upper = (from_a & ~past_z & ~w) & (0x80 * ones);

	return w | (upper >> 2);
}

/* shift_out keeps the last n (0 to 8) of the eight bytes that w was read from. */
static __always_inline __u64 shift_out(__u64 w, __u32 n)
{
	__u32 bits = 8 * ((8 - n) & 7);

	if (!n)
		return 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return w >> bits;
#else
	return w << bits;
#endif
}

/* payload_hash hashes n bytes at offset off (at least 8) of a packet whose
 * bytes are linear. Verified once, as a function of its own. */
__noinline __u32 payload_hash(struct __sk_buff *skb, __u32 off, __u32 n)
{
	void *end = (void *)(long)skb->data_end;
	void *p = (void *)(long)skb->data;
	__u32 last, left = n;
	__u64 h = n;
	int i;

	/* Eight bytes of header precede, so the last word may reach into them. */
	if (off < 8 || off > MAX_OFFSET || n > MAX_PAYLOAD)
		return 0;
	opaque(off);
	opaque(n);
	off &= MAX_OFFSET; /* the verifier of Linux 6.1 has lost the bounds by now */
	n &= MAX_PAYLOAD;
	p += off;
	for (i = 0; i < HASH_WORDS && left >= 8; i++, left -= 8, p += 8) {
		opaque(p);
		if (p + 8 > end)
			return 0;
		h = mix(h, *(__u64 *)p);
	}
	last = off + n - 8;
	opaque(last);
	last &= 0x7fff;
	p = (void *)(long)skb->data + last;
	opaque(p);
	if (p + 8 > end)
		return 0;
	h = mix(h, shift_out(*(__u64 *)p, n < 8 ? n : 8));
	return (__u32)h;
}

/* question_hash hashes the first question of the DNS message from off to
 * limit, the name's case folded; 0: there is none that is well formed. */
__noinline __u32 question_hash(struct __sk_buff *skb, __u32 off, __u32 limit)
{
	void *end = (void *)(long)skb->data_end;
	void *data = (void *)(long)skb->data;
	__u32 name, pos, last, n, left;
	__u64 h;
	void *p;
	int i;

	if (off > MAX_OFFSET || limit > 0xffff)
		return 0;
	opaque(off);
	off &= MAX_OFFSET;
	name = pos = off + DNS_HEADER;
	for (i = 0; i < NAME_LABELS; i++) {
		__u8 len;

		p = data + pos;
		opaque(p);
		if (p + 1 > end)
			return 0;
		len = *(__u8 *)p;
		pos++;
		if (len == 0)
			break;
		if (len > 63) /* compressed: no first question is */
			return 0;
		pos += len;
	}
	n = pos - name; /* with the root's zero byte */
	if (n > 255 || pos + 4 > limit)
		return 0;
	/* The mask tells the verifier the same after every turn of the loop
	 * above, so that it looks at what follows only once: 20 x faster. */
	opaque(n);
	n &= 255;
	h = n;
	left = n;
	p = data + name;
	for (i = 0; i < NAME_WORDS && left >= 8; i++, left -= 8, p += 8) {
		opaque(p);
		if (p + 8 > end)
			return 0;
		h = mix(h, fold_case(*(__u64 *)p));
	}
	last = name + n - 8;
	opaque(last);
	last &= 0x7ff;
	p = data + last;
	opaque(p);
	if (p + 12 > end)
		return 0;
	h = mix(h, fold_case(shift_out(*(__u64 *)p, n < 8 ? n : 8)));
	h = mix(h, *(__u32 *)(p + 8)); /* type and class */
	return (__u32)h | 1;
}

/* is_echo: words are the first of an ICMP or ICMPv6 message. */
static __always_inline int is_echo(__u8 protocol, const __be16 *words)
{
	__u8 type = bpf_ntohs(words[0]) >> 8;

	return (protocol == IPPROTO_ICMP && type == ICMP_ECHO) || (protocol == NEXT_ICMPV6 && type == ICMPV6_ECHO);
}

/* request_key makes the key for the reply to the packet that d tells of, whose
 * bytes end at offset limit. With dns, a UDP request is keyed by its question.
 * It returns 1 where the bytes end before the key is complete: k.hash is then 0. */
static __always_inline int request_key(struct __sk_buff *skb, const struct datagram *d, __u32 limit, int dns,
				       struct expect_key *k)
{
	struct dns_header question;
	__be16 words[4];

	k->src = d->dst;
	k->dst = d->src;
	k->protocol = d->protocol;
	k->kind = KIND_OTHER;
	if (d->fragment || d->l4 + 8 > limit || bpf_skb_load_bytes(skb, d->l4, words, sizeof(words))) {
		k->id = d->id;
		return 0;
	}
	if (has_ports(d->protocol)) {
		k->kind = KIND_FLOW;
		k->sport = words[1];
		k->dport = words[0];
	} else if (is_echo(d->protocol, words)) {
		k->kind = KIND_ECHO;
		k->sport = words[2];
		k->dport = words[3];
		if (d->end > limit)
			return 1;
		k->hash = payload_hash(skb, d->l4 + 8, d->end - d->l4 - 8);
		return 0;
	} else {
		k->id = d->id;
	}
	if (!dns || d->protocol != IPPROTO_UDP || d->end < d->l4 + 8 + DNS_HEADER)
		return 0;
	if (bpf_skb_load_bytes(skb, d->l4 + 8, &question, sizeof(question)))
		return 0;
	k->kind = KIND_DNS;
	k->id = question.id;
	if (d->end > limit)
		return 1;
	k->hash = question_hash(skb, d->l4 + 8, d->end);
	return 0;
}

#endif
