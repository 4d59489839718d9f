/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* guard and near: the only way from our socket to the wire.
 *
 * A frame written to inj0 meets one of them. It leaves through the wire interface
 * if its destination is allowed, somebody minds us and the rate is within its
 * bound, marked and with the wire's source address; the reply that it should
 * cause is written down first. Everything else is dropped and counted: there
 * is no path on which a frame is passed up, and without this program nothing
 * takes frames off inj1 at all. */
#include "pace.h"
#include "request.h"
#include "tell.h"

#include <linux/pkt_cls.h>

char _license[] SEC("license") = "Dual BSD/GPL";

/* Set by user space before loading. */
volatile const __u32 wire_ifindex = 0;
volatile const __u32 wire_flags = 0; /* of bpf_redirect */
volatile const __u8 wire_mac[ETH_ALEN] = {};

/* Set by user space whenever there is a label more. */
volatile __u32 label_count = 0;

/* Until when frames may leave, in bpf_ktime_get_ns; 0: paused. User space moves
 * it on while it sends: what a process left behind that hangs, was stopped or
 * has died stays here. */
volatile __u64 open_until = 0;

/* User space tells about a frame in its source address, which every way of
 * sending carries: 0x02 (a local unicast address) and these flags, the label's
 * index, the id in network order. */
#define META_LOCAL 0x02
#define META_OPENS 0x04        /* opens an expectation: blocked is counted on these */
#define META_GENERATED 0x08    /* the generated packet itself: on_wire is counted on these */
#define META_CONVERSATION 0x10 /* belongs to a TCP conversation that we hold */

/* The label of frames by which user space measures its ways of sending. They
 * leave from nowhere, but what comes by the cable goes back over it: so each
 * has as many veths before it as a frame that leaves. */
#define PROBE_LABEL 0xff

struct meta {
	__u8 flags;
	__u8 label;
	__be32 id;
} __attribute__((packed));

/* A prefix of addresses within an allowed one that are refused nevertheless:
 * this machine's own, broadcast, multicast, its other interfaces' networks. */
#define RESERVED 0x80

/* Allowed prefixes, swapped as a whole: replacing the inner map waits until
 * no program uses the old one. */
struct prefix {
	__u32 bits; /* of 128 */
	struct addr addr;
};

struct allow_list {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2048);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct prefix);
	__type(value, __u8); /* of which version of IP the prefix is, RESERVED beside it */
} allow_none SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 1);
	__type(key, __u32);
	__array(values, struct allow_list);
} allow SEC(".maps") = {.values = {&allow_none}};

/* What became of a label's frames. Every opening frame is in one of all but the last. */
struct passage {
	__u64 expected; /* expectation written, frame sent on */
	__u64 unasked;  /* the label expects no answer; frame sent on */
	__u64 blocked;  /* destination not allowed, or not a plain IP frame */
	__u64 reserved; /* destination refused though it is allowed */
	__u64 paused;   /* by whoever may */
	__u64 stale;    /* nobody has minded us for too long */
	__u64 fast;     /* above the bound on the rate */
	__u64 full;     /* no room for the expectation */
	__u64 busy;     /* its entry is being deleted, or holds another label's packet */
	__u64 on_wire;  /* generated packets sent on */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_LABELS);
	__type(key, __u32);
	__type(value, struct passage);
} passages SEC(".maps");

/* Why frames were dropped, whatever they were. */
enum drop {
	DROP_FOREIGN,     /* not written by us: no label of ours in its source address */
	DROP_NOT_IP,      /* or tagged, or its lengths disagree */
	DROP_NOT_ALLOWED, /* destination outside the allow-list, or one of several */
	DROP_UNEXPECTED,  /* no room for its expectation */
	DROP_RESERVED,    /* destination refused though it is allowed */
	DROP_PAUSED,
	DROP_STALE, /* nobody has minded us for too long */
	DROP_FAST,  /* above the bound on the rate */
	DROPS,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, DROPS);
	__type(key, enum drop);
	__type(value, __u64);
} drops SEC(".maps");

static __always_inline int drop(enum drop why)
{
	__u64 *n = bpf_map_lookup_elem(&drops, &why);

	if (n)
		*n += 1;
	return TC_ACT_SHOT;
}

/* refused says of a destination that no packet may go there, and why. */
static __always_inline int refused(const struct datagram *d, enum drop *why)
{
	struct prefix host = {.bits = 128, .addr = d->dst};
	__u32 current = 0;
	void *list = bpf_map_lookup_elem(&allow, &current);
	__u8 *version = list ? bpf_map_lookup_elem(list, &host) : NULL;

	if (version && *version == d->version) /* ::/0 allows no IPv4 */
		return 0;
	*why = version && *version == (RESERVED | d->version) ? DROP_RESERVED : DROP_NOT_ALLOWED;
	return 1;
}

/* IPv4 options that name addresses to pass (RFC 791). */
#define OPTION_END 0
#define OPTION_NOP 1
#define OPTION_LOOSE_ROUTE 131
#define OPTION_STRICT_ROUTE 137
#define IPV4_OPTIONS 40 /* bytes that a header has room for */

/* source_routed finds packets whose destination is only the next of several:
 * they would go on to where no allow-list has a say. */
static __always_inline int source_routed(struct __sk_buff *skb, const struct datagram *d)
{
	__u32 at = ETH_HLEN + sizeof(struct iphdr);
	__u8 option[2]; /* type and length */
	int i;

	if (d->version != 4 || d->l4 <= at)
		return d->routed;
	for (i = 0; i < IPV4_OPTIONS && at < d->l4; i++) {
		if (bpf_skb_load_bytes(skb, at, option, sizeof(option)) || option[0] == OPTION_END)
			return 0;
		if (option[0] == OPTION_LOOSE_ROUTE || option[0] == OPTION_STRICT_ROUTE)
			return 1;
		if (option[0] != OPTION_NOP && option[1] < 2)
			return 0; /* nobody takes such a header */
		at += option[0] == OPTION_NOP ? 1 : option[1];
	}
	return 0;
}

static __always_inline int frame_key(struct __sk_buff *skb, const struct datagram *d, const struct rule *rule,
				     struct expect_key *k)
{
	return request_key(skb, d, skb->len, rule->answer == ANSWER_DNS, k);
}

/* describe writes what is known of a packet into its expectation. */
static __always_inline void describe(struct __sk_buff *skb, struct expectation *v, const struct meta *meta,
				     const struct datagram *d)
{
	__be32 numbers[2]; /* of the TCP header: sequence, acknowledgement */

	v->id = bpf_ntohl(meta->id);
	v->label = meta->label;
	v->flags = meta->flags & META_CONVERSATION ? FLAG_CONVERSATION : 0;
	v->iss = v->next = 0;
	v->text = v->framing = 0;
	v->left = 0;
	if (d->protocol != IPPROTO_TCP || bpf_skb_load_bytes(skb, d->l4 + 4, numbers, 8))
		return;
	v->iss = bpf_ntohl(numbers[0]);
	v->next = bpf_ntohl(numbers[1]);
}

/* expect writes down the reply that the frame should cause. */
static __always_inline int expect(struct __sk_buff *skb, const struct rule *rule, const struct meta *meta,
				  const struct datagram *d, __u64 now, struct passage *count)
{
	struct expectation fresh = {.first_ns = now, .sent_ns = now, .left_ns = now, .state = 1};
	struct expect_key k = {};
	struct expectation *v;
	__u32 *hint;

	frame_key(skb, d, rule, &k);
	if (k.hash) {
		hint = hint_slot(&k);
		if (hint)
			*hint = k.hash;
	}
	describe(skb, &fresh, meta, d);
	if (!bpf_map_update_elem(&expectations, &k, &fresh, BPF_NOEXIST))
		goto opened;
	v = bpf_map_lookup_elem(&expectations, &k);
	if (!v)
		goto full;
	/* An equal packet, or the flow's last one, has been here. The label
	 * owns what is pending: a count must not move to another label. */
	if (v->state == 0)
		v->first_ns = now;
	else if (v->label != meta->label)
		goto busy;
	if (v->state)
		testify(bpf_ntohl(meta->id), meta->label, TIDING_JOINED, v->id, v->left_ns);
	v->sent_ns = v->left_ns = now;
	describe(skb, v, meta, d);
	if (__sync_fetch_and_add(&v->state, 1) & STATE_DEAD)
		goto busy;
opened:
	await(&k, now);
	count->expected++;
	return 0;
full:
	count->full++;
	testify(bpf_ntohl(meta->id), meta->label, TIDING_FULL, 0, 0);
	return -1;
busy:
	count->busy++;
	testify(bpf_ntohl(meta->id), meta->label, TIDING_BUSY, 0, 0);
	return -1;
}

static __always_inline void unasked(struct passage *count, const struct meta *meta, __u64 now)
{
	count->unasked++;
	testify(bpf_ntohl(meta->id), meta->label, TIDING_UNASKED, 0, now);
}

/* departed notes when the generated segment of a conversation leaves: from
 * here its round-trip time and its timeout count. */
static __always_inline void departed(struct __sk_buff *skb, const struct datagram *d, const struct rule *rule,
				     const struct meta *meta, __u64 now)
{
	struct expect_key k = {};
	struct expectation *v;

	if (frame_key(skb, d, rule, &k))
		return;
	v = bpf_map_lookup_elem(&expectations, &k);
	if (!v || v->id != bpf_ntohl(meta->id))
		return; /* expired on the way */
	v->first_ns = v->sent_ns = now;
	await(&k, now);
	v->flags |= FLAG_SENT;
}

/* refuse drops a frame that must not leave; a packet is blocked once, however
 * many frames it has. */
static __always_inline int refuse(struct passage *count, const struct meta *meta, enum drop why)
{
	if (meta->flags & META_OPENS) {
		switch (why) {
		case DROP_RESERVED:
			count->reserved++;
			break;
		case DROP_PAUSED:
			count->paused++;
			break;
		case DROP_STALE:
			count->stale++;
			break;
		case DROP_FAST:
			count->fast++;
			break;
		default:
			count->blocked++;
		}
		testify(bpf_ntohl(meta->id), meta->label, TIDING_BLOCKED, why, 0);
	}
	return drop(why);
}

/* leave gives the frame the wire's source address and our mark, and sends it. */
static __always_inline int leave(struct __sk_buff *skb)
{
	struct ethhdr *eth = (void *)(long)skb->data;
	int i;

	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return drop(DROP_NOT_IP);
#pragma unroll
	for (i = 0; i < ETH_ALEN; i++) /* memcpy would drop volatile, and read the zeros of before loading */
		eth->h_source[i] = wire_mac[i];
	skb->mark = PACGAN_MARK;
	return bpf_redirect(wire_ifindex, wire_flags);
}

/* plain_ip is for an untagged frame with one IP packet and nothing more. */
static __always_inline int plain_ip(struct __sk_buff *skb, __be16 protocol, struct datagram *d)
{
	__be16 expected = bpf_htons(ETH_P_IP);

	if (skb->vlan_present || read_ip(skb, ETH_HLEN, d))
		return 0;
	if (d->version == 6)
		expected = bpf_htons(ETH_P_IPV6);
	return protocol == expected && d->end == skb->len && d->l4 <= d->end;
}

/* judge sends a frame on or refuses it. */
static __noinline int judge(struct __sk_buff *skb)
{
	struct datagram d;
	struct passage *count;
	struct ethhdr *eth;
	__be16 protocol;
	struct rule *rule;
	struct meta meta;
	__u32 label;
	enum drop why;
	__u64 now;

	if (bpf_skb_pull_data(skb, skb->len))
		return drop(DROP_NOT_IP);
	eth = (void *)(long)skb->data;
	if ((void *)(eth + 1) > (void *)(long)skb->data_end)
		return drop(DROP_NOT_IP);
	__builtin_memcpy(&meta, eth->h_source, sizeof(meta));
	protocol = eth->h_proto;
	label = meta.label;
	rule = bpf_map_lookup_elem(&rules, &label);
	count = bpf_map_lookup_elem(&passages, &label);
	if (!(meta.flags & META_LOCAL) || label >= label_count || !rule || !count) {
		drop(DROP_FOREIGN);
		return label == PROBE_LABEL && skb->ingress_ifindex ? bpf_redirect(skb->ifindex, 0) : TC_ACT_SHOT;
	}

	now = bpf_ktime_get_ns();
	if (now >= open_until)
		return refuse(count, &meta, open_until ? DROP_STALE : DROP_PAUSED);
	if (!plain_ip(skb, protocol, &d))
		return refuse(count, &meta, DROP_NOT_IP);
	if (refused(&d, &why))
		return refuse(count, &meta, why);
	if (source_routed(skb, &d))
		return refuse(count, &meta, DROP_NOT_ALLOWED);
	if (!in_pace(meta.flags & META_OPENS, now))
		return refuse(count, &meta, DROP_FAST);
	if (meta.flags & META_OPENS) {
		if (rule->answer == ANSWER_NONE)
			unasked(count, &meta, now);
		else if (expect(skb, rule, &meta, &d, now, count))
			return drop(DROP_UNEXPECTED);
	} else if (meta.flags & META_GENERATED) {
		departed(skb, &d, rule, &meta, now);
	}
	if (meta.flags & META_GENERATED)
		count->on_wire++;
	return leave(skb);
}

/* near: TCX egress on inj0. What leaves from here has no need of the cable,
 * which costs as much again as the wire does. To refuse a frame here would be
 * an error of sending, where it is counted already: so it goes on, marked. */
SEC("tc")
int near(struct __sk_buff *skb)
{
	int action = judge(skb);

	if (action != TC_ACT_SHOT)
		return action;
	skb->mark = REFUSED_MARK;
	return TC_ACT_UNSPEC;
}

/* guard: TCX ingress on inj1, for what has not met near: live.c's frames, which
 * come in there. */
SEC("tc")
int guard(struct __sk_buff *skb)
{
	return skb->mark == REFUSED_MARK ? TC_ACT_SHOT : judge(skb);
}
