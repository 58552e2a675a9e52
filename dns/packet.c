/* SPDX-License-Identifier: MIT */
/*
 * One cursor walks the packet; whatever it reads was checked against the end of the packet first.
 * A parsed answer has been walked once from end to end, so its sections are known to fit; the
 * contents of a record are judged when it is asked for.
 */
#include "dns/packet.h"
#include "mta/base/bytes.h"
#include <string.h>

enum {
    HEADER_BYTES      = 12,
    FIXED_BYTES       = 10, /* of a record behind its name: type, class, TTL, length */
    QUESTION_BYTES    = 4,  /* behind its name */
    SOA_NUMBERS_BYTES = 20,
    LABEL_BYTES_MAX   = 63,
    POINTER           = 0xc0, /* the two bits of a compression pointer */
    CLASS_IN          = 1,
    IPV4_BYTES        = 4,
    IPV6_BYTES        = 16,
};

/* Header bytes 2 and 3. */
enum { QR = 0x80, OPCODE = 0x78, TC = 0x02, RD = 0x01, AD = 0x20, RCODE = 0x0f };

static bool is_text(char byte)
{
    return byte > ' ' && byte < 0x7f && byte != '.' && byte != '?' && byte != '\\';
}

static bool put_name(struct buf *into, struct span name)
{
    size_t wire = 1;
    struct span label;
    if (name.len > 0 && name.at[name.len - 1] == '.')
        name.len--;
    if (name.len == 0 || name.at[name.len - 1] == '.')
        return false;
    while (span_cut(&name, '.', &label)) {
        wire += 1 + label.len;
        if (label.len == 0 || label.len > LABEL_BYTES_MAX || wire > DNS_NAME_BYTES_MAX)
            return false;
        for (size_t i = 0; i < label.len; i++)
            if (!is_text(label.at[i]))
                return false;
        buf_put_byte(into, (char)label.len);
        buf_put(into, label);
    }
    buf_put_byte(into, 0);
    return true;
}

static void put16(struct buf *into, unsigned value)
{
    buf_put_byte(into, (char)(value >> 8));
    buf_put_byte(into, (char)value);
}

bool dns_write_query(struct buf *into, struct span name, enum dns_type type, uint16_t id)
{
    static const uint8_t header[] = {RD, AD, 0, 1, 0, 0, 0, 0, 0, 1}; /* 1 question, 1 additional */
    size_t start                  = into->len;
    put16(into, id);
    buf_put(into, span_make((const char *)header, sizeof header));
    if (!put_name(into, name)) {
        into->len = start;
        return false;
    }
    put16(into, type);
    put16(into, CLASS_IN);

    buf_put_byte(into, 0); /* OPT belongs to the root; RFC 6891 6.1.2 */
    put16(into, DNS_OPT);
    put16(into, DNS_UDP_BYTES);
    put16(into, 0); /* extended rcode, version */
    put16(into, 0); /* flags: no DO, the AD bit is enough */
    put16(into, 0);
    return true;
}

/* What is left of a packet: 'at' never passes 'end', 'end' never the packet's end. */
struct cursor {
    const uint8_t *packet;
    size_t at, end;
};

static bool has(const struct cursor *c, size_t bytes)
{
    return c->end - c->at >= bytes;
}

/* Appends a label to a text of *len bytes, or skips it when text is NULL. */
static void append_label(char *text, size_t *len, const uint8_t *label, size_t bytes)
{
    if (text == NULL)
        return;
    if (*len > 0)
        text[(*len)++] = '.';
    for (size_t i = 0; i < bytes; i++) {
        char byte      = ascii_lower((char)label[i]);
        text[(*len)++] = '?';
        if (is_text(byte))
            text[*len - 1] = byte;
    }
}

/*
 * Reads a name and moves behind it.  What is reached by a pointer may lie anywhere before the
 * place that points, so each jump goes further back and the walk must end; the text cannot outgrow
 * its array because the wire form is limited (RFC 1035 3.1).
 */
static bool take_name(struct cursor *c, char text[DNS_NAME_BYTES_MAX + 1])
{
    struct cursor walk = *c;
    size_t lowest = c->at, wire = 1, len = 0;
    bool has_jumped = false;
    for (;;) {
        if (!has(&walk, 1))
            return false;
        size_t bytes = walk.packet[walk.at++];
        if (bytes == 0)
            break;
        if ((bytes & POINTER) == POINTER) {
            if (!has(&walk, 1))
                return false;
            size_t target = (bytes & ~(size_t)POINTER) << 8 | walk.packet[walk.at++];
            if (!has_jumped)
                c->at = walk.at;
            has_jumped = true;
            if (target < HEADER_BYTES || target >= lowest)
                return false;
            walk.at = lowest = target;
            continue;
        }
        wire += 1 + bytes;
        if (bytes > LABEL_BYTES_MAX || wire > DNS_NAME_BYTES_MAX || !has(&walk, bytes))
            return false;
        append_label(text, &len, walk.packet + walk.at, bytes);
        walk.at += bytes;
    }
    if (!has_jumped)
        c->at = walk.at;
    if (text != NULL)
        text[len] = '\0';
    return true;
}

/* A record's frame: what all types share. */
struct frame {
    unsigned type, class;
    uint32_t ttl_s;
    struct cursor data; /* ends where the rdata ends */
};

static bool take_frame(struct cursor *c, char name[DNS_NAME_BYTES_MAX + 1], struct frame *frame)
{
    if (!take_name(c, name) || !has(c, FIXED_BYTES))
        return false;
    const uint8_t *at = c->packet + c->at;
    size_t bytes      = bytes_get16(at + 8);
    frame->type       = bytes_get16(at);
    frame->class      = bytes_get16(at + 2);
    frame->ttl_s      = bytes_get32(at + 4);
    c->at += FIXED_BYTES;
    if (!has(c, bytes))
        return false;
    frame->data = (struct cursor){c->packet, c->at, c->at + bytes};
    c->at += bytes;
    return true;
}

static uint32_t clip(uint32_t ttl_s, uint32_t max_s)
{
    if (ttl_s < DNS_TTL_MIN_S || ttl_s > INT32_MAX) /* RFC 2181 8: such a TTL is zero */
        return DNS_TTL_MIN_S;
    return ttl_s < max_s ? ttl_s : max_s;
}

/* RFC 2308 3: the smaller of the SOA's own TTL and its last field. */
static bool take_soa(struct frame *frame, uint32_t *ttl_s)
{
    struct cursor *c = &frame->data;
    bool has_server  = take_name(c, NULL);
    bool has_mailbox = has_server && take_name(c, NULL);
    if (!has_mailbox || c->end - c->at != SOA_NUMBERS_BYTES)
        return false;
    uint32_t minimum_s = bytes_get32(c->packet + c->end - 4);
    uint32_t own_s     = frame->ttl_s;
    *ttl_s             = clip(own_s < minimum_s ? own_s : minimum_s, DNS_NEGATIVE_MAX_S);
    return true;
}

static bool walk_authority(struct dns_answer *answer, struct cursor *c, unsigned count)
{
    struct frame frame;
    for (; count > 0; count--) {
        if (!take_frame(c, NULL, &frame))
            return false;
        if (frame.type == DNS_SOA && frame.class == CLASS_IN &&
            !take_soa(&frame, &answer->negative_ttl_s))
            return false;
    }
    return true;
}

static bool walk_additional(struct dns_answer *answer, struct cursor *c, unsigned count)
{
    struct frame frame;
    for (; count > 0; count--) {
        if (!take_frame(c, NULL, &frame))
            return false;
        if (frame.type != DNS_OPT)
            continue;
        answer->has_opt = true;
        answer->rcode   = (enum dns_rcode)((answer->rcode & RCODE) | (frame.ttl_s >> 24) << 4);
    }
    return true;
}

/* Walks all records once; false: a section does not fit. */
static bool walk(struct dns_answer *answer, struct cursor c)
{
    const uint8_t *header = c.packet;
    unsigned count        = bytes_get16(header + 6);
    struct frame frame;
    answer->at   = c.at;
    answer->left = count < DNS_RECORDS_MAX ? count : DNS_RECORDS_MAX;
    for (; count > 0; count--)
        if (!take_frame(&c, NULL, &frame))
            return false;
    return walk_authority(answer, &c, bytes_get16(header + 8)) &&
           walk_additional(answer, &c, bytes_get16(header + 10));
}

static struct cursor cursor_of(struct span packet, size_t at)
{
    return (struct cursor){(const uint8_t *)packet.at, at, packet.len};
}

enum status dns_answer_parse(struct dns_answer *answer, struct span packet)
{
    *answer         = (struct dns_answer){.packet = packet, .negative_ttl_s = DNS_TTL_MIN_S};
    struct cursor c = cursor_of(packet, 0);
    if (!has(&c, HEADER_BYTES))
        return CORRUPT;
    const uint8_t *header = c.packet;
    if (!(header[2] & QR) || header[2] & OPCODE || bytes_get16(header + 4) != 1)
        return CORRUPT;
    answer->id           = bytes_get16(header);
    answer->rcode        = (enum dns_rcode)(header[3] & RCODE);
    answer->is_truncated = header[2] & TC;
    answer->is_authentic = header[3] & AD;

    c.at = HEADER_BYTES;
    if (!take_name(&c, answer->question) || !has(&c, QUESTION_BYTES) ||
        bytes_get16(c.packet + c.at + 2) != CLASS_IN)
        return CORRUPT;
    answer->question_type = (enum dns_type)bytes_get16(c.packet + c.at);
    c.at += QUESTION_BYTES;
    return answer->is_truncated || walk(answer, c) ? OK : CORRUPT;
}

/* The rdata of the types we read; of all others only 'data' is given. */
static bool read_data(struct cursor c, struct dns_record *record)
{
    size_t bytes = c.end - c.at;
    switch (record->type) {
    case DNS_A:
    case DNS_AAAA:
        if (bytes != (record->type == DNS_A ? IPV4_BYTES : IPV6_BYTES))
            return false;
        memcpy(record->ip, c.packet + c.at, bytes);
        return true;
    case DNS_MX:
        if (!has(&c, 2))
            return false;
        record->preference = bytes_get16(c.packet + c.at);
        c.at += 2;
        return take_name(&c, record->target) && c.at == c.end;
    case DNS_CNAME:
    case DNS_NS:
    case DNS_PTR:
        return take_name(&c, record->target) && c.at == c.end;
    case DNS_SOA:
    case DNS_TXT:
    case DNS_OPT:
    case DNS_TLSA:
        break;
    }
    return true;
}

enum status dns_answer_next(struct dns_answer *answer, struct dns_record *record)
{
    struct cursor c = cursor_of(answer->packet, answer->at);
    struct frame frame;
    while (answer->left > 0) {
        *record = (struct dns_record){0};
        if (!take_frame(&c, record->name, &frame))
            return CORRUPT;
        answer->left--;
        answer->at = c.at;
        if (frame.class != CLASS_IN)
            continue;
        record->type  = (enum dns_type)frame.type;
        record->ttl_s = clip(frame.ttl_s, DNS_TTL_MAX_S);
        record->data = span_make(answer->packet.at + frame.data.at, frame.data.end - frame.data.at);
        return read_data(frame.data, record) ? OK : CORRUPT;
    }
    return END;
}
