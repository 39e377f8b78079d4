"""The data plane of search domains: a gate over TLS that asks of each request what Amazon OpenSearch Service asks, with a real
engine behind it, or a small stand-in where no engine runs."""
