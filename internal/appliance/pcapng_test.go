package appliance

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// TestWriteGenerated reads the file as tshark does: each packet is of its own
// version of IP, and what cannot be framed is there as it was drawn.
func TestWriteGenerated(t *testing.T) {
	v4 := mustPacket(t, &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: layers.IPProtocolICMPv4, SrcIP: []byte{10, 0, 0, 1}, DstIP: []byte{10, 0, 0, 2}},
		&layers.ICMPv4{TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeEchoRequest, 0)})
	v6 := mustPacket(t, &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolICMPv6, SrcIP: append([]byte{0xfd}, make([]byte, 15)...), DstIP: append([]byte{0xfd, 1}, make([]byte, 14)...)},
		gopacket.Payload{128, 0, 0, 0, 0, 1, 0, 1})
	path := filepath.Join(t.TempDir(), "generated.pcapng")
	must(t, writeGenerated(path, []string{"ping", "ping6", "broken"}, [][][]byte{{v4}, {v6, v6}, {{}, {0x12}}}, time.Unix(1_700_000_000, 0)))
	f, err := os.Open(path)
	must(t, err)
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	must(t, err)
	for i, want := range []struct {
		label     string
		etherType layers.EthernetType
		length    int
		layer     gopacket.LayerType
	}{
		{"ping", layers.EthernetTypeIPv4, len(v4), layers.LayerTypeICMPv4},
		{"ping6", layers.EthernetTypeIPv6, len(v6), layers.LayerTypeICMPv6},
		{"ping6", layers.EthernetTypeIPv6, len(v6), layers.LayerTypeICMPv6},
		{"broken", layers.EthernetTypeIPv4, 0, layers.LayerTypeEthernet},
		{"broken", layers.EthernetTypeIPv4, 1, gopacket.LayerTypeDecodeFailure},
	} {
		frame, info, err := r.ReadPacketData()
		must(t, err)
		at, err := r.Interface(info.InterfaceIndex)
		must(t, err)
		p := gopacket.NewPacket(frame, layers.LayerTypeEthernet, gopacket.Default)
		ethernet := p.Layer(layers.LayerTypeEthernet).(*layers.Ethernet)
		if at.Name != want.label || ethernet.EthernetType != want.etherType || len(frame) != 14+want.length || p.Layer(want.layer) == nil {
			t.Errorf("packet %d: label %s, type %v, %d bytes, layers %v; want %+v", i, at.Name, ethernet.EthernetType, len(frame), p.Layers(), want)
		}
	}
	if _, _, err := r.ReadPacketData(); err != io.EOF {
		t.Errorf("after the last packet: %v", err)
	}
}

// mustPacket is an IP packet of these layers.
func mustPacket(t *testing.T, all ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	must(t, gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, all...))
	return b.Bytes()
}
