/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* match: TCX ingress on the wire interface, where replies come back.
 *
 * A reply that an expectation waits for gets its verdict and is stolen, so
 * that the kernel of the address's owner never sees it: it would answer a
 * SYN-ACK that it did not ask for with a reset. Everything else passes as it
 * came; a reply is ours only if it fits the request that we sent in every
 * field that can tell, so that a client which uses the same addresses at the
 * same time keeps its own. */
#include "request.h"
#include "response.h"
#include "segment.h"

#define TC_ACT_UNSPEC (-1) /* the next program decides */
#define TC_ACT_SHOT 2

#define ICMP_DEST_UNREACH 3
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12

#define ICMPV6_DEST_UNREACH 1
#define ICMPV6_PKT_TOOBIG 2
#define ICMPV6_TIME_EXCEED 3
#define ICMPV6_PARAMPROB 4

char _license[] SEC("license") = "Dual BSD/GPL";

/* Frames that no label can be charged with. */
enum oddity {
	ODD_FRAGMENT, /* passed: replies are matched unfragmented only */
	ODD_UNLINEAR, /* could not be read, passed */
	ODD_LOST,     /* segments not told to user space: the ring was full */
	ODDITIES,
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ODDITIES);
	__type(key, enum oddity);
	__type(value, __u64);
} oddities SEC(".maps");

static __always_inline int odd(enum oddity why)
{
	__u64 *n = bpf_map_lookup_elem(&oddities, &why);

	if (n)
		*n += 1;
	return TC_ACT_UNSPEC;
}

/* judge counts the verdict and steals the frame. */
static __always_inline int judge(struct expectation *v, __u32 reason)
{
	__u32 label = v->label;
	struct matched *count = bpf_map_lookup_elem(&matches, &label);

	if (!count)
		return TC_ACT_UNSPEC;
	settle(v, count, reason, bpf_ktime_get_ns());
	count->stolen++;
	return TC_ACT_SHOT;
}

static __always_inline struct rule *rule_of(const struct expectation *v)
{
	__u32 label = v->label;

	return bpf_map_lookup_elem(&rules, &label);
}

static __always_inline struct expectation *find(struct expect_key *k)
{
	return bpf_map_lookup_elem(&expectations, k);
}

/* find_hinted looks a key up whose hash the frame does not give. */
static __always_inline struct expectation *find_hinted(struct expect_key *k)
{
	__u32 *hint = hint_slot(k);

	k->hash = hint ? *hint : 0;
	return find(k);
}

static __always_inline int echo_reply(struct __sk_buff *skb, const struct datagram *at, const __be16 *words)
{
	struct expect_key k = {
		.src = at->src, .dst = at->dst, .sport = words[2], .dport = words[3],
		.kind = KIND_ECHO, .protocol = at->protocol,
	};
	struct expectation *v;
	struct rule *rule;

	k.hash = payload_hash(skb, at->l4 + 8, at->end - at->l4 - 8);
	v = find(&k);
	if (!v)
		return TC_ACT_UNSPEC;
	rule = rule_of(v);
	if (rule && (rule->answer == ANSWER_ECHO || rule->answer == ANSWER_REPLY))
		return judge(v, REASON_ANSWERED);
	return judge(v, REASON_UNEXPECTED);
}

/* tell passes a segment to user space, which drives the conversation. */
static __always_inline void tell(struct __sk_buff *skb, const struct expectation *v, const struct peer *s, __u32 l4,
				 __u32 verdict)
{
	__u32 n = s->data - l4 - sizeof(struct tcphdr);
	struct segment *e = bpf_ringbuf_reserve(&segments, sizeof(*e), 0);

	if (!e) {
		odd(ODD_LOST);
		return;
	}
	e->id = v->id;
	e->seq = s->seq;
	e->ack = s->ack;
	e->length = s->length;
	e->flags = s->flags;
	e->verdict = verdict;
	e->label = v->label;
	e->option_length = 0;
	if (n >= 4 && n <= TCP_OPTIONS) {
		/* Linux 6.1 forgets that n is not 0, but for this form. */
		opaque(n);
		n = ((n - 1) & (TCP_OPTIONS_ROOM - 1)) + 1;
		if (!bpf_skb_load_bytes(skb, l4 + sizeof(struct tcphdr), e->options, n))
			e->option_length = n;
	}
	bpf_ringbuf_submit(e, 0);
}

/* about says whether the TCP header that an error quotes is of the expectation's
 * conversation, and not of an earlier one with the same ports (RFC 5927, 4.1). */
static __always_inline int about(struct __sk_buff *skb, const struct expectation *v, const struct datagram *quoted)
{
	__be32 seq;

	return !bpf_skb_load_bytes(skb, quoted->l4 + 4, &seq, sizeof(seq)) && bpf_ntohl(seq) - v->iss <= TCP_SPAN;
}

/* conversation_error judges a conversation by an ICMP error. User space hears
 * of it as of a segment without flags, which no peer sends. */
static __always_inline int conversation_error(struct __sk_buff *skb, const struct datagram *at,
					      const struct datagram *quoted, struct expectation *v, __u32 reason)
{
	struct peer nobody = {.data = at->l4 + sizeof(struct tcphdr)};

	if (!about(skb, v, quoted))
		return TC_ACT_UNSPEC;
	tell(skb, v, &nobody, at->l4, reason);
	return judge(v, reason);
}

/* icmp_error finds the expectation of the packet that the error quotes. */
static __always_inline int icmp_error(struct __sk_buff *skb, const struct datagram *at, __u32 reason)
{
	struct datagram quoted;
	struct expectation *v;
	struct expect_key k;
	int dns;

	if (read_ip(skb, at->l4 + 8, &quoted))
		return TC_ACT_UNSPEC;

	/* What the quoted packet's label expects is not known yet. */
#pragma unroll
	for (dns = 1; dns >= 0; dns--) {
		int cut;

		__builtin_memset(&k, 0, sizeof(k));
		cut = request_key(skb, &quoted, at->end, dns, &k);
		v = cut ? find_hinted(&k) : find(&k);
		if (v && v->id & ID_CONVERSATION)
			return conversation_error(skb, at, &quoted, v, reason);
		if (v)
			return judge(v, reason);
	}
	return TC_ACT_UNSPEC;
}

/* icmp_reason is REASON_PENDING for messages that are no errors. */
static __always_inline __u32 icmp_reason(__u8 protocol, __u8 type, __u8 code)
{
	if (protocol == NEXT_ICMPV6) {
		switch (type) {
		case ICMPV6_DEST_UNREACH:
			return REASON_UNREACH6 + (code & 15);
		case ICMPV6_PKT_TOOBIG:
			return REASON_TOO_BIG;
		case ICMPV6_TIME_EXCEED:
			return REASON_TIME + (code & 1);
		case ICMPV6_PARAMPROB:
			return REASON_PARAMETER;
		}
		return REASON_PENDING;
	}
	switch (type) {
	case ICMP_DEST_UNREACH:
		return REASON_UNREACH + (code & 15);
	case ICMP_TIME_EXCEEDED:
		return REASON_TIME + (code & 1);
	case ICMP_PARAMETERPROB:
		return REASON_PARAMETER;
	}
	return REASON_PENDING;
}

static __always_inline int icmp(struct __sk_buff *skb, const struct datagram *at)
{
	__be16 words[4]; /* type and code, checksum, identifier, sequence */
	__u32 reason;
	__u8 type;

	if (at->l4 + sizeof(words) > at->end || bpf_skb_load_bytes(skb, at->l4, words, sizeof(words)))
		return TC_ACT_UNSPEC;
	type = bpf_ntohs(words[0]) >> 8;
	if (type == (at->protocol == NEXT_ICMPV6 ? ICMPV6_ECHO_REPLY : ICMP_ECHO_REPLY))
		return echo_reply(skb, at, words);
	reason = icmp_reason(at->protocol, type, bpf_ntohs(words[0]) & 0xff);
	return reason == REASON_PENDING ? TC_ACT_UNSPEC : icmp_error(skb, at, reason);
}

/* dns_reply is -2 where the datagram is no response that we wait for. */
static __always_inline int dns_reply(struct __sk_buff *skb, const struct datagram *at, struct expect_key *k)
{
	struct expectation *v;
	struct dns_header h;
	struct rule *rule;

	if (bpf_skb_load_bytes(skb, at->l4 + 8, &h, sizeof(h)) || !(h.flags & DNS_QR))
		return -2;
	k->kind = KIND_DNS;
	k->id = h.id;
	k->hash = h.questions ? question_hash(skb, at->l4 + 8, at->end) : 0;
	v = k->hash ? find(k) : find_hinted(k);
	if (!v)
		return -2;
	rule = rule_of(v);
	return judge(v, rule ? dns_reason(rule, &h) : REASON_UNEXPECTED);
}

/* flow_reply serves UDP and the other protocols with ports; TCP has its own. */
static __always_inline int flow_reply(struct __sk_buff *skb, const struct datagram *at)
{
	struct expect_key k = {.src = at->src, .dst = at->dst, .protocol = at->protocol};
	struct expectation *v;
	struct rule *rule;
	__be16 ports[2];
	int action;

	if (at->l4 + 8 > at->end || bpf_skb_load_bytes(skb, at->l4, ports, sizeof(ports)))
		return TC_ACT_UNSPEC;
	k.sport = ports[0];
	k.dport = ports[1];
	if (at->protocol == IPPROTO_UDP && at->l4 + 8 + DNS_HEADER <= at->end) {
		action = dns_reply(skb, at, &k);
		if (action != -2)
			return action;
	}
	k.kind = KIND_FLOW;
	k.id = 0;
	k.hash = 0;
	v = find(&k);
	if (!v)
		return TC_ACT_UNSPEC;
	rule = rule_of(v);
	return judge(v, rule && rule->answer == ANSWER_REPLY ? REASON_ANSWERED : REASON_UNEXPECTED);
}

static __always_inline int tcp_reply(struct __sk_buff *skb, const struct datagram *at)
{
	struct expect_key k = {.src = at->src, .dst = at->dst, .kind = KIND_FLOW, .protocol = IPPROTO_TCP};
	__u32 label, reason, verdict = REASON_PENDING;
	struct matched *count;
	struct expectation *v;
	struct tcphdr h;
	struct rule *rule;
	struct peer s;

	if (at->l4 + sizeof(h) > at->end || bpf_skb_load_bytes(skb, at->l4, &h, sizeof(h)))
		return TC_ACT_UNSPEC;
	k.sport = h.source;
	k.dport = h.dest;
	v = find(&k);
	if (!v)
		return TC_ACT_UNSPEC;
	s.seq = bpf_ntohl(h.seq);
	s.ack = bpf_ntohl(h.ack_seq);
	s.flags = ((__u8 *)&h)[13];
	s.data = at->l4 + h.doff * 4;
	if (h.doff < 5 || s.data > at->end || !belongs(v, &s))
		return TC_ACT_UNSPEC;
	s.length = at->end - s.data;
	label = v->label;
	rule = bpf_map_lookup_elem(&rules, &label);
	count = bpf_map_lookup_elem(&matches, &label);
	if (!rule || !count)
		return TC_ACT_UNSPEC;
	reason = v->flags & FLAG_CONVERSATION ? conversation_reason(skb, rule, v, &s) : single_reason(rule, &s);
	count->stolen++;
	if (reason == REASON_UNREAD)
		return TC_ACT_SHOT;
	if (reason != REASON_PENDING && v->state && settle(v, count, reason, bpf_ktime_get_ns()))
		verdict = reason;
	if (v->id & ID_CONVERSATION && (s.flags & (SYN | FIN | RST) || s.length || !(v->flags & FLAG_SENT)))
		tell(skb, v, &s, at->l4, verdict);
	return TC_ACT_SHOT;
}

/* matchable is for a whole packet of a protocol whose replies can be told. */
static __always_inline int matchable(struct __sk_buff *skb, const struct datagram *at)
{
	__be16 protocol = bpf_htons(ETH_P_IP);

	if (at->version == 6)
		protocol = bpf_htons(ETH_P_IPV6);
	if (skb->protocol != protocol || at->end > skb->len || at->l4 > at->end)
		return 0;
	return at->protocol == IPPROTO_ICMP || at->protocol == NEXT_ICMPV6 || has_ports(at->protocol);
}

/* unawaited is 1 where nobody waits for a reply of these addresses and ports. */
static __always_inline int unawaited(const struct addr *src, const struct addr *dst, __be16 sport, __be16 dport)
{
	__u64 *left = awaited_slot(src, dst, sport, dport);
	__u32 key = 0;
	__u64 *since = bpf_map_lookup_elem(&awaited_since, &key);

	return left && since && *left < *since;
}

/* foreign is 1 for what is known at a glance to be no reply to us: most of what
 * the gateway forwards. Whatever is not plain is looked at closely. */
static __always_inline int foreign(struct __sk_buff *skb)
{
	void *l3 = (void *)(long)skb->data + ETH_HLEN, *end = (void *)(long)skb->data_end;
	struct addr src, dst;
	__be16 *words;
	__u8 protocol;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		struct iphdr *ip = l3;

		words = l3 + sizeof(*ip);
		if ((void *)(words + 4) > end || *(__u8 *)l3 != 0x45 || ip->frag_off & bpf_htons(IP_FRAGMENT))
			return 0;
		protocol = ip->protocol;
		mapped(&src, ip->saddr);
		mapped(&dst, ip->daddr);
	} else {
		struct ipv6_fixed *ip = l3;

		words = l3 + sizeof(*ip);
		if ((void *)(words + 4) > end)
			return 0;
		protocol = ip->next;
		src = ip->src;
		dst = ip->dst;
	}
	if (has_ports(protocol))
		return unawaited(&src, &dst, words[0], words[1]);
	if (words[0] == bpf_htons((protocol == IPPROTO_ICMP ? ICMP_ECHO_REPLY : ICMPV6_ECHO_REPLY) << 8) &&
	    (protocol == IPPROTO_ICMP || protocol == NEXT_ICMPV6))
		return unawaited(&src, &dst, words[2], words[3]);
	return 0;
}

SEC("tc")
int match(struct __sk_buff *skb)
{
	struct datagram at; /* what follows its end is padding */

	if (skb->vlan_present || (skb->protocol != bpf_htons(ETH_P_IP) && skb->protocol != bpf_htons(ETH_P_IPV6)))
		return TC_ACT_UNSPEC;
	if (foreign(skb) || read_ip(skb, ETH_HLEN, &at))
		return TC_ACT_UNSPEC;
	if (at.fragment)
		return odd(ODD_FRAGMENT);
	if (!matchable(skb, &at))
		return TC_ACT_UNSPEC;
	if (at.protocol == IPPROTO_TCP)
		return tcp_reply(skb, &at);
	/* Hashes read the whole of a short reply; drivers may leave it in pages. */
	if ((void *)(long)skb->data + at.end > (void *)(long)skb->data_end && bpf_skb_pull_data(skb, at.end))
		return odd(ODD_UNLINEAR);
	if (at.protocol == IPPROTO_ICMP || at.protocol == NEXT_ICMPV6)
		return icmp(skb, &at);
	return flow_reply(skb, &at);
}
