/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What guard, match and sweep share: an expectation is one generated packet
 * (or several equal ones) on its way, kept under the key that its reply will
 * have. User space owns the maps; all three programs use the same ones.
 *
 * Every pending packet leaves an expectation once: matched (match.c) or
 * expired (sweep.c), by an atomic operation on `state`. So no packet is
 * counted twice, and none is lost: the table is a plain hash, not an LRU,
 * because an LRU would evict pending packets without a word. When it is full
 * the guard refuses the packet and counts that. */
#ifndef PACGAN_EXPECT_H
#define PACGAN_EXPECT_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "mark.h"

#define MAX_LABELS 96 /* three slots of counts for each of 32 labels */
#define HINTS 65536
#define AWAITED 262144

/* What a label's packets are answered by (DESIGN.md, "What a valid response is"). */
enum answer {
	ANSWER_NONE,
	ANSWER_ECHO,
	ANSWER_DNS,
	ANSWER_HTTP,
	ANSWER_REPLY,
};

/* What tells one expectation from another, beside addresses and protocol. */
enum kind {
	KIND_OTHER, /* nothing: only an ICMP error can match, or time */
	KIND_FLOW,  /* ports */
	KIND_ECHO,  /* ICMP or ICMPv6; sport: identifier, dport: sequence number, hash: payload */
	KIND_DNS,   /* ports, id, hash: question */
};

/* An IPv6 address, or an IPv4 address as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2). */
struct addr {
	__be32 w[4];
};

/* Addresses and ports as they stand in the reply: src is who answers. */
struct expect_key {
	struct addr src;
	struct addr dst;
	__be16 sport;
	__be16 dport;
	__be16 id; /* DNS transaction id; the IPv4 identification of KIND_OTHER */
	__u8 kind;
	__u8 protocol;
	__u32 hash;
};

/* expectation.state: how many equal packets are pending, or that sweep.c has
 * taken the entry and is deleting it. Once dead, always dead. */
#define STATE_DEAD 0x80000000

/* In expectation.id: user space holds the conversation and hears of its segments. */
#define ID_CONVERSATION 0x80000000

/* expectation.flags */
#define FLAG_CONVERSATION 1 /* the generated packet follows the opening SYN */
#define FLAG_SENT 2         /* ... and has passed the guard */
#define FLAG_SYNACKED 4     /* the peer has accepted the SYN */
#define FLAG_READING 8      /* the response's status is accepted, its text looked for */

struct expectation {
	__u64 first_ns; /* when the oldest pending packet left: what expires */
	__u64 sent_ns;  /* when the newest generated packet left: RTT */
	__u64 left_ns;  /* when the newest packet left; of a conversation, its SYN */
	__u32 state;
	__u32 id;   /* user space's number of the packet or conversation */
	__u32 iss;  /* TCP: sequence number of the segment that opened it */
	__u32 next; /* TCP: the sequence number expected of the peer */
	__u8 label;
	__u8 flags;
	/* FLAG_READING: */
	__u8 text;    /* state of the label's automaton */
	__u8 framing; /* where in the response we are (framing.h) ... */
	__u32 left;   /* ... and how many bytes of its body or chunk follow */
};

/* How a label's replies are judged. */
struct rule {
	enum answer answer;
	__u32 rcodes;      /* bit n: DNS RCODE n counts as answered */
	__u64 statuses[8]; /* bit n: HTTP status 100+n counts as answered */
	__u32 text;        /* a response must hold the text of its automaton (text.h) */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 262144);
	__type(key, struct expect_key);
	__type(value, struct expectation);
} expectations SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_LABELS);
	__type(key, __u32);
	__type(value, struct rule);
} rules SEC(".maps");

/* The hash of the last request of a flow and id, for replies that quote too
 * little of it to compute the hash again: an ICMP error with eight bytes of
 * the request, a FORMERR without the question. Only a hint: what it leads to
 * must be in `expectations`. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, HINTS);
	__type(key, __u32);
	__type(value, __u32);
} hints SEC(".maps");

/* When a packet last left whose reply would have these addresses and ports, in
 * a slot that others may share: no expectation is younger than its slot says. So
 * most of what is not ours is known at a glance, without the table. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, AWAITED);
	__type(key, __u32);
	__type(value, __u64);
} awaited SEC(".maps");

/* What the sweep says: every expectation is from this moment on, or later. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} awaited_since SEC(".maps");

static __always_inline __u64 pair(__u32 high, __u32 low)
{
	return (__u64)high << 32 | low;
}

static __always_inline __u64 mix(__u64 h, __u64 word)
{
	h = (h ^ word) * 0x9e3779b97f4a7c15ULL;
	return h ^ (h >> 32);
}

/* hint_slot is where the hint for a key stands; it ignores the key's hash. */
static __always_inline __u32 *hint_slot(const struct expect_key *k)
{
	__u64 h = mix(pair(k->src.w[0], k->src.w[1]), pair(k->src.w[2], k->src.w[3]));
	__u32 slot;

	h = mix(h, pair(k->dst.w[0], k->dst.w[1]));
	h = mix(h, pair(k->dst.w[2], k->dst.w[3]));
	h = mix(h, ((__u64)k->sport << 16) | k->dport);
	slot = mix(h, ((__u64)k->id << 16) | (k->kind << 8) | k->protocol) % HINTS;

	return bpf_map_lookup_elem(&hints, &slot);
}

/* awaited_slot is where `awaited` has what a reply from src to dst would answer.
 * The words that are the same in all IPv4 addresses come first: the compiler
 * knows their hash. */
static __always_inline __u64 *awaited_slot(const struct addr *src, const struct addr *dst, __be16 sport, __be16 dport)
{
	__u64 h = mix(mix(pair(src->w[0], src->w[1]), pair(dst->w[0], dst->w[1])), pair(src->w[2], dst->w[2]));
	__u32 slot;

	h = mix(h, pair(src->w[3], dst->w[3]));
	slot = mix(h, (__u64)sport << 16 | dport) % AWAITED;

	return bpf_map_lookup_elem(&awaited, &slot);
}

/* await notes that a reply to the key may come. */
static __always_inline void await(const struct expect_key *k, __u64 now)
{
	__u64 *left = awaited_slot(&k->src, &k->dst, k->sport, k->dport);

	if (left)
		*left = now;
}

#endif
