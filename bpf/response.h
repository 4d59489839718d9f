/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* What a valid response is: the rules of DESIGN.md, applied to the bytes that
 * came back. Nothing here counts or changes a count. */
#ifndef PACGAN_RESPONSE_H
#define PACGAN_RESPONSE_H

#include "request.h"
#include "text.h"
#include "verdict.h"

#define STATUS_LINE 12   /* "HTTP/1.1 200" */
#define TCP_SPAN 0x10000 /* no conversation of ours sends more bytes */

/* dns_reason judges a response by its header (RFC 1035, 4.1.1). */
static __always_inline __u32 dns_reason(const struct rule *rule, const struct dns_header *h)
{
	__u32 rcode = h->rcode & 15;

	if (!(rule->rcodes & (1 << rcode)))
		return REASON_RCODE + rcode;
	if (rcode || h->answers)
		return REASON_ANSWERED;
	return h->flags & DNS_TC ? REASON_TRUNCATED : REASON_RCODE;
}

/* http_reason judges the first segment of a response by its status line (RFC 9112, 4). */
static __always_inline __u32 http_reason(struct __sk_buff *skb, const struct rule *rule, __u32 off, __u32 length)
{
	__u8 line[STATUS_LINE];
	__u32 status;

	if (length < STATUS_LINE || bpf_skb_load_bytes(skb, off, line, sizeof(line)))
		return REASON_NOT_HTTP;
	if (line[0] != 'H' || line[1] != 'T' || line[2] != 'T' || line[3] != 'P' || line[4] != '/' ||
	    line[5] != '1' || line[6] != '.' || line[8] != ' ')
		return REASON_NOT_HTTP;
	if (line[9] < '1' || line[9] > '5' || line[10] < '0' || line[10] > '9' || line[11] < '0' || line[11] > '9')
		return REASON_NOT_HTTP;
	status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0') - 100;
	if (status < 100)
		return REASON_PENDING; /* an interim response: the final one follows */
	if (rule->statuses[(status >> 6) & 7] & (1ULL << (status & 63)))
		return REASON_ANSWERED;
	return REASON_HTTP + status;
}

/* tcp_dns_reason judges a DNS response behind its two-byte length (RFC 1035, 4.2.2). */
static __always_inline __u32 tcp_dns_reason(struct __sk_buff *skb, const struct rule *rule, __u32 off, __u32 length)
{
	struct dns_header h;

	if (length < 2 + DNS_HEADER || bpf_skb_load_bytes(skb, off + 2, &h, sizeof(h)) || !(h.flags & DNS_QR))
		return REASON_MALFORMED;
	return dns_reason(rule, &h);
}

/* A TCP segment, in host order. */
struct peer {
	__u32 seq;
	__u32 ack;
	__u32 data;   /* offset of the payload */
	__u32 length; /* of the payload */
	__u8 flags;
};

#define FIN 0x01
#define SYN 0x02
#define RST 0x04
#define ACK 0x10

/* belongs tells our conversation's segments from those of another one with
 * the same addresses and ports: they acknowledge what we sent. A reset without
 * ACK must hit the sequence number that we told the peer (RFC 9293, 3.10.7.4). */
static __always_inline int belongs(const struct expectation *v, const struct peer *s)
{
	if (s->flags & ACK)
		return s->ack - v->iss <= TCP_SPAN;
	return s->flags & RST && s->seq == v->next;
}

/* text_reason looks for the text that the rest of a response must hold. A
 * repeated segment may overlap what has been read. */
static __always_inline __u32 text_reason(struct __sk_buff *skb, struct expectation *v, const struct peer *s)
{
	__u32 known = v->next - s->seq; /* bytes of the segment that have been read */

	if (known > s->length)
		return REASON_PENDING; /* all of them, or what comes before is missing */
	v->next += s->length - known;
	if (s->length > known && find_text(skb, v, s->data + known, s->length - known))
		return REASON_ANSWERED;
	return s->flags & FIN ? REASON_NO_TEXT : REASON_PENDING;
}

/* conversation_reason judges the peer's segment; it learns the peer's first
 * sequence number from its SYN, so that only what begins the response can be
 * taken for it. */
static __always_inline __u32 conversation_reason(struct __sk_buff *skb, const struct rule *rule, struct expectation *v,
						 const struct peer *s)
{
	__u32 reason;

	if (s->flags & RST)
		return REASON_RST;
	if (s->flags & SYN) {
		v->next = s->seq + 1;
		v->flags |= FLAG_SYNACKED;
		return REASON_PENDING;
	}
	if (v->flags & FLAG_READING)
		return text_reason(skb, v, s);
	if (!(v->flags & FLAG_SENT) || s->seq != v->next)
		return REASON_PENDING;
	if (s->length == 0)
		return s->flags & FIN ? REASON_CLOSED : REASON_PENDING;
	if (rule->answer == ANSWER_REPLY)
		return REASON_ANSWERED;
	if (rule->answer == ANSWER_DNS)
		return tcp_dns_reason(skb, rule, s->data, s->length);
	if (rule->answer != ANSWER_HTTP)
		return REASON_UNEXPECTED;
	reason = http_reason(skb, rule, s->data, s->length);
	if (reason == REASON_ANSWERED && rule->text) {
		v->flags |= FLAG_READING;
		return text_reason(skb, v, s);
	}
	if (reason == REASON_PENDING)
		v->next += s->length;
	return reason;
}

/* single_reason judges the reply to a segment that was sent without a
 * conversation, as it was generated. */
static __always_inline __u32 single_reason(const struct rule *rule, const struct peer *s)
{
	if (s->flags & RST)
		return REASON_RST;
	return rule->answer == ANSWER_REPLY ? REASON_ANSWERED : REASON_PENDING;
}

#endif
