package model

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestEntries reads lists of each form, and what is none.
func TestEntries(t *testing.T) {
	binary := func(head, at, size, counts, align int, end FrameEnd) Frame {
		return Frame{Form: FrameBinary, Head: head, At: at, Size: size, Counts: counts, Align: align, End: end}
	}
	type read struct {
		Entries, First int
		Rest           string
		OK             bool
	}
	for _, tt := range []struct {
		name  string
		frame Frame
		text  string
		want  read
	}{
		{"type, length", binary(2, 1, 1, 0, 1, EndNone), "a\x02xyb\x00c\x01z", read{3, 4, "", true}},
		{"nothing", binary(2, 1, 1, 0, 1, EndNone), "", read{0, 0, "", true}},
		{"an entry too long", binary(2, 1, 1, 0, 1, EndNone), "a\x02x", read{0, 0, "", false}},
		{"half a head", binary(2, 1, 1, 0, 1, EndNone), "a\x01xb", read{1, 3, "", false}},
		{"a length of all", binary(2, 1, 1, 2, 1, EndNone), "a\x04xyb\x02", read{2, 4, "", true}},
		{"a length less than that", binary(2, 1, 1, 2, 1, EndNone), "a\x01", read{0, 0, "", false}},
		{"a length of two bytes, filled up", binary(4, 2, 2, 0, 4, EndNone), "ab\x00\x05vwxyz000cd\x00\x00", read{2, 12, "", true}},
		{"an end", binary(2, 1, 1, 0, 1, EndOnes), "a\x00\xff\xff0", read{1, 2, "\xff0", true}},
		{"labels", binary(1, 0, 1, 0, 1, EndZeros), "\x01a\x02bc\x00rest", read{2, 2, "rest", true}},
		{"nibbles", Frame{Form: FrameNibbles, End: EndOnes}, "\x31a\x0d\x00abcdefghijklm\xe0\x00\x01\xffrest", read{3, 2, "rest", true}},
		{"a nibble of 15", Frame{Form: FrameNibbles, End: EndOnes}, "\xf0", read{0, 0, "", false}},
		{"decimal", Frame{Form: FrameDecimal, Head: 1}, "$2\r\nab\r\n$10\r\n0123456789\r\n", read{2, 8, "", true}},
		{"hex", Frame{Form: FrameHex}, "a\r\n0123456789\r\n0\r\n\r\n", read{2, 15, "", true}},
		{"no digits", Frame{Form: FrameHex}, "\r\n", read{0, 0, "", false}},
		{"no end of line", Frame{Form: FrameHex}, "1\r\nabc", read{0, 0, "", false}},
		{"digits without end", Frame{Form: FrameHex}, "fffffffff", read{0, 0, "", false}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := frameOf(tt.frame.Packed()); got != tt.frame {
				t.Errorf("unpacked %+v, want %+v", got, tt.frame)
			}
			var got read
			var rest []byte
			got.Entries, got.First, rest, got.OK = tt.frame.Entries([]byte(tt.text))
			got.Rest = string(rest)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("entries (-want +got):\n%s", diff)
			}
		})
	}
}

// TestListFeatures says what a chain tells of two entries and a half.
func TestListFeatures(t *testing.T) {
	var c Chain
	c.Reset(nil, Frame{Form: FrameBinary, Head: 3, At: 2, Size: 1, Align: 1})
	for _, b := range []byte("ab\x02xycd\x00ef\x04uv") {
		c.Push(b)
	}
	for feature, want := range map[int]uint16{
		chainList: listValue, chainKey: 'e'<<8 | 'f', chainKey + 1: 'c'<<8 | 'd', chainKey + 2: 'a'<<8 | 'b', chainKey + 3: NoToken,
		chainKeys: 'a'<<8 | 'b', chainKeys + 1: 'c'<<8 | 'd', chainKeys + 2: NoToken,
		chainOpening: 'x', chainOffset: 2, chainLength: 4, chainLeft: 2, chainEntries: 2, chainByte: 'v', chainPart: 2,
	} {
		if got := c.Value(feature); got != want {
			t.Errorf("feature %d: %d, want %d", feature, got, want)
		}
	}
}
