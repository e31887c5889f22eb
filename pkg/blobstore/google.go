package blobstore

import (
	"context"
	"net/http"
	"net/url"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	"gocloud.dev/aws"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
)

// googleStorage is what gs://bucket means to the S3 driver: the XML API of Google Cloud Storage, which takes HMAC keys and knows
// none of the checksums that S3 has by now. A URL's own query goes before it.
// https://cloud.google.com/storage/docs/interoperability
var googleStorage = map[string]string{
	"endpoint":                     "https://storage.googleapis.com",
	"region":                       "auto",
	"request_checksum_calculation": "when_required",
	"response_checksum_validation": "when_required",
}

// openGoogle opens gs://bucket by its S3 interface. Google's own driver would add its whole RPC stack to every program.
func openGoogle(ctx context.Context, storage url.URL) (*blob.Bucket, error) {
	query := storage.Query()
	for name, value := range googleStorage {
		if !query.Has(name) {
			query.Set(name, value)
		}
	}
	config, err := aws.V2ConfigFromURLParams(ctx, query)
	if err != nil {
		return nil, err
	}
	config.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.DisableCompression = true })
	client := s3.NewFromConfig(config, func(o *s3.Options) {
		o.UsePathStyle = true // a bucket's name may have dots, which no certificate covers
		o.APIOptions = append(o.APIOptions, leaveEncodingUnsigned)
	})
	return s3blob.OpenBucket(ctx, client, storage.Host, &s3blob.Options{RequestChecksumCalculation: config.RequestChecksumCalculation})
}

// leaveEncodingUnsigned takes away the step that sets Accept-Encoding before a request is signed: Google's front end changes that header,
// and the signature is wrong then (https://github.com/aws/aws-sdk-go-v2/issues/1816). DisableCompression has the same effect.
func leaveEncodingUnsigned(stack *middleware.Stack) error {
	const step = "DisableAcceptEncodingGzip"
	if _, there := stack.Finalize.Get(step); !there {
		return nil
	}
	_, err := stack.Finalize.Remove(step)
	return err
}
