// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * capture.c: hands every frame that a label's filter matches to user space, whole, with the label
 * and the kernel's time. Ingress of the clients' side; by TCX, or clsact below kernel 6.6. It
 * changes no frame and drops none: the verdict is always TC_ACT_UNSPEC, "next" in both.
 *
 * The filters are spliced in place of classify() before loading (internal/capture/splice.go).
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "mark.h"

#define MAX_LABELS 32

/* Room for a frame in a record. A record's size must be a constant to be reserved, so that there
 * are three; each is a power of two, so that a length can be bounded by a mask. */
#define SMALL_ROOM 256
#define MEDIUM_ROOM 2048
#define LARGE_ROOM 16384

/* What goes before each frame in the ring. */
struct frame_header {
	__u64 time_ns; /* bpf_ktime_get_ns: CLOCK_MONOTONIC */
	__u32 len;     /* bytes of the frame that follow; the rest of the record is not ours */
	__u32 label;   /* index, in the order of matching */
};

/* What became of the frames that a label matched; each is counted once. */
struct label_counts {
	__u64 labelled; /* handed to user space */
	__u64 dropped;  /* the ring was full */
	__u64 oversize; /* longer than snap_bytes */
};

/* What came in, whatever it was. */
struct total_counts {
	__u64 seen;
	__u64 ours; /* carried our mark: not looked at */
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20); /* user space sets it */
} frames SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_LABELS);
	__type(key, __u32);
	__type(value, struct label_counts);
} per_label SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct total_counts);
} totals SEC(".maps");

/* Set by user space before loading. */
volatile const __u32 snap_bytes = MEDIUM_ROOM; /* longest frame taken, at most LARGE_ROOM */
volatile const __u32 wake_bytes = 1 << 18;     /* written to the ring from one wake-up to the next */

/* The structs reach user space by their types alone (bpf2go -type). */
const struct frame_header *unused_frame_header __attribute__((unused));
const struct label_counts *unused_label_counts __attribute__((unused));
const struct total_counts *unused_total_counts __attribute__((unused));

/*
 * classify returns 1 + the index of the first label whose filter matches, 0 for none. The body is
 * a stub. It is global, so that the verifier checks it once and apart, knowing nothing but the
 * context's type; the asm keeps the compiler from using what the stub returns.
 */
__attribute__((noinline)) int classify(struct __sk_buff *skb)
{
	int label = 0;

	asm volatile("" : "+r"(label) : "r"(skb));
	return label;
}

/*
 * wake asks for a wake-up once in wake_bytes (a power of two) of records, of which this one is the
 * last. Two CPUs that reserve at the same time may miss one: user space also looks by a timer.
 */
static __always_inline __u64 wake(__u32 record)
{
	__u64 now = bpf_ringbuf_query(&frames, BPF_RB_PROD_POS);

	if ((now ^ (now - record)) & ~((__u64)wake_bytes - 1))
		return BPF_RB_FORCE_WAKEUP;
	return BPF_RB_NO_WAKEUP;
}

/* store copies len <= room bytes of the frame into the ring; false where it is full. */
static __always_inline int store(struct __sk_buff *skb, __u32 label, __u32 len, const __u32 room)
{
	struct frame_header *header = bpf_ringbuf_reserve(&frames, sizeof(*header) + room, 0);

	if (!header)
		return 0;
	header->time_ns = bpf_ktime_get_ns();
	header->len = len;
	header->label = label;
	/* Older verifiers lose the bounds that the callers checked: give them some that cannot be lost. */
	asm volatile("" : "+r"(len));
	len = ((len - 1) & (room - 1)) + 1;
	if (bpf_skb_load_bytes(skb, 0, header + 1, len)) {
		bpf_ringbuf_discard(header, BPF_RB_NO_WAKEUP);
		return 0;
	}
	bpf_ringbuf_submit(header, wake(BPF_RINGBUF_HDR_SZ + sizeof(*header) + room));
	return 1;
}

/* pull makes as much of the frame as may be stored lie in one piece: filters see no more than that. */
static __always_inline void pull(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data;
	void *end = (void *)(long)skb->data_end;
	__u32 want = skb->len;

	if (want > snap_bytes)
		want = snap_bytes;
	if (want > LARGE_ROOM)
		want = LARGE_ROOM;
	if (data + want > end)
		bpf_skb_pull_data(skb, want);
}

/* take counts and stores a frame that belongs to a label. */
static __always_inline void take(struct __sk_buff *skb, __u32 label)
{
	struct label_counts *counts = bpf_map_lookup_elem(&per_label, &label);
	__u32 len = skb->len;
	int stored;

	if (!counts)
		return;
	if (len > snap_bytes || len > LARGE_ROOM) {
		counts->oversize++;
		return;
	}
	if (len <= SMALL_ROOM)
		stored = store(skb, label, len, SMALL_ROOM);
	else if (len <= MEDIUM_ROOM)
		stored = store(skb, label, len, MEDIUM_ROOM);
	else
		stored = store(skb, label, len, LARGE_ROOM);
	if (stored)
		counts->labelled++;
	else
		counts->dropped++;
}

SEC("tc")
int pacgan_capture(struct __sk_buff *skb)
{
	__u32 zero = 0;
	struct total_counts *total = bpf_map_lookup_elem(&totals, &zero);
	int put_back = 0, label;

	if (!total)
		return TC_ACT_UNSPEC;
	total->seen++;
	if (skb->mark == PACGAN_MARK) {
		total->ours++;
		return TC_ACT_UNSPEC;
	}
	/* The kernel takes the outer VLAN tag off before we run and keeps it beside the frame. Pushing
	 * a second one puts the first back where it was, so that filters and files see the frame as it
	 * was on the wire; popping the second restores what the stack expects. */
	if (skb->vlan_present)
		put_back = !bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 0);
	pull(skb);
	label = classify(skb);
	if (label > 0)
		take(skb, label - 1);
	if (put_back)
		bpf_skb_vlan_pop(skb);
	return TC_ACT_UNSPEC;
}

/* bpf_skb_vlan_push and other helpers used here need no GPL; dual for those that may. */
char _license[] SEC("license") = "Dual BSD/GPL";
