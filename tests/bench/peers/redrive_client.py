"""Redrives one object with the official Python client of OpenSearch and its bulk helper, as its documentation does it. Measures
itself: from asking for the object until all of it is answered."""

import json
import sys
import time
from base64 import b64decode

import boto3
from opensearchpy import OpenSearch, RequestsAWSV4SignerAuth, RequestsHttpConnection, helpers

wish = json.loads(sys.argv[1])
session = boto3.Session(region_name=wish["region"])
s3 = session.client("s3")
client = OpenSearch(
    hosts=[{"host": wish["host"], "port": wish["port"]}], use_ssl=True, verify_certs=True, ca_certs=wish["authority"],
    http_auth=RequestsAWSV4SignerAuth(session.get_credentials(), wish["region"], "es"), connection_class=RequestsHttpConnection, timeout=60)


def actions(lines):
    for line in lines:
        record = json.loads(line)
        yield {"_op_type": "create", "_index": record["esIndexName"], "_id": record["esDocumentId"],
               "_source": json.loads(b64decode(record["rawData"]))}


began = time.perf_counter()
lines = s3.get_object(Bucket=wish["bucket"], Key=wish["key"])["Body"].iter_lines(1 << 20)
indexed, errors = helpers.bulk(client, actions(lines), chunk_size=2000, max_chunk_bytes=5 << 20, raise_on_error=False)
seconds = time.perf_counter() - began
print(json.dumps({"indexed": indexed, "errors": len(errors), "seconds": seconds}))
