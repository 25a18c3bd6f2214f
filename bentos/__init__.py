"""The Bento: the scoring service, the RAG runner and how they are built. What they compute belongs in fvi_pipeline."""
