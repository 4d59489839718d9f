package train

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"pacgan-appliance/internal/model"
)

// decodeSaved reads a state of size bytes, whose chosen model is not looked at yet.
func decodeSaved(r io.Reader, size int64) (*Saved, error) {
	metadata, tensors, err := model.ReadTensors(r, size)
	if err != nil {
		return nil, err
	}
	if metadata["format"] != stateFormat || metadata["version"] != stateVersion {
		return nil, fmt.Errorf("format %q version %q, not %q version %s", metadata["format"], metadata["version"], stateFormat, stateVersion)
	}
	box := make(map[string]any, len(tensors))
	for _, t := range tensors {
		box[t.Name] = t.Data
	}
	encoded, ok := box[recordTensor].([]uint8)
	if !ok {
		return nil, fmt.Errorf("tensor %q is missing", recordTensor)
	}
	var saved savedRecord
	if err := json.Unmarshal(encoded, &saved); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	s := &Saved{Options: saved.Options, record: saved.Record}
	if err := s.check(); err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	for i, label := range saved.Labels {
		packets, err := takePackets(box, i)
		if err != nil {
			return nil, fmt.Errorf("packets of label %q: %w", label, err)
		}
		s.Data = append(s.Data, Set{label, packets})
	}
	s.memory = recalled{source: saved.Source, counters: saved.Counters, tensors: map[string]any{}}
	for name, values := range box {
		if name, ok := strings.CutPrefix(name, memoryPrefix); ok {
			s.memory.tensors[name] = values
		}
	}
	return s, nil
}

// check refuses a record that no training writes.
func (s *Saved) check() error {
	opts, err := s.Options.withDefaults()
	if err != nil {
		return err
	}
	if opts.Recipe == model.RecipeTree {
		return fmt.Errorf("recipe %s has no steps to resume", opts.Recipe)
	}
	if steps := s.record.Steps; steps < 0 || steps > opts.Steps || s.record.Chosen < 0 || s.record.Chosen > steps {
		return fmt.Errorf("step %d of %d, chosen %d", steps, opts.Steps, s.record.Chosen)
	}
	if len(s.record.Curve) == 0 {
		return fmt.Errorf("no checkpoint is judged")
	}
	return nil
}

// takePackets returns the packets of label i.
func takePackets(box map[string]any, i int) ([][]byte, error) {
	joined, ok1 := box[fmt.Sprintf("packets.%d", i)].([]uint8)
	lengths, ok2 := box[fmt.Sprintf("lengths.%d", i)].([]uint16)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("missing")
	}
	packets := make([][]byte, len(lengths))
	for j, n := range lengths {
		if int(n) > len(joined) {
			return nil, fmt.Errorf("fewer bytes than their lengths say")
		}
		packets[j], joined = joined[:n:n], joined[n:]
	}
	if len(joined) > 0 {
		return nil, fmt.Errorf("%d bytes more than their lengths say", len(joined))
	}
	return packets, nil
}
