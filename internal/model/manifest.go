package model

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"pacgan-appliance/internal/encoding"
)

// FormatVersion is the version of the files that this program writes and reads.
const FormatVersion = 3

const (
	manifestFile  = "manifest.json"
	generatorFile = "generator.safetensors"
	// maxManifest bounds a manifest; the quality report in it has some kilobytes.
	maxManifest = 16 << 20
)

// Manifest is a model's manifest.json: what the numbers in generator.safetensors mean and where they
// come from. Whoever saves a model fills in the first group; the second follows from the model.
type Manifest struct {
	Seed       uint64          `json:"seed"`
	ConfigHash string          `json:"config_hash"`
	DataHash   string          `json:"data_hash"`
	Training   *Training       `json:"training,omitempty"` // nil: not known, as in models of older versions
	Quality    json.RawMessage `json:"quality,omitempty"`  // quality.Report of each label by its name, against packets that it was not fitted to
	Privacy    json.RawMessage `json:"privacy,omitempty"`  // privacy.Report of each label by its name, of the packets that Quality is of
	Rival      *Rival          `json:"rival,omitempty"`    // nil: there was none
	Judgement  *Judgement      `json:"judgement,omitempty"`
	Software   string          `json:"software"` // version of the program that trained it
	Created    time.Time       `json:"created"`  // names the model's directory; kept in UTC

	FormatVersion   int               `json:"format_version"`
	Recipe          Recipe            `json:"recipe"`
	Labels          []string          `json:"labels"`
	Geometry        encoding.Geometry `json:"geometry"`
	Prior           Prior             `json:"prior,omitempty"` // recipe gan
	Net             *Arch             `json:"net,omitempty"`   // recipes gan and paper
	GeneratorSHA256 string            `json:"generator_sha256"`
}

// LeftOut are the labels that could not be learned with the model, with the
// reason; none where that is not known.
func (man *Manifest) LeftOut() map[string]string {
	if man.Training == nil {
		return nil
	}
	return man.Training.LeftOut
}

// describe completes the manifest of a model whose generator file has the given hash.
func (man *Manifest) describe(m *Model, sha256 string) {
	man.FormatVersion, man.GeneratorSHA256 = FormatVersion, sha256
	man.Recipe, man.Labels, man.Geometry = m.Recipe, m.Labels, m.Geometry
	man.Prior, man.Net = "", nil
	man.Created = man.Created.UTC()
	if m.Gate != nil {
		man.Prior = m.Gate.Prior
	}
	if m.Net != nil {
		man.Net = &m.Net.Arch
	}
}

// ReadManifest reads the manifest of the model in dir, without its weights. A model of another format
// version is refused.
func ReadManifest(dir string) (*Manifest, error) {
	man, err := readManifest(filepath.Join(dir, manifestFile))
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", dir, err)
	}
	return man, nil
}

func readManifest(path string) (*Manifest, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // read only
	encoded, err := io.ReadAll(io.LimitReader(file, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(encoded) > maxManifest {
		return nil, fmt.Errorf("%s has more than %d bytes", manifestFile, maxManifest)
	}
	return parseManifest(encoded)
}

// parseManifest looks at the format version first: what else another version holds is not for this
// program to judge.
func parseManifest(encoded []byte) (*Manifest, error) {
	var version struct {
		FormatVersion int `json:"format_version"`
	}
	if err := json.Unmarshal(encoded, &version); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	if version.FormatVersion != FormatVersion {
		return nil, fmt.Errorf(`format %d, this program reads format %d: retrain with "pacgan-appliance train" or install the version that wrote it`,
			version.FormatVersion, FormatVersion)
	}
	var man Manifest
	if err := json.Unmarshal(encoded, &man); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestFile, err)
	}
	return &man, nil
}
