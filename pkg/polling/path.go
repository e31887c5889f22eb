// Package polling decides what to make of the answers of a web API that is asked again and again: where the items are in an
// answer, which page follows, which items were there before, and how all that is kept in a checkpoint.
//
// The package is pure, and nothing in it is safe for concurrent use.
package polling

import "pencere/pkg/format/json"

// Path leads to a value inside a JSON document, in the language of json.Path: $.data['first name'][0]. The zero Path is the document.
type Path struct {
	text string
	path json.Path
}

// ParsePath reads a path. "" is the document.
func ParsePath(text string) (Path, error) {
	if text == "" {
		return Path{}, nil
	}
	path, err := json.ParsePath(text)
	return Path{text, path}, err
}

func (p Path) String() string {
	if p.text == "" {
		return "$"
	}
	return p.text
}

// Find returns the value that the path leads to in a valid JSON document. found is false when there is none.
func (p Path) Find(document []byte) (value []byte, found bool) {
	value = new(json.Finder).Find(trim(document), p.path)
	return value, value != nil
}
