/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What the programs tell user space about single packets, beside counting
 * them: only where a truth record of each packet is kept. What the ring cannot
 * take is counted in `untold`; the counts of packets do not depend on it. */
#ifndef PACGAN_TELL_H
#define PACGAN_TELL_H

#include "expect.h"

/* Set by user space before loading; 0: nobody listens, and nothing is told. */
volatile const __u8 telling = 0;

enum tiding {
	TIDING_SETTLED, /* a verdict; other: enum reason */
	TIDING_EXPIRED, /* other: how many equal packets */
	TIDING_UNASKED, /* sent on, no answer is expected */
	TIDING_BLOCKED, /* refused; other: enum drop of guard.c */
	TIDING_FULL,    /* refused: no room for the expectation */
	TIDING_BUSY,    /* refused: another label's packet is expected under its key */
	TIDING_JOINED,  /* pending together with an equal packet; other: the id of that */
};

struct told {
	__u64 rtt_ns;  /* TIDING_SETTLED */
	__u64 left_ns; /* expectation.left_ns, of TIDING_JOINED other's; 0: never left */
	__u64 span_ns; /* TIDING_SETTLED: from left_ns to the reply */
	__u32 id;      /* expectation.id */
	__u32 other;
	__u32 label;
	enum tiding what;
};

/* Read after each sweep and never waited for: nobody is woken for a packet. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
	__type(value, struct told); /* for bpf2go -type; the map itself has none */
} tidings SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} untold SEC(".maps");

static __noinline int tell_truth(struct told *t)
{
	__u32 key = 0;
	__u64 *lost;

	if (!bpf_ringbuf_output(&tidings, t, sizeof(*t), BPF_RB_NO_WAKEUP))
		return 0;
	lost = bpf_map_lookup_elem(&untold, &key);
	if (lost)
		__sync_fetch_and_add(lost, 1);
	return 0;
}

static __always_inline void testify(__u32 id, __u32 label, enum tiding what, __u32 other, __u64 left_ns)
{
	struct told t = {.left_ns = left_ns, .id = id, .other = other, .label = label, .what = what};

	if (telling)
		tell_truth(&t);
}

#endif
