package appliance

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"pacgan-appliance/internal/fleet/shelf"
	"pacgan-appliance/internal/wholefile"
)

// originFile is, in the directory of a model that the fleet trained, the manifest that it had on the shelf.
const originFile = "fleet.json"

// Origin is where a model of the fleet was trained.
type Origin struct {
	Trainer string `json:"trainer"`
	Gateway string `json:"gateway"` // whose packets it learned
	Work    string `json:"work"`    // ID of what the gateway asked for
	SHA256  string `json:"sha256"`  // of the model on the shelf
}

// readOrigin is where the model in dir was trained; nil: here, or by hand.
func readOrigin(dir string) (*Origin, error) {
	text, err := os.ReadFile(filepath.Join(dir, originFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var m shelf.Manifest
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return nil, fmt.Errorf("model %s: %s: %w", dir, originFile, err)
	}
	return &Origin{Trainer: m.Member, Gateway: m.Gateway, Work: m.Work, SHA256: m.SHA256}, nil
}

func writeOrigin(dir string, m *shelf.Manifest) error {
	return wholefile.Write(filepath.Join(dir, originFile), 0o640, func(w io.Writer) error { return json.NewEncoder(w).Encode(m) })
}

// cell is the origin in a table.
func (o *Origin) cell() string {
	if o == nil {
		return "here"
	}
	return o.Trainer + " for " + o.Gateway
}

// line is the origin in words.
func (o *Origin) line() string {
	if o == nil {
		return "trained here"
	}
	return fmt.Sprintf("trained by %s, a trainer of the fleet's, for gateway %s (work %s)", o.Trainer, o.Gateway, o.Work)
}
