package model

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

const (
	// maxHeader bounds the JSON header of a safetensors file; ours have a few kilobytes.
	maxHeader = 4 << 20
	maxAxes   = 8 // of a tensor
)

// ReadTensors reads a safetensors file of size bytes. It refuses, by an error, whatever is not
// exactly such a file: a header longer than the file, offsets that overlap or leave gaps, shapes that
// do not fit them, element types that [WriteTensors] never writes, bytes at the end. It allocates no
// more than a small multiple of size. Tensors are in the order of their data.
func ReadTensors(r io.Reader, size int64) (metadata map[string]string, tensors []Tensor, err error) {
	metadata, infos, err := readHeader(r, size)
	if err != nil {
		return nil, nil, err
	}
	names := slices.SortedFunc(maps.Keys(infos), func(a, b string) int {
		return cmp.Or(infos[a].compare(infos[b]), cmp.Compare(a, b))
	})
	for _, name := range names {
		info := infos[name]
		data := info.allocate()
		if err := binary.Read(r, binary.LittleEndian, data); err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		t := Tensor{Name: name, Data: data}
		for _, extent := range info.Shape {
			t.Shape = append(t.Shape, int(extent))
		}
		tensors = append(tensors, t)
	}
	return metadata, tensors, nil
}

// readHeader reads the header and checks that its tensors cover the rest of the file exactly.
func readHeader(r io.Reader, size int64) (metadata map[string]string, infos map[string]tensorInfo, err error) {
	var length uint64
	if err := binary.Read(r, binary.LittleEndian, &length); err != nil {
		return nil, nil, fmt.Errorf("header length: %w", err)
	}
	if length > maxHeader || int64(length) > size-8 {
		return nil, nil, fmt.Errorf("header of %d bytes in a file of %d: at most %d are read", length, size, maxHeader)
	}
	encoded := make([]byte, length)
	if _, err := io.ReadFull(r, encoded); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	var entries map[string]json.RawMessage
	if err := json.Unmarshal(encoded, &entries); err != nil {
		return nil, nil, fmt.Errorf("header: %w", err)
	}
	if raw, ok := entries[metadataKey]; ok {
		if err := json.Unmarshal(raw, &metadata); err != nil {
			return nil, nil, fmt.Errorf("header: %s: %w", metadataKey, err)
		}
		delete(entries, metadataKey)
	}
	infos = make(map[string]tensorInfo, len(entries))
	for name, raw := range entries {
		var info tensorInfo
		if err := json.Unmarshal(raw, &info); err != nil {
			return nil, nil, fmt.Errorf("header: tensor %q: %w", name, err)
		}
		infos[name] = info
	}
	return metadata, infos, checkLayout(infos, size-8-int64(length))
}

// checkLayout checks that the tensors follow each other without gap or overlap and fill size bytes.
func checkLayout(infos map[string]tensorInfo, size int64) error {
	ordered := slices.SortedFunc(maps.Values(infos), tensorInfo.compare)
	var end int64
	for _, info := range ordered {
		want, err := info.size()
		if err != nil {
			return err
		}
		if info.Offsets[0] != end || info.Offsets[1]-info.Offsets[0] != want {
			return fmt.Errorf("tensor %s%v at bytes %v: %d bytes at %d were expected", info.DType, info.Shape, info.Offsets, want, end)
		}
		end = info.Offsets[1]
	}
	if end != size {
		return fmt.Errorf("tensors of %d bytes in %d", end, size)
	}
	return nil
}

// compare orders tensors by where their data lies.
func (t tensorInfo) compare(u tensorInfo) int { return slices.Compare(t.Offsets[:], u.Offsets[:]) }

// size is the tensor's length in bytes.
func (t tensorInfo) size() (int64, error) {
	size := dtypeSize(t.DType)
	if size == 0 {
		return 0, fmt.Errorf("tensor type %q: must be F32, I32, U32, U16 or U8", t.DType)
	}
	if len(t.Shape) > maxAxes {
		return 0, fmt.Errorf("tensor of %d axes: at most %d", len(t.Shape), maxAxes)
	}
	for _, extent := range t.Shape {
		if extent < 0 || extent > 1<<40/max(size, 1) {
			return 0, errors.New("tensor shape out of range")
		}
		size *= extent
	}
	return size, nil
}

// allocate returns room for the tensor's elements, whose size was checked against the file's.
func (t tensorInfo) allocate() any {
	n := t.Offsets[1] - t.Offsets[0]
	switch t.DType {
	case "F32":
		return make([]float32, n/4)
	case "I32":
		return make([]int32, n/4)
	case "U32":
		return make([]uint32, n/4)
	case "U16":
		return make([]uint16, n/2)
	}
	return make([]uint8, n)
}
