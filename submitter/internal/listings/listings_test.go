package listings_test

import (
	"encoding/json"
	"testing"
	"time"

	"pencere/submitter/internal/listings"

	"github.com/google/go-cmp/cmp"
)

func TestJSON(t *testing.T) {
	l := listings.Listing{
		ID: 7, Product: "Bağlama", Description: `"el" yapımı`, Price: 9400, KDV: 0.2,
		Time: time.Date(2025, 3, 4, 11, 55, 49, 999, time.UTC),
	}
	got, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"id":7,"product":"Bağlama","description":"\"el\" yapımı","price":9400,"kdv":0.2,"timestamp_column":"2025-03-04 11:55:49"}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Error(diff)
	}
}

// Listings are varied and have running ids.
func TestGenerator(t *testing.T) {
	const n = 2000
	var g listings.Generator
	products, rates := map[string]bool{}, map[float64]bool{}
	for i := range int64(n) {
		l := g.Next(time.Unix(0, 0))
		if l.ID != i || l.Price <= 0 || l.Description == "" {
			t.Fatalf("listing %d is %+v", i, l)
		}
		products[l.Product], rates[l.KDV] = true, true
	}
	if len(products) < 22 || len(rates) < 4 {
		t.Errorf("%d products, %d rates", len(products), len(rates))
	}
}
