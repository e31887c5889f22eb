package kafka

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"regexp"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// security takes the properties of TLS and SASL, under the names of Kafka's Java client and, where they differ, of librdkafka.
func (s *settings) security() []kgo.Opt {
	protocol := s.choice("security.protocol", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
	var opts []kgo.Opt
	config, mechanism := s.tls(), s.sasl(strings.HasPrefix(protocol, "SASL_"))
	if strings.HasSuffix(protocol, "SSL") && config != nil {
		opts = append(opts, kgo.DialTLSConfig(config))
	}
	if mechanism != nil {
		opts = append(opts, kgo.SASL(mechanism))
	}
	return opts
}

// sasl returns the mechanism, or nil when SASL is not wanted or its properties are wrong.
func (s *settings) sasl(wanted bool) sasl.Mechanism {
	name := s.choice("sasl.mechanism", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
	user, password := s.text("sasl.username"), s.text("sasl.password")
	if jaas, ok := s.lookup("sasl.jaas.config"); ok {
		var err error
		if user, password, err = parseJAAS(jaas); err != nil {
			s.fail("sasl.jaas.config", "%v", err)
			return nil
		}
	}
	if !wanted {
		return nil
	}
	if user == "" || password == "" {
		s.fail("security.protocol", "SASL needs sasl.jaas.config, or sasl.username and sasl.password")
		return nil
	}
	switch name {
	case "SCRAM-SHA-256":
		return scram.Auth{User: user, Pass: password}.AsSha256Mechanism()
	case "SCRAM-SHA-512":
		return scram.Auth{User: user, Pass: password}.AsSha512Mechanism()
	default:
		return plain.Auth{User: user, Pass: password}.AsMechanism()
	}
}

// jaasOption is one key="value" of a JAAS entry; inside the quotes a backslash escapes the next character.
var jaasOption = regexp.MustCompile(`(\w+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";]+))`)

var errJAAS = errors.New(`not of the form: org.apache.kafka.common.security.plain.PlainLoginModule required username="..." password="...";`)

// parseJAAS returns the credentials of a JAAS login entry, as Java's client is given them.
func parseJAAS(text string) (user, password string, err error) {
	module, options, _ := strings.Cut(strings.TrimSpace(text), " ")
	if !strings.HasSuffix(module, ".PlainLoginModule") && !strings.HasSuffix(module, ".ScramLoginModule") {
		return "", "", errJAAS
	}
	for _, m := range jaasOption.FindAllStringSubmatch(options, -1) {
		value := unescape(m[2]) + m[3]
		switch m[1] {
		case "username":
			user = value
		case "password":
			password = value
		}
	}
	if user == "" || password == "" {
		return "", "", errJAAS
	}
	return user, password, nil
}

func unescape(quoted string) string {
	var b strings.Builder
	for i := 0; i < len(quoted); i++ {
		if quoted[i] == '\\' && i+1 < len(quoted) {
			i++
		}
		b.WriteByte(quoted[i])
	}
	return b.String()
}

// tls returns the configuration that the ssl.* properties make, or nil when one is wrong.
func (s *settings) tls() *tls.Config {
	before := len(s.errs)
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	for _, name := range []string{"ssl.truststore.type", "ssl.keystore.type"} {
		if kind, ok := s.lookup(name); ok && !strings.EqualFold(kind, "PEM") {
			s.fail(name, "%q cannot be read: convert the store to PEM (keytool -exportcert -rfc, openssl pkcs12) and set PEM", kind)
		}
	}
	if name, text := s.pem("ssl.truststore.certificates", "ssl.truststore.location", "ssl.ca.location"); text != nil {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			s.fail(name, "holds no PEM certificate")
		}
	}
	s.clientCertificate(config)
	// Java's client checks the broker's name unless this is set to nothing.
	if algorithm, ok := s.lookup("ssl.endpoint.identification.algorithm"); ok && (algorithm == "" || algorithm == "none") {
		config.InsecureSkipVerify = true
		config.VerifyConnection = verifyChain(config.RootCAs)
	} else if ok && algorithm != "https" {
		s.fail("ssl.endpoint.identification.algorithm", "%q is neither https nor empty", algorithm)
	}
	if len(s.errs) > before {
		return nil
	}
	return config
}

// verifyChain checks a broker's certificate but not its name.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
		for _, c := range state.PeerCertificates[1:] {
			options.Intermediates.AddCert(c)
		}
		_, err := state.PeerCertificates[0].Verify(options)
		return err
	}
}

// clientCertificate takes the certificate and key that the job shows to brokers, from two properties or from one PEM that holds both.
func (s *settings) clientCertificate(config *tls.Config) {
	name, chain := s.pem("ssl.keystore.certificate.chain", "ssl.certificate.location", "ssl.keystore.location")
	keyName, key := s.pem("ssl.keystore.key", "ssl.key.location")
	if _, ok := s.lookup("ssl.key.password"); ok {
		s.fail("ssl.key.password", "encrypted keys cannot be read: decrypt the key (openssl pkey) and protect the file by its permissions")
		return
	}
	if chain == nil && key == nil {
		return
	}
	if chain == nil {
		s.fail(keyName, "a key without a certificate: set ssl.keystore.certificate.chain or ssl.certificate.location")
		return
	}
	if key == nil {
		key = chain
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		s.fail(name, "%v", err)
		return
	}
	config.Certificates = []tls.Certificate{certificate}
}

// pem returns the text of the first of the properties that is set, and its name: the value itself, or, where the name
// ends in "location", the file that it names. The text is nil if none is set.
func (s *settings) pem(names ...string) (set string, text []byte) {
	for _, name := range names {
		value, ok := s.lookup(name)
		if !ok || set != "" {
			continue
		}
		set, text = name, []byte(value)
		if strings.HasSuffix(name, ".location") {
			var err error
			if text, err = os.ReadFile(value); err != nil {
				s.fail(name, "%v", err)
				return set, nil
			}
		}
		if block, _ := pem.Decode(text); block == nil {
			s.fail(name, "holds no PEM: convert a JKS or PKCS#12 store (keytool -exportcert -rfc, openssl pkcs12)")
			return set, nil
		}
	}
	return set, text
}
