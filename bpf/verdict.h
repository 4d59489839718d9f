/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* How the matcher counts what became of a pending packet. */
#ifndef PACGAN_VERDICT_H
#define PACGAN_VERDICT_H

#include "expect.h"
#include "tell.h"

/* Why a reply is no valid response. Numbers from 100 to 599 are HTTP statuses. */
enum reason {
	REASON_ANSWERED,
	REASON_RST,          /* TCP reset */
	REASON_CLOSED,       /* the peer closed the conversation without an answer */
	REASON_NOT_HTTP,     /* what came first is no HTTP/1 status line */
	REASON_UNEXPECTED,   /* a reply of the flow, but not of the label's protocol */
	REASON_TRUNCATED,    /* DNS: no answer, and the TC bit says why; HTTP: closed before its end */
	REASON_MALFORMED,    /* DNS: shorter than its header */
	REASON_NO_TEXT,      /* HTTP: ended without the text that it must hold */
	REASON_RCODE = 16,   /* + DNS RCODE; + 0: NOERROR without an answer */
	REASON_UNREACH = 32, /* + code of ICMP destination unreachable */
	REASON_TIME = 48,    /* + code of ICMP time exceeded */
	REASON_PARAMETER = 50,
	REASON_UNREACH6 = 64, /* + code of ICMPv6 destination unreachable */
	REASON_TOO_BIG = 80,  /* ICMPv6 packet too big */
	REASON_HTTP = 100,
	REASONS = 600,
	REASON_PENDING, /* no verdict yet; never counted */
	REASON_UNREAD,  /* ... and taken for lost: the peer repeats the segment */
};

/* A histogram of RTTs in nanoseconds: exact below 16, then 16 bins for each
 * doubling, the last one open (from 2^34 ns, 17 s). */
#define RTT_BINS 512

/* What became of one label's packets. */
struct matched {
	__u64 answered;
	__u64 late;      /* replies after the timeout: no verdict */
	__u64 duplicate; /* replies to what had its verdict already */
	__u64 stolen;    /* frames kept from the kernel, whatever they were */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_LABELS);
	__type(key, __u32);
	__type(value, struct matched);
} matches SEC(".maps");

struct rejected {
	__u64 by[REASONS]; /* enum reason */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_LABELS);
	__type(key, __u32);
	__type(value, struct rejected);
} rejections SEC(".maps");

struct histogram {
	__u64 bins[RTT_BINS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_LABELS);
	__type(key, __u32);
	__type(value, struct histogram);
} rtts SEC(".maps");

/* Set by user space before loading: a reply that is older is late. */
volatile const __u64 timeout_ns = 2000000000;

/* rtt_bin finds the histogram's bin by the highest set bit and the four below it. */
static __always_inline __u32 rtt_bin(__u64 ns)
{
	__u64 v = ns;
	__u32 top = 0, bin;

	if (ns < 16)
		return ns;
	if (v >> 32) { v >>= 32; top += 32; }
	if (v >> 16) { v >>= 16; top += 16; }
	if (v >> 8) { v >>= 8; top += 8; }
	if (v >> 4) { v >>= 4; top += 4; }
	if (v >> 2) { v >>= 2; top += 2; }
	top += v >> 1;
	bin = (top - 3) * 16 + ((ns >> (top - 4)) & 15);
	return bin < RTT_BINS ? bin : RTT_BINS - 1;
}

/* claim takes one pending packet off an expectation; 0: there is none. The
 * loop turns only where another CPU changes the same entry at this moment. */
static __always_inline int claim(struct expectation *v)
{
	__u32 state = v->state;
	int i;

	for (i = 0; i < 16; i++) {
		__u32 seen;

		if (state == 0 || state & STATE_DEAD)
			return 0;
		seen = __sync_val_compare_and_swap(&v->state, state, state - 1);
		if (seen == state)
			return 1;
		state = seen;
	}
	return 0;
}

static __always_inline void count_rejected(__u32 label, __u32 reason)
{
	struct rejected *r = bpf_map_lookup_elem(&rejections, &label);

	if (r && reason < REASONS)
		r->by[reason]++;
}

static __always_inline void count_rtt(__u32 label, __u64 ns)
{
	struct histogram *h = bpf_map_lookup_elem(&rtts, &label);
	__u32 bin = rtt_bin(ns);

	if (h && bin < RTT_BINS)
		h->bins[bin]++;
}

/* settle counts a verdict on the expectation, if it still has one coming;
 * it returns whether it counted. */
static __always_inline int settle(struct expectation *v, struct matched *count, __u32 reason, __u64 now)
{
	__u64 sent = v->sent_ns, left = v->left_ns;
	__u32 label = v->label;
	__u64 rtt = now > sent ? now - sent : 0;
	/* A later packet may have the entry once this one is off it. */
	struct told t = {
		.rtt_ns = rtt, .left_ns = left, .span_ns = now > left ? now - left : 0,
		.id = v->id, .other = reason, .label = label, .what = TIDING_SETTLED,
	};

	if (now > v->first_ns + timeout_ns) {
		count->late++; /* sweep counts it as expired */
		return 0;
	}
	if (!claim(v)) {
		count->duplicate++;
		return 0;
	}
	if (telling)
		tell_truth(&t);
	if (reason != REASON_ANSWERED) {
		count_rejected(label, reason);
		return 1;
	}
	count->answered++;
	count_rtt(label, rtt);
	return 1;
}

#endif
