package appliance

import (
	"encoding/binary"
	"errors"
	"io"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/wholefile"
)

// generatedGap is the time between two packets in a file of generated ones:
// that of the default rate, 50 packets per second.
const generatedGap = 20 * time.Millisecond

// generatedHeader is the Ethernet header of a generated packet in a file: from
// 02:00:00:00:00:01 to 02:00:00:00:00:02, both locally administered. What is of
// no version of IP goes as IPv4.
func generatedHeader(ip []byte) []byte {
	etherType := layers.EthernetTypeIPv4
	if len(ip) > 0 && packet.IP(ip).Version() == 6 {
		etherType = layers.EthernetTypeIPv6
	}
	return binary.BigEndian.AppendUint16([]byte{2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}, uint16(etherType))
}

// writeGenerated writes generated IP packets, by label, to a pcapng file with
// one interface for each label, so that readers such as tshark tell the label
// as the interface's name. Checksums are repaired, nothing else is; packets
// that cannot be framed are written as they are. The file appears whole or not
// at all.
func writeGenerated(path string, labels []string, packets [][][]byte, start time.Time) error {
	return wholefile.Write(path, 0o644, func(w io.Writer) error { return writePackets(w, labels, packets, start) })
}

func writePackets(file io.Writer, labels []string, packets [][][]byte, start time.Time) error {
	w, err := pcapgo.NewNgWriterInterface(file, ngInterface(labels[0]), pcapgo.DefaultNgWriterOptions)
	if err != nil {
		return err
	}
	at := start
	for i, label := range labels {
		index := 0
		if i > 0 {
			if index, err = w.AddInterface(ngInterface(label)); err != nil {
				return err
			}
		}
		for _, p := range packets[i] {
			if err := writeFrame(w, index, at, p); err != nil {
				return err
			}
			at = at.Add(generatedGap)
		}
	}
	return w.Flush()
}

func ngInterface(label string) pcapgo.NgInterface {
	return pcapgo.NgInterface{
		Name: label, Description: "generated packets of label " + label, LinkType: layers.LinkTypeEthernet,
		SnapLength: 0, TimestampResolution: 9,
	}
}

func writeFrame(w *pcapgo.NgWriter, index int, at time.Time, ip []byte) error {
	frame := append(generatedHeader(ip), ip...)
	var framing *packet.FramingError
	if err := packet.RepairChecksums(frame[packet.EthernetHeaderLen:]); err != nil && !errors.As(err, &framing) {
		return err
	}
	return w.WritePacket(gopacket.CaptureInfo{
		Timestamp: at, CaptureLength: len(frame), Length: len(frame), InterfaceIndex: index,
	}, frame)
}
