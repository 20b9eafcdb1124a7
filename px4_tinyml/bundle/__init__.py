"""The model bundle: a folder with the model, its spec, its metrics and its golden vectors."""

from px4_tinyml.bundle.model_bundle import HASHED_FILES, REPORT_FILE, ModelBundle

__all__ = ["HASHED_FILES", "REPORT_FILE", "ModelBundle"]
