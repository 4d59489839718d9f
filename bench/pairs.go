package main

import (
	"math/rand/v2"
	"strings"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"pacgan-appliance/internal/model"
	"pacgan-appliance/internal/packet"
	"pacgan-appliance/internal/sgemm"
)

// pairs are the benchmarks there are.
func pairs() []pair {
	const m, n, k = 3136, 128, 1024 // the critic's second convolution, batch 64
	return append([]pair{
		{name: "checksum", unit: "packets/s", theirs: "gopacket: decode, serialize", work: 1, prepare: checksum},
		{name: "sgemm", unit: "FLOPS", theirs: "gonum", work: 2 * m * n * k, prepare: func() (ours, theirs func() error, err error) {
			ours, theirs = multiply(m, n, k)
			return ours, theirs, nil
		}},
		{name: "generate-tree", unit: "packets/s", theirs: "tables and gopacket", work: 1, prepare: generating(model.RecipeTree)},
		{name: "generate-gan", unit: "packets/s", theirs: "tables and gopacket", work: 1, prepare: generating(model.RecipeGAN)},
		{name: "fit-trees", unit: "packets/s", theirs: "compress/flate", work: float64(len(fitted) * fittedPackets), prepare: fitting},
	}, trainingPairs(m, n, k)...)
}

// checksum repairs the checksums of a query on a port that gopacket does not decode further.
func checksum() (ours, theirs func() error, err error) {
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolUDP, SrcIP: []byte{10, 77, 1, 11}, DstIP: []byte{10, 77, 2, 53}}
	udp := &layers.UDP{SrcPort: 40000, DstPort: 5300}
	if err := udp.SetNetworkLayerForChecksum(ip); err != nil {
		return nil, nil, err
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	query := gopacket.Payload(strings.Repeat("q", 47))
	if err := gopacket.SerializeLayers(buf, opts, ip, udp, query); err != nil {
		return nil, nil, err
	}
	pkt := append([]byte(nil), buf.Bytes()...)

	var data gopacket.Payload
	decoder := gopacket.NewDecodingLayerParser(layers.LayerTypeIPv4, ip, udp, &data)
	var found []gopacket.LayerType
	theirs = func() error {
		if err := decoder.DecodeLayers(pkt, &found); err != nil {
			return err
		}
		return gopacket.SerializeLayers(buf, opts, ip, udp, data)
	}
	return func() error { return packet.RepairChecksums(pkt) }, theirs, nil
}

// multiply is C = A B, A m x k and B k x n.
func multiply(m, n, k int) (ours, theirs func() error) {
	rng := rand.New(rand.NewPCG(1, 2))
	fill := func(size int) []float32 {
		v := make([]float32, size)
		for i := range v {
			v[i] = rng.Float32() - 0.5
		}
		return v
	}
	a, b, c := fill(m*k), fill(k*n), make([]float32, m*n)
	ours = func() error {
		sgemm.Gemm(false, false, m, n, k, 1, a, k, b, n, 0, c, n)
		return nil
	}
	theirs = func() error {
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1,
			blas32.General{Rows: m, Cols: k, Stride: k, Data: a},
			blas32.General{Rows: k, Cols: n, Stride: n, Data: b}, 0,
			blas32.General{Rows: m, Cols: n, Stride: n, Data: c})
		return nil
	}
	return ours, theirs
}

// modelName is the processor's name in the text of /proc/cpuinfo.
func modelName(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unnamed processor"
}
