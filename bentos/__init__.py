"""The Bento: scoring service, RAG runner and their build. What they compute belongs in fvi_pipeline."""
