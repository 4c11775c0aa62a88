"""The stages of the pipeline, one verb per file; ``edge/pipeline.py`` puts them in order."""
