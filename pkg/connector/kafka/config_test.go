package kafka

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"maps"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"

	"pencere/pkg/plan"
)

func TestConfigErrors(t *testing.T) {
	cases := []struct {
		name   string
		change func(*plan.KafkaSource)
		want   []string // each is in the message
	}{
		{"no brokers", func(s *plan.KafkaSource) { s.Brokers = nil }, []string{"brokers: none given"}},
		{"no topics", func(s *plan.KafkaSource) { s.Topics = nil }, []string{"names or a pattern"}},
		{"names and pattern", func(s *plan.KafkaSource) { s.TopicPattern = "x" }, []string{"names or a pattern"}},
		{"bad pattern", pattern("("), []string{`topic pattern "("`}},
		{"no group", start(plan.StartGroupOffsets), []string{"group-offsets needs a group"}},
		{"start", start("first"), []string{`"first" is none of`}},
		{"misspelt", property("isolation.levle", "x"), []string{"property isolation.levle: not known: did you mean isolation.level?"}},
		{"far from all", property("q", "x"), []string{"property q: not known"}},
		{"elsewhere", property("group.id", "x"), []string{"property group.id: is given as group"}},
		{"choice", property("isolation.level", "committed"), []string{`property isolation.level: "committed" is none of read_committed, read_uncommitted`}},
		{"number", property("fetch.max.bytes", "1MB"), []string{`property fetch.max.bytes: "1MB" is not a whole number of bytes from 1 to 2147483647`}},
		{"too large", property("fetch.max.bytes", "2147483648"), []string{"from 1 to 2147483647"}},
		{"zero", property("retry.backoff.ms", "0"), []string{"milliseconds from 1"}},
		{"flag", property("check.crcs", "yes"), []string{"none of true, false"}},
		{"no password", property("security.protocol", "SASL_SSL"), []string{"property security.protocol: SASL needs sasl.jaas.config"}},
		{"mechanism", property("sasl.mechanism", "GSSAPI"), []string{"none of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"}},
		{"jaas", property("sasl.jaas.config", `user="x"`), []string{"property sasl.jaas.config: not of the form"}},
		{"key store", property("ssl.keystore.type", "JKS"), []string{"convert the store to PEM"}},
		{"no file", property("ssl.truststore.location", "/nowhere"), []string{"property ssl.truststore.location: open /nowhere"}},
		{"no PEM", property("ssl.truststore.certificates", "x"), []string{"holds no PEM"}},
		{"two at once", func(s *plan.KafkaSource) {
			s.Brokers, s.Properties = nil, map[string]string{"a": "", "check.crcs": "no"}
		}, []string{"brokers:", "property a:", "property check.crcs:"}},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			source := plan.KafkaSource{Brokers: []string{"h:1"}, Topics: []string{"t"}, Start: plan.StartEarliest}
			test.change(&source)
			_, err := NewConfig(source)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestParseJAAS(t *testing.T) {
	plainModule := "org.apache.kafka.common.security.plain.PlainLoginModule required "
	cases := []struct{ text, user, password string }{
		{plainModule + `username="ali" password="p w";`, "ali", "p w"},
		{plainModule + `password='x' username=ali password=pw;`, "ali", "pw"},
		{" org.apache.kafka.common.security.scram.ScramLoginModule required\n username=\"ali\"\n password=\"a\\\"b;=\\\\\";", "ali", `a"b;=\`},
	}
	for _, test := range cases {
		user, password, err := parseJAAS(test.text)
		if err != nil || user != test.user || password != test.password {
			t.Errorf("%s: %q, %q, %v", test.text, user, password, err)
		}
	}
	for _, bad := range []string{"", "x", plainModule, plainModule + `username="ali"`, `com.sun.Krb5LoginModule required username="a" password="b";`} {
		if _, _, err := parseJAAS(bad); err == nil || strings.Contains(err.Error(), "ali") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzParseJAAS(f *testing.F) {
	f.Add(`org.apache.kafka.common.security.plain.PlainLoginModule required username="a" password="b\"";`)
	f.Fuzz(func(t *testing.T, text string) {
		user, password, err := parseJAAS(text)
		if (err == nil) != (user != "" && password != "") {
			t.Errorf("%q, %q, %v", user, password, err)
		}
	})
}

// TestSecurity reads through TLS and SASL.
func TestSecurity(t *testing.T) {
	certificate, key, text := selfSigned(t)
	dir := t.TempDir()
	ca, both := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "both.pem")
	for name, content := range map[string][]byte{ca: certificate, both: append(slices.Clone(key), certificate...)} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name       string
		properties map[string]string
		fails      bool
	}{
		{name: "plain", properties: map[string]string{"sasl.jaas.config": `org.apache.kafka.common.security.plain.PlainLoginModule required username="plain" password="secret";`}},
		{name: "scram 256", properties: map[string]string{"sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "SCRAM-SHA-256", "sasl.password": "secret"}},
		{name: "scram 512", properties: map[string]string{"sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "SCRAM-SHA-512", "sasl.password": "secret"}},
		{name: "inline", properties: map[string]string{"ssl.truststore.certificates": string(certificate), "ssl.truststore.type": "PEM"}},
		{name: "client certificate", properties: map[string]string{"ssl.keystore.location": both}},
		{name: "two texts", properties: map[string]string{"ssl.keystore.certificate.chain": string(certificate), "ssl.keystore.key": string(key)}},
		{name: "any name", properties: map[string]string{"ssl.endpoint.identification.algorithm": ""}},
		{name: "unknown authority", properties: map[string]string{"ssl.truststore.location": "", "ssl.truststore.certificates": string(otherAuthority(t))}, fails: true},
	}
	c := newSecureCluster(t, text)
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			properties := map[string]string{
				"security.protocol": "SASL_SSL", "ssl.truststore.location": ca, "sasl.username": "plain", "sasl.password": "secret",
			}
			maps.Copy(properties, test.properties)
			if properties["ssl.truststore.location"] == "" || properties["ssl.truststore.certificates"] != "" {
				delete(properties, "ssl.truststore.location")
			}
			cfg, err := NewConfig(plan.KafkaSource{Brokers: c.ListenAddrs(), Topics: []string{"t"}, Start: plan.StartEarliest, Properties: properties})
			if err != nil {
				t.Fatal(err)
			}
			e, err := NewEnumerator(cfg)
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			splits, err := e.Discover(t.Context())
			if test.fails {
				_ = wantError[*AuthError](t, err)
				return
			}
			if diff := cmp.Diff([]Split{{Topic: "t", Stop: Unbounded}}, splits); diff != "" || err != nil {
				t.Error(diff, err)
			}
		})
	}
}

func newSecureCluster(t *testing.T, certificate tls.Certificate) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"),
		kfake.TLS(&tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}), kfake.EnableSASL(),
		kfake.Superuser("PLAIN", "plain", "secret"),
		kfake.Superuser("SCRAM-SHA-256", "SCRAM-SHA-256", "secret"),
		kfake.Superuser("SCRAM-SHA-512", "SCRAM-SHA-512", "secret"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func otherAuthority(t *testing.T) []byte {
	certificate, _, _ := selfSigned(t)
	return certificate
}

// selfSigned makes a certificate for 127.0.0.1, as PEM of it and its key and as both.
func selfSigned(t *testing.T) (certificate, key []byte, both tls.Certificate) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	key = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})
	if both, err = tls.X509KeyPair(certificate, key); err != nil {
		t.Fatal(err)
	}
	return certificate, key, both
}
