"""The end-to-end harness: a real nginx per test, and proof that it stayed well."""
