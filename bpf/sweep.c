/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* sweep: run by user space every quarter of a second and before counts are
 * read. It takes what is pending for longer than the timeout as expired, and
 * deletes entries some time after their last packet had its verdict: until
 * then late and repeated replies are still known as ours. In the kernel,
 * because only here taking a packet off an entry is one atomic step. */
#include "expect.h"
#include "tell.h"

char _license[] SEC("license") = "Dual BSD/GPL";

volatile const __u64 timeout_ns = 2000000000;

struct swept {
	__u64 expired;  /* since loading */
	__u64 inflight; /* pending, as the last sweep found them */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_LABELS);
	__type(key, __u32);
	__type(value, struct swept);
} sweeps SEC(".maps");

static long visit(void *map, struct expect_key *key, struct expectation *v, __u64 *now)
{
	__u64 first = v->first_ns;
	__u64 age = *now > first ? *now - first : 0;
	__u32 label = v->label, state = v->state;
	struct expect_key k;
	struct swept *count;

	if (!state && age <= 2 * timeout_ns)
		return 0;
	count = bpf_map_lookup_elem(&sweeps, &label);
	if (!count)
		return 0;
	if (state && age > timeout_ns) {
		__u64 left = v->left_ns;
		__u32 id = v->id, n = __sync_lock_test_and_set(&v->state, 0);

		count->expired += n;
		if (n)
			testify(id, label, TIDING_EXPIRED, n, left);
		return 0;
	}
	count->inflight += state;
	if (state)
		return 0;
	k = *key;
	/* A packet that the guard adds from here on finds the entry dead and is refused. */
	if (__sync_val_compare_and_swap(&v->state, 0, STATE_DEAD) == 0)
		bpf_map_delete_elem(&expectations, &k);
	return 0;
}

__u64 previous_ns; /* when the last sweep began */

/* swept_until tells the matcher how far back expectations may reach now. One that
 * was older than two timeouts when the last sweep began was expired by it, if
 * it had not been before, and deleted by this one at the latest. */
static __always_inline void swept_until(__u64 now)
{
	__u32 key = 0;
	__u64 *since = bpf_map_lookup_elem(&awaited_since, &key);

	if (since && previous_ns > 2 * timeout_ns)
		*since = previous_ns - 2 * timeout_ns;
	previous_ns = now;
}

SEC("syscall")
int sweep(void *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	__u32 i;

	for (i = 0; i < MAX_LABELS; i++) {
		__u32 label = i;
		struct swept *count = bpf_map_lookup_elem(&sweeps, &label);

		if (count)
			count->inflight = 0;
	}
	bpf_for_each_map_elem(&expectations, visit, &now, 0);
	swept_until(now);
	return 0;
}
