package inject

import (
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// BenchmarkInsertFloor is what the kernel takes to insert one entry of the
// expectations' size into a table of theirs, with nothing around it: what the
// guard cannot be faster than. Each round fills an empty table with 100,000.
func BenchmarkInsertFloor(b *testing.B) {
	const inserts = 100_000
	table, insert := mustInsert(b)
	frame := frameOf(mustEcho(b, "10.77.2.80", benchPayload), single, labelEcho)
	var rounds []float64
	for b.Loop() {
		_, each, err := insert.Benchmark(frame, inserts, nil)
		if err != nil {
			b.Fatal(err)
		}
		rounds = append(rounds, float64(each.Nanoseconds()))
		if n := mustEmpty(b, table); n < inserts*99/100 { // random keys: some are drawn twice
			b.Fatalf("%d entries", n)
		}
	}
	slices.Sort(rounds)
	b.ReportMetric(rounds[len(rounds)/2], "ns/frame")
}

// mustInsert is a table like the expectations, and a program that inserts into
// it under a random key.
func mustInsert(b *testing.B) (*ebpf.Map, *ebpf.Program) {
	b.Helper()
	spec, err := loadGuard()
	if err != nil {
		b.Fatal(err)
	}
	shape := spec.Maps[guardMapExpectations]
	table, err := ebpf.NewMap(&ebpf.MapSpec{
		Type: shape.Type, KeySize: shape.KeySize, ValueSize: shape.ValueSize, MaxEntries: shape.MaxEntries, Flags: shape.Flags,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { table.Close() })
	key, value := -int16(shape.KeySize+7)/8*8, int16(0)
	value = key - int16(shape.ValueSize+7)/8*8
	code := asm.Instructions{asm.FnGetPrandomU32.Call(), asm.Mov.Reg(asm.R6, asm.R0)}
	for at := value; at < 0; at += 8 {
		code = append(code, asm.StoreMem(asm.R10, at, asm.R6, asm.DWord))
	}
	code = append(code,
		asm.LoadMapPtr(asm.R1, table.FD()),
		asm.Mov.Reg(asm.R2, asm.R10), asm.Add.Imm(asm.R2, int32(key)),
		asm.Mov.Reg(asm.R3, asm.R10), asm.Add.Imm(asm.R3, int32(value)),
		asm.Mov.Imm(asm.R4, int32(ebpf.UpdateNoExist)),
		asm.FnMapUpdateElem.Call(),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	)
	program, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SchedCLS, Instructions: code, License: "Dual BSD/GPL"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { program.Close() })
	return table, program
}

// mustEmpty deletes all entries and returns how many there were.
func mustEmpty(b *testing.B, table *ebpf.Map) int {
	b.Helper()
	var keys [][]byte
	key, value := []byte{}, []byte{}
	for all := table.Iterate(); all.Next(&key, &value); {
		keys = append(keys, slices.Clone(key))
	}
	for _, k := range keys {
		if err := table.Delete(k); err != nil {
			b.Fatal(err)
		}
	}
	return len(keys)
}
