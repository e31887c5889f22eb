package polling

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Scheme says how an answer tells where the rest of the items are.
type Scheme string

// The schemes; "" is one page alone.
const (
	Link Scheme = "link" // the header Link has a rel=next
	Next Scheme = "next" // a field of the body has the next page's address, or a cursor for a parameter
	Page Scheme = "page" // pages have numbers, and one without items ends them
)

// Pagination is how the pages of a URL follow each other.
type Pagination struct {
	Scheme Scheme
	// Field is where Next finds the address or, with a Parameter, the cursor.
	Field Path
	// Parameter is the query parameter that takes the page's number, or the cursor.
	Parameter string
	// First is the number of the first page.
	First int64
}

// FirstPage returns the address of the first page.
func (p Pagination) FirstPage(target *url.URL) *url.URL {
	if p.Scheme != Page {
		return target
	}
	return withParameter(target, p.Parameter, strconv.FormatInt(p.First, 10))
}

// Answer is what a page tells of the next one.
type Answer struct {
	URL    *url.URL // of the page
	Number int      // of pages before it
	Links  []string // the values of the headers Link
	Body   []byte   // valid JSON
	Items  int
}

// NextPage returns the address of the page that follows, nil for none. It lies on the server of target: what is sent along with a
// request is not for others.
func (p Pagination) NextPage(target *url.URL, a Answer) (next *url.URL, err error) {
	switch p.Scheme {
	case Link:
		if reference, ok := NextLink(a.Links); ok {
			next, err = a.URL.Parse(reference)
		}
	case Next:
		next, err = p.nextField(target, a)
	case Page:
		if a.Items > 0 {
			next = withParameter(target, p.Parameter, strconv.FormatInt(p.First+int64(a.Number)+1, 10))
		}
	}
	switch {
	case err != nil:
		return nil, errors.New("the address of its next page is malformed") // which may hold secrets, so it is not shown
	case next == nil:
		return nil, nil
	case next.Scheme != target.Scheme || next.Host != target.Host:
		return nil, fmt.Errorf("its next page is on another server, %s://%s; pages are followed on one server alone", next.Scheme, next.Host)
	case next.String() == a.URL.String():
		return nil, errors.New("it names itself as its next page")
	}
	return next, nil
}

func (p Pagination) nextField(target *url.URL, a Answer) (*url.URL, error) {
	value, found := p.Field.Find(a.Body)
	if !found {
		return nil, nil
	}
	var text string
	switch value[0] {
	case 'n', 'f', '{', '[':
		return nil, nil
	case '"':
		if err := json.Unmarshal(value, &text); err != nil {
			return nil, err
		}
	default:
		text = string(value)
	}
	switch {
	case text == "":
		return nil, nil
	case p.Parameter != "":
		return withParameter(target, p.Parameter, text), nil
	default:
		return a.URL.Parse(text)
	}
}

func withParameter(target *url.URL, name, value string) *url.URL {
	page := *target
	query := page.Query()
	query.Set(name, value)
	page.RawQuery = query.Encode()
	return &page
}

// NextLink returns the target of the first link whose relation is next, among the values of headers Link (RFC 8288).
func NextLink(headers []string) (target string, found bool) {
	for _, header := range headers {
		for rest := header; ; {
			open := strings.IndexByte(rest, '<')
			if open < 0 {
				break
			}
			end := strings.IndexByte(rest[open:], '>')
			if end < 0 {
				break
			}
			target, rest = rest[open+1:open+end], rest[open+end+1:]
			var isNext bool
			if isNext, rest = linkParameters(rest); isNext {
				return target, true
			}
		}
	}
	return "", false
}

// linkParameters reads the parameters behind a link's target, up to the comma before the next link.
func linkParameters(rest string) (isNext bool, after string) {
	sawRelation := false // of several only the first counts
	for {
		rest = strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(rest, ";") {
			return isNext, rest
		}
		rest = strings.TrimLeft(rest[1:], " \t")
		end := strings.IndexAny(rest, "=;,")
		if end < 0 {
			return isNext, ""
		}
		name := strings.TrimSpace(rest[:end])
		if rest[end] != '=' {
			rest = rest[end:]
			continue
		}
		var value string
		value, rest = linkValue(strings.TrimLeft(rest[end+1:], " \t"))
		if strings.EqualFold(name, "rel") && !sawRelation {
			sawRelation = true
			for relation := range strings.FieldsSeq(value) {
				isNext = isNext || strings.EqualFold(relation, "next")
			}
		}
	}
}

// linkValue reads a token or a quoted string.
func linkValue(rest string) (value, after string) {
	if !strings.HasPrefix(rest, `"`) {
		end := strings.IndexAny(rest, ";,")
		if end < 0 {
			end = len(rest)
		}
		return strings.TrimSpace(rest[:end]), rest[end:]
	}
	var text strings.Builder
	for i := 1; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '"':
			return text.String(), rest[i+1:]
		case c == '\\' && i+1 < len(rest):
			i++
			text.WriteByte(rest[i])
		default:
			text.WriteByte(c)
		}
	}
	return text.String(), ""
}
