"""Real search engines for tests: one node in a JVM, from what their vendors publish on Maven Central.

Elasticsearch 6 knows document types and OpenSearch 2 refuses them, so what is true of both is true of every domain that the
stack can be asked to make."""

NAMES = ("elasticsearch-6", "opensearch-2")
