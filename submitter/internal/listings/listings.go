// Package listings makes sample data: second-hand listings in the shape of the reference job's topic.
package listings

import (
	"encoding/json"
	"time"
)

// Topic is the topic that the reference job reads.
const Topic = "sahibinden"

// timeLayout is the SQL form of a timestamp, as the reference job reads it.
const timeLayout = time.DateTime

// Listing is something that is for sale.
type Listing struct {
	ID          int64
	Product     string
	Description string
	Price       int64   // lira without VAT
	KDV         float64 // the VAT's rate
	Time        time.Time
}

// MarshalJSON implements json.Marshaler: the record that the reference job reads. The time is that of its own zone, without
// it and without fractions of a second.
func (l Listing) MarshalJSON() ([]byte, error) {
	return json.Marshal(struct {
		ID          int64   `json:"id"`
		Product     string  `json:"product"`
		Description string  `json:"description"`
		Price       int64   `json:"price"`
		KDV         float64 `json:"kdv"`
		Time        string  `json:"timestamp_column"`
	}{l.ID, l.Product, l.Description, l.Price, l.KDV, l.Time.Format(timeLayout)})
}

// Generator makes listings one after the other, always the same ones. It is for one goroutine.
type Generator struct{ made int64 }

// Next returns the next listing, with the given time.
func (g *Generator) Next(at time.Time) Listing {
	id := g.made
	g.made++
	l := samples[id%int64(len(samples))]
	l.ID, l.Time = id, at
	// Prices differ from round to round, by no more than a tenth.
	l.Price += l.Price / 100 * (id / int64(len(samples)) % 10)
	return l
}

// samples are the listings that a Generator varies.
var samples = [...]Listing{
	{Product: "Televizyon", Description: "55 inç, duvar askısıyla birlikte, kutusu duruyor", Price: 17_500, KDV: 0.20},
	{Product: "Bisiklet", Description: "21 vites şehir bisikleti, lastikleri yeni", Price: 8_250, KDV: 0.20},
	{Product: "Kitap", Description: "Türk edebiyatından 40 romanlık koli", Price: 1_200, KDV: 0.01},
	{Product: "Zeytinyağı", Description: "Ayvalık erken hasat, 5 litre teneke", Price: 2_100, KDV: 0.01},
	{Product: "Telefon", Description: "128 GB, ekranı \"sıfır gibi\", faturalı", Price: 24_900, KDV: 0.20},
	{Product: "Koltuk takımı", Description: "3+2+1, keten kumaş, evcil hayvan girmedi", Price: 31_000, KDV: 0.10},
	{Product: "Araba", Description: "2016 model, 92 bin km, değişensiz", Price: 865_000, KDV: 0.18},
	{Product: "Bağlama", Description: "uzun sap, dut tekne, el yapımı", Price: 9_400, KDV: 0.20},
	{Product: "Bebek arabası", Description: "tek elle katlanır, yağmurluğu var", Price: 4_300, KDV: 0.10},
	{Product: "Çamaşır makinesi", Description: "9 kg, 1400 devir; iki yıl garantisi kaldı", Price: 13_750, KDV: 0.20},
	{Product: "Fındık", Description: "Giresun kalite, kavrulmuş, 10 kg", Price: 3_600, KDV: 0.01},
	{Product: "Dizüstü bilgisayar", Description: "16 GB bellek, pili 6 saat gidiyor", Price: 28_400, KDV: 0.20},
	{Product: "Halı", Description: "Uşak el dokuması, 2 x 3 metre", Price: 19_900, KDV: 0.10},
	{Product: "Kamera", Description: "aynasız gövde, 14 bin çekim, iki lens", Price: 42_000, KDV: 0.20},
	{Product: "Traktör", Description: "75 beygir, bakımlı, pulluğu hediye", Price: 720_000, KDV: 0.10},
	{Product: "Ders notu", Description: "üniversiteye hazırlık, matematik ve fizik", Price: 350, KDV: 0.01},
	{Product: "Kahve makinesi", Description: "öğütücülü, yeni temizlendi", Price: 11_200, KDV: 0.20},
	{Product: "Daire", Description: "Kadıköy, 3+1, ara kat, asansörlü", Price: 6_450_000, KDV: 0.10},
	{Product: "Motosiklet", Description: "250 cc, çanta ve kask dahil", Price: 118_000, KDV: 0.20},
	{Product: "Yorgan", Description: "çift kişilik, Denizli pamuğu", Price: 1_650, KDV: 0.10},
	{Product: "Satranç takımı", Description: "ceviz ağacından, taşları oyma", Price: 2_800, KDV: 0.20},
	{Product: "Bal", Description: "Anzer yaylası, analiz raporlu, 1 kg", Price: 2_450, KDV: 0.01},
	{Product: "Bilet", Description: "tiyatro, ön sıra, iki kişilik", Price: 1_400, KDV: 0.10},
	{Product: "Masa lambası", Description: "pirinç ayaklı, 1970'lerden", Price: 900, KDV: 0.20},
}
