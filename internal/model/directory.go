package model

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// currentLink is the symlink to the promoted model.
const currentLink = "current"

// ErrNoModel says that no model is promoted.
var ErrNoModel = errors.New(`no model is promoted: train one with "pacgan-appliance train"`)

// Promote makes the model ID in modelsDir the current one: modelsDir/current is swapped by rename, so
// that it leads to the old model or to the new one at any moment. What cannot be loaded is refused.
func Promote(modelsDir, id string) error {
	if err := checkID(id); err != nil {
		return fmt.Errorf("promote model: %w", err)
	}
	if _, _, err := Load(filepath.Join(modelsDir, id)); err != nil {
		return fmt.Errorf("promote: %w", err)
	}
	aside, err := os.MkdirTemp(modelsDir, unfinished) // a name that nobody else has
	if err != nil {
		return fmt.Errorf("promote model %s: %w", id, err)
	}
	link := filepath.Join(aside, currentLink)
	err = os.Symlink(id, link)
	if err == nil {
		err = os.Rename(link, filepath.Join(modelsDir, currentLink))
	}
	if err := errors.Join(err, os.RemoveAll(aside), syncDir(modelsDir)); err != nil {
		return fmt.Errorf("promote model %s: %w", id, err)
	}
	return nil
}

// Current returns the ID of the promoted model, or ErrNoModel.
func Current(modelsDir string) (id string, err error) {
	id, err = os.Readlink(filepath.Join(modelsDir, currentLink))
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("models in %s: %w", modelsDir, ErrNoModel)
	}
	if err == nil {
		err = checkID(id)
	}
	if err != nil {
		return "", fmt.Errorf("models in %s: current: %w", modelsDir, err)
	}
	return id, nil
}

// Entry is one model of a directory: its manifest, or why that cannot be read.
type Entry struct {
	ID       string
	Manifest *Manifest
	Err      error
}

// List returns the models in modelsDir, the oldest first; none if the directory is missing.
func List(modelsDir string) ([]Entry, error) {
	found, err := os.ReadDir(modelsDir) // sorted by name, which begins with the time
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list models: %w", err)
	}
	var entries []Entry
	for _, f := range found {
		if !f.IsDir() || checkID(f.Name()) != nil {
			continue
		}
		man, err := ReadManifest(filepath.Join(modelsDir, f.Name()))
		entries = append(entries, Entry{f.Name(), man, err})
	}
	return entries, nil
}

// Prune removes the oldest models until keep are left, the current one aside, and returns the removed
// IDs. It also removes what a killed program left unfinished, so nothing may be saved meanwhile.
func Prune(modelsDir string, keep int) (removed []string, err error) {
	entries, err := List(modelsDir)
	if err != nil {
		return nil, err
	}
	current, err := Current(modelsDir)
	if err != nil && !errors.Is(err, ErrNoModel) {
		return nil, err
	}
	entries = slices.DeleteFunc(entries, func(e Entry) bool { return e.ID == current })
	for _, e := range entries[:max(0, len(entries)-keep)] {
		aside := filepath.Join(modelsDir, unfinished+e.ID) // half a model is not to look like one
		if err := os.Rename(filepath.Join(modelsDir, e.ID), aside); err != nil {
			return removed, fmt.Errorf("prune models: %w", err)
		}
		removed = append(removed, e.ID)
	}
	left, err := filepath.Glob(filepath.Join(modelsDir, unfinished+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if err != nil {
		return removed, fmt.Errorf("prune models: %w", err)
	}
	return removed, nil
}

// checkID accepts a plain name of a directory: never a path that leads elsewhere.
func checkID(id string) error {
	if id == "" || id == currentLink || strings.HasPrefix(id, ".") || strings.ContainsAny(id, "/\x00") {
		return fmt.Errorf("model ID %q: must be the name of a directory, such as 20260102T150405Z-0123abcd", id)
	}
	return nil
}
