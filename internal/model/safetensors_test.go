package model

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"pacgan-appliance/internal/bounded"
)

func TestTensorsRoundTrip(t *testing.T) {
	metadata := map[string]string{"a": "b"}
	tensors := []Tensor{
		{"ints", []int{2, 3}, []int32{math.MinInt32, -1, 0, 1, 2, math.MaxInt32}},
		{"scalar", nil, []float32{1.5}},
		{"short", []int{3}, []uint16{0, 1, 65535}},
		{"none", []int{0, 16}, []uint32{}},
		{"floats", []int{1, 2}, []float32{float32(math.Inf(-1)), -0.25}},
		{"words", []int{1}, []uint32{math.MaxUint32}},
		{"bytes", []int{3}, []uint8{0, 1, 255}},
	}
	encoded := mustWriteTensors(t, metadata, tensors)
	gotMetadata, got, err := ReadTensors(bytes.NewReader(encoded), int64(len(encoded)))
	mustDo(t, err)
	// Wide elements first, then by name: that keeps all of them aligned.
	want := []Tensor{tensors[4], tensors[0], tensors[3], tensors[1], tensors[5], tensors[2], tensors[6]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("tensors (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(metadata, gotMetadata); diff != "" {
		t.Errorf("metadata (-want +got):\n%s", diff)
	}
	if length := binary.LittleEndian.Uint64(encoded); length%8 != 0 || encoded[8] != '{' {
		t.Errorf("header of %d bytes begins with %q: data is not aligned", length, encoded[8])
	}
}

func TestWriteTensorsErrors(t *testing.T) {
	for _, tt := range []struct {
		tensor Tensor
		want   string
	}{
		{Tensor{"x", []int{1}, []float64{1}}, `write tensor "x" of []float64: tensor type "": must be F32, I32, U32, U16 or U8`},
		{Tensor{"x", []int{2}, []float32{1}}, `write tensor "x": shape [2] needs 8 bytes, not 4`},
		{Tensor{"x", []int{-1}, []float32{1}}, `write tensor "x" of []float32: tensor shape out of range`},
	} {
		err := WriteTensors(&bytes.Buffer{}, nil, []Tensor{tt.tensor})
		if err == nil || err.Error() != tt.want {
			t.Errorf("error %v, want %q", err, tt.want)
		}
	}
}

func TestReadTensorsErrors(t *testing.T) {
	for _, tt := range []struct {
		name   string
		header string
		data   int // bytes after the header
		want   string
	}{
		{"overlap", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8,
			"tensor F32[1] at bytes [4 8]: 4 bytes at 8 were expected"},
		{"gap", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8, "tensor F32[1] at bytes [4 8]: 4 bytes at 0 were expected"},
		{"shape and offsets disagree", `{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8, "tensor F32[3] at bytes [0 8]: 12 bytes at 0 were expected"},
		{"backwards", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[8,4]}}`, 8, "tensor F32[1] at bytes [8 4]: 4 bytes at 0 were expected"},
		{"beyond the file", `{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}`, 8, "tensors of 16 bytes in 8"},
		{"bytes left over", `{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`, 8, "tensors of 4 bytes in 8"},
		{"enormous shape", `{"a":{"dtype":"F32","shape":[1099511627776,1099511627776],"data_offsets":[0,8]}}`, 8, "tensor shape out of range"},
		{"shape that wraps around", `{"a":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, 0, "tensor shape out of range"},
		{"negative shape", `{"a":{"dtype":"F32","shape":[-2,-1],"data_offsets":[0,8]}}`, 8, "tensor shape out of range"},
		{"axes", `{"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}}`, 4, "tensor of 9 axes: at most 8"},
		{"type", `{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 8, `tensor type "F64": must be F32, I32, U32, U16 or U8`},
		{"no JSON", `{"a"`, 0, "header: unexpected end of JSON input"},
		{"no object", `[]`, 0, "header: json: cannot unmarshal array into Go value of type map[string]json.RawMessage"},
		{"metadata", `{"__metadata__":1}`, 0, "header: __metadata__: json: cannot unmarshal number into Go value of type map[string]string"},
		{"entry", `{"a":1}`, 0, `header: tensor "a": json: cannot unmarshal number into Go value of type model.tensorInfo`},
		{"fraction", `{"a":{"dtype":"F32","shape":[0.5],"data_offsets":[0,2]}}`, 2,
			`header: tensor "a": json: cannot unmarshal number 0.5 into Go struct field tensorInfo.shape of type int64`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := append(rawTensors(t, tt.header), make([]byte, tt.data)...)
			_, _, err := ReadTensors(bytes.NewReader(file), int64(len(file)))
			if err == nil || err.Error() != tt.want {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestReadTensorsOfAHugeHeader(t *testing.T) {
	for _, length := range []uint64{9, maxHeader + 1, 1 << 40, math.MaxInt64, math.MaxUint64} {
		file := append(binary.LittleEndian.AppendUint64(nil, length), "{}      "...)
		_, _, err := ReadTensors(bytes.NewReader(file), int64(len(file)))
		if err == nil || !strings.HasPrefix(err.Error(), "header of ") {
			t.Errorf("header of %d bytes: %v", length, err)
		}
	}
}

// FuzzReadTensors: what is read can be written again and is then the same; nothing panics.
func FuzzReadTensors(f *testing.F) {
	f.Add(mustWriteTensors(f, map[string]string{"format": "x"}, []Tensor{{"a", []int{2}, []float32{1, 2}}, {"b", []int{1}, []uint16{3}}}))
	f.Add(mustWriteTensors(f, nil, []Tensor{{"empty", []int{0}, []int32{}}}))
	f.Add(rawTensors(f, `{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}`)) // a name twice
	f.Add(rawTensors(f, `{"a":null,"__metadata__":null}`))                                                                              // null everywhere
	f.Add(binary.LittleEndian.AppendUint64(nil, math.MaxUint64))                                                                        // a huge header
	f.Add([]byte("PK\x03\x04"))                                                                                                         // another format
	f.Fuzz(func(t *testing.T, file []byte) {
		defer bounded.Input(t, len(file))()
		metadata, tensors, err := ReadTensors(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			return
		}
		again := mustWriteTensors(t, metadata, tensors)
		_, got, err := ReadTensors(bytes.NewReader(again), int64(len(again)))
		if err != nil || len(got) != len(tensors) {
			t.Errorf("read, written and read again: %d tensors of %d, %v", len(got), len(tensors), err)
		}
	})
}

// FuzzDecode: a generator file and a manifest of any content give an error or a model that samples.
func FuzzDecode(f *testing.F) {
	for _, recipe := range []Recipe{RecipeTree, RecipeGAN, RecipePaper} {
		m := mustModel(f, recipe)
		metadata := map[string]string{"format": formatName, "version": fmt.Sprint(FormatVersion)}
		generator := mustWriteTensors(f, metadata, m.tensors())
		man := testManifest()
		man.describe(m, "")
		manifest, err := json.Marshal(man)
		mustDo(f, err)
		f.Add(manifest, generator)
		f.Add(bytes.Replace(manifest, []byte(`"n":8`), []byte(`"n":4096`), -1), generator) // a matrix to exhaust memory
		f.Add(bytes.Replace(manifest, []byte(`"dns"`), []byte(`"ping"`), 1), generator)    // a label twice
		m.Net, m.Gate = nil, nil
		f.Add(manifest, mustWriteTensors(f, metadata, m.tensors())) // tensors missing
	}
	derived := mustModel(f, RecipeTree)
	derived.Forests[0], derived.Forests[1] = derivedForest(), chainForest()
	f.Add([]byte(`{"format_version":3,"recipe":"tree","labels":["ping","dns"],"geometry":{"n":8,"w":16,"d":2}}`),
		mustWriteTensors(f, map[string]string{"format": formatName, "version": fmt.Sprint(FormatVersion)}, derived.tensors()))
	bad := mustModel(f, RecipeTree)
	bad.Forests[0].Kid[0] = 1 // a circle
	f.Add([]byte(`{"format_version":3,"recipe":"tree","labels":["ping","dns"],"geometry":{"n":8,"w":16,"d":2}}`),
		mustWriteTensors(f, map[string]string{"format": formatName, "version": fmt.Sprint(FormatVersion)}, bad.tensors()))
	f.Fuzz(func(t *testing.T, manifest, generator []byte) {
		defer bounded.Input(t, len(manifest)+len(generator))()
		man, err := parseManifest(manifest)
		if err != nil {
			return
		}
		m, err := decode(bytes.NewReader(generator), int64(len(generator)), man)
		if err != nil {
			return
		}
		s := mustSampler(t, m, m.Labels[0], 1)
		for range 3 {
			p, err := s.Next(nil)
			if err != nil || len(p) > max(maxBytes, m.Geometry.CapacityBytes()) {
				t.Errorf("%d bytes: %v", len(p), err)
			}
		}
	})
}

func mustWriteTensors(tb testing.TB, metadata map[string]string, tensors []Tensor) []byte {
	tb.Helper()
	var b bytes.Buffer
	mustDo(tb, WriteTensors(&b, metadata, tensors))
	return b.Bytes()
}

// rawTensors is a file that consists of the given header alone.
func rawTensors(tb testing.TB, header string) []byte {
	tb.Helper()
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
}
