package model

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// formatName is the magic of our safetensors files, in their metadata.
const formatName = "pacgan-appliance generator"

const (
	directoryMode = 0o750 // packets of a network can be read off its model
	fileMode      = 0o640
)

// unfinished is how the names of directories begin that are being written, or were when the program
// was killed.
const unfinished = ".unfinished-"

// Save writes the model to a new directory modelsDir/ID, which appears complete or not at all, and
// returns the ID: UTC time of man.Created and the first digits of the weights' hash. modelsDir is
// made if it is missing.
func Save(modelsDir string, m *Model, man Manifest) (id string, err error) {
	err = save(modelsDir, m, &man, func() string {
		id = man.Created.Format("20060102T150405Z") + "-" + man.GeneratorSHA256[:8]
		return filepath.Join(modelsDir, id)
	})
	if err != nil {
		return "", fmt.Errorf("save model in %s: %w", modelsDir, err)
	}
	return id, nil
}

// SaveAs is [Save] to the directory dir itself, which must not hold anything yet.
func SaveAs(dir string, m *Model, man Manifest) error {
	dir = filepath.Clean(dir)
	if err := save(filepath.Dir(dir), m, &man, func() string { return dir }); err != nil {
		return fmt.Errorf("save model %s: %w", dir, err)
	}
	return nil
}

// save writes the model to a directory aside in parent, completes man, and renames the directory to
// what name then says.
func save(parent string, m *Model, man *Manifest, name func() string) (err error) {
	if err := m.Validate(); err != nil {
		return err
	}
	if err := os.MkdirAll(parent, directoryMode); err != nil {
		return err
	}
	aside, err := os.MkdirTemp(parent, unfinished)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(aside))
		}
	}()
	if err := writeFiles(aside, m, man); err != nil {
		return err
	}
	target := name()
	if entries, err := os.ReadDir(target); err == nil && len(entries) > 0 {
		return fmt.Errorf("%s: %w and is not empty: choose another directory", target, fs.ErrExist)
	}
	if err := os.Rename(aside, target); err != nil {
		return err
	}
	return syncDir(parent)
}

func writeFiles(dir string, m *Model, man *Manifest) error {
	if err := os.Chmod(dir, directoryMode); err != nil {
		return err
	}
	hash := sha256.New()
	err := writeFile(filepath.Join(dir, generatorFile), func(w io.Writer) error {
		metadata := map[string]string{"format": formatName, "version": fmt.Sprint(FormatVersion)}
		return WriteTensors(io.MultiWriter(w, hash), metadata, m.tensors())
	})
	if err != nil {
		return err
	}
	man.describe(m, hex.EncodeToString(hash.Sum(nil)))
	if err := writeFile(filepath.Join(dir, manifestFile), man.encode); err != nil {
		return err
	}
	return syncDir(dir)
}

// encode writes the manifest as JSON.
func (man *Manifest) encode(w io.Writer) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(man)
}

// writeFile writes a new file and has the disk keep it.
func writeFile(path string, write func(io.Writer) error) (err error) {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if err := write(file); err != nil {
		return err
	}
	return file.Sync()
}

// syncDir has the disk keep a directory's entries: without it a rename may be lost with the power.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Load reads the model in dir. A file that is damaged, incomplete or made to harm gives an error.
func Load(dir string) (*Model, *Manifest, error) {
	man, err := ReadManifest(dir)
	if err != nil {
		return nil, nil, err
	}
	m, err := readGenerator(filepath.Join(dir, generatorFile), man)
	if err != nil {
		return nil, nil, fmt.Errorf(`model %s: %s: %w: promote another model or retrain with "pacgan-appliance train"`, dir, generatorFile, err)
	}
	return m, man, nil
}

func readGenerator(path string, man *Manifest) (*Model, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close() // read only
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	hash := sha256.New()
	m, err := decode(io.TeeReader(file, hash), info.Size(), man)
	if err != nil {
		return nil, err
	}
	if got := hex.EncodeToString(hash.Sum(nil)); got != man.GeneratorSHA256 {
		return nil, fmt.Errorf("its SHA-256 is %.8s, the manifest says %.8s: the file is damaged", got, man.GeneratorSHA256)
	}
	return m, nil
}

// decode reads a generator file of size bytes, as its manifest describes it.
func decode(r io.Reader, size int64, man *Manifest) (*Model, error) {
	metadata, tensors, err := ReadTensors(r, size)
	if err != nil {
		return nil, err
	}
	if metadata["format"] != formatName || metadata["version"] != fmt.Sprint(FormatVersion) {
		return nil, fmt.Errorf("format %q version %q, not %q version %d", metadata["format"], metadata["version"], formatName, FormatVersion)
	}
	m := &Model{Recipe: man.Recipe, Labels: man.Labels, Geometry: man.Geometry}
	if err := validateLabels(m.Labels); err != nil {
		return nil, err
	}
	if err := m.takeTensors(tensors, man.Prior, man.Net); err != nil {
		return nil, err
	}
	return m, m.Validate()
}
