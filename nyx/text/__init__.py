"""Text: corpora, vocabularies, batches, and the generated default corpus (hlx)."""
