/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The bound on the rate that nothing in user space can exceed: a token bucket
 * for all CPUs together, as the time at which the next frame is due (the
 * generic cell rate algorithm, ITU-T I.371 annex A). */
#ifndef PACGAN_PACE_H
#define PACGAN_PACE_H

#include <linux/types.h>
#include <bpf/bpf_helpers.h>

/* Opening frames and all others have a bucket each: a conversation's segments
 * must not wait for packets that are yet to come. */
struct pace {
	__u64 gap_ns;   /* between frames on average; 0: no bound */
	__u64 ahead_ns; /* how far before its time a frame may come: the bucket's depth */
};

volatile struct pace pace_opening = {};
volatile struct pace pace_following = {};

__u64 due_opening;
__u64 due_following;

/* How often another CPU may be quicker. Beyond it a frame is refused. */
#define PACE_TRIES 8

static __always_inline int take(__u64 *due, __u64 gap, __u64 ahead, __u64 now)
{
	__u64 was, next;
	int i;

	if (!gap)
		return 1;
	for (i = 0; i < PACE_TRIES; i++) {
		was = *(volatile __u64 *)due;
		next = was > now ? was : now;
		if (next - now > ahead)
			return 0;
		if (__sync_val_compare_and_swap(due, was, next + gap) == was)
			return 1;
	}
	return 0;
}

static __always_inline int in_pace(int opens, __u64 now)
{
	if (opens)
		return take(&due_opening, pace_opening.gap_ns, pace_opening.ahead_ns, now);
	return take(&due_following, pace_following.gap_ns, pace_following.ahead_ns, now);
}

#endif
