package report

import (
	"bytes"
	"encoding/base64"
	"image/png"
	"strings"
	"testing"

	"pacgan-appliance/internal/encoding"
)

// TestMatrix reads a packet back from its picture: block by block, the grey over 16 is the digit.
func TestMatrix(t *testing.T) {
	packet := []byte{0x45, 0x00, 0xf1}
	g, err := encoding.Fit(len(packet))
	if err != nil {
		t.Fatal(err)
	}
	img, err := matrix(g, packet)
	if err != nil {
		t.Fatal(err)
	}
	uri, err := dataURI(img)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(uri, "data:image/png;base64,"))
	if err != nil {
		t.Fatal(err)
	}
	read, err := png.Decode(bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []uint32{4, 5, 0, 0, 15, 1} {
		row, col := g.Block(i)
		grey, _, _, _ := read.At(col, row).RGBA()
		if grey>>8 != 16*want+8 {
			t.Errorf("digit %d is grey %d, want %d", i, grey>>8, 16*want+8)
		}
	}
	row, col := g.Block(2 * len(packet))
	if grey, _, _, _ := read.At(col, row).RGBA(); grey != 0 {
		t.Errorf("after the packet's end: grey %d, want 0", grey>>8)
	}
	if _, err := matrix(g, make([]byte, g.CapacityBytes()+1)); err == nil {
		t.Error("a packet that is too long gave a picture")
	}
}
