package model

import (
	"bufio"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Tensor is one named array of a safetensors file.
type Tensor struct {
	Name  string
	Shape []int
	Data  any // []float32, []int32, []uint32, []uint16 or []uint8, row-major, as many as Shape says
}

// metadataKey is the header's entry that is not a tensor.
const metadataKey = "__metadata__"

// tensorInfo is a tensor's entry in the header.
type tensorInfo struct {
	DType   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"` // begin and end, from the header's end
}

// WriteTensors writes a safetensors file (github.com/huggingface/safetensors): the header's length as
// 8 bytes little-endian, the header as JSON, the data without gaps. The same tensors give the same
// bytes.
func WriteTensors(w io.Writer, metadata map[string]string, tensors []Tensor) error {
	tensors = slices.Clone(tensors)
	slices.SortStableFunc(tensors, func(a, b Tensor) int { // wide elements first keeps all aligned
		return cmp.Or(cmp.Compare(dtypeSize(dtypeOf(b.Data)), dtypeSize(dtypeOf(a.Data))), cmp.Compare(a.Name, b.Name))
	})
	header := map[string]any{metadataKey: metadata}
	var end int64
	for _, t := range tensors {
		info := tensorInfo{DType: dtypeOf(t.Data), Shape: make([]int64, len(t.Shape))}
		for i, extent := range t.Shape {
			info.Shape[i] = int64(extent)
		}
		size, err := info.size()
		if err != nil {
			return fmt.Errorf("write tensor %q of %T: %w", t.Name, t.Data, err)
		}
		if held := int64(binary.Size(t.Data)); held != size {
			return fmt.Errorf("write tensor %q: shape %v needs %d bytes, not %d", t.Name, t.Shape, size, held)
		}
		info.Offsets = [2]int64{end, end + size}
		end += size
		header[t.Name] = info
	}
	encoded, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("write tensors: %w", err)
	}
	for len(encoded)%8 != 0 { // so that the data is aligned; JSON ignores the spaces
		encoded = append(encoded, ' ')
	}
	out := bufio.NewWriterSize(w, 1<<16)
	if err := binary.Write(out, binary.LittleEndian, uint64(len(encoded))); err != nil {
		return err
	}
	if _, err := out.Write(encoded); err != nil {
		return err
	}
	for _, t := range tensors {
		if err := binary.Write(out, binary.LittleEndian, t.Data); err != nil {
			return err
		}
	}
	return out.Flush()
}

// dtypeOf names the element type of a tensor's data; "" if the format here has no such.
func dtypeOf(data any) string {
	switch data.(type) {
	case []float32:
		return "F32"
	case []int32:
		return "I32"
	case []uint32:
		return "U32"
	case []uint16:
		return "U16"
	case []uint8:
		return "U8"
	}
	return ""
}

// dtypeSize is the size in bytes of an element type that we use; 0 of any other.
func dtypeSize(dtype string) int64 {
	switch dtype {
	case "F32", "I32", "U32":
		return 4
	case "U16":
		return 2
	case "U8":
		return 1
	}
	return 0
}
