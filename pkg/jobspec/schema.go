package jobspec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/google/jsonschema-go/jsonschema"

	"pencere/pkg/sqltype"
)

type jsonSchema = jsonschema.Schema

// SchemaFile is the name under which the JSON Schema lies beside the example jobs.
const SchemaFile = "pencere.schema.json"

// Schema returns the JSON Schema (draft 2020-12, indented) of job specs, for editors. It is made from the table
// that the parser goes by: what it refuses, Parse refuses, too. Parse refuses more: what depends on the columns'
// types and on several fields at once.
func Schema() []byte {
	root := spec.schema()
	root.Schema = "https://json-schema.org/draft/2020-12/schema"
	root.Title = "Pencere job"
	root.Description = "A job of the stream processor Pencere. A value may hold ${NAME} or ${NAME:default}, which " +
		"the environment of the submitter fills in, and $$ for a dollar sign."
	root.Defs = map[string]*jsonSchema{
		variableDefinition: {
			Type: "string", Pattern: `\$\{[A-Za-z_][A-Za-z0-9_]*(:[^}]*)?\}`,
			Description: "A value that comes out of a variable",
		},
	}
	text, _ := json.MarshalIndent(root, "", "  ") // it depends on the table alone, which the tests have seen succeed
	return append(text, '\n')
}

const variableDefinition = "variable"

// variableOr allows a text with a variable beside the forms given.
func variableOr(forms ...*jsonSchema) *jsonSchema {
	return &jsonSchema{AnyOf: append(forms, &jsonSchema{Ref: "#/$defs/" + variableDefinition})}
}

// nothing is the schema that no value has.
func nothing() *jsonSchema { return &jsonSchema{Not: &jsonSchema{}} }

func (m mapping) schema() *jsonSchema {
	s := &jsonSchema{Type: "object", Properties: map[string]*jsonSchema{}, AdditionalProperties: nothing()}
	for _, f := range m.fields {
		s.Properties[f.name] = f.schema()
		s.PropertyOrder = append(s.PropertyOrder, f.name)
		if f.required {
			s.Required = append(s.Required, f.name)
		}
	}
	for _, name := range m.oneOf {
		s.OneOf = append(s.OneOf, &jsonSchema{Required: []string{name}})
	}
	return s
}

func (f field) schema() *jsonSchema {
	s := f.shape.schema()
	s.Description = strings.ToUpper(f.doc[:1]) + f.doc[1:] + "."
	for _, example := range f.examples {
		s.Examples = append(s.Examples, example)
	}
	return s
}

func (v variants) schema() *jsonSchema {
	s := &jsonSchema{Type: "object"}
	for _, variant := range v.of {
		s.OneOf = append(s.OneOf, v.mapping(variant.name).schema())
	}
	return s
}

func (s single[T]) schema() *jsonSchema {
	schema := s.kind.schema()
	if s.byDefault != "" {
		schema.Default = s.kind.json(s.byDefault)
	}
	return schema
}

// json writes a text of the kind as YAML would take it: bare if it is a number or a boolean here, else as a text.
func (k kind[T]) json(text string) json.RawMessage {
	var value any
	if err := json.Unmarshal([]byte(text), &value); err == nil {
		switch value.(type) {
		case float64:
			if k.takesType(integerType) {
				return json.RawMessage(text)
			}
		case bool:
			if k.takesType(booleanType) {
				return json.RawMessage(text)
			}
		}
	}
	return json.RawMessage(strconv.Quote(text)) // the table's defaults are plain ASCII
}

func (t texts) schema() *jsonSchema {
	least := 1
	list := &jsonSchema{Type: "array", MinItems: &least, Items: t.kind.schema()}
	if t.separator == "" {
		return list
	}
	return &jsonSchema{AnyOf: []*jsonSchema{t.kind.schema(), list}}
}

func (e entriesOf[T]) schema() *jsonSchema {
	return &jsonSchema{
		Type:                 "object",
		PropertyNames:        &jsonSchema{Pattern: `\S`},
		AdditionalProperties: e.kind.schema(),
	}
}

func (e either) schema() *jsonSchema {
	return &jsonSchema{AnyOf: []*jsonSchema{e.scalar.schema(), e.mapping.schema()}}
}

func (selection) schema() *jsonSchema {
	one := 1
	least := 1
	return &jsonSchema{Type: "array", MinItems: &least, Items: &jsonSchema{AnyOf: []*jsonSchema{
		selected().schema(),
		{
			Type: "object", MinProperties: &one, MaxProperties: &one,
			AdditionalProperties: anyScalar("an expression").schema(),
		},
	}}}
}

// columnTypeSchema offers the names of types, and takes them in any case and with what may follow a name.
func columnTypeSchema() *jsonSchema {
	names := slices.Sorted(slices.Values(sqltype.Names()))
	offered := &jsonSchema{}
	anyCase := make([]string, len(names))
	for i, name := range names {
		offered.Enum = append(offered.Enum, name)
		for _, letter := range name {
			anyCase[i] += caseless(letter)
		}
	}
	return variableOr(offered, &jsonSchema{
		Type: "string", Pattern: `^\s*(` + strings.Join(anyCase, "|") + `)(\s*\([\s0-9,]*\)[\sA-Za-z]*|\s[\sA-Za-z]*)?$`,
	})
}

// caseless is the pattern of a letter in either case. (JSON Schema's patterns have no flags.)
func caseless(letter rune) string {
	if lower := unicode.ToLower(letter); lower != letter {
		return fmt.Sprintf("[%c%c]", letter, lower)
	}
	return string(letter)
}
